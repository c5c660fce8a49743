package llb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tonistiigi/fsutil"

	"github.com/seatrial/seatrial/hack/testenv"
)

// shown is dir as the daemon gets to see it, and what it is offered by.
func shown(t *testing.T, dir string) (fsutil.FS, *inputs) {
	t.Helper()
	in, err := newInputs(Options{Context: dir})
	if err != nil {
		t.Fatal(err)
	}
	return seen(t, in), in
}

func seen(t *testing.T, in *inputs) fsutil.FS {
	t.Helper()
	opt := &fsutil.FilterOpt{}
	if err := in.filter("context", opt); err != nil {
		t.Fatal(err)
	}
	files, err := fsutil.NewFilterFS(in.offers["context"], opt)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestFileThatIsNotSentAsItWasListed changes a file at every moment between its
// being listed and its being sent.
func TestFileThatIsNotSentAsItWasListed(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for name, test := range map[string]struct {
		before, during func(path string) error
	}{
		"removed":              {before: os.Remove},
		"grown before":         {before: func(p string) error { return os.WriteFile(p, []byte("longer than before"), 0o644) }},
		"touched before":       {before: func(p string) error { return os.Chtimes(p, later, later) }},
		"grown":                {during: func(p string) error { return os.WriteFile(p, []byte("longer than before"), 0o644) }},
		"cut":                  {during: func(p string) error { return os.Truncate(p, 0) }},
		"rewritten":            {during: func(p string) error { return os.Chtimes(p, later, later) }},
		"replaced by a FIFO":   {before: func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o644)) }},
		"replaced by a link":   {before: func(p string) error { return errors.Join(os.Remove(p), os.Symlink("/etc/passwd", p)) }},
		"replaced by a folder": {before: func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := testenv.Dir(t, "Dockerfile", "FROM a\n", "sub/file", "12345")
			path := filepath.Join(dir, "sub", "file")
			files, in := shown(t, dir)
			listing(t, files, "/")
			run := func(f func(string) error) {
				if f != nil {
					if err := f(path); err != nil {
						t.Fatal(err)
					}
				}
			}
			run(test.before)
			f, err := files.Open("sub/file")
			if err != nil {
				t.Fatal(err) // fsutil would send an empty file
			}
			defer f.Close()
			run(test.during)
			_, err = io.ReadAll(f)
			var changed *ContextError
			if !errors.As(err, &changed) || changed.Path != "sub/file" || strings.Contains(err.Error(), dir) {
				t.Errorf("reading = %v, want a *ContextError with the path in the context", err)
			}
			if got := in.cause(errors.New("anything")); !errors.Is(got, err) {
				t.Errorf("cause() = %v, want %v", got, err)
			}
			select {
			case <-in.failed:
			default:
				t.Error("the transfer was not told to end")
			}
		})
	}
}

func TestFileThatIsSent(t *testing.T) {
	dir := testenv.Dir(t, "Dockerfile", "FROM a\n", "sub/file", "12345", "sub/empty", "")
	if err := os.Link(filepath.Join(dir, "sub", "file"), filepath.Join(dir, "z")); err != nil {
		t.Fatal(err)
	}
	files, in := shown(t, dir)
	listing(t, files, "/")
	for path, want := range map[string]string{"sub/file": "12345", "sub/empty": "", "z": "12345"} {
		f, err := files.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v, want %q", path, got, err, want)
		}
	}
	got := in.offers["context"].transfer()
	if got.Files != 3 || got.Bytes != 10 || !slices.Equal(got.Sent, []Share{{"sub", 5}, {"z", 5}}) {
		t.Errorf("transfer() = %+v, want 3 files and 10 bytes, half in sub and half in z", got)
	}
}

// TestFileThatVanishesIsLeftOutAlone removes a file that was read from the directory
// and not yet looked at.
func TestFileThatVanishesIsLeftOutAlone(t *testing.T) {
	dir := testenv.Dir(t, "a", "", "b", "", "c", "", "d/e", "")
	files, err := openDir(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	filtered, err := fsutil.NewFilterFS(files, &fsutil.FilterOpt{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = filtered.Walk(context.Background(), "/", func(path string, _ fs.DirEntry, err error) error {
		if path == "a" {
			err = errors.Join(err, os.Remove(filepath.Join(dir, "b")))
		}
		got = append(got, path)
		return err
	})
	if want := []string{"a", "c", "d", "d/e"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("files = %q, %v, want %q", got, err, want)
	}
}

// TestContextOfManyFiles counts what one archive of 100,000 files offers.
func TestContextOfManyFiles(t *testing.T) {
	const files = 100_000
	pipe, w := io.Pipe()
	go func() { w.CloseWithError(writeMany(w, files)) }()
	src, err := ReadInput(pipe, "")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	in, err := newInputs(Options{Source: src})
	if err != nil {
		t.Fatal(err)
	}
	listing(t, seen(t, in), "/")
	got := in.transfers()[0]
	if want := (Share{"many", files}); got.Files != files+1 || got.Listed[0] != want {
		t.Errorf("transfers() = %d files, most in %v, want %d, most in %v", got.Files, got.Listed[0], files+1, want)
	}
}

func TestIgnoreFileErrors(t *testing.T) {
	for name, test := range map[string]struct{ file, says string }{
		"bracket":    {"ok\n[\n", `.dockerignore:2: pattern "["`},
		"range":      {"[z-a]\n", `.dockerignore:1: pattern "[z-a]"`},
		"not":        {"\n\n!\n", `.dockerignore:3: pattern "!"`},
		"backslash":  {"# [\n\\\n", `.dockerignore:2: pattern "\\"`},
		"huge line":  {"ok\n" + strings.Repeat("x", 15<<20) + "\n", ".dockerignore:2: the line has 15728640 bytes"},
		"not UTF-8":  {"a\xff[\n", `.dockerignore:1: pattern "a\xff["`},
		"after mark": {"\ufeff[\n", `.dockerignore:1: pattern`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadSource(testenv.Dir(t, "Dockerfile", "FROM a\n", ".dockerignore", test.file), "")
			if err == nil || !strings.Contains(err.Error(), test.says) || len(err.Error()) > 500 {
				t.Errorf("ReadSource() = %.500v, want it to say %q", err, test.says)
			}
		})
	}
}

// TestDockerfileOutside has a Dockerfile, or an ignore file, that is a link to where the
// builder would not find it.
func TestDockerfileOutside(t *testing.T) {
	outside := testenv.Dir(t, "file", "FROM secret\n")
	for _, name := range []string{"Dockerfile", ".dockerignore"} {
		dir := testenv.Dir(t, "real", "FROM a\n")
		if name != "Dockerfile" {
			if err := os.Symlink("real", filepath.Join(dir, "Dockerfile")); err != nil {
				t.Fatal(err)
			}
			if src, err := ReadSource(dir, ""); err != nil || string(src.Data) != "FROM a\n" {
				t.Errorf("ReadSource(link in the context) = %v, want what it leads to", err)
			}
		}
		if err := os.Symlink(filepath.Join(outside, "file"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSource(dir, "")
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "outside the build context") {
			t.Errorf("ReadSource(%s outside) = %v, want an error that names it", name, err)
		}
	}
}

func writeMany(w io.Writer, n int) error {
	tw := newTarWriter(w)
	tw.add("Dockerfile", "FROM a\n")
	for i := range n {
		tw.add(fmt.Sprintf("many/%03d/%d", i%1000, i), "")
	}
	return tw.close()
}
