// Package cabi is the seam between Go and the C ABI of libzcrm, and the only package that imports "C".
//
// It knows contexts, callbacks and memory; what an option is called and how an error reads is the business of package zcrm.
package cabi

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"runtime/cgo"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

func init() {
	if loaded := uint32(C.zcrm_abi_version()); loaded != C.ZCRM_ABI_VERSION {
		panic(fmt.Sprintf("zcrm: the loaded libzcrm %s has ABI %d, and this program was built for ABI %d: install the matching libzcrm",
			Version(), loaded, uint32(C.ZCRM_ABI_VERSION)))
	}
}

// Version is the version of the loaded library.
func Version() string { return C.GoString(C.zcrm_version()) }

// StatusName is the name of the C constant with this number.
func StatusName(status int32) string { return C.GoString(C.zcrm_status_name(C.zcrm_status(status))) }

// ErrClosed is returned by calls on a client that was closed.
var ErrClosed = errors.New("zcrm: the client is closed")

// Config is what clients are made of.
type Config struct {
	Profile  *Profile // loaded first, whatever its place among the options
	Settings []Setting
	Token    func(ctx context.Context, refused bool) (string, error)
	Store    TokenStore
	Logger   *slog.Logger
	MaxCalls int // at once in C; 0: DefaultMaxCalls
}

// Profile is what zcrm_config_load_profile takes; an empty text is NULL.
type Profile struct{ Path, Name string }

// Setting is one key of zcrm_config_set and its value.
type Setting struct{ Key, Value string }

// Client counts the calls that use its C client, so that Close can't free it under one of them. A nil one is closed.
type Client struct {
	ptr     *C.zcrm_client
	hooks   *hooks
	hooked  bool // it has callbacks of its own
	waits   bool // some of them may take long: a token source, a token store
	logger  *slog.Logger
	places  *places
	timeout time.Duration // the setting call_timeout_ms, which bounds the wait for a place too

	mu     sync.Mutex
	calls  int
	closed bool
}

// NewClient makes a client; the error is a *Failure.
func NewClient(config Config) (*Client, error) {
	if config.MaxCalls < 0 {
		return nil, unsent(C.ZCRM_E_CONFIG, "max_calls", fmt.Sprintf("a client can't have %d calls at once; it takes at least 1, and 0 is %d", config.MaxCalls, DefaultMaxCalls))
	}
	built, hooks, err := config.build()
	if err != nil {
		return nil, err
	}
	defer C.zcrm_config_free(built)
	st := &state{ctx: context.Background()}
	handle := newHandle(st)
	defer freeHandle(handle)
	client := &Client{hooks: hooks, hooked: config.hasHooks(), logger: config.Logger, places: config.places(), timeout: config.callTimeout()}
	client.waits = config.Token != nil || config.Store != nil
	var failed *C.zcrm_error
	status := C.zg_client_new(built, C.uintptr_t(handle), &client.ptr, &failed)
	st.repanic()
	if status != C.ZCRM_OK {
		return nil, takeFailure(status, failed)
	}
	// A net for programs that forget to close. It hangs on this Client, which a call holds for as long as it runs, and not on what wraps
	// it, which is garbage from the moment of its last call on.
	runtime.SetFinalizer(client, (*Client).Close)
	return client, nil
}

func (config *Config) places() *places {
	if config.MaxCalls == 0 {
		return newPlaces(DefaultMaxCalls)
	}
	return newPlaces(config.MaxCalls)
}

// callTimeout is the setting of that name, which C has checked.
func (config *Config) callTimeout() (timeout time.Duration) {
	for _, setting := range config.Settings {
		if setting.Key == "call_timeout_ms" {
			ms, _ := strconv.ParseInt(setting.Value, 10, 64)
			timeout = time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
		}
	}
	return timeout
}

// Close frees the C client now, or when the last call that runs has ended.
func (c *Client) Close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.freeIfUnused()
	}
}

func (c *Client) acquire() error {
	if c == nil {
		return closed("the client was not made by zcrm.New")
	}
	c.mu.Lock()
	open := !c.closed
	if open {
		c.calls++
	}
	c.mu.Unlock()
	if !open {
		return closed("the client is closed")
	}
	return nil
}

func closed(message string) *Failure {
	failure := unsent(C.ZCRM_E_STATE, "closed", message)
	failure.Cause = ErrClosed
	return failure
}

func (c *Client) release() {
	c.mu.Lock()
	c.calls--
	c.freeIfUnused()
	c.mu.Unlock()
}

func (c *Client) freeIfUnused() {
	if c.closed && c.calls == 0 {
		C.zcrm_client_free(c.ptr)
		c.ptr = nil
	}
}

// run is run with the client held, so that Close waits with the freeing, and in a place.
func (c *Client) run(ctx context.Context, st *state, of *Call, call func(C.uintptr_t, *C.zg_how, *C.char) C.zg_reply) (*C.zcrm_result, error) {
	if err := c.acquire(); err != nil {
		return nil, err
	}
	defer c.release()
	if err := given(ctx); err != nil {
		return nil, err
	}
	bound := of.Timeout
	if bound == 0 {
		bound = c.timeout
	}
	if err := c.places.take(ctx, &bound); err != nil {
		return nil, err
	}
	if of.Timeout != 0 || !of.IsBatch {
		of.Timeout = bound
	}
	if st != nil {
		return c.runReached(ctx, st, of, call)
	}
	defer c.places.give()
	return run(ctx, nil, of, call)
}

