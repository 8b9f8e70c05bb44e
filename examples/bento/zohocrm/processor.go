package zohocrm

import (
	"context"
	"encoding/json"

	"github.com/warpstreamlabs/bento/public/service"
)

func processorSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Beta().
		Categories("Integration").
		Version("0.1.0").
		Summary("Moves files and pictures between messages, or files, and the records of Zoho CRM.").
		Description(`
Each message is one call. Calls of one thread follow each other; `+"`pipeline.threads`"+` says how many run at once, and the library's
setting `+"`max_in_flight`"+` how many of them talk to Zoho.

The library repeats what may be repeated. A message whose call failed in the end is marked as failed and keeps its content:
see [error handling](/docs/configuration/error_handling). `+"`error_source_label()`"+` names this processor when its batch held no other message.

A queue hands a job out again when its worker died. Let `+"`redelivered`"+` know, else a file is uploaded twice. Downloads to a file
need `+"`overwrite`"+` for that.

### One access token for all workers

Zoho gives ten access tokens in ten minutes, and each lives for an hour. Workers that name the same cache in `+"`token_cache`"+` share one: when it
expires, one of them asks for the next, and the others wait for it. If that one dies, another takes over after ten seconds.

Any cache of the engine that all workers reach will do, if it can add a key only when it is absent: `+"`zoho_crm_bucket`"+` of this engine, or
`+"`nats_kv`, `redis`, `memcached`, `mongodb`, `aws_dynamodb`, `couchbase`, and `sql`"+` with PostgreSQL. One that can't is refused when the worker starts, such as
`+"`noop`, `ristretto`, `aws_s3` and `gcp_cloud_storage`"+`. No refusal tells that `+"`memory`, `lru` and `ttlru`"+` belong to one process, that `+"`multilevel`"+` may give what another
worker has replaced, and that `+"`file`"+` writes in pieces. The workers' clocks must agree to a minute.

Who can read the cache can use the organisation with the token in it, for up to an hour. When a token is needed and the cache can't be reached, calls
fail with the reason `+"`token_store`"+`, and `+"`zoho_crm_jobs`"+` takes no job until that is over. The library's setting `+"`token_file`"+` does the same for the
workers of one machine without a cache.
`+metadataDocs).
		Field(operationField(operations).Description("What to do.")).
		Fields(uploadFields()...).
		Field(service.NewInterpolatedStringField("attachment_id").Description("The attachment, for `attachment.download` and `attachment.delete`.").
			Example(`${! json("id") }`).Optional()).
		Field(service.NewInterpolatedStringField("link_url").Description("Attach this link in place of a file.").Optional()).
		Field(service.NewInterpolatedStringField("link_title").Description("Title of the link; the page's own by default.").Optional().Advanced()).
		Field(service.NewBoolField("overwrite").Description("Whether a download replaces a file that exists.").Default(false)).
		Field(service.NewIntField("max_bytes").Description("A download of more bytes fails; 0: as many as the library takes.").Default(0).Advanced()).
		Fields(connectionFields()...).
		LintRule(`root = match {
  this.operation == "step" && [ "module", "record_id", "attachment_id", "file_path", "file_name", "content_type", "link_url", "link_title" ].any(name -> this.exists(name)) => [ "operation is step: the message itself says all of that; remove module, record_id, attachment_id, file_…, content_type and link_…" ],
  this.max_bytes.or(0) < 0 => [ "max_bytes is negative; 0 is as many as the library takes" ],
  this.exists("file_path") && this.allow_paths.or([]).length() == 0 => [ "file_path needs allow_paths: the directories below which messages may name files" ],
  this.operation == "attachment.upload" && !this.exists("file_path") && !this.exists("file_name") && !this.exists("link_url") => [ "file_name is required where the message's content is the file" ],
  this.operation != "step" && (!this.exists("module") || !this.exists("record_id")) => [ "module and record_id are required" ],
  (this.operation == "attachment.download" || this.operation == "attachment.delete") && !this.exists("attachment_id") => [ "attachment_id is required for this operation" ],
  this.exists("link_url") && this.operation != "attachment.upload" => [ "link_url belongs to operation attachment.upload" ],
  this.attachment_id.or("") != "" && this.operation != "attachment.download" && this.operation != "attachment.delete" => [ "attachment_id belongs to operations attachment.download and attachment.delete" ],
  this.exists("file_path") && [ "attachment.list", "attachment.delete", "photo.delete" ].contains(this.operation) => [ "file_path belongs to uploads and downloads" ],
  (this.exists("file_name") || this.exists("content_type")) && this.operation != "attachment.upload" && this.operation != "photo.upload" => [ "file_name and content_type belong to uploads" ],
  this.if_exists.or("upload") != "upload" && this.operation != "attachment.upload" => [ "if_exists belongs to operation attachment.upload; a step says it itself" ],
  this.exists("link_url") && this.exists("file_path") => [ "link_url and file_path are both set; give one" ],
`+connectionLint()+`}`).
		Example("Attach files that messages name", "The message is `{\"module\": …, \"record_id\": …, \"path\": …}`; what fails goes to a file of its own.", `
pipeline:
  threads: 4
  processors:
    - label: attach
      zoho_crm_file:
        operation: attachment.upload
        data_center: eu
        client_id: "${ZCRM_CLIENT_ID}"
        client_secret: "${ZCRM_CLIENT_SECRET}"
        refresh_token: "${ZCRM_REFRESH_TOKEN}"
        module: ${! json("module") }
        record_id: ${! json("record_id") }
        file_path: ${! json("path") }
        allow_paths: [ /srv/files ]

output:
  switch:
    cases:
      - check: errored()
        output: { file: { path: ./failed.ndjson } }
      - output: { file: { path: ./done.ndjson } }
`).
		Example("Download the photo of each contact", "Its bytes become the message; `max_bytes` bounds what a message may grow to.", `
pipeline:
  processors:
    - zoho_crm_file:
        operation: photo.download
        module: Contacts
        record_id: ${! json("id") }
        max_bytes: 1000000
        refresh_token: "${ZCRM_REFRESH_TOKEN}"
        client_id: "${ZCRM_CLIENT_ID}"
        client_secret: "${ZCRM_CLIENT_SECRET}"
`)
}

