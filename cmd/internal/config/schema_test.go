package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write seatrial.schema.json")

const schemaFile = "seatrial.schema.json"

type schema = map[string]any

func ref(name string) schema { return schema{"$ref": "#/$defs/" + name} }

// variable is text that is judged once its variables are replaced.
const withVariable = `\$\{`

// scalars are the types that have a schema of their own, under $defs.
var scalars = map[reflect.Type]schema{
	reflect.TypeFor[Text]():     {"type": []string{"string", "number", "boolean"}},
	reflect.TypeFor[Plain]():    {"type": []string{"string", "number", "boolean"}, "minLength": 1},
	reflect.TypeFor[Bool]():     {"anyOf": []schema{{"type": "boolean"}, {"type": "string", "pattern": withVariable}}},
	reflect.TypeFor[Int]():      {"anyOf": []schema{{"type": "integer", "minimum": 0, "maximum": 1<<31 - 1}, {"type": "string", "pattern": withVariable}}},
	reflect.TypeFor[Number]():   {"anyOf": []schema{{"type": "number", "minimum": 0, "exclusiveMaximum": 1e9}, {"type": "string", "pattern": withVariable}}},
	reflect.TypeFor[Size]():     {"anyOf": []schema{{"type": "integer", "minimum": 0}, {"type": "string", "pattern": sizePattern}, {"type": "string", "pattern": withVariable}}},
	reflect.TypeFor[Duration](): {"anyOf": []schema{{"type": "string", "pattern": durationPattern}, {"type": "string", "pattern": withVariable}}},
	reflect.TypeFor[List]():     {"anyOf": []schema{ref("Text"), {"type": "array", "items": ref("Text")}}},
	reflect.TypeFor[Args]():     {"type": "array", "items": ref("Text")},
	reflect.TypeFor[Pairs](): {"anyOf": []schema{
		{"type": "object", "additionalProperties": schema{"type": []string{"string", "number", "boolean", "null"}}},
		{"type": "array", "items": schema{"type": "string", "pattern": "^[^=]"}},
	}},
	reflect.TypeFor[HealthTest](): {"anyOf": []schema{ref("Plain"),
		{"type": "array", "items": ref("Text"), "minItems": 1, "prefixItems": []schema{{"enum": []string{"CMD", "CMD-SHELL", "NONE"}}}}}},
}

// same are types with the schema of another.
var same = map[reflect.Type]reflect.Type{
	reflect.TypeFor[Path]():      reflect.TypeFor[Text](),
	reflect.TypeFor[Stage]():     reflect.TypeFor[Text](),
	reflect.TypeFor[Contexts]():  reflect.TypeFor[Pairs](),
	reflect.TypeFor[Paths]():     reflect.TypeFor[List](),
	reflect.TypeFor[SignKey]():   reflect.TypeFor[Text](),
	reflect.TypeFor[Locations](): reflect.TypeFor[List](),
	reflect.TypeFor[SSH]():       reflect.TypeFor[List](),
}

func has(keys ...string) schema { return schema{"required": keys} }

func hasAny(keys ...string) schema {
	var list []schema
	for _, k := range keys {
		list = append(list, has(k))
	}
	return schema{"anyOf": list}
}

func not(s schema) schema { return schema{"not": s} }

func exactlyOne(keys ...string) schema {
	var list []schema
	for _, k := range keys {
		list = append(list, has(k))
	}
	return schema{"oneOf": list}
}

func atMostOne(keys ...string) schema {
	return schema{"oneOf": append(exactlyOne(keys...)["oneOf"].([]schema), not(hasAny(keys...)))}
}

// nonEmpty refuses an empty text.
func nonEmpty(key string) schema {
	return schema{"properties": schema{key: schema{"minLength": 1}}}
}

