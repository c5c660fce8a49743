package llb

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestExportIsWhatWasTried builds without the cache a step that makes something else
// each time.
func TestExportIsWhatWasTried(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		dest := t.TempDir()
		var tried []byte
		opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid >/id\n"))
		opt.NoCache = true
		_, err := Solve(context.Background(), c, opt, Phases{
			Try: func(ctx context.Context, tr *Trial) error {
				g, err := tr.StageGraph(tr.Images[0])
				if err != nil {
					return err
				}
				ref, err := tr.Solve(ctx, g)
				if err != nil {
					return err
				}
				tried, err = ref.ReadFile(ctx, gateway.ReadRequest{Filename: "/id"})
				return err
			},
			Ship: func(ctx context.Context, s *Shipment) error {
				if err := s.Verdict(ctx); err != nil {
					return err
				}
				return s.Export(ctx, []client.ExportEntry{{Type: client.ExporterLocal, Attrs: map[string]string{}, OutputDir: dest}})
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dest, "id"))
		if err != nil {
			t.Fatal(err)
		}
		if len(tried) == 0 || string(got) != string(tried) {
			t.Errorf("exported %q, want %q, which was tried", got, tried)
		}
	})
}

func TestExportThatFailsIsTheError(t *testing.T) {
	onEach(t, func(t *testing.T, c *client.Client) {
		var failed error
		opt := options(t, testenv.Dir(t, "Dockerfile", "FROM busybox\nRUN true\n"))
		_, err := Solve(context.Background(), c, opt, Phases{
			Ship: func(ctx context.Context, s *Shipment) error {
				failed = s.Export(ctx, []client.ExportEntry{{Type: client.ExporterLocal, Attrs: map[string]string{"platform-split": "maybe"}, OutputDir: t.TempDir()}})
				return failed
			},
		})
		if failed == nil || !errors.Is(err, failed) {
			t.Errorf("Export() = %v and Solve() = %v, want both to be the daemon's refusal", failed, err)
		}
	})
}

// TestExportToFullDisk has files written where there is no room for them, far more than a
// daemon keeps in a queue: it must hear that, and may know no more of it than that it cannot
// go on.
func TestExportToFullDisk(t *testing.T) {
	dest := testenv.StateDir(t)
	if err := syscall.Mount("tmpfs", dest, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatalf("mounting a small disk: %v (the test needs root)", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dest, syscall.MNT_DETACH) })
	onEach(t, func(t *testing.T, c *client.Client) {
		err := exportTo(t, c, filepath.Join(dest, "out"), "FROM busybox\nRUN for i in $(seq 600); do head -c 100000 /dev/zero >/f$i; done\n")
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Solve() = %v, want that the disk is full", err)
		}
	})
}

// TestExportWhereNoDirectoryCanBe has a file where the directory should be. The daemon, which
// waits to be asked for files, must hear that nobody will.
func TestExportWhereNoDirectoryCanBe(t *testing.T) {
	file := filepath.Join(testenv.Dir(t, "file", ""), "file")
	onEach(t, func(t *testing.T, c *client.Client) {
		err := exportTo(t, c, filepath.Join(file, "out"), "FROM busybox\n")
		if !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("Solve() = %v, want that there is a file", err)
		}
	})
}

// exportTo builds a Dockerfile, and has the image's files written into a directory.
func exportTo(t *testing.T, c *client.Client, dir, dockerfile string) error {
	t.Helper()
	_, err := Solve(t.Context(), c, options(t, testenv.Dir(t, "Dockerfile", dockerfile)), Phases{
		Ship: func(ctx context.Context, s *Shipment) error {
			return s.Export(ctx, []client.ExportEntry{{Type: client.ExporterLocal, Attrs: map[string]string{}, OutputDir: dir}})
		},
	})
	return err
}
