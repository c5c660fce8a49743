package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/util/gitutil"
	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v4"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite"
)

const schemaURL = "https://raw.githubusercontent.com/seatrial/seatrial/main/cmd/internal/config/seatrial.schema.json"

func initCommand(std Streams) *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "write a seatrial.yaml to begin with", ArgsUsage: "[DIRECTORY]",
		Description: "Writes DIRECTORY/seatrial.yaml from what is found there: the stages of the Dockerfile,\n" +
			"a test.sh, and the git remote called origin, after which the image is named.",
		Flags: []cli.Flag{
			stringFlag(catBuild, "file", "`PATH` of the Dockerfile (default: DIRECTORY/Dockerfile)", "f"),
			boolFlag(catOutput, "force", "replace the file that is there"),
		},
		Action: func(c *cli.Context) error {
			dir := "."
			if c.NArg() > 0 {
				dir = c.Args().First()
			}
			if c.NArg() > 1 || dir == stdin || llb.IsRemote(dir) {
				return usagef("", "one directory is expected, not %q", strings.Join(c.Args().Slice(), " "))
			}
			path, err := initialize(c, dir)
			if err == nil {
				fmt.Fprintf(std.Err, "seatrial: wrote %s; seatrial config shows what it says\n", path)
			}
			return err
		},
	}
}

// initialize writes the file, and returns its path.
func initialize(c *cli.Context, dir string) (string, error) {
	src, err := llb.ReadSource(dir, c.String("file"))
	if err != nil {
		return "", sourceError(err, llb.Options{Dockerfile: c.String("file")})
	}
	stages, err := src.Stages()
	if err := errors.Join(err, src.Close()); err != nil {
		return "", &buildError{err: err}
	}
	target := filepath.Join(dir, configNames[0])
	for _, name := range configNames {
		there := filepath.Join(dir, name)
		if _, err := os.Lstat(there); err == nil && (!c.Bool("force") || there != target) {
			return "", usagef("--force replaces "+target, "%s is there already", there)
		}
	}
	text := starter{
		image:      imageName(originOf(c, dir), dir),
		dockerfile: relativeTo(dir, c.String("file")),
		stages:     stages,
		script:     isScript(filepath.Join(dir, "test.sh")),
	}.text()
	if c.Bool("force") {
		if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", usagef("", "replacing the configuration: %w", err)
		}
	}
	return target, place(target, text)
}

// place writes a new file, and never through a link that lies there.
func place(target, text string) error {
	f, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return usagef("", "writing the configuration: %w", err)
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// starter is what was found for a file to begin with.
type starter struct {
	image, dockerfile string
	stages            []string
	script            bool // ./test.sh is there
}

func (s starter) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# yaml-language-server: $schema=%s\n\n", schemaURL)
	if named, err := name.NewRepository(s.image); err == nil && !strings.HasPrefix(s.image, named.RegistryStr()) {
		fmt.Fprintf(&b, "# This is on Docker Hub; elsewhere: registry.example.com/team/%s\n", path.Base(s.image))
	}
	fmt.Fprintf(&b, "image: %s\ntags: [\"${git.short:-dev}\", latest]\n", inYAML(s.image))
	tests, target := s.tests()
	if s.dockerfile != "" || target != "" {
		b.WriteString("\nbuild:\n")
		for _, line := range [][2]string{{"dockerfile", s.dockerfile}, {"target", target}} {
			if line[1] != "" {
				fmt.Fprintf(&b, "  %s: %s\n", line[0], inYAML(line[1]))
			}
		}
	}
	if len(tests) == 0 {
		b.WriteString("\n# What shows that the image works? A command that runs in it, or a stage of the\n# Dockerfile. Without any, seatrial run pushes nothing.\ntests: []\n# - ./test.sh\n# - stage: test\n")
		return b.String()
	}
	b.WriteString("\n# All of them must pass before a tag moves.\ntests:\n")
	for _, t := range tests {
		fmt.Fprintf(&b, "  - %s\n", t)
	}
	return b.String()
}

// inYAML is text as YAML, in quotation marks where it needs them.
func inYAML(text string) string {
	out, err := yaml.Marshal(text)
	if err != nil {
		return strconv.Quote(text)
	}
	return strings.TrimSpace(string(out))
}

// tests are those that the names of stages and a script tell of, and the target if the
// last stage is one of them.
func (s starter) tests() (tests []string, target string) {
	isTest := func(stage string) bool {
		return slices.ContainsFunc(strings.FieldsFunc(stage, func(r rune) bool { return r == '-' || r == '_' || r == '.' }),
			func(word string) bool { return strings.TrimSuffix(word, "s") == testsuite.DetectedStage })
	}
	for _, stage := range s.stages {
		switch stage = strings.ToLower(stage); {
		case isTest(stage):
			tests = append(tests, "stage: "+stage)
		case stage != "":
			target = stage
		}
	}
	if len(s.stages) > 0 && !isTest(strings.ToLower(s.stages[len(s.stages)-1])) {
		target = ""
	}
	if s.script {
		tests = append(tests, "./test.sh")
	}
	return tests, target
}

func isScript(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0
}

// relativeTo is path from dir, where the file looks for it.
func relativeTo(dir, path string) string {
	if path == "" {
		return ""
	}
	absolute, err := filepath.Abs(path)
	base, berr := filepath.Abs(dir)
	if err != nil || berr != nil {
		return path
	}
	rel, err := filepath.Rel(base, absolute)
	if err != nil {
		return absolute
	}
	return rel
}

// originOf is where the project's repository comes from, "" if nobody knows.
func originOf(c *cli.Context, dir string) string {
	v, err := git(c.Context, dir, "remote", "get-url", "origin")
	if err != nil {
		return ""
	}
	return v
}

// registryOf are the registries of those who keep repositories.
var registryOf = map[string]string{"github.com": "ghcr.io", "gitlab.com": "registry.gitlab.com"}

var notInNames = regexp.MustCompile(`[^a-z0-9/]+`)

// imageName is that of the repository, or of the directory.
func imageName(remote, dir string) string {
	host, repository := "", ""
	if u, err := gitutil.ParseURL(remote); err == nil {
		host, repository = strings.TrimPrefix(u.Host, "git@"), strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
	} else if absolute, err := filepath.Abs(dir); err == nil {
		repository = filepath.Base(absolute)
	}
	repository = strings.Trim(notInNames.ReplaceAllString(strings.ToLower(repository), "-"), "-/")
	if _, err := name.NewRepository(repository); err != nil {
		repository = "app"
	}
	return path.Join(registryOf[host], repository)
}
