package zcrm

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// Record names a row of the CRM.
type Record struct {
	Module string // API name, such as "Contacts"
	ID     string // digits
}

// Attachment is a file or a link on a record. Its texts share one piece of memory: strings.Clone one that is to be kept without the others.
type Attachment struct {
	ID          string    `json:"id"`
	FileName    string    `json:"file_name"` // as Zoho has it, or the title of a link: it may be a path or hold control characters
	SafeName    string    `json:"safe_name"` // FileName made safe as the name of a file; empty when nothing is left of it
	Bytes       int64     `json:"bytes"`     // size; -1: unknown
	IsLink      bool      `json:"is_link"`
	LinkURL     string    `json:"link_url,omitempty"`     // of a link
	Created     time.Time `json:"created_time,omitzero"`  // zero: not known
	Modified    time.Time `json:"modified_time,omitzero"` // zero: not known, as after an upload
	ParentID    string    `json:"parent_id,omitempty"`    // the record it hangs on; empty after an upload, as all that follow
	OwnerID     string    `json:"owner_id,omitempty"`
	OwnerName   string    `json:"owner_name,omitempty"`
	CreatedByID string    `json:"created_by_id,omitempty"` // the user who attached it
	FileID      string    `json:"file_id,omitempty"`       // Zoho's id of the stored bytes; empty for a link
	Kind        string    `json:"kind,omitempty"`          // Zoho's $type, opaque

	// After an upload:
	SHA256      string   `json:"sha256,omitempty"`       // hexadecimal, with WithSHA256
	Skipped     bool     `json:"skipped,omitempty"`      // it was there already and was not sent: WithSkipExisting
	Settled     bool     `json:"settled,omitempty"`      // the reply was lost, and the upload was found on the record
	NameChanged bool     `json:"name_changed,omitempty"` // Zoho stored it under another name; known only when the record was listed
	Twins       []string `json:"twins,omitempty"`        // further copies that a repeated sending has made; with the setting on_twin=delete they are gone again
	WaitReason  string   `json:"wait_reason,omitempty"`  // why the upload waited last: "in_flight", "settling", or the reason of a failure that was tried again; or empty
}

// Transfer describes the bytes that a call moved.
type Transfer struct {
	Bytes          int64  `json:"bytes"`
	FileName       string `json:"file_name"`              // as sent; of a download the name that Zoho gives, made safe as a file name, or empty
	ContentType    string `json:"content_type,omitempty"` // of a download, or empty
	SHA256         string `json:"sha256,omitempty"`       // hexadecimal, with WithSHA256
	Path           string `json:"path,omitempty"`         // the file that a download wrote, or empty
	LengthVerified bool   `json:"length_verified"`        // whether a download's size was checked against one from Zoho or the caller
}

// UploadAttachment attaches a file or a link to a record.
//
// An upload isn't repeated blindly: when its reply is lost, the library reads the record's list to find out whether it was stored. If that
// doesn't settle it, the call fails with [ErrOutcomeUnknown].
//
// See https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html
func (c *Client) UploadAttachment(ctx context.Context, record Record, source Source, options ...CallOption) (*Attachment, error) {
	const operation = "attachment.upload"
	if err := source.open(operation); err != nil {
		return nil, err
	}
	var call callOptions
	if err := call.take(operation, attachmentUploads, options); err != nil {
		return nil, err
	}
	on := object(record)
	var stored cabi.Uploaded
	if err := c.seam().Upload(ctx, &on, &source.s, &call.Call, &stored); err != nil {
		return nil, wrap(operation, err)
	}
	attachment := new(Attachment)
	attachment.read(&stored.Attachment)
	attachment.SHA256, attachment.WaitReason = stored.SHA256, stored.WaitReason
	attachment.Skipped, attachment.Settled, attachment.NameChanged, attachment.Twins = stored.Skipped, stored.Settled, stored.NameChanged, stored.Twins
	return attachment, nil
}

