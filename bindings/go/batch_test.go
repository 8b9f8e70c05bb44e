package zcrm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// uploads are n steps that attach a file each, with the keys "0", "1", …, and a client that may.
func uploads(w *world, n int) (*zcrm.Client, []zcrm.BatchStep) {
	w.t.Helper()
	dir := w.t.TempDir()
	steps := make([]zcrm.BatchStep, n)
	for i := range steps {
		path := filepath.Join(dir, fmt.Sprint(i, ".txt"))
		if err := os.WriteFile(path, content(100+i), 0o600); err != nil {
			w.t.Fatal(err)
		}
		steps[i] = zcrm.BatchStep{Key: fmt.Sprint(i), Step: w.upload(path)}
	}
	return w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithOption("allow_paths", dir), zcrm.WithOption("settle_waits_ms", "20,50")), steps
}

func (w *world) upload(path string) []byte {
	step, err := json.Marshal(anything{
		"operation": "attachment.upload", "module": w.record.Module, "record_id": w.record.ID, "source": anything{"path": path},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return step
}

func (w *world) attached() int {
	w.t.Helper()
	n := 0
	for _, err := range w.client.Attachments(ctx, w.record) {
		if err != nil {
			w.t.Fatal(err)
		}
		n++
	}
	return n
}

func TestABatchTellsOfEachStepAndSumsThemUp(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 10)
	steps = append(steps, zcrm.BatchStep{Key: "bad", Step: []byte(`{"operation":"nonsense"}`)}, zcrm.BatchStep{Key: "none"})
	told := map[string]zcrm.BatchEnd{}
	noTrace(t, func() {
		summary, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{Parallel: 3}, func(end zcrm.BatchEnd) error {
			if _, twice := told[end.Key]; twice {
				t.Errorf("%s is told twice", end.Key)
			}
			told[end.Key] = end
			return nil
		})
		want := zcrm.BatchSummary{Done: 10, Failed: 2, Attempts: 10}
		if err != nil || *summary != want {
			t.Errorf("got %+v, %v", summary, err)
		}
	})
	var output struct {
		Operation string
		Result    struct{ ID string }
	}
	if err := json.Unmarshal(told["7"].Output, &output); err != nil || output.Operation != "attachment.upload" || told["7"].Err != nil {
		t.Errorf("7 ended as %+v, %v", told["7"], err)
	}
	if string(w.stored(output.Result.ID)) != string(content(107)) {
		t.Error("other bytes were stored")
	}
	var e *zcrm.Error
	if bad := told["bad"]; !errors.As(bad.Err, &e) || e.Code != zcrm.ErrArgument || e.Reason != "step_input" || bad.Output != nil {
		t.Errorf("bad ended as %+v", bad)
	}
	if len(told) != 12 || w.attached() != 10 {
		t.Errorf("%d are told, %d attached", len(told), w.attached())
	}
}

// sequence yields the steps, and notes how many were asked for.
func sequence(steps []zcrm.BatchStep, asked *int) iter.Seq2[zcrm.BatchStep, error] {
	return func(yield func(zcrm.BatchStep, error) bool) {
		for _, step := range steps {
			*asked++
			if !yield(step, nil) {
				return
			}
		}
	}
}

func TestABatchAsksASequenceForItsSteps(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 12)
	steps = append(steps, zcrm.BatchStep{Key: "3", Step: steps[3].Step}, zcrm.BatchStep{Key: "none"})
	asked, ended, most := 0, 0, 0
	summary, err := client.RunBatchFrom(ctx, sequence(steps, &asked), zcrm.BatchOptions{Parallel: 2}, func(zcrm.BatchEnd) error {
		ended++
		most = max(most, asked-ended)
		return nil
	})
	want := zcrm.BatchSummary{Done: 12, Failed: 2, Attempts: 12}
	if err != nil || *summary != want || asked != 14 || ended != 14 || most > 2 || w.attached() != 12 {
		t.Errorf("got %+v, %v; %d asked, %d ended, %d ahead", summary, err, asked, ended, most)
	}
}

func TestASequenceMayUseTheClientAndIsEndedWithTheBatch(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 200) // of which some more may be begun: a context ends in a goroutine of its own
	within, cancel := context.WithCancel(ctx)
	left := false
	summary, err := client.RunBatchFrom(within, func(yield func(zcrm.BatchStep, error) bool) {
		defer func() { left = true }()
		for i, step := range steps {
			if _, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
				t.Errorf("a list within the sequence: %v", err)
			}
			if i == 4 {
				cancel()
			}
			if !yield(step, nil) {
				return
			}
		}
	}, zcrm.BatchOptions{Parallel: 2}, nil)
	if !errors.Is(err, context.Canceled) || !left || summary.Stopped != "cancelled" || summary.Left == 0 {
		t.Errorf("got %+v, %v, left: %v", summary, err, left)
	}
}

