package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/zcrm/zcrm/examples/bento/internal/servers"
)

// upload is a job that attaches a small file under its own id.
func upload(id, record string) job {
	return job{id: id, body: []byte(`{"operation":"attachment.upload","module":"Contacts","record_id":"` + record + `","source":{"base64":"eA==","name":"` + id + `"}}`)}
}

func list(id, record string) job {
	return job{id: id, body: []byte(`{"operation":"attachment.list","module":"Contacts","record_id":"` + record + `"}`)}
}

// expectDone expects one result of each job.
func (b *bench) expectDone(ids ...string) {
	b.Helper()
	outcomes := b.outcomes()
	for _, id := range ids {
		if got := outcomes[id]; len(got) != 1 || got[0].Subject() != "zcrm.done" {
			b.Errorf("%s: %s", id, texts(got))
		}
	}
}

// expectNames expects that a record has these attachments, each once.
func (b *bench) expectNames(record string, want ...string) {
	b.Helper()
	names := b.emulator.Names(b.T, "Contacts", record)
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		b.Errorf("the record has %v, want %v", names, want)
	}
}

// expectAttachedOnce has a worker with this setting attach a file, and expects that it is done and on its record once.
func (b *bench) expectAttachedOnce(setting string) {
	b.Helper()
	record := b.emulator.Record(b.T, "Contacts", "normal")
	b.start("one", setting)
	b.enqueue(upload("a.txt", record))
	b.waitForResults(1)
	b.expectDone("a.txt")
	b.expectNames(record, "a.txt")
	b.stop("one")
}

