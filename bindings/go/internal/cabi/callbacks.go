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
	"runtime/debug"
	"sync"
	"unsafe"
)

// What the callbacks return to say that they failed. The error itself waits in the state of the call.
const callbackFailed = 1

// guard runs a callback's body. A panic must not unwind the frames of C: it is kept, and goes on once the C call has returned.
func guard(st *state, body func()) (ok bool) {
	st.place.enter()
	defer func() {
		st.place.leave()
		if ok {
			return
		}
		if value := recover(); value != nil {
			if st.panic == nil {
				st.panic = &panicked{value, debug.Stack()}
			}
			return
		}
		// runtime.Goexit can't be stopped, and would drop the frames of the library in the middle of a call.
		panic("zcrm: a callback ended its goroutine by runtime.Goexit, as t.FailNow does; let it return an error, or panic")
	}()
	body()
	return true
}

// own is memory of Go that stands in for n bytes of the library, which are gone when the call ends: a Reader or a Writer that keeps what
// it was given, against the rules, spoils its own call at worst. It is never used for another call.
func (st *state) own(n C.size_t) []byte {
	if len(st.buffer) < int(n) {
		st.buffer = make([]byte, int(n))
	}
	return st.buffer[:int(n)]
}

//export zcrmGoRead
func zcrmGoRead(handle C.uintptr_t, buf *C.uint8_t, capacity C.size_t, n *C.size_t, yield C.int) C.zcrm_status {
	yieldIf(yield)
	st := cgo.Handle(handle).Value().(*state)
	own := st.own(capacity)
	read := 0
	if !guard(st, func() { read, st.err = st.read(own) }) || st.err != nil {
		return callbackFailed
	}
	st.owed -= int64(read)
	*n = C.size_t(copy(unsafe.Slice((*byte)(buf), int(capacity)), own[:read]))
	return C.ZCRM_OK
}

var (
	errImpossibleRead  = errors.New("zcrm: the Reader returned a count that is negative or larger than its buffer")
	errImpossibleWrite = errors.New("zcrm: the Writer returned a count that is negative or larger than what it was given")
)

// read fills p with at least one byte, or says with 0 that there are no more.
func (st *state) read(p []byte) (int, error) {
	for range 100 {
		if st.readErr != nil {
			return endOfReader(st.readErr)
		}
		n, err := st.reader.Read(p)
		if n < 0 || n > len(p) {
			return 0, errImpossibleRead
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
	st.readErr, st.owed = nil, st.length
	if !guard(st, func() { st.err = st.rewind() }) || st.err != nil {
		return callbackFailed
	}
	return C.ZCRM_OK
}

//export zcrmGoWrite
func zcrmGoWrite(handle C.uintptr_t, buf *C.uint8_t, length C.size_t, yield C.int) C.zcrm_status {
	yieldIf(yield)
	st := cgo.Handle(handle).Value().(*state)
	own := st.own(length)
	copy(own, unsafe.Slice((*byte)(buf), int(length)))
	if !guard(st, func() { st.err = st.write(own) }) || st.err != nil {
		return callbackFailed
	}
	return C.ZCRM_OK
}

func (st *state) write(p []byte) error {
	switch n, err := st.writer.Write(p); {
	case n < 0 || n > len(p):
		return errImpossibleWrite
	case err == nil && n < len(p):
		return io.ErrShortWrite
	default:
		return err
	}
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
	if st.panic != nil || st.err != nil {
		return callbackFailed // the batch is being cancelled, and its caller wants to hear no more
	}
	if !guard(st, func() { st.err = st.ended(C.GoString(key), int32(status), []byte(C.GoString(json)), fromJournal != 0) }) || st.err != nil {
		return callbackFailed
	}
	return 0
}

//export zcrmGoNextStep
func zcrmGoNextStep(handle C.uintptr_t, key **C.char, keyLen *C.size_t, step **C.char, stepLen *C.size_t) C.int32_t {
	const one, end, failed = 1, 0, -1
	st := cgo.Handle(handle).Value().(*state)
	st.steps.free()
	var next BatchStep
	var more bool
	if !guard(st, func() { next, more = st.steps.next() }) || st.steps.err != nil {
		return failed
	}
	if !more {
		return end
	}
	*key, *keyLen, *step, *stepLen = st.steps.keep(next)
	return one
}

// hooks is what a client's token source, token store and logger share. Calls that wait for a token while another one asks share its
// failure: so the call isn't enough to find the error, which goes by the number that the callback returns.
type hooks struct {
	mu      sync.Mutex
	number  int32
	kept    map[int32]hookFailure
	batches map[*state]struct{} // those that run
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

func (h *hooks) keep(of string, err error) C.zcrm_status {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.kept == nil {
		h.kept = map[int32]hookFailure{}
	}
	h.number = max(h.number+1, firstHookFailure)
	h.kept[h.number] = hookFailure{of, err}
	delete(h.kept, h.number-keptHookFailures)
	return C.zcrm_status(h.number)
}

// explain puts the error behind a failed callback into its failure, and says whether it was one.
func (h *hooks) explain(failure *Failure) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept, ok := h.kept[failure.CallbackStatus]
	if ok = ok && failure.Cause == nil; ok {
		failure.Cause, failure.Message = kept.err, "the "+kept.of+" failed"
	}
	return ok
}

// during lets hooks on threads of the library find the batch that they run for.
func (h *hooks) during(batch *state, run func()) {
	h.mu.Lock()
	if h.batches == nil {
		h.batches = map[*state]struct{}{}
	}
	h.batches[batch] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.batches, batch)
	}()
	run()
}

