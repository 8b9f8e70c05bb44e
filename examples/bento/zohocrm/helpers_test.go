package zohocrm

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warpstreamlabs/bento/public/service"

	_ "github.com/warpstreamlabs/bento/public/components/pure"

	"github.com/zcrm/zcrm/examples/bento/internal/emulator"
)

var check = emulator.Check

// connect is the YAML that leads to the emulator, indented for a component's fields.
func connect(e *emulator.Emulator) string {
	return fmt.Sprintf("\n  client_id: %q\n  client_secret: %q\n  refresh_token: %q\n  api_domain: %q\n  accounts_url: %q\n",
		e.ClientID, e.ClientSecret, e.RefreshToken, e.URL, e.URL)
}

// build makes a processor as the engine does.
func build(t *testing.T, e *emulator.Emulator, fields string) *processor {
	t.Helper()
	conf, err := processorSpec().ParseYAML(strings.ReplaceAll(connect(e), "\n  ", "\n")+fields, nil)
	check(t, err)
	p, err := newProcessor(conf, service.MockResources())
	check(t, err)
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

// one runs a processor on one message.
func one(t *testing.T, p *processor, content string) (string, *service.Message, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	msg := service.NewMessage([]byte(content))
	batches, err := p.ProcessBatch(ctx, service.MessageBatch{msg})
	if err != nil {
		return "", msg, err
	}
	return text(t, batches[0][0]), batches[0][0], nil
}

func text(t *testing.T, msg *service.Message) string {
	t.Helper()
	got, err := msg.AsBytes()
	check(t, err)
	return string(got)
}

func meta(msg *service.Message, name string) string {
	value, _ := msg.MetaGet(name)
	return value
}

func contains(t *testing.T, what, part string) {
	t.Helper()
	if !strings.Contains(what, part) {
		t.Errorf("%q is not in %q", part, what)
	}
}
