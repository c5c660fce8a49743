package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// maxClientMemory is what the client may take of memory at most where layers come
// through the daemon's connection.
const maxClientMemory = 100 << 20

// report is everything that was measured.
type report struct {
	layerMB, runs int
	results       []result
	facts         []fact
}

// table shows the measurements as a Markdown table that is readable as text.
func (r report) table() string {
	var t strings.Builder
	row := func(cells ...any) { fmt.Fprintf(&t, "| %-44s | %-9s | %9s | %9s | %6s | %-19s |\n", cells...) }
	row("scenario", "by", "median", "peak mem", "ratio", "seatrial's goal")
	fmt.Fprintf(&t, "|%s|%s|%s:|%s:|%s:|%s|\n", dashes(46), dashes(11), dashes(10), dashes(10), dashes(7), dashes(21))
	for _, result := range r.results {
		ours := median(result.samples[0])
		for i, c := range result.scenario.contenders {
			ratio, verdict := "", ""
			if i > 0 {
				x := float64(ours) / float64(median(result.samples[i]))
				ratio, verdict = fmt.Sprintf("%.2f", x), goal(x, c.limit)
			}
			row(result.scenario.title, c.name, seconds(median(result.samples[i])), megabytes(peak(result.samples[i])), ratio, verdict)
		}
	}
	for _, f := range r.facts {
		row(f.title, "seatrial", f.value, f.memory, "", f.verdict)
	}
	// Memory is at its largest where layers come through the daemon's connection.
	for _, result := range r.results {
		if most := peak(result.samples[0]); strings.HasSuffix(result.scenario.title, elsewhere) {
			row(result.scenario.title, "seatrial", "", megabytes(most), "", met(most < maxClientMemory, "< "+megabytes(maxClientMemory)))
		}
	}
	return t.String()
}

// goal says whether a ratio is within its limit; nothing when it has none.
func goal(ratio, limit float64) string {
	if limit == 0 {
		return ""
	}
	return met(ratio <= limit, fmt.Sprintf("<= %.2f", limit))
}

// met is the goal and whether it was reached.
func met(reached bool, want string) string { //nolint:revive // it is the outcome, not a switch
	if reached {
		return want + " met"
	}
	return want + " MISSED"
}

func dashes(n int) string            { return strings.Repeat("-", n) }
func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }
func megabytes(bytes int64) string   { return fmt.Sprintf("%d MiB", bytes>>20) }

// markdown is the report as it is kept.
func (r report) markdown(ctx context.Context, b *bench) string {
	return fmt.Sprintf(`# Benchmark

Written by `+"`make bench`"+` on %s: %s, %d CPUs, %s, %s, docker-registry %s,
BuildKit %s, buildx %s. Load of the machine when it began: %s (measure on an idle
one).

%s
Medians of %d runs after a warm-up; the contenders took turns. The ratio is
seatrial's median divided by that contender's: below 1, seatrial is faster. Peak
memory is that of the client's largest process in any run. Everything ran on one
machine: the client, one buildkitd for all, and docker-registry on loopback.

- **seatrial** builds, tests, and pushes in one call, and pushes nothing if the
  test fails.
- **buildctl** is called twice for flask: the target `+"`test`"+`, then the image with
  `+"`push=true`"+`; once where nothing is tested.
- **bake** is `+"`buildx bake`"+` with both as targets, over the remote driver. It pushes
  whether the test fails or not.

Tests ran in images that were new each time; ten at once, the large report, and what
one connection carries at most %d times. Containers are all that the daemon started,
of the second call and of the first. A service and its test are under way when the
test prints the service's answer, counted from the end of the image's last step.
`,
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS+"/"+runtime.GOARCH, runtime.NumCPU(), memory(),
		runtime.Version(), firstMatch(ctx, "docker-registry", "--version"),
		moduleVersion("github.com/moby/buildkit"), firstMatch(ctx, b.binary("buildx"), "version"),
		b.load, r.table(), r.runs, fewRuns)
}

// load is the machine's load average of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	minute, _, _ := strings.Cut(string(text), " ")
	return minute
}

// memory is the machine's, as Linux tells it.
func memory() string {
	text, _ := os.ReadFile("/proc/meminfo")
	var kib int64
	if _, err := fmt.Sscanf(string(text), "MemTotal: %d", &kib); err != nil {
		return "memory unknown"
	}
	return fmt.Sprintf("%d GiB of memory", kib>>20)
}

// firstMatch is the word of a program's output that looks like a version.
func firstMatch(ctx context.Context, name string, arg string) string {
	out, _ := exec.CommandContext(ctx, name, arg).Output()
	for _, word := range strings.Fields(string(out)) {
		if digits := strings.TrimPrefix(word, "v"); digits != "" && digits[0] >= '0' && digits[0] <= '9' {
			return digits
		}
	}
	return "of unknown version"
}

// moduleVersion is the version of a dependency of this program.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == path {
				return strings.TrimPrefix(dep.Version, "v")
			}
		}
	}
	return "of unknown version"
}
