package zcrm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

type mishap struct{ text string }

func TestAPanicInACallbackComesBackAsThatPanicAndTheClientStaysGood(t *testing.T) {
	w := newWorld(t)
	id := w.attach("a", content(1<<20))
	want := &mishap{"any value"}
	fail := func() { panic(want) }
	panicking := readerFunc(func([]byte) (int, error) { fail(); return 0, nil })
	withToken := w.newClient(zcrm.WithTokenSource(func(context.Context, bool) (string, error) { fail(); return "", nil }))
	withLogger := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithLogger(slog.New(panickingHandler{fail})))
	calls := map[string]func(){
		"Reader":                 func() { w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", panicking, 10)) },
		"Reader of unknown size": func() { w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", panicking, -1)) },
		"Reader of a photo":      func() { w.client.UploadPhoto(ctx, w.record, zcrm.FromReader("a", panicking, 10)) },
		"Writer": func() {
			w.client.DownloadAttachment(ctx, w.record, id, writerFunc(func([]byte) (int, error) { fail(); return 0, nil }))
		},
		"Seek": func() {
			w.fault("attachment.upload", anything{"kind": "status", "status": 429})
			w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", &panickingSeeker{bytes.NewReader([]byte("once")), fail}, 4))
		},
		"progress": func() {
			w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a", content(100)), zcrm.WithProgress(func(int64, int64) { fail() }))
		},
		"token source": func() { withToken.ListAttachments(ctx, w.record, zcrm.ListOptions{}) },
		"logger":       func() { withLogger.ListAttachments(ctx, w.record, zcrm.ListOptions{}) },
	}
	for what, call := range calls {
		noTrace(t, func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("%s: got %v", what, got)
				}
			}()
			call()
			t.Errorf("%s: no panic", what)
		})
		if _, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
			t.Errorf("after %s: %v", what, err)
		}
	}
}

type panickingHandler struct{ fail func() }

func (panickingHandler) Enabled(context.Context, slog.Level) bool    { return true }
func (h panickingHandler) Handle(context.Context, slog.Record) error { h.fail(); return nil }
func (h panickingHandler) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h panickingHandler) WithGroup(string) slog.Handler             { return h }

type panickingSeeker struct {
	*bytes.Reader
	fail func()
}

func (s *panickingSeeker) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		s.fail()
	}
	return s.Reader.Seek(offset, whence)
}

func TestOnlyTheCallThatAskedTheTokenSourcePanics(t *testing.T) {
	w := newWorld(t)
	client := w.newClient(zcrm.WithTokenSource(func(context.Context, bool) (string, error) {
		time.Sleep(20 * time.Millisecond) // so that others wait
		panic("vault")
	}))
	var all sync.WaitGroup
	var mu sync.Mutex
	panics, failures := 0, 0
	for range 16 {
		all.Add(1)
		go func() {
			defer all.Done()
			defer mu.Unlock()
			defer func() {
				if got := recover(); got != nil {
					mu.Lock()
					panics++
				}
			}()
			_, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
			mu.Lock()
			if errors.Is(err, zcrm.ErrCallback) {
				failures++
			}
		}()
	}
	all.Wait()
	if panics == 0 || panics+failures != 16 {
		t.Errorf("%d panics and %d failures", panics, failures)
	}
}

// The library's frames would be lost, and whatever they hold with them: better a crash that says what to do. Here it is another process's.
func TestGoexitInACallbackIsAPanicThatNamesIt(t *testing.T) {
	if os.Getenv("ZCRM_TEST_GOEXIT") != "" {
		w := newWorld(t)
		w.client.DownloadAttachment(ctx, w.record, w.attach("a", content(10)), writerFunc(func([]byte) (int, error) {
			runtime.Goexit()
			return 0, nil
		}))
		return
	}
	command := exec.Command(os.Args[0], "-test.run=^TestGoexitInACallbackIsAPanicThatNamesIt$")
	command.Env = append(os.Environ(), "ZCRM_TEST_GOEXIT=1")
	said, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "ended its goroutine by runtime.Goexit") {
		t.Errorf("%v: %s", err, said)
	}
}

func TestAnOperationWithinACallbackIsRefused(t *testing.T) {
	w := newWorld(t)
	var inner error
	_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", readerFunc(func([]byte) (int, error) {
		inner = w.client.DeletePhoto(ctx, w.record)
		return 0, io.EOF
	}), 0))
	if err != nil || !errors.Is(inner, zcrm.ErrState) {
		t.Errorf("outer %v, inner %v", err, inner)
	}
}

