// Package servers runs other people's servers for a test.
package servers

import (
	"net"
	"os/exec"
	"testing"
)

// FreePort gives a port of this machine that nobody listens on.
func FreePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// Redis runs a Redis server until the test has ended, and gives its address. Without one on this machine the test is left out.
func Redis(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("there is no redis-server: apt-get install redis-server")
	}
	port := FreePort(t)
	redis := exec.Command(program, "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", t.TempDir())
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Process.Kill(); _ = redis.Wait() })
	return "redis://127.0.0.1:" + port
}
