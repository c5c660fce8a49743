package main

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/urfave/cli/v2"
)

// What urfave/cli (v2.27) says of a flag's value, with Go's own words at its end.
var (
	badVariable = regexp.MustCompile(`(?s)^could not parse "(.*)" as .* value from environment variable "(.*?)" for flag (\S+): `)
	badFlag     = regexp.MustCompile(`(?s)^invalid (?:boolean )?value "(.*)" for (?:flag )?(-\S+): `)
)

// badValue is an error about the value of a flag in words of users; nil if err is about
// something else.
func badValue(err error, flags []cli.Flag) error {
	if m := badVariable.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s (--%s): %q is not %s", m[2], m[3], m[1], expected(m[3], flags))
	}
	if m := badFlag.FindStringSubmatch(err.Error()); m != nil {
		name := m[2][1:]
		return fmt.Errorf("%s: %q is not %s", dashed(name), m[1], expected(name, flags))
	}
	return nil
}

// expected is what a flag takes.
func expected(name string, flags []cli.Flag) string {
	i := slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return "a value for it"
	}
	switch flags[i].(type) {
	case quickBool, *cli.BoolFlag:
		return "true or false"
	case *cli.IntFlag:
		return "a whole number"
	case *cli.DurationFlag:
		return "a duration, as 90s or 10m"
	}
	return "a value for it"
}

// dashed is a flag as one types it.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
