package zcrm_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

var ctx = context.Background()

func portrait(t testing.TB) []byte {
	t.Helper()
	bytes, err := os.ReadFile(filepath.Join("..", "..", "tests", "emulator", "fixtures", "portrait.png"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

func TestUploadStoresTheBytesOfEverySource(t *testing.T) {
	w := newWorld(t)
	big := content(300_000)
	path := filepath.Join(t.TempDir(), "from disk.bin")
	if err := os.WriteFile(path, big, 0o600); err != nil {
		t.Fatal(err)
	}
	sources := map[string]struct {
		source zcrm.Source
		name   string
	}{
		"file":                   {zcrm.FromFile(path), "from disk.bin"},
		"file with another name": {zcrm.FromFile(path).Named("другое имя.bin"), "другое имя.bin"},
		"bytes":                  {zcrm.FromBytes("b.bin", big), "b.bin"},
		"seekable reader":        {zcrm.FromReader("r.bin", bytes.NewReader(big), int64(len(big))), "r.bin"},
		"plain reader":           {zcrm.FromReader("p.bin", io.MultiReader(bytes.NewReader(big)), int64(len(big))), "p.bin"},
		"reader of unknown size": {zcrm.FromReader("u.bin", io.MultiReader(bytes.NewReader(big)), -1), "u.bin"},
		"byte by byte":           {zcrm.FromReader("o.bin", iotest.OneByteReader(bytes.NewReader(big)), int64(len(big))), "o.bin"},
		"data together with EOF": {zcrm.FromReader("e.bin", iotest.DataErrReader(bytes.NewReader(big)), int64(len(big))), "e.bin"},
		"an empty read between":  {zcrm.FromReader("z.bin", &hesitant{r: bytes.NewReader(big)}, int64(len(big))), "z.bin"},
	}
	for what, c := range sources {
		t.Run(what, func(t *testing.T) {
			stored, err := w.client.UploadAttachment(ctx, w.record, c.source)
			if err != nil {
				t.Fatal(err)
			}
			if stored.FileName != c.name || stored.Bytes != int64(len(big)) || stored.Created.IsZero() || stored.IsLink {
				t.Errorf("got %+v", stored)
			}
			if !bytes.Equal(w.stored(stored.ID), big) {
				t.Error("other bytes were stored")
			}
		})
	}
}

// hesitant gives nothing at every other read, which an io.Reader may do.
type hesitant struct {
	r     io.Reader
	pause bool
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.pause = !h.pause; h.pause {
		return 0, nil
	}
	return h.r.Read(p)
}

func TestUploadOfNoBytesStoresAnEmptyFile(t *testing.T) {
	w := newWorld(t)
	for _, source := range []zcrm.Source{zcrm.FromBytes("nil", nil), zcrm.FromBytes("empty", []byte{}), zcrm.FromReader("r", strings.NewReader(""), 0)} {
		stored, err := w.client.UploadAttachment(ctx, w.record, source)
		if err != nil || stored.Bytes != 0 {
			t.Errorf("got %+v, %v", stored, err)
		}
	}
}

func TestUploadSendsTheContentType(t *testing.T) {
	w := newWorld(t)
	if _, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a.csv", []byte("1")).ContentType("text/csv")); err != nil {
		t.Fatal(err)
	}
	headers := w.requests("attachment.upload")[0].Parts[0].Headers
	if !slices.ContainsFunc(headers, func(h string) bool { return strings.EqualFold(h, "Content-Type: text/csv") }) {
		t.Errorf("the part has %q", headers)
	}
}

func TestUploadAttachesALink(t *testing.T) {
	w := newWorld(t)
	stored, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromLink("Calendar", "https://www.example.org/calendar"))
	if err != nil {
		t.Fatal(err)
	}
	if !stored.IsLink || stored.LinkURL != "https://www.example.org/calendar" || stored.Bytes != -1 {
		t.Errorf("got %+v", stored)
	}
	_, err = w.client.DownloadAttachment(ctx, w.record, stored.ID, io.Discard)
	if !errors.Is(err, zcrm.ErrIsLink) {
		t.Errorf("downloading it gives %v", err)
	}
}

func TestAReaderIsReadFromWhereItStands(t *testing.T) {
	w := newWorld(t)
	r := strings.NewReader("skipped|sent")
	r.Seek(8, io.SeekStart)
	w.fault("attachment.upload", anything{"kind": "status", "status": 429})
	stored, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", r, 4))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(w.stored(stored.ID)); got != "sent" {
		t.Errorf("after a second attempt %q is stored", got)
	}
}

