package zcrm

import (
	"time"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// CallOption is a wish for one call.
type CallOption struct {
	apply func(*callOptions)
}

type callOptions struct {
	cabi.Call
	maxBytes  int64
	overwrite bool
}

func callOf(options []CallOption) callOptions {
	if len(options) == 0 {
		return callOptions{} // what options write to would be on the heap
	}
	var call callOptions
	for _, option := range options {
		if option.apply != nil {
			option.apply(&call)
		}
	}
	return call
}

// WithTimeout bounds the call with all its attempts; more is [ErrTimeout]. The deadline of a context does the same, and the call
// then fails with [context.DeadlineExceeded]. Without either only the library's bounds on connecting and stalling hold.
func WithTimeout(bound time.Duration) CallOption {
	return CallOption{func(call *callOptions) { call.Timeout = bound }}
}

// WithProgress lets progress be told how far an upload or a download is: at most about ten times a second, and at its end. It runs on the
// goroutine that made the call. total is -1 while it is unknown; done begins anew when an attempt is repeated.
func WithProgress(progress func(done, total int64)) CallOption {
	return CallOption{func(call *callOptions) { call.Progress = progress }}
}

// WithSHA256 asks for the SHA-256 of the bytes of an upload or a download. It costs about what TLS costs.
func WithSHA256() CallOption {
	return CallOption{func(call *callOptions) { call.Flags |= cabi.WantSHA256 }}
}

// WithExpectedSHA256 fails an upload or a download of bytes with another hash than this one, of 64 hexadecimal digits, with [ErrChecksum]:
// an upload isn't stored, and a file isn't written. What a Writer has taken by then it has taken.
func WithExpectedSHA256(hash string) CallOption {
	return CallOption{func(call *callOptions) { call.ExpectedSHA256 = hash }}
}

// WithExpectedBytes fails a download of another size, such as the one that the list named.
func WithExpectedBytes(n int64) CallOption {
	return CallOption{func(call *callOptions) { call.ExpectedBytes, call.Flags = n, call.Flags|cabi.ExpectBytes }}
}

// WithSkipExisting makes an attachment of the same name and size, or the same link, that is on the record already the result of an upload,
// which sends nothing then: Attachment.Skipped. For a job that comes a second time. It costs one list.
func WithSkipExisting() CallOption {
	return CallOption{func(call *callOptions) { call.Flags |= cabi.SkipExisting }}
}

// WithSkipSameBytes is [WithSkipExisting] only when the bytes are the same too: what is there is downloaded to be compared.
func WithSkipSameBytes() CallOption {
	return CallOption{func(call *callOptions) { call.Flags |= cabi.SkipSameBytes }}
}

// WithRestrictTriggers keeps what it names from being triggered by the upload of a photo; Zoho knows "workflow".
func WithRestrictTriggers(what string) CallOption {
	return CallOption{func(call *callOptions) { call.RestrictTriggers = what }}
}

// WithTraceID puts id into the log lines of the call.
func WithTraceID(id string) CallOption {
	return CallOption{func(call *callOptions) { call.TraceID = id }}
}

// WithMaxBytes fails a download of more bytes with [ErrTooLarge]; 0 is no bound.
func WithMaxBytes(n int64) CallOption {
	return CallOption{func(call *callOptions) { call.maxBytes = n }}
}

// WithOverwrite lets a download replace a file that exists. Without it that is [ErrIO], reason "target_exists".
func WithOverwrite() CallOption {
	return CallOption{func(call *callOptions) { call.overwrite = true }}
}
