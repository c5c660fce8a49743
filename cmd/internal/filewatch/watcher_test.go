package filewatch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// site is a directory that is watched.
type site struct {
	t    *testing.T
	dir  string
	w    *Watcher
	seen []string
}

func newSite(t *testing.T, set func(dir string) Set) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	for _, dir := range []string{"src/deep", "node_modules", ".git", "reports"} {
		s.must(os.MkdirAll(filepath.Join(s.dir, dir), 0o755))
	}
	var err error
	s.w, err = New()
	s.must(err)
	t.Cleanup(func() { s.w.Close() })
	s.must(s.w.Watch(set(s.dir)))
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) write(name string) {
	s.t.Helper()
	s.must(os.WriteFile(filepath.Join(s.dir, name), []byte(time.Now().String()), 0o644))
}

// changed waits until all of these files have changed, and no other has. On a busy
// machine that may be several changes, and one of before may come again.
func (s *site) changed(want ...string) {
	s.t.Helper()
	missing := slices.Clone(want)
	for len(missing) > 0 {
		select {
		case names := <-s.w.Changes():
			for _, name := range names {
				name, _ = inside(s.dir, name)
				if !slices.Contains(want, name) && !slices.Contains(s.seen, name) {
					s.t.Errorf("%q has changed, want %q only", name, want)
				}
				missing = slices.DeleteFunc(missing, func(m string) bool { return m == name })
			}
		case <-time.After(time.Minute):
			s.t.Fatalf("no change of %q after a minute", missing)
		}
	}
	s.seen = append(s.seen, want...)
}

func TestWhatCounts(t *testing.T) {
	s := newSite(t, func(dir string) Set {
		return Set{
			Trees:  []Tree{{Dir: dir, Ignore: []string{"node_modules", "*.md"}}},
			Files:  []string{filepath.Join(dir, "README.md"), filepath.Join(dir, "node_modules", "Dockerfile")},
			Hidden: []string{filepath.Join(dir, "reports"), filepath.Join(dir, "r.json")},
		}
	})
	// Whatever does not count comes first: it would be in the change.
	for _, name := range []string{
		"node_modules/x", "notes.md", ".git/index", "reports/junit.xml", "r.json", ".r.json-123",
		"4913", "src/a.py~", "src/.a.py.swp", "src/.#a.py", "src/#a.py#",
	} {
		s.write(name)
	}
	s.write("src/deep/a.py")
	s.changed("src/deep/a.py")
	s.write("README.md")
	s.changed("README.md")
	s.write("node_modules/Dockerfile")
	s.changed("node_modules/Dockerfile")
}

func TestHowFilesChange(t *testing.T) {
	s := newSite(t, func(dir string) Set { return Set{Trees: []Tree{{Dir: dir}}} })
	s.write("src/a")
	s.write("src/b")
	s.changed("src/a", "src/b")

	// As editors save: another file in its place.
	s.write("src/.a.swp")
	s.must(os.Rename(filepath.Join(s.dir, "src/.a.swp"), filepath.Join(s.dir, "src/a")))
	s.changed("src/a")

	// In directories that are new, and that came with something in them.
	s.must(os.MkdirAll(filepath.Join(s.dir, "new/er"), 0o755))
	s.seen = append(s.seen, "new/er") // if that was not there yet when new was looked at
	s.changed("new")
	s.write("new/er/c")
	s.changed("new/er/c")

	s.must(os.Chmod(filepath.Join(s.dir, "src/b"), 0o755))
	s.changed("src/b")
	s.must(os.Remove(filepath.Join(s.dir, "src/b")))
	s.changed("src/b")
}

// TestAnotherSet is about patterns that were changed.
func TestAnotherSet(t *testing.T) {
	s := newSite(t, func(dir string) Set { return Set{Trees: []Tree{{Dir: dir, Ignore: []string{"src"}}}} })
	s.write("src/a")
	s.write("x")
	s.changed("x")
	s.must(s.w.Watch(Set{Trees: []Tree{{Dir: s.dir, Ignore: []string{"*", "!src/deep"}}}}))
	s.write("x")
	s.write("src/a")
	s.write("src/deep/a")
	s.changed("src/deep/a")
}
