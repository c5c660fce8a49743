package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/buildkit/solver/errdefs"

	"github.com/seatrial/seatrial/cmd/internal/config"
	"github.com/seatrial/seatrial/testsuite"
)

// fileError shows the line that an error of the file is about.
func fileError(err error) error {
	var e *config.Error
	if !errors.As(err, &e) {
		return err
	}
	return usagef(e.Hint, "%w", atLine(err, e))
}

// atLine gives err the line that e has.
func atLine(err error, e *config.Error) error { return errdefs.WithSource(err, lineOf(e)) }

func lineOf(e *config.Error) *errdefs.Source { return sourceLine(e.Name, e.Data, e.Pos.Line) }

// blame finds the line of the file that an error about a flag is about: what flags can
// say is parsed where flags are, which know nothing of files.
func (pr *project) blame(err error) error {
	var usage *usageError
	if pr.file == nil || !errors.As(err, &usage) || len(errdefs.Sources(err)) > 0 {
		return err
	}
	pos, ok := pr.suspect(err)
	if !ok {
		return err
	}
	e := pr.file.Error(pos, "", "")
	return usagef(usage.hint, "%w", atLine(fmt.Errorf("%s:%d:%d: %w", e.Name, pos.Line, pos.Column, err), e))
}

var flagInText = regexp.MustCompile(`--([a-z][a-z-]+)`)

// suspect is a value of the first flag that the error names, if the file gave it; or, if
// it names none, the stage that is not there or the value that it quotes.
func (pr *project) suspect(err error) (config.Pos, bool) {
	text := err.Error()
	flags := flagInText.FindAllStringSubmatch(text, -1)
	var unknown *testsuite.UnknownStageError
	if errors.As(err, &unknown) && len(flags) == 0 {
		pos, ok := pr.stages[unknown.Stage]
		return pos, ok
	}
	for _, m := range flags {
		for _, s := range pr.applied {
			if s.Flag != m[1] {
				continue
			}
			pos, ok := quoted(text, s.Values)
			if _, given := pr.given[s.Flag]; !ok && len(s.Values) == 1 && !given || !ok && !s.Named {
				return s.Values[0].Pos, true
			}
			return pos, ok // of a named setting the command line may have more
		}
	}
	for _, s := range pr.applied {
		if pos, ok := quoted(text, s.Values); ok && len(flags) == 0 {
			return pos, true
		}
	}
	if m := declaredInText.FindStringSubmatch(text); m != nil {
		return pr.file.Declares(m[1], m[2])
	}
	return config.Pos{}, false
}

// declaredInText is how a test, and a service of it, are named in errors.
var declaredInText = regexp.MustCompile(`^test "([^"]*)": (?:service "([^"]*)":)?`)

// quoted finds the value that text has in quotation marks, all of it or what is
// behind =, or the path behind the last = without any.
func quoted(text string, values []config.Value) (config.Pos, bool) {
	for _, v := range values {
		_, rest, _ := strings.Cut(v.Text, "=")
		for _, part := range []string{v.Text, rest} {
			if part != "" && strings.Contains(text, strconv.Quote(part)) {
				return v.Pos, true
			}
		}
	}
	for _, v := range values {
		if path := v.Text[strings.LastIndex(v.Text, "=")+1:]; len(path) > 2 && path != v.Text && strings.Contains(text, " "+path+":") {
			return v.Pos, true
		}
	}
	return config.Pos{}, false
}
