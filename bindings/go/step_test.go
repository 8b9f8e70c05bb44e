package zcrm_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

func TestStepsAreDescribedAsJSON(t *testing.T) {
	var described struct {
		Operations []struct{ ID string }
		Version    string
	}
	if err := json.Unmarshal(zcrm.DescribeSteps(), &described); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, operation := range described.Operations {
		ids = append(ids, operation.ID)
	}
	want := "attachment.upload attachment.list attachment.download photo.upload photo.download photo.delete attachment.delete record.list batch"
	if strings.Join(ids, " ") != want || described.Version != zcrm.Version() {
		t.Errorf("got %q of version %s", ids, described.Version)
	}
}

func step(w *world, client *zcrm.Client, operation string, more anything) (map[string]any, error) {
	input := anything{"operation": operation, "module": w.record.Module, "record_id": w.record.ID}
	for key, value := range more {
		input[key] = value
	}
	text, err := json.Marshal(input)
	if err != nil {
		w.t.Fatal(err)
	}
	output, err := client.RunStep(ctx, text)
	if err != nil {
		return nil, err
	}
	var answer struct{ Result map[string]any }
	if err := json.Unmarshal(output, &answer); err != nil {
		w.t.Fatal(err)
	}
	return answer.Result, nil
}

func TestAStepUploads(t *testing.T) {
	w := newWorld(t)
	source := anything{"base64": base64.StdEncoding.EncodeToString([]byte("bytes")), "name": "a.txt"}
	stored, err := step(w, w.client, "attachment.upload", anything{"source": source})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(w.stored(fmt.Sprint(stored["id"]))); got != "bytes" {
		t.Errorf("stored is %q", got)
	}
}

func TestAStepNamesFilesOnlyWhereItIsAllowed(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	if err := os.WriteFile(path, []byte("from disk"), 0o600); err != nil {
		t.Fatal(err)
	}
	source := anything{"source": anything{"path": path}}
	var e *zcrm.Error
	if _, err := step(w, w.client, "attachment.upload", source); !errors.As(err, &e) || e.Reason != "path_not_allowed" {
		t.Errorf("without allow_paths: %v", err)
	}
	allowing := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithOption("allow_paths", dir))
	if _, err := step(w, allowing, "attachment.upload", source); err != nil {
		t.Errorf("with allow_paths: %v", err)
	}
}

func TestAWrongStepSaysWhereItIsWrong(t *testing.T) {
	w := newWorld(t)
	for _, input := range []string{"", "{", `{"operation":"attachment.uplaod"}`, `{"operation":"photo.delete","module":"Leads"}`} {
		var e *zcrm.Error
		if _, err := w.client.RunStep(ctx, []byte(input)); !errors.As(err, &e) || e.Code != zcrm.ErrArgument || e.Reason != "step_input" {
			t.Errorf("%q gives %v", input, err)
		}
	}
}

func TestAStepEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	w.fault("photo.delete", anything{"kind": "stall", "at": "before_reply"})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	input := fmt.Sprintf(`{"operation":"photo.delete","module":"Contacts","record_id":%q}`, w.record.ID)
	go func() { _, err := w.client.RunStep(ctx, []byte(input)); ended <- err }()
	eventually(t, "it runs", func() bool { return len(w.requests("photo.delete")) == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
