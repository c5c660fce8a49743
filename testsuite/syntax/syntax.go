// Package syntax tells where a file is not YAML. What a file of YAML should say is not
// its matter.
//
//	if err := yaml.Unmarshal(data, &doc); err != nil {
//		e := syntax.Of(err, data)
//		fmt.Printf("%d:%d: %s", e.Line, e.Column, e.Message)
//	}
package syntax

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Error is where a parser gave up, and why.
type Error struct {
	// Line and Column count from 1, and are never behind the last line that has
	// something in it.
	Line, Column int
	Message      string
}

// Of is what an error of the parser tells of the file that it read. What has no end,
// as a quote, is shown where it begins. An error that has no place is one of line 1.
func Of(err error, data []byte) Error {
	at := (*yaml.LoadError)(nil)
	if !errors.As(err, &at) {
		return Error{1, 1, strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	last, end := place(bytes.TrimRight(data, "\r\n\t "))
	switch mark, begin := at.Mark, at.ContextMark; {
	case mark.Line == 0: // bytes that are no text: there are no lines yet
		line, column := place(data[:min(mark.Index, len(data))])
		return Error{line, column, at.Message}
	case mark.Line <= last:
		return Error{mark.Line, mark.Column, at.Message}
	case begin.Line > 0 && begin.Line <= last:
		return Error{begin.Line, begin.Column, at.Message}
	}
	return Error{last, end, at.Message}
}

// place is where a file goes on behind its beginning.
func place(before []byte) (line, column int) {
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}
