package llb

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// tarOf is an archive of headers; the content of a regular file is its name.
func tarOf(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i := range headers {
		hdr := &headers[i]
		if hdr.Mode == 0 && hdr.Typeflag != tar.TypeXGlobalHeader {
			hdr.Mode = 0o644
		}
		if hdr.Typeflag == 0 || hdr.Typeflag == tar.TypeReg {
			hdr.Typeflag, hdr.Size = tar.TypeReg, int64(len(hdr.Name))
		}
		if err := w.WriteHeader(hdr); err != nil {
			t.Fatal(err)
		}
		if hdr.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, hdr.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func link(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
}

func readTar(t *testing.T, headers ...tar.Header) *archive {
	t.Helper()
	a, err := readArchive(bytes.NewReader(tarOf(t, headers...)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.close() })
	return a
}

// listing is every file below target: path, mode, and where it leads.
func listing(t *testing.T, files fsutil.FS, target string) []string {
	t.Helper()
	var out []string
	err := files.Walk(context.Background(), target, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := entry.Info()
		if err != nil {
			return err
		}
		st := fi.Sys().(*fstypes.Stat)
		line := fmt.Sprintf("%s %s %d:%d", path, fs.FileMode(st.Mode), st.Uid, st.Gid)
		if st.Linkname != "" {
			line += " -> " + st.Linkname
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestArchiveIsAFileSystem(t *testing.T) {
	a := readTar(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "git archive"}},
		tar.Header{Name: "./z/file", Uid: 7, Gid: 8, Mode: 0o4755, PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b"}},
		tar.Header{Name: "z", Typeflag: tar.TypeDir, Mode: 0o700},
		tar.Header{Name: "z.txt"},
		tar.Header{Name: "twice", Mode: 0o600},
		link("twice", "z/file"),
		tar.Header{Name: "a-link", Typeflag: tar.TypeLink, Linkname: "z/file"},
		tar.Header{Name: "pipe", Typeflag: tar.TypeFifo},
	)
	want := []string{
		"a-link urwxr-xr-x 7:8", "pipe prw-r--r-- 0:0", "twice Lrw-r--r-- 0:0 -> z/file",
		"z drwx------ 0:0", "z/file urwxr-xr-x 7:8 -> a-link", "z.txt -rw-r--r-- 0:0",
	}
	if got := listing(t, a, "/"); !slices.Equal(got, want) {
		t.Errorf("files = %q, want %q", got, want)
	}
	if got := listing(t, a, "z"); len(got) != 2 || got[0] != want[3] {
		t.Errorf("files of z = %q, want it and its file", got)
	}
	if got := listing(t, a, "nowhere"); len(got) != 0 {
		t.Errorf("files of nowhere = %q, want none", got)
	}
	for _, path := range []string{"a-link", "z/file"} {
		f, err := a.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(f); err != nil || string(got) != "./z/file" {
			t.Errorf("content of %s = %q, %v, want %q", path, got, err, "./z/file")
		}
	}
	if _, err := a.Open("twice"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open(link) = %v, want fs.ErrNotExist", err)
	}
	if got := string(a.find("z/file").stat.Xattrs["user.a"]); got != "b" {
		t.Errorf("extended attribute = %q, want b", got)
	}
}

// TestArchiveIsFilteredLikeADirectory has the receiver's order and links checked by
// fsutil.
func TestArchiveIsFilteredLikeADirectory(t *testing.T) {
	a := readTar(t, tar.Header{Name: "a/b"}, tar.Header{Name: "a.b"}, tar.Header{Name: "a/c/d"}, link("l", "/a/c"), tar.Header{Name: "x"})
	shown, err := fsutil.NewFilterFS(a, &fsutil.FilterOpt{FollowPaths: []string{"l/d", "a.*"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a drwxr-xr-x 0:0", "a/c drwxr-xr-x 0:0", "a/c/d -rw-r--r-- 0:0", "a.b -rw-r--r-- 0:0", "l Lrw-r--r-- 0:0 -> /a/c"}
	if got := listing(t, shown, "/"); !slices.Equal(got, want) {
		t.Errorf("files = %q, want %q", got, want)
	}
}

func TestArchiveErrors(t *testing.T) {
	for name, test := range map[string]struct {
		headers []tar.Header
		says    string
	}{
		"outside":        {[]tar.Header{{Name: "a/../../b"}}, `"a/../../b": its name leads out of the archive`},
		"below a file":   {[]tar.Header{{Name: "a"}, {Name: "a/b"}}, `"a/b": "a" is no directory`},
		"below a link":   {[]tar.Header{link("a", "/"), {Name: "a/b"}}, `"a/b": "a" is no directory`},
		"link to what":   {[]tar.Header{{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}}, `hard link to "b"`},
		"link to itself": {[]tar.Header{{Name: "a", Typeflag: tar.TypeLink, Linkname: "a"}}, `hard link to "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readArchive(bytes.NewReader(tarOf(t, test.headers...)))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("readArchive() = %v, want it to say %q", err, test.says)
			}
		})
	}
}

func TestReadInput(t *testing.T) {
	for name, test := range map[string]struct {
		headers    []tar.Header
		dockerfile string
		want       string // the Dockerfile's content: the name it was stored by
		excludes   []string
	}{
		"default":          {headers: []tar.Header{{Name: "Dockerfile"}}, want: "Dockerfile"},
		"with dot":         {headers: []tar.Header{{Name: "./Dockerfile"}}, want: "./Dockerfile"},
		"lower case":       {headers: []tar.Header{{Name: "dockerfile"}}, want: "dockerfile"},
		"elsewhere":        {headers: []tar.Header{{Name: "a/D"}, {Name: "Dockerfile"}}, dockerfile: "a/D", want: "a/D"},
		"link":             {headers: []tar.Header{{Name: "b/D"}, link("a", "b/../b"), link("Dockerfile", "/a/../../b/D")}, want: "b/D"},
		"ignore file":      {headers: []tar.Header{{Name: "Dockerfile"}, {Name: ".dockerignore"}}, want: "Dockerfile", excludes: []string{".dockerignore"}},
		"own ignore file":  {headers: []tar.Header{{Name: "Dockerfile"}, {Name: "Dockerfile.dockerignore"}, {Name: ".dockerignore"}}, want: "Dockerfile", excludes: []string{"Dockerfile.dockerignore"}},
		"long first name":  {headers: []tar.Header{{Name: strings.Repeat("long/", 200) + "x"}, {Name: "Dockerfile"}}, want: "Dockerfile"},
		"time to the nano": {headers: []tar.Header{{Name: "Dockerfile", ModTime: time.Unix(1, 2), Format: tar.FormatPAX}}, want: "Dockerfile"},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := ReadInput(bytes.NewReader(tarOf(t, test.headers...)), test.dockerfile)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			if string(src.Data) != test.want || !slices.Equal(src.Excludes, test.excludes) {
				t.Errorf("ReadInput() = %q with excludes %q, want %q with %q", src.Data, src.Excludes, test.want, test.excludes)
			}
		})
	}
}

func TestReadInputErrors(t *testing.T) {
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(zip, "FROM a\n"); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		input      []byte
		dockerfile string
		says       string
	}{
		"empty":             {nil, "", "empty"},
		"text with -f":      {[]byte("FROM a\n"), "x", `no archive, so "x"`},
		"huge text":         {bytes.Repeat([]byte("#\n"), maxDockerfile/2+1), "", "more than the 16777216 bytes"},
		"zipped text":       {zipped.Bytes(), "", "reading tar"},
		"no Dockerfile":     {tarOf(t, tar.Header{Name: "a"}), "", "no Dockerfile"},
		"links in a circle": {tarOf(t, link("Dockerfile", "a"), link("a", "Dockerfile")), "", "too many symbolic links"},
		"directory":         {tarOf(t, tar.Header{Name: "Dockerfile/", Typeflag: tar.TypeDir}), "", "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadInput(bytes.NewReader(test.input), test.dockerfile)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("ReadInput() = %v, want it to say %q", err, test.says)
			}
		})
	}
}

// tarWriter writes regular files.
type tarWriter struct {
	tar *tar.Writer
	err error
}

func newTarWriter(w io.Writer) *tarWriter { return &tarWriter{tar: tar.NewWriter(w)} }

func (w *tarWriter) add(name, content string) {
	if w.err == nil {
		w.err = w.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
	}
	if w.err == nil {
		_, w.err = io.WriteString(w.tar, content)
	}
}

func (w *tarWriter) close() error { return errors.Join(w.err, w.tar.Close()) }
