package config

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// List is one value, or a list of them.
type List struct{ items []Text }

func (l *List) decode(d *decoder, n *yaml.Node) error {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		var t Text
		if err := t.decode(d, item); err != nil {
			return err
		}
		l.items = append(l.items, t)
	}
	return nil
}

// Pairs are NAME: VALUE, or a list of NAME=VALUE. A NAME alone, or with nothing
// behind it, has no value.
type Pairs struct{ items []namedText }

type namedText struct {
	name  string
	value Text // its Pos is there in any case
	bare  bool // there is none
}

func (p *Pairs) decode(d *decoder, n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return p.fromList(d, n)
	}
	list, err := d.pairs(n)
	if err != nil {
		return err
	}
	for _, x := range list {
		value, err := d.follow(x.value)
		if err != nil {
			return err
		}
		item := namedText{name: x.key.Value, value: Text{Pos: posOf(x.key)}}
		if value.Kind == yaml.ScalarNode && value.ShortTag() == nullTag {
			item.bare = true
		} else if err := item.value.decode(d, value); err != nil {
			return err
		}
		p.items = append(p.items, item)
	}
	return nil
}

func (p *Pairs) fromList(d *decoder, n *yaml.Node) error {
	seen := map[string]bool{}
	for _, item := range n.Content {
		item, err := d.scalar(item)
		if err != nil {
			return err
		}
		name, raw, ok := strings.Cut(item.Value, "=")
		if name == "" {
			return d.errorf(posOf(item), "", "NAME=VALUE is expected, not %q", item.Value)
		}
		if seen[name] {
			return d.errorf(posOf(item), "", "%q is there twice", name)
		}
		seen[name] = true
		x := namedText{name: name, value: Text{Pos: posOf(item), raw: raw}, bare: !ok}
		if x.value.parts, err = parseTemplate(raw); err != nil {
			return d.errorf(posOf(item), "", "%s", err)
		}
		p.items = append(p.items, x)
	}
	return nil
}

// Entry is one of a mapping from names.
type Entry[T any] struct {
	Name  string
	At    Pos // of the name
	Value T
}

// Map is a mapping from names that the user chooses, in the file's order.
type Map[T any] []Entry[T]

func (m *Map[T]) decode(d *decoder, n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return d.errorf(posOf(n), "write NAME: VALUE for each, without the -", "a mapping is expected, not a list")
	}
	list, err := d.pairs(n)
	if err != nil {
		return err
	}
	for _, p := range list {
		e := Entry[T]{Name: p.key.Value, At: posOf(p.key)}
		if e.Name == "" {
			return d.errorf(e.At, "", "a name is expected, not an empty one")
		}
		if err := d.value(p.value, reflect.ValueOf(&e.Value)); err != nil {
			return err
		}
		*m = append(*m, e)
	}
	return nil
}
