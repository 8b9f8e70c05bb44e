package zcrm_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// copyAttachment copies as a Go programmer does it first.
func copyAttachment(ctx context.Context, client *zcrm.Client, from, to zcrm.Record, id string, size int64) error {
	pr, pw := io.Pipe()
	go func() {
		_, err := client.DownloadAttachment(ctx, from, id, pw)
		pw.CloseWithError(err)
	}()
	_, err := client.UploadAttachment(ctx, to, zcrm.FromReader("copy", pr, size))
	pr.CloseWithError(err)
	return err
}

func TestAttachmentsAreCopiedThroughPipesByMoreGoroutinesThanThereArePlaces(t *testing.T) {
	const size, files, workers = 200_000, 64, 8
	for what, options := range map[string][]zcrm.Option{
		"by default":                nil,
		"one place at Zoho":         {zcrm.WithOption("max_in_flight", "1")},
		"two calls in the library":  {zcrm.WithMaxCalls(2)},
		"one of each":               {zcrm.WithMaxCalls(1), zcrm.WithOption("max_in_flight", "1")},
		"a Reader of unknown bytes": {zcrm.WithOption("max_in_flight", "1")},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			client := w.newClient(append(options, zcrm.WithAccessToken(w.AccessToken))...)
			to := w.addRecord("Contacts")
			announced := int64(size)
			if what == "a Reader of unknown bytes" {
				announced = -1
			}
			ids := make(chan string, files)
			for range files {
				ids <- w.attach("a", content(size))
			}
			close(ids)
			var all sync.WaitGroup
			for range workers {
				all.Add(1)
				go func() {
					defer all.Done()
					for id := range ids {
						if err := copyAttachment(ctx, client, w.record, to, id, announced); err != nil {
							t.Error(err)
						}
					}
				}()
			}
			all.Wait()
			copied := 0
			for a, err := range client.Attachments(ctx, to) {
				if err != nil || a.Bytes != size {
					t.Errorf("got %+v, %v", a, err)
				}
				copied++
			}
			if copied != files {
				t.Errorf("%d of %d were copied", copied, files)
			}
		})
	}
}

func TestAPipeThatNobodyFeedsHoldsUpNoOtherCall(t *testing.T) {
	w := newWorld(t)
	client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithMaxCalls(1), zcrm.WithOption("max_in_flight", "1"))
	pr, pw := io.Pipe()
	within, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(within, func() { pr.CloseWithError(within.Err()) })() // the Reader then says io.ErrClosedPipe
	ended := make(chan error)
	go func() {
		_, err := client.UploadAttachment(within, w.record, zcrm.FromReader("never", pr, 1000))
		ended <- err
	}()
	for range 3 {
		if _, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}, zcrm.WithTimeout(time.Minute)); err != nil {
			t.Error(err)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	pw.Close()
}
