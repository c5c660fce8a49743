package config

import (
	"slices"
	"strings"
	"time"
)

// expander replaces variables, and keeps the first error.
type expander struct {
	source
	lookup Lookup
	err    error
}

func (x *expander) text(t *Text) string {
	if !t.set() {
		return ""
	}
	v, err := t.value(x.source, x.lookup)
	x.keep(err)
	return v.Text
}

func (x *expander) keep(err error) {
	if x.err == nil {
		x.err = err
	}
}

func (x *expander) list(l *List) []string {
	var out []string
	for i := range l.items {
		out = append(out, x.text(&l.items[i]))
	}
	return out
}

func (x *expander) word(t *Text, c choice) string {
	v := x.text(t)
	if words := c.choices(); t.set() && x.err == nil && !slices.Contains(words, v) {
		x.keep(x.errorf(t.Pos, nearest(v, words), "%q is not one of %s", v, strings.Join(words, ", ")))
	}
	return v
}

func (x *expander) bool(b *Bool) bool        { return parsed(x, &b.Text, wantBool, parseBool) }
func (x *expander) int(i *Int) int           { return parsed(x, &i.Text, wantInt, parseInt) }
func (x *expander) number(n *Number) float64 { return parsed(x, &n.Text, wantNumber, parseNumber) }
func (x *expander) size(s *Size) int64       { return parsed(x, &s.Text, wantSize, parseSize) }
func (x *expander) duration(d *Duration) time.Duration {
	return parsed(x, &d.Text, wantDuration, parseDuration)
}

func (x *expander) port(i *Int) int {
	n := x.int(i)
	if i.set() && x.err == nil && (n < 1 || n > 65535) {
		x.keep(x.errorf(i.Pos, "", "a port is a number from 1 to 65535, not %d", n))
	}
	return n
}

// parsed is t as what parse makes of it.
func parsed[T any](x *expander, t *Text, want string, parse func(string) (T, error)) T {
	var zero T
	if !t.set() || x.err != nil {
		return zero
	}
	text := x.text(t)
	if x.err != nil {
		return zero
	}
	v, err := parse(text)
	if err != nil {
		x.keep(x.errorf(t.Pos, "", "%s is expected, not %q", want, text))
	}
	return v
}
