package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"

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
func atLine(err error, e *config.Error) error {
	at := &pb.Position{Line: int32(e.Pos.Line)} //nolint:gosec // files have at most 1 MiB
	return errdefs.WithSource(err, &errdefs.Source{
		Info:   &pb.SourceInfo{Filename: e.Name, Data: e.Data},
		Ranges: []*pb.Range{{Start: at, End: at}},
	})
}

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

// suspect is the stage that is not there, or the value that the error quotes, or the
// first one of the flag that it names.
func (pr *project) suspect(err error) (config.Pos, bool) {
	var unknown *testsuite.UnknownStageError
	if errors.As(err, &unknown) {
		pos, ok := pr.stages[unknown.Stage]
		return pos, ok
	}
	text := err.Error()
	for _, s := range pr.applied {
		for _, v := range s.Values {
			if quotes(text, v.Text) {
				return v.Pos, true
			}
		}
	}
	for _, m := range flagInText.FindAllStringSubmatch(text, -1) {
		i := slices.IndexFunc(pr.applied, func(s config.Setting) bool { return s.Flag == m[1] && len(s.Values) > 0 })
		if i >= 0 {
			return pr.applied[i].Values[0].Pos, true
		}
	}
	return config.Pos{}, false
}

// quotes tells whether text has value in quotation marks, or what in it is behind =.
func quotes(text, value string) bool {
	_, rest, _ := strings.Cut(value, "=")
	return strings.Contains(text, strconv.Quote(value)) || rest != "" && strings.Contains(text, strconv.Quote(rest))
}
