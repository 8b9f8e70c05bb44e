package zcrm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// canaries are the secrets of every test, and a count of where they were looked for. Each client that gets no other logger logs into them.
type canaries struct {
	mu                     sync.Mutex
	secrets                []string
	lines, errors, results int
	found                  []string
}

var shown canaries

const proxyPassword = "canary-of-the-proxy"

// tokenForm is that of every access token, refresh token and grant code: those that a refresh brings are known to nobody here.
var tokenForm = regexp.MustCompile(`1000\.[0-9a-f]{16}`)

func (c *canaries) add(secrets ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, secret := range secrets {
		if !slices.Contains(c.secrets, secret) {
			c.secrets = append(c.secrets, secret)
		}
	}
}

// look searches a text and counts it.
func (c *canaries) look(count *int, where, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*count++
	if c.isIn(text) {
		c.found = append(c.found, where)
	}
}

func (c *canaries) isIn(text string) bool {
	for _, secret := range c.secrets {
		if strings.Contains(text, secret) {
			return true
		}
	}
	return tokenForm.MatchString(text)
}

// report says where secrets were looked for; an error when one was found.
func (c *canaries) report() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Printf("looked for secrets in %d log lines, %d errors, %d results\n", c.lines, c.errors, c.results)
	if len(c.found) > 0 {
		return fmt.Errorf("secrets are shown in: %s", strings.Join(c.found, "; "))
	}
	return nil
}

// Enabled: every line is wanted.
func (c *canaries) Enabled(context.Context, slog.Level) bool { return true }

func (c *canaries) Handle(_ context.Context, record slog.Record) error {
	text := record.Message
	record.Attrs(func(attribute slog.Attr) bool {
		text += " " + attribute.String()
		return true
	})
	c.look(&c.lines, "a log line", text)
	return nil
}

func (c *canaries) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *canaries) WithGroup(string) slog.Handler      { return c }

// everyForm is all that a program may make of a value to show it.
func everyForm(value any) string {
	document, _ := json.Marshal(value)
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("got", "value", value)
	text := fmt.Sprintf("%v %+v %#v %s", value, value, value, document) + logged.String()
	if err, ok := value.(error); ok {
		for ; err != nil; err = errors.Unwrap(err) {
			text += " " + err.Error()
		}
	}
	return text
}

// gave searches what a call gave; the errors are counted by their codes.
func (c *canaries) gave(codes map[zcrm.Code]int, operation string, result any, err error) {
	if err == nil {
		c.look(&c.results, operation+": the result", everyForm(result))
		return
	}
	c.look(&c.errors, operation+": the error", everyForm(err))
	var e *zcrm.Error
	if errors.As(err, &e) {
		codes[e.Code]++
		c.look(&c.errors, operation+": the details of the error", string(e.Details))
	}
}

func TestAShownSecretIsFound(t *testing.T) {
	c := canaries{secrets: []string{proxyPassword}}
	slog.New(&c).Error("failed", "cause", fmt.Errorf("proxy http://user:%s@host", proxyPassword))
	c.gave(map[zcrm.Code]int{}, "list", nil, &zcrm.Error{Message: "token 1000.0123456789abcdef is refused"})
	if len(c.found) != 2 || c.isIn("1000.0123 Contacts") {
		t.Errorf("found in %q", c.found)
	}
}

