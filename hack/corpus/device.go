package corpus

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// device is a CDI specification of a device that is but an environment variable.
const device = `{
  "cdiVersion": "0.6.0",
  "kind": "example.com/beacon",
  "devices": [{
    "name": "one",
    "containerEdits": {"env": ["BEACON=lit"]},
    "annotations": {"org.mobyproject.buildkit.device.autoallow": "true"}
  }]
}
`

// Devices is a directory that a daemon may be given for its CDI specifications.
// It has the device example.com/beacon=one.
func Devices(t testing.TB) string {
	t.Helper()
	dir := testenv.StateDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "beacon.json"), []byte(device), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
