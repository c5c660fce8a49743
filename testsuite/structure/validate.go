package structure

import (
	"regexp"
	"slices"

	"go.yaml.in/yaml/v4"
)

// validate notes what no schema can say.
func (d *document) validate(c *Config) {
	for i, t := range c.Commands {
		d.validateCommand(t, "commandTests", i)
	}
	for i, t := range c.Existence {
		d.require(t.Name, "name", "fileExistenceTests", i)
		d.require(t.Path, "path", "fileExistenceTests", i)
		if t.IsExecutableBy != "" && !slices.Contains([]string{"owner", "group", "other", "any"}, t.IsExecutableBy) {
			d.fail(d.find("fileExistenceTests", i, "isExecutableBy"), "isExecutableBy: want owner, group, other or any, have %q", t.IsExecutableBy)
		}
		if d.json && child(d.find("fileExistenceTests", i), "shouldExist") == nil {
			d.fail(d.find("fileExistenceTests", i), "fileExistenceTests[%d] has no shouldExist: container-structure-test takes that for false in JSON, and for true in YAML", i)
		}
	}
	for i, t := range c.Content {
		d.require(t.Name, "name", "fileContentTests", i)
		d.require(t.Path, "path", "fileContentTests", i)
		d.patterns(t.ExpectedContents, "fileContentTests", i, "expectedContents")
		d.patterns(t.ExcludedContents, "fileContentTests", i, "excludedContents")
	}
	if c.Metadata != nil {
		d.validateMetadata(c.Metadata)
	}
	d.validateOptions(c.Options)
	if c.count() == 0 {
		d.fail(d.root, "there are no tests in it")
	}
}

func (d *document) require(value, key, list string, i int) {
	if value == "" {
		d.fail(d.find(list, i, key), "%s[%d] has no %s", list, i, key)
	}
}

func (d *document) patterns(list []string, steps ...any) {
	for i, p := range list {
		d.pattern(p, append(slices.Clone(steps), i)...)
	}
}

func (d *document) pattern(p string, steps ...any) {
	if _, err := regexp.Compile(p); err != nil {
		d.fail(d.find(steps...), "%v", err)
	}
}

func (d *document) validateCommand(t CommandTest, list string, i int) {
	d.require(t.Name, "name", list, i)
	if len(t.Args) == 0 || t.Args[0] == "" {
		d.fail(d.find(list, i, "command"), "%s[%d] has no command", list, i)
	}
	for j, cmd := range t.Setup {
		if len(cmd) == 0 || cmd[0] == "" {
			d.fail(d.find(list, i, "setup", j), "an empty command in setup")
		}
	}
	// They have no effect, but one that is empty fails its test there.
	for _, cmd := range d.find(list, i, "teardown").Content {
		if cmd = resolve(cmd); cmd.Kind == yaml.SequenceNode && len(cmd.Content) == 0 {
			d.fail(cmd, "an empty command in teardown")
		}
	}
	for j, v := range t.Env {
		if v.Key == "" || v.Value == "" {
			d.fail(d.find(list, i, "envVars", j), "envVars: want a key and a value, neither of them empty")
		}
	}
	d.patterns(t.ExpectedOutput, list, i, "expectedOutput")
	d.patterns(t.ExcludedOutput, list, i, "excludedOutput")
	d.patterns(t.ExpectedError, list, i, "expectedError")
	d.patterns(t.ExcludedError, list, i, "excludedError")
}

func (d *document) validateMetadata(m *MetadataTest) {
	for key, list := range map[string][]EnvVar{"envVars": m.Env, "labels": m.Labels} {
		for i, v := range list {
			if v.Key == "" {
				d.fail(d.find("metadataTest", key, i), "%s[%d] has no key", key, i)
			}
			if v.IsRegex {
				d.pattern(v.Value, "metadataTest", key, i, "value")
			}
		}
	}
	for key, list := range map[string][]string{"exposedPorts": m.ExposedPorts, "volumes": m.Volumes} {
		for i, v := range list {
			if v == "" {
				d.fail(d.find("metadataTest", key, i), "%s[%d] is empty", key, i)
			}
		}
	}
}

// validateOptions refuses what a command in a build cannot be given.
func (d *document) validateOptions(o RunOptions) {
	for key, set := range map[string]bool{
		"privileged": o.Privileged, "capabilities": len(o.Capabilities) > 0,
		"bindMounts": len(o.BindMounts) > 0, "allocateTty": o.AllocateTTY,
	} {
		if set {
			d.fail(d.find("containerRunOptions", key), "containerRunOptions.%s is not supported: tests run inside the builder, %s", key, refusals[key])
		}
	}
}

var refusals = map[string]string{
	"privileged":   "without privileges",
	"capabilities": "with the capabilities of a build step",
	"bindMounts":   "which does not have the files of this machine; COPY them in a stage of their own, or use another kind of test",
	"allocateTty":  "with what they print to stdout and stderr kept apart",
}
