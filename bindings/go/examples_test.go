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
	run := func(program string, arguments ...string) string {
		command := exec.Command(filepath.Join(dir, program), append([]string{"-module", w.record.Module, "-id", w.record.ID}, arguments...)...)
		command.Env = append(os.Environ(), "ZOHO_URL="+w.URL, "ZOHO_CLIENT_ID="+w.Credentials.ClientID,
			"ZOHO_CLIENT_SECRET="+w.Credentials.ClientSecret, "ZOHO_REFRESH_TOKEN="+w.Credentials.RefreshToken)
		said, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", program, err, said)
		}
		return string(said)
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
