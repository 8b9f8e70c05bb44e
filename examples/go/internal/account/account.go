// Package account makes the client of the examples, and names their record.
package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// FromEnvironment makes a client of the environment's ZCRM_* variables: each setting of the library has one, such as ZCRM_DATA_CENTER. It
// needs ZCRM_ACCESS_TOKEN, or all of ZCRM_CLIENT_ID, ZCRM_CLIENT_SECRET and ZCRM_REFRESH_TOKEN.
func FromEnvironment() (*zcrm.Client, error) {
	if err := complete(); err != nil {
		return nil, err
	}
	names, err := settings()
	if err != nil {
		return nil, err
	}
	options := []zcrm.Option{zcrm.WithTokenFile(tokenFile())}
	for _, name := range names {
		if value := os.Getenv(variable(name)); value != "" {
			options = append(options, zcrm.WithOption(name, value))
		}
	}
	client, err := zcrm.New(options...)
	if e := (*zcrm.Error)(nil); errors.As(err, &e) && os.Getenv(variable(e.Field)) != "" {
		return nil, fmt.Errorf("%s: %w", variable(e.Field), err)
	}
	return client, err
}

// Record takes the module and the id from the flags, or where these are empty from ZCRM_MODULE and ZCRM_RECORD_ID.
func Record(module, id string) (zcrm.Record, error) {
	record := zcrm.Record{Module: firstOf(module, os.Getenv("ZCRM_MODULE"), "Contacts"), ID: firstOf(id, os.Getenv("ZCRM_RECORD_ID"))}
	if record.ID == "" {
		return record, errors.New("ZCRM_RECORD_ID is not set. Set it, or give -id: the digits at the end of the record's page in Zoho CRM")
	}
	return record, nil
}

func variable(setting string) string { return "ZCRM_" + strings.ToUpper(setting) }

func complete() error {
	if os.Getenv("ZCRM_ACCESS_TOKEN") != "" {
		return nil
	}
	for _, name := range []string{"ZCRM_CLIENT_ID", "ZCRM_CLIENT_SECRET", "ZCRM_REFRESH_TOKEN"} {
		if os.Getenv(name) == "" {
			return fmt.Errorf("%s is not set. Set ZCRM_ACCESS_TOKEN, or all of ZCRM_CLIENT_ID, ZCRM_CLIENT_SECRET and ZCRM_REFRESH_TOKEN", name)
		}
	}
	return nil
}

// settings are the names that the library describes.
func settings() ([]string, error) {
	var described struct{ Settings []struct{ Name string } }
	if err := json.Unmarshal(zcrm.DescribeSteps(), &described); err != nil {
		return nil, err
	}
	names := make([]string, len(described.Settings))
	for i, setting := range described.Settings {
		names[i] = setting.Name
	}
	return names, nil
}

// tokenFile is where the runs of these programs share a token, of which Zoho gives ten in ten minutes. Empty: nowhere.
func tokenFile() string {
	cache, err := os.UserCacheDir()
	if err == nil {
		err = os.MkdirAll(filepath.Join(cache, "zcrm"), 0o700)
	}
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "zcrm", "token")
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
