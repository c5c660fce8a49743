package structure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v4"
)

// readJSON reads JSON into the nodes that YAML is read into, with their positions.
// A parser of YAML does not read all JSON (surrogate pairs), and reads much that is
// none.
func readJSON(name string, data []byte) (*yaml.Node, error) {
	r := &jsonReader{data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	r.dec.UseNumber()
	err := json.Unmarshal(data, &json.RawMessage{}) // checks all of it
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line, column := r.position(max(0, syntax.Offset-1))
		return nil, &Error{name, line, column, err.Error()}
	}
	return r.value()
}

type jsonReader struct {
	data []byte
	dec  *json.Decoder
}

func (r *jsonReader) position(offset int64) (line, column int) {
	before := r.data[:min(offset, int64(len(r.data)))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

// value reads the next token, and what belongs to it. A ']' or '}' is a node of no
// kind.
func (r *jsonReader) value() (*yaml.Node, error) {
	start := r.dec.InputOffset()
	start += int64(len(r.data[start:]) - len(bytes.TrimLeft(r.data[start:], " \t\r\n,:")))
	tok, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode}
	n.Line, n.Column = r.position(start)
	switch v := tok.(type) {
	case json.Delim:
		return n, r.list(n, v)
	case string:
		n.Tag, n.Value, n.Style = "!!str", v, yaml.DoubleQuotedStyle
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(v)
	default: // json.Number; its kind is seen by what it looks like
		n.Value = fmt.Sprint(v)
	}
	return n, nil
}

func (r *jsonReader) list(n *yaml.Node, delim json.Delim) error {
	switch delim {
	case '{':
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	case '[':
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	default:
		n.Kind = 0
		return nil
	}
	for {
		item, err := r.value()
		if err != nil || item.Kind == 0 {
			return err
		}
		n.Content = append(n.Content, item)
	}
}
