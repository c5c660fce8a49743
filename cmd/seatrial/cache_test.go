package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

const cachedDockerfile = `FROM busybox AS base
COPY name /
RUN echo built-here | tee /built
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
		actions := testenv.StartActionsCache(t)
		s3 := "type=s3,bucket=caches,region=local,use_path_style=true,access_key_id=any,secret_access_key=any,endpoint_url=" + testenv.StartS3(t, "caches")
		azure := "type=azblob,account_name=any,secret_access_key=bm9uZQ==,account_url=" + testenv.StartBlobStore(t)
		for name, cache := range map[string][2]string{
			"gha":      {"type=gha,mode=max", "type=gha"},
			"s3":       {s3 + ",mode=max", s3},
			"azblob":   {azure + ",mode=max", azure},
			"registry": {"type=registry,mode=max,ref=" + w.registry.Host + "/acme/cache", w.registry.Host + "/acme/cache"},
			"local":    {"type=local,mode=max,dest=" + dir, "type=local,src=" + dir},
		} {
			t.Run(kind.String()+"/"+name, func(t *testing.T) {
				project := testenv.Dir(t, "Dockerfile", cachedDockerfile+"LABEL cache="+name+"\n", "name", name)
				ref := w.registry.Host + "/acme/app:" + name
				w.daemon = first
				made := start(t, append(w.env(), actions.Env...), "run", "-t", ref, "--cache-to", cache[0], project)
				made.exits(0)
				if strings.Contains(made.stderr(), "warning: ") {
					t.Errorf("exporting a cache warns of something:\n%s", made.stderr())
				}

				w.daemon = second
				served := start(t, append(w.env(), actions.Env...), "run", "-t", ref, "--cache-from", cache[1], project)
				served.exits(0)
				for _, step := range []string{" built-here\n", " tested-here\n"} {
					if strings.Contains(served.stderr(), step) {
						t.Errorf("%q of the first builder ran again:\n%s", step, served.stderr())
					}
				}
				served.says("tested  test  passed (cached: it passed on this image before, ")

				// The cache has the test's steps; that they passed on this image is
				// what is known of no other: another image is tested.
				other := start(t, append(w.env(), actions.Env...), "run", "-t", ref, "--cache-from", cache[1], "--no-cache-filter", "base", project)
				other.exits(0)
				other.says(" tested-here\n", "tested  test  passed in")
			})
		}
	}
}

// TestCachedPassIsOfOneImage has a test's steps in the cache, and an image that the same
// steps made differently. That it was asked about before makes it no image that passed.
func TestCachedPassIsOfOneImage(t *testing.T) {
	cache := "type=s3,bucket=caches,region=local,use_path_style=true,access_key_id=any,secret_access_key=any,endpoint_url=" + testenv.StartS3(t, "caches")
	project := testenv.Dir(t, "Dockerfile", "FROM busybox AS base\nRUN --mount=type=secret,id=state cat /run/secrets/state >/state\n"+
		"FROM base AS test\nRUN grep good /state\nFROM base\n")
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	run := func(state string, args ...string) *command {
		return start(t, append(w.env(), "STATE="+state), append([]string{"run", project, "-t", w.registry.Host + "/acme/app:state", "--reproducible",
			"--secret", "id=state,env=STATE"}, args...)...)
	}
	run("good", "--no-cache", "--cache-to", cache+",mode=max").exits(0)

	w.daemon = testenv.StartDaemon(t, testenv.DaemonOptions{})
	known := run("good", "--cache-from", cache)
	known.exits(0)
	known.says("passed (cached")
	for range 2 {
		failed := run("bad", "--cache-from", cache, "--no-cache-filter", "base")
		failed.exits(4)
		failed.says("tested  test  failed: exit code 1", "no tag moved")
	}
}

// TestInlineCache has the image itself be the cache: of its own steps, not of tests. A
// cache in a registry with as few layers, which is written beside it, has those as well.
func TestInlineCache(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind}))
			project := testenv.Dir(t, "Dockerfile", cachedDockerfile, "name", t.Name())
			ref, tests := w.registry.Host+"/acme/app:inline", w.registry.Host+"/acme/cache:tests"
			start(t, w.env(), "run", "-t", ref, "--cache-to", "type=inline", "--cache-to", "type=registry,ref="+tests, project).exits(0)
			want := resolve(t.Fatalf, ref)

			for _, c := range []struct {
				from   []string
				tested string
			}{
				{[]string{"--cache-from", ref}, "tested  test  passed in"},
				{[]string{"--cache-from", tests}, "tested  test  passed (cached"},
			} {
				w.daemon = testenv.StartDaemon(t, testenv.DaemonOptions{Kind: kind})
				served := start(t, w.env(), append([]string{"run", "-t", ref, "--cache-to", "type=inline", project}, c.from...)...)
				served.exits(0)
				if strings.Contains(served.stderr(), " built-here\n") {
					t.Errorf("%q: a step of the first builder ran again:\n%s", c.from, served.stderr())
				}
				served.says(c.tested)
				if got, ran := strings.Contains(served.stderr(), " tested-here\n"), strings.HasSuffix(c.tested, "in"); got != ran {
					t.Errorf("%q: that the test ran is %v, want %v:\n%s", c.from, got, ran, served.stderr())
				}
				if got := resolve(t.Fatalf, ref); got != want {
					t.Errorf("%q: another builder made %s of the cache of %s", c.from, got, want)
				}
			}
		})
	}
}

// TestCacheHasTheCompressionOfTheImage has no layer compressed twice.
func TestCacheHasTheCompressionOfTheImage(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	dir := t.TempDir()
	project := testenv.Dir(t, "Dockerfile", cachedDockerfile, "name", t.Name())
	start(t, w.env(), "run", "-t", w.registry.Host+"/acme/app:zstd", "--compression", "zstd", "--force-compression",
		"--cache-to", "type=local,mode=max,dest="+dir, project).exits(0)
	found := map[string]bool{}
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		dt, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"zstd", "gzip"} {
			if dt[0] == '{' && strings.Contains(string(dt), "tar+"+kind) {
				found[kind] = true
			}
		}
	}
	if !found["zstd"] || found["gzip"] {
		t.Errorf("the cache has layers of %v, want zstd alone, as the image", found)
	}
}

func TestCacheThatFailsIsAWarning(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		project, dir := testenv.Dir(t, "Dockerfile", plainDockerfile), filepath.Join(t.TempDir(), "none")
		c := start(t, w.env(), "run", "-t", w.registry.Host+"/acme/app", "--test", "true", "--cache-from", "type=local,src="+dir,
			"--cache-from", "127.0.0.1:1/no/cache", "--cache-to", "type=registry,ref=127.0.0.1:1/no/cache", project)
		c.exits(0)
		c.says("tag moved", "warning: exporting cache: ", "127.0.0.1:1")
		c.saysOnce(`warning: --cache-from type=local: there is no cache "latest" in `+dir, " ERROR: failed to configure registry cache importer: ")
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("the directory of the cache that is not there was made")
		}
	})
}
