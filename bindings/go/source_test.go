package zcrm_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

func TestASourceOfASeekerIsSentTwiceFromWhereItStoodAtFirst(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("skipped|sent"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for what, r := range map[string]io.ReadSeeker{"text": strings.NewReader("skipped|sent"), "file": file} {
		for _, size := range []int64{4, -1} {
			r.Seek(8, io.SeekStart)
			source := zcrm.FromReader(what, r, size)
			for _, s := range []zcrm.Source{source, source, source.Named("a copy")} {
				stored, err := w.client.UploadAttachment(ctx, w.record, s)
				if err != nil || string(w.stored(stored.ID)) != "sent" {
					t.Errorf("%s of size %d: got %+v, %v", what, size, stored, err)
				}
			}
		}
	}
}

func TestACallersOwnRetrySendsTheSameBytes(t *testing.T) {
	w := newWorld(t)
	source := zcrm.FromReader("retry", strings.NewReader("abc"), -1)
	w.fault("attachment.upload", anything{"kind": "status", "status": 400, "code": "INVALID_DATA"})
	if _, err := w.client.UploadAttachment(ctx, w.record, source); !errors.Is(err, zcrm.ErrRejected) {
		t.Fatalf("got %v", err)
	}
	stored, err := w.client.UploadAttachment(ctx, w.record, source)
	if err != nil || string(w.stored(stored.ID)) != "abc" {
		t.Errorf("got %+v, %v", stored, err)
	}
}

func TestASourceWhoseReaderCannotGoBackIsUsedOnce(t *testing.T) {
	w := newWorld(t)
	pr, pw, err := os.Pipe() // a Seeker by its type
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	pw.WriteString("abc")
	pw.Close()
	for what, r := range map[string]io.Reader{"any Reader": io.MultiReader(strings.NewReader("abc")), "a pipe": pr} {
		for i, size := range []int64{-1, 3} {
			if i == 1 {
				r = io.MultiReader(strings.NewReader("abc"))
			}
			source := zcrm.FromReader(what, r, size)
			if _, err := w.client.UploadAttachment(ctx, w.record, source); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			var e *zcrm.Error
			_, err := w.client.UploadPhoto(ctx, w.record, source.Named("a copy"))
			if !errors.Is(err, zcrm.ErrSourceConsumed) || !errors.As(err, &e) || e.RequestSent != zcrm.SentNothing {
				t.Errorf("%s of size %d, a second time: %v", what, size, err)
			}
		}
	}
	if sent := w.requests("photo.upload"); len(sent) != 0 || w.attached() != 4 {
		t.Errorf("%d photos were sent, and %d files attached", len(sent), w.attached())
	}
}

func TestASourceOfWhichNothingWasReadIsNotUsedUp(t *testing.T) {
	w := newWorld(t)
	source := zcrm.FromReader("a", io.MultiReader(strings.NewReader("abc")), 3)
	over, cancel := context.WithCancel(ctx)
	cancel()
	for _, call := range []func() error{
		func() error { _, err := w.client.UploadAttachment(over, w.record, source); return err },
		func() error { _, err := w.client.UploadAttachment(ctx, zcrm.Record{}, source); return err },
	} {
		if err := call(); err == nil {
			t.Error("it went well")
		}
	}
	stored, err := w.client.UploadAttachment(ctx, w.record, source)
	if err != nil || string(w.stored(stored.ID)) != "abc" {
		t.Errorf("got %+v, %v", stored, err)
	}
}

func TestOfTwoUploadsAtOnceFromOneReaderOneFails(t *testing.T) {
	w := newWorld(t)
	source := zcrm.FromReader("a", io.MultiReader(strings.NewReader(strings.Repeat("x", 300_000))), 300_000)
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Add(1)
		go func() {
			defer all.Done()
			_, errs[i] = w.client.UploadAttachment(ctx, w.record, source)
		}()
	}
	all.Wait()
	well := 0
	for _, err := range errs {
		switch {
		case err == nil:
			well++
		case !errors.Is(err, zcrm.ErrSourceConsumed):
			t.Errorf("got %v", err)
		}
	}
	if well != 1 || w.attached() != 1 {
		t.Errorf("%d went well, %d are attached", well, w.attached())
	}
}

func TestASeekerThatDoesNotGoBackIsAnError(t *testing.T) {
	w := newWorld(t)
	source := zcrm.FromReader("a", &unwilling{strings.NewReader("abc")}, 3)
	if _, err := w.client.UploadAttachment(ctx, w.record, source); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.UploadAttachment(ctx, w.record, source); !errors.Is(err, errOwn) || !errors.Is(err, zcrm.ErrCallback) {
		t.Errorf("got %v", err)
	}
}
