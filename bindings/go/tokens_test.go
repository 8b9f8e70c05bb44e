package zcrm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

type key struct{}

func TestATokenSourceGetsTheContextOfItsCall(t *testing.T) {
	w := newWorld(t)
	client := w.newClient(zcrm.WithTokenSource(func(ctx context.Context, _ bool) (string, error) {
		if ctx.Value(key{}) != "mine" {
			t.Errorf("the context has %v", ctx.Value(key{}))
		}
		<-ctx.Done()
		return "", ctx.Err()
	}))
	within, cancel := context.WithTimeout(context.WithValue(ctx, key{}, "mine"), 50*time.Millisecond)
	defer cancel()
	if _, err := client.ListAttachments(within, w.record, zcrm.ListOptions{}); !errors.Is(err, context.DeadlineExceeded) || !isTimeout(err) {
		t.Errorf("a call: %v", err)
	}
	steps := []zcrm.BatchStep{{Key: "a", Step: []byte(fmt.Sprintf(`{"operation":"attachment.list","module":"Contacts","record_id":%q}`, w.record.ID))}}
	within, cancel = context.WithTimeout(context.WithValue(ctx, key{}, "mine"), 50*time.Millisecond)
	defer cancel()
	if summary, err := client.RunBatch(within, steps, zcrm.BatchOptions{}, nil); summary.Done != 0 {
		t.Errorf("a batch: %+v, %v", summary, err)
	}
}

