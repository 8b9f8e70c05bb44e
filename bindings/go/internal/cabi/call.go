package cabi

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/cgo"
	"sync"
	"time"
	"unsafe"
)

// Flags of a Call.
const (
	WantSHA256    = uint32(C.ZCRM_CALL_SHA256)
	ExpectBytes   = uint32(C.ZCRM_CALL_EXPECT_BYTES)
	SkipExisting  = uint32(C.ZCRM_CALL_SKIP_EXISTING)
	SkipSameBytes = uint32(C.ZCRM_CALL_SKIP_SAME_BYTES)
	Again         = uint32(C.ZCRM_CALL_AGAIN)
)

// Call is what applies to one call only.
type Call struct {
	Operation        string        // for the log
	Timeout          time.Duration // 0: the setting call_timeout_ms
	Progress         func(done, total int64)
	TraceID          string
	ExpectedSHA256   string
	ExpectedBytes    int64
	RestrictTriggers string
	Flags            uint32
	IsBatch          bool // the setting call_timeout_ms bounds its steps, and Timeout the whole
}

// timeout rounds up: a bound of less than a millisecond is a bound all the same.
func (c *Call) timeout() C.int64_t {
	ms := c.Timeout / time.Millisecond
	if c.Timeout%time.Millisecond > 0 {
		ms++
	}
	return C.int64_t(ms)
}

// how is what C is told of the call: nothing of most.
func (c *Call) how(cancel *C.zcrm_cancel) (how *C.zg_how, texts *C.char) {
	if cancel == nil && c.Timeout == 0 && c.Flags == 0 && c.Progress == nil && c.TraceID == "" && c.ExpectedSHA256 == "" && c.RestrictTriggers == "" {
		return nil, nil
	}
	return &C.zg_how{
		cancel:         C.uintptr_t(uintptr(unsafe.Pointer(cancel))),
		timeout_ms:     c.timeout(),
		expected_bytes: C.int64_t(c.ExpectedBytes),
		trace_id_len:   size(c.TraceID),
		sha256_len:     size(c.ExpectedSHA256),
		triggers_len:   size(c.RestrictTriggers),
		flags:          C.uint32_t(c.Flags),
		progress:       C.int32_t(flag(c.Progress != nil)),
	}, text(c.TraceID + c.ExpectedSHA256 + c.RestrictTriggers)
}

// state is what the callbacks of one call reach through its handle; a call without any has none. Only the call's own thread touches it.
type state struct {
	ctx      context.Context
	call     *Call          // nil of none, such as the making of a client
	on       Object         // that the log names
	cancel   *C.zcrm_cancel // NULL when ctx never ends
	place    place
	reader   io.Reader
	rewind   func() error
	length   int64 // that was announced for the Reader; -1: none
	readErr  error // came together with bytes, and is due at the next read
	owed     int64 // bytes that the Reader has still to give of those that were announced
	writer   io.Writer
	buffer   []byte // what a Reader or a Writer sees in place of the library's memory
	progress func(done, total int64)
	ended    func(key string, status int32, json []byte, fromJournal bool) error
	steps    *feed // of a batch that asks for them
	late     bool  // its time was up while it waited for one of these

	err   error // what the caller's reader, writer or batch function failed with
	panic *panicked
}

// panicked is a callback's panic, which goes on when the library has returned.
type panicked struct {
	value any
	stack []byte
}

// String is what a crash shows.
func (p *panicked) String() string {
	return "zcrm: a callback panicked here, and the panic goes on:\n" + string(p.stack)
}

// newState is that of a call which callbacks may reach: what they may ask for goes to the heap with it.
func newState(on *Object, call *Call) *state {
	kept := *call
	return &state{on: *on, call: &kept, progress: call.Progress}
}

// stateOf is that of a call which has no Reader or Writer: nil if its client has no callbacks either, and nobody asks for its progress.
func (c *Client) stateOf(on *Object, call *Call) *state {
	if c == nil || !c.hooked && call.Progress == nil {
		return nil
	}
	return newState(on, call)
}

// repanic lets the panic of a callback go on. The frames in which it began are gone, so a panic with their text comes first: a crash
// prints both. recover gives the second, which is the callback's own.
func (st *state) repanic() {
	if st != nil && st.panic != nil {
		defer panic(st.panic.value)
		panic(st.panic)
	}
}

// run makes one C call that ends when ctx does, and always waits for it to return: no callback runs afterwards. The result belongs to
// the caller. After a panic of a callback there is neither a result nor an error.
func run(ctx context.Context, st *state, of *Call, call func(C.uintptr_t, *C.zg_how, *C.char) C.zg_reply) (*C.zcrm_result, error) {
	if ctx.Err() != nil {
		return nil, cancelledBefore(ctx)
	}
	var cancel *C.zcrm_cancel
	if ctx.Done() != nil {
		if w := newWatch(); w != nil {
			defer w.end(ctx, context.AfterFunc(ctx, w.fire))
			cancel = w.token.ptr
		}
	}
	var handle cgo.Handle
	if st != nil {
		st.ctx, st.cancel = ctx, cancel
		handle = newHandle(st)
		defer freeHandle(handle)
	}
	how, texts := of.how(cancel)
	reply := call(C.uintptr_t(handle), how, texts)
	yieldIf(reply.yield)
	if st != nil && st.panic != nil {
		C.zcrm_result_free(reply.result)
		C.zcrm_error_free(reply.error)
		return nil, nil
	}
	if reply.status == C.ZCRM_OK {
		return reply.result, nil
	}
	return nil, explained(ctx, st, takeFailure(reply.status, reply.error))
}

