package corpus

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

//go:embed cases/*.txtar
var cases embed.FS

// Case is a project and how it is built.
type Case struct {
	Name     string   // its file's, without the extension
	Seatrial []string // arguments for seatrial
	Buildctl []string // arguments for buildctl build
	Env      []string // as NAME=VALUE
	Prepare  []string // shell commands, run in the directory by Write
	Context  string   // "" if it is the directory
	Command  string   // seatrial's
	Rootful  bool     // a rootless daemon cannot do it
	Fresh    bool     // steps are never taken from the cache
	Files    []txtar.File
}

// Cases reads all cases, in the order of their names.
func Cases() ([]Case, error) {
	entries, err := cases.ReadDir("cases")
	if err != nil {
		return nil, err
	}
	var all []Case
	for _, e := range entries {
		raw, err := cases.ReadFile("cases/" + e.Name())
		if err != nil {
			return nil, err
		}
		c, err := parse(strings.TrimSuffix(e.Name(), ".txtar"), raw)
		if err != nil {
			return nil, fmt.Errorf("reading case %s: %w", e.Name(), err)
		}
		all = append(all, c)
	}
	return all, nil
}

func parse(name string, raw []byte) (Case, error) {
	archive := txtar.Parse(raw)
	c := Case{Name: name, Command: "build", Files: archive.Files}
	for n, line := range strings.Split(strings.TrimSuffix(string(archive.Comment), "\n"), "\n") {
		word, value, _ := strings.Cut(line, " ")
		switch word {
		case "", "#":
		case "seatrial":
			c.Seatrial = append(c.Seatrial, value)
		case "buildctl":
			c.Buildctl = append(c.Buildctl, value)
		case "env":
			c.Env = append(c.Env, value)
		case "prepare":
			c.Prepare = append(c.Prepare, value)
		case "context":
			c.Context = value
		case "command":
			c.Command = value
		case "rootful":
			c.Rootful = true
		case "fresh":
			c.Fresh = true
		default:
			return c, fmt.Errorf("line %d: unknown directive %q", n+1, word)
		}
	}
	return c, nil
}

// Dockerfile is the first file of the case that is one; "" if the Dockerfile is
// elsewhere.
func (c Case) Dockerfile() string {
	for _, f := range c.Files {
		if strings.HasSuffix(strings.ToLower(f.Name), "dockerfile") {
			return string(f.Data)
		}
	}
	return ""
}

// Write puts the files into dir and prepares it.
func (c Case) Write(dir string) error {
	for _, f := range c.Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return err
		}
	}
	for _, line := range c.Prepare {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("preparing case %s: running %q: %w\n%s", c.Name, line, err, out)
		}
	}
	return nil
}

// Expand is c with its variables replaced.
func (c Case) Expand(variables map[string]string) Case {
	expand := func(list []string) []string {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = os.Expand(s, func(name string) string { return variables[name] })
		}
		return out
	}
	c.Seatrial, c.Buildctl, c.Env = expand(c.Seatrial), expand(c.Buildctl), expand(c.Env)
	c.Context = expand([]string{c.Context})[0]
	return c
}
