package zcrm_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := m.Run()
	closeDemo()
	if err := shown.report(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// emulatorProgram is named by ZCRM_EMULATOR, or built.
var emulatorProgram = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("ZCRM_EMULATOR"); path != "" {
		return path, nil
	}
	build := exec.Command("cargo", "build", "-q", "-p", "zcrm-emulator", "--message-format=json")
	build.Dir, build.Stderr = filepath.Join("..", ".."), os.Stderr
	lines, err := build.Output()
	if err != nil {
		return "", fmt.Errorf("building zcrm-emulator (or let ZCRM_EMULATOR name it): %w", err)
	}
	for _, line := range bytes.Split(lines, []byte("\n")) {
		var message struct{ Executable string }
		if json.Unmarshal(line, &message) == nil && filepath.Base(message.Executable) == "zcrm-emulator" {
			return message.Executable, nil
		}
	}
	return "", fmt.Errorf("cargo named no program zcrm-emulator")
})

// emulator is one running emulator, and the first organisation in it.
type emulator struct {
	URL         string
	AccessToken string
	Credentials struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
		RefreshToken string `json:"refresh_token"`
	}
	stop func()
}

func startEmulator() (*emulator, error) {
	program, err := emulatorProgram()
	if err != nil {
		return nil, err
	}
	command := exec.Command(program, "--until-stdin-closes")
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	url, err := bufio.NewReader(stdout).ReadString('\n')
	e := &emulator{URL: strings.TrimSpace(url)}
	e.stop = func() {
		stdin.Close()
		command.Wait()
	}
	if err == nil {
		err = e.readWorld()
	}
	if err != nil {
		e.stop()
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	return e, nil
}

func (e *emulator) readWorld() error {
	answer, err := e.ask("GET", "world", nil)
	if err != nil {
		return err
	}
	var world struct {
		Organisations []struct {
			AccessToken string `json:"access_token"`
			Credentials json.RawMessage
		}
	}
	if err := json.Unmarshal(answer, &world); err != nil {
		return err
	}
	e.AccessToken = world.Organisations[0].AccessToken
	return json.Unmarshal(world.Organisations[0].Credentials, &e.Credentials)
}

// ask sends a control request.
func (e *emulator) ask(method, path string, body any) ([]byte, error) {
	var content io.Reader
	switch body := body.(type) {
	case nil:
	case []byte:
		content = bytes.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, e.URL+"/_emulator/"+path, content)
	if err != nil {
		return nil, err
	}
	request.Close = true // an idle connection's goroutines would look like a leak
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", method, path, answer)
	}
	return answer, err
}

// world is a test's own emulator, with a record in it, and a client.
type world struct {
	*emulator
	t      testing.TB
	client *zcrm.Client
	record zcrm.Record
	file   string // id of an attachment, where a test has one
}

type anything = map[string]any

func newWorld(t testing.TB, options ...zcrm.Option) *world {
	t.Helper()
	e, err := startEmulator()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.stop)
	shown.add(e.AccessToken, e.Credentials.ClientSecret, e.Credentials.RefreshToken)
	w := &world{emulator: e, t: t}
	w.client = w.newClient(options...)
	w.record = w.addRecord("Contacts")
	return w
}

// newClient has an access token: of refreshes Zoho, and so the emulator, allows few. Its log is searched for secrets.
func (w *world) newClient(options ...zcrm.Option) *zcrm.Client {
	w.t.Helper()
	defaults := []zcrm.Option{zcrm.WithDomains(w.URL, w.URL), zcrm.WithOption("retry_base_ms", "5"), zcrm.WithLogger(slog.New(&shown))}
	if len(options) == 0 {
		options = []zcrm.Option{zcrm.WithAccessToken(w.AccessToken)}
	}
	client, err := zcrm.New(append(defaults, options...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { client.Close() })
	return client
}

func (w *world) control(method, path string, body, answer any) {
	w.t.Helper()
	text, err := w.ask(method, path, body)
	if err == nil && answer != nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) addRecord(module string) zcrm.Record {
	w.t.Helper()
	var made struct{ ID string }
	w.control("POST", "records", anything{"module": module}, &made)
	return zcrm.Record{Module: module, ID: made.ID}
}

// attach puts an attachment there without the client.
func (w *world) attach(name string, content []byte) (id string) {
	w.t.Helper()
	var made struct{ ID string }
	w.control("POST", fmt.Sprintf("records/%s/%s/attachments?name=%s", w.record.Module, w.record.ID, name), content, &made)
	return made.ID
}

// stored is the content that the emulator holds of an attachment.
func (w *world) stored(id string) []byte {
	w.t.Helper()
	content, err := w.ask("GET", fmt.Sprintf("records/%s/%s/attachments/%s", w.record.Module, w.record.ID, id), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return content
}

func (w *world) fault(operation string, faults ...anything) {
	w.t.Helper()
	w.control("POST", "faults", anything{"operation": operation, "faults": faults}, nil)
}

func (w *world) settings(change anything) {
	w.t.Helper()
	w.control("PATCH", "settings", change, nil)
}

type request struct {
	Operation, Query string
	Headers          [][2]string
	Status           int
	BodyComplete     bool `json:"body_complete"`
	Parts            []struct {
		Headers []string
		Size    int64
	}
}

// requests are those of an operation that reached the emulator, in their order.
func (w *world) requests(operation string) []request {
	w.t.Helper()
	var ledger struct{ Requests []request }
	w.control("GET", "ledger", nil, &ledger)
	var of []request
	for _, r := range ledger.Requests {
		if r.Operation == operation {
			of = append(of, r)
		}
	}
	return of
}

// eventually waits for what another goroutine or process does in its own time.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true that %s", what)
		}
	}
}