// The store's Get waits for its context, too.
func TestATokenSourceAndAStoreEndWithTheTimeOfTheCall(t *testing.T) {
	w := newWorld(t)
	source := zcrm.WithTokenSource(func(ctx context.Context, _ bool) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	setting := zcrm.WithOption("call_timeout_ms", "50")
	for name, call := range map[string]struct {
		client *zcrm.Client
		bound  []zcrm.CallOption
	}{
		"source":          {w.newClient(source), []zcrm.CallOption{zcrm.WithTimeout(50 * time.Millisecond)}},
		"source, setting": {w.newClient(source, setting), nil},
		"store":           {w.sharing(zcrm.WithTokenStore(&slow{})), []zcrm.CallOption{zcrm.WithTimeout(50 * time.Millisecond)}},
	} {
		_, err := call.client.ListAttachments(ctx, w.record, zcrm.ListOptions{}, call.bound...)
		if !errors.Is(err, zcrm.ErrTimeout) || errors.Is(err, context.Canceled) || !isTimeout(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	steps := []zcrm.BatchStep{{Key: "a", Step: []byte(fmt.Sprintf(`{"operation":"attachment.list","module":"Contacts","record_id":%q}`, w.record.ID))}}
	summary, err := w.newClient(source).RunBatch(ctx, steps, zcrm.BatchOptions{}, nil, zcrm.WithTimeout(50*time.Millisecond))
	if err != nil || summary.Done != 0 || summary.Stopped != "call_timeout" {
		t.Errorf("a batch: %+v, %v", summary, err)
	}
}

// Those that wait share a failure of the token source. That its context ended is no such failure.
func TestACallThatWaitsForATokenOutlivesTheContextOfTheOneThatAsks(t *testing.T) {
	w := newWorld(t)
	asking := make(chan bool, 1)
	var asked atomic.Int32
	client := w.newClient(zcrm.WithTokenSource(func(ctx context.Context, _ bool) (string, error) {
		if asked.Add(1) == 1 {
			asking <- true
			<-ctx.Done()
			return "", ctx.Err()
		}
		return w.AccessToken, nil
	}))
	within, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Add(1)
	go func() {
		defer all.Done()
		if _, err := client.ListAttachments(within, w.record, zcrm.ListOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("the one that asks: %v", err)
		}
	}()
	<-asking
	for range 3 {
		all.Add(1)
		go func() {
			defer all.Done()
			if _, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
				t.Errorf("one that waits: %v", err)
			}
		}()
	}
	time.Sleep(50 * time.Millisecond) // so that they wait; if they don't yet, they ask later, which is right too
	cancel()
	all.Wait()
}

// slow is a store that takes as long as it may.
type slow struct{ memory }

func (s *slow) Get(ctx context.Context) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestATokenStoreGetsTheContextOfItsCall(t *testing.T) {
	w := newWorld(t)
	client := w.sharing(zcrm.WithTokenStore(&slow{}))
	within, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := client.ListAttachments(within, w.record, zcrm.ListOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// unlocking is told of the context in which it gives its lock back.
type unlocking struct {
	memory
	ended atomic.Bool
}

func (u *unlocking) Put(ctx context.Context, document []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func (u *unlocking) Unlock(ctx context.Context) {
	u.ended.Store(ctx.Err() != nil)
	u.memory.Unlock(ctx)
}

func TestATokenStoresLockIsGivenBackInAContextThatDoesNotEnd(t *testing.T) {
	w := newWorld(t)
	store := &unlocking{}
	client := w.sharing(zcrm.WithTokenStore(store))
	within, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := client.ListAttachments(within, w.record, zcrm.ListOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if store.locked || store.ended.Load() {
		t.Errorf("it is locked: %v; the context had ended: %v", store.locked, store.ended.Load())
	}
}

type contextual struct {
	slog.Handler
	values []any
}

func (c *contextual) Handle(ctx context.Context, record slog.Record) error {
	c.values = append(c.values, ctx.Value(key{}))
	return nil
}

func TestTheLoggersHandlerGetsTheContextOfTheCall(t *testing.T) {
	w := newWorld(t)
	handler := &contextual{Handler: slog.NewTextHandler(&bytes.Buffer{}, nil)}
	client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithLogger(slog.New(handler)))
	handler.values = nil
	client.ListAttachments(context.WithValue(ctx, key{}, "mine"), w.record, zcrm.ListOptions{})
	if len(handler.values) == 0 || handler.values[0] != "mine" {
		t.Errorf("got %v", handler.values)
	}
}

func TestALogLineSaysAsAttributesWhichCallItBelongsTo(t *testing.T) {
	w := newWorld(t)
	id := w.attach("a", content(10))
	var written bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&written, &slog.HandlerOptions{Level: slog.LevelDebug}))
	client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithLogger(logger))
	step := fmt.Sprintf(`{"operation":"attachment.list","module":"Contacts","record_id":%q}`, w.record.ID)
	of := func(operation string, more anything) anything {
		all := anything{"operation": operation, "module": w.record.Module, "record_id": w.record.ID}
		maps.Copy(all, more)
		return all
	}
	for operation, call := range map[string]struct {
		made func()
		want anything
	}{
		"list": {func() { client.ListAttachments(ctx, w.record, zcrm.ListOptions{}, zcrm.WithTraceID("mine")) },
			of("attachment.list", anything{"trace_id": "mine"})},
		"walk":     {func() { client.Attachments(ctx, w.record)(func(zcrm.Attachment, error) bool { return true }) }, of("attachment.list", nil)},
		"upload":   {func() { client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a", nil)) }, of("attachment.upload", nil)},
		"download": {func() { client.DownloadAttachment(ctx, w.record, id, io.Discard) }, of("attachment.download", anything{"attachment_id": id})},
		"photo":    {func() { client.DeletePhoto(ctx, w.record) }, of("photo.delete", nil)},
		"step":     {func() { client.RunStep(ctx, []byte(step)) }, anything{"operation": "step.run"}},
		"records":  {func() { client.ListRecords(ctx, "Contacts", zcrm.ListOptions{}) }, anything{"operation": "record.list", "module": "Contacts"}},
		"batch": {func() {
			client.RunBatch(ctx, []zcrm.BatchStep{{Key: "a", Step: []byte(step)}}, zcrm.BatchOptions{}, nil, zcrm.WithTraceID("all"))
		}, anything{"operation": "batch", "trace_id": "all"}},
	} {
		written.Reset()
		call.made()
		lines := 0
		for decoder := json.NewDecoder(&written); decoder.More(); lines++ {
			var got anything
			if err := decoder.Decode(&got); err != nil {
				t.Fatal(err)
			}
			delete(got, "time")
			delete(got, "level")
			delete(got, "msg")
			if fmt.Sprint(got) != fmt.Sprint(call.want) {
				t.Errorf("%s: got %v", operation, got)
			}
		}
		if lines == 0 {
			t.Errorf("%s: no line", operation)
		}
	}
}
