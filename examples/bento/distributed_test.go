package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zcrm/zcrm/examples/bento/internal/emulator"
)

var check = emulator.Check

// The whole thing once: jobs of all kinds in a queue, two workers of which one is killed while its upload is stored but not answered,
// a third that is told to stop.
func TestEveryJobIsDoneOnceThoughAWorkerIsKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s") // shorter than in earnest: a killed worker's jobs come back after it
	jobs := b.jobs()
	b.start("one")
	b.start("two")
	b.slowDown()
	began := time.Now()
	for _, job := range jobs {
		b.enqueue(job)
	}
	b.enqueue(jobs[0]) // what is enqueued twice is one job

	b.waitForResults(60)
	killed := b.killInUpload()
	b.start("three")
	b.waitForCalls("three", 8)
	b.stop("three")
	b.waitForResults(len(jobs))
	t.Logf("%d jobs in %.1f s", len(jobs), time.Since(began).Seconds())

	outcomes := b.outcomes()
	ledger := b.emulator.Ledger(t)
	t.Run("each job has the outcome that it must have", func(t *testing.T) {
		for _, job := range jobs {
			got := outcomes[job.id]
			want := "zcrm.done"
			if job.code != "" {
				want = "zcrm.dead"
			}
			if len(got) != 1 || got[0].Subject() != want {
				t.Errorf("%s %s: %d outcomes, want one, %s: %s", job.id, job.body, len(got), want, texts(got))
				continue
			}
			if code := got[0].Headers().Get("zcrm_code"); code != job.code {
				t.Errorf("%s %s: code %q, want %q: %s", job.id, job.body, code, job.code, got[0].Headers().Get("error"))
			}
			if job.code != "" && !bytes.Equal(got[0].Data(), job.body) {
				t.Errorf("%s: the dead letter is %s, not the job", job.id, got[0].Data())
			}
		}
	})
	t.Run("every upload is stored once, and nothing else", func(t *testing.T) {
		times := map[string]int{}
		for _, stored := range ledger.Stored {
			if stored.Seq != 0 && stored.Kind != "photo" {
				times[stored.Record+"/"+stored.Name]++
			}
		}
		for _, job := range jobs {
			if job.stores == "" {
				continue
			}
			if times[job.stores] != 1 {
				t.Errorf("%s is stored %d times", job.stores, times[job.stores])
			}
			delete(times, job.stores)
		}
		for stray := range times {
			t.Errorf("%s is stored, which no good job asks for", stray)
		}
	})
	t.Run("every photo, deletion and download is done", func(t *testing.T) {
		for _, job := range jobs {
			if job.verify != nil {
				job.verify(t)
			}
		}
	})
	t.Run("the killed worker's upload was found and not sent again", func(t *testing.T) {
		for _, outcome := range outcomes {
			if bytes.Contains(outcome[0].Data(), []byte(`"skipped":true`)) {
				return
			}
		}
		t.Errorf("no result says skipped, though %s was killed after its upload was stored", killed)
	})
	t.Run("the worker that was told to stop finished what it had begun", func(t *testing.T) {
		told := map[string]bool{}
		for _, outcome := range outcomes {
			if headers := outcome[0].Headers(); headers.Get("worker") == "three" {
				told[headers.Get("zcrm_attachment_id")] = true
			}
		}
		for _, stored := range ledger.Stored {
			if stored.Seq != 0 && stored.Kind != "photo" && workerOf(ledger.Request(stored.Seq)) == "three" && !told[stored.ID] {
				t.Errorf("it stored %s, and another worker had to say so", stored.Name)
			}
		}
		if len(told) < 2 {
			t.Errorf("it hardly did a job: %v", told)
		}
	})
	t.Run("all workers together kept within the organisation's limit", func(t *testing.T) {
		for _, request := range ledger.Requests {
			if request.Status == 429 {
				t.Fatalf("%s of worker %s was one too many at once", request.Path, workerOf(request))
			}
		}
	})
	t.Run("the workers shared a token", func(t *testing.T) {
		if n := len(ledger.TokensIssued); n != 1 {
			t.Errorf("%d tokens were asked for", n)
		}
	})
	t.Run("no job is left", func(t *testing.T) {
		info, err := must(b.js.Stream(b.ctx, "ZCRM_JOBS")).Info(b.ctx)
		check(t, err)
		if info.State.Msgs != 0 {
			t.Errorf("%d are", info.State.Msgs)
		}
	})
	for name, worker := range b.workers {
		if worker.ProcessState == nil {
			b.stop(name)
		}
	}
	t.Run("no secret is in a log", func(t *testing.T) {
		secrets := []string{b.emulator.ClientSecret, b.emulator.RefreshToken}
		for _, issued := range ledger.TokensIssued {
			secrets = append(secrets, issued.Token)
		}
		for name, worker := range b.workers {
			log := worker.log.String()
			if len(log) < 1000 {
				t.Errorf("the log of %s is hardly one: %q", name, log)
			}
			for _, secret := range secrets {
				if strings.Contains(log, secret) {
					t.Errorf("the log of %s has %.12s…", name, secret)
				}
			}
		}
	})
}

