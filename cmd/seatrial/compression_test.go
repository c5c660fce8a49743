package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/seatrial/seatrial/hack/testenv"
)

func TestHintAtCompression(t *testing.T) {
	for _, c := range []struct {
		kind                  string
		building, compressing time.Duration
		want                  bool
	}{
		{"", 2 * time.Second, 7 * time.Second, true},
		{"gzip", 2 * time.Second, 7 * time.Second, true},
		{"zstd", 2 * time.Second, 7 * time.Second, false},
		{"uncompressed", 2 * time.Second, 7 * time.Second, false},
		{"", 8 * time.Second, 7 * time.Second, false},
		{"", 0, time.Second, false},
		{"", 0, 0, false},
	} {
		var b strings.Builder
		hintAtCompression(&b, c.kind, c.building, c.compressing)
		if got := strings.Contains(b.String(), "took 7.00s, and building them 2.00s: --compression zstd"); got != c.want || !c.want && b.Len() > 0 {
			t.Errorf("hint for %q, built in %s, compressed in %s = %q", c.kind, c.building, c.compressing, b.String())
		}
	}
}

// TestLayersThatStayAsTheyWere has a builder know the project's steps with another
// compression than is asked for.
func TestLayersThatStayAsTheyWere(t *testing.T) {
	w := newWorld(t, testenv.StartDaemon(t, testenv.DaemonOptions{}))
	project := testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN echo one >/one\nRUN echo two >/two\n")
	more := testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN echo one >/one\nRUN echo two >/two\nRUN echo three >/three\n")
	ref := w.registry.Host + "/acme/app:stay"
	const stayed = " as the builder had "
	for _, c := range []struct {
		project string
		args    []string
		layers  string // their compression, that of busybox first
		says    string // "" for no such hint
	}{
		{project, nil, "gzip gzip gzip", ""},
		{project, []string{"--compression", "zstd"}, "gzip gzip gzip",
			"hint: 2 layers stayed gzip, as the builder had them: --force-compression makes them zstd, and the layers of base images"},
		{more, []string{"--compression", "zstd"}, "gzip gzip gzip zstd", "hint: 2 layers stayed gzip, as the builder had them"},
		{more, nil, "gzip gzip gzip zstd", "hint: 1 layer stayed zstd, as the builder had it: --compression gzip --force-compression makes it gzip, and"},
		{more, []string{"--compression", "zstd", "--force-compression"}, "zstd zstd zstd zstd", ""},
		{testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN echo new >/new\n"), []string{"--compression", "zstd"}, "gzip zstd", ""},
		{testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN echo eager >/new\n"), []string{"--compression", "estargz"}, "gzip gzip", ""},
		{project, []string{"--compression", "estargz"}, "gzip gzip gzip", "hint: 2 layers stayed gzip, as the builder had them: --force-compression makes them estargz, and"},
	} {
		run := start(t, w.env(), append([]string{"run", c.project, "-t", ref, "--test", "true"}, c.args...)...)
		run.exits(0)
		if got := compressions(t, ref, w.registry); got != c.layers {
			t.Errorf("run %q made layers %s, want %s", c.args, got, c.layers)
		}
		if c.says != "" {
			run.says(c.says)
		} else if strings.Contains(run.stderr(), stayed) {
			t.Errorf("run %q says that layers stayed as they were:\n%s", c.args, run.stderr())
		}
	}
}

// compressions of an image's layers, as their media types tell them.
func compressions(t *testing.T, ref string, reg *testenv.Registry) string {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(parsed, remote.WithAuthFromKeychain(reg.Keychain()))
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range m.Layers {
		mt := string(l.MediaType)
		out = append(out, mt[strings.LastIndexAny(mt, "+.")+1:])
	}
	return strings.Join(out, " ")
}
