package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Lookup finds the value of a variable: one of the environment, or git.commit,
// git.short, git.branch and git.tag. Its error says why there is none.
type Lookup func(name string) (string, error)

// gitNames are the variables that come from the repository.
var gitNames = []string{"git.commit", "git.short", "git.branch", "git.tag"}

// part of a text: a literal, or a variable with what is to be done without it.
type part struct {
	literal string
	name    string
	op      string // "", "-", ":-", "?" or ":?"
	arg     []part
}

var variable = regexp.MustCompile(`^(git\.[a-z]*|[A-Za-z_][A-Za-z0-9_]*)(:?[-?])?`)

// parseTemplate takes a text apart. Only ${ is special, and $${ stands for it.
func parseTemplate(s string) ([]part, error) {
	var all []part
	for {
		out, rest, err := parts(s, 0)
		if all = append(all, out...); err != nil || rest == "" {
			return all, err
		}
		// Outside of a variable a brace is a brace.
		all, s = append(all, part{literal: "}"}), rest[1:]
	}
}

// maxDepth is how deep defaults are nested by somebody who wants to be understood.
const maxDepth = 10

// parts reads until the brace that s does not open, and returns the rest from there.
func parts(s string, depth int) (out []part, rest string, err error) {
	var literal strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "$}")
		if i < 0 {
			i = len(s)
		}
		literal.WriteString(s[:i])
		switch s = s[i:]; {
		case s == "" || s[0] == '}':
			return append(out, part{literal: literal.String()}), s, nil
		case strings.HasPrefix(s, "$${"):
			literal.WriteString("${")
			s = s[3:]
		case strings.HasPrefix(s, "${"):
			p, after, err := parseVariable(s, depth)
			if err != nil {
				return nil, "", err
			}
			out, s = append(out, part{literal: literal.String()}, p), after
			literal.Reset()
		default:
			literal.WriteByte('$')
			s = s[1:]
		}
	}
	return append(out, part{literal: literal.String()}), "", nil
}

func parseVariable(s string, depth int) (part, string, error) {
	if depth > maxDepth {
		return part{}, "", fmt.Errorf("variables are nested more than %d deep", maxDepth)
	}
	m := variable.FindStringSubmatch(s[2:])
	if m == nil {
		return part{}, "", fmt.Errorf("no variable's name follows ${ in %q", beginning(s))
	}
	p := part{name: m[1], op: m[2]}
	if strings.HasPrefix(p.name, "git.") && !slices.Contains(gitNames, p.name) {
		return part{}, "", fmt.Errorf("${%s} is not one of %s", p.name, strings.Join(gitNames, ", "))
	}
	rest := s[2+len(m[0]):]
	if p.op != "" {
		var err error
		if p.arg, rest, err = parts(rest, depth+1); err != nil {
			return part{}, "", err
		}
	}
	switch {
	case rest == "":
		return part{}, "", fmt.Errorf("${%s has no }", p.name)
	case rest[0] != '}':
		return part{}, "", fmt.Errorf("after ${%s one of } :- - :? ? is expected, not %q", p.name, beginning(rest))
	}
	return p, rest[1:], nil
}

// beginning is what an error shows of a text.
func beginning(s string) string {
	const most = 30
	if r := []rune(s[:min(len(s), 4*most)]); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// expand puts the variables' values in.
func expand(parts []part, lookup Lookup) (string, error) {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.literal)
		if p.name == "" {
			continue
		}
		v, err := p.value(lookup)
		if err != nil {
			return "", err
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

func (p part) value(lookup Lookup) (string, error) {
	v, err := lookup(p.name)
	if err == nil && (v != "" || !strings.HasPrefix(p.op, ":")) {
		return v, nil
	}
	switch {
	case strings.HasSuffix(p.op, "-"):
		return expand(p.arg, lookup)
	case strings.HasSuffix(p.op, "?"):
		message, argErr := expand(p.arg, lookup)
		if argErr != nil || message == "" {
			message = "it is needed"
		}
		return "", fmt.Errorf("${%s} has no value: %s", p.name, message)
	}
	return "", fmt.Errorf("${%s} has no value: %w", p.name, err)
}

// names are the variables in parts.
func names(parts []part) []string {
	var out []string
	for _, p := range parts {
		if p.name != "" {
			out = append(append(out, p.name), names(p.arg)...)
		}
	}
	return out
}
