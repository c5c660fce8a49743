package helper_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	sessioncontent "github.com/moby/buildkit/session/content"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/tonistiigi/fsutil"

	"github.com/seatrial/seatrial/testsuite/helper"
)

// solveOpt offers the files, the helper, and the settings of a run.
func (b *builder) solveOpt() client.SolveOpt {
	control := b.control
	if control == "" {
		control = "{}"
	}
	opt := client.SolveOpt{
		LocalMounts: map[string]fsutil.FS{"busybox": b.rootfs},
		Session: []session.Attachable{
			sessioncontent.NewAttachable(map[string]content.Store{
				helper.SessionStoreID: countingStore{helper.Store(b.image), &b.layers},
			}),
			secretsprovider.FromMap(map[string][]byte{"control": []byte(control)}),
		},
	}
	if b.bell != nil {
		opt.Session = append(opt.Session, b.bell)
	}
	return opt
}

// unique is a time to sleep that no other process on this machine has.
func unique() string { return strconv.FormatInt(1e9+time.Now().UnixNano()%1e9, 10) }

// processes are the command lines on this machine that hold a word.
func processes(t *testing.T, word string) string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if line := strings.ReplaceAll(string(raw), "\x00", " "); err == nil && strings.HasPrefix(line, "busybox sleep "+word) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "\n")
}
