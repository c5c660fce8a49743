package testenv

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// FreeAddr is an address on loopback at which nobody listens, for a process that does not
// say which it was given. Nobody gets its port without naming it: those that the kernel
// gives out itself, as for port 0, are higher, and one of them that was given back may be
// the next connection's.
func FreeAddr(t testing.TB) string {
	t.Helper()
	const first, ports = 20000, 10000
	env.mu.Lock()
	defer env.mu.Unlock()
	for range ports {
		if env.port++; env.port <= first || env.port >= first+ports {
			env.port = first + rand.N(ports) // other tests' processes look for some, too
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(env.port))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
