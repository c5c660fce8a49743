package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/seatrial/seatrial/registry"
)

// resultFailure is a tag that could not be moved, when others have.
type resultFailure struct {
	Reference string `json:"reference"`
	Error     string `json:"error"`
	Unsure    bool   `json:"unsure,omitempty"` // it may have moved all the same
}

// notMoved are the tags that could not be moved, when others have, or may have.
func (o *outcome) notMoved() []registry.Failure {
	var partial *registry.PartialError
	if !errors.As(o.err, &partial) {
		return nil
	}
	return partial.Failed
}

func (o *outcome) summarizeNotMoved(w io.Writer) {
	for _, f := range o.notMoved() {
		what := "tag not moved"
		if f.Unsure {
			what = "whether the tag moved is unknown"
		}
		row(w, "failed", canonical(f.Reference), what)
	}
}

// partialHints tell a registry that is away from one that says no, which it will say
// again.
func partialHints(err *registry.PartialError) []string {
	var lines []string
	waiting := false
	for _, f := range err.Failed {
		var e *registry.Error
		if !errors.As(f.Err, &e) || !saidNo(e.Status) {
			waiting = true
			continue
		}
		if !aboutManifest(e) {
			lines = append(lines, refusedTag(e.Registry, canonical(f.Reference)))
		}
	}
	if waiting {
		lines = append(lines, "run again when the registry is back")
	}
	return append(lines, "what has moved stays as it is")
}

func refusedTag(host, ref string) string {
	return fmt.Sprintf("%s took the image, and refused the tag %s: is it one that may not be overwritten, or not by these credentials?", host, ref)
}

// refusedTagHint is for a tag that was refused to somebody who could push all that it is
// about; "" for other errors.
func refusedTagHint(e *registry.Error) string {
	ref, ok := strings.CutPrefix(e.Op, "tagging ")
	if !ok || !saidNo(e.Status) || e.Kind != registry.KindDenied && e.Kind != registry.KindOther || aboutManifest(e) {
		return ""
	}
	return refusedTag(e.Registry, ref)
}

// aboutManifest tells whether a registry does not take the manifest, whatever it is called.
func aboutManifest(e *registry.Error) bool {
	return e.Kind == registry.KindOther && strings.Contains(strings.ToLower(strings.TrimPrefix(e.Error(), e.Op)), "manifest")
}

// saidNo tells whether a status is an answer that does not pass.
func saidNo(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
}
