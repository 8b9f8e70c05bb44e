package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zcrm/zcrm/examples/bento/internal/emulator"
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
	for _, name := range []string{"zoho_crm_file", "zoho_crm_attachments", "zoho_crm_upload"} {
		configs = append(configs, examples(t, name)...)
	}
	if len(configs) < 8 {
		t.Errorf("these are all: %v", configs)
	}
	env := environment(&emulator.Emulator{}, "ZCRM_ALLOW_PATHS=/srv")
	for _, name := range []string{"ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN", "RECORD_ID"} {
		env = append(env, name+"=x")
	}
	if said := run(t, env, append([]string{"lint"}, configs...)...); said != "" {
		t.Error(said)
	}
}

// examples writes the YAML of a page of docs/ to files.
func examples(t *testing.T, name string) (paths []string) {
	t.Helper()
	page := string(must(os.ReadFile("docs/" + name + ".md")))
	for i, block := range strings.Split(page, "```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		if !strings.Contains(text, "zoho_crm_") {
			continue // of one field
		}
		path := filepath.Join(t.TempDir(), name+string(rune('a'+i))+".yaml")
		check(t, os.WriteFile(path, []byte(text), 0o600))
		paths = append(paths, path)
	}
	return paths
}

func TestTheEnginesOwnTestsOfTheConfigsPass(t *testing.T) {
	said := run(t, environment(emulator.Start(t), "ZCRM_ALLOW_PATHS=/srv"), "test", "--log", "off", "worker.yaml", "enqueue.yaml")
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
