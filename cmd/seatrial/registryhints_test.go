package main

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/registry"
)

// What a registry says that misses a client certificate is often lost on the way, so
// no real one is asked.
func TestHintOfClientCertificate(t *testing.T) {
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}
	got := strings.Join(hints(&pushError{&registry.Error{Op: "connecting", Registry: "registry.example.com", Err: alert}}), "\n")
	if want := "registry.example.com/client.cert"; !strings.Contains(got, want) {
		t.Errorf("hints = %q, want %q", got, want)
	}
}
