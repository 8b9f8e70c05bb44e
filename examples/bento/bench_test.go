package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

func newBench(t *testing.T, ackWait string, more ...string) *bench {
	b := &bench{T: t, dir: t.TempDir(), emulator: emulator.Start(t), workers: map[string]*worker{}}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	b.ctx = ctx
	check(t, os.Mkdir(filepath.Join(b.dir, "files"), 0o700))
	arguments := append([]string{"-dir", filepath.Join(b.dir, "streams"), "-ack-wait", ackWait, "-max-ack-pending", strconv.Itoa(limit)}, more...)
	server := exec.Command(program(t, "jetstream"), arguments...)
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
	b.startWith("worker.yaml", name, more...)
}

func (b *bench) startWith(config, name string, more ...string) {
	b.Helper()
	w := &worker{Cmd: exec.Command(program(b.T, "bento"), "-c", config)}
	w.Env = environment(b.emulator, "NATS_URL="+b.url, "ZCRM_ALLOW_PATHS="+filepath.Join(b.dir, "files"), "ZCRM_TIMEOUT=7s", "ZCRM_PAUSE=100ms",
		"ZCRM_WORKER="+name, "ZCRM_WORKER_ADDRESS=127.0.0.1:0", "ZCRM_LOG_LEVEL=TRACE")
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
	return b.killStalled()
}

// killStalled kills the worker whose call meets a stall.
func (b *bench) killStalled() string {
	b.Helper()
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
	b.Fatal("no call met the stall")
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
		results, err := b.js.Stream(b.ctx, "ZCRM_RESULTS") // as it is now
		if err != nil {
			b.Fatalf("waiting for %d results: %v", n, err)
		}
		if int(results.CachedInfo().State.Msgs) >= n {
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

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
