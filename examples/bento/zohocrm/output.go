package zohocrm

import (
	"context"

	"github.com/warpstreamlabs/bento/public/service"
)

func outputSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Beta().
		Categories("Integration").
		Version("0.1.0").
		Summary("Uploads each message, or the file that it names, to a record of Zoho CRM.").
		Description(`
A message that can't be uploaded is refused. What then becomes of it is up to the input: a queue hands it out again, the input `+"`file`"+` forgets
it. So let a `+"`fallback`"+` keep what is refused, as in the example, or use the processor `+"`zoho_crm_file`"+`, after which failed messages can go
elsewhere. An input that hands messages out again without saying so (an HTTP server, say) wants `+"`if_exists: skip_same_bytes`"+`.
`).
		Field(operationField(map[string]string{
			attachmentUpload: "Attach a file.", photoUpload: "Set the record's photo.",
		}).Description("What the upload becomes.").Default(attachmentUpload)).
		Fields(uploadFields()...).
		Fields(connectionFields()...).
		Field(service.NewIntField("max_in_flight").Description("Most batches to upload at once.").Default(4)).
		Field(service.NewBatchPolicyField("batching")).
		LintRule(`root = match {
  !this.exists("module") || !this.exists("record_id") => [ "module and record_id are required" ],
  this.exists("file_path") && this.allow_paths.or([]).length() == 0 => [ "file_path needs allow_paths: the directories below which messages may name files" ],
  !this.exists("file_path") && !this.exists("file_name") => [ "file_name is required where the message's content is the file" ],
`+connectionLint()+`}`).
		Example("Attach what a folder holds", "The folder is the record's id: /srv/files/3652397000000649013/contract.pdf. What can't be attached is named in failed.ndjson.", `
input:
  file:
    paths: [ /srv/files/*/* ]
    scanner: { to_the_end: {} }

output:
  fallback:
    - zoho_crm_upload:
        module: Contacts
        record_id: ${! @path.filepath_split().index(0).filepath_split().index(1) }
        file_name: ${! @path.filepath_split().index(1) }
        if_exists: skip_same_bytes
        refresh_token: "${ZCRM_REFRESH_TOKEN}"
        client_id: "${ZCRM_CLIENT_ID}"
        client_secret: "${ZCRM_CLIENT_SECRET}"
    - file:
        path: ./failed.ndjson
      processors:
        - mapping: 'root = { "path": @path, "error": @fallback_error }'
`)
}

func init() {
	must(0, service.RegisterBatchOutput("zoho_crm_upload", outputSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (out service.BatchOutput, policy service.BatchPolicy, inFlight int, err error) {
			if policy, err = conf.FieldBatchPolicy("batching"); err != nil {
				return
			}
			if inFlight, err = conf.FieldMaxInFlight(); err != nil {
				return
			}
			p, err := newProcessor(conf, mgr)
			return &output{p}, policy, inFlight, err
		}))
}

type output struct{ *processor }

// Connect has nothing to do: the library connects when there is something to send.
func (o *output) Connect(context.Context) error { return nil }

// WriteBatch uploads each message. Only those that failed are refused.
func (o *output) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	return batch.WalkWithBatchedErrors(func(_ int, msg *service.Message) error {
		if failed := o.process(ctx, msg, msg.Copy()); failed != nil {
			return failed
		}
		return nil
	})
}
