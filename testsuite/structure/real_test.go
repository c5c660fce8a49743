//go:build structure

package structure

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestRealVerdicts holds what TestVerdicts counts on against container-structure-test
// itself, whose binary $CONTAINER_STRUCTURE_TEST is, with its driver for files.
func TestRealVerdicts(t *testing.T) {
	p := program{os.Getenv("CONTAINER_STRUCTURE_TEST"), filepath.Join(t.TempDir(), "image.tar")}
	if p.path == "" {
		t.Fatal("CONTAINER_STRUCTURE_TEST is not set")
	}
	writeArchive(t, judgedImage(t), p.archive)
	for name, pass := range p.run(t, "s.yaml", judged) {
		if want := strings.Contains(name, ": ok ") != strings.HasSuffix(name, " here"); pass != want {
			t.Errorf("%s: %t", name, pass)
		}
	}
	for test, want := range judgedMetadata {
		if pass := p.run(t, "s.yaml", "schemaVersion: 2.0.0\nmetadataTest:\n  "+test)["Metadata Test"]; pass != want {
			t.Errorf("%s: %t", test, pass)
		}
	}
	for name, data := range refused {
		want := strings.Contains(name, " here")
		results := p.run(t, name, data)
		passed := len(results) > 0
		for _, pass := range results {
			passed = passed && pass
		}
		if passed != want {
			t.Errorf("%s: %t %v", name, passed, results)
		}
	}
}

type program struct{ path, archive string }

// run returns what became of each test, by its name.
func (p program) run(t *testing.T, name, data string) map[string]bool {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), p.path, "test", "--driver", "tar", "--image", p.archive, "--config", file, "--output", "json").Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var summary struct {
		Results []struct {
			Name string
			Pass bool
		}
	}
	if err := json.Unmarshal(out, &summary); err != nil {
		t.Fatalf("reading the results of %s: %v\n%s", name, err, out)
	}
	results := map[string]bool{}
	for _, res := range summary.Results {
		results[res.Name] = res.Pass
	}
	return results
}

// writeArchive writes what `docker save` does.
func writeArchive(t *testing.T, i *image, name string) {
	t.Helper()
	layer := &bytes.Buffer{}
	w := tar.NewWriter(layer)
	err := filepath.WalkDir(i.root, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || file == i.root {
			return err
		}
		return addFile(w, i.root, file)
	})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(ocispecs.Image{
		Platform: ocispecs.Platform{OS: "linux", Architecture: "amd64"}, Config: i.config,
		RootFS: ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer.Bytes())}},
	})
	if err != nil {
		t.Fatal(err)
	}
	out := &bytes.Buffer{}
	w = tar.NewWriter(out)
	for name, data := range map[string][]byte{
		"manifest.json": []byte(`[{"Config": "config.json", "Layers": ["layer.tar"]}]`), "config.json": config, "layer.tar": layer.Bytes(),
	} {
		err = errors.Join(err, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}))
		_, writeErr := w.Write(data)
		err = errors.Join(err, writeErr)
	}
	if err := errors.Join(err, w.Close(), os.WriteFile(name, out.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func addFile(w *tar.Writer, root, name string) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(name); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	if header.Name, err = filepath.Rel(root, name); err != nil {
		return err
	}
	if err := w.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}
