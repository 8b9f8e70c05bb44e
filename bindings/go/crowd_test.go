package zcrm_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	zcrm "github.com/zcrm/zcrm/bindings/go"
)

// counted is a way to the emulator that counts the connections it takes.
func (w *world) counted() (url string, connections *atomic.Int32) {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { listener.Close() })
	connections = &atomic.Int32{}
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			to, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
			if err != nil {
				from.Close()
				continue
			}
			go func() { io.Copy(to, from); to.Close() }()
			go func() { io.Copy(from, to); from.Close() }()
		}
	}()
	return "http://" + listener.Addr().String(), connections
}

// In a process of its own, which may have 256 descriptors.
func TestTenThousandGoroutinesCallThroughFourPlaces(t *testing.T) {
	const goroutines = 10_000
	if os.Getenv("ZCRM_TEST_CROWD") == "" {
		t.Parallel()
		command := exec.Command(os.Args[0], "-test.run=^TestTenThousandGoroutinesCallThroughFourPlaces$", "-test.v")
		command.Env = append(os.Environ(), "ZCRM_TEST_CROWD=1")
		said, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, said)
		}
		t.Logf("%s", said)
		return
	}
	w := newWorld(t)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 256, Max: 256}); err != nil {
		t.Fatal(err)
	}
	w.fault("attachment.list", repeated(goroutines, anything{"kind": "delay", "ms": 10})...)
	url, connections := w.counted()
	// A logger that a busy machine holds up for a moment would lend its call's place, and a fifth connection be right.
	client := w.newClient(zcrm.WithAccessToken(w.AccessToken), zcrm.WithDomains(url, url), zcrm.WithOption("max_in_flight", "4"), zcrm.WithLogger(nil))
	before := threads()
	w.lists(client, goroutines, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d connections, %d threads, at most %d MB", connections.Load(), threads()-before, used.Maxrss>>10)
	if n := connections.Load(); n > 4 {
		t.Errorf("%d connections", n)
	}
	if n := threads() - before; n > zcrm.DefaultMaxCalls+20 {
		t.Errorf("%d threads", n)
	}
}
