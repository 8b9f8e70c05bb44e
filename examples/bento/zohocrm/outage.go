package zohocrm

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Pauses between two tries whether an outage is over.
const (
	shortestOutage = 2 * time.Second
	longestOutage  = 2 * time.Minute
)

// outage is whether this process can use Zoho at all: it can't while its credentials are refused, or the network doesn't lead there. That
// is no fault of the job that met it, so no further job is taken, but for one after each pause to see whether it is over.
var outage interruption

type interruption struct {
	mu    sync.Mutex
	cause *failure
	until time.Time
	pause time.Duration
}

// met notes how a call ended. Calls that end during a pause were under way when it began, and say nothing new; a failure that came without
// an answer, of a local file say, proves nothing.
func (i *interruption) met(failed *failure) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case failed == nil || failed.httpStatus != 0 && !failed.concernsAll():
		i.cause, i.pause, i.until = nil, 0, time.Time{}
	case failed.concernsAll() && time.Now().After(i.until):
		i.cause, i.pause = failed, min(max(2*i.pause, shortestOutage), longestOutage)
		i.until = time.Now().Add(i.pause)
	}
}

// err is why no job is to be taken now; nil: jobs may be taken.
func (i *interruption) err() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cause == nil || time.Now().After(i.until) {
		return nil
	}
	return fmt.Errorf("no job is taken for %s: %w", time.Until(i.until).Round(time.Second), i.cause)
}

// wait returns once jobs may be taken.
func (i *interruption) wait(ctx context.Context) error {
	i.mu.Lock()
	timer := time.NewTimer(time.Until(i.until))
	i.mu.Unlock()
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settles is how long a job stays away that may still be stored: its call was cut off or had no answer. A look that comes too early doesn't
// find it, and it would be stored twice.
const settles = 20 * time.Second

// unsettled are the ids of such jobs, and of those whose call runs.
var unsettled sync.Map

// failures are the failed calls of each job.
var failures tries

// tries counts, by a job's id, the calls that failed in this process, but for those that waited: JetStream's number of deliveries has these
// too, and what worker after worker lost when it was killed. A job that comes out of an outage has all its tries left.
type tries struct {
	mu sync.Mutex
	of map[string]int
}

// mostTries bounds the memory for jobs that another worker ended. One that is forgotten is tried more often.
const mostTries = 10_000

// met notes how a call for a job ended, and gives the count.
func (t *tries) met(job string, failed *failure) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if failed == nil {
		delete(t.of, job)
		return 0
	}
	if !failed.waits() {
		if t.of == nil || len(t.of) >= mostTries {
			t.of = map[string]int{}
		}
		t.of[job]++
	}
	return t.of[job]
}
