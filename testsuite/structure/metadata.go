package structure

import (
	"regexp"
	"slices"
	"strings"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

func (m *MetadataTest) compare(image ocispecs.ImageConfig, res *Result) {
	env := map[string]string{}
	for _, v := range image.Env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	compareVars(res, "environment variable", m.Env, env)
	for _, v := range m.UnboundEnv {
		if _, ok := env[v.Key]; ok {
			res.failf("environment variable %s is set, and should not be", v.Key)
		}
	}
	compareVars(res, "label", m.Labels, image.Labels)
	compareList(res, "cmd", m.Cmd, image.Cmd)
	compareList(res, "entrypoint", m.Entrypoint, image.Entrypoint)
	compareString(res, "workdir", m.Workdir, image.WorkingDir)
	compareString(res, "user", m.User, image.User)

	ports := map[string]struct{}{}
	for p := range image.ExposedPorts {
		number, _, _ := strings.Cut(p, "/")
		ports[number] = struct{}{}
	}
	compareSet(res, "port", m.ExposedPorts, m.UnexposedPorts, ports)
	compareSet(res, "volume", m.Volumes, m.UnmountedVolumes, image.Volumes)
}

// compareVars shows names only: values may be secret.
func compareVars(res *Result, what string, want []EnvVar, have map[string]string) {
	for _, v := range want {
		value, ok := have[v.Key]
		same := value == v.Value
		if v.IsRegex {
			re, err := regexp.Compile(v.Value)
			same = err == nil && re.MatchString(value)
		}
		switch {
		case !ok:
			res.failf("%s %s is not set", what, v.Key)
		case !same && v.IsRegex:
			res.failf("%s %s does not match %q", what, v.Key, v.Value)
		case !same:
			res.failf("%s %s is not %q", what, v.Key, v.Value)
		}
	}
}

func compareList(res *Result, what string, want *[]string, have []string) {
	if want != nil && !slices.Equal(*want, have) {
		res.failf("%s is %q, expected %q", what, have, *want)
	}
}

func compareString(res *Result, what, want, have string) {
	if want != "" && want != have {
		res.failf("%s is %q, expected %q", what, have, want)
	}
}

func compareSet(res *Result, what string, want, unwanted []string, have map[string]struct{}) {
	for _, v := range want {
		if _, ok := have[v]; !ok {
			res.failf("%s %s is not exposed", what, v)
		}
	}
	for _, v := range unwanted {
		if _, ok := have[v]; ok {
			res.failf("%s %s is exposed, and should not be", what, v)
		}
	}
}
