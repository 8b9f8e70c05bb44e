package zcrm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	zcrm "github.com/zcrm/zcrm/bindings/go"
	"github.com/zcrm/zcrm/bindings/go/internal/cabi"
)

func TestNewNamesWhatIsWrongWithASetting(t *testing.T) {
	token := zcrm.WithAccessToken("t")
	for want, options := range map[string][]zcrm.Option{
		"credentials":        nil,
		`"api_version"`:      {token, zcrm.WithOption("api_versoin", "v8")},
		"data_center":        {token, zcrm.WithDataCenter("moon")},
		"environment":        {token, zcrm.WithEnvironment("staging")},
		`a\x00b`:             {token, zcrm.WithOption("a\x00b", "")},
		"token callback and": {zcrm.WithRefreshToken("a", "b", "c"), zcrm.WithTokenSource(func(context.Context, bool) (string, error) { return "", nil })},
	} {
		_, err := zcrm.New(options...)
		if !errors.Is(err, zcrm.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("wanted %s in %v", want, err)
		}
	}
}

func TestAProfileIsUsedAndOtherOptionsComeBeforeIt(t *testing.T) {
	w := newWorld(t)
	home := t.TempDir()
	own := filepath.Join(home, "zcrm", "profiles.toml")
	profiles := fmt.Sprintf("[default]\naccess_token = %q\napi_domain = %q\n[wrong]\naccess_token = \"x\"\napi_domain = %[2]q\n", w.AccessToken, w.URL)
	if err := errors.Join(os.Mkdir(filepath.Dir(own), 0o700), os.WriteFile(own, []byte(profiles), 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CONFIG_HOME", home)
	list := func(options ...zcrm.Option) error {
		client, err := zcrm.New(options...)
		if err != nil {
			return err
		}
		defer client.Close()
		_, err = client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
		return err
	}
	if err := list(zcrm.WithProfile("", "")); err != nil {
		t.Error(err)
	}
	if err := list(zcrm.WithAccessToken(w.AccessToken), zcrm.WithProfile(own, "wrong")); err != nil {
		t.Error("the profile came before an option:", err)
	}
	if err := list(zcrm.WithProfile(own, "wrong")); !errors.Is(err, zcrm.ErrAuth) {
		t.Error(err)
	}
	for _, absent := range []zcrm.Option{zcrm.WithProfile("/nowhere", ""), zcrm.WithProfile(own, "other"), zcrm.WithProfile(own, "a\x00b")} {
		if err := list(absent); !errors.Is(err, zcrm.ErrConfig) && !errors.Is(err, zcrm.ErrArgument) {
			t.Error(err)
		}
	}
}

func TestARefreshTokenGetsAnAccessToken(t *testing.T) {
	w := newWorld(t)
	c := w.Credentials
	client := w.newClient(zcrm.WithRefreshToken(c.ClientID, c.ClientSecret, c.RefreshToken))
	for range 2 {
		if _, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if asked := len(w.requests("token")); asked != 1 {
		t.Errorf("%d token requests", asked)
	}
}

func TestAGrantCodeIsExchangedOnceAndNeverShown(t *testing.T) {
	w := newWorld(t)
	var made struct{ Code string }
	w.control("POST", "tokens/grant-code", nil, &made)
	exchange := func() (*zcrm.Grant, error) {
		return zcrm.ExchangeGrantCode(ctx, w.Credentials.ClientID, w.Credentials.ClientSecret, made.Code, zcrm.WithDomains(w.URL, w.URL))
	}
	grant, err := exchange()
	if err != nil {
		t.Fatal(err)
	}
	if grant.RefreshToken.Reveal() == "" || grant.AccessToken.Reveal() == "" || grant.ExpiresIn != time.Hour {
		t.Errorf("refresh token %d bytes, access token %d bytes, for %v", len(grant.RefreshToken.Reveal()), len(grant.AccessToken.Reveal()), grant.ExpiresIn)
	}
	type wrapper struct{ G zcrm.Grant }
	type hidden struct{ g zcrm.Grant }
	for _, value := range []any{grant, *grant, []zcrm.Grant{*grant}, wrapper{*grant}, hidden{*grant}, &hidden{*grant}, grant.AccessToken,
		map[string]zcrm.Secret{"a": grant.AccessToken}} {
		var text bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("got", "value", value)
		shown := everyForm(value) + text.String() + fmt.Sprintf("%s %q %x %d", value, value, value, value)
		if strings.Contains(shown, grant.RefreshToken.Reveal()) || strings.Contains(shown, grant.AccessToken.Reveal()) {
			t.Errorf("a %T shows a token", value)
		}
	}
	client := w.newClient(zcrm.WithRefreshToken(w.Credentials.ClientID, w.Credentials.ClientSecret, grant.RefreshToken.Reveal()))
	if _, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
		t.Errorf("with the new refresh token: %v", err)
	}
	if _, err := exchange(); !errors.Is(err, zcrm.ErrAuth) {
		t.Errorf("a second exchange gives %v", err)
	}
}

func TestATokenSourceIsToldThatItsTokenWasRefused(t *testing.T) {
	w := newWorld(t)
	var asked []bool
	client := w.newClient(zcrm.WithTokenSource(func(_ context.Context, refused bool) (string, error) {
		asked = append(asked, refused)
		if refused {
			return w.AccessToken, nil
		}
		return "1000.old", nil
	}))
	if _, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(asked) != "[false true]" {
		t.Errorf("asked with %v", asked)
	}
}

func TestTheErrorOfATokenSourceReachesEveryCallThatWaitedForIt(t *testing.T) {
	w := newWorld(t)
	errVault := errors.New("the vault is sealed")
	client := w.newClient(zcrm.WithTokenSource(func(context.Context, bool) (string, error) {
		time.Sleep(20 * time.Millisecond) // so that others wait
		return "", errVault
	}))
	var all sync.WaitGroup
	for range 20 {
		all.Add(1)
		go func() {
			defer all.Done()
			_, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
			if !errors.Is(err, errVault) || !errors.Is(err, zcrm.ErrCallback) {
				t.Errorf("got %v", err)
			}
		}()
	}
	all.Wait()
}

func TestATokenThatIsTooLongIsAnError(t *testing.T) {
	w := newWorld(t)
	client := w.newClient(zcrm.WithTokenSource(func(context.Context, bool) (string, error) { return strings.Repeat("x", 5000), nil }))
	_, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{})
	if err == nil || !strings.Contains(err.Error(), "5000 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestTheLoggerGetsTheLinesOfItsLevelWithoutSecrets(t *testing.T) {
	w := newWorld(t)
	var level slog.LevelVar
	var logged bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: &level}))
	c := w.Credentials
	client := w.newClient(zcrm.WithRefreshToken(c.ClientID, c.ClientSecret, c.RefreshToken), zcrm.WithLogger(logger))
	list := func(record zcrm.Record) string {
		logged.Reset()
		client.ListAttachments(ctx, record, zcrm.ListOptions{}, zcrm.WithTraceID("trace-7"))
		return logged.String()
	}
	lines := list(w.record)
	if strings.Count(lines, "\n") != 1 || !strings.Contains(lines, "trace-7") || !strings.Contains(lines, `"level":"INFO"`) {
		t.Errorf("at Info: %s", lines)
	}
	if lines := list(zcrm.Record{Module: "Contacts", ID: "1"}); !strings.Contains(lines, `"level":"ERROR"`) {
		t.Errorf("of a failed call: %s", lines)
	}
	level.Set(slog.LevelDebug)
	lines = list(w.record)
	if !strings.Contains(lines, `"level":"DEBUG"`) {
		t.Errorf("at Debug: %s", lines)
	}
	if strings.Contains(lines, c.ClientSecret) || strings.Contains(lines, c.RefreshToken) || strings.Contains(lines, w.AccessToken) {
		t.Error("a secret is logged")
	}
	level.Set(slog.LevelError)
	if lines := list(w.record); lines != "" {
		t.Errorf("at Error, of a call that went well: %s", lines)
	}
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("not one line: %q", line)
		}
	}
}

