package zohocrm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/warpstreamlabs/bento/public/service"

	_ "github.com/warpstreamlabs/bento/public/components/nats"
	_ "github.com/warpstreamlabs/bento/public/components/redis"

	"github.com/zcrm/zcrm/examples/bento/internal/emulator"
	"github.com/zcrm/zcrm/examples/bento/internal/servers"
)

// startJetStream runs a NATS server with the bucket ZCRM_TOKENS, and gives its address.
func startJetStream(t *testing.T) string {
	t.Helper()
	nats := must(server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true}))
	nats.Start()
	t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
	if !nats.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server did not start")
	}
	makeBucket(t, nats.ClientURL())
	return nats.ClientURL()
}

func makeBucket(t *testing.T, url string) {
	t.Helper()
	conn, err := nats.Connect(url)
	check(t, err)
	defer conn.Close()
	_, err = must(jetstream.New(conn)).CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "ZCRM_TOKENS", TTL: 24 * time.Hour})
	check(t, err)
}

// within runs a function while an engine runs that has a cache "tokens" of this YAML.
func within(t *testing.T, yaml string, run func(*service.Resources)) {
	t.Helper()
	builder := service.NewStreamBuilder()
	check(t, builder.SetLoggerYAML("level: OFF"))
	check(t, builder.AddResourcesYAML("cache_resources:\n  - label: tokens\n    "+yaml))
	check(t, builder.AddInputYAML("generate: { count: 1, mapping: 'root = 1' }"))
	check(t, builder.AddProcessorYAML("inside: {}"))
	check(t, builder.AddOutputYAML("drop: {}"))
	stream, err := builder.Build()
	check(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- stream.Run(ctx) }()
	select {
	case mgr := <-inside:
		defer func() {
			leave <- struct{}{}
			check(t, <-ended)
		}()
		run(mgr)
	case err := <-ended:
		t.Fatal(err)
	}
}

// The processor inside shows the engine's resources, and keeps them open until it may leave.
var (
	inside = make(chan *service.Resources)
	leave  = make(chan struct{})
)

type insideProcessor struct{ mgr *service.Resources }

func (i insideProcessor) Process(context.Context, *service.Message) (service.MessageBatch, error) {
	inside <- i.mgr
	<-leave
	return nil, nil
}

func (insideProcessor) Close(context.Context) error { return nil }

// hasty is a cache that looks first and then writes, as caches in object stores do.
type hasty struct{ sync.Map }

func (h *hasty) Get(_ context.Context, key string) ([]byte, error) {
	if value, found := h.Load(key); found {
		return value.([]byte), nil
	}
	return nil, service.ErrKeyNotFound
}

func (h *hasty) Set(_ context.Context, key string, value []byte, _ *time.Duration) error {
	h.Store(key, value)
	return nil
}

func (h *hasty) Add(ctx context.Context, key string, value []byte, ttl *time.Duration) error {
	if _, err := h.Get(ctx, key); err == nil {
		return service.ErrKeyAlreadyExists
	}
	time.Sleep(5 * time.Millisecond) // the way to the store and back
	return h.Set(ctx, key, value, ttl)
}

func (h *hasty) Delete(_ context.Context, key string) error {
	h.Map.Delete(key)
	return nil
}

func (*hasty) Close(context.Context) error { return nil }

// mute is a cache that doesn't say why it can't add a key.
type mute struct{ hasty }

func (m *mute) Add(_ context.Context, key string, value []byte, _ *time.Duration) error {
	if _, found := m.LoadOrStore(key, value); found {
		return errors.New("UNIQUE constraint failed")
	}
	return nil
}

func init() {
	spec := service.NewConfigSpec()
	must(0, service.RegisterProcessor("inside", spec, func(_ *service.ParsedConfig, mgr *service.Resources) (service.Processor, error) {
		return insideProcessor{mgr}, nil
	}))
	for name, cache := range map[string]func() service.Cache{"hasty": func() service.Cache { return &hasty{} }, "mute": func() service.Cache { return &mute{} }} {
		must(0, service.RegisterCache(name, spec, func(*service.ParsedConfig, *service.Resources) (service.Cache, error) { return cache(), nil }))
	}
}

func TestACacheThatCannotAddAKeyIfItIsAbsentIsRefusedByName(t *testing.T) {
	for yaml, want := range map[string]string{
		"noop: {}":  "8 of 8 that added one key at the same time were told that they did",
		"hasty: {}": "at the same time were told that they did",
		"mute: {}":  "of a key that exists it says: UNIQUE constraint failed",
	} {
		within(t, yaml, func(mgr *service.Resources) {
			_, err := newTokenCache("tokens", mgr)
			contains(t, fmt.Sprint(err), `token_cache: the cache "tokens" can't add a key if it is absent`)
			contains(t, fmt.Sprint(err), want)
		})
	}
	within(t, "memory: {}", func(mgr *service.Resources) {
		_, err := newTokenCache("token", mgr)
		contains(t, fmt.Sprint(err), `token_cache: there is no cache resource "token"`)
	})
}

