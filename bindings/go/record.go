package zcrm

import (
	"context"
	"iter"
	"strings"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// RecordPage is a part of the list of a module's records.
type RecordPage struct {
	RecordIDs     []string `json:"record_ids"`
	NextPageToken string   `json:"next_page_token,omitempty"` // empty: there is no next page, or the API version gives no tokens
	More          bool     `json:"more_records"`              // whether Zoho has more after these
}

// ListRecords gives one page of a module's records, by their ids. It costs one API credit. Page numbers reach the first 2,000 records,
// page tokens the first 100,000.
//
// See https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
func (c *Client) ListRecords(ctx context.Context, module string, list ListOptions, options ...CallOption) (*RecordPage, error) {
	const operation = "record.list"
	if len(list.Fields) > 0 {
		return nil, argument(operation, "fields", "records are listed by their ids; leave out "+strings.Join(list.Fields, ","))
	}
	args, err := list.args(operation)
	if err != nil {
		return nil, err
	}
	var call callOptions
	if err := call.take(operation, lists, options); err != nil {
		return nil, err
	}
	page, err := c.seam().ListRecords(ctx, module, args, &call.Call)
	if err != nil {
		return nil, wrap(operation, err)
	}
	return (*RecordPage)(&page), nil
}

// Records goes over all records of a module. It asks for a page when the loop gets there: each costs one API credit. Each record comes
// once, also when some are deleted or added meanwhile. It ends after an error: Zoho lists the first 100,000 records of a module, and one
// that has more ends with [ErrPage].
//
// See https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
func (c *Client) Records(ctx context.Context, module string, options ...CallOption) iter.Seq2[Record, error] {
	begin := func() (*cabi.Pages, error) { return c.seam().RecordPages(module) }
	return func(yield func(Record, error) bool) {
		err := walk(ctx, "record.list", begin, (*cabi.Pages).NextRecords, options, func(id *string) bool { return yield(Record{module, *id}, nil) })
		if err != nil {
			yield(Record{}, wrap("record.list", err))
		}
	}
}