func TestAClosedClientSaysSo(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		if err := w.client.Close(); err != nil {
			t.Error(err)
		}
	}
	for what, err := range everyOperation(w.client, w.record) {
		var e *zcrm.Error
		if !errors.Is(err, zcrm.ErrClosed) || !errors.As(err, &e) || e.Code != zcrm.ErrState || e.RequestSent != zcrm.SentNothing {
			t.Errorf("%s gives %v", what, err)
		}
	}
}

func TestCloseLetsCallsThatRunComeToTheirEnd(t *testing.T) {
	w := newWorld(t)
	id := w.attach("a", content(1000))
	const n = 10
	w.fault("attachment.download", repeated(n, anything{"kind": "delay", "ms": 300})...)
	var all sync.WaitGroup
	for range n {
		all.Add(1)
		go func() {
			defer all.Done()
			var got bytes.Buffer
			if _, err := w.client.DownloadAttachment(ctx, w.record, id, &got); err != nil || got.Len() != 1000 {
				t.Errorf("got %d bytes, %v", got.Len(), err)
			}
		}()
	}
	eventually(t, "all downloads run", func() bool { return len(w.requests("attachment.download")) == n })
	w.client.Close()
	if err := w.client.DeletePhoto(ctx, w.record); !errors.Is(err, zcrm.ErrClosed) {
		t.Errorf("meanwhile: %v", err)
	}
	all.Wait()
}

