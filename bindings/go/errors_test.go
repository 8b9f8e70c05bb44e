package zcrm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

var codes = map[string]zcrm.Code{
	"ARGUMENT": zcrm.ErrArgument, "STATE": zcrm.ErrState, "CONFIG": zcrm.ErrConfig, "VERSION": zcrm.ErrVersion,
	"NOT_FOUND": zcrm.ErrNotFound, "AUTH": zcrm.ErrAuth, "FORBIDDEN": zcrm.ErrForbidden, "RATE_LIMITED": zcrm.ErrRateLimited,
	"REJECTED": zcrm.ErrRejected, "TOO_LARGE": zcrm.ErrTooLarge, "SERVER": zcrm.ErrServer, "NETWORK": zcrm.ErrNetwork,
	"TLS": zcrm.ErrTLS, "TIMEOUT": zcrm.ErrTimeout, "CANCELLED": zcrm.ErrCancelled, "CALLBACK": zcrm.ErrCallback, "IO": zcrm.ErrIO,
	"PROTOCOL": zcrm.ErrProtocol, "UNSUPPORTED": zcrm.ErrUnsupported, "MEMORY": zcrm.ErrMemory, "PANIC": zcrm.ErrPanic,
	"OUTCOME_UNKNOWN": zcrm.ErrOutcomeUnknown, "DUPLICATE_LINK": zcrm.ErrDuplicateLink, "IS_LINK": zcrm.ErrIsLink,
	"INVALID_MODULE": zcrm.ErrInvalidModule, "INVALID_RECORD": zcrm.ErrInvalidRecord, "RECORD_LOCKED": zcrm.ErrRecordLocked,
	"NOT_APPROVED": zcrm.ErrNotApproved, "FILE_TYPE": zcrm.ErrFileType, "STORAGE_FULL": zcrm.ErrStorageFull, "VIRUS": zcrm.ErrVirus,
	"SCOPE": zcrm.ErrScope, "INVALID_LINK": zcrm.ErrInvalidLink, "PAGE": zcrm.ErrPage, "SOURCE_CONSUMED": zcrm.ErrSourceConsumed,
	"SOURCE_CHANGED": zcrm.ErrSourceChanged, "CHECKSUM": zcrm.ErrChecksum,
}

func TestTheCodesAreThoseOfTheHeader(t *testing.T) {
	include := os.Getenv("ZCRM_INCLUDE_DIR")
	if include == "" {
		include = filepath.Join("..", "..", "include")
	}
	header, err := os.ReadFile(filepath.Join(include, "zcrm.h"))
	if err != nil {
		t.Fatal(err)
	}
	defined := regexp.MustCompile(`(?m)^#define ZCRM_E_(\w+) (\d+)$`).FindAllStringSubmatch(string(header), -1)
	for _, d := range defined {
		if number, _ := strconv.Atoi(d[2]); codes[d[1]] != zcrm.Code(number) {
			t.Errorf("ZCRM_E_%s is %s, and %d here", d[1], d[2], codes[d[1]])
		}
	}
	if len(defined) != len(codes) {
		t.Errorf("%d in the header, %d here", len(defined), len(codes))
	}
	for name, code := range codes {
		if cabi.StatusName(int32(code)) != "ZCRM_E_"+name {
			t.Errorf("the library calls %d %s", code, cabi.StatusName(int32(code)))
		}
	}
}

func TestACodeIsAnErrorWithAName(t *testing.T) {
	for code, want := range map[zcrm.Code]string{zcrm.ErrNotFound: "zcrm: not found", 0: "zcrm: ok", 4711: "zcrm: unknown"} {
		if got := code.Error(); got != want {
			t.Errorf("%d is %q", int(code), got)
		}
	}
}

func TestAnErrorHasWhatZohoSaid(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.UploadAttachment(ctx, zcrm.Record{Module: "Contacts", ID: "123"}, zcrm.FromBytes("a", nil))
	var e *zcrm.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	if e.Code != zcrm.ErrInvalidRecord || e.Operation != "attachment.upload" || e.Reason == "" || e.HTTPStatus < 400 || e.APICode != "INVALID_DATA" ||
		e.Attempts != 1 || e.RequestSent != zcrm.SentAnswered || e.Retryable || len(e.Details) == 0 || e.Unwrap() != nil {
		t.Errorf("got %+v with details %s", e, e.Details)
	}
	if !errors.Is(err, zcrm.ErrInvalidRecord) || errors.Is(err, zcrm.ErrNotFound) || !strings.HasPrefix(err.Error(), "zcrm: attachment.upload: ") {
		t.Errorf("got %v", err)
	}
}

