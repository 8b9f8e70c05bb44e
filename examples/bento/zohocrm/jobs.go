package zohocrm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/warpstreamlabs/bento/public/service"
)

// Metadata of a job. The engine's own nats_jetstream input has the first three under the same names.
const (
	metaDelivered     = "nats_num_delivered"
	metaSequence      = "nats_sequence_stream"
	metaSubject       = "nats_subject"
	metaMaxPayload    = "nats_max_payload"
	metaJobID         = "zcrm_job_id"
	metaHeldUntil     = "zcrm_held_until"
	metaAgain         = "zcrm_again"
	metaUndeliverable = "zcrm_undeliverable"
)

func jobsSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Beta().
		Categories("Services").
		Version("0.1.0").
		Summary("Takes jobs from a pull consumer of NATS JetStream, and keeps each one while it is worked on.").
		Description(`
In place of the engine's ` + "`nats_jetstream`" + ` where no job may be lost or done twice:

- While a job is worked on, the input tells JetStream so, three times in the consumer's ` + "`ack_wait`" + `. So ` + "`ack_wait`" + ` can be short, and the
  jobs of a worker that dies come back after seconds.
- A job that is refused comes back after a pause that doubles with each delivery, from ` + "`pause`" + ` to ` + "`longest_pause`" + `.
- When the worker stops, jobs that it has not begun go back at once. A job whose upload was cut off or had no answer stays away for 20 seconds at
  least, so that the look for it doesn't come before it is stored.
- While the server is away it connects again and again, and ` + "`/ready`" + ` says 503. So it does while Zoho refuses the credentials or can't be
  reached from here, as ` + "`zoho_crm_file`" + ` finds out: then no job is taken, but for one now and then to see whether that is over.
- A server that is killed forgets what it handed out in its last tenth of a second, and hands it out again as if it were new. So after each
  connect the next jobs that had been published by then are marked by ` + "`zcrm_again`" + `: four times as many as ` + "`max_ack_pending`" + `, at most 256.
- A job that reached the consumer's ` + "`max_deliver`" + ` comes once more, marked by ` + "`zcrm_undeliverable`" + `, when the stream ` + "`undeliverable`" + ` keeps
  JetStream's advisories about it. Acknowledge it, and it leaves the stream of jobs.

### Metadata

` + "```text" + `
- nats_subject, nats_sequence_stream, nats_num_delivered, and each header of the job under its own name, but for zcrm_…
- nats_max_payload    most bytes of a message that the server takes, headers included
- zcrm_job_id         the job's Nats-Msg-Id; where it has none, one made from the stream's name, its age and the sequence
- zcrm_again          "true" when the job was handed out before; also when the server may have forgotten that, since it was killed
- zcrm_held_until     Unix time in seconds from which on the job may be another worker's, if this one stood still, in a frozen container say
- zcrm_undeliverable  "true" when the job was handed out as often as the consumer allows
` + "```" + `
`).
		Fields(natsFields()...).
		Field(service.NewStringField("stream").Description("The stream of the jobs.").Default("ZCRM_JOBS")).
		Field(service.NewStringField("consumer").Description("Its durable pull consumer, which exists already and acknowledges explicitly.").Default("workers")).
		Field(service.NewStringField("undeliverable").
			Description("A stream of `$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.STREAM.CONSUMER`, with a durable pull consumer of the same name. Empty: none.").Default("")).
		Field(service.NewDurationField("pause").Description("How long a refused job stays away the first time.").Default("10s")).
		Field(service.NewDurationField("longest_pause").Description("What that pause grows to.").Default("5m"))
}

func init() {
	must(0, service.RegisterInput("zoho_crm_jobs", jobsSpec(), func(conf *service.ParsedConfig, mgr *service.Resources) (service.Input, error) {
		return newJobs(conf, mgr)
	}))
}

// jobs is the input. Its connection lives from Connect to Close.
type jobs struct {
	natsServer
	stream, consumer, undeliverable string
	pause, longest                  time.Duration
	logger                          *service.Logger

	mu    sync.Mutex
	queue *queue // nil: not connected
}

func newJobs(conf *service.ParsedConfig, mgr *service.Resources) (*jobs, error) {
	j := &jobs{logger: mgr.Logger()}
	var err error
	for name, to := range map[string]*string{"stream": &j.stream, "consumer": &j.consumer, "undeliverable": &j.undeliverable} {
		if *to, err = conf.FieldString(name); err != nil {
			return nil, err
		}
	}
	for name, to := range map[string]*time.Duration{"pause": &j.pause, "longest_pause": &j.longest} {
		if *to, err = conf.FieldDuration(name); err != nil {
			return nil, err
		}
		if *to < 0 {
			return nil, fmt.Errorf("%s: is negative", name)
		}
	}
	j.natsServer, err = natsServerOf(conf, mgr)
	return j, err
}

