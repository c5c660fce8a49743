package testenv

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// busyboxPath is where package busybox-static puts its only program.
const busyboxPath = "/bin/busybox"

// applets are the commands of BusyboxImage.
const applets = "sh cat echo ls sleep true false mkdir rmdir dd test [ id env grep sed touch rm cp mv chmod chown ln " +
	"head tail wc sort tr cut find xargs tar pwd date printf kill ps mount umount nc wget hostname uname whoami tee " +
	"expr seq sha256sum md5sum stat basename dirname awk mktemp timeout readlink vi"

const passwd = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
app:x:1000:1000:app:/home/app:/bin/sh
`

const group = `root:x:0:
nogroup:x:65534:
app:x:1000:
`

// BusyboxImage returns a small Linux image for this machine's architecture that
// has a shell and the usual commands, the users root, nobody and app (1000),
// and /tmp. It is made from Debian's busybox-static, and always the same for
// the same version of that.
func BusyboxImage(t testing.TB) v1.Image {
	t.Helper()
	return busyboxImage(t, "")
}

// OwnBusyboxImage is BusyboxImage with a file more, /etc/image, that no other image has.
// It is for tests that share a daemon and ask whether a step comes from its cache:
// BuildKit unites steps of builds at the same time whose inputs are equal, though the
// images have other names, and what one of them had there may then not be found later.
func OwnBusyboxImage(t testing.TB) v1.Image {
	t.Helper()
	return busyboxImage(t, rand.Text())
}

func busyboxImage(t testing.TB, name string) v1.Image {
	t.Helper()
	binary := staticBusybox(t)
	layer, err := busyboxLayer(binary, name)
	if err != nil {
		t.Fatalf("making busybox image: %v", err)
	}
	image, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{CreatedBy: "busybox", Created: v1.Time{Time: time.Unix(0, 0).UTC()}},
	})
	if err != nil {
		t.Fatalf("making busybox image: %v", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatalf("making busybox image: %v", err)
	}
	config = config.DeepCopy()
	config.Architecture, config.OS = runtime.GOARCH, "linux"
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	config.Config.Cmd = []string{"sh"}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatalf("making busybox image: %v", err)
	}
	return image
}

// staticBusybox reads the program. Debian's package busybox puts one of the
// same name there which needs a libc.
func staticBusybox(t testing.TB) []byte {
	t.Helper()
	file, err := elf.Open(busyboxPath)
	if err != nil {
		t.Fatalf("reading busybox: %v; install busybox-static", err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Fatalf("reading busybox: %s is dynamically linked; install busybox-static", busyboxPath)
		}
	}
	binary, err := os.ReadFile(busyboxPath)
	if err != nil {
		t.Fatalf("reading busybox: %v", err)
	}
	return binary
}

func busyboxLayer(binary []byte, name string) (v1.Layer, error) {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	w := &layerWriter{tar: tar.NewWriter(zip)}
	for _, dir := range []string{"bin", "dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "usr/local", "usr/local/bin", "var", "var/tmp"} {
		w.add(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}, nil)
	}
	w.add(&tar.Header{Typeflag: tar.TypeDir, Name: "root/", Mode: 0o700}, nil)
	w.add(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}, nil)
	w.add(&tar.Header{Typeflag: tar.TypeDir, Name: "home/app/", Mode: 0o755, Uid: 1000, Gid: 1000}, nil)
	w.add(&tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, []byte(passwd))
	w.add(&tar.Header{Typeflag: tar.TypeReg, Name: "etc/group", Mode: 0o644}, []byte(group))
	if name != "" {
		w.add(&tar.Header{Typeflag: tar.TypeReg, Name: "etc/image", Mode: 0o644}, []byte(name))
	}
	w.add(&tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, binary)
	for _, applet := range strings.Fields(applets) {
		w.add(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777}, nil)
	}
	w.add(&tar.Header{Typeflag: tar.TypeSymlink, Name: "usr/bin/env", Linkname: "/bin/busybox", Mode: 0o777}, nil)
	if err := w.close(); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return newLayer(buf.Bytes())
}

// layerWriter writes a tar whose bytes depend on nothing but what is added.
type layerWriter struct {
	tar *tar.Writer
	err error
}

func (w *layerWriter) add(header *tar.Header, content []byte) {
	if w.err != nil {
		return
	}
	header.Size = int64(len(content))
	header.ModTime = time.Unix(0, 0)
	header.Format = tar.FormatPAX
	if w.err = w.tar.WriteHeader(header); w.err == nil {
		_, w.err = w.tar.Write(content)
	}
}

func (w *layerWriter) close() error {
	if w.err != nil {
		return w.err
	}
	return w.tar.Close()
}

// newLayer makes a layer of gzip'ed bytes.
func newLayer(zipped []byte) (v1.Layer, error) {
	zip, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	diffID, _, err := v1.SHA256(zip)
	if err != nil {
		return nil, err
	}
	return &fixedLayer{Layer: static.NewLayer(zipped, types.DockerLayer), diffID: diffID, zipped: zipped}, nil
}

// fixedLayer adds to a static layer, which takes its bytes for uncompressed
// ones, that they are not.
type fixedLayer struct {
	v1.Layer
	diffID v1.Hash
	zipped []byte
}

func (l *fixedLayer) DiffID() (v1.Hash, error) { return l.diffID, nil }

func (l *fixedLayer) Uncompressed() (io.ReadCloser, error) {
	return gzip.NewReader(bytes.NewReader(l.zipped))
}

// RandomImage returns an image of as many layers of random bytes, each of about
// that size.
func RandomImage(t testing.TB, layers int, size int64) v1.Image {
	t.Helper()
	image, err := random.Image(size, int64(layers))
	if err != nil {
		t.Fatalf("making random image: %v", err)
	}
	return image
}

// Pushable is what Push takes: a v1.Image or a v1.ImageIndex.
type Pushable interface {
	remote.Taggable
	partial.Describable
}

// Push writes the image or index to a registry by go-containerregistry, and
// returns its reference by digest. The options are for a registry with TLS or
// authentication.
func Push(t testing.TB, ref string, image Pushable, options ...remote.Option) name.Digest {
	t.Helper()
	to, err := name.ParseReference(ref)
	if err != nil {
		t.Fatalf("pushing: %v", err)
	}
	if err := remote.Push(to, image, options...); err != nil {
		t.Fatalf("pushing %s: %v", ref, err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatalf("pushing %s: %v", ref, err)
	}
	return to.Context().Digest(fmt.Sprint(digest))
}
