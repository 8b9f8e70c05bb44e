package zcrm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

// errorFields are the keys of zcrm_error_json, each with the field of Error in which it is found.
var errorFields = map[string]string{
	"status": "Code", "name": "Code", "reason": "Reason", "message": "Message", "field": "Field", "http_status": "HTTPStatus",
	"api_code": "APICode", "api_message": "APIMessage", "details": "Details", "retryable": "Retryable", "retry_after_ms": "RetryAfter",
	"outcome_open": "OutcomeOpen", "candidates": "Candidates", "request_sent": "RequestSent", "attempts": "Attempts", "waited_ms": "Waited",
	"callback_status": "cause", "os_error": "cause",
}

// documentedKeys are those of the header's comment, and of the schema.
func documentedKeys(t *testing.T) (ofHeader, ofSchema map[string]bool) {
	include := os.Getenv("ZCRM_INCLUDE_DIR")
	if include == "" {
		include = filepath.Join("..", "..", "include")
	}
	header, err := os.ReadFile(filepath.Join(include, "zcrm.h"))
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(header), "const char *zcrm_error_json(")
	comment := before[strings.LastIndex(before, "/**"):]
	ofHeader, ofSchema = map[string]bool{}, map[string]bool{}
	for _, key := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(comment, -1) {
		if key[1] != "error" { // the parameter
			ofHeader[key[1]] = true
		}
	}
	var described struct {
		Error struct{ Properties map[string]any }
	}
	if err := json.Unmarshal(DescribeSteps(), &described); err != nil {
		t.Fatal(err)
	}
	for key := range described.Error.Properties {
		ofSchema[key] = true
	}
	return ofHeader, ofSchema
}

func TestEveryFieldOfTheLibrarysErrorHasOneHere(t *testing.T) {
	ofHeader, ofSchema := documentedKeys(t)
	for where, keys := range map[string]map[string]bool{"header": ofHeader, "schema": ofSchema} {
		if len(keys) < 16 {
			t.Errorf("only %d keys were found in the %s", len(keys), where)
		}
		for key := range keys {
			if errorFields[key] == "" {
				t.Errorf("%s of the %s has no field", key, where)
			}
		}
	}
	for key := range errorFields {
		if !ofSchema[key] {
			t.Errorf("the library has no %s", key)
		}
	}
	document := `{"status": 22, "name": "ZCRM_E_OUTCOME_UNKNOWN", "reason": "r", "message": "m", "field": "f", "http_status": 500, "api_code": "c",
		"api_message": "a", "details": {"d": 1}, "retryable": true, "retry_after_ms": 7, "outcome_open": true, "candidates": ["1", "2"], "request_sent": "fully",
		"attempts": 2, "waited_ms": 9, "callback_status": 0, "os_error": 2}`
	failure := reflect.ValueOf(wrap("upload", cabi.ReadFailure(22, []byte(document)))).Elem()
	for i := range failure.NumField() {
		if failure.Field(i).IsZero() {
			t.Errorf("%s is not filled", failure.Type().Field(i).Name)
		}
	}
}
