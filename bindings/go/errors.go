package zcrm

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// ErrClosed is behind the [*Error] of an operation on a client that is closed, nil or not made by [New]: test for it with [errors.Is].
var ErrClosed = cabi.ErrClosed

// Code is the class of a failure, on which a caller can act. Each is an error too: test for it with [errors.Is].
type Code int32

// The codes. Later versions of the library may have more.
const (
	ErrArgument       Code = 1  // a parameter is missing, malformed or contradicts another one; nothing was sent
	ErrState          Code = 2  // an operation was started from inside a callback, the client is closed, or it met a bug before
	ErrConfig         Code = 3  // a setting is unknown, malformed or missing
	ErrVersion        Code = 4  // the API version, or this library, lacks what was asked for
	ErrNotFound       Code = 5  // there is no such attachment, or the record has no photo
	ErrAuth           Code = 6  // Zoho refused the token, or there is no way to get one
	ErrForbidden      Code = 7  // the user may not do this
	ErrRateLimited    Code = 8  // too many calls: credits, concurrency or token requests
	ErrRejected       Code = 9  // Zoho said no: read APICode and Details
	ErrTooLarge       Code = 10 // the file, the photo's pixels or a reply are over a limit
	ErrServer         Code = 11 // the server failed
	ErrNetwork        Code = 12 // the connection could not be made, or broke
	ErrTLS            Code = 13 // the server's certificate or the TLS handshake was refused
	ErrTimeout        Code = 14 // a bound on waiting was reached: connect, stall, token or call
	ErrCancelled      Code = 15 // the context ended
	ErrCallback       Code = 16 // a Reader, a Writer or a token source failed
	ErrIO             Code = 17 // a local file could not be read or written
	ErrProtocol       Code = 18 // the reply isn't what the API is documented to send
	ErrUnsupported    Code = 19 // the API, or this version of it, doesn't offer this
	ErrMemory         Code = 20 // there was not enough memory, or a memory limit was reached
	ErrPanic          Code = 21 // the library has a bug; this client is not to be used any more
	ErrOutcomeUnknown Code = 22 // a request was sent and its reply lost: what it asked for may be done, or not
	ErrDuplicateLink  Code = 23 // the same URL is already attached to this record
	ErrIsLink         Code = 24 // the attachment is a link: it has a URL, not bytes
	ErrInvalidModule  Code = 25 // the module doesn't exist, or doesn't offer this operation
	ErrInvalidRecord  Code = 26 // the record doesn't exist, or isn't visible to this user
	ErrRecordLocked   Code = 27 // the record is locked
	ErrNotApproved    Code = 28 // the record waits for an approval or a review
	ErrFileType       Code = 29 // this type of file is not taken here
	ErrStorageFull    Code = 30 // the organisation's storage is full
	ErrVirus          Code = 31 // Zoho found a virus in the file
	ErrScope          Code = 32 // the token lacks an OAuth scope
	ErrInvalidLink    Code = 33 // the link is not one that can be attached
	ErrPage           Code = 34 // the page or page token is refused, or paging runs in a circle
	ErrSourceConsumed Code = 35 // the source's bytes were used up by an attempt and can't be read again
	ErrSourceChanged  Code = 36 // the source has more or fewer bytes than it said
	ErrChecksum       Code = 37 // the bytes aren't those that the caller expected
)

// Error names the class.
func (c Code) Error() string {
	name := strings.TrimPrefix(strings.TrimPrefix(cabi.StatusName(int32(c)), "ZCRM_"), "E_")
	return "zcrm: " + strings.ToLower(strings.ReplaceAll(name, "_", " "))
}

// RequestSent says how much of a request had left when its call failed.
type RequestSent string

// With SentNothing nothing can have happened at Zoho. With SentPartly and SentFully, and no reply, an upload may be stored or not.
const (
	SentNothing  RequestSent = "no"
	SentPartly   RequestSent = "partly"
	SentFully    RequestSent = "fully"
	SentAnswered RequestSent = "answered"
)

// Error is a failed operation. It never holds a token, a secret or bytes of a file.
type Error struct {
	Operation   string          // such as "attachment.upload"
	Code        Code            // the class
	Reason      string          // a stable word for the exact reason, such as "photo_pixels"
	Message     string          // a line for a person; its wording may change
	Field       string          // the parameter or setting that is wrong, or empty
	HTTPStatus  int             // of the last reply; 0: there was none
	APICode     string          // Zoho's own code, such as "INVALID_DATA", or empty
	APIMessage  string          // Zoho's own message, or empty
	Details     json.RawMessage // Zoho's details as it sent them, or nil
	Retryable   bool            // whether the same call may succeed later
	RetryAfter  time.Duration   // how long to wait before; 0: nothing is known
	OutcomeOpen bool            // whether it may be done although the call failed: look at the record before it is done again
	Candidates  []string        // with ErrOutcomeUnknown: ids of the attachments that the upload may have become, if any are known
	RequestSent RequestSent     // how much of the request had left
	Attempts    int             // HTTP requests made
	Waited      time.Duration   // spent in waiting between them

	cause error
}

// Error is the operation and the message, and what lies behind it.
func (e *Error) Error() string {
	text := "zcrm: " + e.Operation + ": " + e.Message
	if e.cause != nil && (e.Code == ErrCallback || e.Code == ErrCancelled) {
		text += ": " + e.cause.Error() // of a local file the message already has it
	}
	return text
}

// Is says whether target is the code of this error. An ErrTimeout is [os.ErrDeadlineExceeded] too.
func (e *Error) Is(target error) bool {
	if target == os.ErrDeadlineExceeded {
		return e.Code == ErrTimeout
	}
	code, ok := target.(Code)
	return ok && code == e.Code
}

// Unwrap gives what the caller's Reader, Writer or token source returned, the error of a context that ended, the system's error of a
// local file, [io.ErrUnexpectedEOF] where a download or a Reader ended too early, or ErrClosed. Else it is nil.
func (e *Error) Unwrap() error { return e.cause }

// Timeout says whether the call ran out of time: by [WithTimeout] or a setting, by its context's deadline, or because a Reader or a Writer
// did. With Temporary it makes an *Error a [net.Error].
func (e *Error) Timeout() bool {
	var cause interface{ Timeout() bool }
	return e.Code == ErrTimeout || errors.As(e.cause, &cause) && cause.Timeout()
}

// Temporary is Retryable.
func (e *Error) Temporary() bool { return e.Retryable }

// wrap makes the seam's failure an *Error.
func wrap(operation string, err error) error {
	var f *cabi.Failure
	if !errors.As(err, &f) {
		return err
	}
	return &Error{
		Operation:   operation,
		Code:        Code(f.Status),
		Reason:      f.Reason,
		Message:     f.Message,
		Field:       f.Field,
		HTTPStatus:  f.HTTPStatus,
		APICode:     f.APICode,
		APIMessage:  f.APIMessage,
		Details:     f.Details,
		Retryable:   f.Retryable,
		RetryAfter:  time.Duration(max(f.RetryAfterMS, 0)) * time.Millisecond,
		OutcomeOpen: f.OutcomeOpen,
		Candidates:  f.Candidates,
		RequestSent: RequestSent(f.RequestSent),
		Attempts:    f.Attempts,
		Waited:      time.Duration(f.WaitedMS) * time.Millisecond,
		cause:       f.Cause,
	}
}

func argument(operation, field, problem string) error {
	return wrap(operation, cabi.Argument(field, problem))
}
