package zohocrm

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/warpstreamlabs/bento/public/service"

	_ "github.com/warpstreamlabs/bento/public/components/prometheus"

	"github.com/zcrm/zcrm/examples/bento/internal/emulator"
)

// Two messages in one batch, and each in a batch of its own: the engine has to count and trace the bad one in both cases.
func TestTheEngineCountsLabelsAndTracesFailures(t *testing.T) {
	for _, together := range []bool{false, true} {
		t.Run(fmt.Sprintf("in one batch: %t", together), func(t *testing.T) {
			e := emulator.Start(t)
			size := 1
			if together {
				size = 2
			}
			builder := service.NewStreamBuilder()
			check(t, builder.SetTracerYAML("recording: {}"))
			check(t, builder.SetMetricsYAML("prometheus: {}"))
			check(t, builder.SetLoggerYAML("level: OFF"))
			http := http.NewServeMux()
			builder.SetHTTPMux(http)
			builder.SetThreads(1)
			check(t, builder.AddInputYAML(fmt.Sprintf("generate: { count: 2, interval: '', batch_size: %d, mapping: 'root = if counter() == 1 { %q } else { \"999\" }' }",
				size, e.Record(t, "Contacts", "normal"))))
			check(t, builder.AddProcessorYAML("label: zoho\nzoho_crm_file:\n  operation: attachment.list\n  module: Contacts\n  record_id: ${! content() }"+connect(e)))
			check(t, builder.AddProcessorYAML(`mapping: 'root = [error(), error_source_label(), @zcrm_code].string()'`))
			var got []string
			metrics := httptest.NewRecorder()
			check(t, builder.AddBatchConsumerFunc(func(_ context.Context, batch service.MessageBatch) error {
				for _, msg := range batch {
					got = append(got, text(t, msg))
				}
				if len(got) == 2 {
					http.ServeHTTP(metrics, httptest.NewRequest("GET", "/metrics", nil))
				}
				return nil
			}))
			stream, err := builder.Build()
			check(t, err)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			check(t, stream.Run(ctx))

			if len(got) != 2 || got[0] != "[null,null,null]" {
				t.Fatalf("got %q", got)
			}
			contains(t, got[1], `"zcrm INVALID_DATA http=400 retryable=false:`)
			if !together { // of one message among others the engine loses it
				contains(t, got[1], `,"zoho","INVALID_DATA"]`)
			}
			for _, line := range []string{
				`processor_error{label="zoho",path="root.pipeline.processors.0"} 1`,
				`zcrm_calls{label="zoho",operation="attachment.list",path="root.pipeline.processors.0",status="INVALID_RECORD"} 1`,
				`zcrm_calls{label="zoho",operation="attachment.list",path="root.pipeline.processors.0",status="ok"} 1`,
				`zcrm_call_ns_count{label="zoho",operation="attachment.list",path="root.pipeline.processors.0",status="ok"} 1`,
			} {
				contains(t, metrics.Body.String(), line)
			}
			var calls, failed int
			for _, span := range (<-spans).Ended() {
				if span.Name() != "zcrm attachment.list" {
					continue
				}
				calls++
				if span.Status().Code == codes.Error {
					failed++
				}
				if !span.Parent().IsValid() {
					t.Error("a span of a call is not below its message's")
				}
			}
			if calls != 2 || failed != 1 {
				t.Errorf("%d spans, %d failed", calls, failed)
			}
		})
	}
}

var spans = make(chan *tracetest.SpanRecorder, 1)

func init() {
	err := service.RegisterOtelTracerProvider("recording", service.NewConfigSpec(), func(*service.ParsedConfig) (trace.TracerProvider, error) {
		recorder := tracetest.NewSpanRecorder()
		spans <- recorder
		return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)), nil
	})
	if err != nil {
		panic(err)
	}
}

