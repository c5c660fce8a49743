package structure

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

// Config is a file of structure tests.
type Config struct {
	// Name is what the file was called.
	Name string
	// SchemaVersion is "2.0.0" or "1.0.0".
	SchemaVersion string
	// GlobalEnv is added to the image's environment for commands, and for
	// the paths of file existence tests.
	GlobalEnv []EnvVar

	Commands  []CommandTest
	Existence []FileExistenceTest
	Content   []FileContentTest
	Metadata  *MetadataTest // nil if it asks for nothing
	Licenses  []LicenseTest

	// Options are those of command tests.
	Options RunOptions

	data []byte
	env  []string // of Options, once resolved
}

// EnvVar is a variable and its value, which may refer to other ones as $NAME.
type EnvVar struct {
	Key     string `yaml:"key"`
	Value   string `yaml:"value"`
	IsRegex bool   `yaml:"isRegex"`
}

// CommandTest runs a command, without the image's entrypoint.
type CommandTest struct {
	Name string
	// Setup are commands that run before, one after another, each in a
	// container of its own with the files that the one before left. How they
	// end does not matter, but they must be there.
	Setup [][]string
	Env   []EnvVar
	Args  []string
	// The patterns are searched for in what the command prints.
	ExpectedOutput, ExcludedOutput []string
	ExpectedError, ExcludedError   []string
	ExitCode                       int
}

// FileExistenceTest looks at a file, or at a symbolic link itself.
type FileExistenceTest struct {
	Name, Path  string
	ShouldExist bool
	// Permissions are as in "-rw-r--r--", in Go's notation. Default: any.
	Permissions string
	// UID and GID are the owner; -1 for any.
	UID, GID int
	// IsExecutableBy is "owner", "group", "other", "any" or "".
	IsExecutableBy string
}

// FileContentTest searches a file, through symbolic links.
type FileContentTest struct {
	Name             string   `yaml:"name"`
	Path             string   `yaml:"path"`
	ExpectedContents []string `yaml:"expectedContents"`
	ExcludedContents []string `yaml:"excludedContents"`
}

// MetadataTest compares the image's configuration. What is empty is not compared,
// save for an empty list of Entrypoint or Cmd.
type MetadataTest struct {
	Env              []EnvVar  `yaml:"envVars"`
	UnboundEnv       []EnvVar  `yaml:"unboundEnvVars"`
	ExposedPorts     []string  `yaml:"exposedPorts"`
	UnexposedPorts   []string  `yaml:"unexposedPorts"`
	Entrypoint       *[]string `yaml:"entrypoint"`
	Cmd              *[]string `yaml:"cmd"`
	Workdir          string    `yaml:"workdir"`
	Volumes          []string  `yaml:"volumes"`
	UnmountedVolumes []string  `yaml:"unmountedVolumes"`
	Labels           []EnvVar  `yaml:"labels"`
	User             string    `yaml:"user"`
}

// LicenseTest looks for licences that container-structure-test does not allow.
type LicenseTest struct {
	// Debian are the copyright files of all packages.
	Debian bool     `yaml:"debian"`
	Files  []string `yaml:"files"`
}

// RunOptions are those of the container that a command test runs in.
type RunOptions struct {
	User string `yaml:"user"`
	// EnvVars are names of variables of ours, and EnvFile is a file of
	// variables, that commands get instead of those of their tests.
	EnvVars []string `yaml:"envVars"`
	EnvFile string   `yaml:"envFile"`

	Privileged   bool     `yaml:"privileged"`
	AllocateTTY  bool     `yaml:"allocateTty"`
	Capabilities []string `yaml:"capabilities"`
	BindMounts   []string `yaml:"bindMounts"`
}

func (o RunOptions) isSet() bool {
	return o.User != "" || o.EnvFile != "" || len(o.EnvVars) > 0
}

// ResolveEnv reads the variables that containerRunOptions names, from the
// environment and from a file. It is to be called before Run and Digest if there
// are any. Its error names the file that could not be read.
func (c *Config) ResolveEnv(getenv func(string) string, readFile func(string) ([]byte, error)) error {
	c.env = nil
	if c.Options.EnvFile != "" {
		data, err := readFile(c.Options.EnvFile)
		if err != nil {
			return fmt.Errorf("reading envFile of %s: %w", c.Name, err)
		}
		vars, err := parseEnvFile(data)
		if err != nil {
			return fmt.Errorf("reading envFile %s of %s: %w", c.Options.EnvFile, c.Name, err)
		}
		c.env = vars
	}
	for _, name := range c.Options.EnvVars {
		if v := getenv(name); v != "" {
			c.env = append(c.env, name+"="+v)
		}
	}
	return nil
}

// Digest tells these tests from all others: it changes with the file, and with the
// variables that ResolveEnv read. Nothing of them can be told from it.
func (c *Config) Digest() string {
	h := sha256.New()
	h.Write(c.data)
	for _, v := range slices.Sorted(slices.Values(c.env)) {
		fmt.Fprintf(h, "\x00%s", v)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// count is the number of tests.
func (c *Config) count() int {
	n := len(c.Commands) + len(c.Existence) + len(c.Content) + len(c.Licenses)
	if c.Metadata != nil {
		n++
	}
	return n
}

// parseEnvFile reads what a file in the manner of ".env" sets. Variables without a
// value are left out. No error shows what may be a secret.
func parseEnvFile(data []byte) ([]string, error) {
	set, err := dotenv.UnmarshalBytesWithLookup(data, nil)
	if err != nil {
		where, _, _ := strings.Cut(err.Error(), ":")
		return nil, fmt.Errorf("%s is not NAME=VALUE, or has a quote without its end", where)
	}
	var vars []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if name != "" && set[name] != "" {
			vars = append(vars, name+"="+set[name])
		}
	}
	return vars, nil
}
