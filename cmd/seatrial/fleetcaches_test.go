package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestSeveralBuildersKeepCaches has two fresh builders neither build nor test what two
// others did.
func TestSeveralBuildersKeepCaches(t *testing.T) {
	first, firstAddrs := newFleetWorld(t, testenv.Root)
	second, secondAddrs := newFleetWorld(t, testenv.Root)
	second.registry = first.registry
	dir, repo := t.TempDir(), first.registry.Host+"/acme/cache"
	actions := testenv.StartActionsCache(t)
	s3 := "type=s3,bucket=caches,region=local,use_path_style=true,access_key_id=any,secret_access_key=any,endpoint_url=" + testenv.StartS3(t, "caches")
	azure := "type=azblob,name=a;b,account_name=any,secret_access_key=bm9uZQ==,account_url=" + testenv.StartBlobStore(t)
	for kind, cache := range map[string][2]string{
		"registry": {"type=registry,mode=max,ref=" + repo, repo},
		"local":    {"type=local,mode=max,dest=" + dir, "type=local,src=" + dir},
		"gha":      {"type=gha,mode=max", "type=gha"},
		"s3":       {s3 + ",mode=max", s3},
		"azblob":   {azure + ",mode=max", azure},
	} {
		t.Run(kind, func(t *testing.T) {
			project := testenv.Dir(t, "Dockerfile", cachedDockerfile+"LABEL cache="+kind+"\n", "name", kind)
			run := func(w *world, args ...string) *command {
				c := start(t, append(w.env(), actions.Env...), append([]string{"run", "-t", first.registry.Host + "/acme/fleet:" + kind, project}, args...)...)
				c.exits(0)
				return c
			}
			made := run(first, append(firstAddrs, "--cache-to", cache[0])...)
			made.says(" built-here\n", " tested-here\n")
			if strings.Contains(made.stderr(), "warning: ") {
				t.Errorf("exporting caches warns of something:\n%s", made.stderr())
			}

			served := run(second, append(secondAddrs, "--cache-from", cache[1])...)
			for _, step := range []string{" built-here\n", " tested-here\n"} {
				if strings.Contains(served.stderr(), step) {
					t.Errorf("%q of the first builders ran again:\n%s", step, served.stderr())
				}
			}
			served.says("(linux/amd64)  passed (cached", "(linux/386)  passed (cached")
		})
	}
	if got, want := tagsOf(t, repo), []string{"latest-linux-386", "latest-linux-386-passes", "latest-linux-amd64", "latest-linux-amd64-passes"}; !slices.Equal(got, want) {
		t.Errorf("the repository of the caches has the tags %q, want %q", got, want)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[0].Name() != "linux-386" || entries[1].Name() != "linux-amd64" {
		t.Errorf("the directory of the caches has %v (%v), want one for each builder", entries, err)
	}
}

// TestSeveralBuildersAndACacheThatFails has it be a warning: of what all read once, of what
// each has written for each.
func TestSeveralBuildersAndACacheThatFails(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			w, addrs := newFleetWorld(t, kind)
			c := start(t, w.env(), append([]string{"run", "-t", w.registry.Host + "/acme/fleet", "--test", "true", "--cache-from", "127.0.0.1:1/no/cache", "--cache-from", "type=local,src=" + t.TempDir(),
				"--cache-to", "127.0.0.1:1/no/cache", "--cache-to", "type=inline", testenv.Dir(t, "Dockerfile", fleetDockerfile)}, addrs...)...)
			c.exits(0)
			c.says("tag moved", "warning: exporting cache: ", "no/cache:latest-linux-amd64", "no/cache:latest-linux-386")
			c.saysOnce("warning: --cache-from type=local: there is no cache")
			for _, tag := range []string{"", ":latest-linux-amd64", ":latest-linux-386"} {
				c.saysOnce("\nwarning: reading cache 127.0.0.1:1/no/cache" + tag + ": ")
			}
			// It is one if both fail at the layer that they share.
			if got := strings.Count(c.stderr(), "\nwarning: exporting cache: "); got < 1 || got > 2 {
				t.Errorf("%d warnings of caches that were not exported, want one for each builder at most:\n%s", got, c.stderr())
			}
		})
	}
}

func tagsOf(t *testing.T, repository string) []string {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	tags, err := remote.List(repo)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tags)
	return tags
}
