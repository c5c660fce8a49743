package structure

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seatrial/seatrial/testsuite/syntax"
)

// Error is something wrong in a file of structure tests.
type Error struct {
	// File is its name as it was given.
	File string
	// Line and Column are where, from 1.
	Line, Column int
	// Message is what.
	Message string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Detect tells whether a file looks like structure tests, rather than a Compose
// file or something else. Whether it is right is for Parse to say.
func Detect(data []byte) bool {
	var keys map[string]yaml.Node
	if yaml.Unmarshal(data, &keys) != nil {
		return bytes.Contains(data, []byte("schemaVersion"))
	}
	if _, compose := keys["services"]; compose {
		return false
	}
	for key := range keys {
		switch strings.ToLower(key) {
		case "schemaversion", "commandtests", "fileexistencetests", "filecontenttests", "metadatatest", "licensetests":
			return true
		}
	}
	return false
}

// Parse reads a file of structure tests: JSON if its name ends in .json, otherwise
// YAML. Unknown keys, wrong types, invalid patterns, settings that cannot be
// honoured and a file without tests are errors, an *Error each, all of them joined.
func Parse(name string, data []byte) (*Config, error) {
	d := &document{name: name, data: data, json: strings.EqualFold(path.Ext(name), ".json")}
	if err := d.read(); err != nil {
		return nil, err
	}
	cfg := d.decode()
	if len(d.errs) > 0 {
		return nil, d.joined()
	}
	cfg.Name, cfg.data = name, data
	return cfg, nil
}

// document is a file that is being read.
type document struct {
	name string
	data []byte
	json bool
	root *yaml.Node
	errs []*Error

	merging []*yaml.Node // what check is inside of, for "<<"
}

func (d *document) fail(at *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, &Error{d.name, at.Line, at.Column, fmt.Sprintf(format, args...)})
}

// joined are the errors in the order of the file.
func (d *document) joined() error {
	slices.SortStableFunc(d.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	errs := make([]error, len(d.errs))
	for i, err := range d.errs {
		errs[i] = err
	}
	return errors.Join(errs...)
}

func (d *document) read() (err error) {
	if d.json {
		d.root, err = readJSON(d.name, d.data)
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(d.data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return &Error{d.name, 1, 1, "the file is empty"}
	} else if err != nil {
		return d.syntaxError(err)
	}
	if err := dec.Decode(&second); err == nil {
		return &Error{d.name, second.Line, second.Column, "a second document: a file of structure tests has one"}
	} else if !errors.Is(err, io.EOF) {
		return d.syntaxError(err)
	}
	d.root = doc.Content[0]
	return nil
}

func (d *document) syntaxError(err error) *Error {
	e := syntax.Of(err, d.data)
	return &Error{d.name, e.Line, e.Column, e.Message}
}

// decode notes all errors, and returns nil if there are any.
func (d *document) decode() *Config {
	if d.root.Kind != yaml.MappingNode {
		d.fail(d.root, "want a mapping with schemaVersion and tests, have %s", kindOf(d.root))
		return nil
	}
	version := d.find("schemaVersion")
	switch {
	case version == d.root || version.Value == "":
		d.fail(d.root, `no schemaVersion: the current one is "2.0.0"`)
		return nil
	case version.Value == "2.0.0":
		return decodeAs[fileV2](d)
	case version.Value == "1.0.0":
		return decodeAs[fileV1](d)
	}
	d.fail(version, `unknown schemaVersion %q: want "2.0.0" or "1.0.0"`, version.Value)
	return nil
}

func decodeAs[F interface{ config() *Config }](d *document) *Config {
	var f F
	d.check(d.root, reflect.TypeOf(f), "")
	if len(d.errs) > 0 {
		return nil
	}
	if err := d.root.Decode(&f); err != nil {
		d.errs = append(d.errs, d.syntaxError(err))
		return nil
	}
	cfg := f.config()
	d.validate(cfg)
	return cfg
}

// find returns what keys and indices lead to from the root; what they lead to last,
// if something on the way is not written there.
func (d *document) find(steps ...any) *yaml.Node {
	at := resolve(d.root)
	for _, step := range steps {
		next := child(at, step)
		if next == nil {
			return at
		}
		at = resolve(next)
	}
	return at
}

func child(n *yaml.Node, step any) *yaml.Node {
	if i, ok := step.(int); ok {
		if n.Kind == yaml.SequenceNode && i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if strings.EqualFold(n.Content[i].Value, step.(string)) {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
