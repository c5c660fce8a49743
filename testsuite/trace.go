package testsuite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	digest "github.com/opencontainers/go-digest"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
	"github.com/seatrial/seatrial/testsuite/junit"
)

// trace is what one attempt of a test left behind.
type trace struct {
	id        string    // tells the execution from every other one; "" if the helper had no part in it
	started   time.Time // of the first command, by the clock of the daemon's machine
	timedOut  bool
	said      string // what the helper says of the command, if it could not run it
	service   string // what became of one that failed
	truncated string // why the log file is not complete
	full      []Volume
	tail      []byte // of the output
	code      int    // the exit code that the helper passed on

	serviceTail []byte // of the output of services that failed

	cached bool          // it is known to have passed, and has left nothing
	took   time.Duration // of what is no step of the build

	dir       string   // in Suite.ReportDir
	stopped   bool     // nobody waited for its end
	files     []string // in dir
	unmatched []string // patterns
	skipped   []string // what matched and is no file
	lost      string   // why nothing could be brought back
	report    *junit.Report
	problems  []Problem
}

// Problem is a report that could not be understood.
type Problem struct {
	File string // below Suite.ReportDir
	Err  error
}

// tailSize is how much of a test's output is kept for error messages.
const tailSize = 64 << 10

// trace looks at what an attempt left behind, and brings it here.
func (s *Suite) trace(ctx context.Context, t *llb.Trial, r *run, ref gateway.Reference, failed error) (*trace, error) {
	tr := &trace{code: -1}
	if ctx.Err() != nil {
		return tr, s.bringStopped(r, tr)
	}
	if failed != nil && !isTestFailure(t, failed) {
		return tr, nil
	}
	var service *ServiceError
	if errors.As(failed, &service) {
		failed = nil // the test itself has passed
	}
	left, err := t.Remains(ctx, r.graph, ref, failed)
	defer left.Release(context.WithoutCancel(ctx))
	if err == nil {
		err = tr.read(ctx, left)
	}
	s.traceServices(tr, r.stack())
	if s.Redact != nil && len(tr.tail) > 0 {
		tr.tail = s.Redact(tr.tail)
	}
	if err == nil && s.ReportDir != "" {
		err = s.bring(ctx, t, r, left, tr)
	}
	if ctx.Err() != nil {
		return tr, context.Cause(ctx)
	}
	var local *localError
	if errors.As(err, &local) {
		return tr, err
	}
	if err != nil { // the daemon has lost it: that is no verdict on the test
		tr.lost = llb.Plain(err.Error())
	}
	tr.understand(s)
	return tr, nil
}

// localError is one of writing on this machine.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// read reads what the helper has written of the commands.
func (tr *trace) read(ctx context.Context, left *llb.Remains) error {
	var tailErr error
	var wg sync.WaitGroup
	defer wg.Wait()
	if n := len(left.Outputs); n > 0 {
		last := left.Outputs[n-1]
		wg.Go(func() { tr.tail, tailErr = tail(ctx, last.Tree, path.Join(last.Dir, protocol.LogFile)) })
	}
	var all bytes.Buffer
	for _, out := range left.Outputs {
		dt, err := out.Tree.ReadFile(ctx, gateway.ReadRequest{Filename: path.Join(out.Dir, protocol.ResultFile)})
		if missing(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading how the command ended: %w", err)
		}
		var res protocol.Result
		if err := json.Unmarshal(bytes.TrimSpace(dt), &res); err != nil {
			return fmt.Errorf("reading how the command ended: %w", err)
		}
		all.Write(dt)
		tr.take(res)
	}
	if all.Len() > 0 {
		tr.id = digest.FromBytes(all.Bytes()).Encoded()
	}
	wg.Wait()
	return tailErr
}

func (tr *trace) take(res protocol.Result) {
	if at, err := time.Parse(time.RFC3339Nano, res.Started); err == nil && tr.started.IsZero() {
		tr.started = at
	}
	tr.timedOut = tr.timedOut || res.TimedOut
	tr.said, tr.code = res.Error, res.Exit
	if res.LogTruncated != "" {
		tr.truncated = res.LogTruncated
	}
	for _, v := range res.Full {
		tr.full = append(tr.full, Volume{Path: v.Path, Memory: v.Memory})
	}
}

// tail is the end of a file.
func tail(ctx context.Context, tree llb.Tree, name string) ([]byte, error) {
	// Most are short.
	dt, err := tree.ReadFile(ctx, gateway.ReadRequest{Filename: name, Range: &gateway.FileRange{Length: tailSize}})
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the test's output: %w", err)
	}
	if len(dt) < tailSize {
		return dt, nil
	}
	st, err := tree.StatFile(ctx, gateway.StatRequest{Path: name})
	if err != nil {
		return nil, fmt.Errorf("reading the test's output: %w", err)
	}
	var buf bytes.Buffer
	if err := read(ctx, tree, name, int(max(0, st.Size-tailSize)), &buf); err != nil {
		return nil, fmt.Errorf("reading the test's output: %w", err)
	}
	return buf.Bytes(), nil
}

