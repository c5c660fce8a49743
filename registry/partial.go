package registry

import (
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// PartialError tells that some tags have moved, or may have, and others could not be
// moved.
// Tags of different names cannot be moved at once, on one registry or on many.
type PartialError struct {
	Moved  []Pushed
	Failed []Failure
}

// Failure is a tag that could not be moved.
type Failure struct {
	Reference name.Reference
	Err       error // names the reference, too
	Unsure    bool  // the tag may have moved: the registry could not be asked, was not waited for, or has it name something else
}

func (e *PartialError) Error() string {
	var moved, failed []string
	for _, p := range e.Moved {
		moved = append(moved, p.Reference.String())
	}
	for _, f := range e.Failed {
		failed = append(failed, f.Err.Error())
	}
	if len(moved) == 0 {
		return strings.Join(failed, "; ")
	}
	return fmt.Sprintf("%s; moved already: %s", strings.Join(failed, "; "), strings.Join(moved, ", "))
}

// Unwrap returns the causes.
func (e *PartialError) Unwrap() []error {
	var errs []error
	for _, f := range e.Failed {
		errs = append(errs, f.Err)
	}
	return errs
}
