package testsuite

import (
	"path"
	"strings"

	"github.com/seatrial/seatrial/testsuite/junit"
)

// durations are how many seconds each of the files took, by the cases of a report. Which
// file a case is of, dialects tell in ways of their own: by its path, that from the root,
// or the name of a class or module that is the path with dots.
func durations(rep *junit.Report, files []string) map[string]float64 {
	byPath, byClass := map[string]string{}, map[string]string{}
	for _, f := range files {
		byPath[path.Clean(f)] = f
		class := strings.TrimSuffix(f, path.Ext(f))
		byClass[strings.ReplaceAll(class, "/", ".")] = f
	}
	out := map[string]float64{}
	for _, s := range rep.Suites {
		for _, c := range s.Cases {
			if f := fileOf(c, s.Name, byPath, byClass); f != "" {
				out[f] += c.Time.Seconds()
			}
		}
	}
	return out
}

// fileOf is "" if nobody can tell.
func fileOf(c junit.Case, suite string, byPath, byClass map[string]string) string {
	for _, name := range []string{c.File, c.Class, suite} {
		if name == "" {
			continue
		}
		for rest := path.Clean(name); rest != ""; { // an absolute path ends with it
			if f, ok := byPath[rest]; ok {
				return f
			}
			_, after, ok := strings.Cut(rest, "/")
			if !ok {
				break
			}
			rest = after
		}
		for class := name; class != ""; { // a class is in a module
			if f, ok := byClass[class]; ok {
				return f
			}
			class = class[:max(0, strings.LastIndex(class, "."))]
		}
	}
	return ""
}
