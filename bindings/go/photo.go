package zcrm

import (
	"context"
	"io"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// UploadPhoto sets the photo of a record, replacing any it has. The source is a PNG, JPEG, GIF or BMP. Leads, Contacts, Accounts,
// Products, Vendors and custom modules have photos.
//
// See https://www.zoho.com/crm/developer/docs/api/v8/upload-image.html
func (c *Client) UploadPhoto(ctx context.Context, record Record, source Source, options ...CallOption) (*Transfer, error) {
	const operation = "photo.upload"
	if err := source.open(operation); err != nil {
		return nil, err
	}
	var call callOptions
	if err := call.take(operation, photoUploads, options); err != nil {
		return nil, err
	}
	on := photo(record)
	moved, err := c.seam().UploadPhoto(ctx, &on, &source.s, &call.Call)
	if err != nil {
		return nil, wrap(operation, err)
	}
	return (*Transfer)(&moved), nil
}

// DownloadPhoto writes the photo of a record to w. A record without one is [ErrNotFound].
//
// See https://www.zoho.com/crm/developer/docs/api/v8/download-image.html
func (c *Client) DownloadPhoto(ctx context.Context, record Record, w io.Writer, options ...CallOption) (*Transfer, error) {
	return c.download(ctx, "photo.download", photo(record), w, options)
}

// DownloadPhotoFile writes the photo of a record to the file at path, which appears only when it is complete.
func (c *Client) DownloadPhotoFile(ctx context.Context, record Record, path string, options ...CallOption) (*Transfer, error) {
	return c.downloadFile(ctx, "photo.download", photo(record), path, options)
}

// DeletePhoto deletes the photo of a record. What Zoho says of a record without one is UNCONFIRMED: success, or [ErrNotFound].
//
// See https://www.zoho.com/crm/developer/docs/api/v8/delete-image.html
func (c *Client) DeletePhoto(ctx context.Context, record Record, options ...CallOption) error {
	return c.remove(ctx, "photo.delete", photo(record), options)
}

func photo(record Record) cabi.Object {
	on := object(record)
	on.Photo = true
	return on
}
