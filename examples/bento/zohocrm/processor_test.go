package zohocrm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warpstreamlabs/bento/public/service"

	"github.com/zcrm/zcrm/examples/bento/internal/emulator"
)

func TestContentIsAttachedAndDownloadedAgain(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	record := e.Record(t, "Contacts", "normal")
	up := build(t, e, "operation: attachment.upload\nmodule: Contacts\nrecord_id: "+fmt.Sprintf("%q", record)+"\nfile_name: a.txt\n")
	_, msg, err := one(t, up, "hello")
	check(t, err)
	if name := meta(msg, "zcrm_file_name"); name != "a.txt" {
		t.Errorf("zcrm_file_name is %q", name)
	}
	down := build(t, e, "operation: attachment.download\nmodule: Contacts\nrecord_id: ${! json(\"record\") }\nattachment_id: ${! json(\"id\") }\n")
	got, _, err := one(t, down, fmt.Sprintf(`{"record": %q, "id": %q}`, record, meta(msg, "zcrm_attachment_id")))
	check(t, err)
	if got != "hello" {
		t.Errorf("downloaded %q", got)
	}
}

func TestAStepIsTheMessage(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	record := e.Record(t, "Contacts", "normal")
	id := e.Attach(t, "Contacts", record, "a.txt", "x")
	got, _, err := one(t, build(t, e, "operation: step\n"), fmt.Sprintf(`{"operation":"attachment.list","module":"Contacts","record_id":%q}`, record))
	check(t, err)
	contains(t, got, fmt.Sprintf(`"id":%q`, id))
}

