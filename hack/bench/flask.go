package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// flask is one contender's copy of the demo project.
type flask struct {
	*bench
	dir, repository string
}

// newFlask copies the demo project. Contenders have copies of their own, so
// that none builds what another has put into the daemon's cache.
func (b *bench) newFlask(scenario, name string) (flask, error) {
	f := flask{b, filepath.Join(b.work, scenario, name), b.registry.host + "/" + scenario + "/" + name}
	if err := os.CopyFS(f.dir, os.DirFS(filepath.Join(b.root, "hack/examples/flask"))); err != nil {
		return f, fmt.Errorf("copying the project: %w", err)
	}
	// buildctl and bake have tests only as stages: the same Dockerfile, and a
	// stage that runs the same script.
	dockerfile, err := os.ReadFile(filepath.Join(f.dir, "Dockerfile"))
	if err != nil {
		return f, err
	}
	staged := strings.Replace(string(dockerfile), "FROM python:3-slim", "FROM python:3-slim AS image", 1) +
		"\nFROM image AS test\nRUN ./test.sh\n"
	if err := os.WriteFile(filepath.Join(f.dir, "stages.Dockerfile"), []byte(staged), 0o644); err != nil {
		return f, err
	}
	return f, appendTo(filepath.Join(f.dir, ".dockerignore"), "stages.Dockerfile\n")
}

// change edits one line of the project, as nobody did before.
func (f flask) change(n int) error {
	return appendTo(filepath.Join(f.dir, "app.py"), fmt.Sprintf("# %s, change %d\n", f.repository, n))
}

func appendTo(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (f flask) seatrial(ctx context.Context) []*exec.Cmd {
	return []*exec.Cmd{f.command(ctx, "seatrial", "run", "--addr", f.daemon.addr, "--progress", "plain",
		"--build-context", "python:3-slim="+f.base, "--test", "./test.sh",
		"-t", f.repository+":1", "-t", f.repository+":latest", f.dir)}
}

func (f flask) buildctl(ctx context.Context) []*exec.Cmd {
	build := func(target string, more ...string) *exec.Cmd {
		return f.command(ctx, "buildctl", append([]string{"--addr", f.daemon.addr, "build", "--progress", "plain",
			"--frontend", "dockerfile.v0", "--local", "context=" + f.dir, "--local", "dockerfile=" + f.dir,
			"--opt", "filename=stages.Dockerfile", "--opt", "context:python:3-slim=" + f.base,
			"--opt", "target=" + target}, more...)...)
	}
	names := fmt.Sprintf("type=image,\"name=%[1]s:1,%[1]s:latest\",push=true", f.repository)
	return []*exec.Cmd{build("test"), build("image", "--output", names)}
}

func (f flask) bake(ctx context.Context) []*exec.Cmd {
	cmd := f.command(ctx, "buildx", "bake", "--builder", "bench", "--progress", "plain",
		"--allow", "fs=*", "--file", filepath.Join(f.root, "hack/bench/docker-bake.hcl"))
	cmd.Env = append(cmd.Env, "CONTEXT="+f.dir, "BASE="+f.base, "REPOSITORY="+f.repository)
	return []*exec.Cmd{cmd}
}

func (b *bench) flaskUnchanged() (scenario, error) {
	keep := func(flask, int) error { return nil }
	return b.flask("flask, nothing changed", "unchanged", keep, 0.6, 0.6)
}

func (b *bench) flaskChanged() (scenario, error) {
	return b.flask("flask, one line of app.py changed", "changed", flask.change, 0.9, 1.0)
}

// flask has all three build, test, and push the project, after edit.
func (b *bench) flask(title, id string, edit func(flask, int) error, buildctl, bake float64) (scenario, error) {
	s := scenario{title: title}
	for _, way := range []struct {
		name  string
		limit float64
		run   func(flask, context.Context) []*exec.Cmd
	}{
		{"seatrial", 0, flask.seatrial},
		{"buildctl", buildctl, flask.buildctl},
		{"bake", bake, flask.bake},
	} {
		project, err := b.newFlask(id, way.name)
		if err != nil {
			return s, err
		}
		s.contenders = append(s.contenders, contender{name: way.name, limit: way.limit,
			setup: func(ctx context.Context, n int) (attempt, error) {
				return attempt{commands: way.run(project, ctx)}, edit(project, n)
			}})
	}
	return s, nil
}
