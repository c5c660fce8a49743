package testsuite

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/seatrial/seatrial/testsuite/structure"
)

// Test is one thing to try on the image. Exactly one of Stage, Command, Args, Start
// and Structure says what.
type Test struct {
	// Name is what the test is called in output and reports. Default: the
	// stage's name, or the command.
	Name string
	// Stage is a stage of the Dockerfile; it passes if it can be built. Of
	// the fields below only those for what becomes of a test are its.
	Stage string
	// Command runs through the image's shell in the built image, instead of
	// its start command, with the image's environment, working directory and
	// user. It passes if it exits with 0.
	Command string
	// Args is a command that needs no shell.
	Args []string
	// Start is a container as docker run starts it.
	Start *Start
	// Structure are checks of the image's files and configuration, and commands.
	Structure *structure.Config

	// From is where a command runs. Default: in the built image.
	From Source
	// Platform is that of From, as linux/arm64. Default: that of the image
	// under test.
	Platform string
	// Env is added to the image's environment.
	Env map[string]string
	// Workdir is the command's working directory. Default: the image's.
	Workdir string
	// User is the command's user, as NAME[:GROUP] or UID[:GID]. Default: the
	// image's.
	User string
	// Hostname is what the test calls itself. Default: what the builder chooses.
	Hostname string
	// Hosts are more names that the test knows, with their addresses.
	Hosts map[string]string
	// Network is NetworkDefault, NetworkNone or NetworkHost. Default: that
	// of the build's RUN instructions; none for a test with services.
	Network string
	// Mounts are what the command sees beside its own filesystem.
	Mounts []Mount
	// Memory is the most memory that the command may take, in bytes. Default
	// 0: no limit. A rootless builder cannot enforce it.
	Memory int64
	// CPUs is how many processors the command may keep busy. Default 0: all.
	// A rootless builder cannot enforce it.
	CPUs float64
	// Services run beside the command, which reaches them by their names.
	Services []Service
	// DependsOn are those of Services that the command waits for, and until
	// when. Default: all of them, Healthy.
	DependsOn []Dependency
	// Forwards are services that run elsewhere.
	Forwards []Forward

	// Reports are paths and patterns (*, ?, [a-z], ** for any directories) of
	// files and directories that are brought back, whether the test passes or
	// fails. They are relative to the command's working directory.
	Reports []string
	// Timeout is how long one attempt may run. Default 0: no limit.
	Timeout time.Duration
	// Retries is how often a test that failed is tried again, from where it
	// began the first time. A pass after a failure is not remembered: the test
	// runs again the next time, and is flaky again or is not. Default 0.
	Retries int
	// Shards is how many times the command runs, side by side, each with its
	// SHARD_INDEX (from 0) and SHARD_TOTAL in the environment. Default 1.
	Shards int
	// Split are patterns (as in Reports) of files below the working directory that
	// are shared out among the shards, so that each takes about as long, by what
	// JUnit reports said of the files when the test passed last. A shard finds its
	// list, a line for each file, in the file that SHARD_FILES names. The lists stay
	// as they are for as long as the test's files and image do. Default: none.
	Split []string
}

// Start is the entrypoint and command of a container. The zero value is those of the
// image.
type Start struct {
	// Entrypoint replaces the image's, and then its command is not used. An
	// empty, non-nil one clears it.
	Entrypoint []string
	// Args replaces the image's command. An empty, non-nil one clears it.
	Args []string
}

// Forward is a service that the session reaches, and the test through it. What it is,
// and what it answers, has no part in whether the test has passed before.
type Forward struct {
	// Name is the host name that the test reaches it by, at the same port.
	Name string
	// Address is HOST:PORT (TCP), as this machine knows it.
	Address string
}

// The networks of a test.
const (
	NetworkDefault = "default" // the builder's
	NetworkNone    = "none"    // loopback only
	NetworkHost    = "host"    // the builder's own; it must allow it
)

