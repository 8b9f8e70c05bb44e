package zohocrm

import (
	"errors"
	"fmt"
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
	cause      error

	sentNothing bool // nothing of the last request left this machine
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
	e := (*zcrm.Error)(nil)
	if !errors.As(err, &e) {
		return f // a field that couldn't be made from the message
	}
	f.class = strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(e.Code.Error(), "zcrm: "), " ", "_"))
	f.code, f.reason, f.httpStatus, f.retryable = e.APICode, e.Reason, e.HTTPStatus, e.Retryable
	f.sentNothing = e.RequestSent == zcrm.SentNothing
	if f.code == "" {
		f.code = f.class
	}
	return f
}

// unfinished is the failure of a batch that was cut short: what is left of it comes with the job's next delivery.
func unfinished(left, unknown uint64, stopped string) *failure {
	if stopped == "" {
		stopped = "unfinished"
	}
	cause := fmt.Errorf("the batch has %d steps to be done again and %d of unknown outcome (%s)", left, unknown, stopped)
	return &failure{code: "LEFT", class: "LEFT", reason: stopped, retryable: true, cause: cause}
}

// concernsAll reports whether every call of this process would fail so, whichever job it is for.
func (f *failure) concernsAll() bool {
	switch f.class {
	case "AUTH", "TLS":
		return true
	case "NETWORK", "TIMEOUT":
		return f.sentNothing
	}
	switch f.reason {
	case "token_throttled", "token_store", "token_lock", "credits_exhausted":
		return true
	}
	return false
}

const (
	metaAttachmentID = "zcrm_attachment_id"
	metaFileName     = "zcrm_file_name"
	metaCode         = "zcrm_code"
	metaClass        = "zcrm_class"
	metaReason       = "zcrm_reason"
	metaHTTPStatus   = "zcrm_http_status"
	metaRetryable    = "zcrm_retryable"
)

func (f *failure) label(msg *service.Message) {
	msg.MetaSetMut(metaCode, f.code)
	msg.MetaSetMut(metaClass, f.class)
	msg.MetaSetMut(metaReason, f.reason)
	msg.MetaSetMut(metaHTTPStatus, strconv.Itoa(f.httpStatus))
	msg.MetaSetMut(metaRetryable, strconv.FormatBool(f.retryable))
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
- zcrm_class          the library's class, such as NETWORK, AUTH or NOT_FOUND: one of the names of ZCRM_E_…; LEFT: a batch that was cut short
- zcrm_reason         a stable word for the exact reason, such as record_invalid
- zcrm_http_status    status of the last reply; 0: there was none
- zcrm_retryable      whether the same call may succeed later
` + "```" + `

The text of its error is ` + "`zcrm CODE http=STATUS retryable=BOOL: a message for a person`" + `; only the message's wording may change.

### Metrics

` + "`zcrm_calls`" + ` counts the calls and ` + "`zcrm_call_ns`" + ` times them, by ` + "`operation`" + ` and ` + "`status`" + ` (` + "`ok`" + ` or the class). With tracing on, each call is a span below its message's.
`
