package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zcrm/zcrm/examples/bento/internal/emulator"
	"github.com/zcrm/zcrm/examples/bento/internal/servers"
)

// run runs the engine, and gives what it printed.
func run(t *testing.T, env []string, arguments ...string) string {
	t.Helper()
	command := exec.Command(program(t, "bento"), arguments...)
	command.Env = env
	printed, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("bento %s: %v\n%s", strings.Join(arguments, " "), err, printed)
	}
	return string(printed)
}

func TestEveryConfigIsCleanToTheLinter(t *testing.T) {
	configs := must(filepath.Glob("*.yaml"))
	for _, page := range append(must(filepath.Glob("docs/*.md")), "README.md", "../README.md") {
		configs = append(configs, examples(t, page)...)
	}
	if len(configs) < 12 {
		t.Errorf("these are all: %v", configs)
	}
	env := environment(&emulator.Emulator{}, "ZCRM_ALLOW_PATHS=/srv")
	for _, name := range []string{"ZCRM_CLIENT_ID", "ZCRM_CLIENT_SECRET", "ZCRM_REFRESH_TOKEN", "RECORD_ID"} {
		env = append(env, name+"=x")
	}
	if said := run(t, env, append([]string{"lint"}, configs...)...); said != "" {
		t.Error(said)
	}
}

// examples writes the pipelines of a page to files.
func examples(t *testing.T, page string) (paths []string) {
	t.Helper()
	for i, block := range strings.Split(string(must(os.ReadFile(page))), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		if !strings.Contains(text, "zoho_crm_") {
			continue // of one field
		}
		path := filepath.Join(t.TempDir(), fmt.Sprintf("%s.%d.yaml", filepath.Base(page), i))
		check(t, os.WriteFile(path, []byte(text), 0o600))
		paths = append(paths, path)
	}
	return paths
}

func TestTheEnginesOwnTestsOfTheConfigsPass(t *testing.T) {
	b := newBench(t, "15s")
	said := run(t, environment(b.emulator, "NATS_URL="+b.url, "ZCRM_ALLOW_PATHS=/srv"), "test", "--log", "off", "worker.yaml", "enqueue.yaml")
	for _, line := range []string{"Test 'worker.yaml' succeeded", "Test 'enqueue.yaml' succeeded"} {
		if !strings.Contains(said, line) {
			t.Errorf("%q is not in %s", line, said)
		}
	}
}

func TestEchoShowsTheConfigWithoutItsSecrets(t *testing.T) {
	e := &emulator.Emulator{ClientID: "the-id", ClientSecret: "hush-secret", RefreshToken: "hush-token"}
	said := run(t, environment(e, "ZCRM_ALLOW_PATHS=/srv"), "-c", "worker.yaml", "echo")
	if !strings.Contains(said, "zoho_crm_file") || !strings.Contains(said, "the-id") || strings.Contains(said, "hush") {
		t.Error(said)
	}
}

func TestTheFolderExampleNamesWhatItCouldNotAttach(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	record := filepath.Join(dir, "3652397000000649013")
	check(t, os.Mkdir(record, 0o700))
	for i := range 4 {
		check(t, os.WriteFile(filepath.Join(record, fmt.Sprintf("%d.txt", i)), []byte("x"), 0o600))
	}
	text := string(must(os.ReadFile(examples(t, "docs/zoho_crm_upload.md")[0])))
	nowhere := "http://127.0.0.1:" + servers.FreePort(t)
	text = strings.NewReplacer("/srv/files/", dir+"/", "./failed.ndjson", dir+"/failed.ndjson",
		"module: Contacts", fmt.Sprintf("module: Contacts\n        api_domain: %s\n        accounts_url: %[1]s", nowhere)).Replace(text)
	config := filepath.Join(dir, "folder.yaml")
	check(t, os.WriteFile(config, []byte("http: { enabled: false }\n"+text), 0o600))
	run(t, environment(&emulator.Emulator{ClientID: "a", ClientSecret: "b", RefreshToken: "c"}), "-c", config)
	failed := string(must(os.ReadFile(filepath.Join(dir, "failed.ndjson"))))
	for i := range 4 {
		if !strings.Contains(failed, fmt.Sprintf("/%d.txt", i)) {
			t.Errorf("%d.txt is not in %s", i, failed)
		}
	}
}