func TestAFailureHasTextAndMetadataToRouteOn(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	fields := "operation: attachment.upload\nmodule: Contacts\nrecord_id: \"999\"\nfile_name: a.txt\n"
	_, msg, err := one(t, build(t, e, fields), "hello")
	contains(t, fmt.Sprint(err), "zcrm INVALID_DATA http=400 retryable=false: ")
	for name, want := range map[string]string{
		"zcrm_code": "INVALID_DATA", "zcrm_reason": "record_invalid", "zcrm_http_status": "400", "zcrm_retryable": "false",
	} {
		if got := meta(msg, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestAFailureHasTheNumberOfItsJobsFailedCallsWithoutThoseThatWait(t *testing.T) {
	e := emulator.Start(t)
	p := build(t, e, "operation: attachment.list\nmodule: Contacts\nrecord_id: \""+e.Record(t, "Contacts", "normal")+"\"\nsettings: { max_retries: \"0\" }\n")
	try := func() (waits, failures string) {
		msg := service.NewMessage(nil)
		msg.MetaSetMut(metaJobID, t.Name())
		_, _ = p.ProcessBatch(context.Background(), service.MessageBatch{msg})
		return meta(msg, metaWaits), meta(msg, metaFailures)
	}
	answer := func(status int) map[string]any { return map[string]any{"kind": "status", "status": status} }
	e.Fault(t, "attachment.list", answer(503), map[string]any{"kind": "reset_before_store"}, answer(503), map[string]any{"kind": "none"}, answer(503))
	for i, want := range [][2]string{{"false", "1"}, {"true", "1"}, {"false", "2"}, {}, {"false", "1"}} {
		if waits, failures := try(); waits != want[0] || failures != want[1] {
			t.Errorf("call %d: zcrm_waits is %q, zcrm_failures is %q, want %q", i+1, waits, failures, want)
		}
	}
}

func TestAFileOutsideOfAllowPathsIsRefused(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	fields := "operation: attachment.upload\nmodule: Contacts\nrecord_id: \"1\"\nfile_path: ${! content() }\nallow_paths: [ /srv ]\n"
	_, msg, err := one(t, build(t, e, fields), "/etc/passwd")
	contains(t, fmt.Sprint(err), "allow_paths")
	if reason := meta(msg, "zcrm_reason"); reason != "path_not_allowed" {
		t.Errorf("zcrm_reason is %q", reason)
	}
}

func TestAFieldThatCannotBeMadeFromTheMessageFailsIt(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	fields := "operation: photo.delete\nmodule: Contacts\nrecord_id: ${! json(\"id\") }\n"
	_, _, err := one(t, build(t, e, fields), "no JSON")
	contains(t, fmt.Sprint(err), "zcrm ARGUMENT http=0 retryable=false: record_id: ")
}

func TestContentWithoutANameFails(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	_, _, err := one(t, build(t, e, "operation: photo.upload\nmodule: Contacts\nrecord_id: \"1\"\n"), "hello")
	contains(t, fmt.Sprint(err), "file_name: is empty")
}

func TestWhatIsWrongWithAStepTheLibrarySays(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	p := build(t, e, "operation: step\n")
	list := `"operation":"attachment.list","module":"Contacts","record_id":"1"`
	for content, want := range map[string]string{
		`{"operation":"attachment.list",` + list + `}`: "twice",
		`{` + list + `,"module":"Leads"}`:              "twice",
		`{"operation": "attachment.up`:                 "early",
		`[1]`:                                          "object",
		`null`:                                         "object",
		"\xff":                                         "UTF-8",
	} {
		_, msg, err := one(t, p, content)
		contains(t, fmt.Sprint(err), want)
		if reason := meta(msg, metaReason); reason != "step_input" {
			t.Errorf("%s: the reason is %s", content, reason)
		}
	}
	if n := len(e.Ledger(t).Requests); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestRedeliveredIsTrueOrFalse(t *testing.T) {
	t.Parallel()
	p := build(t, emulator.Start(t), "operation: step\nredelivered: ${! content() }\n")
	for _, wrong := range []string{"", "1", "0", "t", "yes", "null", " true"} {
		_, _, err := one(t, p, wrong)
		contains(t, fmt.Sprint(err), "give true or false")
	}
}

func TestABatchIsKnownByItsResultHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	e.Fault(t, "attachment.list", map[string]any{"kind": "status", "status": 503})
	list := fmt.Sprintf(`{"operation":"attachment.list","module":"Contacts","record_id":%q}`, e.Record(t, "Contacts", "normal"))
	p := build(t, e, "operation: step\nsettings: { max_retries: \"0\" }\n")
	_, _, err := one(t, p, "\ufeff"+`{"operation":"batch","steps":[{"key":"a","step":`+list+`}]}`)
	contains(t, fmt.Sprint(err), "zcrm LEFT ")
}

func TestARedeliveredUploadIsSkippedWhenItIsThere(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	record := e.Record(t, "Contacts", "normal")
	p := build(t, e, "operation: step\nredelivered: ${! content().contains(\"again\") }\n")
	job := `{"operation":"attachment.upload","module":"Contacts","record_id":%q,"source":{"base64":"eA==","name":"a.txt"},"if_exists":null,"trace_id":%q}`
	_, first, err := one(t, p, fmt.Sprintf(job, record, "first"))
	check(t, err)
	got, second, err := one(t, p, fmt.Sprintf(job, record, "again"))
	check(t, err)
	contains(t, got, `"skipped":true`)
	if a, b := meta(first, "zcrm_attachment_id"), meta(second, "zcrm_attachment_id"); a != b {
		t.Errorf("the second is %s, the first %s", b, a)
	}
	if names := e.Names(t, "Contacts", record); len(names) != 1 {
		t.Errorf("the record has %v", names)
	}
}

func TestARedeliveredUploadIsKnownByItsBytesAndNotByNameAndSize(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	record := e.Record(t, "Contacts", "normal")
	e.Attach(t, "Contacts", record, "a.txt", "y")
	p := build(t, e, "operation: step\nredelivered: \"true\"\n")
	got, _, err := one(t, p, fmt.Sprintf(`{"operation":"attachment.upload","module":"Contacts","record_id":%q,"source":{"base64":"eA==","name":"a.txt"}}`, record))
	check(t, err)
	contains(t, got, `"skipped":false`)
}

func TestLinksOfWhichOneMayBeAttachedLaterAreNotDone(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	record := e.Record(t, "Contacts", "normal")
	links := `[{"url":"https://a.example","title":"A"},{"url":"https://b.example","title":"B"},{"url":"ftp://c.example","title":"C"}]`
	job := `{"operation":"attachment.upload","module":"Contacts","record_id":%q,"links":` + links + `,"trace_id":%q}`
	p := build(t, e, "operation: step\nredelivered: ${! content().contains(\"again\") }\nsettings: { max_retries: \"0\" }\n")
	e.Fault(t, "attachment.upload", map[string]any{"kind": "none"}, map[string]any{"kind": "status", "status": 503})
	_, msg, err := one(t, p, fmt.Sprintf(job, record, "first"))
	contains(t, fmt.Sprint(err), "zcrm LEFT http=0 retryable=true: ")
	if class := meta(msg, metaClass); class != "LEFT" {
		t.Errorf("zcrm_class is %s", class)
	}
	got, _, err := one(t, p, fmt.Sprintf(job, record, "again"))
	check(t, err) // what can never be attached is told in the result
	contains(t, got, `"attached":2,"failed":1`)
	if names := e.Names(t, "Contacts", record); !sameSet(names, []string{"A", "B"}) {
		t.Errorf("the record has %v", names)
	}
}

func TestABatchWhoseStepsMeetThisWorkersOwnFaultIsNotDone(t *testing.T) {
	e := emulator.Start(t)
	u := unfinishedOf([]byte(`{"operation":"batch","result":{"left":0,"items":[{"status":"failed","error":{"name":"ZCRM_E_TLS","retryable":false}}]}}`))
	if f := failureOf(u); f.class != "LEFT" || !f.concernsAll() {
		t.Errorf("%+v", f)
	}
	steps := fmt.Sprintf(`[{"key":"a","step":{"operation":"attachment.list","module":"Contacts","record_id":%q}}]`, e.Record(t, "Contacts", "normal"))
	e.Ask(t, "POST", "faults", object{"operation": "token", "always": true, "faults": []object{{"kind": "status", "status": 400}}}, nil)
	_, msg, _ := one(t, build(t, e, "operation: step\n"), `{"operation":"batch","steps":`+steps+`}`)
	if meta(msg, metaReason) != "no_token" || outage.err() == nil {
		t.Errorf("the reason is %q; %v", meta(msg, metaReason), outage.err())
	}
	outage.met(nil) // it is that of the whole process
}

func TestARedeliveredDeletionOfWhatIsGoneIsASuccess(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	record := e.Record(t, "Contacts", "normal")
	id := e.Attach(t, "Contacts", record, "a.txt", "x")
	job := fmt.Sprintf(`{"operation":"attachment.delete","module":"Contacts","record_id":%q,"attachment_ids":["404404",%q]}`, record, id)
	_, _, err := one(t, build(t, e, "operation: step\n"), `{"operation":"attachment.delete","module":"Contacts","record_id":"`+record+`","attachment_ids":["404404"]}`)
	contains(t, fmt.Sprint(err), "zcrm INVALID_DATA http=400")
	got, _, err := one(t, build(t, e, "operation: step\nredelivered: \"true\"\n"), job)
	check(t, err)
	contains(t, got, fmt.Sprintf(`"ids":["404404",%q]`, id))
	if names := e.Names(t, "Contacts", record); len(names) != 0 {
		t.Errorf("the record still has %v", names)
	}
}

func TestACallEndsAfterItsTimeout(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	e.Fault(t, "photo.delete", map[string]any{"kind": "stall", "at": "before_reply"})
	fields := "operation: photo.delete\nmodule: Contacts\nrecord_id: \"1\"\ntimeout: 300ms\n"
	_, msg, err := one(t, build(t, e, fields), "")
	contains(t, fmt.Sprint(err), "zcrm TIMEOUT http=0 retryable=true: ")
	if meta(msg, "zcrm_retryable") != "true" {
		t.Error("zcrm_retryable is not true")
	}
}

func TestACancelledPipelineEndsItsCalls(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	e.Fault(t, "photo.delete", map[string]any{"kind": "stall", "at": "before_reply"})
	p := build(t, e, "operation: photo.delete\nmodule: Contacts\nrecord_id: \"1\"\n")
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(200*time.Millisecond, cancel)
	_, err := p.ProcessBatch(ctx, service.MessageBatch{service.NewMessage(nil)})
	contains(t, fmt.Sprint(err), "zcrm CANCELLED")
}

func TestCloseWaitsForCallsAndMayComeForEachThread(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	record := e.Record(t, "Contacts", "normal")
	p := build(t, e, fmt.Sprintf("operation: attachment.upload\nmodule: Contacts\nrecord_id: %q\nfile_name: a.txt\n", record))
	e.Fault(t, "attachment.upload", map[string]any{"kind": "delay", "ms": 1000})
	done := make(chan error, 1)
	go func() {
		_, err := p.ProcessBatch(context.Background(), service.MessageBatch{service.NewMessage([]byte("x"))})
		done <- err
	}()
	for len(e.Ledger(t).Requests) < 2 { // the token's, and the upload's
		time.Sleep(5 * time.Millisecond)
	}
	var threads sync.WaitGroup
	for range 4 {
		threads.Go(func() { check(t, p.Close(context.Background())) })
	}
	threads.Wait()
	select {
	case err := <-done:
		check(t, err)
	case <-time.After(100 * time.Millisecond): // what ProcessBatch does once its call has returned
		t.Error("Close returned while the call was in flight")
		<-done
	}
	t.Run("and a thread that still has a message may use it", func(t *testing.T) {
		_, _, err := one(t, p, "y")
		check(t, err)
		shared.Lock()
		defer shared.Unlock()
		if shared.clients[p.key] != nil {
			t.Error("the client is kept")
		}
	})
}

func TestComponentsWithTheSameSettingsShareAToken(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	fields := fmt.Sprintf("operation: attachment.list\nmodule: Contacts\nrecord_id: %q\n", e.Record(t, "Contacts", "normal"))
	for _, p := range []*processor{build(t, e, fields), build(t, e, fields), build(t, e, fields)} {
		_, _, err := one(t, p, "")
		check(t, err)
	}
	if n := len(e.Ledger(t).TokensIssued); n != 1 {
		t.Errorf("%d tokens were asked for", n)
	}
}

func TestAProfileStandsInForTheFieldsThatAreNotGiven(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	profiles := filepath.Join(t.TempDir(), "profiles.toml")
	text := fmt.Sprintf("[work]\ndata_center = \"eu\"\napi_version = \"v7\"\nclient_id = %q\nclient_secret = %q\nrefresh_token = %q\napi_domain = %q\naccounts_url = %[4]q\n",
		e.ClientID, e.ClientSecret, e.RefreshToken, e.URL)
	check(t, os.WriteFile(profiles, []byte(text), 0o600))
	fields := fmt.Sprintf("operation: attachment.list\nmodule: Contacts\nrecord_id: %q\nprofiles: %q\nprofile: work\n", e.Record(t, "Contacts", "normal"), profiles)
	conf, err := processorSpec().ParseYAML(fields, nil)
	check(t, err)
	p, err := newProcessor(conf, service.MockResources())
	check(t, err)
	t.Cleanup(func() { check(t, p.Close(context.Background())) })
	_, _, err = one(t, p, "")
	check(t, err)
	requests := e.Ledger(t).Requests
	if path := requests[len(requests)-1].Path; !strings.Contains(path, "/v7/") {
		t.Errorf("the profile's api_version is not used: %s", path)
	}
}

func TestWrongSettingsAreFoundBeforeAnyMessage(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		"settings: { max_retrys: 3 }": "max_retries",
		"settings: { client_id: x }":  "there is a field client_id",
		"api_version: v9":             "api_version",
		"allow_paths: [ /srv, /a:b ]": "allow_paths[1]",
		"timeout: -5s":                "timeout",
		"refresh_token: x":            "client_id",
	} {
		conf, err := processorSpec().ParseYAML("operation: step\n"+fields, nil)
		check(t, err)
		if fields != "refresh_token: x" {
			conf, err = processorSpec().ParseYAML("operation: step\nclient_id: a\nclient_secret: b\nrefresh_token: c\n"+fields, nil)
			check(t, err)
		}
		_, err = newProcessor(conf, service.MockResources())
		contains(t, fmt.Sprint(err), want)
	}
}

func TestAStepIsCountedUnderItsOperation(t *testing.T) {
	for _, want := range []string{"attachment.upload", "attachment.list", "record.list", "batch", "unknown"} {
		said := want
		if want == "unknown" {
			said = "attachment.rename" // any word of a message as a label would make series without bound
		}
		s := &step{}
		check(t, s.read(service.NewMessage([]byte(`{"operation":"`+said+`"}`))))
		if s.operation != want {
			t.Errorf("%s is counted as %s", said, s.operation)
		}
	}
}