func TestAListHasWhatWasUploaded(t *testing.T) {
	w := newWorld(t)
	id := w.attach("..%2Fa%0Ab.txt", []byte("12345"))
	page, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Attachments) != 1 || page.More {
		t.Fatalf("got %+v", page)
	}
	a := page.Attachments[0]
	if a.ID != id || a.Bytes != 5 || a.IsLink || a.Created.IsZero() || a.Modified.IsZero() || a.ParentID != w.record.ID {
		t.Errorf("got %+v", a)
	}
	if a.FileName != "../a\nb.txt" || strings.ContainsAny(a.SafeName, "/\n") || !strings.HasSuffix(a.SafeName, "b.txt") {
		t.Errorf("its name is %q, and safe %q", a.FileName, a.SafeName)
	}
	if a.OwnerName == "" || a.OwnerID == "" || a.CreatedByID == "" || a.FileID == "" || a.Kind == "" {
		t.Errorf("got %+v", a)
	}
}

func TestARecordWithoutAttachmentsHasAnEmptyList(t *testing.T) {
	w := newWorld(t)
	for a, err := range w.client.Attachments(ctx, w.record) {
		t.Errorf("got %v, %v", a, err)
	}
}

func TestTheIteratorGoesOverEveryPageAndAsksForNoPageItDoesNotNeed(t *testing.T) {
	w := newWorld(t)
	const n = 450
	for i := range n {
		w.attach(fmt.Sprint(i), nil)
	}
	ids := map[string]bool{}
	for a, err := range w.client.Attachments(ctx, w.record) {
		if err != nil {
			t.Fatal(err)
		}
		ids[a.ID] = true
	}
	if len(ids) != n || len(w.requests("attachment.list")) != 3 {
		t.Errorf("%d attachments by %d requests", len(ids), len(w.requests("attachment.list")))
	}
	for range w.client.Attachments(ctx, w.record) {
		break
	}
	if asked := len(w.requests("attachment.list")); asked != 4 {
		t.Errorf("a loop that ends at once asked for %d pages", asked-3)
	}
}

func TestALoopThatDeletesLeavesNoneBehind(t *testing.T) {
	w := newWorld(t)
	for _, tokens := range []bool{true, false} {
		const n = 450
		for i := range n {
			w.attach(fmt.Sprint(i), nil)
		}
		client := w.client
		if !tokens {
			client = w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithOption("api_version", "v2"))
		}
		deleted := 0
		for a, err := range client.Attachments(ctx, w.record) {
			if err != nil {
				t.Fatal(err)
			}
			if err := client.DeleteAttachment(ctx, w.record, a.ID); err != nil {
				t.Fatal(err)
			}
			deleted++
		}
		if deleted != n || w.attached() != 0 {
			t.Errorf("with page tokens: %v: of %d %d are deleted, and %d left", tokens, n, deleted, w.attached())
		}
	}
}

func TestTheOptionsOfAnIterationHoldForEachPage(t *testing.T) {
	w := newWorld(t)
	for i := range 250 {
		w.attach(fmt.Sprint(i), nil)
	}
	w.fault("attachment.list", anything{"kind": "none"}, anything{"kind": "stall", "at": "before_reply"})
	rows, last := 0, error(nil)
	for _, err := range w.client.Attachments(ctx, w.record, zcrm.WithTimeout(time.Second)) {
		if last = err; err == nil {
			rows++
		}
	}
	if rows != 200 || !errors.Is(last, zcrm.ErrTimeout) {
		t.Errorf("%d rows, and then %v", rows, last)
	}
}

func TestTheIteratorGoesOnByTokenBeyondWhatNumbersReach(t *testing.T) {
	w := newWorld(t)
	w.settings(anything{"discrete_rows": 2000})
	const n = 2201
	for i := range n {
		w.attach(fmt.Sprint(i), nil)
	}
	count := 0
	for _, err := range w.client.Attachments(ctx, w.record) {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	if count != n {
		t.Errorf("%d of %d", count, n)
	}
}

func TestTheIteratorEndsWithTheError(t *testing.T) {
	w := newWorld(t, zcrm.WithAccessToken("1000.nonsense"))
	rounds := 0
	for a, err := range w.client.Attachments(ctx, w.record) {
		rounds++
		if !errors.Is(err, zcrm.ErrAuth) || a.ID != "" {
			t.Errorf("got %+v, %v", a, err)
		}
	}
	if rounds != 1 {
		t.Errorf("%d rounds", rounds)
	}
}

func TestTheIteratorDoesNotGoInACircle(t *testing.T) {
	w := newWorld(t)
	page := `{"data":[{"id":"1","File_Name":"a"}],"info":{"more_records":true,"page":1,"per_page":200,"count":1}}`
	same := anything{"kind": "body", "status": 200, "body": page, "content_type": "application/json"}
	w.fault("attachment.list", same, same, same)
	var last error
	rounds := 0
	for _, err := range w.client.Attachments(ctx, w.record) {
		last = err
		rounds++
	}
	if rounds != 2 || !errors.Is(last, zcrm.ErrPage) {
		t.Errorf("%d rounds, the last with %v", rounds, last)
	}
}

func TestPagesAreNamedByNumberOrToken(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.attach(fmt.Sprint(i), nil)
	}
	first, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{PerPage: 2})
	if err != nil || len(first.Attachments) != 2 || !first.More || first.NextPageToken == "" {
		t.Fatalf("got %+v, %v", first, err)
	}
	byToken, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{PerPage: 2, PageToken: first.NextPageToken})
	if err != nil {
		t.Fatal(err)
	}
	byNumber, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{PerPage: 2, Page: 2})
	if err != nil {
		t.Fatal(err)
	}
	if byToken.Attachments[0].ID != byNumber.Attachments[0].ID || byNumber.Attachments[0].ID == first.Attachments[0].ID {
		t.Errorf("got %+v and %+v", byToken, byNumber)
	}
	for _, wrong := range []zcrm.ListOptions{{Page: -1}, {PerPage: -1}, {PerPage: 201}, {Page: 1, PageToken: "a"}} {
		if _, err := w.client.ListAttachments(ctx, w.record, wrong); !errors.Is(err, zcrm.ErrArgument) {
			t.Errorf("%+v gives %v", wrong, err)
		}
	}
}

