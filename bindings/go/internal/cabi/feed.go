//go:build cgo

package cabi

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"iter"
	"runtime/debug"
	"unsafe"
)

// feed asks a sequence for one step after another. The sequence runs on a goroutine of its own: iter.Pull's can't be asked within a callback
// of C, as that is locked to its thread.
type feed struct {
	ask   chan struct{} // closed: no more is wanted
	given chan BatchStep
	err   error     // what the sequence failed with
	panic *panicked // the same, and it goes on where the batch was called

	key, step unsafe.Pointer // memory of C that holds the last step
}

func newFeed(steps iter.Seq2[BatchStep, error]) *feed {
	f := &feed{ask: make(chan struct{}), given: make(chan BatchStep)}
	go f.run(steps)
	return f
}

// run pushes steps. What it leaves in f is read once given is closed.
func (f *feed) run(steps iter.Seq2[BatchStep, error]) {
	ended := false
	defer func() {
		if !ended {
			value := recover()
			if value == nil {
				value = errors.New("zcrm: the sequence of the steps ended its goroutine by runtime.Goexit, as t.FailNow does")
			}
			f.panic = &panicked{value, debug.Stack()}
		}
		close(f.given)
	}()
	if _, wanted := <-f.ask; wanted {
		steps(func(step BatchStep, err error) bool {
			if err != nil {
				f.err = err
				return false
			}
			f.given <- step
			_, wanted := <-f.ask
			return wanted
		})
	}
	ended = true
}

// next is the next step, or false at the end. A panic of the sequence goes on here.
func (f *feed) next() (step BatchStep, more bool) {
	f.ask <- struct{}{}
	step, more = <-f.given
	if !more && f.panic != nil {
		panic(f.panic.value)
	}
	return step, more
}

// stop ends the sequence and waits for it. A panic that nobody has seen goes on here.
func (f *feed) stop(st *state) {
	close(f.ask)
	for range f.given {
	}
	f.free()
	if f.panic != nil && st.panic == nil {
		st.panic = f.panic
		st.repanic()
	}
}

// keep copies a step to where C reads it until the next one is asked for.
func (f *feed) keep(step BatchStep) (key *C.char, keyLen C.size_t, json *C.char, jsonLen C.size_t) {
	f.key, f.step = C.CBytes([]byte(step.Key)), C.CBytes(step.Step)
	return (*C.char)(f.key), C.size_t(len(step.Key)), (*C.char)(f.step), C.size_t(len(step.Step))
}

func (f *feed) free() {
	C.free(f.key)
	C.free(f.step)
	f.key, f.step = nil, nil
}
