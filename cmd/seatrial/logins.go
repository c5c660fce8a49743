package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/registry/credentials"
)

// logins are the user names and passwords of the command line, and of USERNAME and
// PASSWORD. hosts are those that the image goes to.
func (p *plan) logins(c *cli.Context, hosts []string) (both, pull credentials.Logins, err error) {
	var stdinPassword string
	if c.Bool("registry-password-stdin") {
		if stdinPassword, err = p.passwordFromStdin(c); err != nil {
			return nil, nil, err
		}
	}
	both, err = loginFlags{
		flag: "registry-user", files: "registry-password-file", variable: "SEATRIAL_REGISTRY_PASSWORD", given: stdinPassword,
	}.read(c, hosts)
	if err != nil {
		return nil, nil, err
	}
	pull, err = loginFlags{flag: "pull-user", files: "pull-password-file", variable: "SEATRIAL_PULL_PASSWORD"}.read(c, hosts)
	if err != nil {
		return nil, nil, err
	}
	// What is on the command line comes first: of equal scopes, the first counts.
	if user, password := os.Getenv("USERNAME"), withoutLineEnd(os.Getenv("PASSWORD")); user != "" && password != "" {
		for _, host := range hosts {
			both = append(both, credentials.Login{Scope: host, User: user, Password: password, Source: "USERNAME and PASSWORD"})
		}
	}
	return both, pull, nil
}

func (p *plan) passwordFromStdin(c *cli.Context) (string, error) {
	if p.build.Context == stdin || p.build.Dockerfile == stdin {
		return "", usagef("--registry-password-file FILE takes it from a file", "--registry-password-stdin: context or Dockerfile are on standard input already")
	}
	if p.saved != nil && p.saved.path == stdinPath {
		return "", usagef("--registry-password-file FILE takes it from a file", "--registry-password-stdin: the image is on standard input already")
	}
	if n := len(c.StringSlice("registry-user")); n != 1 {
		return "", usagef("say --registry-user once, and give others --registry-password-file HOST=FILE", "--registry-password-stdin has the password of one --registry-user, not of %d", n)
	}
	content, err := io.ReadAll(io.LimitReader(awaited(c.Context, c.App.Reader, "the password (it is shown as it is typed)", c.App.ErrWriter), 1<<20))
	if cause := context.Cause(c.Context); cause != nil {
		return "", cause
	}
	if err != nil {
		return "", usagef("", "--registry-password-stdin: reading standard input: %w", err)
	}
	return password("--registry-password-stdin", "standard input", content)
}

// password is the content without the end of its line.
func password(flag, where string, content []byte) (string, error) {
	line := withoutLineEnd(string(content))
	if line == "" || bytes.ContainsAny(content[:len(line)], "\r\n\x00") {
		return "", usagef("it is one line, as printf %s \"$TOKEN\" writes it", "%s: there is no password in %s", flag, where)
	}
	return line, nil
}

// withoutLineEnd is what a file or a pipeline's secret holds, which often end as lines do.
func withoutLineEnd(s string) string { return strings.TrimRight(s, "\r\n") }

// loginFlags is a flag with users and what goes with it.
type loginFlags struct{ flag, files, variable, given string }

func (f loginFlags) read(c *cli.Context, hosts []string) (credentials.Logins, error) {
	var logins credentials.Logins
	source := "--" + f.flag
	for _, v := range c.StringSlice(f.flag) {
		scope, user, scoped := strings.Cut(v, "=")
		if !scoped {
			scope, user = "", v
		}
		if user == "" || scoped && scope == "" {
			return nil, usagef("it looks like NAME, or registry.example.com=NAME", "%s %q names no user", source, v)
		}
		if !scoped {
			if len(hosts) != 1 {
				return nil, usagef("say for which one: "+source+" HOST="+user, "%s %s: the image goes to %s", source, user, someRegistries(hosts))
			}
			scope = hosts[0]
		}
		logins = append(logins, credentials.Login{Scope: scope, User: user, Password: f.given, Source: source})
	}
	if err := f.readFiles(c, logins); err != nil {
		return nil, err
	}
	for i := range logins {
		if fromEnv := withoutLineEnd(os.Getenv(f.variable)); logins[i].Password == "" && len(logins) == 1 {
			logins[i].Password = fromEnv
		}
		if logins[i].Password == "" {
			return nil, usagef(f.remedy(logins[i].Scope), "%s %s has no password", source, logins[i].User)
		}
	}
	return logins, nil
}

func (f loginFlags) remedy(scope string) string {
	remedy := fmt.Sprintf("--%s %s=FILE has it, or for one user the variable %s", f.files, scope, f.variable)
	if f.flag == "registry-user" {
		remedy += ", or standard input with --registry-password-stdin"
	}
	return remedy
}

// readFiles gives each login the password from its file.
func (f loginFlags) readFiles(c *cli.Context, logins credentials.Logins) error {
	for _, v := range c.StringSlice(f.files) {
		scope, file, scoped := strings.Cut(v, "=")
		of := func(l credentials.Login) bool { return credentials.SameScope(l.Scope, scope) }
		i := slices.IndexFunc(logins, of)
		if !scoped || i < 0 { // a path may have that character, too
			file = v
			if i = 0; len(logins) != 1 {
				return usagef("--"+f.files+" HOST=FILE belongs to --"+f.flag+" HOST=NAME", "--%s %s: it is not clear whose password that is, of %d users", f.files, v, len(logins))
			}
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return usagef("", "--%s: %w", f.files, err)
		}
		if logins[i].Password, err = password("--"+f.files, file, content); err != nil {
			return err
		}
	}
	return nil
}

// someRegistries are the hosts, in a sentence.
func someRegistries(hosts []string) string {
	if len(hosts) == 0 {
		return "no registry"
	}
	return "several registries: " + strings.Join(hosts, ", ")
}