// explained is the failure with the Go error that is behind it.
func explained(ctx context.Context, st *state, failure *Failure) *Failure {
	if st == nil {
		st = &state{}
	}
	own, isOwn := st.err.(*Failure)
	switch {
	case isOwn && failure.Status == C.ZCRM_E_CALLBACK:
		return own
	case st.err != nil && st.ended == nil:
		failure.Cause, failure.Message = st.err, "the Reader failed"
		if ctx.Err() != nil && !errors.Is(st.err, ctx.Err()) {
			failure.Cause = fmt.Errorf("%w: %w", ctxCause(ctx), st.err) // which it may well have failed for
		}
		if st.writer != nil {
			failure.Message = "the Writer failed"
		}
	case failure.Status == C.ZCRM_E_SOURCE_CHANGED && st.owed > 0:
		failure.Cause = io.ErrUnexpectedEOF
	case failure.Status == C.ZCRM_E_CANCELLED && ctx.Err() != nil:
		failure.Cause = ctxCause(ctx)
	}
	return failure
}

// yieldIf lets a goroutine yield when the shim says so: once in 5 ms, in the callbacks of a long call, too.
//
// To Go's scheduler call after call on one goroutine is a single time slice, as a return from C begins none. After 10 ms its monitor
// thread therefore takes the processor away, and having found something to do goes back to looking every 20 µs, for about as long as the
// next slice takes: a tenth of the CPU of small calls, and 0.9 µs for each 64 KiB of a Reader. A slice that is started again in time lets it
// sleep. Each yield wakes a thread to look for work, so one at each call would cost as much.
func yieldIf(due C.int) {
	if due != 0 {
		runtime.Gosched()
	}
}

// watch fires its token when a context ends, which it can. One is used for call after call, as long as none ends it.
type watch struct {
	token *token
	fire  func()
	fired chan struct{}
}

// token is freed with the last that knows it. It knows nobody, or a finalizer would not come.
type token struct{ ptr *C.zcrm_cancel }

var watches sync.Pool // of *watch

// newWatch is nil if there is no memory for one.
func newWatch() *watch {
	if w, ok := watches.Get().(*watch); ok {
		return w
	}
	w := &watch{token: &token{}, fired: make(chan struct{})}
	if C.zcrm_cancel_new(&w.token.ptr) != C.ZCRM_OK {
		return nil
	}
	runtime.SetFinalizer(w.token, (*token).free)
	w.fire = func() {
		C.zcrm_cancel_fire(w.token.ptr)
		close(w.fired)
	}
	return w
}

// end takes back what stop stops. A token that is fired, or may be because its context has ended, is no other call's.
func (w *watch) end(ctx context.Context, stop func() bool) {
	stopped := stop()
	if !stopped {
		<-w.fired // else the token would be freed while it is fired
	}
	if stopped && ctx.Err() == nil {
		watches.Put(w)
	} else {
		w.token.free()
	}
}

func (t *token) free() {
	C.zcrm_cancel_free(t.ptr)
	t.ptr = nil
}

// unsent is a failure that Go itself finds, before anything is sent.
func unsent(status C.zcrm_status, reason, message string) *Failure {
	return &Failure{Status: int32(status), Reason: reason, Message: message, RequestSent: "no", RetryAfterMS: -1}
}

// given refuses a nil context, before anything asks it.
func given(ctx context.Context) error {
	if ctx == nil {
		return Argument("ctx", "is nil; context.Background() is a context that never ends")
	}
	return nil
}

func cancelledBefore(ctx context.Context) *Failure {
	failure := unsent(C.ZCRM_E_CANCELLED, "cancelled", "the context ended before the call began")
	failure.Cause = ctxCause(ctx)
	return failure
}

func timedOut(message string) *Failure {
	failure := unsent(C.ZCRM_E_TIMEOUT, "call_timeout", message)
	failure.Retryable = true
	return failure
}

// TimedOut is the failure of a call whose time is up before it begins.
func TimedOut() *Failure { return timedOut("the time for the call was up before it began") }

// Argument is the failure of a parameter that can't be right.
func Argument(field, problem string) *Failure {
	failure := unsent(C.ZCRM_E_ARGUMENT, "argument", field+": "+problem)
	failure.Field = field
	return failure
}

// SourceConsumed is the failure of an upload whose bytes another one has taken.
func SourceConsumed() *Failure {
	return unsent(C.ZCRM_E_SOURCE_CONSUMED, "source_consumed", "an earlier upload has taken bytes from this source, whose Reader can't go back")
}

// SourceFailed is the failure of an upload whose Reader couldn't go back to where an earlier one began.
func SourceFailed(cause error) *Failure {
	failure := unsent(C.ZCRM_E_CALLBACK, "source_rewind", "the Reader can't go back to where an earlier upload began")
	failure.Cause = cause
	return failure
}

// ctxCause is ctx.Err(), and with it the cause if the one who cancelled named another.
func ctxCause(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
