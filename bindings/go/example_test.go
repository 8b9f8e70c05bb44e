package zcrm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// The examples share an emulator of Zoho CRM. Without one, WithDomains goes.
var (
	startDemo = sync.OnceValue(func() *world {
		e, err := startEmulator()
		if err != nil {
			log.Fatal(err)
		}
		return &world{emulator: e}
	})
	demoMutex   sync.Mutex
	demoStarted bool
)

func demo() *world {
	demoMutex.Lock()
	defer demoMutex.Unlock()
	demoStarted = true
	return startDemo()
}

func closeDemo() {
	demoMutex.Lock()
	defer demoMutex.Unlock()
	if demoStarted {
		startDemo().stop()
	}
}

func newExampleClient() *zcrm.Client {
	client, err := zcrm.New(zcrm.WithAccessToken(demo().AccessToken), zcrm.WithDomains(demo().URL, demo().URL))
	if err != nil {
		log.Fatal(err)
	}
	return client
}

func newContact() zcrm.Record {
	record := newRecord("Contacts")
	return record
}

func newRecord(module string) zcrm.Record {
	answer, err := demo().ask("POST", "records", anything{"module": module})
	if err != nil {
		log.Fatal(err)
	}
	return zcrm.Record{Module: module, ID: strings.Split(string(answer), `"`)[3]}
}

func Example() {
	ctx := context.Background()
	account := demo().Credentials // of a self client, from Zoho's API console
	client, err := zcrm.New(
		zcrm.WithRefreshToken(account.ClientID, account.ClientSecret, account.RefreshToken),
		zcrm.WithDomains(demo().URL, demo().URL), // for a real organisation: zcrm.WithDataCenter("eu")
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	contact := newContact() // a zcrm.Record{Module: "Contacts", ID: "3652397000000649013"}
	stored, err := client.UploadAttachment(ctx, contact, zcrm.FromBytes("notes.txt", []byte("likes espresso\n")))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.DownloadAttachment(ctx, contact, stored.ID, os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output: likes espresso
}

func ExampleClient_UploadAttachment() {
	client, contact := newExampleClient(), newContact()
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reader := strings.NewReader("date,kg\n2026-01-12,40\n")
	stored, err := client.UploadAttachment(ctx, contact, zcrm.FromReader("orders.csv", reader, reader.Size()).ContentType("text/csv"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stored.FileName, stored.Bytes)
	// Output: orders.csv 22
}

func ExampleFromLink() {
	client, contact := newExampleClient(), newContact()
	defer client.Close()

	stored, err := client.UploadAttachment(context.Background(), contact, zcrm.FromLink("Harvest calendar", "https://www.example.org/harvest"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stored.IsLink, stored.LinkURL)
	// Output: true https://www.example.org/harvest
}

func ExampleClient_Attachments() {
	ctx := context.Background()
	client, contact := newExampleClient(), newContact()
	defer client.Close()
	for _, name := range []string{"a.txt", "b.txt"} {
		if _, err := client.UploadAttachment(ctx, contact, zcrm.FromBytes(name, []byte("text"))); err != nil {
			log.Fatal(err)
		}
	}

	for attachment, err := range client.Attachments(ctx, contact) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(attachment.FileName, attachment.Bytes)
	}
	// Unordered output:
	// a.txt 4
	// b.txt 4
}

// A copy from record to record, through a pipe: no file and no memory holds the whole of it.
func ExampleClient_DownloadAttachment() {
	ctx := context.Background()
	client, from, to := newExampleClient(), newContact(), newContact()
	defer client.Close()
	stored, err := client.UploadAttachment(ctx, from, zcrm.FromBytes("notes.txt", []byte("likes espresso\n")))
	if err != nil {
		log.Fatal(err)
	}

	reader, writer := io.Pipe()
	go func() {
		_, err := client.DownloadAttachment(ctx, from, stored.ID, writer)
		writer.CloseWithError(err)
	}()
	copied, err := client.UploadAttachment(ctx, to, zcrm.FromReader(stored.FileName, reader, stored.Bytes))
	reader.CloseWithError(err) // ends the download, should the upload have failed
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(copied.FileName, copied.Bytes)
	// Output: notes.txt 15
}

func ExampleClient_UploadPhoto() {
	ctx := context.Background()
	client, contact := newExampleClient(), newContact()
	defer client.Close()

	if _, err := client.UploadPhoto(ctx, contact, zcrm.FromFile("../../tests/emulator/fixtures/portrait.png")); err != nil {
		log.Fatal(err)
	}
	var photo bytes.Buffer
	got, err := client.DownloadPhoto(ctx, contact, &photo, zcrm.WithMaxBytes(10<<20))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.FileName, got.Bytes == int64(photo.Len()))
	if err := client.DeletePhoto(ctx, contact); err != nil {
		log.Fatal(err)
	}
	// Output: portrait.png true
}

func ExampleError() {
	client, contact := newExampleClient(), newContact()
	defer client.Close()

	_, err := client.DownloadPhoto(context.Background(), contact, os.Stdout)
	switch e := (*zcrm.Error)(nil); {
	case errors.Is(err, zcrm.ErrNotFound):
		fmt.Println("there was no photo")
	case errors.As(err, &e) && e.Retryable:
		time.Sleep(e.RetryAfter) // and once more
	case err != nil:
		log.Fatal(err)
	}
	// Output: there was no photo
}

func ExampleWithTokenSource() {
	contact := newContact()
	vault := func(ctx context.Context, refused bool) (string, error) { return demo().AccessToken, nil } // where your tokens are kept
	client, err := zcrm.New(zcrm.WithTokenSource(vault), zcrm.WithDomains(demo().URL, demo().URL))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	page, err := client.ListAttachments(context.Background(), contact, zcrm.ListOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(page.Attachments))
	// Output: 0
}

func ExampleClient_RunStep() {
	client, contact := newExampleClient(), newContact()
	defer client.Close()

	input := fmt.Sprintf(`{"operation": "attachment.list", "module": "Contacts", "record_id": %q}`, contact.ID)
	output, err := client.RunStep(context.Background(), []byte(input))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(string(output), `"attachments":[]`))
	// Output: true
}
