package zohocrm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/warpstreamlabs/bento/public/service"
)

// Keys of a cache that holds the access token. All workers that share it use these.
const (
	tokensKey = "zcrm.tokens"
	lockKey   = "zcrm.lock"
	probeKey  = "zcrm.probe"
)

// cacheKeeps is for how long a cache that can forget keeps what is written here: a token lives for an hour.
const cacheKeeps = 24 * time.Hour

// cacheWaits bounds each question to a cache.
const cacheWaits = 10 * time.Second

// tokenCache is the library's token store in a cache resource of the engine, so that the workers of all machines share one access token.
type tokenCache struct {
	cache
	logger *service.Logger
	lock   *lease

	mu  sync.Mutex
	fit bool // it is known that the cache can add a key if it is absent
}

// newTokenCache refuses a cache that can't carry a lock. One that can't be reached yet is looked at when a token is needed.
func newTokenCache(name string, mgr *service.Resources) (*tokenCache, error) {
	if !mgr.HasCache(name) {
		return nil, fmt.Errorf("token_cache: there is no cache resource %q", name)
	}
	t := &tokenCache{cache: cache{name, mgr}, logger: mgr.Logger()}
	t.lock = newLease(t.cache, lockKey)
	err := t.ready(context.Background())
	if unfit := (*unfitCache)(nil); errors.As(err, &unfit) {
		return nil, err
	}
	if err != nil {
		t.logger.Warnf("%v; it is asked again when a token is needed", err)
	}
	return t, nil
}

// Get gives the document.
func (t *tokenCache) Get(ctx context.Context) ([]byte, error) {
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	return t.get(ctx, tokensKey)
}

// Put stores the document. When it can't, this worker goes on with its token, and the others get theirs.
func (t *tokenCache) Put(ctx context.Context, document []byte) error {
	if err := t.set(ctx, tokensKey, document); err != nil {
		t.logger.Warnf("the access token is not shared with other workers: %v", err)
	}
	return nil
}

// TryLock takes the lock, which ends with its holder.
func (t *tokenCache) TryLock(ctx context.Context) (bool, error) { return t.lock.try(ctx) }

// Unlock gives it back.
func (t *tokenCache) Unlock(ctx context.Context) {
	if err := t.lock.release(ctx); err != nil {
		t.logger.Warnf("the lock of the access token ends by itself in %s: %v", leaseEnds, err)
	}
}

// ready looks, until it knows, whether the cache can add a key if it is absent.
func (t *tokenCache) ready(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fit {
		return nil
	}
	err := t.probe(ctx)
	t.fit = err == nil
	return err
}

// cache is a cache resource of the engine. Its errors name it.
type cache struct {
	name string
	mgr  *service.Resources
}

// unfitCache is a cache that can't add a key if it is absent.
type unfitCache struct{ name, why string }

func (u *unfitCache) Error() string {
	return fmt.Sprintf("token_cache: the cache %q can't add a key if it is absent (%s), so no lock can be kept in it; name another cache", u.name, u.why)
}

func (c cache) use(ctx context.Context, what func(context.Context, service.Cache) error) error {
	ctx, cancel := context.WithTimeout(ctx, cacheWaits)
	defer cancel()
	var err error
	if unknown := c.mgr.AccessCache(ctx, c.name, func(cache service.Cache) { err = what(ctx, cache) }); unknown != nil {
		err = unknown
	}
	if err != nil && !errors.Is(err, service.ErrKeyAlreadyExists) {
		return fmt.Errorf("token_cache: the cache %q: %w", c.name, err)
	}
	return err
}

// get gives nil for a key that is absent.
func (c cache) get(ctx context.Context, key string) (value []byte, err error) {
	err = c.use(ctx, func(ctx context.Context, cache service.Cache) (err error) {
		value, err = cache.Get(ctx, key)
		if errors.Is(err, service.ErrKeyNotFound) {
			value, err = nil, nil
		}
		return err
	})
	return value, err
}

func (c cache) set(ctx context.Context, key string, value []byte) error {
	keeps := cacheKeeps
	return c.use(ctx, func(ctx context.Context, cache service.Cache) error { return cache.Set(ctx, key, value, &keeps) })
}

// add reports whether the key was absent.
func (c cache) add(ctx context.Context, key string, value []byte) (bool, error) {
	keeps := cacheKeeps
	err := c.use(ctx, func(ctx context.Context, cache service.Cache) error { return cache.Add(ctx, key, value, &keeps) })
	if errors.Is(err, service.ErrKeyAlreadyExists) {
		return false, nil
	}
	return err == nil, err
}

// remove is tidying: what can't be removed does no harm.
func (c cache) remove(ctx context.Context, key string) {
	_ = c.use(ctx, func(ctx context.Context, cache service.Cache) error { return cache.Delete(ctx, key) })
}

// probe lets several add one key at the same time. One of them must succeed, and the others be told that the key exists: a cache that looks
// first and then writes lets more than one succeed.
func (c cache) probe(ctx context.Context) error {
	const adders = 8
	key := probeKey + "." + newID()
	defer c.remove(ctx, key)
	var all sync.WaitGroup
	var added [adders]bool
	var errs [adders]error
	for i := range adders {
		all.Go(func() { added[i], errs[i] = c.add(ctx, key, []byte("x")) })
	}
	all.Wait()
	succeeded := 0
	for _, one := range added {
		if one {
			succeeded++
		}
	}
	err := errors.Join(errs[:]...)
	switch {
	case succeeded > 1:
		return &unfitCache{c.name, fmt.Sprintf("%d of %d that added one key at the same time were told that they did", succeeded, adders)}
	case succeeded == 1 && err != nil:
		return &unfitCache{c.name, fmt.Sprintf("of a key that exists it says: %s", errors.Unwrap(first(errs[:])))}
	case succeeded == 0 && err == nil:
		return &unfitCache{c.name, "it says of a new key that it exists"}
	}
	return first(errs[:])
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
