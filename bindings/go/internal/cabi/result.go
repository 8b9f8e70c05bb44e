package cabi

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"encoding/json"
	"io"
	"syscall"
	"unsafe"
)

// Attachment is zcrm_attachment.
type Attachment struct {
	ID, FileName, SafeName, LinkURL, CreatedTime, ModifiedTime, ParentID, OwnerID, OwnerName, CreatedByID, FileID, Kind string
	Bytes                                                                                                               int64
	IsLink                                                                                                              bool
}

// Uploaded is what zcrm_attachment_upload gave.
type Uploaded struct {
	Attachment
	SHA256                        string // with WantSHA256
	Skipped, Settled, NameChanged bool
	Twins                         []string
	WaitReason                    string
}

// Transfer is zcrm_transfer.
type Transfer struct {
	Bytes                               int64
	FileName, ContentType, SHA256, Path string
	LengthVerified                      bool
}

// Page is what zcrm_attachment_list gave.
type Page struct {
	Attachments   []Attachment
	NextPageToken string
	More          bool
}

// RecordPage is what zcrm_record_list gave.
type RecordPage struct {
	RecordIDs     []string
	NextPageToken string
	More          bool
}

// Failure is zcrm_error, as zcrm_error_json writes it, and the Go error behind it, if any.
type Failure struct {
	Status         int32           `json:"status"`
	Reason         string          `json:"reason"`
	Message        string          `json:"message"`
	Field          string          `json:"field"`
	HTTPStatus     int             `json:"http_status"`
	APICode        string          `json:"api_code"`
	APIMessage     string          `json:"api_message"`
	Details        json.RawMessage `json:"details"`
	Retryable      bool            `json:"retryable"`
	RetryAfterMS   int64           `json:"retry_after_ms"`
	OutcomeOpen    bool            `json:"outcome_open"`
	Candidates     []string        `json:"candidates"`
	RequestSent    string          `json:"request_sent"`
	Attempts       int             `json:"attempts"`
	WaitedMS       int64           `json:"waited_ms"`
	CallbackStatus int32           `json:"callback_status"`
	OSError        int             `json:"os_error"`

	Cause error `json:"-"`
}

func (f *Failure) Error() string { return f.Message }

// takeFailure reads and frees the C error.
func takeFailure(status C.zcrm_status, failed *C.zcrm_error) *Failure {
	defer C.zcrm_error_free(failed)
	failure, ok := readFailure(int32(status), []byte(C.GoString(C.zcrm_error_json(failed))))
	if !ok {
		failure.Message = C.GoString(C.zcrm_error_message(failed))
	}
	return failure
}

// ReadFailure is for tests: see readFailure.
func ReadFailure(status int32, text []byte) *Failure {
	failure, _ := readFailure(status, text)
	return failure
}

// readFailure reads what zcrm_error_json writes.
func readFailure(status int32, text []byte) (failure *Failure, ok bool) {
	failure = &Failure{RetryAfterMS: -1, RequestSent: "no"}
	err := json.Unmarshal(text, failure)
	failure.Status = status
	switch {
	case failure.OSError != 0:
		failure.Cause = syscall.Errno(failure.OSError)
	case failure.Reason == "reply_truncated":
		failure.Cause = io.ErrUnexpectedEOF
	}
	return failure, err == nil
}

// readStored reads what zg_upload has filled. The texts stay where they are, in memory that is the upload's own.
func readStored(stored *C.zg_stored, to *Uploaded) {
	rest, lens := unsafe.String((*byte)(unsafe.Pointer(&stored.texts)), len(stored.texts)), &stored.lens
	to.ID, rest = rest[:lens[0]], rest[lens[0]:]
	to.FileName, rest = rest[:lens[1]], rest[lens[1]:]
	to.SafeName, rest = rest[:lens[2]], rest[lens[2]:]
	to.LinkURL, rest = rest[:lens[3]], rest[lens[3]:]
	to.CreatedTime = rest[:lens[4]]
	to.Bytes, to.IsLink = int64(stored.bytes), stored.is_link != 0
	to.setFlags(stored.flags)
}

func (to *Uploaded) setFlags(flags C.uint32_t) {
	to.Skipped = flags&C.ZCRM_UPLOAD_SKIPPED != 0
	to.Settled = flags&C.ZCRM_UPLOAD_SETTLED != 0
	to.NameChanged = flags&C.ZCRM_UPLOAD_NAME_CHANGED != 0
}

// uploaded reads any upload; of the JSON, which costs more than all else here, only what zcrm_attachment has no fields for.
func uploaded(result *C.zcrm_result, call *Call, to *Uploaded) error {
	out := C.zcrm_attachment{struct_size: C.sizeof_zcrm_attachment}
	var failed *C.zcrm_error
	if status := C.zcrm_result_attachment(result, 0, &out, &failed); status != C.ZCRM_OK {
		return takeFailure(status, failed)
	}
	readAttachment(&out, &to.Attachment)
	to.setFlags(out.flags)
	if call.Flags&WantSHA256 != 0 {
		moved, err := transfer(result)
		if err != nil {
			return err
		}
		to.SHA256 = moved.SHA256
	}
	if out.flags&(C.ZCRM_UPLOAD_TWINS|C.ZCRM_UPLOAD_WAITED) == 0 {
		return nil
	}
	var more struct {
		Result struct {
			Twins []string `json:"twins"`
		} `json:"result"`
		WaitReason string `json:"wait_reason"`
	}
	if err := json.Unmarshal(resultJSON(result), &more); err != nil {
		return Unreadable(err)
	}
	to.Twins, to.WaitReason = more.Result.Twins, more.WaitReason
	return nil
}