func init() {
	must(0, service.RegisterBatchProcessor("zoho_crm_file", processorSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newProcessor(conf, mgr)
		}))
}

type processor struct {
	*runner
	*template
}

func newProcessor(conf *service.ParsedConfig, mgr *service.Resources) (*processor, error) {
	t, err := templateOf(conf)
	if err != nil {
		return nil, err
	}
	r, err := newRunner(conf, mgr)
	if err != nil {
		return nil, err
	}
	return &processor{r, t}, nil
}

// ProcessBatch runs each message's step. A message that fails is handed on as it came and not as a copy: only so the engine counts the
// error and puts it on the span. Which component it came from the engine notes only of an error that is returned.
func (p *processor) ProcessBatch(ctx context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	done := make(service.MessageBatch, len(batch))
	for i, msg := range batch {
		done[i] = msg.Copy()
		if failed := p.process(ctx, msg, done[i]); failed != nil {
			failed.label(msg)
			if len(batch) == 1 {
				return nil, failed
			}
			msg.SetError(failed)
			done[i] = msg
		}
	}
	return []service.MessageBatch{done}, nil
}

// process runs the step of a message, and writes its result into to.
func (p *processor) process(ctx context.Context, msg, to *service.Message) *failure {
	s, err := p.step(msg)
	if err != nil {
		p.logger.Warnf("a message makes no step: %v", err)
		return failureOf(err)
	}
	job, _ := msg.MetaGet(metaJobID)
	unsettled.Store(job, true)
	output, failed := p.run(ctx, msg, s)
	if failed == nil || !failed.open {
		unsettled.Delete(job)
	}
	count := failures.met(job, failed)
	if failed != nil {
		failed.failures = count
		if failed.isLocal() {
			p.logger.Warnf("%s: %v", s.operation, failed) // the library logs what it sent
		}
		return failed
	}
	var decoded struct {
		Result struct {
			ID       string `json:"id"`
			FileName string `json:"file_name"`
			Base64   []byte `json:"base64"`
		} `json:"result"`
	}
	if err := json.Unmarshal(output, &decoded); err != nil {
		return failureOf(err)
	}
	for name, value := range map[string]string{metaAttachmentID: decoded.Result.ID, metaFileName: decoded.Result.FileName} {
		if value != "" {
			to.MetaSetMut(name, value)
		}
	}
	for _, name := range []string{metaCode, metaClass, metaReason, metaHTTPStatus, metaRetryable, metaOpen, metaWaits, metaFailures} {
		to.MetaDelete(name) // of an earlier attempt
	}
	if s.toContent {
		output = decoded.Result.Base64
	}
	to.SetBytes(output)
	return nil
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
