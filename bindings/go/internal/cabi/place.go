//go:build cgo

package cabi

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// DefaultMaxCalls is how many calls of a client are in C at once when nobody says otherwise.
const DefaultMaxCalls = 64

// moment is how long a callback may take before its call lends its place.
const moment = 10 * time.Millisecond

// places bounds how many calls of a client are in C at once. Each of those holds a thread of the operating system, and Go ends a program
// that needs 10,000. A call that waits here holds only a goroutine.
//
// A lock around a number, and no channel: a call takes a place and gives it back, which by a channel is 400 instructions.
type places struct {
	size int

	mu    sync.Mutex
	free  int
	queue list.List // of chan struct{}, each closed when its turn has come: none waits while a place is free
}

func newPlaces(n int) *places { return &places{size: n, free: n} }

// try takes a place if one is free.
func (p *places) try() bool {
	p.mu.Lock()
	taken := p.free > 0
	if taken {
		p.free--
	}
	p.mu.Unlock()
	return taken
}

// give hands a place to who waits longest.
func (p *places) give() {
	p.mu.Lock()
	if first := p.queue.Front(); first != nil {
		close(p.queue.Remove(first).(chan struct{}))
	} else {
		p.free++
	}
	p.mu.Unlock()
}

// join begins to wait.
func (p *places) join() (turn *list.Element, come chan struct{}) {
	come = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free > 0 {
		p.free--
		close(come)
		return nil, come
	}
	return p.queue.PushBack(come), come
}

// leave ends the waiting of one who has had enough. Its turn may have come meanwhile.
func (p *places) leave(turn *list.Element, come chan struct{}) {
	p.mu.Lock()
	select {
	case <-come:
		p.mu.Unlock()
		p.give()
	default:
		p.queue.Remove(turn)
		p.mu.Unlock()
	}
}

// take waits for a place, until ctx ends or the call's time is up. What it waited is taken from that time.
func (p *places) take(ctx context.Context, bound *time.Duration) error {
	if p.try() {
		return nil
	}
	return p.wait(ctx, bound)
}

func (p *places) wait(ctx context.Context, bound *time.Duration) error {
	var late <-chan time.Time
	if *bound > 0 {
		timer := time.NewTimer(*bound)
		defer timer.Stop()
		late = timer.C
	}
	began := time.Now()
	turn, come := p.join()
	select {
	case <-come:
		if *bound > 0 {
			*bound = max(*bound-time.Since(began), time.Millisecond)
		}
		return nil
	case <-ctx.Done():
		p.leave(turn, come)
		return cancelledBefore(ctx)
	case <-late:
		p.leave(turn, come)
		return timedOut(fmt.Sprintf("the call waited longer than its %v for one of the client's %d places", *bound, p.size))
	}
}

// place is that of one call. While a callback takes longer than a moment its place is another call's: the callback may be waiting for
// that call, as a Reader does that is fed by a download.
type place struct {
	of    *places // nil: of no client, and so of no account
	timer *time.Timer

	mu      sync.Mutex // the timer runs on a goroutine of its own
	held    bool
	calling bool // a callback runs
}

// enter is called before a callback, and leave after it.
func (p *place) enter() {
	if p.of == nil {
		return
	}
	p.mu.Lock()
	p.calling = true
	p.mu.Unlock()
	if p.timer == nil {
		p.timer = time.AfterFunc(moment, p.lend)
	} else {
		p.timer.Reset(moment)
	}
}

// leave takes the place back if it is free. Else the call goes on without: it has its thread all the same.
func (p *place) leave() {
	if p.of == nil {
		return
	}
	p.timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calling = false
	if !p.held {
		p.held = p.of.try()
	}
}

func (p *place) lend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calling && p.held {
		p.held = false
		p.of.give()
	}
}

func (p *place) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held {
		p.held = false
		p.of.give()
	}
}
