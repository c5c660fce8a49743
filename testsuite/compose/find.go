package compose

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Find returns the test files in a directory, which is the Dockerfile's, in the order
// of their names: *.test.yml and *-test.yml, or .yaml. Files called *-test that have no
// services, and nothing of Compose in their names, are others', and passed over; so are
// container-structure-test's.
func Find(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, fmt.Errorf("looking for Compose files: %w", err)
	}
	var out []string
	for _, e := range entries {
		sure, ok := testName(e.Name())
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); !ok || err != nil || !info.Mode().IsRegular() {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("looking for Compose files: %w", err)
		}
		if Detect(data) || sure && !foreign(data) {
			out = append(out, path)
		}
	}
	return out, nil
}

// testName tells whether a file is to be looked at, and whether its name leaves no
// doubt of what it is.
func testName(name string) (sure, ok bool) {
	base, ok := strings.CutSuffix(name, ".yml")
	if !ok {
		base, ok = strings.CutSuffix(name, ".yaml")
	}
	sure = strings.HasSuffix(base, ".test") || strings.HasPrefix(base, "docker-compose") || strings.HasPrefix(base, "compose")
	return sure, ok && (strings.HasSuffix(base, ".test") || strings.HasSuffix(base, "-test"))
}

// Detect tells a Compose file from other YAML: it has services, or, as the oldest had
// it, sut at the top.
func Detect(data []byte) bool {
	var root struct {
		Services yaml.Node `yaml:"services"`
		Sut      yaml.Node `yaml:"sut"`
	}
	return yaml.Unmarshal(data, &root) == nil && (root.Services.Kind != 0 || root.Sut.Kind != 0)
}

// foreign tells a file of container-structure-test.
func foreign(data []byte) bool {
	var root struct {
		SchemaVersion yaml.Node `yaml:"schemaVersion"`
	}
	return yaml.Unmarshal(data, &root) == nil && root.SchemaVersion.Kind != 0
}
