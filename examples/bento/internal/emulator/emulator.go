// Package emulator starts zcrm-emulator for a test, and asks it what it saw.
package emulator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Emulator is a running emulator with its first organisation.
type Emulator struct {
	URL          string
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RefreshToken string `json:"refresh_token"`
}

// Ledger is what reached the emulator, and what it stored.
type Ledger struct {
	Requests []Request
	Stored   []struct {
		Kind, ID, Module, Record, Name, SHA256 string
		Seq                                    int
	}
	TokensIssued []struct{ Token string } `json:"tokens_issued"`
	FaultsFired  []struct {
		Seq   int
		Fault struct{ Kind string }
	} `json:"faults_fired"`
}

// Request is one that reached the emulator.
type Request struct {
	Seq                     int
	Operation, Path, Method string
	Status                  int
	AtMS                    int64 `json:"at_ms"` // since the emulator began
	Headers                 [][2]string
}

// Header gives the value of a header.
func (r Request) Header(name string) string {
	for _, header := range r.Headers {
		if strings.EqualFold(header[0], name) {
			return header[1]
		}
	}
	return ""
}

// Request gives the request of that number.
func (l Ledger) Request(seq int) Request {
	for _, request := range l.Requests {
		if request.Seq == seq {
			return request
		}
	}
	return Request{}
}

// Start runs the program that ZCRM_EMULATOR names until the test ends.
func Start(t testing.TB) *Emulator {
	t.Helper()
	program := os.Getenv("ZCRM_EMULATOR")
	if program == "" {
		t.Fatal("ZCRM_EMULATOR names no program: run test.sh")
	}
	command := exec.Command(program, "--until-stdin-closes")
	stdin, err := command.StdinPipe()
	Check(t, err)
	stdout, err := command.StdoutPipe()
	Check(t, err)
	Check(t, command.Start())
	t.Cleanup(func() {
		stdin.Close()
		_ = command.Wait()
	})
	lines := bufio.NewReader(stdout)
	url, err := lines.ReadString('\n')
	Check(t, err)
	go io.Copy(io.Discard, lines)
	e := &Emulator{URL: strings.TrimSpace(url)}
	var world struct {
		Organisations []struct{ Credentials json.RawMessage }
	}
	e.Ask(t, "GET", "world", nil, &world)
	Check(t, json.Unmarshal(world.Organisations[0].Credentials, e))
	return e
}

// Ask sends a control request, with bytes or JSON, and decodes the answer.
func (e *Emulator) Ask(t testing.TB, method, path string, body, answer any) {
	t.Helper()
	content, raw := body.([]byte)
	if !raw && body != nil {
		encoded, err := json.Marshal(body)
		Check(t, err)
		content = encoded
	}
	request, err := http.NewRequest(method, e.URL+"/_emulator/"+path, bytes.NewReader(content))
	Check(t, err)
	reply, err := http.DefaultClient.Do(request)
	Check(t, err)
	defer reply.Body.Close()
	got, err := io.ReadAll(reply.Body)
	Check(t, err)
	if reply.StatusCode != 200 {
		t.Fatalf("%s %s: %d %s", method, path, reply.StatusCode, got)
	}
	switch answer := answer.(type) {
	case nil:
	case *[]byte:
		*answer = got
	default:
		if err := json.Unmarshal(got, answer); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, got)
		}
	}
}

// Record makes a record, and gives its id.
func (e *Emulator) Record(t testing.TB, module, state string) string {
	t.Helper()
	var made struct{ ID string }
	e.Ask(t, "POST", "records", map[string]string{"module": module, "state": state}, &made)
	return made.ID
}

// Attach gives a record an attachment, and gives its id.
func (e *Emulator) Attach(t testing.TB, module, record, name, content string) string {
	t.Helper()
	var made struct{ ID string }
	e.Ask(t, "POST", fmt.Sprintf("records/%s/%s/attachments?name=%s", module, record, name), []byte(content), &made)
	return made.ID
}

// Fault lets the next requests of an operation go wrong.
func (e *Emulator) Fault(t testing.TB, operation string, faults ...map[string]any) {
	t.Helper()
	e.Ask(t, "POST", "faults", map[string]any{"operation": operation, "faults": faults}, nil)
}

// Ledger gives what happened so far.
func (e *Emulator) Ledger(t testing.TB) (ledger Ledger) {
	t.Helper()
	e.Ask(t, "GET", "ledger", nil, &ledger)
	return ledger
}

// Names gives the names of a record's attachments.
func (e *Emulator) Names(t testing.TB, module, record string) (names []string) {
	t.Helper()
	var listed []struct{ Name string }
	e.Ask(t, "GET", fmt.Sprintf("records/%s/%s/attachments", module, record), nil, &listed)
	for _, attachment := range listed {
		names = append(names, attachment.Name)
	}
	return names
}

// Check ends the test on an error.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
