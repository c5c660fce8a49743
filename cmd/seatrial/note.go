package main

import (
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// testNote is what is written down of an image's tests where the image is written,
// as registry.AnnotationTests. It names the image: whatever changes the image and
// keeps the annotation has no tested image. It is no proof against those who can
// write there: they could as well change what the image was built from.
type testNote struct {
	Digest   string      `json:"digest"`
	Tests    []notedTest `json:"tests"`
	Untested []string    `json:"untestedPlatforms,omitempty"`
}

type notedTest struct {
	Name     string `json:"name"`
	Platform string `json:"platform,omitempty"`
}

// annotate is what to say of an image that has passed the suites: nothing if there
// are none.
func annotate(suites []*testsuite.Suite) func(v1.Hash) map[string]string {
	return func(digest v1.Hash) map[string]string {
		note := testNote{Digest: digest.String()}
		for _, s := range suites {
			rep := s.Passed()
			for _, c := range rep.Cases {
				note.Tests = append(note.Tests, notedTest{c.Name, c.Platform})
			}
			note.Untested = append(note.Untested, rep.Untested...)
		}
		dt, err := json.Marshal(note)
		if err != nil || len(note.Tests) == 0 {
			return nil
		}
		return map[string]string{registry.AnnotationTests: string(dt)}
	}
}

// tested are the tests that the note says a saved image has passed; nil if it says
// nothing of this image.
func tested(img registry.SavedImage) *testsuite.Report {
	var note testNote
	err := json.Unmarshal([]byte(img.Annotations[registry.AnnotationTests]), &note)
	if err != nil || note.Digest != img.Digest.String() || len(note.Tests) == 0 {
		return nil
	}
	rep := &testsuite.Report{Untested: note.Untested}
	for _, t := range note.Tests {
		rep.Cases = append(rep.Cases, testsuite.Case{Name: t.Name, Platform: t.Platform, Status: testsuite.Passed, Cached: true})
	}
	return rep
}
