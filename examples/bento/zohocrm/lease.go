package zohocrm

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"
)

const (
	// leaseEnds is how long after its holder's last sign of life a lock is free.
	leaseEnds = 10 * time.Second
	// leaseLooks is how often one that waits for the lock asks the cache; the library asks more often.
	leaseLooks = 50 * time.Millisecond
	// leaseKept is how many of the last holders' keys stay, for one that is late.
	leaseKept = 16
)

var leaseFree = []byte("free")

// lease is a lock that ends with its holder, in a cache that can add a key if it is absent, and do nothing else at one stroke.
//
// The holders are numbered, and each has a key with its number. To take the lock is to add the key of the next number: of those who
// try at the same time one succeeds. While it holds the lock it writes there again and again; when it gives the lock back it writes
// "free". Who sees one value for longer than `ends`, by its own clock, takes the next number, for the holder is dead. The key without
// a number says where to begin to look for the highest.
type lease struct {
	cache
	key  string
	ends time.Duration

	mu    sync.Mutex
	held  uint64 // the number of this holder; 0: none
	beats func() // ends the signs of life
	again time.Time

	seen  uint64 // the holder that was seen last, what was there, and since when
	value []byte
	since time.Time
}

func newLease(of cache, key string) *lease { return &lease{cache: of, key: key, ends: leaseEnds} }

func newID() string {
	var id [8]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

func (l *lease) at(number uint64) string { return fmt.Sprintf("%s.%d", l.key, number) }

// try takes the lock if it is free, or its holder dead.
func (l *lease) try(ctx context.Context) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != 0 || time.Now().Before(l.again) {
		return false, nil
	}
	number, value, err := l.latest(ctx)
	if err != nil {
		return false, err
	}
	if l.lives(number, value) {
		l.again = time.Now().Add(min(leaseLooks, l.ends/4))
		return false, nil
	}
	return l.take(ctx, number+1)
}

// latest gives the highest number, and what its holder wrote; nil when that is forgotten, or there was none yet.
func (l *lease) latest(ctx context.Context) (number uint64, value []byte, err error) {
	if number, err = l.begin(ctx); err != nil {
		return 0, nil, err
	}
	if value, err = l.get(ctx, l.at(number)); err != nil {
		return 0, nil, err
	}
	for {
		next, err := l.get(ctx, l.at(number+1))
		if err != nil || next == nil {
			return number, value, err
		}
		number, value = number+1, next
	}
}

// begin is where to begin to look for the highest number.
func (l *lease) begin(ctx context.Context) (uint64, error) {
	text, err := l.get(ctx, l.key)
	if err != nil {
		return 0, err
	}
	number, broken := strconv.ParseUint(string(text), 10, 64)
	if broken != nil {
		return 0, nil // absent, or somebody's else: all begin anew
	}
	return number, nil
}

// lives reports whether the holder of that number has the lock still.
func (l *lease) lives(number uint64, value []byte) bool {
	if value == nil || bytes.Equal(value, leaseFree) {
		return false
	}
	if l.seen != number || !bytes.Equal(l.value, value) {
		l.seen, l.value, l.since = number, value, time.Now()
	}
	return time.Since(l.since) <= l.ends
}

// take adds the key of a number, and then signs of life.
func (l *lease) take(ctx context.Context, number uint64) (bool, error) {
	id := newID()
	added, err := l.add(ctx, l.at(number), sign(id, 0))
	if !added {
		return false, err
	}
	begin, err := l.begin(ctx)
	if err == nil && begin > number { // the others are further: this key was there once, and is forgotten
		l.remove(ctx, l.at(number))
		return false, nil
	}
	if err == nil {
		err = l.set(ctx, l.key, []byte(strconv.FormatUint(number, 10)))
	}
	if err != nil {
		_ = l.set(ctx, l.at(number), leaseFree)
		return false, err
	}
	if number > leaseKept {
		l.remove(ctx, l.at(number-leaseKept))
	}
	l.held, l.beats = number, l.beat(number, id)
	return true, nil
}

func sign(id string, beat int) []byte { return fmt.Appendf(nil, "%s %d", id, beat) }

// beat writes signs of life until it is ended. One that can't be written is left out: too few of them end the lock.
func (l *lease) beat(number uint64, id string) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(l.ends / 10)
		defer tick.Stop()
		for beat := 1; ; beat++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = l.set(ctx, l.at(number), sign(id, beat))
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// release gives the lock back.
func (l *lease) release(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == 0 {
		return nil
	}
	l.beats()
	number := l.held
	l.held = 0
	return l.set(ctx, l.at(number), leaseFree)
}
