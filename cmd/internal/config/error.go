package config

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/util/suggest"
	"go.yaml.in/yaml/v4"
)

// Pos is a place in a file; lines and columns count from 1.
type Pos struct{ Line, Column int }

func posOf(n *yaml.Node) Pos { return Pos{n.Line, n.Column} }

// Error is something wrong with a file.
type Error struct {
	// Name and Data are the file's.
	Name string
	Data []byte
	// Pos is where it is wrong.
	Pos Pos
	// Message says what is wrong, Hint what may be meant; "" if nobody knows.
	Message, Hint string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Name, e.Pos.Line, e.Pos.Column, e.Message)
}

// source is a file's bytes, for its errors.
type source struct {
	name string
	data []byte
}

func (s source) errorf(pos Pos, hint, format string, args ...any) error {
	return &Error{Name: s.name, Data: s.data, Pos: pos, Message: fmt.Sprintf(format, args...), Hint: hint}
}

const knownHere = "known here: "

// nearest is the hint for a word that is not one of those that are known.
func nearest(word string, known []string) string {
	if match, ok := suggest.Search(word, known, false); ok {
		return fmt.Sprintf("did you mean %q?", match)
	}
	for _, k := range known {
		if len(word) > 2 && (strings.Contains(k, word) || strings.HasPrefix(word, k)) {
			return fmt.Sprintf("did you mean %q?", k)
		}
	}
	if len(known) == 0 {
		return ""
	}
	return knownHere + strings.Join(known, ", ")
}
