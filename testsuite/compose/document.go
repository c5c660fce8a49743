package compose

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seatrial/seatrial/testsuite/syntax"
)

// document is a file with the places of what it says.
type document struct {
	file string
	top  *yaml.Node // the mapping
}

const example = "a test looks like this:\n  services:\n    sut:\n      build: .\n      command: ./run_tests.sh"

func parse(file string, data []byte) (*document, error) {
	d := &document{file: file}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var node, more yaml.Node
	switch err := dec.Decode(&node); {
	case errors.Is(err, io.EOF):
		return nil, d.errorAt(&yaml.Node{Line: 1, Column: 1}, example, "the file is empty")
	case err != nil:
		return nil, d.syntaxError(err, data)
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return nil, d.errorAt(&more, "put them into files of their own", "there is more than one document")
	case !errors.Is(err, io.EOF):
		return nil, d.syntaxError(err, data)
	}
	d.top = node.Content[0]
	if d.top.Kind != yaml.MappingNode {
		if d.top.Tag == "!!null" {
			return nil, d.errorAt(&yaml.Node{Line: 1, Column: 1}, example, "the file is empty")
		}
		return nil, d.errorAt(d.top, example, "this is not a Compose file: a mapping is expected")
	}
	if n := endless(d.top, map[*yaml.Node]int{}); n != nil {
		return nil, d.errorAt(n, "write it out", "the alias *%s is inside of what it stands for", n.Value)
	}
	return d, d.duplicates(d.top)
}

// endless finds an alias that contains itself. state is 1 for nodes that are being
// looked at, and 2 for those that were.
func endless(n *yaml.Node, state map[*yaml.Node]int) *yaml.Node {
	if state[n] == 2 {
		return nil
	}
	if n.Alias != nil && state[n.Alias] == 1 {
		return n
	}
	state[n] = 1
	for _, c := range append(slices.Clone(n.Content), n.Alias) {
		if c == nil {
			continue
		}
		if found := endless(c, state); found != nil {
			return found
		}
	}
	state[n] = 2
	return nil
}

func (d *document) syntaxError(err error, data []byte) *Error {
	e := syntax.Of(err, data)
	return d.errorAt(&yaml.Node{Line: e.Line, Column: e.Column}, "tabs cannot indent, and what belongs together is indented alike", "this is not YAML: %s", e.Message)
}

// duplicates finds a key that is there twice: of two services with one name the first
// would be lost.
func (d *document) duplicates(n *yaml.Node) error {
	seen := map[string]*yaml.Node{}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.Kind == yaml.ScalarNode && c.Tag != "!!merge" {
			if first := seen[c.Value]; first != nil {
				return d.errorAt(c, "keep one of them, or give them different names", "%q is there already, in line %d", c.Value, first.Line)
			}
			seen[c.Value] = c
		}
		if err := d.duplicates(c); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) errorAt(n *yaml.Node, hint, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Finding: Finding{File: d.file, Line: n.Line, Column: n.Column, Msg: err.Error(), Hint: hint}, Err: errors.Unwrap(err)}
}

// errorf is an error at a path.
func (d *document) errorf(path []string, hint, format string, args ...any) *Error {
	return d.errorAt(d.at(path...), hint, format, args...)
}

// at is the key or the list's item that path leads to, or the nearest to it that is
// there: the rest may be in a file that this one includes or extends.
func (d *document) at(path ...string) *yaml.Node {
	here, _ := d.find(path)
	return here
}

// find also tells how much of the path is there.
func (d *document) find(path []string) (*yaml.Node, int) {
	here, value := d.top, d.top
	for i, step := range path {
		key, next := child(value, step)
		if key == nil {
			return here, i
		}
		here, value = key, next
	}
	return here, len(path)
}

// value is what is at a path, nil if there is nothing.
func (d *document) value(path ...string) *yaml.Node {
	value := d.top
	for _, step := range path {
		if _, value = child(value, step); value == nil {
			return nil
		}
	}
	return value
}

func child(n *yaml.Node, step string) (key, value *yaml.Node) {
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n == nil:
		return nil, nil
	case n.Kind == yaml.MappingNode:
		return childOfMapping(n, step)
	case n.Kind == yaml.SequenceNode:
		return childOfSequence(n, step)
	default:
		return nil, nil
	}
}

func childOfMapping(n *yaml.Node, step string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == step {
			return n.Content[i], n.Content[i+1]
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != "!!merge" {
			continue
		}
		merged := []*yaml.Node{n.Content[i+1]}
		if merged[0].Kind == yaml.SequenceNode {
			merged = merged[0].Content
		}
		for _, m := range merged {
			if key, value := child(m, step); key != nil {
				return key, value
			}
		}
	}
	return nil, nil
}

// childOfSequence takes an index, or the beginning of an item like NAME=VALUE.
func childOfSequence(n *yaml.Node, step string) (key, value *yaml.Node) {
	if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
		return n.Content[i], n.Content[i]
	}
	for _, item := range n.Content {
		if rest, ok := strings.CutPrefix(item.Value, step); ok && (rest == "" || strings.ContainsAny(rest[:1], ":=/")) {
			return item, item
		}
		for _, name := range []string{"source", "target"} {
			if _, v := child(item, name); item.Kind == yaml.MappingNode && v != nil && v.Value == step {
				return item, item
			}
		}
	}
	return nil, nil
}

// index is a step of a path into a list.
func index(i int) string { return strconv.Itoa(i) }