// Source is a filesystem. At most one of its fields is set; none of them stands for
// the built image.
type Source struct {
	// Stage is a stage of the Dockerfile.
	Stage string
	// Image is the reference of another image.
	Image string
	// Context is the build context. It can be mounted, and not run in.
	Context bool
	// Build is an image that is built beside the one under test.
	Build *Build
}

// Build is how an image is built.
type Build struct {
	// Context is a directory of this machine, absolute, or a URL.
	Context string
	// Dockerfile is the path of the file, absolute if Context is a directory,
	// relative to Context if it is a URL. Default: Dockerfile in Context.
	Dockerfile string
	// Inline is the text of the Dockerfile, instead of a file.
	Inline string
	// Target is a stage. Default: the last one.
	Target string
	// Args are build arguments.
	Args map[string]string
}

// MountType is a kind of mount.
type MountType string

// The kinds of mounts, as RUN --mount has them, and volumes.
const (
	MountBind   MountType = "bind" // the default
	MountCache  MountType = "cache"
	MountTmpfs  MountType = "tmpfs"
	MountSecret MountType = "secret"
	MountSSH    MountType = "ssh"
	// MountVolume is a directory that begins with what the image has at
	// Target. The test and its services that mount the same ID share it; with
	// no ID it is one's own. It ends with the test.
	MountVolume MountType = "volume"
)

// Mount is one thing that a test sees beside its own filesystem.
type Mount struct {
	Type MountType
	// Target is the path in the test. Default for secrets: /run/secrets/ID.
	Target string
	// From has what a bind mount shows, and Path is the part of it. What the
	// test writes there is lost.
	From Source
	Path string
	// ReadOnly refuses writes.
	ReadOnly bool
	// Text is the content of a file at Target, instead of From and Path. It
	// is not for secrets: it is in the cache's key. "" is no file.
	Text string
	// ID names a cache (default: the target), a volume, a secret or an SSH
	// agent (default: "default").
	ID string
	// Env is the variable that has a secret, instead of a file.
	Env string
	// Optional allows a secret or agent to be missing.
	Optional bool
	// Size is the most bytes in a tmpfs. Default 0: no limit.
	Size int64
}

// Title is what the test is called: Name, or what stands for it.
func (t Test) Title() string { return display(t.name()) }

func (t Test) name() string {
	switch {
	case t.Name != "":
		return t.Name
	case t.Stage != "":
		return t.Stage
	case t.Structure != nil:
		return t.Structure.Name
	case t.Command != "":
		return strings.Join(strings.Fields(t.Command), " ")
	default:
		return strings.Join(t.Args, " ")
	}
}

// orElse is t with what it does not say itself.
func (t Test) orElse(other Test) Test {
	if t.Timeout == 0 {
		t.Timeout = other.Timeout
	}
	if t.Retries == 0 {
		t.Retries = other.Retries
	}
	if len(t.Reports) == 0 {
		t.Reports = other.Reports
	}
	if len(t.Forwards) == 0 {
		t.Forwards = other.Forwards
	}
	return t
}

// stages are those of the Dockerfile that the test needs beside the image.
func (t Test) stages() []string {
	var out []string
	add := func(stage string) {
		if stage != "" {
			out = append(out, stage)
		}
	}
	add(t.Stage)
	add(t.From.Stage)
	for _, m := range t.Mounts {
		add(m.From.Stage)
	}
	for _, s := range t.Services {
		add(s.From.Stage)
		for _, m := range s.Mounts {
			add(m.From.Stage)
		}
	}
	return out
}

// mark tells the test from every other one, as far as that has to do with what it finds.
func (t Test) mark() string {
	if t.Structure != nil {
		return "structure " + t.Structure.Digest()
	}
	t.Name, t.Reports, t.Timeout, t.Retries = "", nil, 0, 0
	dt, err := json.Marshal(t)
	if err != nil {
		return fmt.Sprintf("%+v", t)
	}
	return string(dt)
}
