package main

import (
	"bytes"
	"encoding/json"
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

func TestABatchThatItsTimeoutCutsShortComesAgainUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s")
	record := b.emulator.Record(t, "Contacts", "normal")
	b.emulator.Fault(t, "attachment.upload", slices.Repeat([]map[string]any{{"kind": "delay", "ms": 400}}, 12)...)
	var steps []object
	for i := range 20 {
		name := fmt.Sprintf("part %d.txt", i)
		step := object{"operation": "attachment.upload", "module": "Contacts", "record_id": record, "source": object{"base64": "eA==", "name": name}}
		steps = append(steps, object{"key": name, "step": step})
	}
	b.start("one", "ZCRM_TIMEOUT=1s")
	b.enqueue(job{id: "long", body: must(json.Marshal(object{"operation": "batch", "steps": steps}))})
	b.waitForResults(1)
	got := b.outcomes()["long"]
	if len(got) != 1 || got[0].Subject() != "zcrm.done" || !bytes.Contains(got[0].Data(), []byte(`"done":20`)) {
		t.Error(texts(got))
	}
	if names := b.emulator.Names(t, "Contacts", record); len(names) != 20 {
		t.Errorf("the record has %d attachments: %v", len(names), names)
	}
	b.stop("one")
}

func TestAJobThatWasHandedOutTooOftenIsADeadLetter(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s", "-max-deliver", "2")
	record := b.emulator.Record(t, "Contacts", "normal")
	b.emulator.Fault(t, "attachment.list", slices.Repeat([]map[string]any{{"kind": "status", "status": 503}}, 40)...)
	b.start("one")
	body := []byte(`{"operation":"attachment.list","module":"Contacts","record_id":"` + record + `"}`)
	b.enqueue(job{id: "hopeless", body: body})
	b.waitForResults(1)
	got := b.outcomes()["hopeless"]
	if len(got) != 1 || got[0].Subject() != "zcrm.dead" || got[0].Headers().Get("zcrm_code") != "UNDELIVERABLE" || !bytes.Equal(got[0].Data(), body) {
		t.Error(texts(got))
	}
	b.expectNoJobLeft()
	b.stop("one")
}

func TestAWorkerWhoseCredentialsAreRefusedTakesNoJobs(t *testing.T) {
	for _, wrong := range []string{"ZCRM_CLIENT_SECRET", "ZCRM_CLIENT_ID", "ZCRM_REFRESH_TOKEN"} {
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "15s")
			record := b.emulator.Record(t, "Contacts", "normal")
			var ids []string
			for i := range 20 {
				ids = append(ids, fmt.Sprint(i))
				b.enqueue(list(ids[i], record))
			}
			address := "127.0.0.1:" + servers.FreePort(t)
			b.start("mistyped", wrong+"=wrong", "ZCRM_WORKER_ADDRESS="+address)
			b.waitForReady(address, http.StatusServiceUnavailable)
			b.stop("mistyped")
			if n := must(must(b.js.Stream(b.ctx, "ZCRM_JOBS")).Info(b.ctx)).State.Msgs; n != 20 {
				t.Errorf("%d jobs of 20 are left in the queue", n)
			}
			b.start("right")
			b.waitForResults(20)
			b.expectDone(ids...)
			b.stop("right")
		})
	}
}

func TestAJobThatTheTokenHasNoScopeForWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s")
	record := b.emulator.Record(t, "Contacts", "normal")
	mismatch := object{"kind": "body", "status": 401, "body": `{"code":"OAUTH_SCOPE_MISMATCH","details":{},"message":"invalid oauth scope","status":"error"}`}
	b.emulator.Ask(t, "POST", "faults", object{"operation": "attachment.list", "always": true, "faults": []object{mismatch}}, nil)
	b.start("one")
	b.enqueue(list("a", record))
	b.enqueue(list("b", record))
	b.waitForCalls("one", 6)
	b.emulator.Ask(t, "DELETE", "faults", nil, nil)
	b.waitForResults(2)
	b.expectDone("a", "b")
	b.stop("one")
}

func TestAResultThatFitsIntoNoMessageIsADeadLetterWithoutIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s", "-max-payload", "65536")
	record := b.emulator.Record(t, "Contacts", "normal")
	for i := range 180 {
		b.emulator.Attach(t, "Contacts", record, fmt.Sprint(strings.Repeat("n", 200), i), "x")
	}
	large := b.emulator.Attach(t, "Contacts", record, "large", strings.Repeat("x", 60000))
	b.start("one", "ZCRM_MESSAGE_FILE_BYTES=30000")
	b.enqueue(job{id: "list", body: []byte(`{"operation":"attachment.list","module":"Contacts","record_id":"` + record + `"}`)})
	b.enqueue(job{id: "file", body: []byte(`{"operation":"attachment.download","module":"Contacts","record_id":"` + record + `","attachment_id":"` + large + `","sink":{"base64":true}}`)})
	b.waitForResults(2)
	for id, code := range map[string]string{"list": "RESULT_TOO_LARGE", "file": "TOO_LARGE"} {
		got := b.outcomes()[id]
		if len(got) != 1 || got[0].Subject() != "zcrm.dead" || got[0].Headers().Get("zcrm_code") != code || got[0].Headers().Get("job") == "" {
			t.Errorf("%s: %s", id, texts(got))
		}
	}
	b.expectNoJobLeft()
	b.stop("one")
}

func TestAnIDMadeForAJobMeetsNoOther(t *testing.T) {
	t.Parallel()
	b := newBench(t, "15s")
	record := b.emulator.Record(t, "Contacts", "normal")
	body := []byte(`{"operation":"attachment.list","module":"Contacts","record_id":"` + record + `"}`)
	b.enqueue(job{id: "3", body: body})
	for range 2 {
		_, err := b.js.Publish(b.ctx, "zcrm.jobs", body)
		check(t, err)
	}
	b.start("one")
	b.waitForResults(3)
	if outcomes := b.outcomes(); len(outcomes) != 3 {
		t.Errorf("%d outcomes of 3 jobs", len(outcomes))
	}
	b.stop("one")
}

func TestAWorkerComesBackAfterTheQueueWasAway(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 0, nil)
	address := "127.0.0.1:" + servers.FreePort(t)
	c.start("one", "ZCRM_WORKER_ADDRESS="+address)
	record := c.emulator.Record(t, "Contacts", "normal")
	ask := func(id string) {
		c.enqueue(job{id: id, body: []byte(`{"operation":"attachment.list","module":"Contacts","record_id":"` + record + `"}`)})
	}
	ask("before")
	c.waitForResults(1)
	check(t, c.nats.Process.Kill())
	_ = c.nats.Wait()
	c.waitForReady(address, http.StatusServiceUnavailable)
	c.startNATS()
	for c.js.Conn().Status() != nats.CONNECTED {
		time.Sleep(20 * time.Millisecond)
	}
	ask("after")
	c.waitForResults(2)
	c.waitForReady(address, http.StatusOK)
	c.stop("one")
}

func (b *bench) expectNoJobLeft() {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		n := must(must(b.js.Stream(b.ctx, "ZCRM_JOBS")).Info(b.ctx)).State.Msgs
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			b.Errorf("%d jobs are left in the stream", n)
			return
		}
	}
}