func TestAJobThatMayPassLaterIsHandedOutAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s")
	record := b.emulator.Record(t, "Contacts", "normal")
	failures := slices.Repeat([]map[string]any{{"kind": "status", "status": 503}}, 5) // one more than the library tries
	b.emulator.Fault(t, "attachment.list", failures...)
	b.start("one")
	b.enqueue(job{id: "patient", body: []byte(`{"operation":"attachment.list","module":"Contacts","record_id":"` + record + `"}`)})
	b.waitForResults(1)
	if got := b.outcomes()["patient"]; len(got) != 1 || got[0].Subject() != "zcrm.done" {
		t.Error(texts(got))
	}
	b.stop("one")
}

func TestAJobThatAShutdownCutsOffIsDoneByAnotherWorker(t *testing.T) {
	t.Parallel()
	b := newBench(t, "3s")
	record := b.emulator.Record(t, "Contacts", "normal")
	b.emulator.Fault(t, "attachment.upload", map[string]any{"kind": "stall", "at": "before_reply"})
	b.start("one", "ZCRM_TIMEOUT=1m", "ZCRM_SHUTDOWN=500ms")
	b.enqueue(job{id: "cut off", body: []byte(`{"operation":"attachment.upload","module":"Contacts","record_id":"` + record + `","source":{"base64":"eA==","name":"a.txt"}}`)})
	for len(b.emulator.Ledger(t).FaultsFired) == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	check(t, b.workers["one"].Process.Signal(syscall.SIGTERM))
	_ = b.workers["one"].Wait()
	b.start("two")
	b.waitForResults(1)
	if got := b.outcomes()["cut off"]; len(got) != 1 || got[0].Subject() != "zcrm.done" {
		t.Error(texts(got))
	}
	if names := b.emulator.Names(t, "Contacts", record); len(names) != 1 {
		t.Errorf("the record has %v", names)
	}
	b.stop("two")
}

// limit is how many calls the organisation takes at once, and so how many jobs may be in work: fewer than two workers have threads.
const limit = 6

// bench has all that runs.
type bench struct {
	*testing.T
	ctx      context.Context
	dir      string
	emulator *emulator.Emulator
	url      string
	js       jetstream.JetStream
	workers  map[string]*worker
}

type worker struct {
	*exec.Cmd
	log bytes.Buffer
}

type job struct {
	id     string
	body   []byte
	code   string // that its dead letter has; empty: it is a good one
	stores string // record and name of what it stores
	verify func(t *testing.T)
}

func newBench(t *testing.T, ackWait string) *bench {
	b := &bench{T: t, dir: t.TempDir(), emulator: emulator.Start(t), workers: map[string]*worker{}}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	b.ctx = ctx
	check(t, os.Mkdir(filepath.Join(b.dir, "files"), 0o700))
	server := exec.Command(program(t, "jetstream"), "-dir", filepath.Join(b.dir, "streams"), "-ack-wait", ackWait, "-max-ack-pending", strconv.Itoa(limit))
	server.Stderr = os.Stderr
	stdout, err := server.StdoutPipe()
	check(t, err)
	check(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
	})
	_, err = fmt.Fscan(stdout, &b.url)
	check(t, err)
	conn, err := nats.Connect(b.url)
	check(t, err)
	t.Cleanup(conn.Close)
	b.js, err = jetstream.New(conn)
	check(t, err)
	return b
}

