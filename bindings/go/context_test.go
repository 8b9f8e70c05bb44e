package zcrm_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
	"go.uber.org/goleak"
)

// noTrace runs a test's body and then looks for goroutines and handles that it left.
func noTrace(t *testing.T, body func()) {
	t.Helper()
	before, handles := goleak.IgnoreCurrent(), cabi.Handles()
	body()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
	if now := cabi.Handles(); now != handles {
		t.Errorf("%d handles are left", now-handles)
	}
}

// stalled are calls that the network would never end, each with the fault that makes it so.
var stalled = map[string]struct {
	operation string
	fault     anything
	call      func(*world, context.Context) error
}{
	"list": {"attachment.list", anything{"kind": "stall", "at": "before_reply"}, func(w *world, ctx context.Context) error {
		_, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
		return err
	}},
	"iteration": {"attachment.list", anything{"kind": "stall", "at": "reply", "after_bytes": 100}, func(w *world, ctx context.Context) error {
		for _, err := range w.client.Attachments(ctx, w.record) {
			return err
		}
		return nil
	}},
	"upload": {"attachment.upload", anything{"kind": "stall", "at": "request", "after_bytes": 100_000}, func(w *world, ctx context.Context) error {
		_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", bytes.NewReader(content(30<<20)), 30<<20))
		return err
	}},
	"download": {"attachment.download", anything{"kind": "stall", "at": "reply", "after_bytes": 100_000}, func(w *world, ctx context.Context) error {
		_, err := w.client.DownloadAttachment(ctx, w.record, w.file, io.Discard)
		return err
	}},
	"photo delete": {"photo.delete", anything{"kind": "stall", "at": "before_reply"}, func(w *world, ctx context.Context) error {
		return w.client.DeletePhoto(ctx, w.record)
	}},
	"wait between attempts": {"attachment.list", anything{"kind": "status", "status": 429, "headers": anything{"Retry-After": "50"}},
		func(w *world, ctx context.Context) error {
			_, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
			return err
		}},
}

func TestACancelledContextEndsEveryCallAtOnceAndLeavesNoTrace(t *testing.T) {
	for what, c := range stalled {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.file = w.attach("a", content(1<<20))
			noTrace(t, func() {
				var took []time.Duration
				for range 7 {
					w.fault(c.operation, c.fault)
					ctx, cancel := context.WithCancel(context.Background())
					var at time.Time
					time.AfterFunc(100*time.Millisecond, func() { at = time.Now(); cancel() })
					err := c.call(w, ctx)
					took = append(took, time.Since(at))
					var e *zcrm.Error
					if !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.Code != zcrm.ErrCancelled {
						t.Fatalf("got %v", err)
					}
				}
				slices.Sort(took)
				t.Log(took)
				// Promised are 100 ms. The bound is for a machine that is busy with other things.
				if median := took[len(took)/2]; median > 2*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestADeadlineEndsACallAsTheContextsError(t *testing.T) {
	w := newWorld(t)
	noTrace(t, func() {
		w.fault("attachment.list", anything{"kind": "stall", "at": "before_reply"})
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheCauseOfACancellationIsKept(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errOwn)
	if err := w.client.DeletePhoto(ctx, w.record); !errors.Is(err, errOwn) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAContextThatHasEndedSendsNothing(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	noTrace(t, func() {
		if _, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a", nil)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	if sent := w.requests("attachment.upload"); len(sent) != 0 {
		t.Errorf("%d requests", len(sent))
	}
}

func TestAContextThatEndsAfterTheCallTouchesNoOtherCall(t *testing.T) {
	w := newWorld(t)
	for range 50 {
		ctx, cancel := context.WithCancel(context.Background())
		if _, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := w.client.ListAttachments(context.Background(), w.record, zcrm.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACancelledCallLeavesItsSiblingsAlone(t *testing.T) {
	w := newWorld(t)
	w.fault("photo.delete", anything{"kind": "stall", "at": "before_reply"})
	ctx, cancel := context.WithCancel(context.Background())
	cancelled := make(chan error)
	go func() { cancelled <- w.client.DeletePhoto(ctx, w.record) }()
	eventually(t, "it runs", func() bool { return len(w.requests("photo.delete")) == 1 })
	id := w.attach("a", content(1<<20))
	w.fault("attachment.download", anything{"kind": "slow", "bytes": 100_000, "ms": 10})
	sibling := make(chan error)
	go func() {
		_, err := w.client.DownloadAttachment(context.Background(), w.record, id, io.Discard)
		sibling <- err
	}()
	eventually(t, "the sibling runs", func() bool { return len(w.requests("attachment.download")) == 1 })
	cancel()
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := <-sibling; err != nil {
		t.Errorf("the sibling got %v", err)
	}
}

func TestAContextThatEndsWithinACallbackEndsItsCall(t *testing.T) {
	w := newWorld(t)
	id := w.attach("a", content(1<<20))
	w.fault("attachment.download", anything{"kind": "slow", "bytes": 10_000, "ms": 20})
	noTrace(t, func() {
		ctx, cancel := context.WithCancel(context.Background())
		written := 0
		_, err := w.client.DownloadAttachment(ctx, w.record, id, writerFunc(func(p []byte) (int, error) {
			cancel()
			written += len(p)
			return len(p), nil
		}))
		if !errors.Is(err, context.Canceled) || written == 1<<20 {
			t.Errorf("got %v after %d bytes", err, written)
		}
	})
}

func TestACancelledDownloadLeavesNoFile(t *testing.T) {
	w := newWorld(t)
	id := w.attach("a", content(1<<20))
	w.fault("attachment.download", anything{"kind": "stall", "at": "reply", "after_bytes": 100_000})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	dir := t.TempDir()
	if _, err := w.client.DownloadAttachmentFile(ctx, w.record, id, filepath.Join(dir, "a")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// The library's token of a call is that of a later call, too: a context that ends as its call does, or after it, must not end that one.
func TestAContextEndsNoCallButItsOwn(t *testing.T) {
	w := newWorld(t)
	list := func(ctx context.Context) error {
		_, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
		return err
	}
	later, stop := context.WithCancel(ctx)
	defer stop()
	noTrace(t, func() {
		for i := range 200 {
			ending, end := context.WithCancel(ctx)
			defer end()
			ended := make(chan struct{})
			if i%2 == 0 {
				go func() {
					end()
					close(ended)
				}()
			}
			if err := list(ending); err != nil && (i%2 != 0 || !errors.Is(err, context.Canceled)) {
				t.Errorf("the call of the context that ends: %v", err)
			}
			if i%2 != 0 {
				end()
				close(ended)
			}
			if err := list(later); err != nil {
				t.Errorf("a later call: %v", err)
			}
			<-ended
		}
	})
}