func TestEveryKindOfAnswerHasItsCode(t *testing.T) {
	w := newWorld(t, zcrm.WithAccessToken("x"))
	w.client = w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithOption("max_retries", "0"))
	for want, fault := range map[zcrm.Code]anything{
		zcrm.ErrForbidden:   {"kind": "status", "status": 403},
		zcrm.ErrRateLimited: {"kind": "status", "status": 429, "headers": anything{"Retry-After": "1"}},
		zcrm.ErrServer:      {"kind": "status", "status": 500},
		zcrm.ErrNetwork:     {"kind": "reset_before_store"},
		zcrm.ErrProtocol:    {"kind": "html", "status": 200},
	} {
		w.fault("attachment.list", fault)
		_, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
		var e *zcrm.Error
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("wanted %v: got %v", want, err)
		}
		if want == zcrm.ErrRateLimited && (e.RetryAfter != time.Second || !e.Retryable) {
			t.Errorf("got %+v", e)
		}
	}
}

func TestNothingAtTheAddressIsANetworkError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	listener.Close()
	client, err := zcrm.New(zcrm.WithAccessToken("x"), zcrm.WithDomains(url, url), zcrm.WithOption("max_retries", "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	err = client.DeletePhoto(ctx, zcrm.Record{Module: "Leads", ID: "1"})
	var e *zcrm.Error
	if !errors.As(err, &e) || e.Code != zcrm.ErrNetwork || e.RequestSent != zcrm.SentNothing || !e.Retryable {
		t.Errorf("got %+v", e)
	}
}

func TestALostReplyIsAnUnknownOutcomeOrNone(t *testing.T) {
	w := newWorld(t)
	w.fault("attachment.upload", anything{"kind": "reset_after_store"})
	stored, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a", content(10)))
	page, listed := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
	if listed != nil {
		t.Fatal(listed)
	}
	switch {
	case len(page.Attachments) != 1:
		t.Errorf("stored %d times", len(page.Attachments))
	case err == nil && stored.ID != page.Attachments[0].ID:
		t.Errorf("settled on %s, and %s is stored", stored.ID, page.Attachments[0].ID)
	case err != nil && !errors.Is(err, zcrm.ErrOutcomeUnknown):
		t.Errorf("got %v", err)
	}
}

func TestWrongParametersAreRefusedBeforeAnythingIsSent(t *testing.T) {
	w := newWorld(t)
	good := zcrm.FromBytes("a", nil)
	calls := map[string]func() error{
		"no module":    func() error { _, err := w.client.UploadAttachment(ctx, zcrm.Record{ID: "1"}, good); return err },
		"no id":        func() error { _, err := w.client.UploadAttachment(ctx, zcrm.Record{Module: "Leads"}, good); return err },
		"id no digits": func() error { return w.client.DeletePhoto(ctx, zcrm.Record{Module: "Leads", ID: "../1"}) },
		"empty source": func() error { _, err := w.client.UploadAttachment(ctx, w.record, zcrm.Source{}); return err },
		"nil reader":   func() error { _, err := w.client.UploadPhoto(ctx, w.record, zcrm.FromReader("a", nil, 1)); return err },
		"nil writer":   func() error { _, err := w.client.DownloadPhoto(ctx, w.record, nil); return err },
		"not UTF-8": func() error {
			_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("\xff", nil))
			return err
		},
		"NUL in a name": func() error {
			_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a\x00b", nil))
			return err
		},
		"bad hash": func() error {
			_, err := w.client.UploadAttachment(ctx, w.record, good, zcrm.WithExpectedSHA256("abc"))
			return err
		},
		"an empty hash": func() error {
			_, err := w.client.DownloadAttachment(ctx, w.record, "1", io.Discard, zcrm.WithExpectedSHA256(""))
			return err
		},
		"no sequence": func() error {
			summary, err := w.client.RunBatchFrom(ctx, nil, zcrm.BatchOptions{}, nil)
			if summary == nil {
				t.Error("there is no summary")
			}
			return err
		},
		"a line end behind": func() error { return w.client.DeleteAttachment(ctx, w.record, "123\n") },
		"no ids":            func() error { return w.client.DeleteAttachments(ctx, w.record, nil) },
		"a space before":    func() error { return w.client.DeleteAttachment(ctx, w.record, " 123") },
		"size < -1": func() error {
			_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", strings.NewReader(""), -2))
			return err
		},
		"empty path": func() error { _, err := w.client.DownloadPhotoFile(ctx, w.record, ""); return err },
	}
	for what, call := range calls {
		var e *zcrm.Error
		if err := call(); !errors.Is(err, zcrm.ErrArgument) || !errors.As(err, &e) || e.RequestSent != zcrm.SentNothing {
			t.Errorf("%s gives %v", what, err)
		}
	}
	for _, operation := range []string{"attachment.upload", "attachment.delete", "photo.upload", "photo.download", "photo.delete"} {
		if sent := w.requests(operation); len(sent) != 0 {
			t.Errorf("%d %s were sent", len(sent), operation)
		}
	}
}

