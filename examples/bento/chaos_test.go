package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zcrm/zcrm/examples/bento/internal/emulator"
	"github.com/zcrm/zcrm/examples/bento/internal/servers"
)

// TestChaos lets everything fail that can while jobs of every operation run: workers are killed, stopped and frozen, the server of the queue is
// killed and away, the API and the accounts server are away, replies are lost. At the end each job has exactly one outcome, each file is on its
// record once, and nothing is left in the streams. ZCRM_CHAOS_SECONDS and ZCRM_CHAOS_SEED set how long, and which.
func TestChaos(t *testing.T) {
	t.Parallel()
	seconds, _ := strconv.Atoi(os.Getenv("ZCRM_CHAOS_SECONDS"))
	if seconds == 0 {
		seconds = 300
	}
	seed, _ := strconv.ParseUint(os.Getenv("ZCRM_CHAOS_SEED"), 10, 64)
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("ZCRM_CHAOS_SECONDS=%d ZCRM_CHAOS_SEED=%d", seconds, seed)
	c := newChaos(t, time.Duration(seconds)*time.Second, rand.New(rand.NewPCG(seed, 1)))
	for name := range 2 + c.random.IntN(2) {
		c.start(fmt.Sprint("worker-", name))
	}
	var enqueued sync.WaitGroup
	enqueued.Go(c.enqueueAll)
	for began := time.Now(); time.Since(began) < c.length; {
		c.strike()
		time.Sleep(time.Duration(300+c.random.IntN(2000)) * time.Millisecond)
	}
	enqueued.Wait()
	c.heal()
	c.waitUntilNothingIsLeft()
	c.check()
}

type chaos struct {
	*bench
	length time.Duration
	began  time.Time
	random *rand.Rand // of the one goroutine that strikes
	nats   *exec.Cmd
	port   string
	api    *relay
	struck map[string]int
	frozen []standstill

	orphans []string // jobs that are done, acknowledged, and in the stream all the same

	mu   sync.Mutex
	jobs []chaosJob
}

// standstill is when a worker stood still.
type standstill struct {
	worker   string
	from, to time.Duration // since the emulator began
}

type chaosJob struct {
	id     string
	stores []string // record/name, each to be there once
	dead   bool     // it can't be done
	either bool     // done or dead: the world decides
}

