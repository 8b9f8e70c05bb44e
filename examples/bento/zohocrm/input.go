package zohocrm

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/warpstreamlabs/bento/public/service"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

func inputSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Beta().
		Categories("Integration").
		Version("0.1.0").
		Summary("Lists the attachments of records of Zoho CRM, a message for each, and ends.").
		Description(`
A message is `+"`{\"module\", \"record_id\", \"id\", \"file_name\", \"bytes\", \"is_link\", \"link_url\", \"created_time\", \"modified_time\", \"owner_name\"}`"+`;
what Zoho doesn't say is left out. A batch holds attachments of one record. The list is read page by page as the pipeline takes it.

A record whose list fails for good, because it doesn't exist for example, gives one message `+"`{\"module\", \"record_id\"}`"+` that is marked
as failed, with the metadata of `+"`zoho_crm_file`"+`. After a failure that may pass the engine reads on by itself.
`).
		Field(service.NewStringField("module").Description("API name of the records' module.").Example("Contacts")).
		Field(service.NewStringListField("record_ids").Description("The records' ids, in quotes: as numbers they would lose digits.").
			Example([]string{"3652397000000649013"})).
		Field(service.NewIntField("batch_size").Description("Most messages of a batch.").Default(200).Advanced()).
		Fields(connectionFields()...).
		Field(service.NewAutoRetryNacksToggleField()).
		LintRule(`root = match {
  this.record_ids == [] => [ "record_ids is empty" ],
  this.batch_size.or(1) < 1 => [ "batch_size is at least 1" ],
`+connectionLint()+`}`).
		Example("Back up attachments", "Each file to a path of its own; links have no bytes.", `
input:
  zoho_crm_attachments:
    module: Contacts
    record_ids: [ "${RECORD_ID}" ]
    refresh_token: "${ZCRM_REFRESH_TOKEN}"
    client_id: "${ZCRM_CLIENT_ID}"
    client_secret: "${ZCRM_CLIENT_SECRET}"

pipeline:
  processors:
    - mapping: root = if this.is_link { deleted() }
    - zoho_crm_file:
        operation: attachment.download
        module: ${! json("module") }
        record_id: ${! json("record_id") }
        attachment_id: ${! json("id") }
        file_path: /srv/backup/${! json("id") }
        allow_paths: [ /srv/backup ]
        overwrite: true
        refresh_token: "${ZCRM_REFRESH_TOKEN}"
        client_id: "${ZCRM_CLIENT_ID}"
        client_secret: "${ZCRM_CLIENT_SECRET}"
`)
}

func init() {
	must(0, service.RegisterBatchInput("zoho_crm_attachments", inputSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchInput, error) {
			in := &input{}
			var err error
			if in.module, err = conf.FieldString("module"); err != nil {
				return nil, err
			}
			if in.records, err = conf.FieldStringList("record_ids"); err != nil {
				return nil, err
			}
			if in.batchSize, err = conf.FieldInt("batch_size"); err != nil {
				return nil, err
			}
			if in.batchSize < 1 {
				return nil, errors.New("batch_size: is at least 1")
			}
			if in.runner, err = newRunner(conf, mgr); err != nil {
				return nil, err
			}
			in.life, in.end = context.WithCancel(context.Background())
			in.leave = func() {}
			return service.AutoRetryNacksBatchedToggled(conf, in)
		}))
}

// input goes over the records, and over the pages of each one's list.
type input struct {
	*runner
	module    string
	records   []string // those to come, the current one first
	batchSize int

	next   func() (zcrm.Attachment, error, bool) // of the current record's list; nil: not begun
	leave  func()                                // lets that list go
	cancel context.CancelFunc                    // ends a read of it
	sent   map[string]bool                       // of the current record, for when its list is started again

	life context.Context // until Close
	end  context.CancelFunc
}

func (in *input) Connect(context.Context) error { return nil }

// ReadBatch gives up to batch_size attachments of one record.
func (in *input) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	for len(in.records) > 0 {
		batch, finished, failed := in.read(ctx)
		passes := failed != nil && (failed.retryable || ctx.Err() != nil)
		switch {
		case passes:
			in.leave() // to start this record's list again
		case failed != nil:
			batch = append(batch, in.failedRecord(failed))
			fallthrough
		case finished:
			in.leave()
			in.records, in.sent = in.records[1:], nil
		}
		if len(batch) > 0 {
			return batch, acknowledge, nil
		}
		if passes {
			return nil, nil, failed
		}
	}
	return nil, nil, service.ErrEndOfInput
}

func acknowledge(context.Context, error) error { return nil }

// read takes what the next batch holds from the current record's list.
func (in *input) read(ctx context.Context) (batch service.MessageBatch, finished bool, failed *failure) {
	failed = in.call(ctx, context.Background(), attachmentList, func(_ context.Context, client *zcrm.Client, options ...zcrm.CallOption) error {
		if in.next == nil {
			in.begin(client, options)
		}
		defer context.AfterFunc(ctx, in.cancel)()
		for len(batch) < in.batchSize {
			attachment, err, more := in.next()
			if err != nil {
				return err
			}
			if !more {
				finished = true
				return nil
			}
			if !in.sent[attachment.ID] {
				in.sent[attachment.ID] = true
				batch = append(batch, in.message(attachment))
			}
		}
		return nil
	})
	return batch, finished, failed
}

// begin opens the list of the current record, which is read by more than one call of ReadBatch and so has a context of its own.
func (in *input) begin(client *zcrm.Client, options []zcrm.CallOption) {
	if in.sent == nil {
		in.sent = map[string]bool{}
	}
	ctx, cancel := context.WithCancel(in.life)
	next, stop := iter.Pull2(client.Attachments(ctx, zcrm.Record{Module: in.module, ID: in.records[0]}, options...))
	in.next, in.cancel = next, cancel
	in.leave = func() {
		cancel()
		stop()
		in.next, in.leave = nil, func() {}
	}
}

func (in *input) message(a zcrm.Attachment) *service.Message {
	fields := object{"module": in.module, "record_id": in.records[0], "id": a.ID, "file_name": a.FileName, "is_link": a.IsLink}
	if a.Bytes >= 0 && !a.IsLink {
		fields["bytes"] = a.Bytes
	}
	for name, value := range map[string]string{"link_url": a.LinkURL, "owner_name": a.OwnerName} {
		if value != "" {
			fields[name] = value
		}
	}
	for name, value := range map[string]time.Time{"created_time": a.Created, "modified_time": a.Modified} {
		if !value.IsZero() {
			fields[name] = value.Format(time.RFC3339)
		}
	}
	msg := service.NewMessage(nil)
	msg.SetStructuredMut(fields)
	msg.MetaSetMut(metaAttachmentID, a.ID)
	msg.MetaSetMut(metaFileName, a.FileName)
	return msg
}

func (in *input) failedRecord(failed *failure) *service.Message {
	msg := service.NewMessage(nil)
	msg.SetStructuredMut(object{"module": in.module, "record_id": in.records[0]})
	failed.label(msg)
	msg.SetError(failed)
	return msg
}

// Close ends what is being read.
func (in *input) Close(ctx context.Context) error {
	in.end()
	err := in.runner.Close(ctx)
	in.leave()
	return err
}
