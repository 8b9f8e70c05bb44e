package cabi

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"unsafe"
)

// BatchStep is what zcrm_batch_add takes.
type BatchStep struct {
	Key  string
	Step []byte
}

// BatchArgs is zcrm_batch_args.
type BatchArgs struct {
	Journal  string
	Parallel uint32
	Credits  uint64
	Ended    func(BatchEnd) error // nil: nobody is told
}

// BatchEnd is what zcrm_batch_fn is told: the result's JSON, or the failure.
type BatchEnd struct {
	Key         string
	Output      []byte
	Failure     *Failure
	FromJournal bool
}

// BatchSummary is zcrm_batch_summary.
type BatchSummary struct {
	Done, FromJournal, Failed, Unknown, Left int64
	Stopped                                  string
	Attempts                                 int64
}

// Batch runs zcrm_batch_run. There is a summary beside every error: of a batch that could not begin, all steps are left.
func (c *Client) Batch(ctx context.Context, steps []BatchStep, args BatchArgs, call Call) (BatchSummary, error) {
	none := BatchSummary{Left: int64(len(steps))}
	batch, err := newBatch(steps)
	if err != nil {
		return none, err
	}
	defer C.zcrm_batch_free(batch)
	return c.batch(ctx, batch, &state{}, none, args, call)
}

// BatchFrom is Batch of steps that it asks for.
func (c *Client) BatchFrom(ctx context.Context, steps iter.Seq2[BatchStep, error], args BatchArgs, call Call) (BatchSummary, error) {
	none := BatchSummary{Left: 1} // or more
	batch, err := newBatch(nil)
	if err != nil {
		return none, err
	}
	defer C.zcrm_batch_free(batch)
	st := &state{steps: newFeed(steps)}
	defer st.steps.stop(st)
	return c.batch(ctx, batch, st, none, args, call)
}

func (c *Client) batch(ctx context.Context, batch *C.zcrm_batch, st *state, none BatchSummary, args BatchArgs, call Call) (BatchSummary, error) {
	call.IsBatch, st.call = true, &call
	if args.Ended != nil {
		st.ended = func(key string, status int32, json []byte, fromJournal bool) error {
			end := BatchEnd{Key: key, Output: json, FromJournal: fromJournal}
			if status != C.ZCRM_OK {
				end.Output = nil
				end.Failure, _ = readFailure(status, json)
				c.hooks.explain(end.Failure)
			}
			return args.Ended(end)
		}
	}
	result, err := c.run(ctx, st, &call, func(handle C.uintptr_t, how *C.zg_how, texts *C.char) (reply C.zg_reply) {
		c.hooks.during(st, func() {
			reply = C.zg_batch(c.ptr, handle, how, texts,
				batch, text(args.Journal), size(args.Journal), C.uint64_t(args.Credits), C.uint32_t(args.Parallel), flag(st.ended != nil), flag(st.steps != nil))
		})
		return reply
	})
	if err != nil {
		return none, err
	}
	defer C.zcrm_result_free(result)
	summary, err := batchSummary(result)
	if err != nil {
		return none, err
	}
	if st.late && summary.Stopped == "cancelled" {
		summary.Stopped = "call_timeout"
	}
	return summary, st.ofBatch(ctx, &summary)
}

func batchSummary(result *C.zcrm_result) (BatchSummary, error) {
	out := C.zcrm_batch_summary{struct_size: C.sizeof_zcrm_batch_summary}
	var failed *C.zcrm_error
	if status := C.zcrm_result_batch(result, &out, &failed); status != C.ZCRM_OK {
		return BatchSummary{}, takeFailure(status, failed)
	}
	return BatchSummary{
		Done:        int64(out.done),
		FromJournal: int64(out.from_journal),
		Failed:      int64(out.failed),
		Unknown:     int64(out.unknown),
		Left:        int64(out.left),
		Stopped:     goText(out.stopped),
		Attempts:    int64(out.attempts),
	}, nil
}

// ofBatch is why a batch was cancelled, which is no failure to the library.
func (st *state) ofBatch(ctx context.Context, summary *BatchSummary) error {
	var failure *Failure
	switch {
	case st.err != nil:
		failure = unsent(C.ZCRM_E_CALLBACK, "callback", "the function that is told of each end failed")
		failure.Cause = st.err
	case st.steps != nil && st.steps.err != nil:
		failure = unsent(C.ZCRM_E_CALLBACK, "callback", "the sequence of the steps failed")
		failure.Cause = st.steps.err
	case summary.Stopped == "cancelled" && ctx.Err() != nil:
		failure = unsent(C.ZCRM_E_CANCELLED, "cancelled", fmt.Sprintf("the context ended, and %d steps are left", summary.Left))
		failure.Cause = ctxCause(ctx)
	default:
		return nil
	}
	if failure.Attempts = int(summary.Attempts); failure.Attempts > 0 {
		failure.RequestSent = "partly"
	}
	return failure
}

func newBatch(steps []BatchStep) (*C.zcrm_batch, error) {
	var batch *C.zcrm_batch
	if status := C.zcrm_batch_new(&batch); status != C.ZCRM_OK {
		return nil, unsent(status, "memory", "no batch could be made")
	}
	for i, step := range steps {
		if err := add(batch, step); err != nil {
			C.zcrm_batch_free(batch)
			err.Message = fmt.Sprintf("step %d: %s", i, err.Message)
			return nil, err
		}
	}
	return batch, nil
}

func add(batch *C.zcrm_batch, step BatchStep) *Failure {
	if strings.IndexByte(step.Key, 0) >= 0 {
		return Argument("key", "holds a NUL")
	}
	var failed *C.zcrm_error
	json := (*C.char)(unsafe.Pointer(unsafe.SliceData(step.Step)))
	if status := C.zcrm_batch_add(batch, text(step.Key+"\x00"), json, C.size_t(len(step.Step)), &failed); status != C.ZCRM_OK {
		return takeFailure(status, failed)
	}
	return nil
}