func newChaos(t *testing.T, length time.Duration, random *rand.Rand) *chaos {
	b := &bench{T: t, dir: t.TempDir(), emulator: emulator.Start(t), workers: map[string]*worker{}}
	b.ctx = t.Context()
	check(t, os.Mkdir(filepath.Join(b.dir, "files"), 0o700))
	c := &chaos{bench: b, length: length, began: time.Now(), random: random, struck: map[string]int{}}
	c.api = newRelay(t, strings.TrimPrefix(b.emulator.URL, "http://"))
	c.port = servers.FreePort(t)
	c.startNATS()
	t.Cleanup(func() { _ = c.nats.Process.Kill(); _ = c.nats.Wait() })
	conn, err := nats.Connect(b.url, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	check(t, err)
	t.Cleanup(conn.Close)
	b.js, err = jetstream.New(conn)
	check(t, err)
	return c
}

func (c *chaos) startNATS() {
	c.nats = exec.Command(program(c.T, "jetstream"), "-dir", filepath.Join(c.dir, "streams"), "-port", c.port,
		"-ack-wait", "6s", "-max-ack-pending", "24", "-max-payload", "65536")
	c.nats.Stderr = os.Stderr
	stdout, err := c.nats.StdoutPipe()
	check(c.T, err)
	check(c.T, c.nats.Start())
	_, err = fmt.Fscan(stdout, &c.url)
	check(c.T, err)
}

// start starts a worker that reaches the API over the relay.
func (c *chaos) start(name string, more ...string) {
	c.bench.start(name, append([]string{"ZCRM_API_DOMAIN=" + c.api.url, "ZCRM_ACCOUNTS_URL=" + c.api.url, "ZCRM_TIMEOUT=20s", "ZCRM_PAUSE=200ms", "ZCRM_SHUTDOWN=2s",
		"ZCRM_LOG_LEVEL=WARN", "ZCRM_MESSAGE_FILE_BYTES=30000"}, more...)...)
}

// strike lets one thing go wrong.
func (c *chaos) strike() {
	names := make([]string, 0, len(c.workers))
	for name := range c.workers {
		names = append(names, name)
	}
	slices.Sort(names)
	name := names[c.random.IntN(len(names))]
	what := []string{"kill", "kill", "stop", "stop", "freeze", "queue away", "api away", "lost", "lost", "resets", "late", "server", "results away"}[c.random.IntN(13)]
	c.struck[what]++
	process := c.workers[name].Process
	switch what {
	case "kill":
		_ = process.Kill()
		_ = c.workers[name].Wait()
		c.start(name)
	case "stop":
		_ = process.Signal(syscall.SIGTERM)
		_ = c.workers[name].Wait()
		c.start(name)
	case "freeze": // for longer than ack_wait
		still := standstill{worker: name, from: time.Since(c.began)}
		_ = process.Signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(3+c.random.IntN(6)) * time.Second)
		_ = process.Signal(syscall.SIGCONT)
		still.to = time.Since(c.began)
		c.frozen = append(c.frozen, still)
	case "queue away":
		_ = c.nats.Process.Kill()
		_ = c.nats.Wait()
		time.Sleep(c.outage())
		c.startNATS()
	case "api away":
		c.api.away(true)
		time.Sleep(c.outage())
		c.api.away(false)
	case "results away":
		config := must(c.js.Stream(c.ctx, "ZCRM_RESULTS")).CachedInfo().Config
		kept := config.Subjects
		config.Subjects = []string{"elsewhere"}
		_, _ = c.js.UpdateStream(c.ctx, config)
		time.Sleep(2 * time.Second)
		config.Subjects = kept
		for _, err := c.js.UpdateStream(c.ctx, config); err != nil; _, err = c.js.UpdateStream(c.ctx, config) {
			time.Sleep(100 * time.Millisecond)
		}
	default:
		fault := map[string]map[string]any{
			"lost":   {"kind": "reset_after_store"},
			"resets": {"kind": "reset_before_store", "after_bytes": 100},
			"late":   {"kind": "delay", "ms": 1500},
			"server": {"kind": "status", "status": 503},
		}[what]
		operations := []string{"attachment.upload", "attachment.upload", "attachment.list", "attachment.download", "attachment.delete", "photo.upload", "photo.delete"}
		c.emulator.Fault(c.T, operations[c.random.IntN(len(operations))], slices.Repeat([]map[string]any{fault}, 1+c.random.IntN(8))...)
	}
}

// outage is how long something stays away: mostly seconds, in a long run up to three minutes.
func (c *chaos) outage() time.Duration {
	if c.length > 20*time.Minute && c.random.IntN(20) == 0 {
		return time.Duration(30+c.random.IntN(150)) * time.Second
	}
	return time.Duration(1000+c.random.IntN(4000)) * time.Millisecond
}

func (c *chaos) heal() {
	c.api.away(false)
	c.emulator.Ask(c.T, "DELETE", "faults", nil, nil)
}

