package zcrm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// list makes n calls at once that each end in fn.
func (w *world) lists(client *zcrm.Client, n int, each func(error)) {
	var all sync.WaitGroup
	for range n {
		all.Add(1)
		go func() {
			defer all.Done()
			_, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
			each(err)
		}()
	}
	all.Wait()
}

func threads() int {
	n, _ := runtime.ThreadCreateProfile(nil)
	return n
}

func TestABurstOfGoroutinesTakesAThreadForEachPlaceAndNotForEachCall(t *testing.T) {
	w := newWorld(t)
	client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithMaxCalls(8))
	w.fault("attachment.list", repeated(500, anything{"kind": "delay", "ms": 5})...)
	before := threads()
	w.lists(client, 500, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
	if more := threads() - before; more > 8+runtime.GOMAXPROCS(0)+10 {
		t.Errorf("%d more threads for 500 calls in 8 places", more)
	}
}

func TestACallThatWaitsForAPlaceEndsWithItsContextOrItsTime(t *testing.T) {
	w := newWorld(t)
	for what, client := range map[string]*zcrm.Client{
		"its own":     w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithMaxCalls(1)),
		"the setting": w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithMaxCalls(1), zcrm.WithOption("call_timeout_ms", "100")),
	} {
		w.fault("photo.delete", anything{"kind": "stall", "at": "before_reply", "ms": 3000})
		held, release := context.WithCancel(ctx)
		ended := make(chan error)
		before := len(w.requests("photo.delete"))
		go func() { ended <- client.DeletePhoto(held, w.record, zcrm.WithTimeout(time.Minute)) }()
		eventually(t, "the place is taken", func() bool { return len(w.requests("photo.delete")) > before })

		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		var e *zcrm.Error
		_, err := client.ListAttachments(short, w.record, zcrm.ListOptions{})
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || e.RequestSent != zcrm.SentNothing {
			t.Errorf("with a context: %v", err)
		}
		var options []zcrm.CallOption
		if what == "its own" {
			options = append(options, zcrm.WithTimeout(20*time.Millisecond))
		}
		_, err = client.ListAttachments(ctx, w.record, zcrm.ListOptions{}, options...)
		if !errors.Is(err, zcrm.ErrTimeout) || !errors.As(err, &e) || e.RequestSent != zcrm.SentNothing || !e.Retryable {
			t.Errorf("with a time of %s: %v", what, err)
		}
		cancel()
		release()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the first: %v", err)
		}
	}
	if sent := w.requests("attachment.list"); len(sent) != 0 {
		t.Errorf("%d lists were sent", len(sent))
	}
}

func TestTheTimeOfACallIncludesItsWaitForAPlace(t *testing.T) {
	w := newWorld(t)
	client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithMaxCalls(1))
	w.fault("photo.delete", anything{"kind": "delay", "ms": 1000})
	w.fault("attachment.list", anything{"kind": "stall", "at": "before_reply", "ms": 20_000})
	first := make(chan error)
	go func() { first <- client.DeletePhoto(ctx, w.record) }()
	eventually(t, "the place is taken", func() bool { return len(w.requests("photo.delete")) == 1 })
	began := time.Now()
	_, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}, zcrm.WithTimeout(2*time.Second))
	if took := time.Since(began); !errors.Is(err, zcrm.ErrTimeout) || took > 10*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// The callback waits for a call that can only begin in its own place.
func TestEveryCallbackLendsThePlaceOfItsCall(t *testing.T) {
	w := newWorld(t)
	id := w.attach("a", content(100_000))
	steps := []zcrm.BatchStep{{Key: "a", Step: []byte("{}")}}
	var client *zcrm.Client
	other := func() {
		done := make(chan error)
		go func() {
			_, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
			done <- err
		}()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	var once sync.Once
	client = w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithMaxCalls(1), zcrm.WithOption("max_in_flight", "10"))
	for what, call := range map[string]func() error{
		"Reader": func() error {
			_, err := client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", readerFunc(func(p []byte) (int, error) { other(); return 0, io.EOF }), 0))
			return err
		},
		"Writer": func() error {
			_, err := client.DownloadAttachment(ctx, w.record, id, writerFunc(func(p []byte) (int, error) { once.Do(other); return len(p), nil }))
			return err
		},
		"progress": func() error {
			_, err := client.DownloadAttachment(ctx, w.record, id, io.Discard, zcrm.WithProgress(func(int64, int64) { other() }))
			return err
		},
		"end of a batch's step": func() error {
			_, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{}, func(zcrm.BatchEnd) error { other(); return nil })
			return err
		},
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestPlacesAreGivenBackWhateverTheCallCameTo(t *testing.T) {
	w := newWorld(t)
	client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithMaxCalls(3))
	over, cancel := context.WithCancel(ctx)
	cancel()
	slow := func(then func() (int, error)) io.Reader {
		return readerFunc(func([]byte) (int, error) { time.Sleep(15 * time.Millisecond); return then() })
	}
	for range 5 {
		client.ListAttachments(over, w.record, zcrm.ListOptions{})
		client.ListAttachments(ctx, zcrm.Record{}, zcrm.ListOptions{})
		client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", slow(func() (int, error) { return 0, errOwn }), 10))
		func() {
			defer func() { recover() }()
			client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", slow(func() (int, error) { panic("own") }), 10))
		}()
	}
	w.lists(client, 12, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
}

func TestAWrongNumberOfPlacesIsRefused(t *testing.T) {
	if _, err := zcrm.New(zcrm.WithAccessToken("t"), zcrm.WithMaxCalls(-1)); !errors.Is(err, zcrm.ErrConfig) {
		t.Errorf("got %v", err)
	}
}

func TestGoroutinesThatWaitHoldNoThread(t *testing.T) {
	w := newWorld(t)
	const n = 2000
	within, cancel := context.WithCancel(ctx)
	w.fault("attachment.download", repeated(64, anything{"kind": "stall", "at": "before_reply"})...)
	id := w.attach("a", content(10))
	before := threads()
	var ended atomic.Int32
	var all sync.WaitGroup
	for range n {
		all.Add(1)
		go func() {
			defer all.Done()
			_, err := w.client.DownloadAttachment(within, w.record, id, &bytes.Buffer{})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			ended.Add(1)
		}()
	}
	eventually(t, "the first are under way", func() bool { return len(w.requests("attachment.download")) > 0 })
	time.Sleep(100 * time.Millisecond) // more would show now
	if more := threads() - before; more > 64+20 {
		t.Errorf("%d more threads for %d goroutines", more, n)
	}
	cancel()
	all.Wait()
	if fmt.Sprint(ended.Load()) != fmt.Sprint(n) {
		t.Errorf("%d ended", ended.Load())
	}
}
