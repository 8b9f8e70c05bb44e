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
	ackWait := flag.Duration("ack-wait", 15*time.Minute, "when a job that nobody acknowledged is handed out again: longer than any two calls")
	pending := flag.Int("max-ack-pending", 16, "most jobs in work at once, over all workers")
	flag.Parse()
	if *dir == "" {
		log.Fatal("-dir is needed")
	}

	nats, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: *port, JetStream: true, StoreDir: *dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	nats.Start()
	if !nats.ReadyForConnections(30 * time.Second) {
		log.Fatal("the server did not start")
	}
	if err := setUp(nats.ClientURL(), *ackWait, *pending); err != nil {
		log.Fatal(err)
	}
	fmt.Println(nats.ClientURL())

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
	nats.Shutdown()
	nats.WaitForShutdown()
}

// setUp makes the stream of jobs with its one consumer, and the stream of what became of them.
func setUp(url string, ackWait time.Duration, pending int) error {
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
	} {
		if _, err := js.CreateOrUpdateStream(ctx, config); err != nil {
			return err
		}
	}
	_, err = js.CreateOrUpdateConsumer(ctx, "ZCRM_JOBS", jetstream.ConsumerConfig{
		Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: pending, MaxDeliver: 20,
	})
	return err
}