func (c *chaos) enqueueAll() {
	random := rand.New(rand.NewPCG(c.random.Uint64(), 2))
	for i, began := 0, time.Now(); time.Since(began) < c.length; i++ {
		job, body := c.job(i, random)
		for {
			if _, err := c.js.PublishMsg(c.ctx, &nats.Msg{Subject: "zcrm.jobs", Header: nats.Header{"Nats-Msg-Id": {job.id}}, Data: body}); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		c.mu.Lock()
		c.jobs = append(c.jobs, job)
		c.mu.Unlock()
		time.Sleep(time.Duration(random.IntN(160)) * time.Millisecond)
	}
}

// job makes one of each kind in turn, each with a record of its own but for uploads, which share some.
func (c *chaos) job(i int, random *rand.Rand) (chaosJob, []byte) {
	job := chaosJob{id: fmt.Sprint("job-", i)}
	record := c.emulator.Record(c.T, "Contacts", "normal")
	step := func(operation string, more object) []byte {
		more["operation"], more["module"], more["record_id"] = operation, "Contacts", record
		return must(json.Marshal(more))
	}
	file := func(name string) object {
		path := filepath.Join(c.dir, "files", name)
		check(c.T, os.WriteFile(path, bytes.Repeat([]byte(name+"\n"), 1+random.IntN(2000)), 0o600))
		job.stores = append(job.stores, record+"/"+name)
		return object{"path": path}
	}
	batch := func(more object) []byte {
		var steps []object
		for n := range 6 {
			name := fmt.Sprintf("part %d of %d.txt", n, i)
			steps = append(steps, object{"key": name, "step": json.RawMessage(step("attachment.upload", object{"source": file(name)}))})
		}
		more["operation"], more["steps"] = "batch", steps
		return must(json.Marshal(more))
	}
	switch name := fmt.Sprintf("file %d.txt", i); i % 15 {
	case 0, 1, 2:
		return job, step("attachment.upload", object{"source": file(name)})
	case 3:
		job.stores = []string{record + "/" + name}
		return job, step("attachment.upload", object{"source": object{"base64": base64.StdEncoding.EncodeToString([]byte(name)), "name": name}})
	case 4:
		job.stores = []string{record + "/" + name}
		return job, step("attachment.upload", object{"source": object{"url": fmt.Sprintf("https://www.example.org/%d", i), "title": name}})
	case 5:
		return job, step("photo.upload", object{"source": object{"base64": base64.StdEncoding.EncodeToString(portrait()), "name": "portrait.png"}})
	case 6:
		c.emulator.Ask(c.T, "PUT", "records/Contacts/"+record+"/photo", portrait(), nil)
		return job, step("photo.delete", object{})
	case 7:
		id := c.emulator.Attach(c.T, "Contacts", record, "a.txt", name)
		return job, step("attachment.download", object{"attachment_id": id, "sink": object{"path": filepath.Join(c.dir, "files", "got "+name)}})
	case 8:
		ids := []string{c.emulator.Attach(c.T, "Contacts", record, "a", "x"), c.emulator.Attach(c.T, "Contacts", record, "b", "x")}
		return job, step("attachment.delete", object{"attachment_ids": ids})
	case 9:
		return job, step("attachment.list", object{})
	case 10:
		return job, batch(object{})
	case 11:
		return job, batch(object{"journal": filepath.Join(c.dir, "files", fmt.Sprint("journal ", i))})
	case 12:
		var links []object
		for n := range 3 {
			title := fmt.Sprintf("link %d of %d", n, i)
			job.stores = append(job.stores, record+"/"+title)
			links = append(links, object{"url": fmt.Sprintf("https://www.example.org/%d/%d", i, n), "title": title})
		}
		return job, step("attachment.upload", object{"links": links})
	case 13: // its result is larger than a message
		id := c.emulator.Attach(c.T, "Contacts", record, "large", strings.Repeat("x", 60000))
		job.dead = true
		return job, step("attachment.download", object{"attachment_id": id, "sink": object{"base64": true}})
	default:
		job.dead = true
		return job, []byte(`{"operation": "attachment.up`)
	}
}

var portrait = sync.OnceValue(func() []byte { return must(os.ReadFile("../../tests/emulator/fixtures/portrait.png")) })

// waitUntilNothingIsLeft waits for longer than Zoho refuses token requests, ten minutes, and the pauses of a job and a worker after them. Jobs
// that the consumer has acknowledged may be left: a JetStream that is killed may forget that it has removed them, and hands them out no more.
func (c *chaos) waitUntilNothingIsLeft() {
	for deadline := time.Now().Add(20 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		left := must(must(c.js.Stream(c.ctx, "ZCRM_JOBS")).Info(c.ctx)).State
		told := must(must(c.js.Stream(c.ctx, "ZCRM_RESULTS")).Info(c.ctx)).State.Msgs
		info := must(must(c.js.Consumer(c.ctx, "ZCRM_JOBS", "workers")).Info(c.ctx))
		idle := info.NumPending == 0 && info.NumAckPending == 0 && int(told) >= len(c.jobs)
		if left.Msgs == 0 || idle && c.areAcknowledged(left, info.AckFloor.Stream) {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("%d jobs are left in the stream, %d outcomes of %d jobs; to be delivered %d, with workers %d, acknowledged up to %d of %d",
				left.Msgs, told, len(c.jobs), info.NumPending, info.NumAckPending, info.AckFloor.Stream, info.Delivered.Stream)
		}
	}
}

// areAcknowledged reports whether each job in the stream is at or below the floor, and keeps their ids.
func (c *chaos) areAcknowledged(left jetstream.StreamState, floor uint64) bool {
	if left.LastSeq > floor && left.FirstSeq > floor {
		return false
	}
	c.orphans = nil
	for seq := left.FirstSeq; ; seq++ {
		msg, err := must(c.js.Stream(c.ctx, "ZCRM_JOBS")).GetMsg(c.ctx, seq, jetstream.WithGetMsgSubject("zcrm.jobs")) // that one, or the next
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return len(c.orphans) == int(left.Msgs)
		}
		check(c.T, err)
		if msg.Sequence > floor {
			return false
		}
		seq = msg.Sequence
		c.orphans = append(c.orphans, msg.Header.Get("Nats-Msg-Id"))
	}
}

