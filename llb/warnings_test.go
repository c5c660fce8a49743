package llb

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/seatrial/seatrial/hack/testenv"
)

// suspicious has a warning in a stage that image and test share, and one in the
// test alone.
const suspicious = `FROM scratch AS app
ENV API_TOKEN=x
COPY Dockerfile /
FROM app AS test
MAINTAINER me
FROM app
`

// warned builds a Dockerfile and its stage test for two platforms, and lists the
// warnings as RULE:LINE.
func warned(t *testing.T, c *client.Client, dockerfile string, args map[string]string) ([]string, error) {
	t.Helper()
	opt := Options{Context: testenv.Dir(t, "Dockerfile", dockerfile), Platforms: []string{"linux/amd64", "linux/arm64"}, BuildArgs: args}
	var shown int
	opt.Status = func(st *client.SolveStatus) { shown += len(st.Warnings) }
	res, err := Solve(context.Background(), c, opt, Phases{
		Stages: func([]string) ([]string, error) { return []string{"test"}, nil },
		Ship:   func(ctx context.Context, s *Shipment) error { return s.Verdict(ctx) },
	})
	var got []string
	for _, w := range res.Record.Warnings() {
		rule, _, _ := strings.Cut(string(w.Short), ":")
		got = append(got, fmt.Sprintf("%s:%d", rule, w.Range[0].Start.Line))
		if w.SourceInfo.GetFilename() != "Dockerfile" || w.URL == "" {
			t.Errorf("warning %q has no file or URL: %+v", w.Short, w)
		}
	}
	if shown != len(got) {
		t.Errorf("the status has %d warnings, the record %d", shown, len(got))
	}
	slices.Sort(got)
	return got, err
}

func TestWarningsComeOnce(t *testing.T) {
	all := []string{"MaintainerDeprecated:5", "SecretsUsedInArgOrEnv:2"}
	cases := map[string]struct {
		prefix string
		args   map[string]string
		want   []string
	}{
		"all":                {want: all},
		"skipped by comment": {prefix: "# check=skip=MaintainerDeprecated,StageNameCasing\n", want: []string{"SecretsUsedInArgOrEnv:3"}},
		"all skipped":        {prefix: "# check=skip=all\n", want: nil},
		"skipped by argument": {
			args: map[string]string{"BUILDKIT_DOCKERFILE_CHECK": "skip=SecretsUsedInArgOrEnv"},
			want: []string{"MaintainerDeprecated:5"},
		},
		"the argument wins": {
			prefix: "# check=skip=all\n", args: map[string]string{"BUILDKIT_DOCKERFILE_CHECK": "skip=JSONArgsRecommended"},
			want: []string{"MaintainerDeprecated:6", "SecretsUsedInArgOrEnv:3"},
		},
	}
	onEach(t, func(t *testing.T, c *client.Client) {
		for name, tc := range cases {
			got, err := warned(t, c, tc.prefix+suspicious, tc.args)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%s: warnings = %q, want %q", name, got, tc.want)
			}
		}
	})
}

// With error=true a warning ends the build, of a stage that only a test needs too.
func TestWarningsAsErrors(t *testing.T) {
	c := dial(t, testenv.SharedDaemon(t, testenv.Rootless))
	for _, prefix := range []string{"# check=error=true\n", "# check=skip=SecretsUsedInArgOrEnv;error=true\n"} {
		_, err := warned(t, c, prefix+suspicious, nil)
		if err == nil || !strings.Contains(err.Error(), "lint violation found for rules: ") {
			t.Errorf("%serror = %v, want a lint violation", prefix, err)
		}
	}
	_, err := warned(t, c, suspicious, map[string]string{"BUILDKIT_DOCKERFILE_CHECK": "error=true"})
	if err == nil || !strings.Contains(err.Error(), "lint violation") {
		t.Errorf("by argument: error = %v, want a lint violation", err)
	}
}
