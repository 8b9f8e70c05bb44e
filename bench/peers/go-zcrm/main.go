// The bench's work through the Go binding of zcrm.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

var (
	work    = flag.String("work", "list", "")
	base    = flag.String("base", "", "")
	ca      = flag.String("ca", "", "")
	file    = flag.String("file", "", "")
	dir     = flag.String("dir", "", "")
	calls   = flag.Int("calls", 1, "")
	threads = flag.Int("threads", 1, "")
	places  = flag.Int("places", 0, "calls at once; 0: as many as threads")
	size    = flag.Int64("size", 0, "")
	entries = flag.Int("entries", 20, "")
	memory  []byte
	ctx     = context.Background()
)

type count struct {
	Calls    int     `json:"calls"`
	Bytes    int64   `json:"bytes"`
	Entries  int     `json:"entries"`
	LoopCPU  float64 `json:"loop_cpu"`
	LoopWall float64 `json:"loop_wall"`
}

func main() {
	flag.Parse()
	if *places == 0 {
		*places = *threads
	}
	if *work == "upload-reader" {
		memory = make([]byte, *size)
		for i := range memory {
			memory[i] = byte(i * 31 % 251)
		}
	}
	options := []zcrm.Option{
		zcrm.WithAccessToken("1000.bench.bench"), zcrm.WithDomains(*base, *base), zcrm.WithOption("os_roots", "off"),
		zcrm.WithOption("max_in_flight", strconv.Itoa(*places)),
	}
	if *ca != "" {
		options = append(options, zcrm.WithOption("ca_file", *ca))
	}
	client, err := zcrm.New(options...)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	began, before := time.Now(), cpu()
	counts := make([]count, *threads)
	var all sync.WaitGroup
	for t := range counts {
		all.Add(1)
		go func() {
			defer all.Done()
			share := *calls / *threads
			if t < *calls%*threads {
				share++
			}
			for range share {
				if err := call(client, t, &counts[t]); err != nil {
					log.Fatal(err)
				}
				counts[t].Calls++
			}
		}()
	}
	all.Wait()
	sum := count{LoopWall: time.Since(began).Seconds(), LoopCPU: cpu() - before}
	for _, c := range counts {
		sum.Calls += c.Calls
		sum.Bytes += c.Bytes
		sum.Entries += c.Entries
	}
	if err := json.NewEncoder(os.Stdout).Encode(sum); err != nil {
		log.Fatal(err)
	}
}

func cpu() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func call(client *zcrm.Client, thread int, c *count) error {
	switch {
	case *work == "list":
		return list(client, c)
	case strings.HasPrefix(*work, "download"):
		return download(client, thread, c)
	default:
		return upload(client, c)
	}
}

func upload(client *zcrm.Client, c *count) error {
	source := zcrm.FromFile(*file).Named("file.bin")
	if *work == "upload-reader" {
		source = zcrm.FromReader("file.bin", bytes.NewReader(memory), *size)
	}
	stored, err := client.UploadAttachment(ctx, zcrm.Record{Module: "Contacts", ID: "1"}, source)
	if err != nil {
		return err
	}
	if stored.ID != "2876819000002738705" {
		return fmt.Errorf("another id than the server's")
	}
	c.Bytes += *size
	return nil
}

func list(client *zcrm.Client, c *count) error {
	for a, err := range client.Attachments(ctx, zcrm.Record{Module: "Contacts", ID: strconv.Itoa(*entries)}) {
		if err != nil {
			return err
		}
		if a.ID != "" && a.FileName != "" && a.ParentID != "" && a.OwnerName != "" && a.Bytes == 1048576 {
			c.Entries++
		}
	}
	return nil
}

func download(client *zcrm.Client, thread int, c *count) error {
	record, id := zcrm.Record{Module: "Contacts", ID: "1"}, strconv.FormatInt(*size, 10)
	if *work == "download-file" {
		got, err := client.DownloadAttachmentFile(ctx, record, id, fmt.Sprintf("%s/go-zcrm-%d", *dir, thread))
		if err == nil {
			c.Bytes += got.Bytes
		}
		return err
	}
	got, err := client.DownloadAttachment(ctx, record, id, io.Discard)
	if err == nil {
		c.Bytes += got.Bytes
	}
	return err
}
