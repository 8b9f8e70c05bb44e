package zcrm_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

func TestRecordsGoesOverAModule(t *testing.T) {
	w := newWorld(t)
	first, second := w.addRecord("Widgets"), w.addRecord("Widgets")
	for _, version := range []string{"v2", "v3", "v8"} {
		client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithOption("api_version", version))
		var all []zcrm.Record
		for record, err := range client.Records(ctx, first.Module) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, record)
		}
		if !slices.Equal(all, []zcrm.Record{second, first}) {
			t.Errorf("%s: got %v", version, all)
		}
	}
}

func TestRecordsAsksForNoPageItDoesNotNeed(t *testing.T) {
	w := newWorld(t)
	w.fault("record.list", anything{"kind": "endless_pages"})
	for range w.client.Records(ctx, w.record.Module) {
		break
	}
	if asked := len(w.requests("record.list")); asked != 1 {
		t.Errorf("a loop that ends at once asked for %d pages", asked)
	}
}

func TestRecordsEndsAfterAnError(t *testing.T) {
	w := newWorld(t)
	var failures []error
	for record, err := range w.client.Records(ctx, "Potentials") {
		failures = append(failures, err)
		if record != (zcrm.Record{}) {
			t.Errorf("got %v with %v", record, err)
		}
	}
	if len(failures) != 1 || !errors.Is(failures[0], zcrm.ErrInvalidModule) || !strings.Contains(failures[0].Error(), "Deals") {
		t.Errorf("got %v", failures)
	}
}

func TestListRecordsGivesOnePage(t *testing.T) {
	w := newWorld(t)
	old, last := w.addRecord("Widgets"), w.addRecord("Widgets")
	page, err := w.client.ListRecords(ctx, "Widgets", zcrm.ListOptions{PerPage: 1})
	if err != nil || !slices.Equal(page.RecordIDs, []string{last.ID}) || !page.More {
		t.Fatalf("got %+v, %v", page, err)
	}
	page, err = w.client.ListRecords(ctx, "Widgets", zcrm.ListOptions{PerPage: 1, PageToken: page.NextPageToken})
	if err != nil || !slices.Equal(page.RecordIDs, []string{old.ID}) || page.More || page.NextPageToken != "" {
		t.Errorf("got %+v, %v", page, err)
	}
	for field, list := range map[string]zcrm.ListOptions{"page": {Page: -1}, "per_page": {PerPage: 201}, "fields": {Fields: []string{"Name"}}} {
		var failure *zcrm.Error
		if _, err := w.client.ListRecords(ctx, w.record.Module, list); !errors.As(err, &failure) || failure.Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
}
