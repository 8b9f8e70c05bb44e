package cabi

// #include "shim.h"
import "C"

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// What the callbacks return to say that they failed. The error itself waits in the state of the call.
const callbackFailed = 1

// guard runs a callback's body. A panic must not unwind the frames of C: it is kept, and goes on once the C call has returned.
func guard(st *state, body func()) (ok bool) {
	defer func() {
		if ok {
			return
		}
		if value := recover(); value != nil {
			st.panicked, st.panic = true, value
			return
		}
		// runtime.Goexit can't be stopped, and would drop the frames of the library in the middle of a call.
		panic("zcrm: a callback ended its goroutine by runtime.Goexit, as t.FailNow does; let it return an error, or panic")
	}()
	body()
	return true
}

//export zcrmGoRead
func zcrmGoRead(handle C.uintptr_t, buf *C.uint8_t, capacity C.size_t, n *C.size_t, yield C.int) C.zcrm_status {
	yieldIf(yield)
	st := cgo.Handle(handle).Value().(*state)
	if !guard(st, func() {
		var read int
		read, st.err = st.read(unsafe.Slice((*byte)(buf), int(capacity)))
		*n = C.size_t(read)
	}) || st.err != nil {
		return callbackFailed
	}
	return C.ZCRM_OK
}

var errImpossibleCount = errors.New("zcrm: the Reader returned a count that is negative or larger than its buffer")

// read fills p with at least one byte, or says with 0 that there are no more.
func (st *state) read(p []byte) (int, error) {
	for range 100 {
		if st.readErr != nil {
			return endOfReader(st.readErr)
		}
		n, err := st.reader.Read(p)
		if n < 0 || n > len(p) {
			return 0, errImpossibleCount
		}
		st.readErr = err
		if n > 0 {
			return n, nil
		}
	}
	if st.readErr != nil {
		return endOfReader(st.readErr)
	}
	return 0, io.ErrNoProgress
}

func endOfReader(err error) (int, error) {
	if err == io.EOF {
		return 0, nil
	}
	return 0, err
}

//export zcrmGoRewind
func zcrmGoRewind(handle C.uintptr_t) C.zcrm_status {
	st := cgo.Handle(handle).Value().(*state)
	st.readErr = nil
	if !guard(st, func() { st.err = st.rewind() }) || st.err != nil {
		return callbackFailed
	}
	return C.ZCRM_OK
}

//export zcrmGoWrite
func zcrmGoWrite(handle C.uintptr_t, buf *C.uint8_t, length C.size_t, yield C.int) C.zcrm_status {
	yieldIf(yield)
	st := cgo.Handle(handle).Value().(*state)
	if !guard(st, func() {
		var written int
		written, st.err = st.writer.Write(unsafe.Slice((*byte)(buf), int(length)))
		if st.err == nil && written != int(length) {
			st.err = io.ErrShortWrite
		}
	}) || st.err != nil {
		return callbackFailed
	}
	return C.ZCRM_OK
}

//export zcrmGoProgress
func zcrmGoProgress(handle C.uintptr_t, done C.uint64_t, total C.int64_t) C.int32_t {
	st := cgo.Handle(handle).Value().(*state)
	if !guard(st, func() { st.progress(int64(done), int64(total)) }) {
		return callbackFailed
	}
	return 0
}

//export zcrmGoBatchEnd
func zcrmGoBatchEnd(handle C.uintptr_t, key *C.char, status C.zcrm_status, json *C.char, fromJournal C.int32_t) C.int32_t {
	st := cgo.Handle(handle).Value().(*state)
	if st.panicked || st.err != nil {
		return callbackFailed // the batch is being cancelled, and its caller wants to hear no more
	}
	if !guard(st, func() { st.err = st.ended(C.GoString(key), int32(status), []byte(C.GoString(json)), fromJournal != 0) }) || st.err != nil {
		return callbackFailed
	}
	return 0
}

// failures of a client's token source and token store. Calls that wait for a token while another one asks share its failure: so the error
// can't be found through the call alone, and goes by the number that the callback returns.
type failures struct {
	mu     sync.Mutex
	number int32
	kept   map[int32]hookFailure
}

type hookFailure struct {
	of  string
	err error
}

// The numbers begin above every other status that a callback could seem to return.
const (
	firstHookFailure = 1000
	keptHookFailures = 4096
)

func (f *failures) keep(of string, err error) C.zcrm_status {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept == nil {
		f.kept = map[int32]hookFailure{}
	}
	f.number = max(f.number+1, firstHookFailure)
	f.kept[f.number] = hookFailure{of, err}
	delete(f.kept, f.number-keptHookFailures)
	return C.zcrm_status(f.number)
}