func TestASequenceThatFailsOrPanicsStopsTheBatch(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 5)
	broken := errors.New("queue")
	failing := func(fail func(yield func(zcrm.BatchStep, error) bool)) iter.Seq2[zcrm.BatchStep, error] {
		return func(yield func(zcrm.BatchStep, error) bool) {
			for _, step := range steps {
				if !yield(step, nil) {
					return
				}
			}
			fail(yield)
		}
	}
	told := 0
	count := func(zcrm.BatchEnd) error { told++; return nil }
	summary, err := client.RunBatchFrom(ctx, failing(func(yield func(zcrm.BatchStep, error) bool) { yield(zcrm.BatchStep{}, broken) }), zcrm.BatchOptions{}, count)
	want := zcrm.BatchSummary{Done: 5, Left: 1, Stopped: "source", Attempts: 5}
	if !errors.Is(err, broken) || !errors.Is(err, zcrm.ErrCallback) || *summary != want || told != 5 {
		t.Errorf("got %+v, %v; %d told", summary, err, told)
	}
	noTrace(t, func() {
		defer func() {
			if got := recover(); got != "queue" {
				t.Errorf("got %v", got)
			}
		}()
		client.RunBatchFrom(ctx, failing(func(func(zcrm.BatchStep, error) bool) { panic("queue") }), zcrm.BatchOptions{}, nil)
		t.Error("no panic")
	})
}

func TestTheSettingForTheTimeOfACallBoundsEachStepOfABatchAndNotTheWhole(t *testing.T) {
	w := newWorld(t)
	_, steps := uploads(w, 4)
	list, _ := json.Marshal(anything{"operation": "attachment.list", "module": w.record.Module, "record_id": w.record.ID})
	for i := range steps {
		steps[i].Step = list
	}
	client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithOption("call_timeout_ms", "300"))
	w.fault("attachment.list", anything{"kind": "stall", "at": "before_reply"}, anything{"kind": "stall", "at": "before_reply"})
	summary, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{Parallel: 1}, nil)
	if want := (zcrm.BatchSummary{Done: 2, Failed: 2, Attempts: 4}); err != nil || *summary != want {
		t.Errorf("got %+v, %v", summary, err)
	}
}

func TestABatchOfNobodyWhoListens(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 3)
	if summary, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{}, nil); err != nil || summary.Done != 3 {
		t.Errorf("got %+v, %v", summary, err)
	}
	if summary, err := client.RunBatch(ctx, nil, zcrm.BatchOptions{}, nil); err != nil || *summary != (zcrm.BatchSummary{}) {
		t.Errorf("of no steps: %+v, %v", summary, err)
	}
}

func TestAnErrorOfTheFunctionCancelsTheBatchAndTheJournalGoesOnFromThere(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 20)
	options := zcrm.BatchOptions{Journal: filepath.Join(t.TempDir(), "journal"), Parallel: 1}
	enough := errors.New("enough")
	ends := 0
	first, err := client.RunBatch(ctx, steps, options, func(zcrm.BatchEnd) error {
		if ends++; ends == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || !errors.Is(err, zcrm.ErrCallback) || ends != 3 {
		t.Errorf("%v after %d ends", err, ends)
	}
	if first == nil || *first != (zcrm.BatchSummary{Done: 3, Left: 17, Stopped: "cancelled", Attempts: 3}) {
		t.Fatalf("got %+v", first)
	}
	remembered := int64(0)
	second, err := client.RunBatch(ctx, steps, options, func(end zcrm.BatchEnd) error {
		if end.FromJournal {
			remembered++
		}
		return nil
	})
	if err != nil || second.Done != 20 || second.FromJournal != 3 || remembered != 3 || w.attached() != 20 {
		t.Errorf("got %+v, %v, %d remembered, %d attached", second, err, remembered, w.attached())
	}
}

func TestABatchEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 5)
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		w.fault("attachment.upload", anything{"kind": "stall", "at": "before_reply"})
		before := len(w.requests("attachment.upload"))
		within, cancel := context.WithCancel(ctx)
		if end == context.DeadlineExceeded {
			within, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
		}
		go func() {
			eventually(t, "it runs", func() bool { return len(w.requests("attachment.upload")) > before })
			if end == context.Canceled {
				cancel()
			}
		}()
		var late atomic.Bool
		noTrace(t, func() {
			summary, err := client.RunBatch(within, steps, zcrm.BatchOptions{Parallel: 1}, func(zcrm.BatchEnd) error {
				if late.Load() {
					t.Error("an end is told after the return")
				}
				return nil
			})
			late.Store(true)
			if !errors.Is(err, end) || !errors.Is(err, zcrm.ErrCancelled) || summary == nil || summary.Left != 5 {
				t.Errorf("got %+v, %v", summary, err)
			}
			eventually(t, "the canceller ends", func() bool { return within.Err() != nil })
		})
		cancel()
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if summary, err := client.RunBatch(over, steps, zcrm.BatchOptions{}, nil); !errors.Is(err, context.Canceled) || *summary != (zcrm.BatchSummary{Left: 5}) {
		t.Errorf("with a context that ended before: %+v, %v", summary, err)
	}
}