func TestNothingThatIsShownHoldsASecret(t *testing.T) {
	w := newWorld(t)
	codes := map[zcrm.Code]int{}
	dir := t.TempDir()
	w.settings(anything{"tokens_per_window": 1000})
	refresh := zcrm.WithRefreshToken(w.Credentials.ClientID, w.Credentials.ClientSecret, w.Credentials.RefreshToken)
	client := w.newClient(refresh, zcrm.WithOption("max_retries", "0"), zcrm.WithOption("allow_paths", dir), zcrm.WithOption("settle", "off"))
	shown.gave(codes, "client", client, nil)
	for _, fault := range []anything{
		{"kind": "none"},
		{"kind": "status", "status": 403},
		{"kind": "status", "status": 500},
		{"kind": "status", "status": 429, "headers": anything{"Retry-After": "1"}},
		{"kind": "status", "status": 401, "code": "OAUTH_SCOPE_MISMATCH"},
		{"kind": "html", "status": 200},
		{"kind": "reset_after_store"},
		{"kind": "redirect", "status": 307, "location": "http://localhost:1/"},
		{"kind": "garbage"},
	} {
		w.fault("*", fault, fault, fault, fault, fault, fault, fault, fault)
		w.lookAtEveryOperation(codes, client, dir)
		w.control("DELETE", "faults", nil, nil)
	}
	list := func(options ...zcrm.Option) {
		client, err := zcrm.New(append([]zcrm.Option{zcrm.WithDomains(w.URL, w.URL), zcrm.WithLogger(slog.New(&shown))}, options...)...)
		if err != nil {
			shown.gave(codes, "new", nil, err)
			return
		}
		defer client.Close()
		page, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
		shown.gave(codes, "list", page, err)
		records, err := client.ListRecords(ctx, w.record.Module, zcrm.ListOptions{})
		shown.gave(codes, "list of records", records, err)
	}
	shown.add(proxyPassword)
	list(zcrm.WithAccessToken(w.AccessToken + "0"))
	list(zcrm.WithAccessToken(w.AccessToken + "\n"))
	list(zcrm.WithRefreshToken(w.Credentials.ClientID, w.Credentials.ClientSecret+"0", w.Credentials.RefreshToken))
	list(zcrm.WithRefreshToken(w.Credentials.ClientID, w.Credentials.ClientSecret, w.Credentials.RefreshToken+"0"))
	list(zcrm.WithAccessToken(w.AccessToken), zcrm.WithOption("api_domain", "http://zoho.invalid"), zcrm.WithOption("allow_http", "on"), zcrm.WithOption("max_retries", "0"),
		zcrm.WithOption("proxy", "http://user:"+proxyPassword+"@127.0.0.1:1"))
	list(zcrm.WithAccessToken(w.AccessToken), zcrm.WithOption("proxy", "nowhere://user:"+proxyPassword+"@proxy"))
	w.lookAtAnExchange(codes)
	for _, wanted := range []zcrm.Code{zcrm.ErrAuth, zcrm.ErrConfig, zcrm.ErrNetwork, zcrm.ErrForbidden, zcrm.ErrOutcomeUnknown, zcrm.ErrProtocol} {
		if codes[wanted] == 0 {
			t.Errorf("no call gave %v: %v", wanted, codes)
		}
	}
	if len(shown.found) > 0 {
		t.Errorf("found in %q", shown.found)
	}
}

// lookAtEveryOperation searches what each gives, whether it goes well or not.
func (w *world) lookAtEveryOperation(codes map[zcrm.Code]int, client *zcrm.Client, dir string) {
	w.t.Helper()
	id := w.attach("there.txt", []byte("there"))
	path := filepath.Join(dir, id)
	uploaded, err := client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a.txt", []byte("a")))
	shown.gave(codes, "upload", uploaded, err)
	page, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
	shown.gave(codes, "list", page, err)
	transfer, err := client.DownloadAttachmentFile(ctx, w.record, id, path)
	shown.gave(codes, "download", transfer, err)
	transfer, err = client.UploadPhoto(ctx, w.record, zcrm.FromBytes("p.png", portrait(w.t)))
	shown.gave(codes, "photo upload", transfer, err)
	transfer, err = client.DownloadPhoto(ctx, w.record, io.Discard)
	shown.gave(codes, "photo download", transfer, err)
	shown.gave(codes, "photo delete", nil, client.DeletePhoto(ctx, w.record))
	shown.gave(codes, "delete", nil, client.DeleteAttachment(ctx, w.record, id))
	output, err := client.RunStep(ctx, w.upload(filepath.Join(dir, "absent.txt")))
	shown.gave(codes, "step", string(output), err)
	steps := []zcrm.BatchStep{{Key: "1", Step: w.upload(filepath.Join(dir, "absent.txt"))}, {Key: "2", Step: []byte(`{"operation":"nonsense"}`)}}
	summary, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{}, func(end zcrm.BatchEnd) error {
		shown.gave(codes, "end of a batch's step", end, nil)
		return nil
	})
	shown.gave(codes, "batch", summary, err)
}

func (w *world) lookAtAnExchange(codes map[zcrm.Code]int) {
	w.t.Helper()
	var made struct{ Code string }
	w.control("POST", "tokens/grant-code", nil, &made)
	shown.add(made.Code)
	for _, secret := range []string{w.Credentials.ClientSecret + "0", w.Credentials.ClientSecret, w.Credentials.ClientSecret} {
		options := []zcrm.Option{zcrm.WithDomains(w.URL, w.URL), zcrm.WithLogger(slog.New(&shown))}
		grant, err := zcrm.ExchangeGrantCode(ctx, w.Credentials.ClientID, secret, made.Code, options...)
		if err == nil {
			shown.add(grant.AccessToken.Reveal(), grant.RefreshToken.Reveal())
		}
		shown.gave(codes, "exchange", grant, err)
	}
}
