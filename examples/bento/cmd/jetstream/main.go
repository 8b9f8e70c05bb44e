// A NATS server with JetStream inside, and in it what the workers need: for trying and testing on one machine. README.md has the same
// for a server of yours, as commands of the nats tool.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("jetstream: ")
	dir := flag.String("dir", "", "directory to keep the streams in (needed)")
	port := flag.Int("port", server.RANDOM_PORT, "port of 127.0.0.1; any free one by default")
	ackWait := flag.Duration("ack-wait", 30*time.Second, "when the jobs of a worker that died are handed out again")
	pending := flag.Int("max-ack-pending", 256, "most jobs in work or in their pause at once, over all workers")
	deliver := flag.Int("max-deliver", 100, "how often a job is handed out before it is a dead letter")
	payload := flag.Int("max-payload", server.MAX_PAYLOAD_SIZE, "most bytes of a message")
	flag.Parse()
	if *dir == "" {
		log.Fatal("-dir is needed")
	}

	nats, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: *port, JetStream: true, StoreDir: *dir, NoSigs: true, NoLog: true, MaxPayload: int32(*payload),
	})
	if err != nil {
		log.Fatal(err)
	}
	nats.Start()
	if !nats.ReadyForConnections(30 * time.Second) {
		log.Fatal("the server did not start")
	}
	if err := setUp(nats.ClientURL(), jetstream.ConsumerConfig{AckWait: *ackWait, MaxAckPending: *pending, MaxDeliver: *deliver}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(nats.ClientURL())

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
	nats.Shutdown()
	nats.WaitForShutdown()
}

// setUp makes the stream of jobs with its one consumer, the stream of what became of them, the stream of JetStream's own words about jobs
// that were handed out too often, and the bucket of the access token.
func setUp(url string, workers jetstream.ConsumerConfig) error {
	conn, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, config := range []jetstream.StreamConfig{
		// A job leaves the stream once it is acknowledged.
		{Name: "ZCRM_JOBS", Subjects: []string{"zcrm.jobs"}, Retention: jetstream.WorkQueuePolicy, Duplicates: time.Hour},
		{Name: "ZCRM_RESULTS", Subjects: []string{"zcrm.done", "zcrm.dead"}, Duplicates: time.Hour},
		{Name: "ZCRM_UNDELIVERABLE", Subjects: []string{"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.ZCRM_JOBS.workers"}, Retention: jetstream.WorkQueuePolicy},
	} {
		if _, err := js.CreateOrUpdateStream(ctx, config); err != nil {
			return err
		}
	}
	workers.Durable, workers.AckPolicy = "workers", jetstream.AckExplicitPolicy
	if _, err := js.CreateOrUpdateConsumer(ctx, "ZCRM_JOBS", workers); err != nil {
		return err
	}
	if _, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "ZCRM_TOKENS", TTL: 24 * time.Hour}); err != nil {
		return err
	}
	workers.MaxAckPending, workers.MaxDeliver = 0, 0
	_, err = js.CreateOrUpdateConsumer(ctx, "ZCRM_UNDELIVERABLE", workers)
	return err
}
