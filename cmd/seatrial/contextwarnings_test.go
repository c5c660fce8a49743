package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/llb"
)

func TestWarnOfContexts(t *testing.T) {
	for name, test := range map[string]struct {
		transfer llb.Transfer
		want     string
	}{
		"usual": {llb.Transfer{Name: "context", Files: 49_999, Bytes: 499 << 20}, ""},
		"large": {
			llb.Transfer{Name: "context", Files: 3, Bytes: 2 << 30, Sent: []llb.Share{{Path: "disk.img", Amount: 2 << 30}, {Path: "a\xe9", Amount: 1 << 30}, {Path: "b", Amount: 9}}},
			`warning: 2GiB of the build context were sent to the builder, most of it in "disk.img" (2GiB), "a\xe9" (1GiB); name what the build does not need in .dockerignore` + "\n",
		},
		"many": {
			llb.Transfer{Name: "context-data", Files: 100_000, Listed: []llb.Share{{Path: "node_modules", Amount: 99_999}, {Path: "x", Amount: 1}}},
			`warning: build context "data" has 100000 files, most of them in "node_modules" (99999 files); name what the build does not need in .dockerignore` + "\n",
		},
		"special": {
			llb.Transfer{Name: "context", LeftOut: []string{"a", "b", "c", "d", "e", "f", "g"}},
			`warning: left out of the build context, being neither file, directory nor link: "a", "b", "c", "d", "e", and 2 more` + "\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			warnOfContexts(&b, []llb.Transfer{test.transfer})
			if got := b.String(); got != test.want {
				t.Errorf("warning = %q, want %q", got, test.want)
			}
		})
	}
}

// TestLargeContextIsToldWhileItIsSent has the hint come before the build goes on.
func TestLargeContextIsToldWhileItIsSent(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	project := testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN --mount=target=/context test -e /context/data/disk.img\n", "data/disk.img", "")
	if err := os.Truncate(filepath.Join(project, "data", "disk.img"), llb.LargeContext+1); err != nil {
		t.Fatal(err)
	}
	c := start(t, w.env(), "build", "--progress", "plain", project)
	c.exits(0)
	c.says(`[hint] 100MiB of the build context sent so far, most of it in "data" (100MiB): does the build need it?`)
	hint, step := strings.Index(c.stderr(), "[hint]"), strings.Index(c.stderr(), "RUN --mount")
	if hint > step {
		t.Errorf("the hint comes after the context was sent:\n%s", c.stderr())
	}
}
