package zohocrm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warpstreamlabs/bento/public/service"

	"github.com/zcrm/zcrm/examples/bento/internal/emulator"
)

// list runs a pipeline with only the input, to its end.
func list(t *testing.T, e *emulator.Emulator, fields string) (ids []string, failed []string) {
	t.Helper()
	builder := service.NewStreamBuilder()
	check(t, builder.SetLoggerYAML("level: OFF"))
	check(t, builder.AddInputYAML("zoho_crm_attachments:\n  module: Contacts\n"+fields+connect(e)))
	check(t, builder.AddConsumerFunc(func(_ context.Context, msg *service.Message) error {
		if err := msg.GetError(); err != nil {
			failed = append(failed, meta(msg, "zcrm_code")+" "+text(t, msg))
			return nil
		}
		ids = append(ids, meta(msg, "zcrm_attachment_id"))
		return nil
	}))
	stream, err := builder.Build()
	check(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check(t, stream.Run(ctx))
	return ids, failed
}

func TestInputListsRecordAfterRecord(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	var records, want []string
	for range 2 {
		record := e.Record(t, "Contacts", "normal")
		records = append(records, record)
		for i := range 5 {
			want = append(want, e.Attach(t, "Contacts", record, fmt.Sprint(i), "x"))
		}
	}
	fields := fmt.Sprintf("  record_ids: [ %q, %q, %q ]\n  batch_size: 2", records[0], "999", records[1])
	ids, failed := list(t, e, fields)
	if !sameSet(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	if fmt.Sprint(failed) != `[INVALID_DATA {"module":"Contacts","record_id":"999"}]` {
		t.Errorf("failed: %v", failed)
	}
}

func TestInputGoesOnAfterAFailureThatPasses(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	record := e.Record(t, "Contacts", "normal")
	var want []string
	for i := range 250 { // two pages
		want = append(want, e.Attach(t, "Contacts", record, fmt.Sprint(i), "x"))
	}
	e.Fault(t, "attachment.list", map[string]any{"kind": "none"}, map[string]any{"kind": "status", "status": 503})
	ids, failed := list(t, e, fmt.Sprintf("  record_ids: [ %q ]\n  batch_size: 70\n  settings: { max_retries: \"0\" }", record))
	if len(failed) > 0 || !sameSet(ids, want) {
		t.Errorf("got %d attachments of %d, failed %v", len(ids), len(want), failed)
	}
}

func TestOutputRefusesOnlyWhatFailed(t *testing.T) {
	t.Parallel()
	e := emulator.Start(t)
	record := e.Record(t, "Contacts", "normal")
	conf, err := outputSpec().ParseYAML("module: Contacts\nrecord_id: ${! @record }\nfile_name: ${! content() }\n"+strings.ReplaceAll(connect(e), "\n  ", "\n"), nil)
	check(t, err)
	p, err := newProcessor(conf, service.MockResources())
	check(t, err)
	out := &output{p}
	check(t, out.Connect(context.Background()))
	defer out.Close(context.Background())
	var batch service.MessageBatch
	for i, id := range []string{record, "999", record} {
		msg := service.NewMessage([]byte(fmt.Sprint("file ", i)))
		msg.MetaSetMut("record", id)
		batch = append(batch, msg)
	}
	indexer := batch.Index()
	err = out.WriteBatch(context.Background(), batch)
	var batchErr *service.BatchError
	if !errors.As(err, &batchErr) {
		t.Fatalf("got %v", err)
	}
	var refused []int
	batchErr.WalkMessagesIndexedBy(indexer, func(i int, _ *service.Message, err error) bool {
		if err != nil {
			refused = append(refused, i)
			contains(t, err.Error(), "zcrm INVALID_DATA")
		}
		return true
	})
	if fmt.Sprint(refused) != "[1]" {
		t.Errorf("refused %v", refused)
	}
	if names := e.Names(t, "Contacts", record); !sameSet(names, []string{"file 0", "file 2"}) {
		t.Errorf("the record has %v", names)
	}
}

// sameSet holds when both have the same members, each once.
func sameSet(a, b []string) bool {
	seen := map[string]int{}
	for _, s := range a {
		seen[s]++
	}
	for _, s := range b {
		seen[s]--
	}
	for _, n := range seen {
		if n != 0 {
			return false
		}
	}
	return len(a) == len(b)
}
