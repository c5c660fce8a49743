package structure

// These are files as they are written. What they share with Config is not repeated.

type fileV2 struct {
	SchemaVersion string            `yaml:"schemaVersion"`
	GlobalEnv     []EnvVar          `yaml:"globalEnvVars"`
	Commands      []commandV2       `yaml:"commandTests"`
	Existence     []existenceV2     `yaml:"fileExistenceTests"`
	Content       []FileContentTest `yaml:"fileContentTests"`
	Metadata      MetadataTest      `yaml:"metadataTest"`
	Licenses      []LicenseTest     `yaml:"licenseTests"`
	Options       RunOptions        `yaml:"containerRunOptions"`
}

type fileV1 struct {
	SchemaVersion string            `yaml:"schemaVersion"`
	GlobalEnv     []EnvVar          `yaml:"globalEnvVars"`
	Commands      []commandV1       `yaml:"commandTests"`
	Existence     []existenceV1     `yaml:"fileExistenceTests"`
	Content       []FileContentTest `yaml:"fileContentTests"`
	Licenses      []LicenseTest     `yaml:"licenseTests"`
}

type command struct {
	Name           string     `yaml:"name"`
	Setup          [][]string `yaml:"setup"`
	Teardown       [][]string `yaml:"teardown"`
	Env            []EnvVar   `yaml:"envVars"`
	ExitCode       int        `yaml:"exitCode"`
	ExpectedOutput []string   `yaml:"expectedOutput"`
	ExcludedOutput []string   `yaml:"excludedOutput"`
	ExpectedError  []string   `yaml:"expectedError"`
	ExcludedError  []string   `yaml:"excludedError"`
}

type commandV2 struct {
	command `yaml:",inline"`
	Command string   `yaml:"command"`
	Args    []string `yaml:"args"`
}

type commandV1 struct {
	command `yaml:",inline"`
	Command []string `yaml:"command"`
}

type existenceV1 struct {
	Name        string `yaml:"name"`
	Path        string `yaml:"path"`
	ShouldExist *bool  `yaml:"shouldExist"`
	Permissions string `yaml:"permissions"`
}

type existenceV2 struct {
	existenceV1    `yaml:",inline"`
	UID            *int   `yaml:"uid"`
	GID            *int   `yaml:"gid"`
	IsExecutableBy string `yaml:"isExecutableBy"`
}

func (c command) test(args []string) CommandTest {
	return CommandTest{
		Name: c.Name, Setup: c.Setup, Env: c.Env, Args: args, ExitCode: c.ExitCode,
		ExpectedOutput: c.ExpectedOutput, ExcludedOutput: c.ExcludedOutput,
		ExpectedError: c.ExpectedError, ExcludedError: c.ExcludedError,
	}
}

func (f existenceV1) test() FileExistenceTest {
	return FileExistenceTest{
		Name: f.Name, Path: f.Path, Permissions: f.Permissions, UID: -1, GID: -1,
		ShouldExist: f.ShouldExist == nil || *f.ShouldExist,
	}
}

func (f existenceV2) test() FileExistenceTest {
	t := f.existenceV1.test()
	t.IsExecutableBy = f.IsExecutableBy
	if f.UID != nil {
		t.UID = *f.UID
	}
	if f.GID != nil {
		t.GID = *f.GID
	}
	return t
}

func (f fileV1) config() *Config {
	c := &Config{SchemaVersion: f.SchemaVersion, GlobalEnv: f.GlobalEnv, Content: f.Content, Licenses: f.Licenses}
	for _, t := range f.Commands {
		c.Commands = append(c.Commands, t.test(t.Command))
	}
	for _, t := range f.Existence {
		c.Existence = append(c.Existence, t.test())
	}
	return c
}

func (f fileV2) config() *Config {
	c := &Config{SchemaVersion: f.SchemaVersion, GlobalEnv: f.GlobalEnv, Content: f.Content, Licenses: f.Licenses, Options: f.Options}
	for _, t := range f.Commands {
		c.Commands = append(c.Commands, t.test(append([]string{t.Command}, t.Args...)))
	}
	for _, t := range f.Existence {
		c.Existence = append(c.Existence, t.test())
	}
	if !f.Metadata.empty() {
		c.Metadata = &f.Metadata
	}
	return c
}

func (m MetadataTest) empty() bool {
	return len(m.Env)+len(m.UnboundEnv)+len(m.ExposedPorts)+len(m.UnexposedPorts)+
		len(m.Volumes)+len(m.UnmountedVolumes)+len(m.Labels) == 0 &&
		m.Entrypoint == nil && m.Cmd == nil && m.Workdir == "" && m.User == ""
}