func TestAThousandGoroutinesGetEachItsOwnAnswer(t *testing.T) {
	w := newWorld(t)
	w.settings(anything{"concurrency": 10_000})
	file := w.attach("a", content(1000))
	absent := zcrm.Record{Module: "Contacts", ID: "404"}
	errs := make([]error, 1000)
	for i := range errs {
		errs[i] = fmt.Errorf("error of goroutine %d", i)
	}
	kinds := []func(i int) error{
		func(i int) error {
			stored, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes(fmt.Sprint(i), content(i)))
			if err == nil && (stored.Bytes != int64(i) || stored.FileName != fmt.Sprint(i)) {
				err = fmt.Errorf("stored %+v", stored)
			}
			return err
		},
		func(i int) error {
			return expect(w.client.DeleteAttachment(ctx, w.record, fmt.Sprint(1_000_000+i)), zcrm.ErrNotFound)
		},
		func(i int) error {
			_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", &failing{at: 10 * i, with: errs[i]}, 1<<20))
			return expect(err, errs[i])
		},
		func(i int) error {
			_, err := w.client.DownloadAttachment(ctx, w.record, file, &limitedWith{i, errs[i]})
			return expect(err, errs[i])
		},
		func(int) error {
			_, err := w.client.UploadAttachment(ctx, absent, zcrm.FromBytes("a", nil))
			return expect(err, zcrm.ErrInvalidRecord)
		},
		func(i int) error {
			ctx, cancel := context.WithCancelCause(ctx)
			_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", readerFunc(func(p []byte) (int, error) {
				cancel(errs[i])
				return len(p), nil
			}), 1<<30))
			return expect(err, zcrm.ErrTooLarge) // before the first byte is read
		},
		func(i int) error {
			ctx, cancel := context.WithCancelCause(ctx)
			_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", readerFunc(func(p []byte) (int, error) {
				cancel(errs[i])
				return len(p), nil
			}), 50<<20))
			return expect(err, errs[i])
		},
		func(i int) (err error) {
			defer func() {
				if got := recover(); got != errs[i] {
					err = fmt.Errorf("panic with %v", got)
				}
			}()
			_, err = w.client.DownloadAttachment(ctx, w.record, file, writerFunc(func([]byte) (int, error) { panic(errs[i]) }))
			return fmt.Errorf("no panic: %w", err)
		},
	}
	noTrace(t, func() {
		var all sync.WaitGroup
		for i := range 1000 {
			all.Add(1)
			go func() {
				defer all.Done()
				if err := kinds[i%len(kinds)](i); err != nil {
					t.Errorf("goroutine %d: %v", i, err)
				}
			}()
		}
		all.Wait()
	})
}

func expect(got, want error) error {
	if errors.Is(got, want) {
		return nil
	}
	return fmt.Errorf("wanted %v, got %v", want, got)
}

type limitedWith struct {
	n   int
	err error
}

func (l *limitedWith) Write(p []byte) (int, error) { return min(len(p), l.n), l.err }

func TestTheGarbageCollectorMayRunAtAnyTime(t *testing.T) {
	w := newWorld(t)
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	var all sync.WaitGroup
	for i := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := range 5 {
				// Everything that crosses the seam is young, and nothing else holds it.
				want := content(100_000 + i*1000 + j)
				record := zcrm.Record{Module: string([]byte("Contacts")), ID: string([]byte(w.record.ID))}
				sources := []zcrm.Source{
					zcrm.FromBytes(fmt.Sprint(i, j), bytes.Clone(want)),
					zcrm.FromReader(fmt.Sprint(i, j), bytes.NewReader(bytes.Clone(want)), int64(len(want))),
				}
				stored, err := w.client.UploadAttachment(ctx, record, sources[j%2], zcrm.WithProgress(func(int64, int64) { grow(100) }))
				if err != nil {
					t.Error(err)
					return
				}
				var got bytes.Buffer
				if _, err := w.client.DownloadAttachment(ctx, record, stored.ID, &got); err != nil || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%d bytes came back, %v", got.Len(), err)
				}
			}
		}()
	}
	all.Wait()
}

// grow makes the goroutine's stack move, in a callback, while the C call runs.
func grow(n int) byte {
	var block [1024]byte
	if n > 0 {
		block[n%1024] = grow(n - 1)
	}
	return block[n%7]
}
