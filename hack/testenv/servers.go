package testenv

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
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
	layouts, err := WriteServers(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return layouts
}

// WriteServers is ServerLayouts for who is no test: the layouts are in dir.
func WriteServers(ctx context.Context, dir string) (map[string]string, error) {
	debian, err := debianLayout(ctx, "redis-server", "postgresql")
	if err != nil {
		return nil, err
	}
	index, err := layout.ImageIndexFromPath(debian)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	base, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		return nil, err
	}
	layouts := map[string]string{}
	for name, s := range servers() {
		layouts[name] = filepath.Join(dir, name)
		if err := writeServer(layouts[name], base, s); err != nil {
			return nil, fmt.Errorf("writing the image %s: %w", name, err)
		}
	}
	return layouts, nil
}

// server is what makes an image of one out of the image that has its packages.
type server struct {
	start  string // the script /start
	config v1.Config
}

func servers() map[string]server {
	return map[string]server{
		"postgres": {postgresEntrypoint, v1.Config{
			Entrypoint: []string{"/start"}, ExposedPorts: map[string]struct{}{"5432/tcp": {}}, StopSignal: "SIGINT",
			Volumes: map[string]struct{}{"/var/lib/postgresql/data": {}},
		}},
		"redis": {"#!/bin/sh\nexec setpriv --reuid=redis --regid=redis --clear-groups \"$@\"\n", v1.Config{
			Entrypoint: []string{"/start"}, Cmd: []string{"redis-server", "--protected-mode", "no"},
			ExposedPorts: map[string]struct{}{"6379/tcp": {}}, WorkingDir: "/tmp",
		}},
	}
}

// writeServer writes the layout of an image with /start on top of base.
func writeServer(dir string, base v1.Image, s server) error {
	layer, err := startLayer(s.start)
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(base, layer)
	if err != nil {
		return err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return err
	}
	file = file.DeepCopy()
	s.config.Env, file.OS, file.Architecture = file.Config.Env, "linux", runtime.GOARCH
	file.Config = s.config
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return err
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return path.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"}))
}

// startLayer has nothing but /start.
func startLayer(start string) (v1.Layer, error) {
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	if err := w.WriteHeader(&tar.Header{Name: "start", Mode: 0o755, Size: int64(len(start))}); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, start); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}