func TestAMissingFileIsTheSystemsError(t *testing.T) {
	w := newWorld(t)
	_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromFile(filepath.Join(t.TempDir(), "absent")))
	if !errors.Is(err, zcrm.ErrIO) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if text := err.Error(); strings.Count(text, "No such file")+strings.Count(text, "no such file") != 1 {
		t.Errorf("it reads %q", text)
	}
}

func TestATimeoutIsNoContextError(t *testing.T) {
	w := newWorld(t)
	w.fault("attachment.list", anything{"kind": "stall", "at": "before_reply"})
	_, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{}, zcrm.WithTimeout(50*time.Millisecond))
	if !errors.Is(err, zcrm.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || !isTimeout(err) {
		t.Errorf("got %v", err)
	}
}

// isTimeout asks in the three ways in which programs do.
func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	var network net.Error
	return errors.As(err, &timeout) && timeout.Timeout() && errors.As(err, &network) && network.Timeout() && os.IsTimeout(err)
}

func TestAContextsDeadlineAndAReadersAreTimeouts(t *testing.T) {
	w := newWorld(t)
	w.fault("attachment.list", anything{"kind": "stall", "at": "before_reply"})
	within, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := w.client.ListAttachments(within, w.record, zcrm.ListOptions{}); !isTimeout(err) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in a call: %v", err)
	}
	if _, err := w.client.ListAttachments(within, w.record, zcrm.ListOptions{}); !isTimeout(err) {
		t.Errorf("before a call: %v", err)
	}
	read := func([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }
	if _, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", readerFunc(read), 10)); !isTimeout(err) {
		t.Errorf("of a Reader: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := w.client.ListAttachments(cancelled, w.record, zcrm.ListOptions{}); err == nil || isTimeout(err) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestATimeThatHasPassedIsATimeoutAndTheLongestIsNone(t *testing.T) {
	w := newWorld(t)
	for _, passed := range []time.Duration{0, -1, -1500 * time.Microsecond, -2 * time.Second, math.MinInt64} {
		_, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{}, zcrm.WithTimeout(passed))
		if !errors.Is(err, zcrm.ErrTimeout) || !errors.Is(err, os.ErrDeadlineExceeded) || !isTimeout(err) {
			t.Errorf("%v gives %v", passed, err)
		}
	}
	if sent := w.requests("attachment.list"); len(sent) != 0 {
		t.Errorf("%d requests", len(sent))
	}
	for _, long := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1} {
		if _, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{}, zcrm.WithTimeout(long)); err != nil {
			t.Errorf("%v gives %v", long, err)
		}
	}
	w.fault("attachment.list", anything{"kind": "stall", "at": "before_reply"})
	if _, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{}, zcrm.WithTimeout(1)); !errors.Is(err, zcrm.ErrTimeout) {
		t.Errorf("a nanosecond gives %v", err)
	}
}

func TestWhatEndsTooEarlyIsAnUnexpectedEOF(t *testing.T) {
	w := newWorld(t)
	id := w.attach("a", content(100_000))
	w.fault("attachment.download", anything{"kind": "truncate", "bytes": 50_000})
	_, err := w.client.DownloadAttachment(ctx, w.record, id, io.Discard)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, zcrm.ErrNetwork) {
		t.Errorf("a download gives %v", err)
	}
	for _, has := range []int{0, 9, 11} {
		_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", strings.NewReader(strings.Repeat("x", has)), 10))
		if !errors.Is(err, zcrm.ErrSourceChanged) || errors.Is(err, io.ErrUnexpectedEOF) != (has < 10) {
			t.Errorf("a Reader of %d bytes in place of 10 gives %v", has, err)
		}
	}
}

func TestAnOptionThatMeansNothingToItsOperationIsRefused(t *testing.T) {
	w := newWorld(t)
	refused := map[string]func() error{
		"WithExpectedBytes": func() error {
			_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a", []byte("abc")), zcrm.WithExpectedBytes(5))
			return err
		},
		"WithMaxBytes": func() error {
			_, err := w.client.UploadPhoto(ctx, w.record, zcrm.FromBytes("a", []byte("abc")), zcrm.WithMaxBytes(1))
			return err
		},
		"WithSkipExisting": func() error {
			_, err := w.client.DownloadAttachment(ctx, w.record, "1", io.Discard, zcrm.WithSkipExisting())
			return err
		},
		"WithSHA256": func() error { return w.client.DeletePhoto(ctx, w.record, zcrm.WithSHA256()) },
		"WithProgress": func() error {
			_, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{}, zcrm.WithProgress(func(int64, int64) {}))
			return err
		},
		"WithOverwrite": func() error {
			_, err := w.client.RunBatch(ctx, nil, zcrm.BatchOptions{}, nil, zcrm.WithOverwrite())
			return err
		},
	}
	for option, call := range refused {
		var e *zcrm.Error
		if err := call(); !errors.As(err, &e) || e.Code != zcrm.ErrArgument || e.Field != option {
			t.Errorf("%s gives %v", option, err)
		}
	}
}

