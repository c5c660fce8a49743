package config

import (
	"reflect"
	"strings"
)

// Setting is what the file says of a flag.
type Setting struct {
	// Key is its place, as build.args.
	Key string
	// Flag is the flag's name.
	Flag string
	// Named tells that the values are overridden one by one, by their names.
	Named bool
	// Values are there in the flag's own form.
	Values []Value
	// Err is a variable without a value. It matters to who needs the setting.
	Err error
}

// Value is one of a flag's.
type Value struct {
	Name string // if the setting is named
	Text string
	Pos  Pos
}

// Key is a place in a file that stands for a flag.
type Key struct{ Name, Flag string }

// Keys are all of them, in the order of the schema.
func Keys() []Key {
	out := []Key{{"image", "tag"}}
	root := reflect.TypeFor[File]()
	for i := range root.NumField() {
		section := root.Field(i)
		if section.Tag.Get("key") == "" || section.Type.Kind() != reflect.Struct {
			continue
		}
		for j := range section.Type.NumField() {
			if tag := section.Type.Field(j).Tag; tag.Get("flag") != "" {
				out = append(out, Key{section.Tag.Get("key") + "." + tag.Get("key"), tag.Get("flag")})
			}
		}
	}
	return out
}

// Settings are those that the file has, in the order of the structs' fields.
func (f *File) Settings(lookup Lookup) []Setting {
	var out []Setting
	if len(f.Image.items) > 0 {
		s := Setting{Key: "image", Flag: "tag"}
		s.Values, s.Err = f.names(lookup)
		out = append(out, s)
	}
	root := reflect.ValueOf(f).Elem()
	for i := range root.NumField() {
		key := root.Type().Field(i).Tag.Get("key")
		if root.Field(i).Kind() != reflect.Struct || key == "" {
			continue
		}
		out = append(out, f.section(key, root.Field(i), lookup)...)
	}
	return out
}

// section are the settings of one struct.
func (f *File) section(prefix string, v reflect.Value, lookup Lookup) []Setting {
	var out []Setting
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		if tag.Get("flag") == "" {
			continue
		}
		s := Setting{Key: prefix + "." + tag.Get("key"), Flag: tag.Get("flag")}
		x, ok := v.Field(i).Addr().Interface().(interface {
			setting(s *Setting, src source, lookup Lookup) error
		})
		if !ok {
			continue
		}
		if s.Err = x.setting(&s, f.source, lookup); s.Err != nil || len(s.Values) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// names are image and tags in one.
func (f *File) names(lookup Lookup) ([]Value, error) {
	var images, tags Setting
	if err := f.Image.setting(&images, f.source, lookup); err != nil {
		return nil, err
	}
	if err := f.Tags.setting(&tags, f.source, lookup); err != nil {
		return nil, err
	}
	var out []Value
	for _, image := range images.Values {
		if image.Text == "" {
			continue
		}
		if strings.Contains(image.Text[strings.LastIndex(image.Text, "/")+1:], ":") || len(f.Tags.items) == 0 {
			out = append(out, image)
			continue
		}
		for _, tag := range tags.Values {
			if tag.Text != "" {
				out = append(out, Value{Text: image.Text + ":" + tag.Text, Pos: tag.Pos})
			}
		}
	}
	return out, nil
}

// value is t with its variables replaced.
func (t *Text) value(src source, lookup Lookup) (Value, error) {
	v := Value{Pos: t.Pos}
	var err error
	if v.Text, err = expand(t.parts, lookup); err != nil {
		return v, src.errorf(t.Pos, "${NAME:-DEFAULT} gives a variable a default", "%s", err)
	}
	return v, nil
}

func (t *Text) setting(s *Setting, src source, lookup Lookup) error {
	return t.mapped(s, src, lookup, func(v string) string { return v })
}

func (t *Text) mapped(s *Setting, src source, lookup Lookup, change func(string) string) error {
	if !t.set() {
		return nil
	}
	v, err := t.value(src, lookup)
	v.Text = change(v.Text)
	s.Values = append(s.Values, v)
	return err
}

func (p *Path) setting(s *Setting, src source, lookup Lookup) error {
	return p.mapped(s, src, lookup, src.resolve)
}

func (k *SignKey) setting(s *Setting, src source, lookup Lookup) error {
	return k.mapped(s, src, lookup, src.resolveKey)
}

func (l *List) setting(s *Setting, src source, lookup Lookup) error {
	return l.mapped(s, src, lookup, func(v string) string { return v })
}

func (l *List) mapped(s *Setting, src source, lookup Lookup, change func(string) string) error {
	for i := range l.items {
		if err := l.items[i].mapped(s, src, lookup, change); err != nil {
			return err
		}
	}
	return nil
}

func (l *Locations) setting(s *Setting, src source, lookup Lookup) error {
	return l.mapped(s, src, lookup, func(v string) string {
		if s.Flag == "output" && !strings.Contains(v, "=") {
			return src.resolve(v)
		}
		return src.resolveLocation(v)
	})
}

func (l *SSH) setting(s *Setting, src source, lookup Lookup) error {
	return l.mapped(s, src, lookup, src.resolveSSH)
}

func (p *Pairs) setting(s *Setting, src source, lookup Lookup) error {
	return p.mapped(s, src, lookup, func(v string) string { return v })
}

func (p *Contexts) setting(s *Setting, src source, lookup Lookup) error {
	return p.mapped(s, src, lookup, src.resolveContext)
}

func (p *Pairs) mapped(s *Setting, src source, lookup Lookup, change func(string) string) error {
	s.Named = true
	for _, item := range p.items {
		v, err := item.value.value(src, lookup)
		if err != nil {
			return err
		}
		if v.Name, v.Text = item.name, item.name+"="+change(v.Text); item.bare {
			v.Text = item.name
		}
		s.Values = append(s.Values, v)
	}
	return nil
}

func (m *Secrets) setting(s *Setting, src source, lookup Lookup) error {
	s.Named = true
	for _, e := range m.Map {
		text, key := &e.Value.Env, "env"
		if e.Value.Src.set() {
			text, key = &e.Value.Src.Text, "src"
		}
		v, err := text.value(src, lookup)
		if err != nil {
			return err
		}
		if key == "src" {
			v.Text = src.resolve(v.Text)
		}
		v.Name, v.Text, v.Pos = e.Name, "id="+e.Name+","+key+"="+v.Text, e.At
		s.Values = append(s.Values, v)
	}
	return nil
}
