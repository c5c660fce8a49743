package sigstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
)

// signingConfig writes one that names logs, and a timestamp authority or none.
func signingConfig(t *testing.T, tsa string, logs ...string) string {
	t.Helper()
	service := `{"url": "https://%s.example.com", "majorApiVersion": %s, "validFor": {"start": "%s"%s}}`
	var named []string
	for _, log := range logs {
		name, version, _ := strings.Cut(log, "@")
		end := ""
		if strings.HasPrefix(name, "old") {
			end = `, "end": "2025-01-01T00:00:00Z"`
		}
		named = append(named, fmt.Sprintf(service, name, version, "2024-01-01T00:00:00Z", end))
	}
	config := `{"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		"caUrls": [` + fmt.Sprintf(service, "fulcio", "1", "2024-01-01T00:00:00Z", "") + `],
		"rekorTlogUrls": [` + strings.Join(named, ",") + `], "rekorTlogConfig": {"selector": "ANY"}` + tsa + `}`
	path := filepath.Join(t.TempDir(), "signing_config.json")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadSigningConfig(t *testing.T) {
	const tsa = `, "tsaUrls": [{"url": "https://tsa.example.com/stamp", "majorApiVersion": 1, "validFor": {"start": "2024-01-01T00:00:00Z"}}], "tsaConfig": {"selector": "ANY"}`
	for name, tc := range map[string]struct {
		path    string
		rekor   string
		version uint32
		want    string // the error of reading, or of Check
	}{
		"the first version":   {signingConfig(t, "", "one@1"), "https://one.example.com", 1, ""},
		"the second":          {signingConfig(t, tsa, "two@2"), "https://two.example.com", 2, ""},
		"both":                {signingConfig(t, tsa, "one@1", "two@2"), "https://two.example.com", 2, ""},
		"one that has ended":  {signingConfig(t, tsa, "old@2", "one@1"), "https://one.example.com", 1, ""},
		"no log":              {signingConfig(t, tsa), "", 0, ""},
		"nobody for the time": {signingConfig(t, "", "one@1", "two@2"), "https://two.example.com", 2, "no timestamp authority"},
		"all have ended":      {signingConfig(t, tsa, "old@2", "older@1"), "", 0, "none of the rekorTlogUrls can be used today"},
		"a third version":     {signingConfig(t, tsa, "three@3"), "", 0, "none of the rekorTlogUrls can be used today"},
	} {
		got, err := sigstore.ReadSigningConfig(tc.path)
		if err == nil {
			err = got.Check()
		}
		if got.Rekor != tc.rekor || got.RekorVersion != tc.version {
			t.Errorf("%s: ReadSigningConfig = %+v, want %s of version %d", name, got, tc.rekor, tc.version)
		}
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
