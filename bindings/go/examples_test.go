package zcrm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheExampleProgramsAttachFilesAndBackThemUp(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir, "./...")
	build.Dir = filepath.Join("..", "..", "examples", "go")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	account := []string{"ZCRM_API_DOMAIN=" + w.URL, "ZCRM_ACCOUNTS_URL=" + w.URL, "ZCRM_CLIENT_ID=" + w.Credentials.ClientID,
		"ZCRM_CLIENT_SECRET=" + w.Credentials.ClientSecret, "ZCRM_REFRESH_TOKEN=" + w.Credentials.RefreshToken}
	start := func(environment []string, program string, arguments ...string) (string, error) {
		command := exec.Command(filepath.Join(dir, program), arguments...)
		command.Env = append([]string{"XDG_CACHE_HOME=" + filepath.Join(dir, "cache")}, environment...)
		said, err := command.CombinedOutput()
		return string(said), err
	}
	run := func(program string, arguments ...string) {
		t.Helper()
		if said, err := start(append(account, "ZCRM_RECORD_ID="+w.record.ID), program, arguments...); err != nil {
			t.Fatalf("%s: %v: %s", program, err, said)
		}
	}
	note := filepath.Join(dir, "note.txt")
	if err := os.WriteFile(note, []byte("remember the milk"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("attach", note)
	id := w.attach(`..%2F..%2Fescape.txt`, []byte("elsewhere"))
	for range 2 {
		run("backup", "-to", filepath.Join(dir, "saved"))
	}
	if said, err := start(append(account, "ZCRM_RECORD_ID=1"), "attach", "-module", w.record.Module, "-id", w.record.ID); err != nil {
		t.Errorf("flags count before variables: %v: %s", err, said)
	}
	if asked := len(w.requests("token")); asked != 1 {
		t.Errorf("the programs asked for %d tokens", asked)
	}
	record := "ZCRM_RECORD_ID=" + w.record.ID
	for wanted, environment := range map[string][]string{
		"ZCRM_RECORD_ID is not set":     account,
		"ZCRM_CLIENT_ID is not set":     {record},
		"ZCRM_REFRESH_TOKEN is not set": append(account[:4:4], record),
		"ZCRM_MAX_RETRIES: ":            append(account, record, "ZCRM_MAX_RETRIES=many"),
	} {
		if said, err := start(environment, "backup"); err == nil || !strings.Contains(said, wanted) {
			t.Errorf("wanted %q: %v: %s", wanted, err, said)
		}
	}
	saved, _ := filepath.Glob(filepath.Join(dir, "saved", "*"))
	if len(saved) != 2 || !strings.HasSuffix(strings.Join(saved, "|"), id+" escape.txt") && !strings.Contains(strings.Join(saved, "|"), id+" escape.txt|") {
		t.Errorf("saved are %q", saved)
	}
	for _, path := range saved {
		if got, _ := os.ReadFile(path); string(got) != "remember the milk" && string(got) != "elsewhere" {
			t.Errorf("%s holds %q", path, got)
		}
	}
}

func TestTheGoOfTheReadmeCompiles(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(readme), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("there is none")
	}
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		if !strings.HasPrefix(code, "package ") {
			code = `package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

var _, _, _ = errors.Is, fmt.Println, os.Exit

func main() {}

func shown(ctx context.Context, clientID, clientSecret, refreshToken string, file io.Writer) error {
	` + code + `
	return nil
}
`
		}
		dir := t.TempDir()
		module := "github.com/zcrm/zcrm/bindings/go"
		mod := "module shown\n\ngo 1.23\n\nrequire " + module + " v0.0.0\n\nreplace " + module + " => " + here + "\n"
		for name, text := range map[string]string{"go.mod": mod, "main.go": code} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		vet := exec.Command("go", "vet", ".")
		vet.Dir = dir
		if said, err := vet.CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, said, code)
		}
	}
}
