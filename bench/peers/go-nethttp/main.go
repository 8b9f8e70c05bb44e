// The bench's work through net/http: one shared client, the multipart body framed by hand so that its length is known and it is streamed.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"time"
)

const fields = "id,File_Name,Size,Created_Time,Modified_Time,Owner,Created_By,Parent_Id,$file_id,$type,$link_url"

var (
	work    = flag.String("work", "list", "")
	base    = flag.String("base", "", "")
	ca      = flag.String("ca", "", "")
	file    = flag.String("file", "", "")
	dir     = flag.String("dir", "", "")
	calls   = flag.Int("calls", 1, "")
	threads = flag.Int("threads", 1, "")
	size    = flag.Int64("size", 0, "")
	entries = flag.Int("entries", 20, "")
)

type count struct {
	Calls    int     `json:"calls"`
	Bytes    int64   `json:"bytes"`
	Entries  int     `json:"entries"`
	LoopWall float64 `json:"loop_wall"`
}

func main() {
	flag.Parse()
	client := newClient()
	began := time.Now()
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
	sum := count{LoopWall: time.Since(began).Seconds()}
	for _, c := range counts {
		sum.Calls += c.Calls
		sum.Bytes += c.Bytes
		sum.Entries += c.Entries
	}
	if err := json.NewEncoder(os.Stdout).Encode(sum); err != nil {
		log.Fatal(err)
	}
}

func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = *threads // the default of 2 would close connections all the time
	transport.ForceAttemptHTTP2 = false
	transport.DisableCompression = true
	if *ca != "" {
		pem, err := os.ReadFile(*ca)
		if err != nil {
			log.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Transport: transport}
}

func call(client *http.Client, thread int, c *count) error {
	switch {
	case *work == "list":
		return list(client, c)
	case strings.HasPrefix(*work, "download"):
		return download(client, thread, c)
	default:
		return upload(client, c)
	}
}

func request(client *http.Client, method, path string, body io.Reader, length int64, contentType string) (*http.Response, error) {
	r, err := http.NewRequest(method, *base+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Zoho-oauthtoken 1000.bench.bench")
	if body != nil {
		r.ContentLength = length
		r.Header.Set("Content-Type", contentType)
	}
	reply, err := client.Do(r)
	if err == nil && reply.StatusCode != http.StatusOK {
		reply.Body.Close()
		return nil, fmt.Errorf("the server answered %s", reply.Status)
	}
	return reply, err
}

func upload(client *http.Client, c *count) error {
	f, err := os.Open(*file)
	if err != nil {
		return err
	}
	defer f.Close()
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	part := textproto.MIMEHeader{}
	part.Set("Content-Disposition", `form-data; name="file"; filename="file.bin"`)
	part.Set("Content-Type", "application/octet-stream")
	if _, err := w.CreatePart(part); err != nil {
		return err
	}
	tail := "\r\n--" + w.Boundary() + "--\r\n"
	length := int64(head.Len()+len(tail)) + *size
	body := io.MultiReader(&head, f, strings.NewReader(tail))
	reply, err := request(client, "POST", "/crm/v8/Contacts/1/Attachments", body, length, w.FormDataContentType())
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	var stored struct {
		Data []struct {
			Details struct {
				ID string `json:"id"`
			} `json:"details"`
		} `json:"data"`
	}
	if err := decode(reply.Body, &stored); err != nil {
		return err
	}
	if stored.Data[0].Details.ID != "2876819000002738705" {
		return fmt.Errorf("another id than the server's")
	}
	c.Bytes += *size
	return nil
}

func list(client *http.Client, c *count) error {
	type named struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	for number := 1; ; number++ {
		path := fmt.Sprintf("/crm/v8/Contacts/%d/Attachments?fields=%s&per_page=200&page=%d", *entries, fields, number)
		reply, err := request(client, "GET", path, nil, 0, "")
		if err != nil {
			return err
		}
		var page struct {
			Data []struct {
				ID           string `json:"id"`
				FileName     string `json:"File_Name"`
				Size         string `json:"Size"`
				CreatedTime  string `json:"Created_Time"`
				ModifiedTime string `json:"Modified_Time"`
				Parent       named  `json:"Parent_Id"`
				Owner        named  `json:"Owner"`
			} `json:"data"`
			Info struct {
				More bool `json:"more_records"`
			} `json:"info"`
		}
		err = decode(reply.Body, &page)
		reply.Body.Close()
		if err != nil {
			return err
		}
		for _, row := range page.Data {
			if row.ID != "" && row.FileName != "" && row.CreatedTime != "" && row.ModifiedTime != "" && row.Parent.ID != "" && row.Owner.Name != "" && row.Size == "1048576" {
				c.Entries++
			}
		}
		if !page.Info.More {
			return nil
		}
	}
}

func download(client *http.Client, thread int, c *count) error {
	reply, err := request(client, "GET", fmt.Sprintf("/crm/v8/Contacts/1/Attachments/%d", *size), nil, 0, "")
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	var to io.Writer = io.Discard
	if *work == "download-file" {
		f, err := os.Create(fmt.Sprintf("%s/go-%d", *dir, thread))
		if err != nil {
			return err
		}
		defer f.Close()
		to = f
	}
	n, err := io.Copy(to, reply.Body)
	c.Bytes += n
	return err
}

// decode reads all of a reply, so that its connection can be used again.
func decode(from io.Reader, to any) error {
	body, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, to)
}
