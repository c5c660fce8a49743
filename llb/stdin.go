package llb

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/moby/buildkit/util/archiveutil"
)

// peeked is how much of the input decides what it is: enough for a header with the
// longest name.
const peeked = 64 << 10

// ReadInput reads what "docker build -" takes: a tar archive, which may be
// compressed, as the context, or a Dockerfile that needs no context. dockerfile is a
// path in the archive; default: Dockerfile. Close the source when it was built.
func ReadInput(r io.Reader, dockerfile string) (*Source, error) {
	buf := bufio.NewReaderSize(r, peeked)
	head, err := buf.Peek(peeked)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !archiveutil.IsArchive(head) {
		if dockerfile != "" {
			return nil, fmt.Errorf("it is no archive, so %q cannot be in it", dockerfile)
		}
		data, err := readText(buf)
		return &Source{Dockerfile: defaultDockerfile, Data: data, archive: inMemory(nil)}, err
	}
	a, err := readArchive(buf)
	if err != nil {
		return nil, err
	}
	s, err := a.source(dockerfile)
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return s, nil
}

// source finds the Dockerfile in the archive.
func (a *archive) source(dockerfile string) (*Source, error) {
	names := []string{dockerfile}
	if dockerfile == "" {
		names = []string{defaultDockerfile, strings.ToLower(defaultDockerfile)}
	}
	for _, name := range names {
		data, err := a.readFile(name, maxDockerfile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading Dockerfile %q of the archive: %w", name, err)
		}
		s := &Source{Dockerfile: name, Data: data, archive: a}
		return s, s.readIgnore(name+defaultDockerignore, defaultDockerignore)
	}
	return nil, fmt.Errorf("the archive has no %s: %w", names[0], fs.ErrNotExist)
}

// readText reads a Dockerfile.
func readText(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDockerfile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) == 0:
		return nil, errors.New("it is empty")
	case len(data) > maxDockerfile:
		return nil, fmt.Errorf("it has more than the %d bytes that BuildKit takes", maxDockerfile)
	}
	return data, nil
}

// Close lets go of an archive that the source was read from. Closing twice, or a
// source of another kind, is harmless.
func (s *Source) Close() error {
	if s == nil || s.archive == nil || s.archive.close == nil {
		return nil
	}
	err := s.archive.close()
	s.archive.close = nil
	return err
}
