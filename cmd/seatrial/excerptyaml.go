package main

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/seatrial/seatrial/llb"
)

// yamlValue is what a line of YAML gives a name that a secret may have, as a mapping
// has it, or a list of NAME=VALUE.
var yamlValue = regexp.MustCompile(`(?i)([\w.-]*(?:` + secretName.String() + `)[\w.-]*["']?\s*[:=]\s*)([^\s].*)$`)

func isYAML(file string) bool {
	ext := strings.ToLower(filepath.Ext(file))
	return ext == ".yml" || ext == ".yaml"
}

// withoutYAMLSecrets has no values for such names, wherever they are in a line, nor the
// lines that a value goes on with.
func withoutYAMLSecrets(text string) string {
	lines := strings.Split(text, "\n")
	block := -1 // the indentation of the name whose value is in lines below it
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if block >= 0 && (indent > block || strings.TrimSpace(line) == "") {
			if strings.TrimSpace(line) != "" {
				lines[i] = line[:indent] + mask
			}
			continue
		}
		block = -1
		if yamlValue.MatchString(line) {
			block = indent // plain and quoted values may go on, too
			line = yamlValue.ReplaceAllString(line, "${1}"+mask)
		}
		lines[i] = llb.RedactURLs(line)
	}
	return strings.Join(lines, "\n")
}