// program is one that test.sh has built.
func program(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("ZCRM_BENTO_DIR")
	if dir == "" {
		t.Fatal("ZCRM_BENTO_DIR names no directory of programs: run test.sh")
	}
	return filepath.Join(dir, name)
}

// environment is what worker.yaml reads.
func environment(e *emulator.Emulator, more ...string) []string {
	return append(append(os.Environ(), "ZCRM_CLIENT_ID="+e.ClientID, "ZCRM_CLIENT_SECRET="+e.ClientSecret, "ZCRM_REFRESH_TOKEN="+e.RefreshToken,
		"ZCRM_API_DOMAIN="+e.URL, "ZCRM_ACCOUNTS_URL="+e.URL, "ZCRM_DATA_CENTER=us"), more...)
}

func (b *bench) start(name string, more ...string) {
	b.Helper()
	w := &worker{Cmd: exec.Command(program(b.T, "bento"), "-c", "worker.yaml")}
	w.Env = environment(b.emulator, "NATS_URL="+b.url, "ZCRM_ALLOW_PATHS="+filepath.Join(b.dir, "files"), "ZCRM_TOKEN_FILE="+filepath.Join(b.dir, "token"),
		"ZCRM_TIMEOUT=7s", "ZCRM_PAUSE=100ms", "ZCRM_WORKER="+name, "ZCRM_WORKER_ADDRESS=127.0.0.1:0", "ZCRM_LOG_LEVEL=TRACE")
	w.Env = append(w.Env, more...)
	w.Stdout, w.Stderr = &w.log, &w.log
	check(b.T, w.Start())
	b.workers[name] = w
	b.Cleanup(func() {
		if w.ProcessState == nil {
			_ = w.Process.Kill()
			_ = w.Wait()
		}
		if b.Failed() {
			log := w.log.String()
			b.Logf("worker %s: %s", name, log[max(0, len(log)-6000):])
		}
	})
}

// stop tells workers to stop, and expects them to.
func (b *bench) stop(names ...string) {
	b.Helper()
	for _, name := range names {
		w := b.workers[name]
		began := time.Now()
		check(b.T, w.Process.Signal(syscall.SIGTERM))
		if err := w.Wait(); err != nil {
			b.Errorf("worker %s: %v", name, err)
		}
		b.Logf("worker %s stopped in %.1f s", name, time.Since(began).Seconds())
	}
}

// killInUpload kills the worker whose upload the emulator has stored and not answered.
func (b *bench) killInUpload() string {
	b.Helper()
	b.emulator.Fault(b.T, "attachment.upload", map[string]any{"kind": "stall", "at": "before_reply", "ms": 8000})
	for ; b.ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		ledger := b.emulator.Ledger(b.T)
		for _, fired := range ledger.FaultsFired {
			if fired.Fault.Kind == "stall" {
				name := workerOf(ledger.Request(fired.Seq))
				check(b.T, b.workers[name].Process.Kill())
				_ = b.workers[name].Wait()
				b.Logf("worker %s killed", name)
				return name
			}
		}
	}
	b.Fatal("no upload met the stall")
	return ""
}

// workerOf is who sent a request: worker.yaml puts its name into the user agent.
func workerOf(request emulator.Request) string {
	return strings.TrimPrefix(request.Header("User-Agent"), "zcrm-")
}

func (b *bench) enqueue(j job) {
	b.Helper()
	_, err := b.js.PublishMsg(b.ctx, &nats.Msg{Subject: "zcrm.jobs", Header: nats.Header{"Nats-Msg-Id": {j.id}}, Data: j.body})
	check(b.T, err)
}