func TestTheEngineEndsAtItsStartWithACacheThatCannotCarryALock(t *testing.T) {
	builder := service.NewStreamBuilder()
	check(t, builder.SetLoggerYAML("level: OFF"))
	check(t, builder.AddResourcesYAML("cache_resources: [ { label: tokens, noop: {} } ]"))
	check(t, builder.AddInputYAML("generate: { count: 1, mapping: 'root = 1' }"))
	check(t, builder.AddProcessorYAML("zoho_crm_file:\n  operation: step\n  token_cache: tokens"+connect(emulator.Start(t))))
	check(t, builder.AddOutputYAML("drop: {}"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	contains(t, fmt.Sprint(must(builder.Build()).Run(ctx)), `the cache "tokens" can't add a key if it is absent`)
}

// kinds are the caches that the tests of the lock run over.
func kinds(t *testing.T, run func(t *testing.T, mgr *service.Resources)) {
	for kind, yaml := range map[string]func(*testing.T) string{
		"memory": func(*testing.T) string { return "memory: {}" },
		"redis":  func(t *testing.T) string { return fmt.Sprintf("redis: { url: %q }", servers.Redis(t)) },
		"nats_kv": func(t *testing.T) string {
			return fmt.Sprintf("nats_kv: { urls: [ %q ], bucket: ZCRM_TOKENS }", startJetStream(t))
		},
		"zoho_crm_bucket": func(t *testing.T) string {
			return fmt.Sprintf("zoho_crm_bucket: { urls: [ %q ], bucket: ZCRM_TOKENS }", startJetStream(t))
		},
	} {
		t.Run(kind, func(t *testing.T) {
			within(t, yaml(t), func(mgr *service.Resources) { run(t, mgr) })
		})
	}
}

func TestOneHolderAtATimeHasTheLock(t *testing.T) {
	kinds(t, func(t *testing.T, mgr *service.Resources) {
		var holders, times atomic.Int32
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				tokens, err := newTokenCache("tokens", mgr)
				if err != nil {
					t.Error(err)
					return
				}
				for held := 0; held < 5 && t.Context().Err() == nil; {
					locked, err := tokens.TryLock(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					if !locked {
						time.Sleep(time.Millisecond)
						continue
					}
					if n := holders.Add(1); n != 1 {
						t.Errorf("%d hold the lock", n)
					}
					held++
					times.Add(1)
					time.Sleep(time.Millisecond)
					holders.Add(-1)
					tokens.Unlock(t.Context())
				}
			})
		}
		all.Wait()
		if times.Load() != 30 {
			t.Errorf("it was held %d times", times.Load())
		}
	})
}