// runReached runs a call whose callbacks lend its place, may panic, and wait as long as it has time.
func (c *Client) runReached(ctx context.Context, st *state, of *Call, call func(C.uintptr_t, *C.zg_how, *C.char) C.zg_reply) (*C.zcrm_result, error) {
	st.place.of, st.place.held = c.places, true
	defer st.place.giveBack()
	within, done := c.bounded(ctx, of.Timeout)
	defer done()
	result, err := run(within, st, of, call)
	st.late = within.Err() != nil && ctx.Err() == nil
	if st.panic != nil {
		c.logPanic(st)
		st.repanic()
	}
	if failure, ok := err.(*Failure); ok {
		if isHooks := c.hooks.explain(failure); st.late && (isHooks || failure.Status == C.ZCRM_E_CANCELLED) {
			failure.Status, failure.Reason, failure.Cause = C.ZCRM_E_TIMEOUT, "call_timeout", nil
			failure.Message = fmt.Sprintf("the call took longer than its %v", of.Timeout)
		}
	}
	return result, err
}

// bounded is the context of a call's token source and token store, which ends when the call's time is up: a moment later than the library
// ends a call that waits for anything else.
func (c *Client) bounded(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	const moment = 10 * time.Millisecond
	if !c.waits || timeout <= 0 || timeout > math.MaxInt64-moment {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout+moment)
}

// logPanic tells where a callback panicked: whoever recovers from the panic sees only where it went on.
func (c *Client) logPanic(st *state) {
	defer func() { recover() }() // it may be the logger that panics
	if c.logger != nil {
		c.logger.LogAttrs(st.ctx, slog.LevelError, "zcrm: a callback panicked", append(st.attributes(), slog.String("stack", string(st.panic.stack)))...)
	}
}

func (config *Config) hasHooks() bool {
	return config.Token != nil || config.Store != nil || config.Logger != nil
}

func (config Config) build() (*C.zcrm_config, *hooks, error) {
	var built *C.zcrm_config
	if status := C.zcrm_config_new(&built); status != C.ZCRM_OK {
		return nil, nil, unsent(status, "memory", "no config could be made")
	}
	if err := load(built, config.Profile); err != nil {
		C.zcrm_config_free(built)
		return nil, nil, err
	}
	for _, setting := range config.Settings {
		if err := set(built, setting); err != nil {
			C.zcrm_config_free(built)
			return nil, nil, err
		}
	}
	hooks := &hooks{}
	if config.Token != nil {
		C.zg_set_token_fn(built, C.uintptr_t(newHandle(&tokenHook{hooks, config.Token})))
	}
	if config.Store != nil {
		hook := newHandle(&storeHook{hooks, config.Store})
		var failed *C.zcrm_error
		if status := C.zg_set_token_store(built, C.uintptr_t(hook), &failed); status != C.ZCRM_OK {
			freeHandle(hook)
			C.zcrm_config_free(built)
			return nil, nil, takeFailure(status, failed)
		}
	}
	if config.Logger != nil {
		// Every level: whether one is wanted is asked of the logger for each line, as its level may be changed at any time.
		C.zg_set_log_fn(built, C.ZCRM_LOG_TRACE, C.uintptr_t(newHandle(&logHook{hooks, config.Logger})))
	}
	return built, hooks, nil
}

func load(config *C.zcrm_config, profile *Profile) error {
	if profile == nil {
		return nil
	}
	if strings.IndexByte(profile.Path+profile.Name, 0) >= 0 {
		return unsent(C.ZCRM_E_ARGUMENT, "argument", "profile: its path or its name holds a NUL byte")
	}
	var failed *C.zcrm_error
	if status := C.zcrm_config_load_profile(config, textOrNull(profile.Path), textOrNull(profile.Name), &failed); status != C.ZCRM_OK {
		return takeFailure(status, failed)
	}
	return nil
}

// textOrNull is a NUL-terminated text for the duration of one C call, NULL for an empty one.
func textOrNull(s string) *C.char {
	if s == "" {
		return nil
	}
	return text(s + "\x00")
}

func set(config *C.zcrm_config, setting Setting) error {
	if strings.IndexByte(setting.Key, 0) >= 0 {
		return unsent(C.ZCRM_E_CONFIG, "unknown_key", fmt.Sprintf("there is no setting %q", setting.Key))
	}
	key := setting.Key + "\x00"
	var failed *C.zcrm_error
	if status := C.zcrm_config_set(config, text(key), text(setting.Value), size(setting.Value), &failed); status != C.ZCRM_OK {
		return takeFailure(status, failed)
	}
	return nil
}

// Exchange runs zcrm_auth_exchange and gives its JSON.
func Exchange(ctx context.Context, config Config, call Call) ([]byte, error) {
	if err := given(ctx); err != nil {
		return nil, err
	}
	built, _, err := config.build()
	if err != nil {
		return nil, err
	}
	defer C.zcrm_config_free(built)
	var st *state
	if config.hasHooks() {
		st = newState(&Object{}, &call)
	}
	result, err := run(ctx, st, &call, func(handle C.uintptr_t, how *C.zg_how, texts *C.char) C.zg_reply {
		return C.zg_exchange(built, nil, handle, how, texts)
	})
	st.repanic()
	if err != nil {
		return nil, err
	}
	defer C.zcrm_result_free(result)
	return resultJSON(result), nil
}

// text is a pointer to the bytes of a string, for the duration of one C call, to which cgo pins them. The bytes hold no pointers, so
// this is within cgo's rules, and spares the copy that C.CString would make.
func text(s string) *C.char { return (*C.char)(unsafe.Pointer(unsafe.StringData(s))) }

func size(s string) C.size_t { return C.size_t(len(s)) }

var handles atomic.Int64

// Handles is the number of Go values that C can reach just now. For tests.
func Handles() int64 { return handles.Load() }

func newHandle(value any) cgo.Handle {
	handles.Add(1)
	return cgo.NewHandle(value)
}

func freeHandle(handle cgo.Handle) {
	handle.Delete()
	handles.Add(-1)
}
