package structure

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/moby/buildkit/util/suggest"
	"go.yaml.in/yaml/v4"
)

// check holds a node against the Go type that it is to be decoded into, whose keys
// are in its tags. where names the node for messages.
func (d *document) check(n *yaml.Node, t reflect.Type, where string) {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		// A default that is not the zero value is lost there, unlike here.
		if t.Kind() == reflect.Pointer && kinds[t.Elem().Kind()] != "" {
			d.fail(n, "%s: want %s, have nothing", where, kinds[t.Elem().Kind()])
		}
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		d.check(n, t.Elem(), where)
	case reflect.Struct:
		if n.Kind != yaml.MappingNode {
			d.fail(n, "%s: want a mapping, have %s", where, kindOf(n))
			return
		}
		d.checkKeys(n, fields(t), where)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.fail(n, "%s: want a list, have %s", where, kindOf(n))
			return
		}
		for i, item := range n.Content {
			d.check(item, t.Elem(), fmt.Sprintf("%s[%d]", where, i))
		}
	default:
		d.checkScalar(n, t, where)
	}
}

var kinds = map[reflect.Kind]string{reflect.String: "a string", reflect.Bool: "true or false", reflect.Int: "a whole number"}

func (d *document) checkScalar(n *yaml.Node, t reflect.Type, where string) {
	want := kinds[t.Kind()]
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 // "yes" is no bool then
	if n.Kind != yaml.ScalarNode || d.json && t.Kind() == reflect.String && n.Tag != "!!str" {
		d.fail(n, "%s: want %s, have %s", where, want, kindOf(n))
	} else if quoted && t.Kind() == reflect.Bool || n.Decode(reflect.New(t).Interface()) != nil {
		d.fail(n, "%s: want %s, have %q", where, want, n.Value)
	}
}

// fields are the keys of a type, with those that it has from others.
func fields(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		if key, opt, _ := strings.Cut(f.Tag.Get("yaml"), ","); opt == "inline" {
			for k, ft := range fields(f.Type) {
				out[k] = ft
			}
		} else {
			out[key] = f.Type
		}
	}
	return out
}

func (d *document) checkKeys(n *yaml.Node, known map[string]reflect.Type, where string) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			d.checkMerge(value, known, where)
			continue
		}
		d.canonical(key, known)
		t, ok := known[key.Value]
		switch {
		case !ok:
			d.fail(key, "unknown key %q%s%s", key.Value, in(where), nearest(key.Value, known))
		case seen[key.Value] > 0:
			d.fail(key, "key %q%s is there twice, first in line %d", key.Value, in(where), seen[key.Value])
		default:
			seen[key.Value] = key.Line
			d.check(value, t, strings.TrimPrefix(where+"."+key.Value, "."))
		}
	}
}

// checkMerge is for the mappings that "<<" adds.
func (d *document) checkMerge(n *yaml.Node, known map[string]reflect.Type, where string) {
	n = resolve(n)
	if slices.Contains(d.merging, n) {
		d.fail(n, `"<<"%s: it has itself in it`, in(where))
		return
	}
	d.merging = append(d.merging, n)
	defer func() { d.merging = d.merging[:len(d.merging)-1] }()
	switch n.Kind {
	case yaml.MappingNode:
		d.checkKeys(n, known, where)
	case yaml.SequenceNode:
		for _, item := range n.Content {
			d.checkMerge(item, known, where)
		}
	default:
		d.fail(n, `"<<"%s: want a mapping, have %s`, in(where), kindOf(n))
	}
}

// canonical spells a key of JSON, where upper and lower case are the same, as it is
// in YAML.
func (d *document) canonical(key *yaml.Node, known map[string]reflect.Type) {
	if !d.json {
		return
	}
	for k := range known {
		if strings.EqualFold(k, key.Value) {
			key.Value = k
		}
	}
}

func in(where string) string {
	if where == "" {
		return ""
	}
	return " in " + where
}

func nearest(key string, known map[string]reflect.Type) string {
	var keys []string
	for k := range known {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if k, ok := suggest.Search(key, keys, true); ok {
		return fmt.Sprintf("; did you mean %q?", k)
	}
	return "; there are " + strings.Join(keys, ", ")
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.ShortTag() == "!!null" {
		return "nothing"
	}
	return fmt.Sprintf("%q", n.Value)
}
