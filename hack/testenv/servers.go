package testenv

import (
	"archive/tar"
	"bytes"
	"io"
	"path/filepath"
	"runtime"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// postgresEntrypoint does what that of Docker Hub's image does, with its variables.
const postgresEntrypoint = `#!/bin/sh
set -e
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
export PGDATA=/var/lib/postgresql/data
as() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
user=${POSTGRES_USER:-postgres}
mkdir -p $PGDATA && chown postgres $PGDATA && chmod 700 $PGDATA && cd $PGDATA
if ! [ -e PG_VERSION ]; then
	printf %s "${POSTGRES_PASSWORD:?}" >/run/pw && chown postgres /run/pw
	as initdb -D $PGDATA -U "$user" --pwfile=/run/pw --auth-host=scram-sha-256 --auth-local=trust --no-sync >/dev/null
	rm /run/pw
	if [ "${POSTGRES_DB:-$user}" != postgres ]; then
		echo "CREATE DATABASE ${POSTGRES_DB:-$user}" | as postgres --single -D $PGDATA -c fsync=off -j postgres >/dev/null
	fi
	echo 'host all all all scram-sha-256' >>pg_hba.conf
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -D $PGDATA -k /tmp -c listen_addresses='*' -c fsync=off
`

// ServerLayouts returns OCI layouts for what Docker Hub's images postgres and redis are to
// those who use them, made from Debian's packages, by the images' names.
func ServerLayouts(t testing.TB) map[string]string {
	t.Helper()
	index, err := layout.ImageIndexFromPath(DebianLayout(t, "redis-server", "postgresql"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	servers, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"postgres": writeServer(t, servers, postgresEntrypoint, v1.Config{
			Entrypoint: []string{"/start"}, ExposedPorts: map[string]struct{}{"5432/tcp": {}}, StopSignal: "SIGINT",
			Volumes: map[string]struct{}{"/var/lib/postgresql/data": {}},
		}),
		"redis": writeServer(t, servers, "#!/bin/sh\nexec setpriv --reuid=redis --regid=redis --clear-groups \"$@\"\n", v1.Config{
			Entrypoint: []string{"/start"}, Cmd: []string{"redis-server", "--protected-mode", "no"},
			ExposedPorts: map[string]struct{}{"6379/tcp": {}}, WorkingDir: "/tmp",
		}),
	}
}

// writeServer is the layout of an image with /start on top of base.
func writeServer(t testing.TB, base v1.Image, start string, config v1.Config) string {
	t.Helper()
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	if err := w.WriteHeader(&tar.Header{Name: "start", Mode: 0o755, Size: int64(len(start))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, start); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(base, layer)
	if err != nil {
		t.Fatal(err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	config.Env, file.OS, file.Architecture = file.Config.Env, "linux", runtime.GOARCH
	file.Config = config
	if image, err = mutate.ConfigFile(image, file); err != nil {
		t.Fatal(err)
	}
	path, err := layout.Write(filepath.Join(t.TempDir(), "layout"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"})); err != nil {
		t.Fatal(err)
	}
	return string(path)
}