func (c *chaos) check() {
	outcomes := c.outcomes()
	times, byFrozen := map[string]int{}, map[string]bool{}
	ledger := c.emulator.Ledger(c.T)
	for _, stored := range ledger.Stored {
		if stored.Seq != 0 && stored.Kind != "photo" {
			file := stored.Record + "/" + stored.Name
			times[file]++
			byFrozen[file] = byFrozen[file] || c.wokeBefore(ledger.Request(stored.Seq))
		}
	}
	counts := map[string]int{}
	for _, job := range c.jobs {
		got := outcomes[job.id]
		if len(got) != 1 || job.dead != (got[0].Subject() == "zcrm.dead") {
			c.Errorf("%s, dead %t, has these outcomes: %s", job.id, job.dead, texts(got))
			continue
		}
		counts[got[0].Subject()]++
		for _, file := range job.stores {
			counts["files"]++
			// A worker that stands still between its look and its sending, for longer than ack_wait, can't know that another one came first.
			if times[file] == 2 && byFrozen[file] {
				counts["second copies by a frozen worker"]++
			} else if times[file] != 1 {
				c.Errorf("%s: %s is stored %d times: %s", job.id, file, times[file], texts(got))
			}
		}
	}
	for _, id := range c.orphans {
		if len(outcomes[id]) != 1 {
			c.Errorf("%s is acknowledged and left in the stream, with these outcomes: %s", id, texts(outcomes[id]))
		}
		counts["acknowledged and left in the stream"]++
	}
	if len(outcomes) != len(c.jobs) {
		c.Errorf("%d outcomes of %d jobs", len(outcomes), len(c.jobs))
	}
	c.Logf("%d jobs, %v; struck: %v", len(c.jobs), counts, c.struck)
	for name := range c.workers {
		c.stop(name)
	}
}

// wokeBefore reports whether the worker that sent a request had just stood still.
func (c *chaos) wokeBefore(request emulator.Request) bool {
	worker, at := workerOf(request), time.Duration(request.AtMS)*time.Millisecond
	return slices.ContainsFunc(c.frozen, func(s standstill) bool {
		return s.worker == worker && s.from-time.Second <= at && at <= s.to+5*time.Second
	})
}

// relay stands between the workers and the emulator, and can be away.
type relay struct {
	url, to  string
	listener net.Listener
	mu       sync.Mutex
	gone     bool
	open     map[net.Conn]bool
}

func newRelay(t *testing.T, to string) *relay { return newRelayAt(t, "127.0.0.1:0", to) }

func newRelayAt(t *testing.T, address, to string) *relay {
	listener, err := net.Listen("tcp", address)
	check(t, err)
	r := &relay{url: "http://" + listener.Addr().String(), to: to, listener: listener, open: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go r.carry(from)
		}
	}()
	return r
}

func (r *relay) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer to.Close()
	r.mu.Lock()
	if r.gone {
		r.mu.Unlock()
		return
	}
	r.open[from] = true
	r.mu.Unlock()
	go func() {
		_, _ = io.Copy(from, to)
		_ = from.Close()
	}()
	_, _ = io.Copy(to, from)
	r.mu.Lock()
	delete(r.open, from)
	r.mu.Unlock()
}

// away breaks every connection, and the new ones at once, until it is called with false.
func (r *relay) away(gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = gone
	for conn := range r.open {
		_ = conn.Close()
	}
}
