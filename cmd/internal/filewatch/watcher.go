package filewatch

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// pause is how long nothing must happen for a change to be over.
	pause = 200 * time.Millisecond
	// longest is how long it may take nevertheless.
	longest = 2 * time.Second
)

// Watcher watches one Set after the other.
type Watcher struct {
	fs      *fsnotify.Watcher
	changes chan []string
	mu      sync.Mutex
	set     *matchers
}

// New starts a watcher of nothing. It fails if the system does not allow one more.
func New() (*Watcher, error) {
	inner, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	w := &Watcher{fs: inner, changes: make(chan []string), set: &matchers{}}
	go w.run()
	return w, nil
}

// Changes gives the paths of each change. What happens while nobody takes them is
// added. It is closed by Close.
func (w *Watcher) Changes() <-chan []string { return w.changes }

// Close ends the watcher.
func (w *Watcher) Close() error { return w.fs.Close() }

// Watch has set count from now on. What changed in it before is no change. A directory
// that cannot be watched is an error.
func (w *Watcher) Watch(set Set) error {
	m, err := set.compile()
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.set = m
	w.mu.Unlock()
	for _, file := range m.Files {
		// Its directory: an editor puts another file in its place.
		if err := w.add(filepath.Dir(file)); err != nil {
			return err
		}
	}
	for i, t := range m.Trees {
		if err := w.addTree(m, i, t.Dir); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watcher) addTree(m *matchers, i int, dir string) error {
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return nil // the build says so if it matters
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		if !m.descends(i, name) {
			return fs.SkipDir
		}
		return w.add(name)
	})
}

func (w *Watcher) add(dir string) error {
	err := w.fs.Add(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fsnotify.ErrClosed) {
		return nil
	}
	return fmt.Errorf("watching directory %q: %w", dir, err)
}

func (w *Watcher) matchers() *matchers {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.set
}

// run gathers what happens until it pauses.
func (w *Watcher) run() {
	defer close(w.changes)
	pending := map[string]bool{}
	var since time.Time
	var quiet <-chan time.Time
	var out chan []string
	for {
		select {
		case event, ok := <-w.fs.Events:
			if !ok {
				return
			}
			if !w.happened(event, pending) || out != nil {
				continue
			}
			if since.IsZero() {
				since = time.Now()
			}
			quiet = time.After(min(pause, longest-time.Since(since)))
		case err, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				pending["many files"], out = true, w.changes
			}
		case <-quiet:
			out = w.changes
		case out <- slices.Sorted(maps.Keys(pending)):
			pending, since, quiet, out = map[string]bool{}, time.Time{}, nil, nil
		}
	}
}

// happened notes an event, if it counts, and begins to watch new directories.
func (w *Watcher) happened(event fsnotify.Event, pending map[string]bool) bool {
	m := w.matchers()
	if event.Has(fsnotify.Create) {
		if st, err := os.Lstat(event.Name); err == nil && st.IsDir() {
			for i := range m.Trees {
				if m.descends(i, event.Name) {
					_ = w.addTree(m, i, event.Name) // the next Watch says it
				}
			}
		}
	}
	if !m.counts(event.Name) {
		return false
	}
	pending[event.Name] = true
	return true
}
