package buildkitd

import (
	"fmt"
	"strings"
)

// Error says why there is no builder. Connect returns nothing else, except for
// the error of a context that ended.
type Error struct {
	// Addr is the address that was tried, or Private; empty if the options
	// were wrong before any address was tried. It holds no credentials.
	Addr string
	// Err is what went wrong.
	Err error
	// Hint is what the user can do about it, one or more lines; may be empty.
	Hint string
	// Log is the end of a private daemon's log, when that daemon failed.
	Log string
	// Usage is set when the options contradict each other or are refused:
	// nothing was dialled and nothing was started.
	Usage bool
}

// Error gives what went wrong and the daemon's log, but not the hint.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Addr != "" {
		fmt.Fprintf(&b, "connecting to builder %s: ", e.Addr)
	}
	b.WriteString(e.Err.Error())
	if e.Log != "" {
		b.WriteString("\nThe end of its log:\n  ")
		b.WriteString(strings.ReplaceAll(e.Log, "\n", "\n  "))
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
