package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// split writes how files are shared out among shards.
func split(opt protocol.Split) int {
	control, err := readControl(opt.Control)
	if err != nil {
		return refuse(err)
	}
	files, err := matching(opt.Patterns)
	if err != nil {
		return refuse(fmt.Errorf("looking for files to share out: %w", err))
	}
	if len(files) < opt.Shards {
		return refuse(fmt.Errorf("%d shards, and %d files that match %s: a shard without files would have nothing to do", opt.Shards, len(files), strings.Join(opt.Patterns, " ")))
	}
	raw, err := json.Marshal(protocol.Balance(files, control.Durations, opt.Shards))
	if err == nil {
		err = os.WriteFile(filepath.Join(opt.Out, protocol.SplitFile), raw, 0o644)
	}
	if err != nil {
		return refuse(fmt.Errorf("writing who gets which file: %w", err))
	}
	return 0
}

// matching are the files below the working directory that one of the patterns matches,
// or that lie in a directory which one matches.
func matching(patterns []string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be read holds no tests
		}
		if name != "." && strings.HasPrefix(d.Name(), ".") && d.IsDir() {
			return filepath.SkipDir
		}
		if d.IsDir() {
			return nil
		}
		for _, pattern := range patterns {
			ok, err := matches(strings.Split(path.Clean(pattern), "/"), strings.Split(filepath.ToSlash(name), "/"))
			if err != nil {
				return err
			}
			if ok && isFile(name) {
				out = append(out, filepath.ToSlash(name))
				break
			}
		}
		return nil
	})
	return out, err
}

func isFile(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular()
}

// matches tells whether a pattern, in which ** is any number of directories, matches a
// path or a directory that it leads through.
func matches(pattern, name []string) (bool, error) {
	if len(pattern) == 0 {
		return true, nil
	}
	if pattern[0] == "**" {
		for i := range len(name) + 1 {
			if ok, err := matches(pattern[1:], name[i:]); ok || err != nil {
				return ok && (len(pattern) > 1 || len(name) > 0), err
			}
		}
		return false, nil
	}
	if len(name) == 0 {
		return false, nil
	}
	ok, err := path.Match(pattern[0], name[0])
	if !ok || err != nil {
		return false, err
	}
	return matches(pattern[1:], name[1:])
}