// ListOptions names one page of a list. The zero value is the first, of 200.
type ListOptions struct {
	Page      int      // from 1
	PageToken string   // in place of Page: NextPageToken of the page before; API v7 and later, of records v3 and later
	PerPage   int      // at most 200; 0: 200
	Fields    []string // API names of the fields to ask for; nil: those of Attachment. Of records there is nothing but the id
}

// args names the page to the library, to which neither a number nor a token means every page.
func (l ListOptions) args(operation string) (args cabi.ListArgs, err error) {
	if l.Page < 0 || l.Page > math.MaxUint32 {
		return args, argument(operation, "page", fmt.Sprintf("there is no page %d; the first is 1", l.Page))
	}
	if l.PerPage < 0 || l.PerPage > math.MaxUint32 {
		return args, argument(operation, "per_page", "is not between 1 and 200")
	}
	args = cabi.ListArgs{Fields: strings.Join(l.Fields, ","), PageToken: l.PageToken, Page: uint32(l.Page), PerPage: uint32(l.PerPage)}
	if args.Page == 0 && args.PageToken == "" {
		args.Page = 1
	}
	return args, nil
}

// Page is a part of a list.
type Page struct {
	Attachments   []Attachment `json:"attachments"`
	NextPageToken string       `json:"next_page_token,omitempty"` // empty: there is no next page, or the API version gives no tokens
	More          bool         `json:"more_records"`              // whether Zoho has more after these
}

// ListAttachments gives one page of a record's attachments.
//
// See https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html
func (c *Client) ListAttachments(ctx context.Context, record Record, list ListOptions, options ...CallOption) (*Page, error) {
	const operation = "attachment.list"
	args, err := list.args(operation)
	if err != nil {
		return nil, err
	}
	var call callOptions
	if err := call.take(operation, lists, options); err != nil {
		return nil, err
	}
	on := object(record)
	listed, err := c.seam().List(ctx, &on, args, &call.Call)
	if err != nil {
		return nil, wrap(operation, err)
	}
	page := &Page{Attachments: make([]Attachment, len(listed.Attachments)), NextPageToken: listed.NextPageToken, More: listed.More}
	for i := range page.Attachments {
		page.Attachments[i].read(&listed.Attachments[i])
	}
	return page, nil
}

// Attachments iterates over all attachments of a record. It fetches a page when the loop gets there and keeps only the ids of earlier pages.
// Each attachment comes once, even if the list changes meanwhile, and a loop that deletes leaves none behind. The options apply to each page.
// An error ends the loop: [ErrPage] means that the list runs in a circle, or is longer than the setting "list_max_rows".
//
// See https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html
func (c *Client) Attachments(ctx context.Context, record Record, options ...CallOption) iter.Seq2[Attachment, error] {
	begin := func() (*cabi.Pages, error) { return c.seam().Pages(object(record)) }
	return func(yield func(Attachment, error) bool) {
		err := walk(ctx, "attachment.list", begin, (*cabi.Pages).Next, options, func(row *cabi.Attachment) bool {
			var a Attachment
			a.read(row)
			return yield(a, nil)
		})
		if err != nil {
			yield(Attachment{}, wrap("attachment.list", err))
		}
	}
}

// walk gives each row of a list to yield, until that has enough.
func walk[T any](ctx context.Context, operation string, begin func() (*cabi.Pages, error),
	next func(*cabi.Pages, context.Context, *cabi.Call) ([]T, bool, error), options []CallOption, yield func(*T) bool) error {
	var call callOptions
	if err := call.take(operation, lists, options); err != nil {
		return err
	}
	pages, err := begin()
	if err != nil {
		return err
	}
	defer pages.Free()
	for {
		rows, ok, err := next(pages, ctx, &call.Call)
		if err != nil || !ok {
			return err
		}
		for i := range rows {
			if !yield(&rows[i]) {
				return nil
			}
		}
	}
}

