//go:build cgo

package cabi

import (
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
type places chan struct{}

// take waits for a place, until ctx ends or the call's time is up. What it waited is taken from that time.
func (p places) take(ctx context.Context, bound *time.Duration) error {
	select {
	case p <- struct{}{}:
		return nil
	default:
	}
	var late <-chan time.Time
	if *bound > 0 {
		timer := time.NewTimer(*bound)
		defer timer.Stop()
		late = timer.C
	}
	began := time.Now()
	select {
	case p <- struct{}{}:
		if *bound > 0 {
			*bound = max(*bound-time.Since(began), time.Millisecond)
		}
		return nil
	case <-ctx.Done():
		return cancelledBefore(ctx)
	case <-late:
		return timedOut(fmt.Sprintf("the call waited longer than its %v for one of the client's %d places", *bound, cap(p)))
	}
}

// place is that of one call. While a callback takes longer than a moment its place is another call's: the callback may be waiting for
// that call, as a Reader does that is fed by a download.
type place struct {
	of    places // nil: of no client, and so of no account
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
		select {
		case p.of <- struct{}{}:
			p.held = true
		default:
		}
	}
}

func (p *place) lend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calling && p.held {
		p.held = false
		<-p.of
	}
}

func (p *place) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held {
		p.held = false
		<-p.of
	}
}
