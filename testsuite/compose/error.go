package compose

import (
	"cmp"
	"fmt"
)

// Finding is something about a line of a file.
type Finding struct {
	File string
	// Line and Column count from 1; 0 if no line is to blame.
	Line, Column int
	Msg          string
	// Hint is what to do about it; "" if Msg says enough.
	Hint string
}

// Error is a file that cannot be used as a test.
type Error struct {
	Finding
	// Err is the cause; nil if it is the file itself.
	Err error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// byLine is the order of the file.
func byLine(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Msg, b.Msg))
}