func TestTheLockOfADeadHolderIsTakenOverByOne(t *testing.T) {
	kinds(t, func(t *testing.T, mgr *service.Resources) {
		leases := make([]*lease, 4)
		for i := range leases {
			leases[i] = newLease(cache{"tokens", mgr}, lockKey)
			leases[i].ends = time.Second
		}
		if locked, err := leases[0].try(t.Context()); !locked || err != nil {
			t.Fatal(locked, err)
		}
		leases[0].beats() // it dies
		var taken atomic.Int32
		var all sync.WaitGroup
		for _, other := range leases[1:] {
			all.Go(func() {
				for taken.Load() == 0 && t.Context().Err() == nil {
					locked, err := other.try(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					if locked {
						taken.Add(1)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		all.Wait()
		if taken.Load() != 1 {
			t.Errorf("%d took it over", taken.Load())
		}
		for _, other := range leases[1:] {
			check(t, other.release(t.Context()))
		}
		// What was dead wakes up, and gives back what isn't its own any more.
		check(t, leases[0].release(t.Context()))
		if locked, err := leases[0].try(t.Context()); !locked || err != nil {
			t.Error(locked, err)
		}
	})
}

func TestALivingHolderKeepsTheLock(t *testing.T) {
	kinds(t, func(t *testing.T, mgr *service.Resources) {
		holder, other := newLease(cache{"tokens", mgr}, lockKey), newLease(cache{"tokens", mgr}, lockKey)
		other.ends = 3 * time.Second // far more than a sign of life takes, on a busy machine too
		holder.ends = 100 * time.Millisecond
		if locked, err := holder.try(t.Context()); !locked || err != nil {
			t.Fatal(locked, err)
		}
		for began := time.Now(); time.Since(began) < 4*time.Second; time.Sleep(10 * time.Millisecond) {
			if locked, err := other.try(t.Context()); locked || err != nil {
				t.Fatal(locked, err)
			}
		}
		check(t, holder.release(t.Context()))
	})
}

// A cache that forgot everything, and one whose first key is broken, begin anew.
func TestALockIsFoundAfterItsCacheForgotIt(t *testing.T) {
	within(t, "memory: {}", func(mgr *service.Resources) {
		of := cache{"tokens", mgr}
		l := newLease(of, lockKey)
		for i := range 3 * leaseKept {
			if locked, err := l.try(t.Context()); !locked || err != nil {
				t.Fatal(i, locked, err)
			}
			check(t, l.release(t.Context()))
		}
		late := newLease(of, lockKey)
		if taken, err := late.take(t.Context(), 2); taken || err != nil { // it saw the first holder, and stood still since
			t.Error(taken, err)
		}
		for _, broken := range []string{"", "x", "99999999999999999999999", "0"} {
			check(t, of.set(t.Context(), lockKey, []byte(broken)))
			if locked, err := l.try(t.Context()); !locked || err != nil {
				t.Errorf("%q: %t %v", broken, locked, err)
			}
			check(t, l.release(t.Context()))
		}
	})
}

func TestABucketComesBackWithItsServer(t *testing.T) {
	port := servers.FreePort(t)
	url, dir := "nats://127.0.0.1:"+port, t.TempDir()
	start := func() *server.Server {
		options := &server.Options{Host: "127.0.0.1", JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true}
		_, _ = fmt.Sscan(port, &options.Port)
		nats := must(server.NewServer(options))
		nats.Start()
		if !nats.ReadyForConnections(30 * time.Second) {
			t.Fatal("the server did not start")
		}
		return nats
	}
	within(t, fmt.Sprintf("zoho_crm_bucket: { urls: [ %q ], bucket: ZCRM_TOKENS }", url), func(mgr *service.Resources) {
		tokens, err := newTokenCache("tokens", mgr) // it begins while the server is away
		check(t, err)
		_, err = tokens.Get(t.Context())
		contains(t, fmt.Sprint(err), `token_cache: the cache "tokens": NATS at nats://127.0.0.1:`)
		for round := range 2 {
			nats := start()
			makeBucket(t, url)
			locked, err := tokens.TryLock(t.Context())
			if !locked || err != nil {
				t.Error(round, locked, err)
			}
			check(t, tokens.Put(t.Context(), []byte("document")))
			tokens.Unlock(t.Context())
			document, err := tokens.Get(t.Context())
			if string(document) != "document" || err != nil {
				t.Error(round, document, err)
			}
			nats.Shutdown()
			nats.WaitForShutdown()
			if document, err := tokens.Get(t.Context()); err == nil {
				t.Errorf("%q comes from nowhere", document)
			}
			check(t, tokens.Put(t.Context(), nil)) // it goes on with its token
		}
	})
}

func TestWhatIsShownOfAServerHasNoPassword(t *testing.T) {
	s := natsServer{urls: []string{"nats://ada:hush@a:1", "nats://hush@b:2,nats://c:3", "nats://ada:hu%sh@d:4"}}
	if shown := s.shown(); shown != "nats://a:1, nats://b:2, nats://c:3" {
		t.Error(shown)
	}
	_, err := s.connect()
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Error(err)
	}
}

func TestAJobWaitsWhileItsTokenCannotBeHad(t *testing.T) {
	e := emulator.Start(t)
	within(t, fmt.Sprintf("zoho_crm_bucket: { urls: [ 'nats://127.0.0.1:%s' ], bucket: ZCRM_TOKENS }", servers.FreePort(t)), func(mgr *service.Resources) {
		conf, err := processorSpec().ParseYAML("operation: step\ntoken_cache: tokens"+strings.ReplaceAll(connect(e), "\n  ", "\n"), nil)
		check(t, err)
		p, err := newProcessor(conf, mgr)
		check(t, err)
		defer p.Close(t.Context())
		_, msg, _ := one(t, p, `{"operation":"attachment.list","module":"Contacts","record_id":"1"}`)
		if reason := meta(msg, metaReason); reason != "token_store" || outage.err() == nil {
			t.Errorf("the reason is %q; %v", reason, outage.err())
		}
		outage.met(nil) // it is that of the whole process
		if n := len(e.Ledger(t).Requests); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}
