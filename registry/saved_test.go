package registry_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

func open(t *testing.T, path string) *registry.Saved {
	t.Helper()
	s := must(registry.OpenSaved(path))(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing %s: %v", path, err)
		}
	})
	return s
}

// tarOf writes a tar of files, in their order, with what the function that it returns
// is given.
func tarOf(t *testing.T, files ...tar.Header) func(contents ...[]byte) string {
	return func(contents ...[]byte) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "saved.tar")
		f := must(os.Create(path))(t)
		w := tar.NewWriter(f)
		for i, h := range files {
			if h.Typeflag == 0 {
				h.Typeflag, h.Size = tar.TypeReg, int64(len(contents[i]))
			}
			h.Mode = 0o644
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(contents[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// dockerSave is an image as older Dockers save it: the second layer is a link to the
// first, and none is compressed.
func dockerSave(t *testing.T) (path string, layer []byte) {
	t.Helper()
	layer = must(os.ReadFile(tarOf(t, tar.Header{Name: "file"})(bytes.Repeat([]byte("what a layer holds "), 10_000))))(t)
	id, _, err := v1.SHA256(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	config := must(json.Marshal(v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{id, id}}}))(t)
	configID, _, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	manifest := `[{"Config":"` + configID.Hex + `.json","RepoTags":["acme/app:1"],"Layers":["a/layer.tar","b/layer.tar"]}]`
	write := tarOf(t, tar.Header{Name: "a/layer.tar"}, tar.Header{Name: "b/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "../a/layer.tar"},
		tar.Header{Name: configID.Hex + ".json"}, tar.Header{Name: "manifest.json"})
	return write(layer, nil, config, []byte(manifest)), layer
}

func TestSavedDockerArchiveIsCompressed(t *testing.T) {
	path, layer := dockerSave(t)
	s := open(t, path)
	if len(s.Images()) != 1 || !slices.Equal(s.Images()[0].Names, []string{"acme/app:1"}) {
		t.Fatalf("images = %+v, want acme/app:1", s.Images())
	}
	first := must(s.Load(t.Context(), s.Images()[0]))(t)
	if err := validate.Image(first.(v1.Image)); err != nil {
		t.Error(err)
	}
	for _, l := range must(first.(v1.Image).Layers())(t) {
		if mt := must(l.MediaType())(t); mt != types.DockerLayer {
			t.Errorf("a layer's media type = %s, want %s", mt, types.DockerLayer)
		}
		if size := must(l.Size())(t); size >= int64(len(layer)) {
			t.Errorf("a layer of %d bytes has %d, want it compressed", len(layer), size)
		}
	}
	again := open(t, path)
	second := must(again.Load(t.Context(), again.Images()[0]))(t)
	if a, b := must(first.Digest())(t), must(second.Digest())(t); a != b {
		t.Errorf("the same archive made %s and %s", a, b)
	}
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	push(t, first, registry.Options{}, reg.Host+"/app:1")
	if err := validate.Image(must(remote.Image(refs(t, reg.Host+"/app:1")[0]))(t)); err != nil {
		t.Error(err)
	}
}

func TestSavedArchives(t *testing.T) {
	d := startDaemon(t)
	want := newIndex(t)
	a := d.load(t, d.addIndex(t, want), registry.LoadOptions{})
	names := registry.LayoutOptions{Names: refs(t, "acme/app:1", "acme/app:2"), Annotations: map[string]string{registry.AnnotationTests: "yes"}}
	dir := filepath.Join(t.TempDir(), "layout")
	if err := registry.WriteLayout(t.Context(), dir, a, names); err != nil {
		t.Fatal(err)
	}
	var plain, zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if err := registry.WriteArchive(t.Context(), io.MultiWriter(&plain, z), a, names); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{"a.tar": plain.Bytes(), "a.tgz": zipped.Bytes(), "layout": nil} {
		path := filepath.Join(filepath.Dir(dir), file)
		if data != nil {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, path)
		if len(s.Images()) != 1 {
			t.Fatalf("%s: images = %+v, want one", file, s.Images())
		}
		img := s.Images()[0]
		if want := []string{"1", "2", "docker.io/acme/app:1", "docker.io/acme/app:2"}; !slices.Equal(img.Names, want) || img.Annotations[registry.AnnotationTests] != "yes" {
			t.Errorf("%s: image is %q %v, want %q and its annotation", file, img.Names, img.Annotations, want)
		}
		got := must(s.Load(t.Context(), img))(t)
		if err := validate.Index(got.(v1.ImageIndex)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if must(got.Digest())(t) != must(want.Digest())(t) {
			t.Errorf("%s: the digest changed", file)
		}
	}
}

// What seatrial has written, and tested, keeps its digest even if its layers are not
// compressed.
func TestSavedDockerArchiveOfTestedImage(t *testing.T) {
	d := startDaemon(t)
	layer := must(os.ReadFile(tarOf(t, tar.Header{Name: "file"})([]byte("hello"))))(t)
	img := must(mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer(layer, types.OCIUncompressedLayer)))(t)
	a := d.load(t, d.add(t, img), registry.LoadOptions{})
	for note, keep := range map[string]bool{registry.AnnotationTests: true, "other": false} {
		path := filepath.Join(t.TempDir(), "app.tar")
		f := must(os.Create(path))(t)
		err := registry.WriteDockerArchive(t.Context(), f, a, registry.LayoutOptions{Annotations: map[string]string{note: "yes"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		s := open(t, path)
		got := must(s.Load(t.Context(), s.Images()[0]))(t)
		if same := must(got.Digest())(t) == must(img.Digest())(t); same != keep {
			t.Errorf("with annotation %s: digest kept = %v, want %v", note, same, keep)
		}
	}
}

func TestSavedDamage(t *testing.T) {
	d := startDaemon(t)
	img := testenv.RandomImage(t, 2, 10_000)
	a := d.load(t, d.add(t, img), registry.LoadOptions{})
	layer := must(must(img.Layers())(t)[1].Digest())(t)
	config := must(img.ConfigName())(t)
	manifest := must(img.Digest())(t)
	blob := func(h v1.Hash) string { return filepath.Join("blobs", "sha256", h.Hex) }
	for _, c := range []struct {
		what   string
		damage func(dir string) error
		want   []string
	}{
		{"flipped byte", func(dir string) error { return flip(filepath.Join(dir, blob(layer))) }, []string{layer.String(), "damaged"}},
		{"layer cut off", func(dir string) error { return os.Truncate(filepath.Join(dir, blob(layer)), 99) }, []string{layer.String(), "99 of"}},
		{"layer missing", func(dir string) error { return os.Remove(filepath.Join(dir, blob(layer))) }, []string{layer.String(), "missing"}},
		{"config", func(dir string) error { return flip(filepath.Join(dir, blob(config))) }, []string{config.String(), "damaged"}},
		{"manifest", func(dir string) error { return os.Remove(filepath.Join(dir, blob(manifest))) }, []string{manifest.String(), "missing"}},
		{"manifest of no size", func(dir string) error {
			index := filepath.Join(dir, "index.json")
			data, err := os.ReadFile(index)
			if err != nil {
				return err
			}
			return os.WriteFile(index, regexp.MustCompile(`"size":\s*[0-9]+`).ReplaceAll(data, []byte(`"size":-1`)), 0o600)
		}, []string{manifest.String(), "damaged"}},
		{"index.json", func(dir string) error { return os.Truncate(filepath.Join(dir, "index.json"), 20) }, []string{"index.json"}},
		{"nothing", func(dir string) error { return os.Remove(filepath.Join(dir, "index.json")) }, []string{"neither an OCI image layout"}},
	} {
		dir := filepath.Join(t.TempDir(), "layout")
		if err := registry.WriteLayout(t.Context(), dir, a, registry.LayoutOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := c.damage(dir); err != nil {
			t.Fatal(err)
		}
		err := loadFirst(t, dir)
		if err == nil {
			t.Errorf("%s: no error", c.what)
			continue
		}
		for _, w := range append(c.want, dir) {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %q does not say %q", c.what, err, w)
			}
		}
	}
}

func TestSavedTarDamage(t *testing.T) {
	whole, layer := dockerSave(t)
	data := must(os.ReadFile(whole))(t)
	at := bytes.Index(data, layer[:100])
	bad := slices.Clone(data)
	bad[at+70] ^= 1
	for what, c := range map[string]struct {
		data []byte
		want string
	}{
		"cut off in a layer": {data[:at+1000], "cut off"},
		"cut off behind it":  {data[:len(data)-2048], "neither an OCI image layout nor"},
		"flipped byte":       {bad, "damaged"},
		"no tar":             {[]byte(strings.Repeat("no tar\n", 500)), "no tar"},
		"empty":              {nil, "neither an OCI image layout nor"},
	} {
		path := filepath.Join(t.TempDir(), "saved.tar")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := loadFirst(t, path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error = %v, want one that says %q and the path", what, err, c.want)
		}
	}
}

func loadFirst(t *testing.T, path string) error {
	s, err := registry.OpenSaved(path)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Load(t.Context(), s.Images()[0])
	return err
}

func flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(path, data, 0o600)
}

func TestPreview(t *testing.T) {
	d := startDaemon(t)
	img := testenv.RandomImage(t, 3, 10_000)
	a := d.load(t, d.add(t, img), registry.LoadOptions{})
	old := d.load(t, d.add(t, testenv.RandomImage(t, 1, 1000)), registry.LoadOptions{})
	for _, auth := range []testenv.Auth{testenv.AuthNone, testenv.AuthToken} {
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: auth})
		opt := registry.Options{Keychain: reg.Keychain()}
		push(t, old, opt, reg.Host+"/one:1")
		if err := newPush(t, opt, reg.Host+"/three").Upload(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		p := newPush(t, opt, reg.Host+"/one:1", reg.Host+"/one:2", reg.Host+"/two", reg.Host+"/three")
		reg.Forget()
		got := must(p.Preview(t.Context(), a))(t)
		if n := reg.Count("PUT", ""); n > 0 {
			t.Errorf("a preview made %d requests that write", n)
		}
		var repos []int
		for _, r := range got.Repositories {
			repos = append(repos, r.Send.Count, r.Mount.Count, r.There.Count)
		}
		// The second repository mounts what the first will have.
		if want := []int{4, 0, 0, 0, 4, 0, 0, 0, 4}; !slices.Equal(repos, want) {
			t.Errorf("sent, mounted, there = %v, want %v", repos, want)
		}
		var moves []string
		for _, tag := range got.Tags {
			from := "nothing"
			if tag.From == must(old.Digest())(t) {
				from = "old"
			}
			moves = append(moves, tag.Reference.(name.Tag).TagStr()+" "+from)
		}
		if want := []string{"1 old", "2 nothing", "latest nothing", "latest nothing"}; !slices.Equal(moves, want) {
			t.Errorf("tags = %q, want %q", moves, want)
		}
		if _, err := newPush(t, opt, reg.Host+"/one:1").Commit(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		done := must(newPush(t, opt, reg.Host+"/one:1").Preview(t.Context(), a))(t)
		if !done.Repositories[0].Complete || done.Tags[0].Moves() {
			t.Errorf("preview of what was pushed = %+v, want nothing to do", done)
		}
	}
}