// bring writes the whole output and the reports below Suite.ReportDir.
func (s *Suite) bring(ctx context.Context, t *llb.Trial, r *run, left *llb.Remains, tr *trace) error {
	root, err := s.openDir(r)
	if err != nil {
		return &localError{err}
	}
	defer root.Close()
	tr.dir = r.dir
	if err := s.bringLog(ctx, t, left, root); err != nil {
		return err
	}
	if err := s.bringServices(root, r.stack()); err != nil {
		return err
	}
	if len(r.test.Reports) == 0 {
		return nil
	}
	if left.Root == nil {
		tr.unmatched, tr.lost = r.test.Reports, "the builder has not kept the filesystem"
		return nil
	}
	f := &fetch{tree: left.Root, dir: left.Dir, root: root, redact: s.Redact}
	tr.files, tr.unmatched, err = f.reports(ctx, r.test.Reports)
	tr.skipped = f.skipped
	return err
}

// bringStopped writes what is here already of a test that nobody waits for any more. Its
// own output is here when the solve is over.
func (s *Suite) bringStopped(r *run, tr *trace) error {
	s.mu.Lock()
	began := !r.began.IsZero()
	s.mu.Unlock()
	tr.stopped = began
	if s.ReportDir == "" || r.stack() == nil && !began {
		return nil
	}
	root, err := s.openDir(r)
	if err != nil {
		return &localError{err}
	}
	defer root.Close()
	tr.dir = r.dir
	return s.bringServices(root, r.stack())
}

// bringPrinted writes what has arrived of the output of a test that was stopped. The file
// in which the helper has all of it is gone with the container.
func (s *Suite) bringPrinted(r *run, rec *llb.Record) error {
	if r.trace == nil || !r.trace.stopped || r.trace.dir == "" || r.graph == nil {
		return nil
	}
	root, err := os.OpenRoot(filepath.Join(s.ReportDir, r.trace.dir))
	if err != nil {
		return fmt.Errorf("opening the report directory: %w", err)
	}
	defer root.Close()
	file, err := root.Create(protocol.LogFile)
	if err != nil {
		return fmt.Errorf("writing the test's output: %w", err)
	}
	w := &redactor{w: file, redact: s.Redact}
	end := byte('\n')
	for _, dgst := range r.graph.Commands {
		out := rec.Printed(dgst)
		if len(out) == 0 {
			continue
		}
		if len(r.graph.Commands) > 1 {
			fmt.Fprintf(w, "==> %s\n", rec.Vertex(dgst).Name)
		}
		if _, err = w.Write(out); err != nil {
			break
		}
		end = out[len(out)-1]
	}
	if end != '\n' {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "seatrial: stopped here: this is what had arrived of its output")
	if err := errors.Join(err, w.flush(), file.Close()); err != nil {
		return fmt.Errorf("writing the test's output: %w", err)
	}
	return nil
}

// openDir makes the directory of a run, empty. What an earlier attempt left is put aside.
func (s *Suite) openDir(r *run) (*os.Root, error) {
	if err := os.MkdirAll(s.ReportDir, 0o755); err != nil {
		return nil, fmt.Errorf("making the report directory: %w", err)
	}
	// Nothing in it is meant for anybody's repository, or image.
	ignore := filepath.Join(s.ReportDir, ".gitignore")
	if _, err := os.Lstat(ignore); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(ignore, []byte("*\n"), 0o644); err != nil {
			return nil, fmt.Errorf("making the report directory: %w", err)
		}
	}
	all, err := os.OpenRoot(s.ReportDir)
	if err != nil {
		return nil, fmt.Errorf("opening the report directory: %w", err)
	}
	defer all.Close()
	if r.attempts > 0 && r.trace != nil && r.trace.dir != "" {
		err = all.Rename(r.dir, fmt.Sprintf("%s.attempt-%d", r.dir, r.attempts))
	} else {
		err = s.clear(all, r)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = all.MkdirAll(r.dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("making the directory for the reports of test %q: %w", r.title(), err)
	}
	return all.OpenRoot(r.dir)
}

// clear removes what an earlier run left.
func (s *Suite) clear(all *os.Root, r *run) error {
	entries, err := fs.ReadDir(all.FS(), ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); name == r.dir || strings.HasPrefix(name, r.dir+".attempt-") {
			if err := all.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// bringLog writes what all commands printed, one after the other.
func (s *Suite) bringLog(ctx context.Context, t *llb.Trial, left *llb.Remains, root *os.Root) error {
	if len(left.Outputs) == 0 {
		return nil
	}
	file, err := root.Create(protocol.LogFile)
	if err != nil {
		return &localError{fmt.Errorf("writing the test's output: %w", err)}
	}
	w := &redactor{w: file, redact: s.Redact}
	for _, out := range left.Outputs {
		if len(left.Outputs) > 1 {
			fmt.Fprintf(w, "==> %s\n", t.Name(out.Command))
		}
		err := read(ctx, out.Tree, path.Join(out.Dir, protocol.LogFile), 0, w)
		if err != nil && !missing(err) {
			return errors.Join(fmt.Errorf("bringing back the test's output: %w", err), file.Close())
		}
	}
	if err := errors.Join(w.flush(), file.Close()); err != nil {
		return &localError{fmt.Errorf("writing the test's output: %w", err)}
	}
	return nil
}

var _ io.Writer = (*redactor)(nil)
