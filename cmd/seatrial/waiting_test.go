package main

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// A registry that asks for patience is named, once, while the push waits for it.
func TestWaitingIsShown(t *testing.T) {
	var left atomic.Int64
	left.Store(3)
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && left.Add(-1) >= 0 {
				w.Header().Set("Retry-After", "2")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: wrap})
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	c := start(t, w.env(), "run", "-t", reg.Host+"/acme/app:1", "--test", "true", noise(t))
	c.exits(0)
	c.saysOnce("[push] " + reg.Host + " asks to come back in ")
}
