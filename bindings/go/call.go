package zcrm

import (
	"time"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// CallOption changes one call. An option that the operation has no use for is [ErrArgument].
type CallOption struct {
	name  string
	fits  operations
	apply func(*callOptions)
}

// operations is a set of them, as bits.
type operations uint

const (
	attachmentUploads operations = 1 << iota
	photoUploads
	downloads
	lists
	removes
	steps
	batches
)

const (
	uploads    = attachmentUploads | photoUploads
	everything = uploads | downloads | lists | removes | steps | batches
)

type callOptions struct {
	cabi.Call
	maxBytes  int64
	overwrite bool
	wrong     error // a value that can't be meant
}

// take makes it the call that the options make of an operation, which has this name in errors and belongs to that kind.
func (c *callOptions) take(operation string, kind operations, options []CallOption) error {
	c.Operation = operation
	if len(options) == 0 {
		return nil // what options write to would be on the heap
	}
	call := *c
	for _, option := range options {
		if option.apply == nil {
			continue
		}
		if option.fits&kind == 0 {
			return argument(operation, option.name, "means nothing to this operation")
		}
		if option.apply(&call); call.wrong != nil {
			return wrap(operation, call.wrong)
		}
	}
	*c = call
	return nil
}

// WithTimeout limits how long the call may take, with all its attempts and its waits for other calls; after that it fails with [ErrTimeout]. A
// limit of 0 or less, such as that of a deadline in the past, is ErrTimeout at once. The deadline of a context does the same, and the call then fails with
// [context.DeadlineExceeded]. Without either, the setting "call_timeout_ms" applies, and the limits on connecting and stalling.
func WithTimeout(bound time.Duration) CallOption {
	return CallOption{"WithTimeout", everything, func(call *callOptions) {
		if call.Timeout = bound; bound <= 0 {
			call.wrong = cabi.TimedOut()
		}
	}}
}

// WithProgress reports to progress how far an upload or a download is: at most about ten times a second, and at its end. progress runs on the
// goroutine that made the call. total is -1 while it is unknown; done starts over when an attempt is repeated.
func WithProgress(progress func(done, total int64)) CallOption {
	return CallOption{"WithProgress", uploads | downloads | steps, func(call *callOptions) { call.Progress = progress }}
}

// WithSHA256 computes the SHA-256 of the bytes of an upload or a download. It costs about as much CPU as TLS.
func WithSHA256() CallOption {
	return CallOption{"WithSHA256", uploads | downloads | steps | batches, func(call *callOptions) { call.Flags |= cabi.WantSHA256 }}
}

// WithExpectedSHA256 fails an upload or a download of bytes with another hash than this one, of 64 hexadecimal digits, with [ErrChecksum]:
// an upload isn't stored, and a file isn't written; what was written to a Writer stays written.
func WithExpectedSHA256(hash string) CallOption {
	return CallOption{"WithExpectedSHA256", uploads | downloads | steps, func(call *callOptions) {
		if call.ExpectedSHA256 = hash; hash == "" { // to the library that is no hash to check
			call.wrong = cabi.Argument("expected_sha256", "is empty; a SHA-256 is 64 hexadecimal digits")
		}
	}}
}

// WithExpectedBytes fails a download of another size, such as the one that the list named, with [ErrChecksum].
func WithExpectedBytes(n int64) CallOption {
	return CallOption{"WithExpectedBytes", downloads | steps, func(call *callOptions) {
		call.ExpectedBytes, call.Flags = n, call.Flags|cabi.ExpectBytes
	}}
}

// WithSkipExisting uploads nothing if the record already has an attachment of the same name and size, or the same link: that is the result
// then, with Attachment.Skipped. For a job that may run a second time. It costs one list.
func WithSkipExisting() CallOption {
	return CallOption{"WithSkipExisting", attachmentUploads | steps | batches, func(call *callOptions) { call.Flags |= cabi.SkipExisting }}
}

// WithSkipSameBytes is [WithSkipExisting], but only if the bytes are the same too. It downloads what is there to compare it.
func WithSkipSameBytes() CallOption {
	return CallOption{"WithSkipSameBytes", attachmentUploads | steps | batches, func(call *callOptions) { call.Flags |= cabi.SkipSameBytes }}
}

// WithAgain says that this call may have been made before, and nobody knows how it ended, as when a queue delivers a job a second time. The
// library first looks for its effect, and doesn't repeat it: an attachment of the same name, size and bytes, or the same link, counts as the
// upload (Attachment.Skipped); deleting what isn't there succeeds; a file that already has the bytes of the download counts as the download.
// It costs a list, and a download for each upload that is compared.
func WithAgain() CallOption {
	return CallOption{"WithAgain", uploads | downloads | removes | steps | batches, func(call *callOptions) { call.Flags |= cabi.Again }}
}

// WithRestrictTriggers keeps the upload of a photo from triggering what it names; Zoho knows "workflow".
func WithRestrictTriggers(what string) CallOption {
	return CallOption{"WithRestrictTriggers", photoUploads | steps, func(call *callOptions) { call.RestrictTriggers = what }}
}

// WithTraceID puts id into the log lines of the call.
func WithTraceID(id string) CallOption {
	return CallOption{"WithTraceID", everything, func(call *callOptions) { call.TraceID = id }}
}

// WithMaxBytes fails a download of more bytes with [ErrTooLarge]; 0 is no bound.
func WithMaxBytes(n int64) CallOption {
	return CallOption{"WithMaxBytes", downloads, func(call *callOptions) {
		if call.maxBytes = n; n < 0 {
			call.wrong = cabi.Argument("max_bytes", "is negative; 0 is no bound")
		}
	}}
}

// WithOverwrite lets a download replace a file that exists. Without it such a file is [ErrIO], reason "target_exists".
func WithOverwrite() CallOption {
	return CallOption{"WithOverwrite", downloads, func(call *callOptions) { call.overwrite = true }}
}
