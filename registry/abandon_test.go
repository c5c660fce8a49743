package registry_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// What was begun at a registry and came to nothing is cancelled.
func TestFailedUploadsAreCancelled(t *testing.T) {
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Wrap: fault("PUT", "/blobs/uploads/", always(answering(403, `{"errors":[{"code":"DENIED"}]}`)))})
	err := newPush(t, registry.Options{}, reg.Host+"/app:1").WithBackoff(time.Millisecond).Upload(t.Context(), loadedMany(t, 8, 2<<20))
	if err == nil {
		t.Fatal("Upload succeeded")
	}
	if left := undeleted(reg); left != 0 {
		t.Errorf("%d uploads are left: %v", left, reg.Requests())
	}
}

// undeleted is how many uploads were begun that have neither come to an end nor were
// deleted.
func undeleted(reg *testenv.Registry) int {
	begun, over := 0, map[string]bool{}
	for _, r := range reg.Requests() {
		switch {
		case r.Method == "POST" && r.Status == 202:
			begun++
		case r.Method == "PUT" && r.Status == 201, r.Method == "DELETE":
			over[r.Path] = true
		}
	}
	return begun - len(over)
}

// A push that is broken off in the middle of layers leaves none of their bytes behind,
// which would keep a full registry full. The token that it has for pushing does not
// cover that. Debian's docker-registry deletes nothing of which it has got bytes by a PUT
// (it is asked to, and says 404), before it purges uploads that are a week old.
func TestBrokenOffUploadsLeaveNothing(t *testing.T) {
	a := loadedMany(t, 3, 16<<20) // more than the sockets hold
	for name, start := range map[string]func(t *testing.T) *testenv.Registry{
		"distribution": func(t *testing.T) *testenv.Registry {
			return testenv.StartRegistry(t, testenv.RegistryOptions{Dir: t.TempDir()})
		},
		"distribution with tokens": func(t *testing.T) *testenv.Registry {
			return testenv.StartRegistry(t, testenv.RegistryOptions{Dir: t.TempDir(), Auth: testenv.AuthToken})
		},
		"debian": func(t *testing.T) *testenv.Registry { return testenv.StartProxiedDebianRegistry(t, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			reg := start(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			opt := registry.Options{Keychain: reg.Keychain(), Progress: func(p registry.Progress) {
				if p.Sent > 12<<20 && p.Sent < p.Size && begunBytes(t, reg.Dir) > 0 {
					cancel()
				}
			}}
			if err := newPush(t, opt, reg.Host+"/app:1").Upload(ctx, a); err == nil {
				t.Fatal("the upload went on")
			}
			if n := begunBytes(t, reg.Dir); n != 0 && name != "debian" {
				for _, r := range reg.Requests() {
					t.Log(r.Method, r.Path, r.Status)
				}
				t.Errorf("%d bytes are left of uploads", n)
			}
			if n := undeleted(reg); n != 0 {
				t.Errorf("%d uploads were not deleted; %v", n, reg.Requests())
			}
		})
	}
}

// begunBytes is how much a registry has of uploads.
func begunBytes(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, "/_uploads/") && filepath.Base(path) == "data" {
			if info, err := os.Stat(filepath.Join(dir, path)); err == nil {
				n += info.Size()
			}
		}
		return nil // what has gone meanwhile
	})
	if err != nil {
		t.Error(err)
	}
	return n
}