func TestAPanicOfTheFunctionGoesOnWhenTheBatchHasEnded(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 20)
	want := &mishap{"batch"}
	ends := 0
	noTrace(t, func() {
		defer func() {
			if got := recover(); got != want {
				t.Errorf("got %v", got)
			}
		}()
		client.RunBatch(ctx, steps, zcrm.BatchOptions{}, func(zcrm.BatchEnd) error { ends++; panic(want) })
		t.Error("no panic")
	})
	if n := w.attached(); ends != 1 || n == 0 || n == 20 {
		t.Errorf("%d ends are told, %d attached", ends, n)
	}
}

func TestAnOperationWithinTheFunctionOfABatchIsRefused(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 1)
	var inner error
	_, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{}, func(zcrm.BatchEnd) error {
		inner = client.DeletePhoto(ctx, w.record)
		return nil
	})
	if err != nil || !errors.Is(inner, zcrm.ErrState) {
		t.Errorf("outer %v, inner %v", err, inner)
	}
}

func TestACreditBudgetStopsABatch(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 5)
	summary, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{Credits: 2}, nil)
	want := zcrm.BatchSummary{Done: 2, Left: 3, Stopped: "credits_budget", Attempts: 2}
	if err != nil || *summary != want {
		t.Errorf("got %+v, %v", summary, err)
	}
}

func TestABatchThatRunsOutOfTimeSaysWhatIsUnknownAndWhatIsLeft(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 2)
	w.fault("attachment.upload", anything{"kind": "stall", "at": "before_reply"})
	summary, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{Parallel: 1}, nil, zcrm.WithTimeout(100*time.Millisecond))
	want := zcrm.BatchSummary{Failed: 1, Unknown: 1, Left: 1, Stopped: "call_timeout", Attempts: 1}
	if err != nil || *summary != want {
		t.Errorf("got %+v, %v", summary, err)
	}
}

func TestABatchThatCannotBeRunSaysWhy(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 1)
	letter := filepath.Join(t.TempDir(), "letter")
	if err := os.WriteFile(letter, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		steps   []zcrm.BatchStep
		options zcrm.BatchOptions
		code    zcrm.Code
	}{
		"a journal that can't be made": {steps, zcrm.BatchOptions{Journal: "/nonexistent/journal"}, zcrm.ErrIO},
		"a journal that is none":       {steps, zcrm.BatchOptions{Journal: letter}, zcrm.ErrProtocol},
		"a negative parallel":          {steps, zcrm.BatchOptions{Parallel: -1}, zcrm.ErrArgument},
		"negative credits":             {steps, zcrm.BatchOptions{Credits: -1}, zcrm.ErrArgument},
		"a key with a NUL":             {[]zcrm.BatchStep{{Key: "a\x00b", Step: []byte("{}")}}, zcrm.BatchOptions{}, zcrm.ErrArgument},
		"a step that isn't UTF-8":      {[]zcrm.BatchStep{{Key: "a", Step: []byte("\xff")}}, zcrm.BatchOptions{}, zcrm.ErrArgument},
	}
	for what, c := range cases {
		var e *zcrm.Error
		summary, err := client.RunBatch(ctx, c.steps, c.options, nil)
		if !errors.As(err, &e) || e.Code != c.code || e.Operation != "batch" || *summary != (zcrm.BatchSummary{Left: 1}) {
			t.Errorf("%s: got %+v, %v", what, summary, err)
		}
	}
	if text, _ := os.ReadFile(letter); string(text) != "precious" || w.attached() != 0 {
		t.Errorf("the letter reads %q, %d are attached", text, w.attached())
	}
	client.Close()
	if summary, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{}, nil); !errors.Is(err, zcrm.ErrClosed) || *summary != (zcrm.BatchSummary{Left: 1}) {
		t.Errorf("after Close: %+v, %v", summary, err)
	}
}