// rules are what the structs' check methods say, where a schema can say it.
var rules = map[reflect.Type][]schema{
	reflect.TypeFor[File]():   {{"if": schema{"required": []string{"tags"}, "properties": schema{"tags": schema{"not": schema{"maxItems": 0}}}}, "then": has("image")}},
	reflect.TypeFor[Secret](): {exactlyOne("src", "env")},
	reflect.TypeFor[Test](): {
		hasAny("run", "args", "stage", "file"), atMostOne("run", "args"), atMostOne("stage", "image"),
		{"if": has("file"), "then": not(hasAny("run", "args", "stage"))},
		{"if": not(hasAny("run", "args")), "then": not(hasAny("image", "workdir", "user", "network", "memory", "cpus", "shards"))},
		{"if": not(hasAny("run", "args")), "then": schema{"properties": schema{"env": schema{"maxItems": 0, "maxProperties": 0}, "mounts": schema{"maxItems": 0}, "services": schema{"maxItems": 0}}}},
		{"properties": schema{"args": schema{"minItems": 1}, "shards": schema{"not": schema{"const": 0}}}},
		{"properties": schema{"file": schema{"minItems": 1, "items": schema{"minLength": 1}}}},
		{"if": has("name"), "then": schema{"properties": schema{"file": schema{"maxItems": 1}}}},
		{"if": schema{"required": []string{"split"}, "properties": schema{"split": schema{"minItems": 1}}}, "then": has("shards")},
		nonEmpty("stage"), nonEmpty("file"),
	},
	reflect.TypeFor[Service](): {
		exactlyOne("image", "stage", "from"), {"if": has("run"), "then": not(hasAny("args", "entrypoint"))},
	},
	reflect.TypeFor[Probe](): {atMostOne("test", "port", "log")},
	reflect.TypeFor[Mount](): mountRules(),
}

func mountRules() []schema {
	all := []string{"from", "stage", "image", "path", "read-only", "id", "env", "optional", "size"}
	var out []schema
	for kind, keys := range mountKeys {
		var others []string
		for _, k := range all {
			if !strings.Contains(" "+strings.Join(keys, " ")+" ", " "+k+" ") {
				others = append(others, k)
			}
		}
		is := schema{"properties": schema{"type": schema{"const": kind}}, "required": []string{"type"}}
		then := []schema{not(hasAny(others...))}
		switch kind {
		case "bind":
			is = schema{"properties": schema{"type": schema{"const": kind}}}
			then = append(then, has("target"), exactlyOne("from", "stage", "image"))
		case "secret":
			then = append(then, has("id"))
		case "cache", "tmpfs":
			then = append(then, has("target"))
		}
		out = append(out, schema{"if": is, "then": schema{"allOf": then}})
	}
	// Not a map's order.
	for i := range out {
		for j := range out[:i] {
			if text(out[i]) < text(out[j]) {
				out[i], out[j] = out[j], out[i]
			}
		}
	}
	return out
}

func text(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return b.String()
}

// generator writes the schema of types.
type generator struct{ defs schema }