func (b *bench) waitForResults(n int) {
	b.Helper()
	for {
		info, err := must(b.js.Stream(b.ctx, "ZCRM_RESULTS")).Info(b.ctx)
		if err != nil {
			b.Fatalf("waiting for %d results: %v", n, err)
		}
		if int(info.State.Msgs) >= n {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// slowDown lets each request take a while, so that there is a middle to kill a worker in.
func (b *bench) slowDown() {
	faults := make([]map[string]any, 300)
	for i := range faults {
		faults[i] = map[string]any{"kind": "delay", "ms": 150}
	}
	b.emulator.Fault(b.T, "*", faults...)
}

func (b *bench) waitForCalls(worker string, n int) {
	b.Helper()
	for calls := 0; calls < n; time.Sleep(20 * time.Millisecond) {
		if b.ctx.Err() != nil {
			b.Fatalf("worker %s made %d calls", worker, calls)
		}
		calls = 0
		for _, request := range b.emulator.Ledger(b.T).Requests {
			if workerOf(request) == worker {
				calls++
			}
		}
	}
}

// outcomes are the results and dead letters by job.
func (b *bench) outcomes() map[string][]jetstream.Msg {
	b.Helper()
	consumer, err := b.js.OrderedConsumer(b.ctx, "ZCRM_RESULTS", jetstream.OrderedConsumerConfig{})
	check(b.T, err)
	info, err := must(b.js.Stream(b.ctx, "ZCRM_RESULTS")).Info(b.ctx)
	check(b.T, err)
	outcomes := map[string][]jetstream.Msg{}
	for range info.State.Msgs {
		msg, err := consumer.Next()
		check(b.T, err)
		id := msg.Headers().Get("Nats-Msg-Id")
		outcomes[id] = append(outcomes[id], msg)
	}
	return outcomes
}

func texts(outcomes []jetstream.Msg) (text string) {
	for _, outcome := range outcomes {
		text += fmt.Sprintf("\n  %s %v %s", outcome.Subject(), outcome.Headers(), outcome.Data())
	}
	return text
}

type object = map[string]any

// jobs are 300 good ones and 40 bad ones, of all operations, in turn.
func (b *bench) jobs() []job {
	e, files := b.emulator, filepath.Join(b.dir, "files")
	record := e.Record(b.T, "Contacts", "normal")
	locked := e.Record(b.T, "Contacts", "locked")
	e.Ask(b.T, "PATCH", "settings", object{"locked_blocks_attachments": true, "concurrency": limit}, nil)
	portrait, err := os.ReadFile("../../tests/emulator/fixtures/portrait.png")
	check(b.T, err)
	check(b.T, os.WriteFile(filepath.Join(files, "portrait.png"), portrait, 0o600))

	var kinds [][]job
	kind := func(n int, make func(i int) job) {
		var jobs []job
		for i := range n {
			jobs = append(jobs, make(i))
		}
		kinds = append(kinds, jobs)
	}
	step := func(operation, record string, more object) []byte {
		more["operation"], more["module"], more["record_id"] = operation, "Contacts", record
		return must(json.Marshal(more))
	}
	kind(120, func(i int) job {
		name := fmt.Sprintf("file %d.txt", i)
		check(b.T, os.WriteFile(filepath.Join(files, name), bytes.Repeat([]byte(name+"\n"), 1+i*10), 0o600))
		return job{body: step("attachment.upload", record, object{"source": object{"path": filepath.Join(files, name)}}), stores: record + "/" + name}
	})
	kind(50, func(i int) job {
		name := fmt.Sprintf("note %d.txt", i)
		content := base64.StdEncoding.EncodeToString([]byte("a small file, number " + name))
		return job{body: step("attachment.upload", record, object{"source": object{"base64": content, "name": name}}), stores: record + "/" + name}
	})
	kind(30, func(i int) job {
		title := fmt.Sprintf("link %d", i)
		source := object{"url": fmt.Sprintf("https://www.example.org/%d", i), "title": title}
		return job{body: step("attachment.upload", record, object{"source": source}), stores: record + "/" + title}
	})
	kind(15, func(int) job {
		record := e.Record(b.T, "Contacts", "normal")
		return job{body: step("photo.upload", record, object{"source": object{"path": filepath.Join(files, "portrait.png")}}), verify: func(t *testing.T) {
			var got []byte
			e.Ask(t, "GET", "records/Contacts/"+record+"/photo", nil, &got)
			if sha256.Sum256(got) != sha256.Sum256(portrait) {
				t.Errorf("the photo of %s has %d bytes, not those of the file", record, len(got))
			}
		}}
	})
	kind(15, func(i int) job {
		record := e.Record(b.T, "Contacts", "normal")
		e.Ask(b.T, "PUT", "records/Contacts/"+record+"/photo", portrait, nil)
		path := filepath.Join(files, fmt.Sprintf("photo %d.png", i))
		return job{body: step("photo.download", record, object{"sink": object{"path": path, "overwrite": true}}), verify: holds(path, string(portrait))}
	})
	kind(10, func(int) job {
		record := e.Record(b.T, "Contacts", "normal")
		e.Ask(b.T, "PUT", "records/Contacts/"+record+"/photo", portrait, nil)
		return job{body: step("photo.delete", record, object{}), verify: func(t *testing.T) {
			var world struct {
				Organisations []struct {
					Records []struct {
						ID    string
						Photo *string
					}
				}
			}
			e.Ask(t, "GET", "world", nil, &world)
			for _, r := range world.Organisations[0].Records {
				if r.ID == record && r.Photo != nil {
					t.Errorf("%s still has its photo", record)
				}
			}
		}}
	})
	kind(25, func(i int) job {
		record := e.Record(b.T, "Contacts", "normal")
		content := strings.Repeat("to be downloaded\n", 1+i)
		path := filepath.Join(files, fmt.Sprintf("download %d", i))
		id := e.Attach(b.T, "Contacts", record, "a.txt", content)
		return job{
			body:   step("attachment.download", record, object{"attachment_id": id, "sink": object{"path": path, "overwrite": true}}),
			verify: holds(path, content),
		}
	})
	kind(20, func(i int) job {
		record := e.Record(b.T, "Contacts", "normal")
		gone, stays := e.Attach(b.T, "Contacts", record, "gone.txt", "x"), e.Attach(b.T, "Contacts", record, "stays.txt", "x")
		ids, left := []string{gone}, "[stays.txt]"
		if i%2 == 0 {
			ids, left = []string{gone, stays}, "[]"
		}
		return job{body: step("attachment.delete", record, object{"attachment_ids": ids}), verify: func(t *testing.T) {
			if names := fmt.Sprint(e.Names(t, "Contacts", record)); names != left {
				t.Errorf("%s has %s, want %s", record, names, left)
			}
		}}
	})
	kind(15, func(int) job { return job{body: step("attachment.list", record, object{})} })

	kind(8, func(i int) job {
		return job{body: step("attachment.upload", fmt.Sprint(999000+i), object{"source": object{"base64": "eA==", "name": "bad.txt"}}), code: "INVALID_DATA"}
	})
	kind(5, func(int) job {
		return job{body: step("attachment.upload", locked, object{"source": object{"base64": "eA==", "name": "bad.txt"}}), code: "RECORD_LOCKED"}
	})
	kind(5, func(int) job {
		return job{body: step("attachment.upload", record, object{"source": object{"path": "/etc/passwd"}}), code: "ARGUMENT"}
	})
	kind(5, func(i int) job {
		return job{body: step("attachment.upload", record, object{"source": object{"path": filepath.Join(files, fmt.Sprint("absent", i))}}), code: "IO"}
	})
	kind(4, func(int) job {
		return job{body: step("attachment.download", record, object{"attachment_id": "404404", "sink": object{"base64": true}}), code: "NOT_FOUND"}
	})
	kind(4, func(int) job {
		return job{body: []byte(`{"operation":"attachment.list","module":"Contacts","record_id":2876819000001234006}`), code: "ARGUMENT"}
	})
	kind(3, func(int) job { return job{body: step("attachment.rename", record, object{}), code: "ARGUMENT"} })
	kind(3, func(int) job { return job{body: []byte(`{"operation": "attachment.up`), code: "ARGUMENT"} })
	kind(3, func(int) job {
		return job{body: step("photo.download", e.Record(b.T, "Contacts", "normal"), object{"sink": object{"base64": true}}), code: "NOT_FOUND"}
	})

	return mixed(kinds)
}

// mixed takes from each kind in turn, in proportion.
func mixed(kinds [][]job) (jobs []job) {
	const rounds = 10
	for round := range rounds {
		for _, kind := range kinds {
			jobs = append(jobs, kind[len(kind)*round/rounds:len(kind)*(round+1)/rounds]...)
		}
	}
	for i := range jobs {
		jobs[i].id = fmt.Sprintf("job-%d", i)
	}
	return jobs
}

func holds(path, content string) func(t *testing.T) {
	return func(t *testing.T) {
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%s has %d bytes, want %d: %v", path, len(got), len(content), err)
		}
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
