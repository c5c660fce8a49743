package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// large is a project of layers that do not compress.
type large struct {
	*bench
	dir    string
	layers int
	size   int // MB, of all layers
}

func (b *bench) newLarge(layers, layerMB int) large {
	return large{b, filepath.Join(b.work, fmt.Sprintf("large-%dx%d", layers, layerMB)), layers, layers * layerMB}
}

// write writes the project, once.
func (l large) write() error {
	path := filepath.Join(l.dir, "Dockerfile")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	var dockerfile strings.Builder
	dockerfile.WriteString("FROM scratch\n")
	for i := range l.layers {
		name := fmt.Sprintf("layer%d", i)
		if err := random(filepath.Join(l.dir, name), int64(l.size/l.layers)*1_000_000); err != nil {
			return fmt.Errorf("writing layer %s: %w", name, err)
		}
		fmt.Fprintf(&dockerfile, "COPY %[1]s /%[1]s\n", name)
	}
	return os.WriteFile(path, []byte(dockerfile.String()), 0o644)
}

// random writes a file that no compressor makes smaller.
func random(path string, size int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(file, rand.Reader, size)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (l large) seatrial(ctx context.Context, ref string) *exec.Cmd {
	return l.seatrialBy(ctx, l.daemon.addr, ref)
}

func (l large) seatrialBy(ctx context.Context, addr, ref string) *exec.Cmd {
	return l.command(ctx, "seatrial", "run", "--addr", addr, "--progress", "plain", "--untested", "-t", ref, l.dir)
}

func (l large) buildctl(ctx context.Context, ref string) *exec.Cmd {
	return l.command(ctx, "buildctl", "--addr", l.daemon.addr, "build", "--progress", "plain",
		"--frontend", "dockerfile.v0", "--local", "context="+l.dir, "--local", "dockerfile="+l.dir,
		"--output", "type=image,name="+ref+",push=true")
}

// farSeatrial is seatrial where it cannot read the daemon's files: layers come through
// the daemon's connection.
func (l large) farSeatrial(ctx context.Context, ref string) *exec.Cmd {
	return l.seatrialBy(ctx, l.daemon.far, ref)
}

// elsewhere ends the title of the scenario in which layers come through the
// daemon's connection.
const elsewhere = "builder elsewhere"

// push sends the image, which the daemon has ready since the warm-up, to a
// registry that is empty. A new repository in one registry would not do: the
// daemon has the registry mount what it pushed there before.
func (l large) push() []scenario {
	into := func(run func(large, context.Context, string) *exec.Cmd) func(context.Context, int) (attempt, error) {
		return func(ctx context.Context, n int) (attempt, error) {
			dir := filepath.Join(l.work, fmt.Sprintf("empty-%d", n))
			r, err := startRegistry(dir)
			if err != nil {
				return attempt{}, err
			}
			syscall.Sync() // the last run's writing is not this one's burden
			done := func() error {
				r.stop()
				return os.RemoveAll(dir)
			}
			return attempt{[]*exec.Cmd{run(l, ctx, r.host+"/large:1")}, done}, nil
		}
	}
	return []scenario{
		{fmt.Sprintf("%d MB pushed, builder here", l.size), []contender{
			{"seatrial", 0, into(large.seatrial)},
			{"buildctl", 1.0, into(large.buildctl)},
		}, l.write},
		{fmt.Sprintf("%d MB pushed, %s", l.size, elsewhere), []contender{
			{"seatrial", 0, into(large.farSeatrial)},
			{"buildctl", 1.0, into(large.buildctl)},
		}, l.write},
	}
}

// unchanged pushes the image to where it is already.
func (l large) unchanged() scenario {
	again := func(name string, run func(large, context.Context, string) *exec.Cmd) func(context.Context, int) (attempt, error) {
		return func(ctx context.Context, _ int) (attempt, error) {
			return attempt{commands: []*exec.Cmd{run(l, ctx, l.registry.host+"/large/"+name+":1")}}, nil
		}
	}
	return scenario{fmt.Sprintf("%d MB, nothing changed", l.size), []contender{
		{"seatrial", 0, again("seatrial", large.seatrial)},
		{"buildctl", 0, again("buildctl", large.buildctl)},
	}, l.write}
}