func repeated(n int, of anything) []anything {
	all := make([]anything, n)
	for i := range all {
		all[i] = of
	}
	return all
}

func TestCloseRacesWithCallsWithoutHarm(t *testing.T) {
	w := newWorld(t)
	for range 30 {
		client := w.newClient()
		var all sync.WaitGroup
		for range 4 {
			all.Add(2)
			go func() {
				defer all.Done()
				if _, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil && !errors.Is(err, zcrm.ErrClosed) {
					t.Errorf("got %v", err)
				}
			}()
			go func() { defer all.Done(); client.Close() }()
		}
		all.Wait()
	}
}

func TestAForgottenClientIsFreedWithWhatItHolds(t *testing.T) {
	w := newWorld(t)
	before := cabi.Handles()
	var asked atomic.Int32
	func() {
		client, err := zcrm.New(zcrm.WithDomains(w.URL, w.URL), zcrm.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))),
			zcrm.WithTokenSource(func(context.Context, bool) (string, error) { asked.Add(1); return w.AccessToken, nil }))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}()
	if asked.Load() == 0 || cabi.Handles() <= before {
		t.Fatal("the client holds nothing of Go")
	}
	eventually(t, "its handles are gone", func() bool { runtime.GC(); return cabi.Handles() == before })
}

func TestFailuresOfNewLeaveNothingBehind(t *testing.T) {
	before := cabi.Handles()
	source := zcrm.WithTokenSource(func(context.Context, bool) (string, error) { return "", nil })
	if _, err := zcrm.New(source, zcrm.WithRefreshToken("a", "b", "c"), zcrm.WithLogger(slog.Default())); err == nil {
		t.Fatal("it did not fail")
	}
	if now := cabi.Handles(); now != before {
		t.Errorf("%d handles are left", now-before)
	}
}

// collecting runs the garbage collector all the time, until the test is over.
func collecting(t *testing.T) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

