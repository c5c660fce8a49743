package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// attempts runs a probe, which must exit 0.
func attempts(t *testing.T, opt protocol.Probe, argv ...string) []protocol.Attempt {
	t.Helper()
	raw, err := prepare(t, protocol.ModeProbe, opt, argv...).Output()
	if err != nil {
		t.Fatalf("the probe ended with %v", err)
	}
	var all []protocol.Attempt
	for dec := json.NewDecoder(bytes.NewReader(raw)); ; {
		var a protocol.Attempt
		if err := dec.Decode(&a); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
}

func TestProbe(t *testing.T) {
	count := write(t, "count", "", 0o644)
	third := `echo x >>"$0"; test $(grep -c x "$0") = 3`
	for _, tt := range []struct {
		name string
		opt  protocol.Probe
		argv []string
		want []protocol.Attempt
	}{
		{"ready", protocol.Probe{Retries: 3}, []string{"echo", "up"}, []protocol.Attempt{{Output: "up\n", Final: true}}},
		{"once", protocol.Probe{}, []string{"sh", "-c", "echo no >&2; exit 2"}, []protocol.Attempt{{Exit: 2, Output: "no\n", Final: true}}},
		{"killed", protocol.Probe{}, []string{"sh", "-c", "kill -9 $$"}, []protocol.Attempt{{Exit: 137, Final: true}}},
		{"retries", protocol.Probe{Retries: 2}, []string{"false"}, []protocol.Attempt{{Exit: 1}, {Exit: 1, Final: true}}},
		{"start period", protocol.Probe{StartPeriodMS: 60000, StartIntervalMS: 10}, []string{"sh", "-c", third, count},
			[]protocol.Attempt{{Exit: 1}, {Exit: 1}, {Final: true}}},
		{"slow", protocol.Probe{TimeoutMS: 200, GraceMS: 1}, []string{"sh", "-c", "sleep 1000 & sleep 1000"},
			[]protocol.Attempt{{Exit: 124, TimedOut: true, Final: true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := attempts(t, tt.opt, tt.argv...); !slices.Equal(got, tt.want) {
				t.Errorf("probe %q says %+v, want %+v", tt.argv, got, tt.want)
			}
		})
	}
	got := attempts(t, protocol.Probe{}, "pg_isready-of-another-image")
	if len(got) != 1 || got[0].Exit != 127 || !strings.Contains(got[0].Error, "there is no command") {
		t.Errorf("a probe that does not exist says %+v", got)
	}
	if got := attempts(t, protocol.Probe{}, "sh", "-c", "yes | head -c 100000; echo end"); len(got[0].Output) != tailSize || !strings.HasSuffix(got[0].Output, "y\nend\n") {
		t.Errorf("a long output is kept as %q", got[0].Output)
	}
}

func TestPorts(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	want := protocol.Listener{Address: "127.0.0.1", Port: port}
	if got := portsOf(t, protocol.Ports{Want: []int{port}}); !slices.Contains(got.Listening, want) || got.Missing != nil {
		t.Errorf("ports = %+v, want %+v among them", got, want)
	}
	listener.Close()
	if got := portsOf(t, protocol.Ports{Want: []int{port}, TimeoutMS: 50}); !slices.Equal(got.Missing, []int{port}) {
		t.Errorf("ports = %+v, want %d to be missing", got, port)
	}
}

func portsOf(t *testing.T, opt protocol.Ports) protocol.PortList {
	t.Helper()
	raw, err := prepare(t, protocol.ModePorts, opt).Output()
	if err != nil {
		t.Fatal(err)
	}
	var list protocol.PortList
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestParseListeners(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Fatal("the table in this test is of a little-endian machine")
	}
	const table = `  sl  local_address                         remote_address                        st tx_queue
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000
   1: 0100007F:1538 0100007F:9C40 01 00000000:00000000 00:00000000
   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000
   3: 00000000000000000000000001000000:18EB 00000000000000000000000000000000:0000 0A 00000000:00000000
   4: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000
`
	got, err := parseListeners(table)
	want := []protocol.Listener{{Address: "127.0.0.1", Port: 5432}, {Address: "::", Port: 80}, {Address: "::1", Port: 6379}, {Address: "127.0.0.1", Port: 8080}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("parseListeners(table) = %v, %v, want %v", got, err, want)
	}
}
