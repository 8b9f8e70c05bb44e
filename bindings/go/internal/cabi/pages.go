package cabi

// #include "shim.h"
import "C"

import "context"

// Pages is zcrm_pages. One goroutine at a time may use it, and must free it.
type Pages struct {
	client *Client
	on     Object
	ptr    *C.zcrm_pages
}

// Pages runs zcrm_pages_new, which sends nothing.
func (c *Client) Pages(on Object) (*Pages, error) {
	return c.pages(on, func(out **C.zcrm_pages, failed **C.zcrm_error) C.zcrm_status {
		return C.zg_pages_new(c.ptr, text(on.Module), size(on.Module), text(on.RecordID), size(on.RecordID), out, failed)
	})
}

// RecordPages runs zcrm_record_pages_new, which sends nothing.
func (c *Client) RecordPages(module string) (*Pages, error) {
	return c.pages(Object{Module: module}, func(out **C.zcrm_pages, failed **C.zcrm_error) C.zcrm_status {
		return C.zg_record_pages_new(c.ptr, text(module), size(module), out, failed)
	})
}

func (c *Client) pages(on Object, begin func(**C.zcrm_pages, **C.zcrm_error) C.zcrm_status) (*Pages, error) {
	if err := c.acquire(); err != nil {
		return nil, err
	}
	defer c.release()
	var pages *C.zcrm_pages
	var failed *C.zcrm_error
	if status := begin(&pages, &failed); status != C.ZCRM_OK {
		return nil, takeFailure(status, failed)
	}
	return &Pages{client: c, on: on, ptr: pages}, nil
}

// Next runs zcrm_pages_next. Attachments that came before aren't in it; ok is false at the end.
func (p *Pages) Next(ctx context.Context, call *Call) (listed []Attachment, ok bool, err error) {
	return next(ctx, p, call, attachments)
}

// NextRecords does the same for the ids of records.
func (p *Pages) NextRecords(ctx context.Context, call *Call) (ids []string, ok bool, err error) {
	return next(ctx, p, call, recordIDs)
}

func next[T any](ctx context.Context, p *Pages, call *Call, read func(*C.zcrm_result) ([]T, error)) (rows []T, ok bool, err error) {
	result, err := p.client.run(ctx, p.client.stateOf(&p.on, call), call, func(handle C.uintptr_t, how *C.zg_how, texts *C.char) C.zg_reply {
		return C.zg_pages_next(nil, handle, how, texts, p.ptr)
	})
	if err != nil || result == nil {
		return nil, false, err
	}
	defer C.zcrm_result_free(result)
	rows, err = read(result)
	return rows, err == nil, err
}

// Free ends the walk.
func (p *Pages) Free() { C.zcrm_pages_free(p.ptr) }
