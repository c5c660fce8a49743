package compose

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/util/suggest"
	"go.yaml.in/yaml/v4"

	"github.com/seatrial/seatrial/testsuite"
)

var (
	pathInError      = regexp.MustCompile(`\b(?:services|networks|volumes|secrets|configs|include)(?:\.[\w-]+|\[[\w-]+\])+`)
	topInError       = regexp.MustCompile("^`?(\\w+)`? must be")
	validating       = regexp.MustCompile(`^validating \S+: `)
	serviceInError   = regexp.MustCompile(`\bservice "?([\w.-]+)"?`)
	undefinedInError = regexp.MustCompile(`undefined (volume|network|secret|config) ([\w.-]+)`)
	unitless         = regexp.MustCompile(`\.healthcheck\.\w+ must be a string$`)
	unconditional    = regexp.MustCompile(`\.depends_on\.[\w-]+ must be a mapping$`)
	badPort          = regexp.MustCompile(`invalid (?:containerPort|hostPort|proto): "?([^\s"]+)"?`)
	quotedInError    = regexp.MustCompile(`'([^']+)' not allowed`)
)

// place finds the lines that an error of compose-go is about, and what to do.
func (d *document) place(err error, abs string) *Error {
	text := d.plain(err.Error(), abs)
	path := pathIn(text)
	hint := ""
	switch undefined := undefinedInError.FindStringSubmatch(text); {
	case undefined != nil:
		key := undefined[1] + "s"
		path = append(path, key, undefined[2])
		hint = fmt.Sprintf("declare it, with a line `%s:` at the top and `%s:` below it", key, undefined[2])
	case strings.Contains(text, "required variable"):
		hint = "set it where this command runs, or give it a default: ${NAME:-VALUE}"
	case strings.Contains(text, "interpolation format"):
		text, _, _ = strings.Cut(text, ".; ")
		hint = "a variable is ${NAME}; a $ that is none is written $$"
	case strings.Contains(text, "condition"):
		hint = "the conditions are " + conditions()
	case strings.HasSuffix(text, " false schema"):
		text = strings.TrimSuffix(text, " false schema") + " is not a key of Compose"
		hint = "look for a typing error; keys of one's own begin with x-"
		if known := meant(path); known != "" {
			hint = fmt.Sprintf("did you mean %q?", known)
		}
	case strings.HasPrefix(text, "a value is missing"):
		hint = "look for a key with nothing, or null, behind it"
	case strings.Contains(text, "invalid duration"):
		hint = "a time looks like 10s or 1m30s"
	case unitless.MatchString(text):
		hint = "a time has a unit: 10s or 1m30s"
	case unconditional.MatchString(text):
		hint = "write NAME: {condition: " + string(testsuite.Started) + "}, or make depends_on a list: [NAME]"
	case badPort.MatchString(text):
		hint = "a port looks like 8080 or 8080:80"
	case strings.HasPrefix(text, "services.sut must"), strings.HasPrefix(text, "services must"):
		hint = example
	case errors.Is(err, fs.ErrNotExist):
		hint = "paths are relative to the Compose file"
	}
	at := &yaml.Node{}
	var missing *fs.PathError
	switch {
	case len(path) > 0:
		at = d.at(path...)
	case errors.As(err, &missing):
		at = cmp.Or(naming(d.top, func(value string) bool { return filepath.Base(value) == filepath.Base(missing.Path) }), at)
	case badPort.MatchString(text):
		port := badPort.FindStringSubmatch(text)[1]
		at = cmp.Or(naming(d.top, func(value string) bool { return slices.Contains(portParts(value), port) }), at)
	}
	out := d.errorAt(at, hint, "%s", text)
	out.Err = err
	return out
}

// portParts are the ports, the address and the protocol of a port.
func portParts(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == '/' })
}

// meant is the key of a service that is nearly the last part of a path; "" if there is
// none.
func meant(path []string) string {
	if len(path) != 3 || path[0] != "services" {
		return ""
	}
	var known []string
	var add func(t reflect.Type)
	add = func(t reflect.Type) {
		for i := range t.NumField() {
			key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if t.Field(i).Anonymous {
				add(t.Field(i).Type)
			} else if key != "" && key != "-" {
				known = append(known, key)
			}
		}
	}
	add(reflect.TypeFor[types.ServiceConfig]())
	match, _ := suggest.Search(path[2], known, true)
	return match
}

// naming is the first value of the file that is the one looked for.
func naming(n *yaml.Node, is func(string) bool) *yaml.Node {
	if n.Kind == yaml.ScalarNode && is(n.Value) {
		return n
	}
	for _, c := range n.Content {
		if found := naming(c, is); found != nil {
			return found
		}
	}
	return nil
}

// plain is compose-go's text in one line, with paths as the user wrote them.
func (d *document) plain(text, abs string) string {
	text = strings.ReplaceAll(text, abs, d.file)
	text = strings.ReplaceAll(text, filepath.Dir(abs)+string(filepath.Separator), "")
	text = validating.ReplaceAllString(text, "")
	text = strings.TrimPrefix(text, "error while interpolating ")
	text = strings.TrimPrefix(text, "decoding failed due to the following error(s):\n\n")
	text = strings.TrimSuffix(text, ": invalid compose project")
	return strings.ReplaceAll(text, "\n", "; ")
}

func pathIn(text string) []string {
	var path []string
	if p := pathInError.FindString(text); p != "" {
		path = strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(p), ".")
	} else if m := topInError.FindStringSubmatch(text); m != nil {
		path = []string{m[1]}
	} else if m := serviceInError.FindStringSubmatch(text); m != nil {
		path = []string{"services", m[1]}
	}
	if m := quotedInError.FindStringSubmatch(text); m != nil {
		path = append(path, m[1])
	}
	return path
}

func conditions() string {
	return strings.Join([]string{string(testsuite.Started), string(testsuite.Healthy), string(testsuite.Completed)}, ", ")
}
