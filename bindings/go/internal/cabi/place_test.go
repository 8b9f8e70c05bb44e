//go:build cgo

package cabi

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Half of those who wait give up while others' turns come: no place is lost, and none is held twice.
func TestAPlaceIsNeitherLostNorHeldTwiceWhenThoseWhoWaitGiveUp(t *testing.T) {
	p := newPlaces(2)
	var held, gaveUp, served atomic.Int32
	var all sync.WaitGroup
	for i := range 2000 {
		all.Add(1)
		go func() {
			defer all.Done()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if i%2 == 0 {
				go cancel()
			}
			var bound time.Duration
			if err := p.take(ctx, &bound); err != nil {
				gaveUp.Add(1)
				return
			}
			if held.Add(1) > 2 {
				t.Error("more than two hold a place")
			}
			served.Add(1)
			held.Add(-1)
			p.give()
		}()
	}
	all.Wait()
	if p.free != 2 || p.queue.Len() != 0 {
		t.Errorf("%d of 2 places are free, and %d wait", p.free, p.queue.Len())
	}
	if served.Load() < 1000 || served.Load()+gaveUp.Load() != 2000 {
		t.Errorf("%d had a place, %d gave up", served.Load(), gaveUp.Load())
	}
}

func TestThoseWhoWaitForAPlaceGetItInTheirOrder(t *testing.T) {
	p := newPlaces(1)
	if !p.try() {
		t.Fatal("the first place isn't free")
	}
	_, first := p.join()
	turn, second := p.join()
	_, third := p.join()
	p.leave(turn, second)
	p.give()
	select {
	case <-first:
	default:
		t.Error("the first has no place")
	}
	select {
	case <-third:
		t.Error("the third has a place")
	default:
	}
	p.give()
	<-third
	p.give()
	if p.free != 1 {
		t.Errorf("%d places are free", p.free)
	}
}