func TestDownloadGivesTheBytesToAWriterOrAFile(t *testing.T) {
	w := newWorld(t)
	want := content(300_000)
	id := w.attach("report.bin", want)
	var buffer bytes.Buffer
	got, err := w.client.DownloadAttachment(ctx, w.record, id, &buffer)
	if err != nil {
		t.Fatal(err)
	}
	if got.FileName != "report.bin" || got.Bytes != int64(len(want)) || !got.LengthVerified || !bytes.Equal(buffer.Bytes(), want) {
		t.Errorf("got %+v and %d bytes", got, buffer.Len())
	}
	path := filepath.Join(t.TempDir(), "there.bin")
	got, err = w.client.DownloadAttachmentFile(ctx, w.record, id, path)
	if err != nil {
		t.Fatal(err)
	}
	onDisk, _ := os.ReadFile(path)
	if got.Path != path || !bytes.Equal(onDisk, want) {
		t.Errorf("got %+v and %d bytes", got, len(onDisk))
	}
}

func TestDownloadReplacesAFileOnlyWhenAsked(t *testing.T) {
	w := newWorld(t)
	id := w.attach("a", []byte("new"))
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := w.client.DownloadAttachmentFile(ctx, w.record, id, path)
	var e *zcrm.Error
	if !errors.As(err, &e) || e.Code != zcrm.ErrIO || e.Reason != "target_exists" {
		t.Errorf("got %v", err)
	}
	if _, err := w.client.DownloadAttachmentFile(ctx, w.record, id, path, zcrm.WithOverwrite()); err != nil {
		t.Fatal(err)
	}
	if now, _ := os.ReadFile(path); string(now) != "new" {
		t.Errorf("the file holds %q", now)
	}
}

func TestDownloadKeepsToItsBound(t *testing.T) {
	w := newWorld(t)
	id := w.attach("a", content(1000))
	if _, err := w.client.DownloadAttachment(ctx, w.record, id, io.Discard, zcrm.WithMaxBytes(999)); !errors.Is(err, zcrm.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if _, err := w.client.DownloadAttachment(ctx, w.record, id, io.Discard, zcrm.WithMaxBytes(1000)); err != nil {
		t.Error(err)
	}
	if _, err := w.client.DownloadAttachment(ctx, w.record, id, io.Discard, zcrm.WithMaxBytes(-1)); !errors.Is(err, zcrm.ErrArgument) {
		t.Errorf("got %v", err)
	}
}

func TestBytesAreCheckedAgainstWhatIsExpected(t *testing.T) {
	w := newWorld(t)
	want := content(5000)
	hash := fmt.Sprintf("%x", sha256.Sum256(want))
	stored, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a", want), zcrm.WithSHA256(), zcrm.WithExpectedSHA256(hash))
	if err != nil || stored.SHA256 != hash {
		t.Fatalf("got %+v, %v", stored, err)
	}
	got, err := w.client.DownloadAttachment(ctx, w.record, stored.ID, io.Discard, zcrm.WithSHA256(), zcrm.WithExpectedBytes(5000))
	if err != nil || got.SHA256 != hash {
		t.Errorf("got %+v, %v", got, err)
	}
	other := zcrm.WithExpectedSHA256(strings.Repeat("0", 64))
	if _, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("b", want), other); !errors.Is(err, zcrm.ErrChecksum) {
		t.Errorf("an upload of other bytes gives %v", err)
	}
	if _, err := w.client.DownloadAttachment(ctx, w.record, stored.ID, io.Discard, other); !errors.Is(err, zcrm.ErrChecksum) {
		t.Errorf("a download of other bytes gives %v", err)
	}
	if _, err := w.client.DownloadAttachment(ctx, w.record, stored.ID, io.Discard, zcrm.WithExpectedBytes(0)); err == nil {
		t.Error("5000 bytes were taken for none")
	}
}

