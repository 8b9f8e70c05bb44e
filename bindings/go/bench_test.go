//go:build zcrm_bench

package zcrm_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"syscall"
	"testing"

	zcrm "github.com/zcrm/zcrm/bindings/go"
	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

const uploaded = 16 << 20

func newBench(b *testing.B) (*world, cabi.CClient) {
	b.Helper()
	w := newWorld(b)
	w.settings(anything{"keep_bodies": false})
	c, err := cabi.NewCClient(cabi.Config{Settings: []cabi.Setting{
		{Key: "accounts_url", Value: w.URL}, {Key: "api_domain", Value: w.URL}, {Key: "access_token", Value: w.AccessToken},
	}})
	if err != nil {
		b.Fatal(err)
	}
	before := cpu()
	b.Cleanup(func() {
		b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op") // of this process, without the emulator: says more where others work
		c.Close()
	})
	b.ResetTimer()
	return w, c
}

func cpu() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// A call that the library refuses before it sends anything: the seam, both ways, with an error.
func BenchmarkRefusedCall(b *testing.B) {
	b.Run("c", func(b *testing.B) {
		_, c := newBench(b)
		c.List("Contacts", "x", b.N)
	})
	b.Run("go", func(b *testing.B) {
		w, _ := newBench(b)
		b.ReportAllocs()
		for range b.N {
			w.client.ListAttachments(ctx, zcrm.Record{Module: "Contacts", ID: "x"}, zcrm.ListOptions{})
		}
	})
	b.Run("go, with a context that can end", func(b *testing.B) {
		w, _ := newBench(b)
		b.ReportAllocs()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for range b.N {
			w.client.ListAttachments(ctx, zcrm.Record{Module: "Contacts", ID: "x"}, zcrm.ListOptions{})
		}
	})
}

// A whole call: the list of a record that has one attachment.
func BenchmarkList(b *testing.B) {
	b.Run("c", func(b *testing.B) {
		w, c := newBench(b)
		w.attach("a", nil)
		b.ResetTimer()
		if status := c.List(w.record.Module, w.record.ID, b.N); status != 0 {
			b.Fatal(status)
		}
	})
	b.Run("go", func(b *testing.B) {
		w, _ := newBench(b)
		w.attach("a", nil)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			if page, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil || len(page.Attachments) != 1 {
				b.Fatal(err)
			}
		}
	})
}

// One read callback that gives 64 KiB, without a network. What a Reader costs beyond its own copy is "no copy": the way from C to Go and
// back, and the copy into the library's memory, which no Reader sees. C and Go copy at different speeds, so "c" and "go" say less of it.
func BenchmarkReadCallback64KiB(b *testing.B) {
	b.Run("c", func(b *testing.B) { b.SetBytes(64 << 10); cabi.ReadInC(b.N) })
	b.Run("go", func(b *testing.B) { b.SetBytes(64 << 10); b.ReportAllocs(); cabi.ReadInGo(&chunks{left: 1 << 62}, b.N) })
	b.Run("the copy alone", func(b *testing.B) {
		b.SetBytes(64 << 10)
		r, into := &chunks{left: 1 << 62}, make([]byte, 64<<10)
		for range b.N {
			r.Read(into)
		}
	})
	b.Run("no copy", func(b *testing.B) { b.ReportAllocs(); cabi.ReadInGo(unmade{}, b.N) })
}

// unmade gives what was in the buffer before.
type unmade struct{}

func (unmade) Read(p []byte) (int, error) { return len(p), nil }

// chunks gives bytes in pieces of 64 KiB.
type chunks struct{ left int64 }

var chunk [64 << 10]byte

func (c *chunks) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), c.left)], chunk[:])
	c.left -= int64(n)
	return n, nil
}

// The upload of 16 MiB from a Reader, by each of the three.
func BenchmarkUpload16MiB(b *testing.B) {
	b.Run("c", func(b *testing.B) {
		w, c := newBench(b)
		b.SetBytes(uploaded)
		if status := c.Upload(w.record.Module, w.record.ID, uploaded, b.N); status != 0 {
			b.Fatal(status)
		}
	})
	b.Run("go", func(b *testing.B) {
		w, _ := newBench(b)
		b.SetBytes(uploaded)
		b.ReportAllocs()
		for range b.N {
			if _, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("bench", &chunks{uploaded}, uploaded)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("go from bytes", func(b *testing.B) {
		w, _ := newBench(b)
		all := make([]byte, uploaded)
		b.SetBytes(uploaded)
		b.ResetTimer()
		for range b.N {
			if _, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("bench", all)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		w, _ := newBench(b)
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		b.SetBytes(uploaded)
		b.ReportAllocs()
		for range b.N {
			if err := uploadByNetHTTP(client, w); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func uploadByNetHTTP(client *http.Client, w *world) error {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	if _, err := form.CreateFormFile("file", "bench"); err != nil {
		return err
	}
	tail := fmt.Sprintf("\r\n--%s--\r\n", form.Boundary())
	size := int64(head.Len()) + uploaded + int64(len(tail))
	url := fmt.Sprintf("%s/crm/v8/%s/%s/Attachments", w.URL, w.record.Module, w.record.ID)
	request, err := http.NewRequest("POST", url, io.MultiReader(&head, &chunks{uploaded}, bytes.NewReader([]byte(tail))))
	if err != nil {
		return err
	}
	request.ContentLength = size
	request.Header.Set("Authorization", "Zoho-oauthtoken "+w.AccessToken)
	request.Header.Set("Content-Type", form.FormDataContentType())
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", answer)
	}
	return err
}
