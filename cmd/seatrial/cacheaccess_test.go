package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestActionsCache has a job of GitHub Actions find its cache, and the token of the job
// be told to nobody.
func TestActionsCache(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		actions := testenv.StartActionsCache(t)
		project := testenv.Dir(t, "Dockerfile", cachedDockerfile, "name", t.Name())
		c := start(t, append(w.env(), actions.Env...), "run", "-t", w.registry.Host+"/acme/app", "--cache-from", "type=gha,scope=main", "--cache-to", "type=gha,mode=max,scope=main", project)
		c.exits(0)
		if strings.Contains(c.stderr(), "warning: ") {
			t.Errorf("it warns of something:\n%s", c.stderr())
		}
		if keys := strings.Join(actions.Keys(), " "); !strings.Contains(keys, "index-main-1-") || !strings.Contains(keys, "buildkit-blob-1-sha256:") {
			t.Errorf("the cache has %s, want an index and layers", keys)
		}
		_, token, _ := strings.Cut(strings.Join(actions.Env, "\n"), "ACTIONS_RUNTIME_TOKEN=")
		token, _, _ = strings.Cut(token, "\n")
		if strings.Contains(c.stderr(), token) {
			t.Errorf("the token is shown:\n%s", c.stderr())
		}
		if strings.Contains(history(t, w.daemon), token) {
			t.Error("the token is in the builder's history")
		}

		// Elsewhere the same command line goes without.
		c = start(t, w.env(), "run", "-t", w.registry.Host+"/acme/app", "--cache-from", "type=gha", "--cache-to", "type=gha,mode=max", project)
		c.exits(0)
		c.says("warning: --cache-from type=gha is left out: ACTIONS_RUNTIME_TOKEN is not set", "warning: --cache-to type=gha is left out", "passed (cached")
	})
}

// TestKeysOfTheEnvironmentServeACache has the builder reach a bucket with the keys that
// the AWS SDK finds here.
func TestKeysOfTheEnvironmentServeACache(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	var with atomic.Int32
	bucket, err := url.Parse(testenv.StartS3(t, "caches"))
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIAHARBOUR/") || r.Header.Get("X-Amz-Security-Token") != "berth" {
			http.Error(rw, "who are you?", http.StatusForbidden)
			return
		}
		with.Add(1)
		httputil.NewSingleHostReverseProxy(bucket).ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	project := testenv.Dir(t, "Dockerfile", cachedDockerfile, "name", t.Name())
	env := append(w.env(), "AWS_ACCESS_KEY_ID=AKIAHARBOUR", "AWS_SECRET_ACCESS_KEY=anchor", "AWS_SESSION_TOKEN=berth", "AWS_EC2_METADATA_DISABLED=true")
	c := start(t, env, "run", "-t", w.registry.Host+"/acme/app", "--cache-to", "type=s3,mode=max,bucket=caches,region=local,use_path_style=true,endpoint_url="+front.URL, project)
	c.exits(0)
	if strings.Contains(c.stderr(), "warning: ") || with.Load() == 0 {
		t.Errorf("the cache was written with %d requests:\n%s", with.Load(), c.stderr())
	}
}

// history is all that a builder tells of its builds.
func history(t *testing.T, d *testenv.Daemon) string {
	t.Helper()
	c, err := client.New(t.Context(), d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stream, err := c.ControlClient().ListenBuildHistory(t.Context(), &controlapi.BuildHistoryRequest{EarlyExit: true})
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for {
		ev, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(&all).Encode(ev.Record); err != nil {
			t.Fatal(err)
		}
	}
}
