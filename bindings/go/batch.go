package zcrm

import (
	"context"
	"math"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// BatchStep is one step of a batch.
type BatchStep struct {
	Key  string // what the caller calls it: unique in the batch, and the same whenever the batch is run again
	Step []byte // the step as JSON, as RunStep takes it; it must not be changed while the batch runs
}

// BatchOptions says how a batch is run. The zero value is fine.
type BatchOptions struct {
	Journal  string // path of a file that remembers what was begun and done; empty: none
	Parallel int    // steps at once; 0: 4. The setting "max_in_flight" holds beside it
	Credits  int64  // API calls after which no further step is begun; 0: no bound
}

// BatchEnd is how one step of a batch ended.
type BatchEnd struct {
	Key         string
	Output      []byte // what RunStep would have given; nil when it failed
	Err         error  // the *Error that RunStep would have given, or nil
	FromJournal bool   // it was done in an earlier run, and the journal knows its Output
}

// BatchSummary is how a batch ended.
type BatchSummary struct {
	Done        int64  // steps that are done, those of earlier runs included
	FromJournal int64  // of these, done in an earlier run
	Failed      int64  // steps that were refused or failed
	Unknown     int64  // of these, uploads of which nobody knows whether they are stored
	Left        int64  // steps that were not begun, or not ended: the next run takes them up
	Stopped     string // why steps are left: credits_budget, credits_exhausted, cancelled or call_timeout; else empty
	Attempts    int64  // API calls made
}

// RunBatch runs many steps, several at once, and gives one summary. A step that fails is told to ended, and the batch goes on.
//
// Run again with its Journal, after whatever end, a batch sends nothing twice: what is done is told from the journal, and what was begun
// and has no end is looked for on its record first. A journal that can't be used is [ErrIO], [ErrProtocol] when it is broken, [ErrState]
// when another process has it; then nothing was sent.
//
// ended, which may be nil, runs on the goroutine that called RunBatch, in the order in which the steps end. While it blocks, no further
// step is begun. It must not start an operation ([ErrState]). An error of it cancels the batch, and so does a panic, which goes on when
// the batch has ended; it is not told of the steps that end then. That error, and that of a ctx that has ended before all was done,
// comes together with the summary.
//
// The steps run on threads of the library, and so may a token source, a token store and a logger. Of options [WithTimeout] and
// [WithTraceID] hold for the whole, [WithSHA256], [WithSkipExisting] and [WithSkipSameBytes] for each step.
func (c *Client) RunBatch(ctx context.Context, steps []BatchStep, batch BatchOptions, ended func(BatchEnd) error, options ...CallOption) (*BatchSummary, error) {
	const operation = "batch"
	if batch.Parallel < 0 || batch.Parallel > math.MaxUint32 {
		return nil, argument(operation, "parallel", "is not between 0 and 256")
	}
	if batch.Credits < 0 {
		return nil, argument(operation, "credits", "is negative")
	}
	args := cabi.BatchArgs{Journal: batch.Journal, Parallel: uint32(batch.Parallel), Credits: uint64(batch.Credits)}
	if ended != nil {
		args.Ended = func(end cabi.BatchEnd) error {
			told := BatchEnd{Key: end.Key, Output: end.Output, FromJournal: end.FromJournal}
			if end.Failure != nil {
				told.Err = wrap("step.run", end.Failure)
			}
			return ended(told)
		}
	}
	given := make([]cabi.BatchStep, len(steps))
	for i, step := range steps {
		given[i] = cabi.BatchStep(step)
	}
	summary, err := c.c.Batch(ctx, given, args, callOf(options).Call)
	return (*BatchSummary)(summary), wrap(operation, err)
}