// caller is the call that a hook runs for. On the thread of a call it takes over the hook's panic. On a thread of the library there is no
// goroutine to which a panic could go, and the call is the batch, if but one runs.
func (h *hooks) caller(running C.uintptr_t) *state {
	if running != 0 {
		return cgo.Handle(running).Value().(*state)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.batches) == 1 {
		for batch := range h.batches {
			return &state{ctx: batch.ctx, call: batch.call, cancel: batch.cancel}
		}
	}
	return &state{ctx: context.Background()}
}

// run runs a hook for the call on the thread of which it runs.
func (h *hooks) run(of string, running C.uintptr_t, body func(context.Context) error) C.zcrm_status {
	var err error
	st := h.caller(running)
	if !guard(st, func() { err = body(st.ctx) }) {
		err = fmt.Errorf("the %s panicked: %v", of, st.panic.value)
	}
	if err == nil {
		return C.ZCRM_OK
	}
	if st.cancel != nil && st.ctx.Err() != nil {
		// Perhaps earlier than the context does. A call that was cancelled keeps its failure for itself, and those that wait for the same
		// token ask themselves.
		C.zcrm_cancel_fire(st.cancel)
	}
	return h.keep(of, err)
}

type tokenHook struct {
	*hooks
	ask func(ctx context.Context, refused bool) (string, error)
}

//export zcrmGoToken
func zcrmGoToken(hook, running C.uintptr_t, refused C.int32_t, buf *C.char, capacity C.size_t, n *C.size_t) C.zcrm_status {
	tokens := cgo.Handle(hook).Value().(*tokenHook)
	return tokens.run("token source", running, func(ctx context.Context) error {
		token, err := tokens.ask(ctx, refused != 0)
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
	Get(ctx context.Context) ([]byte, error)
	Put(ctx context.Context, document []byte) error
	TryLock(ctx context.Context) (bool, error)
	Unlock(ctx context.Context)
}

type storeHook struct {
	*hooks
	TokenStore
}

const tokenStore = "token store"

//export zcrmGoStoreGet
func zcrmGoStoreGet(hook, running C.uintptr_t, buf *C.uint8_t, capacity C.size_t, n *C.size_t) C.zcrm_status {
	store := cgo.Handle(hook).Value().(*storeHook)
	return store.run(tokenStore, running, func(ctx context.Context) error {
		document, err := store.Get(ctx)
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
	return store.run(tokenStore, running, func(ctx context.Context) error {
		return store.Put(ctx, bytes.Clone(unsafe.Slice((*byte)(buf), int(length))))
	})
}

//export zcrmGoStoreTryLock
func zcrmGoStoreTryLock(hook, running C.uintptr_t, locked *C.int32_t) C.zcrm_status {
	store := cgo.Handle(hook).Value().(*storeHook)
	return store.run(tokenStore, running, func(ctx context.Context) error {
		taken, err := store.TryLock(ctx)
		*locked = C.int32_t(flag(taken))
		return err
	})
}

//export zcrmGoStoreUnlock
func zcrmGoStoreUnlock(hook, running C.uintptr_t) {
	store := cgo.Handle(hook).Value().(*storeHook)
	st := store.caller(running)
	guard(st, func() { store.Unlock(context.WithoutCancel(st.ctx)) })
}

type logHook struct {
	*hooks
	logger *slog.Logger
}

// attributes say which call a line belongs to.
func (st *state) attributes() []slog.Attr {
	if st.call == nil {
		return nil
	}
	attributes := make([]slog.Attr, 0, 5)
	for _, known := range [...]struct{ key, value string }{
		{"operation", st.call.Operation},
		{"module", st.on.Module},
		{"record_id", st.on.RecordID},
		{"attachment_id", st.on.AttachmentID},
		{"trace_id", st.call.TraceID},
	} {
		if known.value != "" {
			attributes = append(attributes, slog.String(known.key, known.value))
		}
	}
	return attributes
}

var slogLevels = [...]slog.Level{
	C.ZCRM_LOG_ERROR: slog.LevelError,
	C.ZCRM_LOG_WARN:  slog.LevelWarn,
	C.ZCRM_LOG_INFO:  slog.LevelInfo,
	C.ZCRM_LOG_DEBUG: slog.LevelDebug,
	C.ZCRM_LOG_TRACE: slog.LevelDebug - 4,
}

//export zcrmGoLog
func zcrmGoLog(hook, running C.uintptr_t, level C.int32_t, line *C.char, length C.size_t) {
	log := cgo.Handle(hook).Value().(*logHook)
	st := log.caller(running)
	guard(st, func() {
		if at := slogLevels[level]; log.logger.Enabled(st.ctx, at) {
			log.logger.LogAttrs(st.ctx, at, C.GoStringN(line, C.int(length)), st.attributes()...)
		}
	})
}

//export zcrmGoDrop
func zcrmGoDrop(hook C.uintptr_t) { freeHandle(cgo.Handle(hook)) }
