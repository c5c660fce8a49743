package syntax

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"go.yaml.in/yaml/v4"
)

func TestOf(t *testing.T) {
	for data, want := range map[string]string{
		"a: b\n  c: [\n":           "2:4 mapping values are not allowed in this context",
		"a: b\nc:\n  - 'x\nd: 1\n": "3:5 found unexpected end of stream",
		"a: ä\nb: [c\n\n":          "2:4 did not find expected ',' or ']'",
		"a: [\n\n\n":               "1:5 did not find expected node content",
		"a:\n  - b: x\n   c: y\n":  "3:4 did not find expected '-' indicator",
		"a:\n\tb: x\n":             "2:1 found character that cannot start any token",
		"a: b\nc: \x01\n":          "2:4 control characters are not allowed (value: 1)",
		"a: ä\xc3(\n":              "1:6 invalid trailing UTF-8 octet (value: 40)",
		"a: *b\n":                  "1:4 unknown anchor 'b' referenced",
	} {
		err := yaml.NewDecoder(bytes.NewReader([]byte(data))).Decode(&yaml.Node{})
		if err == nil {
			t.Errorf("%q is YAML", data)
			continue
		}
		e := Of(err, []byte(data))
		if got := fmt.Sprintf("%d:%d %s", e.Line, e.Column, e.Message); got != want {
			t.Errorf("Of(%q) = %s, want %s", data, got, want)
		}
	}
	if got, want := Of(errors.New("yaml: no"), nil), (Error{1, 1, "no"}); got != want {
		t.Errorf("Of(an error without a place) = %v, want %v", got, want)
	}
}
