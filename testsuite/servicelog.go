package testsuite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
)

// servicesDir has the logs of a test's services, in the directory of the test.
const servicesDir = "services"

// serviceLog is all that a service prints, in a file without a name: nothing is left of
// it whatever happens. It never makes a writer wait: all processes of a build share one
// stream.
type serviceLog struct {
	mu      sync.Mutex
	file    *os.File
	err     error
	lines   lineReader
	matched chan struct{} // closed when a line has matched
}

// newServiceLog looks for lines that match pattern; "" is none.
func newServiceLog(pattern string) (*serviceLog, error) {
	file, err := os.CreateTemp("", "seatrial-service-*")
	if err != nil {
		return nil, fmt.Errorf("making a file for a service's output: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("making a file for a service's output: %w", err), file.Close())
	}
	l := &serviceLog{file: file, matched: make(chan struct{})}
	if pattern == "" {
		return l, nil
	}
	want, err := regexp.Compile(pattern)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	found := false
	l.lines.line = func(line []byte) error {
		if !found && want.Match(line) {
			found = true
			close(l.matched)
		}
		return nil
	}
	return l, nil
}

// Write implements io.Writer. An error of the file is for later: the service goes on.
func (l *serviceLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		_, l.err = l.file.Write(p)
	}
	if l.lines.line != nil {
		_, _ = l.lines.Write(p) // its own function has no errors
	}
	return len(p), nil
}

// Close is for the gateway, which closes it for each stream.
func (l *serviceLog) Close() error { return nil }

// say adds a line of ours.
func (l *serviceLog) say(format string, args ...any) {
	fmt.Fprintf(l, "seatrial: "+format+"\n", args...)
}

// discard gives the file back.
func (l *serviceLog) discard() { _ = l.file.Close() } // what was to be kept was copied

// copyTo writes all of it.
func (l *serviceLog) copyTo(w io.Writer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	size, err := l.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, io.NewSectionReader(l.file, 0, size))
	return err
}

// tail is its last lines, at most n.
func (l *serviceLog) tail(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	size, err := l.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil
	}
	from := max(0, size-tailSize)
	buf := make([]byte, size-from)
	if _, err := l.file.ReadAt(buf, from); err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	text := strings.TrimRight(string(buf), "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	return lines[max(0, len(lines)-n):]
}

// bringServices writes the logs of the services into the directory of the run.
func (s *Suite) bringServices(root *os.Root, k *stack) error {
	if k == nil || len(k.instances) == 0 {
		return nil
	}
	if err := root.MkdirAll(servicesDir, 0o755); err != nil {
		return &localError{fmt.Errorf("writing the output of services: %w", err)}
	}
	for _, c := range k.instances {
		if c.log == nil {
			continue
		}
		file, err := root.Create(path.Join(servicesDir, c.Name+".log"))
		if err != nil {
			return &localError{fmt.Errorf("writing the output of service %q: %w", c.Name, err)}
		}
		w := &redactor{w: file, redact: s.Redact}
		if err := errors.Join(c.log.copyTo(w), w.flush(), file.Close()); err != nil {
			return &localError{fmt.Errorf("writing the output of service %q: %w", c.Name, err)}
		}
	}
	return nil
}
