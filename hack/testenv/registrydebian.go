package testenv

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// StartDebianRegistry starts the docker-registry of the distribution's package,
// an old but common version, as a process of its own until the test ends. It
// has its storage on disk, speaks plain HTTP and lets everybody do everything;
// what it is asked is not recorded.
func StartDebianRegistry(t testing.TB) *Registry {
	t.Helper()
	binary, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Fatalf("starting docker-registry: %v; install docker-registry", err)
	}
	dir := t.TempDir()
	config, data := filepath.Join(dir, "config.yml"), filepath.Join(dir, "data")
	writeFile(t, config, fmt.Sprintf(`version: 0.1
log: {accesslog: {disabled: true}, level: info, formatter: text}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
http: {addr: "127.0.0.1:0", secret: not-secret}
`, data))
	cmd := exec.Command(binary, "serve", config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	output, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting docker-registry: %v", err)
	}
	listening := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		defer close(listening)
		watchLog(bufio.NewScanner(output), listening)
	}()
	r := &Registry{Dir: data, close: func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-drained
		_ = cmd.Wait() // the error is the signal
	}}
	t.Cleanup(r.Close)
	select {
	case r.Host = <-listening:
	case <-time.After(30 * time.Second):
	}
	if r.Host == "" {
		t.Fatal("starting docker-registry: it does not listen")
	}
	return r
}

// StartProxiedDebianRegistry is StartDebianRegistry behind a proxy of this process,
// where wrap may interfere and what is asked is recorded.
func StartProxiedDebianRegistry(t testing.TB, wrap func(http.Handler) http.Handler) *Registry {
	t.Helper()
	upstream := StartDebianRegistry(t)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: upstream.Host})
			p.Out.Host = p.In.Host // the registry makes Locations of it
		},
		ErrorLog: discardLog(),
	}
	r := &Registry{opt: RegistryOptions{Wrap: wrap}, Dir: upstream.Dir}
	r.server = httptest.NewServer(r.record(r.handler(t, proxy)))
	r.Host = r.server.Listener.Addr().String()
	r.close = func() {
		r.server.CloseClientConnections()
		r.server.Close()
	}
	t.Cleanup(r.Close)
	return r
}

// watchLog finds the address that the kernel chose in the registry's log, and
// reads on so that the log does not fill its pipe.
func watchLog(log *bufio.Scanner, listening chan<- string) {
	address := regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)
	found := false
	for log.Scan() {
		if m := address.FindStringSubmatch(log.Text()); m != nil && !found {
			found = true
			listening <- strings.TrimSpace(m[1])
		}
	}
}