var errOwn = errors.New("the disk is on fire")

func TestTheReadersOwnErrorComesBack(t *testing.T) {
	w := newWorld(t)
	for what, r := range map[string]io.Reader{
		"at once":      &failing{at: 0, with: errOwn},
		"later":        &failing{at: 200_000, with: errOwn},
		"unexpected":   &failing{at: 10, with: io.ErrUnexpectedEOF},
		"never a byte": idle{},
	} {
		for _, size := range []int64{1 << 20, -1} {
			_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", r, size))
			want := errOwn
			switch f := r.(type) {
			case *failing:
				want, f.read = f.with, 0
			case idle:
				want = io.ErrNoProgress
			}
			if !errors.Is(err, want) || !errors.Is(err, zcrm.ErrCallback) || !strings.Contains(err.Error(), want.Error()) {
				t.Errorf("%s: got %v", what, err)
			}
		}
	}
	for _, r := range w.requests("attachment.upload") {
		if r.BodyComplete || r.Status == 200 {
			t.Errorf("an upload whose Reader failed became complete: %+v", r)
		}
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// failing gives bytes up to a place, and fails there.
type failing struct {
	at, read int
	with     error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.read == f.at {
		return 0, f.with
	}
	n := min(len(p), f.at-f.read)
	f.read += n
	return n, nil
}

func TestAReaderWithAnotherSizeThanSaidIsRefused(t *testing.T) {
	w := newWorld(t)
	for said, has := range map[int64]int{10: 9, 9: 10, 0: 1, 1 << 20: 1<<20 - 1, 1 << 10: 1 << 20} {
		_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", strings.NewReader(strings.Repeat("x", has)), said))
		if !errors.Is(err, zcrm.ErrSourceChanged) {
			t.Errorf("%d bytes instead of %d give %v", has, said, err)
		}
	}
	page, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
	if err != nil || len(page.Attachments) != 0 {
		t.Errorf("stored were %+v, %v", page, err)
	}
}

func TestAReaderThatMiscountsIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, count := range []int{-1, 1 << 30} {
		_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", miscounting(count), 10))
		if !errors.Is(err, zcrm.ErrCallback) || !strings.Contains(err.Error(), "count") {
			t.Errorf("%d gives %v", count, err)
		}
	}
}

type miscounting int

func (m miscounting) Read([]byte) (int, error) { return int(m), nil }

func TestBytesThatAreGoneAreNotSentAgain(t *testing.T) {
	w := newWorld(t)
	w.fault("attachment.upload", anything{"kind": "status", "status": 429})
	_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", io.MultiReader(strings.NewReader("once")), 4))
	if !errors.Is(err, zcrm.ErrSourceConsumed) && !errors.Is(err, zcrm.ErrRateLimited) {
		t.Errorf("got %v", err)
	}
}

func TestTheErrorOfASeekComesBack(t *testing.T) {
	w := newWorld(t)
	w.fault("attachment.upload", anything{"kind": "status", "status": 429})
	_, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", &unwilling{strings.NewReader("once")}, 4))
	if !errors.Is(err, errOwn) {
		t.Errorf("got %v", err)
	}
}

// unwilling says where it is, and doesn't go elsewhere.
type unwilling struct{ *strings.Reader }

func (u *unwilling) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		return 0, errOwn
	}
	return u.Reader.Seek(offset, whence)
}

func TestTheWritersOwnErrorComesBack(t *testing.T) {
	w := newWorld(t)
	id := w.attach("a", content(500_000))
	for what, c := range map[string]struct {
		w    io.Writer
		want error
	}{
		"at once": {&limited{n: 0}, errOwn},
		"later":   {&limited{n: 100_000}, errOwn},
		"short":   {&limited{n: 100_000, silent: true}, io.ErrShortWrite},
		"too far": {writerFunc(func(p []byte) (int, error) { return len(p) + 1, nil }), errCount},
		"back":    {writerFunc(func([]byte) (int, error) { return -1, nil }), errCount},
	} {
		_, err := w.client.DownloadAttachment(ctx, w.record, id, c.w)
		is := errors.Is(err, c.want)
		if c.want == errCount {
			is = strings.Contains(err.Error(), "count")
		}
		if !is || !errors.Is(err, zcrm.ErrCallback) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

var errCount = errors.New("a count that can't be")

// limited takes n bytes and then fails, or says nothing of it.
type limited struct {
	n      int
	silent bool
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.n)
	l.n -= n
	if n < len(p) && !l.silent {
		return n, fmt.Errorf("writing: %w", errOwn)
	}
	return n, nil
}
