package compose

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seatrial/seatrial/testsuite"
)

var (
	pathInError      = regexp.MustCompile(`\b(?:services|networks|volumes|secrets|configs|include)(?:\.[\w-]+|\[[\w-]+\])+`)
	topInError       = regexp.MustCompile("^`?(\\w+)`? must be")
	validating       = regexp.MustCompile(`^validating \S+: `)
	serviceInError   = regexp.MustCompile(`\bservice "?([\w.-]+)"?`)
	undefinedInError = regexp.MustCompile(`undefined (volume|network|secret|config) ([\w.-]+)`)
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
	case strings.HasPrefix(text, "a value is missing"):
		hint = "look for a key with nothing, or null, behind it"
	case strings.Contains(text, "invalid duration"):
		hint = "a time looks like 10s or 1m30s"
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
		at = cmp.Or(naming(d.top, filepath.Base(missing.Path)), at)
	}
	out := d.errorAt(at, hint, "%s", text)
	out.Err = err
	return out
}

// naming is where the file says a path that ends with name.
func naming(n *yaml.Node, name string) *yaml.Node {
	if n.Kind == yaml.ScalarNode && filepath.Base(n.Value) == name {
		return n
	}
	for _, c := range n.Content {
		if found := naming(c, name); found != nil {
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
