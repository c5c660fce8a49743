package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/seatrial/seatrial/testsuite"
)

// tree is a list of settings as YAML, with their origins as comments.
func tree(list []setting) *yaml.Node {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range list {
		at, keys := root, strings.Split(s.Key, ".")
		for _, key := range keys[:len(keys)-1] {
			at = child(at, key, yaml.MappingNode)
		}
		value, last := nodeOf(reflect.ValueOf(s.Value)), keys[len(keys)-1]
		if value.Kind == yaml.ScalarNode {
			value.LineComment = s.From.String()
		} else {
			value.HeadComment = s.From.String()
		}
		if s.list {
			at = child(at, last, yaml.SequenceNode)
		} else {
			at.Content = append(at.Content, textNode(last))
		}
		at.Content = append(at.Content, value)
	}
	return root
}

// hidden is n without the values of variables whose names look like secrets, wherever
// the file put them.
func (pr *project) hidden(n *yaml.Node) *yaml.Node {
	for _, secret := range pr.secrets {
		if len(secret) >= minMasked && n.Kind == yaml.ScalarNode {
			n.Value = strings.ReplaceAll(n.Value, secret, mask)
		}
	}
	for _, x := range n.Content {
		pr.hidden(x)
	}
	return n
}

// child is the value of a key of a mapping, new if need be.
func child(n *yaml.Node, key string, kind yaml.Kind) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	value := &yaml.Node{Kind: kind}
	n.Content = append(n.Content, textNode(key), value)
	return value
}

func textNode(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

// shownKeys are what the file calls fields of the model.
var shownKeys = map[string]string{"Command": "run", "Shell": "run", "Hosts": "extra-hosts", "CPUs": "cpus", "ID": "id"}

// nodeOf is a value as YAML: of structs, what is not zero, under the file's keys.
func nodeOf(v reflect.Value) *yaml.Node {
	switch v.Kind() {
	case reflect.Pointer:
		return nodeOf(v.Elem())
	case reflect.String:
		return textNode(v.String())
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			n.Content = append(n.Content, nodeOf(v.Index(i)))
		}
		return n
	case reflect.Map:
		return mapNode(v)
	case reflect.Struct:
		return structNode(v)
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return textNode(d.String())
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v.Interface())}
}

// mapNode hides values of variables whose names look like secrets.
func mapNode(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		value := nodeOf(v.MapIndex(k))
		if secretName.MatchString(k.String()) {
			value = textNode(mask)
		}
		n.Content = append(n.Content, textNode(k.String()), value)
	}
	return n
}

func structNode(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if f.IsZero() {
			continue
		}
		if source, ok := f.Interface().(testsuite.Source); ok {
			n.Content = append(n.Content, sourceNode(source).Content...)
			continue
		}
		key := shownKeys[name]
		if key == "" {
			key = kebab(name)
		}
		n.Content = append(n.Content, textNode(key), nodeOf(f))
	}
	return n
}

func sourceNode(s testsuite.Source) *yaml.Node {
	if s.Context {
		return mapNode(reflect.ValueOf(map[string]string{"from": "context"}))
	}
	return structNode(reflect.ValueOf(s))
}

// kebab is DependsOn as depends-on.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