// DownloadAttachment writes an attachment's bytes to w. Once w has taken bytes, there is no further attempt: what was written stays
// written when the call fails. A link is [ErrIsLink].
//
// See https://www.zoho.com/crm/developer/docs/api/v8/download-attachments.html
func (c *Client) DownloadAttachment(ctx context.Context, record Record, id string, w io.Writer, options ...CallOption) (*Transfer, error) {
	on := object(record)
	on.AttachmentID = id
	return c.download(ctx, "attachment.download", on, w, options)
}

// DownloadAttachmentFile writes an attachment to the file at path, which appears only when it is complete. Its directory must exist.
func (c *Client) DownloadAttachmentFile(ctx context.Context, record Record, id, path string, options ...CallOption) (*Transfer, error) {
	on := object(record)
	on.AttachmentID = id
	return c.downloadFile(ctx, "attachment.download", on, path, options)
}

// DeleteAttachment deletes an attachment.
//
// See https://www.zoho.com/crm/developer/docs/api/v8/delete-attachments.html
func (c *Client) DeleteAttachment(ctx context.Context, record Record, id string, options ...CallOption) error {
	return c.DeleteAttachments(ctx, record, []string{id}, options...)
}

// DeleteAttachments deletes several attachments. If one of them fails, the others are deleted all the same, and the error names both.
func (c *Client) DeleteAttachments(ctx context.Context, record Record, ids []string, options ...CallOption) error {
	const operation = "attachment.delete"
	if len(ids) == 0 {
		return argument(operation, "attachment_id", "no attachment is named")
	}
	for _, id := range ids {
		// The ABI takes several ids with commas, and blanks, between them: one id must not become two, nor another one.
		if strings.ContainsFunc(id, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
			return argument(operation, "attachment_id", fmt.Sprintf("%q is not an id; an id is digits", id))
		}
	}
	on := object(record)
	on.AttachmentID = strings.Join(ids, ",")
	return c.remove(ctx, operation, on, options)
}

func (c *Client) remove(ctx context.Context, operation string, on cabi.Object, options []CallOption) error {
	var call callOptions
	if err := call.take(operation, removes, options); err != nil {
		return err
	}
	return wrap(operation, c.seam().Delete(ctx, &on, &call.Call))
}

func (c *Client) download(ctx context.Context, operation string, on cabi.Object, w io.Writer, options []CallOption) (*Transfer, error) {
	if w == nil {
		return nil, argument(operation, "w", "the Writer is nil")
	}
	return c.receive(ctx, operation, on, cabi.Sink{Writer: w}, options)
}

func (c *Client) downloadFile(ctx context.Context, operation string, on cabi.Object, path string, options []CallOption) (*Transfer, error) {
	return c.receive(ctx, operation, on, cabi.Sink{Path: path}, options)
}

func (c *Client) receive(ctx context.Context, operation string, on cabi.Object, sink cabi.Sink, options []CallOption) (*Transfer, error) {
	var call callOptions
	if err := call.take(operation, downloads, options); err != nil {
		return nil, err
	}
	sink.MaxBytes, sink.Overwrite = call.maxBytes, call.overwrite
	moved, err := c.seam().Download(ctx, &on, &sink, &call.Call)
	if err != nil {
		return nil, wrap(operation, err)
	}
	return (*Transfer)(&moved), nil
}

func object(record Record) cabi.Object {
	return cabi.Object{Module: record.Module, RecordID: record.ID}
}

func (a *Attachment) read(row *cabi.Attachment) {
	a.ID = row.ID
	a.FileName = row.FileName
	a.SafeName = row.SafeName
	a.Bytes = row.Bytes
	a.IsLink = row.IsLink
	a.LinkURL = row.LinkURL
	a.Created = timeOf(row.CreatedTime)
	if a.Modified = a.Created; row.ModifiedTime != row.CreatedTime { // nearly all are as they were attached
		a.Modified = timeOf(row.ModifiedTime)
	}
	a.ParentID = row.ParentID
	a.OwnerID = row.OwnerID
	a.OwnerName = row.OwnerName
	a.CreatedByID = row.CreatedByID
	a.FileID = row.FileID
	a.Kind = row.Kind
}
