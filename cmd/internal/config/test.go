package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Test is one of the tests. In its short form it is a command.
type Test struct {
	At       Pos
	Name     Text         `key:"name" doc:"What the test is called in output and reports; default: the stage's name, the file's, or the command."`
	Run      Plain        `key:"run" doc:"Command for the image's shell. Its variables are the shell's."`
	Args     Args         `key:"args" doc:"Command that needs no shell."`
	File     Paths        `key:"file" doc:"Structure tests or a Compose test file; several are one test each."`
	Stage    Stage        `key:"stage" doc:"Stage of the Dockerfile: alone it is the test; with a command it is where that runs."`
	Image    Text         `key:"image" doc:"Another image that the command runs in; default: the one that was built."`
	Env      Pairs        `key:"env" doc:"Added to the image's environment; a name alone takes the value that seatrial has."`
	Workdir  Text         `key:"workdir" doc:"Working directory of the command; default: the image's."`
	User     Text         `key:"user" doc:"User of the command, as NAME[:GROUP]; default: the image's."`
	Network  TestNetwork  `key:"network" doc:"none: loopback only; default: the builder's; host: the builder's own."`
	Mounts   []Mount      `key:"mounts" doc:"What the command sees beside its own filesystem."`
	Memory   Size         `key:"memory" doc:"The most memory that the command may take, as 512m."`
	CPUs     Number       `key:"cpus" doc:"How many processors the command may keep busy, as 1.5."`
	Services []ServiceRef `key:"services" doc:"What runs beside the command: names of services, or services."`
	Reports  List         `key:"reports" doc:"Paths and patterns of files to bring back, whether the test passes or fails."`
	Timeout  Duration     `key:"timeout" doc:"How long one attempt may run, as 5m."`
	Retries  Int          `key:"retries" doc:"How often a test that failed is tried again."`
	Shards   Int          `key:"shards" doc:"How many times the command runs, side by side, with SHARD_INDEX and SHARD_TOTAL."`
	Split    List         `key:"split" doc:"Patterns of files below the working directory that are shared out among the shards, by how long they took; SHARD_FILES names a shard's list."`
}

func (t *Test) decode(d *decoder, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return d.object(n, t)
	}
	t.At = posOf(n)
	return t.Run.decode(d, n)
}

// check implements checked.
func (t *Test) check(d *decoder) error {
	command, files := t.Run.set() || t.Args.set(), len(t.File.items)
	switch {
	case t.Run.set() && t.Args.set():
		return d.errorf(t.At, "", "a test has one of run and args")
	case files > 0 && (command || t.Stage.set()):
		return d.errorf(t.At, "", "a test of a file has neither run, args nor stage")
	case t.Args.set() && len(t.Args.list) == 0:
		return d.errorf(t.Args.Pos, "", "args are empty")
	case !command && files == 0 && !t.Stage.set():
		return d.errorf(t.At, "say what it does: run, args, stage or file", "a test with neither command nor stage")
	case t.Stage.set() && t.Image.set():
		return d.errorf(t.At, "", "a command runs in one of stage and image")
	case files > 1 && t.Name.set():
		return d.errorf(t.Name.Pos, "make it a test for each file", "%d files are that many tests, and cannot have one name", files)
	}
	if slices.ContainsFunc(t.File.items, Text.empty) || t.Stage.empty() {
		return d.errorf(t.At, "", "file and stage cannot be empty")
	}
	if t.Shards.set() && t.Shards.fixed() && t.Shards.raw == "0" {
		return d.errorf(t.Shards.Pos, "", "shards are 1 or more")
	}
	if len(t.Split.items) > 0 && !t.Shards.set() {
		return d.errorf(t.Split.items[0].Pos, "shards: 4", "split shares files out among shards, and there are none")
	}
	if command {
		return nil
	}
	return t.checkNoCommand(d)
}

// checkNoCommand refuses what only a command has.
func (t *Test) checkNoCommand(d *decoder) error {
	for _, x := range []struct {
		key string
		pos Pos
	}{
		{"image", t.Image.Pos}, {"workdir", t.Workdir.Pos}, {"user", t.User.Pos}, {"network", t.Network.Pos},
		{"memory", t.Memory.Pos}, {"cpus", t.CPUs.Pos}, {"shards", t.Shards.Pos},
		{"env", firstOf(len(t.Env.items), func() Pos { return t.Env.items[0].value.Pos })},
		{"mounts", firstOf(len(t.Mounts), func() Pos { return t.Mounts[0].At })},
		{"services", firstOf(len(t.Services), func() Pos { return t.Services[0].At })},
	} {
		if x.pos.Line > 0 {
			return d.errorf(x.pos, "a stage runs as the Dockerfile says, a file's tests as the file says", "%s is for a test with a command", x.key)
		}
	}
	return nil
}

func firstOf(n int, pos func() Pos) Pos {
	if n == 0 {
		return Pos{}
	}
	return pos()
}