// waitUntilHeld waits until workers hold so many jobs.
func (b *bench) waitUntilHeld(n int) {
	b.Helper()
	for {
		consumer, err := b.js.Consumer(b.ctx, "ZCRM_JOBS", "workers")
		if err != nil {
			b.Fatalf("waiting until %d jobs are held: %v", n, err)
		}
		if consumer.CachedInfo().NumAckPending >= n {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// waitForReady waits until /ready answers with that status.
func (b *bench) waitForReady(address string, status int) {
	b.Helper()
	for got := 0; got != status; time.Sleep(50 * time.Millisecond) {
		if reply, err := http.Get("http://" + address + "/ready"); err == nil {
			got = reply.StatusCode
			reply.Body.Close()
		}
		if b.ctx.Err() != nil {
			b.Fatalf("/ready doesn't come to %d", status)
		}
	}
}

func TestAStopGivesBackAtOnceWhatIsNotDone(t *testing.T) {
	t.Parallel()
	b := newBench(t, "10m") // this test ends sooner
	record := b.emulator.Record(t, "Contacts", "normal")
	b.emulator.Fault(t, "attachment.upload", slices.Repeat([]map[string]any{{"kind": "delay", "ms": 1500}}, 40)...)
	var ids []string
	for i := range 20 {
		ids = append(ids, fmt.Sprint("file ", i))
		b.enqueue(upload(ids[i], record))
	}
	for i := range 4 {
		name := fmt.Sprint("stopped-", i)
		b.start(name, "ZCRM_SHUTDOWN=500ms")
		b.waitUntilHeld(5) // four in work, and one fetched ahead
		check(t, b.workers[name].Process.Signal(syscall.SIGTERM))
		_ = b.workers[name].Wait()
	}
	b.start("last")
	b.waitForResults(len(ids))
	b.expectDone(ids...)
	b.expectNames(record, ids...)
	b.expectNoJobLeft()
	b.stop("last")
}

func TestAnUploadOfUnknownOutcomeComesAgainAndIsFound(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s")
	b.emulator.Fault(t, "attachment.upload", map[string]any{"kind": "reset_after_store"})
	b.emulator.Fault(t, "attachment.list", slices.Repeat([]map[string]any{{"kind": "status", "status": 503}}, 12)...)
	b.expectAttachedOnce("ZCRM_LOG_LEVEL=TRACE")
}

func TestAnUploadThatZohosServersFailAtComesAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s")
	b.emulator.Fault(t, "attachment.upload", slices.Repeat([]map[string]any{{"kind": "status", "status": 503}}, 12)...) // the library tries it five times
	b.expectAttachedOnce("ZCRM_TIMEOUT=1m")
}

func TestDeliveriesInWhichNoCallFailedCostAJobNoTry(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s")
	record := b.emulator.Record(t, "Contacts", "normal")
	b.enqueue(upload("a.txt", record))
	lost := must(b.js.Consumer(b.ctx, "ZCRM_JOBS", "workers"))
	for range 12 { // workers that are killed, or wait for the network
		check(t, must(lost.Next()).Nak())
	}
	b.emulator.Fault(t, "attachment.upload", slices.Repeat([]map[string]any{{"kind": "status", "status": 503}}, 12)...)
	b.start("one", "ZCRM_TIMEOUT=1m", "ZCRM_PAUSE=1ms") // which has doubled twelve times
	b.waitForResults(1)
	b.expectDone("a.txt")
	b.expectNames(record, "a.txt")
	b.stop("one")
}

func TestAWorkerThatStoodStillLooksBeforeItUploads(t *testing.T) {
	t.Parallel()
	b := newBench(t, "3s")
	record := b.emulator.Record(t, "Contacts", "normal")
	b.emulator.Fault(t, "attachment.list", slices.Repeat([]map[string]any{{"kind": "delay", "ms": 2000}}, 4)...)
	b.start("frozen")
	for i := range 4 {
		b.enqueue(list(fmt.Sprint("list ", i), record))
	}
	b.waitUntilHeld(4)
	b.enqueue(upload("a.txt", record))
	b.waitUntilHeld(5)
	time.Sleep(300 * time.Millisecond) // until it has arrived and waits for one of the four threads
	check(t, b.workers["frozen"].Process.Signal(syscall.SIGSTOP))
	b.start("awake")
	b.waitForResults(5)
	check(t, b.workers["frozen"].Process.Signal(syscall.SIGCONT))
	b.waitForCalls("frozen", 6) // the token, four lists, and the look
	b.stop("frozen", "awake")
	b.expectNames(record, "a.txt")
}

func TestJobsWaitWhileTheAPICannotBeReached(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s", "-max-deliver", "6")
	api := "127.0.0.1:" + servers.FreePort(t) // where nobody listens yet
	record := b.emulator.Record(t, "Contacts", "normal")
	var ids []string
	for i := range 20 {
		ids = append(ids, fmt.Sprint(i))
		b.enqueue(list(ids[i], record))
	}
	address := "127.0.0.1:" + servers.FreePort(t)
	b.start("one", "ZCRM_API_DOMAIN=http://"+api, "ZCRM_WORKER_ADDRESS="+address, "ZCRM_PAUSE=2s")
	b.waitForReady(address, http.StatusServiceUnavailable)
	newRelayAt(t, api, strings.TrimPrefix(b.emulator.URL, "http://"))
	b.waitForResults(len(ids))
	b.expectDone(ids...)
	b.expectNoJobLeft()
	b.stop("one")
}

func TestOutcomesWaitWhileTheirStreamIsAway(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s", "-max-deliver", "4")
	results := must(b.js.Stream(b.ctx, "ZCRM_RESULTS")).CachedInfo().Config
	check(t, b.js.DeleteStream(b.ctx, "ZCRM_RESULTS"))
	record := b.emulator.Record(t, "Contacts", "normal")
	var ids []string
	for i := range 10 {
		ids = append(ids, fmt.Sprint("file ", i))
		b.enqueue(upload(ids[i], record))
	}
	b.start("one", "ZCRM_PAUSE=3s")
	for len(b.emulator.Names(t, "Contacts", record)) < limit && b.ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	must(b.js.CreateStream(b.ctx, results))
	b.waitForResults(len(ids))
	b.expectDone(ids...)
	b.expectNames(record, ids...)
	b.expectNoJobLeft()
	b.stop("one")
}

func TestAJobThatIsItselfTooLargeForADeadLetterIsToldWithoutItsContent(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s", "-max-payload", "65536", "-max-deliver", "3")
	step := func(length int) []byte {
		return []byte(`{"operation":"attachment.list","module":"` + strings.Repeat("M", length) + `","record_id":"999"}`)
	}
	b.start("one")
	b.enqueue(job{id: "long", body: step(65000)})
	b.enqueue(job{id: strings.Repeat("i", 6000), body: step(52000)})
	b.waitForResults(2)
	for id, got := range b.outcomes() {
		if len(got) != 1 || got[0].Subject() != "zcrm.dead" || len(got[0].Data()) != 0 || got[0].Headers().Get("zcrm_code") == "UNDELIVERABLE" {
			t.Errorf("%.20s: %s", id, texts(got))
		}
	}
	b.expectNoJobLeft()
	b.stop("one")
}

func TestADeadLetterMayBePublishedAgainWithAllItsHeaders(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s")
	again := list("again", b.emulator.Record(t, "Contacts", "normal"))
	headers := nats.Header{"Nats-Msg-Id": {again.id}}
	for name, value := range map[string]string{"zcrm_undeliverable": "true", "zcrm_class": "NETWORK", "zcrm_held_until": "x", "zcrm_job_id": "y"} {
		headers[name] = []string{value}
	}
	_, err := b.js.PublishMsg(b.ctx, &nats.Msg{Subject: "zcrm.jobs", Header: headers, Data: again.body})
	check(t, err)
	b.start("one")
	b.waitForResults(1)
	b.expectDone("again")
	b.stop("one")
}

func TestAWorkerSaysWhyAJobFailedThoughNothingWasSent(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s")
	b.start("one", "ZCRM_LOG_LEVEL=WARN")
	b.enqueue(job{id: "path", body: []byte(`{"operation":"attachment.upload","module":"Contacts","record_id":"1","source":{"path":"/etc/passwd"}}`)})
	b.waitForResults(1)
	b.stop("one")
	if log := b.workers["one"].log.String(); !strings.Contains(log, "allow_paths") {
		t.Errorf("the log is %q", log)
	}
}

func TestWhatAKilledServerHasForgottenIsLookedForBeforeItIsUploaded(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 0, nil)
	c.start("one")
	for round := range 8 {
		record := c.emulator.Record(t, "Contacts", "normal")
		// It is stored at once, and the worker isn't told until the server is dead.
		c.emulator.Fault(t, "attachment.upload", slices.Repeat([]map[string]any{{"kind": "stall", "at": "before_reply", "ms": 500}}, 4)...)
		var ids []string
		for i := range 4 {
			ids = append(ids, fmt.Sprintf("file %d of %d", i, round))
		}
		for _, id := range ids {
			c.enqueue(upload(id, record))
		}
		for len(c.emulator.Names(t, "Contacts", record)) < len(ids) {
			time.Sleep(2 * time.Millisecond)
		}
		check(t, c.nats.Process.Kill())
		_ = c.nats.Wait()
		c.startNATS()
		for c.js.Conn().Status() != nats.CONNECTED {
			time.Sleep(20 * time.Millisecond)
		}
		c.waitForResults(len(ids) * (round + 1))
		c.expectNoJobLeft()
		c.expectDone(ids...)
		c.expectNames(record, ids...)
	}
	c.stop("one")
}
