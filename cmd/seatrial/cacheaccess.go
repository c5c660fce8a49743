package main

import (
	"context"
	"os"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/go-csvvalue"

	"github.com/seatrial/seatrial/registry/credentials"
)

// It is the builder that reads and writes caches, with what this machine may.

// inActions is values without the caches of GitHub Actions if this is no job there:
// the same command line serves elsewhere.
func (p *plan) inActions(flag string, values []string) []string {
	var out []string
	for _, v := range values {
		if missing := actionsLack(v); missing != "" {
			p.warned = append(p.warned, finding{
				message: "--" + flag + " type=gha is left out: " + missing,
				fix:     "in a workflow, expose the variables of the runner to the step (crazy-max/ghaction-github-runtime does that)",
			})
			continue
		}
		out = append(out, v)
	}
	return out
}

// actionsLack says what a cache of GitHub Actions lacks to be reached; "" if it is
// another cache, or can be.
func actionsLack(value string) string {
	fields, err := csvvalue.Fields(value, nil)
	if err != nil {
		return "" // the parser says it better
	}
	attrs := map[string]string{}
	for _, field := range fields {
		key, v, _ := strings.Cut(field, "=")
		attrs[strings.ToLower(key)] = v
	}
	has := func(key string, variables ...string) bool {
		found := attrs[key] != ""
		for _, name := range variables {
			found = found || os.Getenv(name) != ""
		}
		return found
	}
	switch {
	case attrs["type"] != "gha":
		return ""
	case !has("token", "ACTIONS_RUNTIME_TOKEN"):
		return "ACTIONS_RUNTIME_TOKEN is not set"
	case !has("url", "ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL") && !has("url_v2"):
		return "neither ACTIONS_RESULTS_URL nor ACTIONS_CACHE_URL is set"
	}
	return ""
}

// lendKeys gives the caches in S3 that name none the keys that the AWS SDK finds here.
// If there are none, the builder may have some of its own.
func (p *plan) lendKeys(ctx context.Context) {
	var without []client.CacheOptionsEntry
	for _, list := range [][]client.CacheOptionsEntry{p.build.CacheImports, p.build.CacheExports} {
		for _, e := range list {
			if e.Type == "s3" && (e.Attrs["access_key_id"] == "" || e.Attrs["secret_access_key"] == "") {
				without = append(without, e)
			}
		}
	}
	if len(without) == 0 {
		return
	}
	keys, err := credentials.AmazonKeys(ctx)
	if err != nil {
		return
	}
	for _, e := range without {
		for attr, v := range map[string]string{"access_key_id": keys.AccessKeyID, "secret_access_key": keys.SecretAccessKey, "session_token": keys.SessionToken} {
			if e.Attrs[attr] == "" && v != "" {
				e.Attrs[attr] = v
			}
		}
	}
}
