package zcrm

import (
	"context"
	"iter"
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
	Journal  string // path of a file that remembers what was begun and done, of one run of a job: begin a new one for the next; empty: none
	Parallel int    // steps at once, at most 256; 0: as many as the setting "max_in_flight" lets in, which holds beside it
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
	Done        int64  `json:"done"`         // steps that are done, those of earlier runs included
	FromJournal int64  `json:"from_journal"` // of these, done in an earlier run
	Failed      int64  `json:"failed"`       // steps that were refused or failed
	Unknown     int64  `json:"unknown"`      // of these, uploads of which nobody knows whether they are stored
	Left        int64  `json:"left"`         // steps that were not begun, or not ended: the next run takes them up. The rest of a sequence counts as one
	Stopped     string `json:"stopped"`      // why steps are left: credits_budget, credits_exhausted, no_token, source, cancelled or call_timeout; else empty
	Attempts    int64  `json:"attempts"`     // API calls made
}

// RunBatch runs many steps, several at once, and returns one summary. It reports the end of each step to ended; a step that fails doesn't stop
// the batch.
//
// Run again with its Journal, however the last run ended, a batch sends nothing twice: it takes what is done from the journal, and first looks
// for what was begun and not finished. Unfinished uploads come last, and a log line says how long they wait. A step whose file has changed
// since fails with the reason "journal_source_changed". A journal that can't be used is [ErrIO], [ErrProtocol] when it is broken,
// [ErrState] when another batch has it; then nothing was sent.
//
// ended, which may be nil, runs on the goroutine that called RunBatch, in the order in which the steps end. While it blocks, no further
// step is begun. It must not start an operation ([ErrState]). If it returns an error or panics, the batch is cancelled; the panic
// goes on when the batch has ended. It doesn't hear of the steps that end in between.
//
// The summary is never nil. After an error of ended, or of a ctx that ended too early, it counts what was done until then. After every other
// error it says that all steps are left.
//
// The steps run on threads of the library, and so may a token source, a token store and a logger. Of options [WithTimeout] and
// [WithTraceID] apply to the whole batch, [WithSHA256], [WithSkipExisting], [WithSkipSameBytes] and [WithAgain] for each step. The setting
// "call_timeout_ms" bounds each step, never the whole.
func (c *Client) RunBatch(ctx context.Context, steps []BatchStep, batch BatchOptions, ended func(BatchEnd) error, options ...CallOption) (*BatchSummary, error) {
	return c.runBatch(int64(len(steps)), batch, ended, options, func(args cabi.BatchArgs, call cabi.Call) (cabi.BatchSummary, error) {
		given := make([]cabi.BatchStep, len(steps))
		for i, step := range steps {
			given[i] = cabi.BatchStep(step)
		}
		return c.seam().Batch(ctx, given, args, call)
	})
}

// RunBatchFrom is [Client.RunBatch] of a sequence, which is asked for a step when there is room for one: a batch of any length takes little
// memory.
//
// The sequence runs on a goroutine of its own, one step at a time, and has ended when RunBatchFrom returns. It may start operations. While it
// blocks, no end is told; let it heed ctx where that may be long. An error that it yields stops the batch and comes back once the steps under
// way have ended, and a panic of it goes on then. With a Journal let it begin at the first step each time.
func (c *Client) RunBatchFrom(ctx context.Context, steps iter.Seq2[BatchStep, error], batch BatchOptions, ended func(BatchEnd) error, options ...CallOption) (*BatchSummary, error) {
	if steps == nil {
		return &BatchSummary{}, argument("batch", "steps", "the sequence is nil")
	}
	return c.runBatch(1, batch, ended, options, func(args cabi.BatchArgs, call cabi.Call) (cabi.BatchSummary, error) {
		given := func(yield func(cabi.BatchStep, error) bool) {
			steps(func(step BatchStep, err error) bool { return yield(cabi.BatchStep(step), err) })
		}
		return c.seam().BatchFrom(ctx, given, args, call)
	})
}

func (c *Client) runBatch(left int64, batch BatchOptions, ended func(BatchEnd) error, options []CallOption,
	run func(cabi.BatchArgs, cabi.Call) (cabi.BatchSummary, error)) (*BatchSummary, error) {
	const operation = "batch"
	none := &BatchSummary{Left: left}
	var call callOptions
	if err := call.take(operation, batches, options); err != nil {
		return none, err
	}
	switch {
	case batch.Parallel < 0:
		return none, argument(operation, "parallel", "is negative; 0 is as many as max_in_flight")
	case batch.Credits < 0:
		return none, argument(operation, "credits", "is negative; 0 is no bound")
	}
	parallel := uint32(min(int64(batch.Parallel), math.MaxUint32))
	args := cabi.BatchArgs{Journal: batch.Journal, Parallel: parallel, Credits: uint64(batch.Credits)}
	if ended != nil {
		args.Ended = func(end cabi.BatchEnd) error {
			told := BatchEnd{Key: end.Key, Output: end.Output, FromJournal: end.FromJournal}
			if end.Failure != nil {
				told.Err = wrap("step.run", end.Failure)
			}
			return ended(told)
		}
	}
	summary, err := run(args, call.Call)
	return (*BatchSummary)(&summary), wrap(operation, err)
}
