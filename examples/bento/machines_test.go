package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zcrm/zcrm/examples/bento/internal/servers"
)

const machines = 6

// startMachines starts workers that have nothing but the network in common, each with this configuration.
func (b *bench) startMachines(config string) {
	for i := range machines {
		name := fmt.Sprint("machine-", i)
		files := filepath.Join(b.dir, name)
		check(b.T, os.Mkdir(files, 0o700))
		b.startWith(config, name, "ZCRM_ALLOW_PATHS="+files, "ZCRM_TIMEOUT=1m", "ZCRM_LOG_LEVEL=WARN")
	}
}

// enqueueContents makes jobs whose files are in the jobs.
func (b *bench) enqueueContents(n int) {
	for i := range n {
		record := b.emulator.Record(b.T, "Contacts", "normal")
		name := fmt.Sprintf("file %d.txt", i)
		source := object{"base64": base64.StdEncoding.EncodeToString([]byte(strings.Repeat(name, 100))), "name": name}
		body := must(json.Marshal(object{"operation": "attachment.upload", "module": "Contacts", "record_id": record, "source": source}))
		b.enqueue(job{id: name, body: body})
	}
}

// expectEachDoneOnce is for jobs of enqueueContents.
func (b *bench) expectEachDoneOnce(n int) {
	b.Helper()
	outcomes := b.outcomes()
	stored := map[string]int{}
	for _, file := range b.emulator.Ledger(b.T).Stored {
		stored[file.Name]++
	}
	for i := range n {
		name := fmt.Sprintf("file %d.txt", i)
		if got := outcomes[name]; len(got) != 1 || got[0].Subject() != "zcrm.done" {
			b.Errorf("%s: %s", name, texts(got))
		}
		if stored[name] != 1 {
			b.Errorf("%s is stored %d times", name, stored[name])
		}
	}
}

func (b *bench) tokenRequests() (n int) {
	for _, request := range b.emulator.Ledger(b.T).Requests {
		if request.Operation == "token" {
			n++
		}
	}
	return n
}

func TestWorkersOfSixMachinesShareOneToken(t *testing.T) {
	for name, config := range map[string]func(*testing.T) string{
		"JetStream": func(*testing.T) string { return "worker.yaml" },
		"Redis":     withRedis,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := config(t)
			b := newBench(t, "15s", "-max-ack-pending", "32")
			b.emulator.Ask(t, "PATCH", "settings", object{"concurrency": 10, "service_ms": 50}, nil)
			expire := func() { b.emulator.Ask(t, "POST", "tokens/expire", nil, nil) }
			b.enqueueContents(300)
			b.startMachines(config)
			b.waitForResults(60)
			expire()
			b.waitForResults(120)
			b.emulator.Fault(t, "token", map[string]any{"kind": "stall", "at": "before_reply", "ms": 30000})
			expire()
			b.killStalled() // it holds the lock
			b.waitForResults(200)
			expire()
			b.waitForResults(300)
			b.expectEachDoneOnce(300)
			// The first one, one for each expiry, and one more for the worker that was killed.
			if n := b.tokenRequests(); n > 1+3+1 {
				t.Errorf("%d tokens were asked for", n)
			}
		})
	}
}

// withRedis gives worker.yaml with a cache in a Redis server.
func withRedis(t *testing.T) string {
	url := servers.Redis(t)
	head, rest, _ := strings.Cut(string(must(os.ReadFile("worker.yaml"))), "    zoho_crm_bucket:\n")
	_, rest, found := strings.Cut(rest, "      bucket: ZCRM_TOKENS\n")
	if !found {
		t.Fatal("worker.yaml has no bucket")
	}
	path := filepath.Join(t.TempDir(), "worker.yaml")
	check(t, os.WriteFile(path, []byte(head+"    redis: { url: "+url+" }\n"+rest), 0o600))
	return path
}

// TestSixWorkersReachWhatTheOrganisationBears measures, and so runs in the soak alone.
func TestSixWorkersReachWhatTheOrganisationBears(t *testing.T) {
	if os.Getenv("ZCRM_CHAOS_SECONDS") == "" {
		t.Skip("it measures: make soak-bento")
	}
	const concurrency, jobs = 10, 2000
	const service = 200 * time.Millisecond
	b := newBench(t, "30s", "-max-ack-pending", "64")
	b.emulator.Ask(t, "PATCH", "settings", object{"concurrency": concurrency, "service_ms": service.Milliseconds()}, nil)
	b.enqueueContents(jobs)
	b.startMachines("worker.yaml")
	b.waitForResults(1)
	began := time.Now()
	b.waitForResults(jobs)
	took := time.Since(began)
	b.expectEachDoneOnce(jobs)
	refused := 0
	ledger := b.emulator.Ledger(t)
	for _, request := range ledger.Requests {
		if request.Status == 429 {
			refused++
		}
	}
	optimum := service * jobs / concurrency
	t.Logf("%d uploads by %d workers in %.1f s: %.0f %% of the optimum; %d of %d calls were refused and waited",
		jobs, machines, took.Seconds(), 100*optimum.Seconds()/took.Seconds(), refused, len(ledger.Requests))
	if optimum.Seconds() < 0.8*took.Seconds() {
		t.Error("that is less than 80 %")
	}
}
