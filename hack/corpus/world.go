package corpus

import (
	"archive/tar"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// project is what the remote contexts hold.
const project = `FROM busybox
COPY . /src
RUN cat /src/main.c >/copy
`

// World starts what the cases' variables name, until the test ends:
//
//	REGISTRY  HOST:PORT of the registry, which is the caller's
//	HTTP      URL of files: notes.txt, project.tar, and the repository project.git
//	SSH_KEY   file with a private key
func World(t testing.TB, registry string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := errors.Join(writeKey(key), writeFiles(filepath.Join(dir, "www")), writeRepository(filepath.Join(dir, "work"), filepath.Join(dir, "www", "project.git"))); err != nil {
		t.Fatalf("making files for the corpus: %v", err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(dir, "www"))))
	t.Cleanup(server.Close)
	return map[string]string{"REGISTRY": registry, "HTTP": server.URL, "SSH_KEY": key}
}

// writeKey writes a private key as ssh-keygen would.
func writeKey(path string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func writeFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	notes := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(notes, []byte("notes\n"), 0o644); err != nil {
		return err
	}
	if err := os.Chtimes(notes, time.Time{}, time.Unix(1_700_000_000, 0)); err != nil {
		return err
	}
	archive, err := os.Create(filepath.Join(dir, "project.tar"))
	if err != nil {
		return err
	}
	return errors.Join(writeTar(archive, map[string]string{"Dockerfile": project, "main.c": "int main;\n"}), archive.Close())
}

func writeTar(to io.Writer, files map[string]string) error {
	w := tar.NewWriter(to)
	for name, content := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(1_700_000_000, 0)}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.WriteString(w, content); err != nil {
			return err
		}
	}
	return w.Close()
}

// writeRepository makes a bare repository that a server of plain files can offer.
// It has a branch main and a tag v1; the project is at the top and in sub/.
func writeRepository(work, bare string) error {
	script := `set -e
git init --quiet --initial-branch=main .
mkdir sub
printf '%s' "$PROJECT" | tee Dockerfile sub/Dockerfile >/dev/null
echo 'int main;' | tee main.c sub/main.c >/dev/null
ln -s main.c link.c
git add .
git commit --quiet --message=one
git tag v1
echo 'int more;' >>main.c
git commit --quiet --all --message=two
git clone --quiet --bare . "$BARE"
git -C "$BARE" update-server-info`
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "PROJECT="+project, "BARE="+bare, "HOME="+work, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=author", "GIT_AUTHOR_EMAIL=author@example.com", "GIT_AUTHOR_DATE=2025-01-01T00:00:00Z",
		"GIT_COMMITTER_NAME=author", "GIT_COMMITTER_EMAIL=author@example.com", "GIT_COMMITTER_DATE=2025-01-01T00:00:00Z")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(errors.New(string(out)), err)
	}
	return nil
}
