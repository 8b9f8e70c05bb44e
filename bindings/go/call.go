package zcrm

import (
	"time"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// CallOption is a wish for one call. One that means nothing to the operation it is given to is [ErrArgument].
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

// callOf is the call that the options make of an operation, which has this name in errors and belongs to that kind.
func callOf(operation string, kind operations, options []CallOption) (callOptions, error) {
	if len(options) == 0 {
		return callOptions{}, nil // what options write to would be on the heap
	}
	var call callOptions
	for _, option := range options {
		if option.apply == nil {
			continue
		}
		if option.fits&kind == 0 {
			return call, argument(operation, option.name, "means nothing to this operation")
		}
		if option.apply(&call); call.wrong != nil {
			return call, wrap(operation, call.wrong)
		}
	}
	return call, nil
}

// WithTimeout bounds the call with all its attempts, and with what it waits for other calls; more is [ErrTimeout]. A bound of 0 or less,
// as of a deadline that has passed, is ErrTimeout at once. The deadline of a context does the same, and the call then fails with
// [context.DeadlineExceeded]. Without either the setting "call_timeout_ms" holds, and the bounds on connecting and stalling.
func WithTimeout(bound time.Duration) CallOption {
	return CallOption{"WithTimeout", everything, func(call *callOptions) {
		if call.Timeout = bound; bound <= 0 {
			call.wrong = cabi.TimedOut()
		}
	}}
}

// WithProgress lets progress be told how far an upload or a download is: at most about ten times a second, and at its end. It runs on the
// goroutine that made the call. total is -1 while it is unknown; done starts over when an attempt is repeated.
func WithProgress(progress func(done, total int64)) CallOption {
	return CallOption{"WithProgress", uploads | downloads | steps, func(call *callOptions) { call.Progress = progress }}
}

// WithSHA256 asks for the SHA-256 of the bytes of an upload or a download. It costs about what TLS costs.
func WithSHA256() CallOption {
	return CallOption{"WithSHA256", uploads | downloads | steps | batches, func(call *callOptions) { call.Flags |= cabi.WantSHA256 }}
}

// WithExpectedSHA256 fails an upload or a download of bytes with another hash than this one, of 64 hexadecimal digits, with [ErrChecksum]:
// an upload isn't stored, and a file isn't written. What a Writer has taken by then it has taken.
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

// WithSkipExisting makes an attachment of the same name and size, or the same link, that is on the record already the result of an upload,
// which sends nothing then: Attachment.Skipped. For a job that comes a second time. It costs one list.
func WithSkipExisting() CallOption {
	return CallOption{"WithSkipExisting", attachmentUploads | steps | batches, func(call *callOptions) { call.Flags |= cabi.SkipExisting }}
}

// WithSkipSameBytes is [WithSkipExisting] only when the bytes are the same too: what is there is downloaded to be compared.
func WithSkipSameBytes() CallOption {
	return CallOption{"WithSkipSameBytes", attachmentUploads | steps | batches, func(call *callOptions) { call.Flags |= cabi.SkipSameBytes }}
}

// WithAgain says that this very call may have been made before, and nobody knows how it ended, as when a queue delivers a job a second
// time. What it does is looked for first, and isn't done twice: an attachment of the same name, size and bytes, or the same link, is the
// upload's work (Attachment.Skipped); a deletion of what isn't there is done; a file that has the bytes of the download is the download. It
// costs a list, and a download for each upload that is compared.
func WithAgain() CallOption {
	return CallOption{"WithAgain", uploads | downloads | removes | steps | batches, func(call *callOptions) { call.Flags |= cabi.Again }}
}

// WithRestrictTriggers keeps what it names from being triggered by the upload of a photo; Zoho knows "workflow".
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

// WithOverwrite lets a download replace a file that exists. Without it that is [ErrIO], reason "target_exists".
func WithOverwrite() CallOption {
	return CallOption{"WithOverwrite", downloads, func(call *callOptions) { call.overwrite = true }}
}
