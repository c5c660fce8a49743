package main

import (
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

const cachedDockerfile = `FROM busybox AS base
COPY name /
RUN echo built-here >/built
FROM base AS test
RUN echo tested-here && test -e /built
FROM base
`

// TestCacheServesAFreshBuilder has a second builder not build what the first one did.
func TestCacheServesAFreshBuilder(t *testing.T) {
	for _, kind := range kinds {
		first, second := testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind}), testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind})
		w := newWorld(t, first)
		dir := t.TempDir()
		for name, cache := range map[string][2]string{
			"registry": {"type=registry,mode=max,ref=" + w.registry.Host + "/acme/cache", w.registry.Host + "/acme/cache"},
			"local":    {"type=local,mode=max,dest=" + dir, "type=local,src=" + dir},
		} {
			t.Run(kind.String()+"/"+name, func(t *testing.T) {
				project := testenv.Dir(t, "Dockerfile", cachedDockerfile+"LABEL cache="+name+"\n", "name", name)
				ref := w.registry.Host + "/acme/app:" + name
				w.daemon = first
				made := start(t, w.env(), "run", "-t", ref, "--cache-to", cache[0], project)
				made.exits(0)

				w.daemon = second
				served := start(t, w.env(), "run", "-t", ref, "--cache-from", cache[1], project)
				served.exits(0)
				for _, step := range []string{" built-here\n", " tested-here\n"} {
					if strings.Contains(served.stderr(), step) {
						t.Errorf("%q of the first builder ran again:\n%s", step, served.stderr())
					}
				}
				served.says("tested  test  passed (cached: it passed on this image before)")

				// The cache has the test's steps; that they passed on this image is
				// what is known of no other: another image is tested.
				other := start(t, w.env(), "run", "-t", ref, "--cache-from", cache[1], "--no-cache-filter", "base", project)
				other.exits(0)
				other.says(" tested-here\n", "tested  test  passed in")
			})
		}
	}
}

func TestCacheThatFailsIsAWarning(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		project := testenv.Dir(t, "Dockerfile", plainDockerfile)
		c := start(t, w.env(), "run", "-t", w.registry.Host+"/acme/app", "--test", "true",
			"--cache-from", "127.0.0.1:1/no/cache", "--cache-to", "type=registry,ref=127.0.0.1:1/no/cache", project)
		c.exits(0)
		c.says("tag moved", "warning: exporting cache: ", "127.0.0.1:1")
	})
}
