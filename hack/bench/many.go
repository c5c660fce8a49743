package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The context of many small files.
const (
	manyDirs  = 100
	manyFiles = 1000 // in each
)

// many is a project of so many files that finding out that none of them changed
// is all the work.
type many struct {
	*bench
	dir string
}

func (b *bench) newMany() many { return many{b, filepath.Join(b.work, "many")} }

func (m many) write() error {
	for d := range manyDirs {
		dir := filepath.Join(m.dir, "src", fmt.Sprintf("dir-%02d", d))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for f := range manyFiles {
			path := filepath.Join(dir, fmt.Sprintf("file-%03d.txt", f))
			if err := os.WriteFile(path, fmt.Appendf(nil, "%d of %d\n", f, d), 0o644); err != nil {
				return fmt.Errorf("writing the project of many files: %w", err)
			}
		}
	}
	return os.WriteFile(filepath.Join(m.dir, "Dockerfile"), []byte("FROM scratch\nCOPY src /src\n"), 0o644)
}

func (m many) seatrial(ctx context.Context, ref string) *exec.Cmd {
	return m.command(ctx, "seatrial", "run", "--addr", m.daemon.addr, "--progress", "plain", "--untested", "-t", ref, m.dir)
}

func (m many) buildctl(ctx context.Context, ref string) *exec.Cmd {
	return m.command(ctx, "buildctl", "--addr", m.daemon.addr, "build", "--progress", "plain",
		"--frontend", "dockerfile.v0", "--local", "context="+m.dir, "--local", "dockerfile="+m.dir,
		"--output", "type=image,name="+ref+",push=true")
}

// unchanged builds the project again and again. Each contender's warm-up sends
// the daemon all files: they keep copies of their own there.
func (m many) unchanged() scenario {
	again := func(name string, run func(many, context.Context, string) *exec.Cmd) func(context.Context, int) (attempt, error) {
		return func(ctx context.Context, _ int) (attempt, error) {
			return attempt{commands: []*exec.Cmd{run(m, ctx, m.registry.host+"/many/"+name+":1")}}, nil
		}
	}
	return scenario{fmt.Sprintf("%d files, nothing changed", manyDirs*manyFiles), []contender{
		{"seatrial", 0, again("seatrial", many.seatrial)},
		{"buildctl", 1.0, again("buildctl", many.buildctl)},
	}, m.write}
}
