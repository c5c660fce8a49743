package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/seatrial/seatrial/hack/testenv"
)

// What services may cost at most, and what their connections must carry.
const (
	maxRedis       = 600 * time.Millisecond
	maxPostgres    = 2500 * time.Millisecond
	minTraffic     = 300 // MB/s
	trafficMB      = 500
	postgresConfig = `services:
  db:
    image: postgres:17
    env: {POSTGRES_PASSWORD: secret}
    ready: {test: pg_isready -h 127.0.0.1 -U postgres}
tests:
  - {name: asks, run: psql -h db -U postgres -tc 'SELECT 1', env: {PGPASSWORD: secret}, services: [db]}
`
	redisConfig = `services:
  redis: {image: redis:7}
tests:
  - {name: asks, run: redis-cli -h redis PING, services: [redis]}
`
)

// services are the measurements of tests with services. Their servers are the images
// that tests use.
func (b *bench) services() []measurement {
	return []measurement{
		{"Redis and its test under way", b.underWay("redis:7", redisConfig, maxRedis)},
		{"PostgreSQL and its test under way", b.underWay("postgres:17", postgresConfig, maxPostgres)},
		{"passed with Redis, unchanged: containers", b.passedServices},
		{"service to test, one connection", b.serviceTraffic},
		{"--forward to test, one connection", b.forwardTraffic},
	}
}

// withServer is a suite whose image has what the server's has: its client.
func (b *bench) withServer(ctx context.Context, image, config string) (suite, error) {
	name, _, _ := strings.Cut(image, ":")
	dir := filepath.Join(b.work, "servers")
	if _, err := os.Stat(dir); err != nil {
		if _, err := testenv.WriteServers(ctx, dir); err != nil {
			return suite{}, err
		}
	}
	source := "oci-layout://" + filepath.Join(dir, name) + ":latest"
	return b.newSuiteFrom(image, source, "with-"+name, map[string]string{"seatrial.yaml": config})
}

// underWay takes the time from when the last step of the image ended to the first line
// of the test, both by the daemon's clock. That line is the server's answer: the server
// has started, is ready, and has been asked. The image differs from run to run, and the
// server's image is in the daemon since the warm-up.
func (b *bench) underWay(image, config string, limit time.Duration) func(context.Context, int) (fact, error) {
	return func(ctx context.Context, runs int) (fact, error) {
		s, err := b.withServer(ctx, image, config)
		if err != nil {
			return fact{}, err
		}
		took, err := s.median(ctx, runs, trial.untilOutput)
		return within(took, limit), err
	}
}

// untilOutput is how long after the image the test's first output came.
func (t trial) untilOutput() (time.Duration, error) {
	var built, said time.Time
	names := map[string]string{}
	for line := range bytes.Lines(t.progress) {
		var status client.SolveStatus
		if json.Unmarshal(line, &status) != nil {
			continue // the summary
		}
		for _, v := range status.Vertexes {
			names[v.Digest.String()] = v.Name
			if strings.HasSuffix(v.Name, copyStep) && v.Completed != nil {
				built = *v.Completed
			}
		}
		for _, l := range status.Logs {
			if said.IsZero() && strings.HasPrefix(names[l.Vertex.String()], "[test]") {
				said = l.Timestamp
			}
		}
	}
	if built.IsZero() || said.IsZero() {
		return 0, errors.New("reading the progress: no end of the image, or no output of the test")
	}
	return said.Sub(built), nil
}

// passedServices counts the containers of a test that has passed: its own, the server's,
// and what asks the server whether it is ready.
func (b *bench) passedServices(ctx context.Context, _ int) (fact, error) {
	s, err := b.withServer(ctx, "redis:7", redisConfig)
	if err != nil {
		return fact{}, err
	}
	return s.again(ctx, 2)
}

// receive has a test receive from "source", and say how long that took.
var receive = fmt.Sprintf(`import os, socket, time
conn, buffer, got = socket.create_connection(("source", int(os.environ["PORT"]))), bytearray(1 << 20), 0
began = time.monotonic()
while n := conn.recv_into(buffer): got += n
assert got == %d, got
print(time.monotonic() - began)
`, trafficMB*1_000_000)

// serviceTraffic is what goes from one container to another.
func (b *bench) serviceTraffic(ctx context.Context, runs int) (fact, error) {
	s, err := b.newSuite("service-traffic", map[string]string{
		"seatrial.yaml": `services:
  source: {from: built, run: python3 send.py, ports: [7000]}
tests:
  - {name: receives, run: python3 receive.py, env: {PORT: 7000}, services: [source]}
`,
		"send.py": fmt.Sprintf(`import socketserver
class Source(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            for _ in range(%d): self.request.sendall(bytes(1_000_000))
        except OSError:
            pass  # who asked whether it is ready wants no more
socketserver.ThreadingTCPServer(("", 7000), Source).serve_forever()
`, trafficMB),
		"receive.py": receive,
	})
	if err != nil {
		return fact{}, err
	}
	return s.traffic(ctx, runs)
}

// forwardTraffic is what comes from a server of this machine, through the client.
func (b *bench) forwardTraffic(ctx context.Context, runs int) (fact, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fact{}, err
	}
	defer lis.Close()
	go serveZeros(lis)
	_, port, err := net.SplitHostPort(lis.Addr().String())
	if err != nil {
		return fact{}, err
	}
	s, err := b.newSuite("forward-traffic", map[string]string{
		"seatrial.yaml": "tests: [{name: receives, run: python3 receive.py, network: none, env: {PORT: " + port + "}}]\n",
		"receive.py":    receive,
	})
	if err != nil {
		return fact{}, err
	}
	return s.traffic(ctx, runs, "--forward", "source="+lis.Addr().String())
}

// serveZeros sends all who connect as much as they expect, until lis is closed.
func serveZeros(lis net.Listener) {
	zeros := make([]byte, 1_000_000)
	for {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		for range trafficMB {
			if _, err := conn.Write(zeros); err != nil {
				break // the test says how much it got
			}
		}
		_ = conn.Close()
	}
}

// traffic is as fast as the test says.
func (s suite) traffic(ctx context.Context, runs int, flags ...string) (fact, error) {
	took, err := s.median(ctx, min(runs, fewRuns), func(t trial) (time.Duration, error) {
		said, err := os.ReadFile(filepath.Join(t.reports, "receives", "output.log"))
		if err != nil {
			return 0, err
		}
		return time.ParseDuration(strings.TrimSpace(string(said)) + "s")
	}, flags...)
	if err != nil {
		return fact{}, err
	}
	rate := trafficMB / took.Seconds()
	return fact{value: fmt.Sprintf("%.0f MB/s", rate), verdict: met(rate >= minTraffic, fmt.Sprintf(">= %d MB/s", minTraffic))}, nil
}
