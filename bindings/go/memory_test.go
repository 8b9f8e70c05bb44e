package zcrm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// late is a Reader that watches its context in the usual way, by which p is written to after Read has returned.
type late struct {
	ctx context.Context
	all *sync.WaitGroup
}

func (r late) Read(p []byte) (int, error) {
	done := make(chan int, 1)
	r.all.Add(1)
	go func() {
		defer r.all.Done()
		time.Sleep(6 * time.Millisecond)
		for i := range p {
			p[i] = 0x41
		}
		done <- len(p)
	}()
	select {
	case n := <-done:
		return n, nil
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}

func TestAReaderThatWritesAfterItReturnedHarmsNoOtherUpload(t *testing.T) {
	w := newWorld(t)
	stop := make(chan struct{})
	var proper, lates sync.WaitGroup
	for i := range 4 {
		proper.Add(1)
		go func() {
			defer proper.Done()
			want := content(300_000 + i)
			for {
				select {
				case <-stop:
					return
				default:
				}
				stored, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("proper", bytes.NewReader(want), int64(len(want))))
				if err != nil {
					t.Errorf("a proper upload: %v", err)
					return
				}
				if !bytes.Equal(w.stored(stored.ID), want) {
					t.Error("other bytes were stored")
				}
			}
		}()
	}
	for range 150 {
		ended, cancel := context.WithTimeout(ctx, 3*time.Millisecond)
		_, err := w.client.UploadAttachment(ended, w.record, zcrm.FromReader("late", late{ended, &lates}, 1<<20))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		cancel()
	}
	close(stop)
	proper.Wait()
	lates.Wait()
}

// keeper keeps what it is given, which a Writer must not.
type keeper struct{ kept [][]byte }

func (k *keeper) Write(p []byte) (int, error) {
	k.kept = append(k.kept, p)
	return len(p), nil
}

func TestAWriterThatKeepsWhatItWasGivenHoldsMemoryOfGo(t *testing.T) {
	w := newWorld(t)
	id := w.attach("a", content(3<<20))
	var k keeper
	if _, err := w.client.DownloadAttachment(ctx, w.record, id, &k); err != nil {
		t.Fatal(err)
	}
	for range 20 { // which would use again what the library has freed
		if _, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("b", bytes.Repeat([]byte{0x42}, 1<<20))); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range k.kept {
		if bytes.Contains(p, bytes.Repeat([]byte{0x42}, 64)) {
			t.Fatal("it holds bytes of another call")
		}
		for i := range p {
			p[i] = 0x43
		}
	}
	if _, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
		t.Error(err)
	}
}

func TestCallsDoNotShareTheMemoryThatReadersSee(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	seen := map[*byte]int{}
	for i := range 10 {
		reader := readerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			if by, ok := seen[&p[0]]; ok && by != i {
				t.Errorf("uploads %d and %d were given the same memory", by, i)
			}
			seen[&p[0]] = i
			return len(p), nil
		})
		if _, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader(fmt.Sprint(i), reader, 200_000)); !errors.Is(err, zcrm.ErrSourceChanged) {
			t.Errorf("got %v", err)
		}
	}
}
