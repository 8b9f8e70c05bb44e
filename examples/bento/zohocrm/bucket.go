package zohocrm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/warpstreamlabs/bento/public/service"
)

func bucketSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Beta().
		Categories("Services").
		Version("0.1.0").
		Summary("A key-value bucket of NATS JetStream, which comes back after NATS was away for however long.").
		Description(`
In place of the engine's ` + "`nats_kv`" + `, which ends a worker that starts while NATS is away, and is of no use any more once NATS was away for two
minutes. The bucket exists already. How long it keeps a value is the bucket's to say.
`).
		Fields(natsFields()...).
		Field(service.NewStringField("bucket").Description("Name of the bucket.").Example("ZCRM_TOKENS"))
}

func init() {
	must(0, service.RegisterCache("zoho_crm_bucket", bucketSpec(), func(conf *service.ParsedConfig, mgr *service.Resources) (service.Cache, error) {
		return newBucket(conf, mgr)
	}))
}

// bucket is the cache. It connects when it is asked for something.
type bucket struct {
	natsServer
	name string

	mu   sync.Mutex
	conn *nats.Conn
	kv   jetstream.KeyValue
}

func newBucket(conf *service.ParsedConfig, mgr *service.Resources) (*bucket, error) {
	b := &bucket{}
	var errs [2]error
	b.name, errs[0] = conf.FieldString("bucket")
	b.natsServer, errs[1] = natsServerOf(conf, mgr)
	return b, errors.Join(errs[:]...)
}

// open gives the bucket over a connection that stands.
func (b *bucket) open(ctx context.Context) (jetstream.KeyValue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil && b.conn.IsConnected() {
		return b.kv, nil
	}
	b.close()
	conn, err := b.connect()
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err == nil {
		b.kv, err = js.KeyValue(ctx, b.name)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("bucket %s: %w", b.name, err)
	}
	b.conn = conn
	return b.kv, nil
}

func (b *bucket) close() {
	if b.conn != nil {
		b.conn.Close()
		b.conn = nil
	}
}

func (b *bucket) Get(ctx context.Context, key string) ([]byte, error) {
	kv, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	entry, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, service.ErrKeyNotFound
	}
	if err != nil {
		return nil, err
	}
	return entry.Value(), nil
}

func (b *bucket) Set(ctx context.Context, key string, value []byte, _ *time.Duration) error {
	kv, err := b.open(ctx)
	if err == nil {
		_, err = kv.Put(ctx, key, value)
	}
	return err
}

func (b *bucket) Add(ctx context.Context, key string, value []byte, _ *time.Duration) error {
	kv, err := b.open(ctx)
	if err == nil {
		_, err = kv.Create(ctx, key, value)
	}
	if errors.Is(err, jetstream.ErrKeyExists) {
		return service.ErrKeyAlreadyExists
	}
	return err
}

func (b *bucket) Delete(ctx context.Context, key string) error {
	kv, err := b.open(ctx)
	if err == nil {
		err = kv.Purge(ctx, key)
	}
	return err
}

func (b *bucket) Close(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close()
	return nil
}
