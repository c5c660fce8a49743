package structure

import (
	"bytes"
	"context"
	"regexp"
	"slices"
)

func (r *runner) command(ctx context.Context, t CommandTest, res *Result) {
	out, err := r.target.Exec(ctx, r.prepare(t))
	res.Stdout, res.Stderr = out.Stdout, out.Stderr
	if err != nil {
		res.failf("%v", err)
		return
	}
	match(res, out.Stderr, "stderr", t.ExpectedError, t.ExcludedError)
	match(res, out.Stdout, "stdout", t.ExpectedOutput, t.ExcludedOutput)
	if out.ExitCode != t.ExitCode {
		res.failf("exit code %d, expected %d", out.ExitCode, t.ExitCode)
	}
}

// prepare is the command with its environment. Setup leaves the variables of its
// test, expanded, in the environment that the command's own arguments are expanded
// from, and the command gets them as they were written: so it is with Docker, where
// each command of the setup is committed as an image.
func (r *runner) prepare(t CommandTest) Command {
	env := r.global()
	vars := t.Env
	if r.cfg.SchemaVersion == "1.0.0" {
		vars = slices.Concat(r.cfg.GlobalEnv, t.Env)
	}
	c := Command{Setup: t.Setup, User: r.cfg.Options.User}
	if len(t.Setup) > 0 {
		c.SetupEnv = merge(env, expand(vars, env))
		env = c.SetupEnv
	}
	for _, arg := range t.Args {
		c.Args = append(c.Args, substitute(arg, env))
	}
	if r.cfg.Options.isSet() {
		c.Env = merge(env, r.cfg.env)
		return c
	}
	raw := make([]string, len(t.Env))
	for i, v := range t.Env {
		raw[i] = v.Key + "=" + v.Value
	}
	c.Env = merge(env, raw)
	return c
}

// match searches data for patterns. It shows an excerpt, not all.
func match(res *Result, data []byte, where string, expected, excluded []string) {
	for _, p := range expected {
		if re, err := regexp.Compile(p); err != nil || !re.Match(data) {
			res.failf("expected %q is not in %s", p, where)
		}
	}
	for _, p := range excluded {
		re, err := regexp.Compile(p)
		if err != nil {
			res.failf("excluded %q in %s: %v", p, where, err)
		} else if loc := re.FindIndex(data); loc != nil {
			res.failf("excluded %q is in %s, in line %d", p, where, bytes.Count(data[:loc[0]], []byte("\n"))+1)
		}
	}
}
