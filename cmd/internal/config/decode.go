package config

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// decoder fills structs by the keys in their fields' tags.
type decoder struct {
	source
	nodes   int
	merging map[*yaml.Node]bool
}

// decodable reads itself from a node that is no alias.
type decodable interface {
	decode(d *decoder, n *yaml.Node) error
}

// checked has rules beyond those of its keys.
type checked interface {
	check(d *decoder) error
}

// value decodes n into what v points to: a struct, a decodable, or a slice of them.
func (d *decoder) value(n *yaml.Node, v reflect.Value) error {
	n, err := d.follow(n)
	if err != nil {
		return err
	}
	if x, ok := v.Interface().(decodable); ok {
		return x.decode(d, n)
	}
	switch v.Elem().Kind() {
	case reflect.Slice:
		return d.list(n, v.Elem())
	case reflect.Pointer:
		v.Elem().Set(reflect.New(v.Elem().Type().Elem()))
		return d.value(n, v.Elem())
	}
	return d.object(n, v.Interface())
}

func (d *decoder) list(n *yaml.Node, v reflect.Value) error {
	if n.Kind != yaml.SequenceNode {
		return d.wrong(n, "a list")
	}
	for _, item := range n.Content {
		x := reflect.New(v.Type().Elem())
		if err := d.value(item, x); err != nil {
			return err
		}
		v.Set(reflect.Append(v, x.Elem()))
	}
	return nil
}

// object decodes a mapping into a struct, and has it checked.
func (d *decoder) object(n *yaml.Node, out any) error {
	list, err := d.pairs(n)
	if err != nil {
		return err
	}
	v := reflect.ValueOf(out).Elem()
	fields := fieldsOf(v.Type())
	if at := v.FieldByName("At"); at.IsValid() {
		at.Set(reflect.ValueOf(posOf(n)))
	}
	for _, p := range list {
		i, ok := fields.index[p.key.Value]
		if !ok {
			if _, root := out.(*File); root && strings.HasPrefix(p.key.Value, "x-") {
				continue // a place for anchors, as in Compose files
			}
			return d.unknown(p.key, fields)
		}
		if err := d.value(p.value, v.Field(i).Addr()); err != nil {
			return err
		}
	}
	if x, ok := out.(checked); ok {
		return x.check(d)
	}
	return nil
}

// fields are the keys of a struct.
type fields struct {
	keys  []string
	index map[string]int
	flags map[string]string // flag to key
}

func fieldsOf(t reflect.Type) fields {
	f := fields{index: map[string]int{}, flags: map[string]string{}}
	for i := range t.NumField() {
		key := t.Field(i).Tag.Get("key")
		if key == "" {
			continue
		}
		f.keys = append(f.keys, key)
		f.index[key] = i
		if flag := t.Field(i).Tag.Get("flag"); flag != "" {
			f.flags[flag] = key
		}
	}
	return f
}

// unknown knows the names of flags, too: they are what people try.
func (d *decoder) unknown(key *yaml.Node, f fields) error {
	hint := ""
	if k, ok := f.flags[key.Value]; ok {
		hint = "--" + key.Value + " is called " + k + " here"
	} else {
		hint = nearest(key.Value, f.keys)
	}
	return d.errorf(posOf(key), hint, "unknown key %q", key.Value)
}