// Connect finds the stream and its consumer. While Zoho can't be used it waits, and the worker isn't ready.
func (j *jobs) Connect(ctx context.Context) error {
	if err := outage.wait(ctx); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.queue != nil && j.queue.conn.IsConnected() {
		return nil
	}
	if j.queue != nil {
		j.queue.close()
		j.queue = nil
	}
	queue, err := j.open(ctx)
	if err != nil {
		return err
	}
	j.queue = queue
	go queue.keep()
	return nil
}

func (j *jobs) open(ctx context.Context) (q *queue, err error) {
	q = &queue{pause: j.pause, longest: j.longest, logger: j.logger, held: map[*delivery]struct{}{}, closed: make(chan struct{})}
	if q.conn, err = j.connect(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			q.conn.Close()
		}
	}()
	js, err := jetstream.New(q.conn)
	if err != nil {
		return nil, err
	}
	if q.jobs, err = js.Stream(ctx, j.stream); err != nil {
		return nil, fmt.Errorf("stream %s: %w", j.stream, err)
	}
	if q.consumer, err = q.jobs.Consumer(ctx, j.consumer); err != nil {
		return nil, fmt.Errorf("consumer %s of stream %s: %w", j.consumer, j.stream, err)
	}
	if j.undeliverable != "" {
		if q.advisories, err = js.Consumer(ctx, j.undeliverable, j.consumer); err != nil {
			return nil, fmt.Errorf("consumer %s of stream %s: %w", j.consumer, j.undeliverable, err)
		}
	}
	info := q.consumer.CachedInfo()
	q.ackWait = info.Config.AckWait
	q.forgotten = min(info.Delivered.Stream+forgets(info.Config.MaxAckPending), q.jobs.CachedInfo().State.LastSeq)
	if q.ackWait <= 0 {
		return nil, fmt.Errorf("consumer %s of stream %s doesn't acknowledge explicitly", j.consumer, j.stream)
	}
	return q, nil
}

// forgets is how many deliveries a server that is killed may forget. It writes down what it delivered ten times a second.
func forgets(maxAckPending int) uint64 {
	const most = 256
	if maxAckPending <= 0 { // as many as one likes
		return most
	}
	return uint64(min(4*maxAckPending, most))
}

// Read gives the next job. It waits for no longer than a second at a time, so that what a stop leaves unread is little.
func (j *jobs) Read(ctx context.Context) (*service.Message, service.AckFunc, error) {
	j.mu.Lock()
	queue := j.queue
	j.mu.Unlock()
	for queue != nil && queue.conn.IsConnected() {
		if err := outage.err(); err != nil {
			j.logger.Errorf("%v", err)
			break
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		delivery, err := queue.next()
		if err != nil {
			return nil, nil, err
		}
		if delivery != nil {
			return delivery.message, delivery.settle, nil
		}
	}
	return nil, nil, service.ErrNotConnected
}

// Close gives back what was handed out and not settled: what the engine read and dropped as it stopped, and what it cut off.
func (j *jobs) Close(context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.queue != nil {
		j.queue.close()
		j.queue = nil
	}
	return nil
}

// queue is one connection to the stream of jobs, and the jobs that came over it.
type queue struct {
	conn       *nats.Conn
	jobs       jetstream.Stream
	consumer   jetstream.Consumer
	advisories jetstream.Consumer // nil: none
	ackWait    time.Duration
	forgotten  uint64 // a job of up to this sequence may have been delivered before, whatever the server says
	logger     *service.Logger

	pause, longest time.Duration

	looked time.Time // when the advisories were last asked for
	closed chan struct{}
	mu     sync.Mutex
	held   map[*delivery]struct{}
}

// next waits up to a second for a job; nil when there is none.
func (q *queue) next() (*delivery, error) {
	if q.advisories != nil && time.Since(q.looked) > time.Second {
		q.looked = time.Now()
		if found, err := q.undeliverable(); found != nil || err != nil {
			return found, err
		}
	}
	job, err := q.consumer.Next(jetstream.FetchMaxWait(time.Second))
	switch {
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, jetstream.ErrNoMessages):
		return nil, nil
	case err != nil && !q.conn.IsConnected():
		return nil, service.ErrNotConnected
	case err != nil:
		return nil, err
	}
	about, err := job.Metadata()
	if err != nil {
		return nil, err
	}
	return q.hold(job, job.Subject(), job.Data(), job.Headers(), about.Sequence.Stream, about.NumDelivered), nil
}

