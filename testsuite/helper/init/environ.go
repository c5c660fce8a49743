package main

import (
	"slices"
	"strings"
)

// getenv is the value of a variable; the last one counts.
func getenv(env []string, name string) (string, bool) {
	for _, kv := range slices.Backward(env) {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			return v, true
		}
	}
	return "", false
}

// setenv returns env with variables set to values.
func setenv(env []string, values map[string]string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		k, _, _ := strings.Cut(kv, "=")
		_, ok := values[k]
		return ok
	})
	for k, v := range values {
		env = append(env, k+"="+v)
	}
	return env
}
