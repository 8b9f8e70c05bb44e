package zcrm_test

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// careless writes to a map that isn't there.
type careless struct{ seen map[string]bool }

func (c careless) Read([]byte) (int, error) {
	c.seen["x"] = true
	return 0, nil
}

// Here it is the crash of another process.
func TestACrashShowsWhereTheCallbackWas(t *testing.T) {
	if os.Getenv("ZCRM_TEST_CRASH") != "" {
		w := newWorld(t)
		done := make(chan bool)
		go func() {
			defer close(done)
			w.client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", careless{}, 10))
		}()
		<-done
		return
	}
	command := exec.Command(os.Args[0], "-test.run=^TestACrashShowsWhereTheCallbackWas$")
	command.Env = append(os.Environ(), "ZCRM_TEST_CRASH=1")
	said, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "careless.Read") || !strings.Contains(string(said), "assignment to entry in nil map") {
		t.Errorf("%v: %s", err, said)
	}
}

func TestTheStackOfAPanicIsLoggedForWhoeverRecovers(t *testing.T) {
	w := newWorld(t)
	var logged bytes.Buffer
	client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithLogger(slog.New(slog.NewJSONHandler(&logged, nil))))
	func() {
		defer func() {
			if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "nil map") {
				t.Errorf("got %v", err)
			}
		}()
		client.UploadAttachment(ctx, w.record, zcrm.FromReader("a", careless{}, 10))
	}()
	if lines := logged.String(); !strings.Contains(lines, "careless.Read") || !strings.Contains(lines, `"level":"ERROR"`) {
		t.Errorf("logged is %s", lines)
	}
}