// titles are what the tests that t stands for are called if nothing else is replaced.
func (t *Test) titles() []string {
	switch {
	case t.Name.set():
		return []string{t.Name.raw}
	case t.Run.set():
		return []string{strings.Join(strings.Fields(t.Run.text), " ")}
	case t.Args.set():
		return []string{strings.Join(t.Args.strings(), " ")}
	case t.Stage.set():
		return []string{t.Stage.raw}
	}
	var out []string
	for _, file := range t.File.items {
		out = append(out, file.raw)
	}
	return out
}

// checkTests compares the tests.
func (f *File) checkTests() error {
	seen := map[string]Pos{}
	for i := range f.Tests {
		t := &f.Tests[i]
		at := t.At
		if t.Name.set() {
			at = t.Name.Pos
		}
		for _, name := range t.titles() {
			if first, ok := seen[name]; ok {
				return f.errorf(at, "give one of them another name", "two tests are called %q; the first is in line %d", name, first.Line)
			}
			seen[name] = at
		}
		if _, err := f.servicesOf(t); err != nil {
			return err
		}
	}
	return nil
}

// Mount is something that a test or a service sees. In its short form it is
// PATH:TARGET[:ro], of the build context.
type Mount struct {
	At       Pos
	Type     MountKind `key:"type" doc:"bind (the default), cache, tmpfs, secret or ssh."`
	Target   Text      `key:"target" doc:"Path in the container; default for secrets: /run/secrets/ID."`
	From     MountFrom `key:"from" doc:"What a bind mount shows: built, the image under test, or context, the build context."`
	Stage    Stage     `key:"stage" doc:"Stage that a bind mount shows."`
	Image    Text      `key:"image" doc:"Image that a bind mount shows."`
	Path     Text      `key:"path" doc:"Part of it; default: all."`
	ReadOnly Bool      `key:"read-only" doc:"Refuse writes. What is written is lost in any case."`
	ID       Text      `key:"id" doc:"Of a cache (default: the target), a secret, or an SSH agent (default: default)."`
	Env      Text      `key:"env" doc:"Variable that has a secret, instead of a file."`
	Optional Bool      `key:"optional" doc:"Allow a secret or agent to be missing."`
	Size     Size      `key:"size" doc:"The most bytes in a tmpfs."`
}

func (m *Mount) decode(d *decoder, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return d.object(n, m)
	}
	var t Text
	if err := t.decode(d, n); err != nil {
		return err
	}
	parts := strings.Split(t.raw, ":")
	if !t.fixed() || len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" || len(parts) == 3 && parts[2] != "ro" {
		return d.errorf(t.Pos, "for all else there is a mapping: target, from, path, …", "a mount in short is PATH:TARGET or PATH:TARGET:ro, not %q", t.raw)
	}
	text := func(s string) Text { return Text{Pos: t.Pos, raw: s, parts: []part{{literal: s}}} }
	m.At, m.From.Text, m.Path, m.Target = t.Pos, text(context), text(parts[0]), text(parts[1])
	if len(parts) == 3 {
		m.ReadOnly.Text = text("true")
	}
	return nil
}

// mountKeys are the keys of each type, beside type and target.
var mountKeys = map[string][]string{
	"bind":   {"from", "stage", "image", "path", "read-only"},
	"cache":  {"id", "read-only"},
	"tmpfs":  {"size"},
	"secret": {"id", "env", "optional"},
	"ssh":    {"id", "optional"},
}

// check implements checked.
func (m *Mount) check(d *decoder) error {
	if !m.Type.fixed() {
		return d.errorf(m.Type.Pos, "", "the type of a mount has no variables")
	}
	kind := m.kind()
	for _, x := range []struct {
		key string
		t   *Text
	}{
		{"from", &m.From.Text}, {"stage", &m.Stage.Text}, {"image", &m.Image}, {"path", &m.Path}, {"read-only", &m.ReadOnly.Text},
		{"id", &m.ID}, {"env", &m.Env}, {"optional", &m.Optional.Text}, {"size", &m.Size.Text},
	} {
		if x.t.set() && !slices.Contains(mountKeys[kind], x.key) {
			return d.errorf(x.t.Pos, "", "a mount of type %s has no %s", kind, x.key)
		}
	}
	switch sources := count(m.From.set(), m.Stage.set(), m.Image.set()); {
	case kind == "bind" && sources != 1:
		return d.errorf(m.At, "from: context, from: built, stage: NAME or image: REFERENCE", "a bind mount shows one thing, not %d", sources)
	case kind == "secret" && !m.ID.set():
		return d.errorf(m.At, "", "a mount of type secret has an id")
	case kind != "secret" && kind != "ssh" && !m.Target.set():
		return d.errorf(m.At, "", "a mount of type %s has a target", kind)
	}
	return nil
}

func (m *Mount) kind() string {
	if m.Type.set() {
		return m.Type.raw
	}
	return "bind"
}

func count(list ...bool) int {
	n := 0
	for _, x := range list {
		if x {
			n++
		}
	}
	return n
}
