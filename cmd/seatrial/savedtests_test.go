package main

import (
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcrlayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// savedIndex is a layout of an index of an image for each of two platforms.
func savedIndex(t *testing.T) (registry.Artifact, []v1.Hash) {
	t.Helper()
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var digests []v1.Hash
	for _, arch := range []string{"amd64", "arm64"} {
		img := mutate.MediaType(mutate.ConfigMediaType(testenv.RandomImage(t, 1, 64), types.OCIConfigJSON), types.OCIManifestSchema1)
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
	}
	dir := t.TempDir()
	l, err := ggcrlayout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendIndex(idx); err != nil {
		t.Fatal(err)
	}
	saved, err := registry.OpenSaved(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { saved.Close() })
	a, err := saved.Load(t.Context(), saved.Images()[0])
	if err != nil {
		t.Fatal(err)
	}
	return a, digests
}

func stating(t *testing.T, image, about v1.Hash, result string) registry.Statement {
	t.Helper()
	data, err := statementOf(testResult{Result: result, PassedTests: []string{"unit"}}, about)
	if err != nil {
		t.Fatal(err)
	}
	return registry.Statement{Image: image, PredicateType: testResultType, JSON: data}
}

// What an index states of its images counts, whatever a note beside it says.
func TestSavedTests(t *testing.T) {
	a, images := savedIndex(t)
	amd, arm := images[0], images[1]
	none := []string(nil)
	for name, tc := range map[string]struct {
		statements []registry.Statement
		note       *testNote // its digest is filled in
		want       []string  // platforms with a test
		untested   []string
	}{
		"nothing":            {},
		"stated of both":     {[]registry.Statement{stating(t, amd, amd, resultPassed), stating(t, arm, arm, resultPassed)}, nil, []string{"linux/amd64", "linux/arm64"}, none},
		"noted only":         {nil, &testNote{Tests: []notedTest{{"unit", "linux/amd64"}}}, []string{"linux/amd64"}, none},
		"stated of one":      {[]registry.Statement{stating(t, amd, amd, resultPassed)}, nil, none, none},
		"the other untested": {[]registry.Statement{stating(t, amd, amd, resultPassed)}, &testNote{Tests: []notedTest{{"unit", ""}}, Untested: []string{"linux/arm64"}}, []string{"linux/amd64"}, []string{"linux/arm64"}},
		"failed":             {[]registry.Statement{stating(t, amd, amd, resultFailed), stating(t, arm, arm, resultPassed)}, &testNote{Tests: []notedTest{{"unit", ""}}}, none, none},
		"failed and passed":  {[]registry.Statement{stating(t, amd, amd, resultFailed), stating(t, amd, amd, resultPassed), stating(t, arm, arm, resultPassed)}, nil, none, none},
		"of another image":   {[]registry.Statement{stating(t, amd, arm, resultPassed), stating(t, arm, arm, resultPassed)}, &testNote{Tests: []notedTest{{"unit", ""}}}, none, none},
	} {
		t.Run(name, func(t *testing.T) {
			attested, err := registry.Attest(t.Context(), a, tc.statements, registry.AttestOptions{})
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "layout")
			opt := registry.LayoutOptions{Annotate: func(digest v1.Hash) map[string]string {
				if tc.note == nil {
					return nil
				}
				tc.note.Digest = digest.String()
				dt, err := json.Marshal(tc.note)
				if err != nil {
					t.Error(err)
				}
				return map[string]string{registry.AnnotationTests: string(dt)}
			}}
			if err := registry.WriteLayout(t.Context(), dir, attested, opt); err != nil {
				t.Fatal(err)
			}
			saved, _, _, err := (&savedSource{path: dir}).open(t.Context(), io.Discard)
			if err == nil {
				saved.Close()
			}
			if says := err != nil && strings.HasSuffix(err.Error(), " says that a test without a name failed"); says != strings.HasPrefix(name, "failed") {
				t.Errorf("open, where what is stated is %s: %v", name, err)
			}
			saved, img, rep, err := (&savedSource{path: dir, untested: true}).open(t.Context(), io.Discard)
			if err != nil {
				t.Fatalf("open of %v: %v", img, err)
			}
			defer saved.Close()
			var got, untested []string
			if rep != nil {
				untested = rep.Untested
				for _, c := range rep.Cases {
					got = append(got, c.Platform)
				}
			}
			if !slices.Equal(got, tc.want) || !slices.Equal(untested, tc.untested) {
				t.Errorf("tested on %q, not on %q, want %q and %q", got, untested, tc.want, tc.untested)
			}
		})
	}
}
