package zohocrm

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/warpstreamlabs/bento/public/service"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// failure is why a call failed, in the form that pipelines route on. Its text keeps its shape:
//
//	zcrm INVALID_DATA http=400 retryable=false: the message
type failure struct {
	code       string // Zoho's code, or the class where Zoho gave none
	class      string // the library's class: one of a fixed set
	reason     string // the library's word for the exact reason
	httpStatus int    // 0: there was no reply
	retryable  bool
	open       bool // it may be done all the same: the next delivery looks
	cause      error

	failures    int  // the job's failed calls in this process, this one included
	sentNothing bool // nothing of the last request left this machine
	ownFault    bool // of a part of the step, this process's fault
}

func (f *failure) Error() string {
	message := f.cause.Error()
	if e := (*zcrm.Error)(nil); errors.As(f.cause, &e) {
		message = e.Message
	}
	return fmt.Sprintf("zcrm %s http=%d retryable=%t: %s", f.code, f.httpStatus, f.retryable, message)
}

func (f *failure) Unwrap() error { return f.cause }

func failureOf(err error) *failure {
	f := &failure{code: "ARGUMENT", class: "ARGUMENT", reason: "field", cause: err}
	if u := (*unfinished)(nil); errors.As(err, &u) {
		return u.failure()
	}
	e := (*zcrm.Error)(nil)
	if !errors.As(err, &e) {
		return f // a field that couldn't be made from the message
	}
	f.class = strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(e.Code.Error(), "zcrm: "), " ", "_"))
	f.code, f.reason, f.httpStatus, f.retryable = e.APICode, e.Reason, e.HTTPStatus, e.Retryable
	f.open = e.OutcomeOpen
	f.sentNothing = e.RequestSent == zcrm.SentNothing
	if f.code == "" {
		f.code = f.class
	}
	return f
}

// unfinished is why a step of several parts isn't done, though it was run: what is left of it comes with the job's next delivery.
type unfinished struct {
	left, unknown uint64
	stopped       string // why a batch ended early
	ownFault      bool   // a part failed for what is wrong with this process or its network
}

// add counts the parts that are to be done again.
func (u *unfinished) add(parts ...part) {
	for _, p := range parts {
		own := slices.Contains([]string{"ZCRM_E_AUTH", "ZCRM_E_TLS"}, p.Error.Name)
		switch {
		case p.Status == "left": // counted by the batch
		case p.Error.OutcomeOpen:
			u.unknown++
		case own || p.Error.Retryable:
			u.left++
		}
		u.ownFault = u.ownFault || own
	}
}

func (u *unfinished) Error() string {
	text := fmt.Sprintf("%d parts of the step are to be done again and %d have an unknown outcome", u.left, u.unknown)
	if u.stopped != "" {
		text += " (" + u.stopped + ")"
	}
	return text
}

func (u *unfinished) failure() *failure {
	reason := u.stopped
	if reason == "" {
		reason = "unfinished"
	}
	return &failure{code: "LEFT", class: "LEFT", reason: reason, retryable: true, open: u.unknown > 0 || u.stopped == "cancelled", ownFault: u.ownFault, cause: u}
}

// isLocal reports whether the message itself was refused, before anything was sent.
func (f *failure) isLocal() bool {
	return f.httpStatus == 0 && f.sentNothing && !f.retryable && !f.concernsAll() && f.class != "CANCELLED"
}

// concernsAll reports whether every call of this process would fail so, whichever job it is for.
func (f *failure) concernsAll() bool {
	switch f.class {
	case "LEFT":
		return f.ownFault || f.reason == "no_token" || f.reason == "credits_exhausted"
	case "AUTH", "TLS":
		return true
	case "NETWORK", "TIMEOUT":
		return f.sentNothing
	}
	switch f.reason {
	case "token_throttled", "token_reply", "token_store", "token_lock", "credits_exhausted":
		return true
	}
	return false
}

// waits reports whether it passes however long that takes: the fault is this worker's, its credentials' or the network's, and no job's.
func (f *failure) waits() bool {
	return f.concernsAll() || slices.Contains([]string{"CANCELLED", "SCOPE", "NETWORK", "LEFT"}, f.class) || f.reason == "journal_in_use"
}

const (
	metaAttachmentID = "zcrm_attachment_id"
	metaFileName     = "zcrm_file_name"
	metaCode         = "zcrm_code"
	metaClass        = "zcrm_class"
	metaReason       = "zcrm_reason"
	metaHTTPStatus   = "zcrm_http_status"
	metaRetryable    = "zcrm_retryable"
	metaOpen         = "zcrm_outcome_open"
	metaWaits        = "zcrm_waits"
	metaFailures     = "zcrm_failures"
)

func (f *failure) label(msg *service.Message) {
	msg.MetaSetMut(metaCode, f.code)
	msg.MetaSetMut(metaClass, f.class)
	msg.MetaSetMut(metaReason, f.reason)
	msg.MetaSetMut(metaHTTPStatus, strconv.Itoa(f.httpStatus))
	msg.MetaSetMut(metaRetryable, strconv.FormatBool(f.retryable))
	msg.MetaSetMut(metaOpen, strconv.FormatBool(f.open))
	msg.MetaSetMut(metaWaits, strconv.FormatBool(f.waits()))
	msg.MetaSetMut(metaFailures, strconv.Itoa(f.failures))
}

const metadataDocs = `
### Metadata

A message that went well has:

` + "```text" + `
- zcrm_attachment_id  the attachment that was stored
- zcrm_file_name      the name of a file that was stored or downloaded
` + "```" + `

A message that failed keeps its content, and has:

` + "```text" + `
- zcrm_code           Zoho's code, such as INVALID_DATA, or the class where Zoho gave none
- zcrm_class          the library's class, such as NETWORK, AUTH or NOT_FOUND: one of the names of ZCRM_E_…; LEFT: a batch or several links of which something is left to do
- zcrm_reason         a stable word for the exact reason, such as record_invalid
- zcrm_http_status    status of the last reply; 0: there was none
- zcrm_retryable      whether the same call may succeed later
- zcrm_outcome_open   whether it may be done although it failed: let ` + "`redelivered`" + ` look before it is done again
- zcrm_waits          whether to try it again until it works: the fault is the network's, this process's or its credentials', and not the message's
- zcrm_failures       how often a call for the job of this zcrm_job_id has failed in this process, without those that wait
` + "```" + `

The text of its error is ` + "`zcrm CODE http=STATUS retryable=BOOL: a message for a person`" + `; only the message's wording may change.

### Metrics

` + "`zcrm_calls`" + ` counts the calls and ` + "`zcrm_call_ns`" + ` times them, by ` + "`operation`" + ` and ` + "`status`" + ` (` + "`ok`" + ` or the class). With tracing on, each call is a span below its message's.
`