// explain puts the error behind a failed callback into its failure.
func (f *failures) explain(failure *Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if kept, ok := f.kept[failure.CallbackStatus]; ok && failure.Cause == nil {
		failure.Cause, failure.Message = kept.err, "the "+kept.of+" failed"
	}
}

// run runs a hook on the thread of the call `running`, which takes over the panic, if there is one.
func (f *failures) run(of string, running C.uintptr_t, body func() error) C.zcrm_status {
	var err error
	st := runningState(running)
	if !guard(st, func() { err = body() }) {
		err = fmt.Errorf("the %s panicked: %v", of, st.panic)
	}
	if err != nil {
		return f.keep(of, err)
	}
	return C.ZCRM_OK
}

type tokenHook struct {
	*failures
	ask func(refused bool) (string, error)
}

//export zcrmGoToken
func zcrmGoToken(hook, running C.uintptr_t, refused C.int32_t, buf *C.char, capacity C.size_t, n *C.size_t) C.zcrm_status {
	tokens := cgo.Handle(hook).Value().(*tokenHook)
	return tokens.run("token source", running, func() error {
		token, err := tokens.ask(refused != 0)
		if err == nil && len(token) > int(capacity) {
			err = fmt.Errorf("the token source gave %d bytes, and a token has at most %d", len(token), int(capacity))
		}
		if err == nil {
			*n = C.size_t(copy(unsafe.Slice((*byte)(unsafe.Pointer(buf)), int(capacity)), token))
		}
		return err
	})
}

// TokenStore is what zcrm_token_store calls.
type TokenStore interface {
	Get() ([]byte, error)
	Put(document []byte) error
	TryLock() (bool, error)
	Unlock()
}

type storeHook struct {
	*failures
	TokenStore
}

const tokenStore = "token store"

//export zcrmGoStoreGet
func zcrmGoStoreGet(hook, running C.uintptr_t, buf *C.uint8_t, capacity C.size_t, n *C.size_t) C.zcrm_status {
	store := cgo.Handle(hook).Value().(*storeHook)
	return store.run(tokenStore, running, func() error {
		document, err := store.Get()
		if err == nil {
			copy(unsafe.Slice((*byte)(buf), int(capacity)), document)
			*n = C.size_t(len(document)) // over capacity: the library comes again with room for it
		}
		return err
	})
}

//export zcrmGoStorePut
func zcrmGoStorePut(hook, running C.uintptr_t, buf *C.uint8_t, length C.size_t) C.zcrm_status {
	store := cgo.Handle(hook).Value().(*storeHook)
	return store.run(tokenStore, running, func() error {
		return store.Put(bytes.Clone(unsafe.Slice((*byte)(buf), int(length))))
	})
}

//export zcrmGoStoreTryLock
func zcrmGoStoreTryLock(hook, running C.uintptr_t, locked *C.int32_t) C.zcrm_status {
	store := cgo.Handle(hook).Value().(*storeHook)
	return store.run(tokenStore, running, func() error {
		taken, err := store.TryLock()
		*locked = C.int32_t(flag(taken))
		return err
	})
}

//export zcrmGoStoreUnlock
func zcrmGoStoreUnlock(hook, running C.uintptr_t) {
	store := cgo.Handle(hook).Value().(*storeHook)
	guard(runningState(running), store.Unlock)
}

type logHook struct{ logger *slog.Logger }

var slogLevels = [...]slog.Level{1: slog.LevelError, 2: slog.LevelWarn, 3: slog.LevelInfo, 4: slog.LevelDebug, 5: slog.LevelDebug - 4}

//export zcrmGoLog
func zcrmGoLog(hook, running C.uintptr_t, level C.int32_t, line *C.char, length C.size_t) {
	logger := cgo.Handle(hook).Value().(*logHook).logger
	guard(runningState(running), func() {
		if at := slogLevels[level]; logger.Enabled(context.Background(), at) {
			logger.LogAttrs(context.Background(), at, C.GoStringN(line, C.int(length)))
		}
	})
}

// runningState is the call on whose thread a client's callback runs, so that it takes over the panic, if there is one.
func runningState(running C.uintptr_t) *state {
	if running == 0 {
		return &state{} // on a thread of nobody's: there is no goroutine to which a panic could go
	}
	return cgo.Handle(running).Value().(*state)
}

//export zcrmGoDrop
func zcrmGoDrop(hook C.uintptr_t) { freeHandle(cgo.Handle(hook)) }