func TestDeleteDeletesOneOrSeveral(t *testing.T) {
	w := newWorld(t)
	a, b, c, d := w.attach("a", nil), w.attach("b", nil), w.attach("c", nil), w.attach("d", nil)
	if err := w.client.DeleteAttachment(ctx, w.record, a); err != nil {
		t.Error(err)
	}
	if err := w.client.DeleteAttachments(ctx, w.record, []string{b, c}); err != nil {
		t.Error(err)
	}
	left, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
	if err != nil || len(left.Attachments) != 1 || left.Attachments[0].ID != d {
		t.Errorf("left are %+v, %v", left, err)
	}
	if err := w.client.DeleteAttachment(ctx, w.record, a); !errors.Is(err, zcrm.ErrNotFound) {
		t.Errorf("deleting again gives %v", err)
	}
}

func TestOneIDNeverDeletesTwoAttachments(t *testing.T) {
	w := newWorld(t)
	a, b := w.attach("a", nil), w.attach("b", nil)
	if err := w.client.DeleteAttachment(ctx, w.record, a+","+b); !errors.Is(err, zcrm.ErrArgument) {
		t.Errorf("got %v", err)
	}
	if err := w.client.DeleteAttachments(ctx, w.record, nil); !errors.Is(err, zcrm.ErrArgument) {
		t.Errorf("deleting none gives %v", err)
	}
}

func TestAPhotoIsSetReadAndDeleted(t *testing.T) {
	w := newWorld(t)
	png := portrait(t)
	moved, err := w.client.UploadPhoto(ctx, w.record, zcrm.FromBytes("me.png", png), zcrm.WithRestrictTriggers("workflow"))
	if err != nil || moved.Bytes != int64(len(png)) {
		t.Fatalf("got %+v, %v", moved, err)
	}
	if query := w.requests("photo.upload")[0].Query; !strings.Contains(query, "restrict_triggers=workflow") {
		t.Errorf("the query is %q", query)
	}
	var buffer bytes.Buffer
	if _, err := w.client.DownloadPhoto(ctx, w.record, &buffer); err != nil || !bytes.Equal(buffer.Bytes(), png) {
		t.Errorf("got %d bytes, %v", buffer.Len(), err)
	}
	path := filepath.Join(t.TempDir(), "me.png")
	if got, err := w.client.DownloadPhotoFile(ctx, w.record, path); err != nil || got.Path != path {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := w.client.DeletePhoto(ctx, w.record); err != nil {
		t.Error(err)
	}
	if _, err := w.client.DownloadPhoto(ctx, w.record, io.Discard); !errors.Is(err, zcrm.ErrNotFound) {
		t.Errorf("a record without a photo gives %v", err)
	}
}

func TestProgressGoesUpToTheWholeSize(t *testing.T) {
	w := newWorld(t)
	const size = 3 << 20
	var last, total int64
	progress := zcrm.WithProgress(func(done, all int64) {
		if done < last {
			t.Errorf("%d after %d", done, last)
		}
		last, total = done, all
	})
	stored, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a", content(size)), progress)
	if err != nil || last != size || total != size {
		t.Fatalf("up to %d of %d, %v", last, total, err)
	}
	last, total = 0, 0
	if _, err := w.client.DownloadAttachment(ctx, w.record, stored.ID, io.Discard, progress); err != nil || last != size || total != size {
		t.Errorf("up to %d of %d, %v", last, total, err)
	}
}

func TestAPageThatCannotBeIsNamed(t *testing.T) {
	w := newWorld(t)
	for _, page := range []int{-1, math.MaxInt} {
		_, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{Page: page})
		if !errors.Is(err, zcrm.ErrArgument) || !strings.Contains(err.Error(), fmt.Sprint(page)) {
			t.Errorf("got %v", err)
		}
	}
}

func TestAnAttachmentIsWrittenAsTheJSONOfAStep(t *testing.T) {
	w := newWorld(t)
	stored, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a.txt", content(3)))
	if err != nil {
		t.Fatal(err)
	}
	written, _ := json.Marshal(stored)
	var got anything
	if err := json.Unmarshal(written, &got); err != nil {
		t.Fatal(err)
	}
	if got["id"] != stored.ID || got["file_name"] != "a.txt" || got["bytes"] != 3.0 || got["modified_time"] != nil {
		t.Errorf("got %s", written)
	}
}
