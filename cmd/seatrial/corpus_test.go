package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	digest "github.com/opencontainers/go-digest"

	"github.com/seatrial/seatrial/hack/corpus"
	"github.com/seatrial/seatrial/hack/testenv"
)

// TestCorpus has seatrial and then buildctl's dockerfile.v0 build every case of
// hack/corpus on one daemon. Both must come to the same digest, and the daemon
// must find all that buildctl asks for in its cache: equal digests are then no
// accident of steps that happen to have equal results. Attestations are off on
// both sides, as buildctl has them; they name the moment they were made.
func TestCorpus(t *testing.T) {
	cases, err := corpus.Cases()
	if err != nil {
		t.Fatal(err)
	}
	different := map[string]bool{}
	for _, c := range cases {
		different[c.Dockerfile()] = true
	}
	if len(different) < 60 {
		t.Errorf("%d different Dockerfiles in hack/corpus, want at least 60", len(different))
	}
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			w := newCorpusWorld(t, kind)
			for _, c := range cases {
				if c.Rootful && kind != testenv.Root {
					continue
				}
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					w.compare(t, c)
				})
			}
		})
	}
}

type corpusWorld struct {
	daemon    *testenv.Daemon
	variables map[string]string
}

func newCorpusWorld(t *testing.T, kind testenv.Kind) *corpusWorld {
	t.Helper()
	registry := testenv.StartRegistry(t, testenv.RegistryOptions{})
	corpus.Images(t, registry.Host)
	return &corpusWorld{
		daemon: testenv.StartDaemon(t, testenv.DaemonOptions{
			Kind:        kind,
			Mirrors:     map[string]string{"docker.io": registry.Host, registry.Host: registry.Host},
			ExtraConfig: `insecure-entitlements = ["network.host", "security.insecure", "device"]`,
			Flags:       []string{"--cdi-spec-dir=" + corpus.Devices(t)},
		}),
		variables: corpus.World(t, registry.Host),
	}
}

func (w *corpusWorld) compare(t *testing.T, c corpus.Case) {
	dir := t.TempDir()
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"DIR": dir}
	for k, v := range w.variables {
		variables[k] = v
	}
	c = c.Expand(variables)
	ours, had := w.seatrial(t, c, dir)
	theirs, steps := w.buildctl(t, c, dir)
	if ours != theirs {
		t.Errorf("seatrial's image is %s, buildctl's is %s", ours, theirs)
	}
	if len(steps) == 0 && instructions.MatchString(c.Dockerfile()) {
		t.Error("nothing is known of buildctl's steps")
	}
	for dgst, s := range steps {
		// Cases run side by side: the daemon may be at one of their steps
		// for another one, too. Then both have the very same vertex.
		if _, same := had[dgst]; !s.Cached && !same && !c.Fresh {
			t.Errorf("buildctl ran a step that seatrial had not: %s", s.Name)
		}
	}
}

// seatrial builds a case and returns the image's digest and its steps.
func (w *corpusWorld) seatrial(t *testing.T, c corpus.Case, dir string) (string, map[digest.Digest]*client.Vertex) {
	t.Helper()
	metadata := filepath.Join(t.TempDir(), "metadata.json")
	if c.Context != "" {
		dir = c.Context
	}
	args := append([]string{c.Command, "--progress=rawjson", "--metadata-file=" + metadata}, c.Seatrial...)
	status := w.run(t, c, "seatrial", append(args, dir)...)
	return imageDigest(t, metadata), corpusSteps(t, status)
}

// buildctl builds a case and returns the image's digest and its steps.
func (w *corpusWorld) buildctl(t *testing.T, c corpus.Case, dir string) (string, map[digest.Digest]*client.Vertex) {
	t.Helper()
	metadata := filepath.Join(t.TempDir(), "metadata.json")
	args := []string{"build", "--progress=rawjson", "--metadata-file=" + metadata, "--frontend=dockerfile.v0"}
	if c.Context == "" {
		args = append(args, "--local=context="+dir, "--local=dockerfile="+dir)
	} else {
		args = append(args, "--opt=context="+c.Context)
	}
	if !slices.ContainsFunc(c.Buildctl, func(arg string) bool { return strings.HasPrefix(arg, "--output=") }) {
		args = append(args, "--output=type=image")
	}
	status := w.run(t, c, testenv.Binary(t, "buildctl"), append(args, c.Buildctl...)...)
	return imageDigest(t, metadata), corpusSteps(t, status)
}

// run returns what a command wrote to its standard error.
func (w *corpusWorld) run(t *testing.T, c corpus.Case, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	home := t.TempDir()
	cmd.Env = append(append(os.Environ(), "HOME="+home, "DOCKER_CONFIG="+home, "BUILDKIT_HOST="+w.daemon.Addr,
		"SEATRIAL_REPORT_DIR="+home, "SEATRIAL_PROVENANCE=false"), c.Env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", filepath.Base(name), args, err, &stderr)
	}
	return stderr.Bytes()
}

func imageDigest(t *testing.T, metadata string) string {
	t.Helper()
	raw, err := os.ReadFile(metadata)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatalf("reading metadata: %v", err)
	}
	digest, _ := fields[exptypes.ExporterImageDigestKey].(string)
	if digest == "" {
		t.Fatalf("no digest in the metadata: %s", raw)
	}
	return digest
}

var (
	// instructions are lines of a Dockerfile that change the filesystem.
	instructions = regexp.MustCompile(`(?m)^(RUN|COPY|ADD|WORKDIR) `)
	// step is how BuildKit names what becomes of them.
	step = regexp.MustCompile(`^\[[^]]+\] (RUN|COPY|ADD|WORKDIR) `)
)

// corpusSteps reads progress in JSON: the steps that came to their end.
func corpusSteps(t *testing.T, progress []byte) map[digest.Digest]*client.Vertex {
	t.Helper()
	steps := map[digest.Digest]*client.Vertex{}
	lines := bufio.NewScanner(bytes.NewReader(progress))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s client.SolveStatus
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			continue // not progress
		}
		for _, v := range s.Vertexes {
			if v.Completed != nil && step.MatchString(v.Name) {
				steps[v.Digest] = v
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
