package llb

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// readIgnore reads the first of names that is there. docker build looks for the
// Dockerfile's own (Dockerfile.dockerignore) before the context's.
func (s *Source) readIgnore(names ...string) error {
	read := func(name string) ([]byte, error) { return readInside(name, s.Dir) }
	if s.archive != nil {
		read = func(name string) ([]byte, error) { return s.archive.readFile(name, maxDockerfile) }
	}
	for _, name := range names {
		dt, err := read(name)
		if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrOutside) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading ignore file %q: %w", name, err)
		}
		s.IgnoreName, s.IgnoreData = name, dt
		s.Excludes, err = parseIgnore(name, dt)
		return err
	}
	return nil
}

// ignoreFile is the general one of a directory.
func (s *Source) ignoreFile() string { return filepath.Join(s.Dir, defaultDockerignore) }

// parseIgnore is an ignore file's patterns. An error has the line, which BuildKit
// would not say.
func parseIgnore(name string, data []byte) ([]string, error) {
	patterns, err := ignorefile.ReadAll(bytes.NewReader(data))
	if err == nil {
		err = checkPatterns(patterns)
	}
	if err == nil {
		return patterns, nil
	}
	n := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		n++
		if len(line) >= bufio.MaxScanTokenSize {
			return nil, fmt.Errorf("%s:%d: the line has %d bytes, which is too long for a pattern", name, n, len(line))
		}
		patterns, err := ignorefile.ReadAll(strings.NewReader(line))
		if err == nil {
			err = checkPatterns(patterns)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: pattern %q: %w", name, n, strings.TrimSpace(line), err)
		}
	}
	return nil, fmt.Errorf("reading ignore file %q: %w", name, err)
}

func checkPatterns(patterns []string) error {
	m, err := patternmatcher.New(patterns)
	if err != nil {
		return err
	}
	_, err = m.MatchesOrParentMatches("a/b") // some it compiles only when they are used
	return err
}