// Unreadable is the failure of a result that Go can't read.
func Unreadable(err error) *Failure {
	failure := unsent(C.ZCRM_E_PROTOCOL, "result_json", "the library's result is not the JSON that it should be")
	failure.RequestSent, failure.Cause = "answered", err
	return failure
}

// attachments reads all rows in one crossing.
func attachments(result *C.zcrm_result) ([]Attachment, error) {
	table := C.zg_rows(result)
	defer C.free(unsafe.Pointer(table.rows))
	if table.status != C.ZCRM_OK {
		return nil, takeFailure(table.status, table.error)
	}
	rows := unsafe.Slice(table.rows, table.n)
	listed := make([]Attachment, len(rows))
	for i := range rows {
		readAttachment(&rows[i], &listed[i])
	}
	return listed, nil
}

// readAttachment copies the texts into one string, of which each is a part: an allocation for each would take longer than all else.
func readAttachment(out *C.zcrm_attachment, to *Attachment) {
	all := make([]byte, out.id.len+out.file_name.len+out.safe_name.len+out.link_url.len+out.created_time.len+out.modified_time.len+
		out.parent_id.len+out.owner_id.len+out.owner_name.len+out.created_by_id.len+out.file_id.len+out.kind.len)
	all = part(all, &out.id, &to.ID)
	all = part(all, &out.file_name, &to.FileName)
	all = part(all, &out.safe_name, &to.SafeName)
	all = part(all, &out.link_url, &to.LinkURL)
	all = part(all, &out.created_time, &to.CreatedTime)
	all = part(all, &out.modified_time, &to.ModifiedTime)
	all = part(all, &out.parent_id, &to.ParentID)
	all = part(all, &out.owner_id, &to.OwnerID)
	all = part(all, &out.owner_name, &to.OwnerName)
	all = part(all, &out.created_by_id, &to.CreatedByID)
	all = part(all, &out.file_id, &to.FileID)
	_ = part(all, &out.kind, &to.Kind)
	to.Bytes, to.IsLink = int64(out.bytes), out.is_link != 0
}

// part makes the first bytes of free a copy of a text, and gives the rest of them.
func part(free []byte, from *C.zcrm_str, to *string) []byte {
	if from.len == 0 {
		return free
	}
	n := copy(free, unsafe.Slice((*byte)(unsafe.Pointer(from.ptr)), from.len))
	*to = unsafe.String(&free[0], n)
	return free[n:]
}

func transfer(result *C.zcrm_result) (Transfer, error) {
	out := C.zcrm_transfer{struct_size: C.sizeof_zcrm_transfer}
	var failed *C.zcrm_error
	if status := C.zcrm_result_transfer(result, &out, &failed); status != C.ZCRM_OK {
		return Transfer{}, takeFailure(status, failed)
	}
	return transferOf(&out), nil
}

func transferOf(out *C.zcrm_transfer) Transfer {
	return Transfer{
		Bytes:          int64(out.bytes),
		FileName:       goText(out.file_name),
		ContentType:    goText(out.content_type),
		SHA256:         goText(out.sha256),
		Path:           goText(out.path),
		LengthVerified: out.length_verified != 0,
	}
}

// recordIDs takes the ids from the JSON: one crossing, where zcrm_result_record_id would need one for each.
func recordIDs(result *C.zcrm_result) ([]string, error) {
	var all struct {
		Result struct {
			RecordIDs []string `json:"record_ids"`
		} `json:"result"`
	}
	if err := json.Unmarshal(resultJSON(result), &all); err != nil {
		return nil, Unreadable(err)
	}
	return all.Result.RecordIDs, nil
}

func recordPage(result *C.zcrm_result) (RecordPage, error) {
	token, more, err := standing(result)
	if err != nil {
		return RecordPage{}, err
	}
	ids, err := recordIDs(result)
	return RecordPage{RecordIDs: ids, NextPageToken: token, More: more}, err
}

func page(result *C.zcrm_result) (Page, error) {
	token, more, err := standing(result)
	if err != nil {
		return Page{}, err
	}
	listed, err := attachments(result)
	return Page{Attachments: listed, NextPageToken: token, More: more}, err
}

// standing is where a list stands.
func standing(result *C.zcrm_result) (nextPageToken string, more bool, err error) {
	out := C.zcrm_page{struct_size: C.sizeof_zcrm_page}
	var failed *C.zcrm_error
	if status := C.zcrm_result_page(result, &out, &failed); status != C.ZCRM_OK {
		return "", false, takeFailure(status, failed)
	}
	return goText(out.next_page_token), out.more_records != 0, nil
}

func resultJSON(result *C.zcrm_result) []byte {
	return []byte(C.GoString(C.zcrm_result_json(result, nil)))
}

func goText(s C.zcrm_str) string { return C.GoStringN(s.ptr, C.int(s.len)) }