func TestTheStepsOfABatchAskTheTokenSourceAndLogFromOtherThreads(t *testing.T) {
	w := newWorld(t)
	_, steps := uploads(w, 8)
	var lines atomic.Int64
	broken := errors.New("vault")
	good := w.newClient(zcrm.WithTokenSource(func(context.Context, bool) (string, error) { return w.AccessToken, nil }),
		zcrm.WithLogger(slog.New(panickingHandler{func() { lines.Add(1) }})))
	bad := w.newClient(zcrm.WithTokenSource(func(context.Context, bool) (string, error) { return "", broken }))
	list, _ := json.Marshal(anything{"operation": "attachment.list", "module": w.record.Module, "record_id": w.record.ID})
	for i := range steps {
		steps[i].Step = list
	}
	if summary, err := good.RunBatch(ctx, steps, zcrm.BatchOptions{}, nil); err != nil || summary.Done != 8 || lines.Load() == 0 {
		t.Errorf("got %+v, %v, %d lines", summary, err, lines.Load())
	}
	summary, err := bad.RunBatch(ctx, steps, zcrm.BatchOptions{}, func(end zcrm.BatchEnd) error {
		if !errors.Is(end.Err, broken) || !errors.Is(end.Err, zcrm.ErrCallback) {
			t.Errorf("%s ended with %v", end.Key, end.Err)
		}
		return nil
	})
	if err != nil || summary.Failed != 8 {
		t.Errorf("got %+v, %v", summary, err)
	}
}

func TestAnUploadThatIsThereAlreadyIsSkippedOnRequest(t *testing.T) {
	w := newWorld(t)
	old := w.attach("a.txt", content(100))
	other := content(100)
	other[50]++
	for what, c := range map[string]struct {
		bytes   []byte
		option  zcrm.CallOption
		skipped bool
	}{
		"the same":                       {content(100), zcrm.WithSkipSameBytes(), true},
		"of the same name and size":      {other, zcrm.WithSkipExisting(), true},
		"of other bytes":                 {other, zcrm.WithSkipSameBytes(), false},
		"the same, but nobody looks":     {content(100), zcrm.CallOption{}, false},
		"of another size, and so is new": {content(99), zcrm.WithSkipExisting(), false},
	} {
		stored, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a.txt", c.bytes), c.option)
		if err != nil || stored.Skipped != c.skipped || (stored.ID == old) != c.skipped {
			t.Errorf("%s: got %+v, %v", what, stored, err)
		}
		if err == nil && !c.skipped {
			if err := w.client.DeleteAttachment(ctx, w.record, stored.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestACallThatMayHaveBeenMadeBeforeIsNotDoneTwice(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "a.txt")
	var first string
	for round := range 2 {
		stored, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a.txt", content(100)), zcrm.WithAgain())
		if err != nil || stored.Skipped != (round == 1) || round == 1 && stored.ID != first {
			t.Fatalf("upload %d: %+v, %v", round, stored, err)
		}
		first = stored.ID
		if got, err := w.client.DownloadAttachmentFile(ctx, w.record, first, path, zcrm.WithAgain()); err != nil || got.Bytes != 100 {
			t.Errorf("download %d: %+v, %v", round, got, err)
		}
	}
	for round := range 2 {
		if err := w.client.DeleteAttachment(ctx, w.record, first, zcrm.WithAgain()); err != nil {
			t.Errorf("deletion %d: %v", round, err)
		}
	}
	client, steps := uploads(w, 3)
	for range 2 {
		if summary, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{}, nil, zcrm.WithAgain()); err != nil || summary.Done != 3 {
			t.Errorf("got %+v, %v", summary, err)
		}
	}
	if n := w.attached(); n != 3 {
		t.Errorf("%d are attached", n)
	}
}

func TestABatchThatComesASecondTimeSkipsOnRequest(t *testing.T) {
	w := newWorld(t)
	client, steps := uploads(w, 3)
	for range 2 {
		if summary, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{}, nil, zcrm.WithSkipSameBytes()); err != nil || summary.Done != 3 {
			t.Errorf("got %+v, %v", summary, err)
		}
	}
	if n := len(w.requests("attachment.upload")); n != 3 {
		t.Errorf("%d uploads were sent", n)
	}
}

func TestAnUploadSaysWhatItWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.fault("attachment.upload", anything{"kind": "status", "status": 429})
	for _, waited := range []bool{true, false} {
		stored, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a.txt", content(100)))
		if err != nil || (stored.WaitReason != "") != waited {
			t.Errorf("got %+v, %v", stored, err)
		}
	}
}

