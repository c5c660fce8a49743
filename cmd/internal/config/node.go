package config

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v4"

	"github.com/seatrial/seatrial/testsuite/syntax"
)

const (
	// maxBytes is the size of a file that somebody wrote, many times over.
	maxBytes = 1 << 20
	// maxNodes bounds what is read once aliases and merge keys are followed.
	maxNodes = 100_000
)

// parse returns the root of the one document in the file, nil if it is empty.
func parse(src source) (*yaml.Node, error) {
	if len(src.data) > maxBytes {
		return nil, src.errorf(Pos{1, 1}, "", "the file has more than %d bytes", maxBytes)
	}
	dec := yaml.NewDecoder(bytes.NewReader(src.data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil //nolint:nilnil // an empty file is a file
	case err != nil:
		return nil, syntaxError(src, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, syntaxError(src, err)
		}
		return nil, src.errorf(posOf(&more), "", "one document is expected, and here is another")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == nullTag {
		return nil, nil //nolint:nilnil // as above
	}
	return root, nil
}

func syntaxError(src source, err error) error {
	e := syntax.Of(err, src.data)
	return src.errorf(Pos{e.Line, e.Column}, "", "not YAML: %s", e.Message)
}

const (
	nullTag  = "!!null"
	mergeTag = "!!merge"
)

// pair is a key of a mapping with its value.
type pair struct{ key, value *yaml.Node }

// pairs are those of a mapping, its own before those that merge keys (<<) bring and
// that it has not itself.
func (d *decoder) pairs(n *yaml.Node) ([]pair, error) {
	if err := d.count(n); err != nil {
		return nil, err
	}
	if n.Kind != yaml.MappingNode {
		return nil, d.wrong(n, "a mapping")
	}
	seen := map[string]*yaml.Node{}
	var own, merged []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == mergeTag {
			more, err := d.merged(value)
			if err != nil {
				return nil, err
			}
			merged = append(merged, more...)
			continue
		}
		key, err := d.scalar(key)
		if err != nil {
			return nil, err
		}
		if first := seen[key.Value]; first != nil {
			return nil, d.errorf(posOf(key), "", "key %q is there twice, first in line %d", key.Value, first.Line)
		}
		seen[key.Value] = key
		own = append(own, pair{key, value})
	}
	for _, p := range merged {
		if seen[p.key.Value] == nil {
			seen[p.key.Value] = p.key
			own = append(own, p)
		}
	}
	return own, nil
}

// merged are the pairs that the value of a merge key stands for.
func (d *decoder) merged(n *yaml.Node) ([]pair, error) {
	n, err := d.follow(n)
	if err != nil {
		return nil, err
	}
	// A mapping that merges itself has no end.
	if d.merging[n] {
		return nil, d.errorf(posOf(n), "", "this mapping is merged into itself")
	}
	d.merging[n] = true
	defer delete(d.merging, n)
	if n.Kind != yaml.SequenceNode {
		return d.pairs(n)
	}
	var out []pair
	for _, item := range n.Content {
		more, err := d.merged(item)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// follow is what an alias stands for.
func (d *decoder) follow(n *yaml.Node) (*yaml.Node, error) {
	for n.Kind == yaml.AliasNode {
		if err := d.count(n); err != nil {
			return nil, err
		}
		n = n.Alias
	}
	return n, d.count(n)
}

func (d *decoder) count(n *yaml.Node) error {
	if d.nodes++; d.nodes > maxNodes {
		return d.errorf(posOf(n), "", "the file has more than %d values once its aliases are followed", maxNodes)
	}
	return nil
}

// scalar is a value that is no mapping and no list, and is not empty.
func (d *decoder) scalar(n *yaml.Node) (*yaml.Node, error) {
	n, err := d.follow(n)
	if err != nil {
		return nil, err
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() == nullTag {
		return nil, d.wrong(n, "a value")
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp", mergeTag:
		return n, nil
	}
	return nil, d.errorf(posOf(n), "", "the tag %s means nothing here", n.Tag)
}

// wrong says that n is not what it should be.
func (d *decoder) wrong(n *yaml.Node, want string) error {
	return d.errorf(posOf(n), "", "%s is expected, not %s", want, describe(n))
}

func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == nullTag:
		return "nothing"
	default:
		return "a value" // it may be a secret that somebody put in the wrong place
	}
}
