package zcrm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
		"token callback and": {zcrm.WithRefreshToken("a", "b", "c"), zcrm.WithTokenSource(func(bool) (string, error) { return "", nil })},
	} {
		_, err := zcrm.New(options...)
		if !errors.Is(err, zcrm.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("wanted %s in %v", want, err)
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
	if grant.RefreshToken == "" || grant.AccessToken == "" || grant.ExpiresIn != time.Hour {
		t.Errorf("refresh token %d bytes, access token %d bytes, for %v", len(grant.RefreshToken), len(grant.AccessToken), grant.ExpiresIn)
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("got", "grant", grant)
	for _, shown := range []string{logged.String(), fmt.Sprintf("%v %+v %#v %s", grant, *grant, *grant, grant)} {
		if strings.Contains(shown, grant.RefreshToken) || strings.Contains(shown, grant.AccessToken) {
			t.Error("a token is shown")
		}
	}
	client := w.newClient(zcrm.WithRefreshToken(w.Credentials.ClientID, w.Credentials.ClientSecret, grant.RefreshToken))
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
	client := w.newClient(zcrm.WithTokenSource(func(refused bool) (string, error) {
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
	client := w.newClient(zcrm.WithTokenSource(func(bool) (string, error) {
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
	client := w.newClient(zcrm.WithTokenSource(func(bool) (string, error) { return strings.Repeat("x", 5000), nil }))
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
	calls := map[string]func() error{
		"upload":         func() error { _, err := w.client.UploadAttachment(ctx, w.record, zcrm.FromBytes("a", nil)); return err },
		"list":           func() error { _, err := w.client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); return err },
		"download":       func() error { _, err := w.client.DownloadAttachment(ctx, w.record, "1", io.Discard); return err },
		"delete":         func() error { return w.client.DeleteAttachment(ctx, w.record, "1") },
		"photo upload":   func() error { _, err := w.client.UploadPhoto(ctx, w.record, zcrm.FromBytes("a", nil)); return err },
		"photo download": func() error { _, err := w.client.DownloadPhoto(ctx, w.record, io.Discard); return err },
		"photo delete":   func() error { return w.client.DeletePhoto(ctx, w.record) },
	}
	for what, call := range calls {
		if err := call(); err != zcrm.ErrClosed {
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
	if err := w.client.DeletePhoto(ctx, w.record); err != zcrm.ErrClosed {
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
				if _, err := client.ListAttachments(ctx, w.record, zcrm.ListOptions{}); err != nil && err != zcrm.ErrClosed {
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
			zcrm.WithTokenSource(func(bool) (string, error) { asked.Add(1); return w.AccessToken, nil }))
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
	source := zcrm.WithTokenSource(func(bool) (string, error) { return "", nil })
	if _, err := zcrm.New(source, zcrm.WithRefreshToken("a", "b", "c"), zcrm.WithLogger(slog.Default())); err == nil {
		t.Fatal("it did not fail")
	}
	if now := cabi.Handles(); now != before {
		t.Errorf("%d handles are left", now-before)
	}
}