func TestAnUploadWhoseReplyWasLostIsSettled(t *testing.T) {
	w := newWorld(t)
	client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithOption("settle_waits_ms", "5,20"))
	w.fault("attachment.upload", anything{"kind": "reset_after_store"})
	stored, err := client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a.txt", content(100)))
	if err != nil || !stored.Settled || stored.Skipped || stored.NameChanged || len(stored.Twins) != 0 {
		t.Errorf("got %+v, %v", stored, err)
	}
}

func TestACopyThatARepeatedSendingMadeIsNamed(t *testing.T) {
	w := newWorld(t)
	client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithOption("settle_waits_ms", "1"))
	// The second sending takes its time, so that the first copy shows before the look for it.
	w.fault("attachment.upload", anything{"kind": "hide_attachment", "ms": 1000, "lost": true}, anything{"kind": "delay", "ms": 1500})
	stored, err := client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a.txt", content(100)))
	if err != nil || len(stored.Twins) != 1 || stored.Twins[0] == stored.ID || w.attached() != 2 {
		t.Errorf("got %+v, %v", stored, err)
	}
}

// memory is a store as a database would be one.
type memory struct {
	mu       sync.Mutex
	document []byte
	locked   bool
	gets     int
	puts     int
	err      error
	fail     func()
}

func (m *memory) Get(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gets++; m.fail != nil {
		m.fail()
	}
	return m.document, m.err
}

func (m *memory) Put(_ context.Context, document []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.puts++
	m.document = document // it is the store's own
	return nil
}

func (m *memory) TryLock(context.Context) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := !m.locked
	m.locked = true
	return taken, nil
}

func (m *memory) Unlock(context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.locked = false
}

func (w *world) sharing(how zcrm.Option) *zcrm.Client {
	w.t.Helper()
	c := w.Credentials
	return w.newClient(zcrm.WithRefreshToken(c.ClientID, c.ClientSecret, c.RefreshToken), how)
}

func TestClientsShareOneTokenThroughAStore(t *testing.T) {
	w := newWorld(t)
	store := &memory{}
	file := filepath.Join(t.TempDir(), "token")
	for i, how := range []zcrm.Option{zcrm.WithTokenStore(store), zcrm.WithTokenFile(file)} {
		var all sync.WaitGroup
		for range 8 {
			client := w.sharing(how)
			all.Add(1)
			go func() {
				defer all.Done()
				if _, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
					t.Error(err)
				}
			}()
		}
		all.Wait()
		if n := len(w.requests("token")); n != i+1 {
			t.Errorf("%d tokens were asked for after %d stores", n, i+1)
		}
	}
	if store.locked || strings.Contains(string(store.document), w.Credentials.RefreshToken) {
		t.Errorf("the store is locked: %v, and holds %q", store.locked, store.document)
	}
}

func TestADocumentLargerThanTheLibrarysFirstBufferIsRead(t *testing.T) {
	w := newWorld(t)
	store := &memory{}
	list := func() error {
		_, err := w.sharing(zcrm.WithTokenStore(store)).ListAttachments(ctx, w.record, zcrm.ListOptions{})
		return err
	}
	err := list()
	store.document = append(store.document, bytes.Repeat([]byte(" "), 10_000)...)
	if err := errors.Join(err, list()); err != nil || store.puts != 1 {
		t.Errorf("%d puts, %v", store.puts, err)
	}
}

func TestAnErrorOrPanicOfATokenStoreReachesTheCaller(t *testing.T) {
	w := newWorld(t)
	broken := errors.New("database")
	failing := w.sharing(zcrm.WithTokenStore(&memory{err: broken}))
	if _, err := failing.ListAttachments(ctx, w.record, zcrm.ListOptions{}); !errors.Is(err, broken) || !errors.Is(err, zcrm.ErrCallback) {
		t.Errorf("got %v", err)
	}
	_, steps := uploads(w, 4)
	summary, err := failing.RunBatch(ctx, steps, zcrm.BatchOptions{}, nil)
	if err != nil || summary.Failed != 4 {
		t.Errorf("a batch got %+v, %v", summary, err)
	}
	panicking := w.sharing(zcrm.WithTokenStore(&memory{fail: func() { panic(broken) }}))
	defer func() {
		if got := recover(); got != broken {
			t.Errorf("got %v", got)
		}
	}()
	panicking.ListAttachments(ctx, w.record, zcrm.ListOptions{})
	t.Error("no panic")
}

func TestAStoreIsLetGoWithItsClient(t *testing.T) {
	w := newWorld(t)
	noTrace(t, func() {
		client := w.sharing(zcrm.WithTokenStore(&memory{}))
		if _, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
			t.Error(err)
		}
		client.Close()
	})
}