func TestTheCollectorClosesNoClientInItsLastCall(t *testing.T) {
	w := newWorld(t)
	collecting(t)
	steps := make([]zcrm.BatchStep, 2000)
	for i := range steps {
		steps[i] = zcrm.BatchStep{Key: fmt.Sprint(i), Step: []byte(`{"operation":"nonsense"}`)}
	}
	forgotten := func() *zcrm.Client {
		client, err := zcrm.New(zcrm.WithDomains(w.URL, w.URL), zcrm.WithAccessToken(w.AccessToken))
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	for range 10 {
		client := forgotten()
		if summary, err := client.RunBatch(ctx, steps, zcrm.BatchOptions{}, nil); err != nil || summary.Failed != 2000 {
			t.Errorf("a batch: %+v, %v", summary, err)
		}
	}
	for range 50 {
		if _, err := forgotten().ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
			t.Errorf("a list: %v", err)
		}
		for _, err := range forgotten().Attachments(ctx, w.record) {
			t.Errorf("an iteration: %v", err)
		}
	}
}

func TestACopyOfAClientOutlivesIt(t *testing.T) {
	w := newWorld(t)
	client, err := zcrm.New(zcrm.WithDomains(w.URL, w.URL), zcrm.WithAccessToken(w.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	copied := *client
	client = nil
	for range 5 {
		runtime.GC()
		time.Sleep(5 * time.Millisecond) // in which a finalizer would run
		if _, err := copied.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	copied.Close()
}

func TestANilOrZeroClientIsAClosedOne(t *testing.T) {
	record := zcrm.Record{Module: "Contacts", ID: "1"}
	for what, client := range map[string]*zcrm.Client{"nil": nil, "zero": {}} {
		for name, err := range everyOperation(client, record) {
			var e *zcrm.Error
			if !errors.Is(err, zcrm.ErrClosed) || !errors.As(err, &e) || e.Code != zcrm.ErrState || e.RequestSent != zcrm.SentNothing {
				t.Errorf("%s: %s gives %v", what, name, err)
			}
		}
		if err := client.Close(); err != nil {
			t.Errorf("%s: Close gives %v", what, err)
		}
	}
}

func everyOperation(client *zcrm.Client, record zcrm.Record) map[string]error {
	errs := map[string]error{}
	_, errs["upload"] = client.UploadAttachment(ctx, record, zcrm.FromBytes("a", nil))
	_, errs["list"] = client.ListAttachments(ctx, record, zcrm.ListOptions{})
	for _, err := range client.Attachments(ctx, record) {
		errs["iteration"] = err
	}
	_, errs["download"] = client.DownloadAttachment(ctx, record, "1", io.Discard)
	_, errs["download to a file"] = client.DownloadAttachmentFile(ctx, record, "1", "a")
	errs["delete"] = client.DeleteAttachment(ctx, record, "1")
	_, errs["photo upload"] = client.UploadPhoto(ctx, record, zcrm.FromBytes("a", nil))
	_, errs["photo download"] = client.DownloadPhoto(ctx, record, io.Discard)
	errs["photo delete"] = client.DeletePhoto(ctx, record)
	_, errs["step"] = client.RunStep(ctx, []byte("{}"))
	_, errs["batch"] = client.RunBatch(ctx, nil, zcrm.BatchOptions{}, nil)
	return errs
}

func TestANilContextIsRefused(t *testing.T) {
	w := newWorld(t)
	var none context.Context
	for what, call := range map[string]func() error{
		"list":     func() error { _, err := w.client.ListAttachments(none, w.record, zcrm.ListOptions{}); return err },
		"batch":    func() error { _, err := w.client.RunBatch(none, nil, zcrm.BatchOptions{}, nil); return err },
		"exchange": func() error { _, err := zcrm.ExchangeGrantCode(none, "id", "secret", "code"); return err },
	} {
		var e *zcrm.Error
		if err := call(); !errors.As(err, &e) || e.Code != zcrm.ErrArgument || e.Field != "ctx" || e.RequestSent != zcrm.SentNothing {
			t.Errorf("%s: %v", what, err)
		}
	}
}
