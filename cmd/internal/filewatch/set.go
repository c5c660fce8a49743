package filewatch

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
)

// Set says which files count. Its paths are absolute.
type Set struct {
	// Trees are directories with all that is in them.
	Trees []Tree
	// Files count whatever Trees say of them. They need not be there.
	Files []string
	// Hidden are files and directories that do not count; nor do temporary files
	// beside the former.
	Hidden []string
}

// Tree is a directory, and the patterns, as in a .dockerignore, of what does not count.
type Tree struct {
	Dir    string
	Ignore []string
}

// matchers are the compiled patterns of a Set.
type matchers struct {
	Set
	ignore []*patternmatcher.PatternMatcher
}

func (s Set) compile() (*matchers, error) {
	m := &matchers{Set: s}
	for _, t := range s.Trees {
		pm, err := patternmatcher.New(t.Ignore)
		if err != nil {
			return nil, err
		}
		m.ignore = append(m.ignore, pm)
	}
	return m, nil
}

// transient are names that editors give to files for a moment, and where git keeps what
// it changes without anybody's doing.
var transient = regexp.MustCompile(`^(\.git|4913|.*~|\..*\.sw[a-z]|\.#.*|#.*#)$`)

// counts tells whether a change of a file is one.
func (m *matchers) counts(name string) bool {
	if slices.Contains(m.Files, name) {
		return true
	}
	if m.hides(name) {
		return false
	}
	for i, t := range m.Trees {
		rel, ok := inside(t.Dir, name)
		if !ok || slices.ContainsFunc(strings.Split(rel, "/"), transient.MatchString) {
			continue
		}
		if ignored, err := m.ignore[i].MatchesOrParentMatches(filepath.FromSlash(rel)); err != nil || !ignored {
			return true
		}
	}
	return false
}

// descends tells whether there may be something below a directory that counts.
func (m *matchers) descends(i int, dir string) bool {
	rel, ok := inside(m.Trees[i].Dir, dir)
	if !ok {
		return dir == m.Trees[i].Dir
	}
	if m.hides(dir) || transient.MatchString(path.Base(rel)) {
		return false
	}
	if m.ignore[i].Exclusions() {
		return true
	}
	ignored, err := m.ignore[i].MatchesOrParentMatches(filepath.FromSlash(rel))
	return err != nil || !ignored
}

func (m *matchers) hides(name string) bool {
	return slices.ContainsFunc(m.Hidden, func(h string) bool {
		_, below := inside(h, name)
		return below || name == h || strings.HasPrefix(name, filepath.Join(filepath.Dir(h), "."+filepath.Base(h)+"-"))
	})
}

// inside is name as seen from dir, with slashes, if it is below it.
func inside(dir, name string) (string, bool) {
	rel, err := filepath.Rel(dir, name)
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}
