package cabi

// #include "shim.h"
import "C"

import (
	"context"
	"io"
	"unsafe"
)

// Kinds of a Source.
const (
	FromFile   = int32(C.ZCRM_FROM_FILE)
	FromMemory = int32(C.ZCRM_FROM_MEMORY)
	FromReader = int32(C.ZCRM_FROM_READER)
	FromLink   = int32(C.ZCRM_FROM_LINK)
)

// Object says what an operation is about.
type Object struct {
	Photo    bool
	Module   string
	RecordID string
	// AttachmentID is one id, or several with commas between them for Delete.
	AttachmentID string
}

// Source is where the bytes of an upload come from.
type Source struct {
	Kind                             int32
	Name, ContentType, Path, LinkURL string
	Data                             []byte
	Reader                           io.Reader
	Rewind                           func() error // nil: the bytes can't be read twice
	Length                           int64
}

// Sink is where the bytes of a download go: a Writer, or the file at Path.
type Sink struct {
	Writer    io.Writer
	Path      string
	Overwrite bool
	MaxBytes  int64
}

// ListArgs names one page of a list.
type ListArgs struct {
	Fields, PageToken string
	Page, PerPage     uint32
}

// Upload runs zcrm_attachment_upload.
func (c *Client) Upload(ctx context.Context, on *Object, source *Source, call *Call, to *Uploaded) error {
	stored := new(C.zg_stored)
	result, err := c.upload(ctx, on, source, call, stored)
	switch {
	case err != nil:
		return err
	case result == nil:
		readStored(stored, to)
		return nil
	}
	defer C.zcrm_result_free(result)
	return uploaded(result, call, to)
}

// UploadPhoto runs zcrm_photo_upload.
func (c *Client) UploadPhoto(ctx context.Context, on *Object, source *Source, call *Call) (Transfer, error) {
	result, err := c.upload(ctx, on, source, call, nil)
	if err != nil {
		return Transfer{}, err
	}
	defer C.zcrm_result_free(result)
	return transfer(result)
}

func (c *Client) upload(ctx context.Context, on *Object, source *Source, call *Call, stored *C.zg_stored) (*C.zcrm_result, error) {
	st := c.stateOf(on, call)
	if source.Reader != nil {
		if st == nil {
			st = newState(on, call)
		}
		st.reader, st.rewind, st.length, st.owed = source.Reader, source.Rewind, source.Length, source.Length
	}
	return c.run(ctx, st, call, func(handle C.uintptr_t, how *C.zg_how, texts *C.char) C.zg_reply {
		return C.zg_upload(c.ptr, handle, how, texts,
			text(on.Module), size(on.Module), text(on.RecordID), size(on.RecordID),
			C.int32_t(source.Kind), text(source.Name), size(source.Name), text(source.ContentType), size(source.ContentType),
			text(source.Path), size(source.Path), text(source.LinkURL), size(source.LinkURL),
			(*C.uint8_t)(unsafe.SliceData(source.Data)), C.size_t(len(source.Data)), C.int64_t(source.Length), flag(source.Rewind != nil), stored)
	})
}

// List runs zcrm_attachment_list.
func (c *Client) List(ctx context.Context, on *Object, args ListArgs, call *Call) (Page, error) {
	result, err := c.run(ctx, c.stateOf(on, call), call, func(handle C.uintptr_t, how *C.zg_how, texts *C.char) C.zg_reply {
		return C.zg_list(c.ptr, handle, how, texts,
			text(on.Module), size(on.Module), text(on.RecordID), size(on.RecordID),
			text(args.Fields), size(args.Fields), text(args.PageToken), size(args.PageToken), C.uint32_t(args.Page), C.uint32_t(args.PerPage))
	})
	if err != nil {
		return Page{}, err
	}
	defer C.zcrm_result_free(result)
	return page(result)
}

// ListRecords runs zcrm_record_list.
func (c *Client) ListRecords(ctx context.Context, module string, args ListArgs, call *Call) (RecordPage, error) {
	result, err := c.run(ctx, c.stateOf(&Object{Module: module}, call), call, func(handle C.uintptr_t, how *C.zg_how, texts *C.char) C.zg_reply {
		return C.zg_record_list(c.ptr, handle, how, texts,
			text(module), size(module), text(args.PageToken), size(args.PageToken), C.uint32_t(args.Page), C.uint32_t(args.PerPage))
	})
	if err != nil {
		return RecordPage{}, err
	}
	defer C.zcrm_result_free(result)
	return recordPage(result)
}

// Download runs zcrm_attachment_download or zcrm_photo_download.
func (c *Client) Download(ctx context.Context, on *Object, sink *Sink, call *Call) (Transfer, error) {
	kind, flags := C.int32_t(C.ZCRM_TO_FILE), C.int32_t(0)
	if sink.Writer != nil {
		kind = C.ZCRM_TO_WRITER
	}
	if sink.Overwrite {
		flags = C.ZCRM_OVERWRITE
	}
	st := c.stateOf(on, call)
	if sink.Writer != nil {
		if st == nil {
			st = newState(on, call)
		}
		st.writer = sink.Writer
	}
	result, err := c.run(ctx, st, call, func(handle C.uintptr_t, how *C.zg_how, texts *C.char) C.zg_reply {
		return C.zg_download(c.ptr, handle, how, texts,
			text(on.Module), size(on.Module), text(on.RecordID), size(on.RecordID), text(on.AttachmentID), size(on.AttachmentID),
			flag(on.Photo), kind, flags, text(sink.Path), size(sink.Path), C.uint64_t(sink.MaxBytes))
	})
	if err != nil {
		return Transfer{}, err
	}
	defer C.zcrm_result_free(result)
	return transfer(result)
}

// Delete runs zcrm_attachment_delete or zcrm_photo_delete.
func (c *Client) Delete(ctx context.Context, on *Object, call *Call) error {
	result, err := c.run(ctx, c.stateOf(on, call), call, func(handle C.uintptr_t, how *C.zg_how, texts *C.char) C.zg_reply {
		return C.zg_delete(c.ptr, handle, how, texts,
			text(on.Module), size(on.Module), text(on.RecordID), size(on.RecordID), text(on.AttachmentID), size(on.AttachmentID), flag(on.Photo))
	})
	C.zcrm_result_free(result)
	return err
}

// Step runs zcrm_step_run and gives the result's JSON.
func (c *Client) Step(ctx context.Context, input []byte, call *Call) ([]byte, error) {
	result, err := c.run(ctx, c.stateOf(&Object{}, call), call, func(handle C.uintptr_t, how *C.zg_how, texts *C.char) C.zg_reply {
		return C.zg_step(c.ptr, handle, how, texts,
			(*C.char)(unsafe.Pointer(unsafe.SliceData(input))), C.size_t(len(input)))
	})
	if err != nil {
		return nil, err
	}
	defer C.zcrm_result_free(result)
	return resultJSON(result), nil
}

// DescribeSteps is zcrm_step_describe.
func DescribeSteps() []byte { return []byte(C.GoString(C.zcrm_step_describe())) }

func flag(set bool) C.int {
	if set {
		return 1
	}
	return 0
}