func TestLintFindsWhatCannotWork(t *testing.T) {
	for config, want := range map[string]string{
		"zoho_crm_file: { operation: attachment.uplaod, module: Contacts, record_id: '1' }":                                            "attachment.uplaod",
		"zoho_crm_file: { operation: photo.delete, module: Contacts }":                                                                 "module and record_id are required",
		"zoho_crm_file: { operation: attachment.download, module: Contacts, record_id: '1' }":                                          "attachment_id is required",
		"zoho_crm_file: { operation: step, module: Contacts }":                                                                         "operation is step",
		"zoho_crm_file: { operation: photo.upload, module: Contacts, record_id: '1', link_url: 'https://example.com' }":                "link_url belongs to",
		"zoho_crm_file: { operation: photo.delete, module: Contacts, record_id: '1', data_center: mars }":                              "mars",
		"zoho_crm_file: { operation: photo.delete, module: Contacts, record_id: '1', recordid: '1' }":                                  "recordid",
		"zoho_crm_file: { module: Contacts, record_id: '1' }":                                                                          "operation",
		"zoho_crm_file: { operation: step }":                                                                                           "no credentials",
		"zoho_crm_file: { operation: step, client_id: a, refresh_token: b }":                                                           "needs client_id and client_secret",
		"zoho_crm_file: { operation: step, access_token: a, api_version: v1 }":                                                         "v1",
		"zoho_crm_file: { operation: step, access_token: a, settings: { max_retrys: '1' } }":                                           "no setting max_retrys",
		"zoho_crm_file: { operation: step, access_token: a, allow_paths: [ '/srv/co:lon' ] }":                                          "has a colon",
		"zoho_crm_file: { operation: step, access_token: a, attachment_id: '1' }":                                                      "operation is step",
		"zoho_crm_file: { operation: step, access_token: a, if_exists: skip }":                                                         "if_exists belongs to",
		"zoho_crm_file: { operation: step, access_token: a, client_id: b, client_secret: c, refresh_token: d }":                        "both set",
		"zoho_crm_file: { operation: step, access_token: a, api_domain: 'ftp://x' }":                                                   "begin with https://",
		"zoho_crm_file: { operation: step, access_token: a, timeout: -5s }":                                                            "timeout is negative",
		"zoho_crm_file: { operation: photo.delete, module: a, record_id: '1', access_token: a, attachment_id: '2' }":                   "attachment_id belongs to",
		"zoho_crm_file: { operation: photo.delete, module: a, record_id: '1', access_token: a, file_name: b }":                         "belong to uploads",
		"zoho_crm_file: { operation: attachment.list, module: a, record_id: '1', access_token: a, file_path: /a, allow_paths: [ / ] }": "file_path belongs to",
		"zoho_crm_file: { operation: step, access_token: a, file_name: a }":                                                            "operation is step",
		"zoho_crm_file: { operation: attachment.upload, module: a, record_id: '1', access_token: a }":                                  "file_name is required",
		"zoho_crm_file: { operation: photo.upload, module: a, record_id: '1', access_token: a, file_path: /a }":                        "needs allow_paths",
		"zoho_crm_file: { operation: photo.download, module: a, record_id: '1', access_token: a, max_bytes: -5 }":                      "max_bytes is negative",
	} {
		contains(t, fmt.Sprint(service.NewStreamBuilder().AddProcessorYAML(config)), want)
	}
	for config, want := range map[string]string{
		"zoho_crm_upload: { module: Contacts, file_name: a }":                                      "module and record_id are required",
		"zoho_crm_upload: { module: Contacts, record_id: '1' }":                                    "file_name is required",
		"zoho_crm_upload: { operation: attachment.list, module: a, record_id: '1', file_name: a }": "attachment.list",
	} {
		contains(t, fmt.Sprint(service.NewStreamBuilder().AddOutputYAML(config)), want)
	}
	contains(t, fmt.Sprint(service.NewStreamBuilder().AddInputYAML("zoho_crm_attachments: { module: Contacts, record_ids: [] }")), "record_ids is empty")
	check(t, service.NewStreamBuilder().AddProcessorYAML("zoho_crm_file: { operation: step, access_token: a }"))
}

func TestSecretsAreScrubbedFromAConfig(t *testing.T) {
	builder := service.NewStreamBuilder()
	check(t, builder.AddInputYAML("generate: { mapping: 'root = 1' }"))
	check(t, builder.AddOutputYAML("drop: {}"))
	check(t, builder.AddProcessorYAML("zoho_crm_file: { operation: step, client_id: a, client_secret: hush1, refresh_token: hush2 }"))
	yaml, err := builder.AsYAML()
	check(t, err)
	if strings.Contains(yaml, "hush") {
		t.Error(yaml)
	}
}