func (g *generator) of(t reflect.Type) schema {
	if s, ok := same[t]; ok {
		return g.of(s)
	}
	if s, ok := scalars[t]; ok {
		g.defs[t.Name()] = s
		g.defs["Text"], g.defs["Plain"] = scalars[reflect.TypeFor[Text]()], scalars[reflect.TypeFor[Plain]()]
		return ref(t.Name())
	}
	if c, ok := reflect.New(t).Interface().(choice); ok {
		return schema{"anyOf": []schema{{"enum": c.choices()}, {"type": "string", "pattern": withVariable}}}
	}
	switch t {
	case reflect.TypeFor[Secrets]():
		return schema{"type": "object", "additionalProperties": g.of(reflect.TypeFor[Secret]()), "propertyNames": schema{"minLength": 1}}
	case reflect.TypeFor[Map[Service]]():
		return schema{"type": "object", "additionalProperties": g.of(reflect.TypeFor[Service]()), "propertyNames": schema{"minLength": 1}}
	case reflect.TypeFor[Dependencies]():
		return schema{"anyOf": []schema{
			{"type": "array", "items": ref("Text")},
			{"type": "object", "propertyNames": schema{"minLength": 1}, "additionalProperties": schema{"anyOf": []schema{g.of(reflect.TypeFor[Condition]()), g.object(reflect.TypeFor[Dependency]())}}},
		}}
	case reflect.TypeFor[ServiceRef]():
		return schema{"anyOf": []schema{ref("Text"), {"allOf": []schema{g.of(reflect.TypeFor[Service]()), has("name"), nonEmpty("name")}}}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.Slice:
		return schema{"type": "array", "items": g.of(t.Elem())}
	}
	short := map[reflect.Type]schema{
		reflect.TypeFor[Test]():  ref("Plain"),
		reflect.TypeFor[Mount](): {"type": "string", "pattern": `^[^:$]+:[^:$]+(:ro)?$`},
	}
	if s, ok := short[t]; ok {
		g.defs[t.Name()] = schema{"anyOf": []schema{s, g.object(t)}}
	} else {
		g.defs[t.Name()] = g.object(t)
	}
	return ref(t.Name())
}

func (g *generator) object(t reflect.Type) schema {
	properties := schema{}
	for i := range t.NumField() {
		f := t.Field(i)
		if key := f.Tag.Get("key"); key != "" {
			properties[key] = schema{"description": f.Tag.Get("doc"), "allOf": []schema{g.of(f.Type)}}
		}
	}
	out := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if r := rules[t]; r != nil {
		out["allOf"] = r
	}
	return out
}

func generate() string {
	g := &generator{defs: schema{}}
	root := g.object(reflect.TypeFor[File]())
	root["type"] = []string{"object", "null"}
	root["patternProperties"] = schema{"^x-": true}
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = "https://raw.githubusercontent.com/seatrial/seatrial/main/cmd/internal/config/" + schemaFile
	root["title"] = "seatrial.yaml"
	root["$defs"] = g.defs
	return text(root)
}

// TestSchemaIsTheLoaders holds the schema that editors use against the structs that
// the loader fills.
func TestSchemaIsTheLoaders(t *testing.T) {
	want := generate()
	if *update {
		if err := os.WriteFile(schemaFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the loader takes: go test ./cmd/internal/config -update", schemaFile)
	}
}

// TestEveryKeyIsExplained looks at what an editor shows.
func TestEveryKeyIsExplained(t *testing.T) {
	for _, x := range []any{File{}, Build{}, Testing{}, Push{}, Reports{}, Builder{}, Test{}, Mount{}, Service{}, Probe{}, Secret{}, Dependency{}} {
		v := reflect.TypeOf(x)
		for i := range v.NumField() {
			if f := v.Field(i); f.Tag.Get("key") != "" && f.Tag.Get("doc") == "" {
				t.Errorf("%s.%s has no doc", v.Name(), f.Name)
			}
		}
	}
}

// TestVerdicts has the loader and a JSON Schema validator judge the same files. Those
// that only the loader can find fault with are in loader.txtar.
func TestVerdicts(t *testing.T) {
	compiled, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		archive       string
		loads, schema bool
	}{{"valid", true, true}, {"invalid", false, false}, {"loader", false, true}} {
		ar, err := txtar.ParseFile(filepath.Join("testdata", test.archive+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range ar.Files {
			t.Run(test.archive+"/"+f.Name, func(t *testing.T) {
				_, err := Load(f.Name, f.Data)
				if got := err == nil; got != test.loads {
					t.Errorf("Load() = %v, want it to load: %v", err, test.loads)
				}
				var e *Error
				if err != nil && (!errors.As(err, &e) || e.Pos.Line < 1 || e.Pos.Column < 1) {
					t.Errorf("Load() = %v, want an *Error with a place", err)
				}
				if err := compiled.Validate(asJSON(t, f.Data)); (err == nil) != test.schema {
					t.Errorf("the schema's verdict = %v, want it valid: %v", err, test.schema)
				}
			})
		}
	}
}

// TestReadme has the examples be what they are said to be.
func TestReadme(t *testing.T) {
	compiled, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(readme), "```yaml\n")[1:]
	if len(blocks) < 2 {
		t.Fatalf("README.md has %d examples, want two at least", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if _, err := Load("README.md", []byte(block)); err != nil {
			t.Errorf("Load() of %s = %v", block, err)
		}
		if err := compiled.Validate(asJSON(t, []byte(block))); err != nil {
			t.Errorf("the schema's verdict on %s = %v", block, err)
		}
	}
}

// asJSON is YAML as a JSON Schema validator sees it.
func asJSON(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	dt, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(dt))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