// undeliverable takes an advisory that a job was handed out as often as the consumer allows, and fetches that job from the stream.
func (q *queue) undeliverable() (*delivery, error) {
	batch, err := q.advisories.FetchNoWait(1)
	if err != nil {
		return nil, err
	}
	for advisory := range batch.Messages() {
		var about struct {
			Sequence   uint64 `json:"stream_seq"`
			Deliveries uint64 `json:"deliveries"`
		}
		if err := json.Unmarshal(advisory.Data(), &about); err != nil {
			return nil, advisory.TermWithReason("not an advisory")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		job, err := q.jobs.GetMsg(ctx, about.Sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, advisory.Ack() // it was acknowledged after all
		}
		if err != nil {
			return nil, err
		}
		d := q.hold(advisory, job.Subject, job.Data, job.Header, job.Sequence, about.Deliveries)
		d.sequence = job.Sequence
		d.message.MetaSetMut(metaUndeliverable, "true")
		return d, nil
	}
	return nil, batch.Error()
}

func (q *queue) hold(of jetstream.Msg, subject string, data []byte, headers nats.Header, sequence, delivered uint64) *delivery {
	msg := service.NewMessage(data)
	for name := range headers {
		if !strings.HasPrefix(name, "zcrm_") { // of a dead letter that is published again as it is
			msg.MetaSetMut(name, headers.Get(name))
		}
	}
	info := q.jobs.CachedInfo()
	id := headers.Get(nats.MsgIdHdr)
	if id == "" {
		id = fmt.Sprintf("%s of %d, number %d", info.Config.Name, info.Created.Unix(), sequence)
	}
	for name, value := range map[string]string{
		metaSubject: subject, metaSequence: strconv.FormatUint(sequence, 10), metaDelivered: strconv.FormatUint(delivered, 10),
		metaMaxPayload: strconv.FormatInt(q.conn.MaxPayload(), 10), metaJobID: id,
		metaAgain:     strconv.FormatBool(delivered > 1 || sequence <= q.forgotten),
		metaHeldUntil: strconv.FormatInt(time.Now().Add(q.ackWait*2/3).Unix(), 10),
	} {
		msg.MetaSetMut(name, value)
	}
	d := &delivery{queue: q, of: of, message: msg, number: delivered}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held[d] = struct{}{}
	return d
}

// keep tells JetStream of each job held that it is being worked on.
func (q *queue) keep() {
	tick := time.NewTicker(q.ackWait / 3)
	defer tick.Stop()
	for {
		select {
		case <-q.closed:
			return
		case <-tick.C:
		}
		q.mu.Lock()
		for d := range q.held {
			if err := d.of.InProgress(); err != nil {
				q.logger.Debugf("a job can't be kept: %v", err)
			}
		}
		q.mu.Unlock()
	}
}

// close gives back what is held, and ends the connection.
func (q *queue) close() {
	close(q.closed)
	q.mu.Lock()
	defer q.mu.Unlock()
	for d := range q.held {
		var after time.Duration
		if d.isUnsettled() {
			after = settles
		}
		if err := d.of.NakWithDelay(after); err != nil && q.conn.IsConnected() {
			q.logger.Warnf("a job can't be given back, and comes back after ack_wait: %v", err)
		}
	}
	clear(q.held)
	_ = q.conn.FlushTimeout(5 * time.Second)
	q.conn.Close()
}

// delivery is a job in the hands of this worker.
type delivery struct {
	queue    *queue
	of       jetstream.Msg // the job, or the advisory that it is undeliverable
	message  *service.Message
	number   uint64 // the first is 1
	sequence uint64 // of an undeliverable job, which is deleted from the stream once it is settled
}

// settle acknowledges the job, or gives it back so that it comes again after a pause.
func (d *delivery) settle(ctx context.Context, refused error) error {
	d.queue.mu.Lock()
	_, held := d.queue.held[d]
	delete(d.queue.held, d)
	d.queue.mu.Unlock()
	if !held {
		return nil // given back already
	}
	unsettled := d.isUnsettled()
	if refused != nil && unsettled {
		return d.of.NakWithDelay(max(d.pause(), settles))
	}
	if refused != nil {
		return d.of.NakWithDelay(d.pause())
	}
	if d.sequence != 0 {
		if err := d.queue.jobs.DeleteMsg(ctx, d.sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
	}
	return d.of.DoubleAck(ctx)
}

// isUnsettled reports, once, whether the last call for the job may still store something.
func (d *delivery) isUnsettled() bool {
	id, _ := d.message.MetaGet(metaJobID)
	_, is := unsettled.LoadAndDelete(id)
	return is
}

// pause doubles with each delivery. A quarter of it is random, so that jobs that failed together don't come back together.
func (d *delivery) pause() time.Duration {
	pause := min(d.queue.pause, d.queue.longest)
	for n := uint64(1); n < d.number && pause > 0 && pause < d.queue.longest; n++ {
		pause = min(2*pause, d.queue.longest)
	}
	return pause - time.Duration(rand.Int64N(int64(pause/4)+1))
}
