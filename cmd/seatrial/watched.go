package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/filewatch"
	"github.com/seatrial/seatrial/llb"
)

func watchedContext(c *cli.Context) string {
	if args := contextArgs(c); len(args) > 0 {
		return args[0]
	}
	return "."
}

// look watches what a round is made from. p is nil as long as there is no plan.
func (w *watching) look(c *cli.Context, p *plan) error {
	dir := watchedContext(c)
	if src, err := llb.ReadSource(dir, c.String("file")); err == nil {
		w.ignore = src.Excludes
	}
	dockerfile := c.String("file")
	if dockerfile == "" {
		dockerfile = filepath.Join(dir, "Dockerfile")
	}
	files := []string{dockerfile, dockerfile + ".dockerignore", filepath.Join(dir, ".dockerignore")}
	if config := c.String("config"); config != "" && config != noConfig {
		files = append(files, config)
	} else if config == "" {
		for _, name := range configNames {
			files = append(files, filepath.Join(dir, name))
		}
	}
	files = append(files, c.StringSlice("test-file")...) // whether they can be read or not
	set := filewatch.Set{Trees: []filewatch.Tree{{Dir: dir, Ignore: w.ignore}}, Files: files, Hidden: []string{defaultReportDir}}
	for _, flag := range []string{"report-dir", "result-file", "metadata-file", "iidfile", "junit"} {
		set.Hidden = append(set.Hidden, c.String(flag))
	}
	if p != nil {
		p.watched(&set)
	}
	if err := absolute(&set); err != nil {
		return err
	}
	return watchError(w.files.Watch(set))
}

// watched adds what only a plan knows of.
func (p *plan) watched(set *filewatch.Set) {
	for _, value := range p.build.NamedContexts {
		if st, err := os.Stat(value); err == nil && st.IsDir() {
			tree := filewatch.Tree{Dir: value}
			if src, err := llb.ReadSource(value, p.build.Dockerfile); err == nil {
				tree.Ignore = src.Excludes
			}
			set.Trees = append(set.Trees, tree)
		}
	}
	for _, d := range p.declared {
		set.Files = append(set.Files, d.file)
	}
	for _, o := range p.outputs.files {
		set.Hidden = append(set.Hidden, o.dest)
	}
	for _, e := range p.build.CacheExports {
		set.Hidden = append(set.Hidden, e.Attrs["dest"])
	}
}

// absolute makes the paths of a set so, and drops empty ones.
func absolute(set *filewatch.Set) error {
	for i := range set.Trees {
		abs, err := filepath.Abs(set.Trees[i].Dir)
		if err != nil {
			return fmt.Errorf("watching %q: %w", set.Trees[i].Dir, err)
		}
		set.Trees[i].Dir = abs
	}
	for _, list := range []*[]string{&set.Files, &set.Hidden} {
		var out []string
		for _, name := range *list {
			if name == "" || name == stdout {
				continue
			}
			abs, err := filepath.Abs(name)
			if err != nil {
				return fmt.Errorf("watching %q: %w", name, err)
			}
			out = append(out, abs)
		}
		*list = out
	}
	return nil
}

// watchError says what to do if the system watches no more.
func watchError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) {
		return usagef("name more in .dockerignore, or have more allowed: sysctl fs.inotify.max_user_watches, fs.inotify.max_user_instances", "--watch: %w", err)
	}
	return err
}
