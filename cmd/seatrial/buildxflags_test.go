package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/hack/testenv"
)

// buildxFlags are all that docker buildx build (v0.38) takes, hidden ones too, except
// for --call and --check. Those with a refusal are no flags here; it names what is.
var buildxFlags = []struct {
	args    []string
	refusal string
}{
	{args: []string{"--add-host", "db:192.0.2.1"}},
	{args: []string{"--add-host=db=192.0.2.1"}},
	{args: []string{"--allow", "network.host"}},
	{args: []string{"--allow=security.insecure"}},
	{args: []string{"--allow", "buildx.local.delete"}},
	{args: []string{"--annotation", "org.example.a=b"}},
	{args: []string{"--annotation", "manifest:org.example.a=b"}},
	{args: []string{"--attest", "type=provenance,mode=max"}},
	{args: []string{"--build-arg", "NAME=value,with=comma"}},
	{args: []string{"--build-context", "name=docker-image://busybox"}},
	{args: []string{"--builder", "mine"}, refusal: "--addr"},
	{args: []string{"--cache-from", "user/app:cache"}},
	{args: []string{"--cache-from", "user/app:cache,user/app:main"}},
	{args: []string{"--cache-from", "type=local,src=cache"}},
	{args: []string{"--cache-to", "type=inline"}},
	{args: []string{"--cgroup-parent", "slice"}},
	{args: []string{"--compress"}},
	{args: []string{"--cpu-period", "100000"}},
	{args: []string{"--cpu-quota", "50000"}},
	{args: []string{"--cpu-shares", "512"}},
	{args: []string{"-c", "512"}},
	{args: []string{"--cpuset-cpus", "0-3"}},
	{args: []string{"--cpuset-mems", "0,1"}},
	{args: []string{"--debug"}},
	{args: []string{"-D"}},
	{args: []string{"--file", "Dockerfile"}},
	{args: []string{"-f", "Dockerfile"}},
	{args: []string{"--force-rm"}},
	{args: []string{"--iidfile", "iid"}},
	{args: []string{"--isolation", "default"}},
	{args: []string{"--label", "a=b"}},
	{args: []string{"--load"}, refusal: "type=docker,dest=FILE"},
	{args: []string{"--load=false"}},
	{args: []string{"--memory", "1g"}},
	{args: []string{"-m", "1g"}},
	{args: []string{"--memory-swap", "-1"}},
	{args: []string{"--metadata-file", "metadata.json"}},
	{args: []string{"--network", "host"}},
	{args: []string{"--network=none"}},
	{args: []string{"--no-cache"}},
	{args: []string{"--no-cache-filter", "one,two"}},
	{args: []string{"--output", "type=local,dest=out"}},
	{args: []string{"-o", "out"}},
	{args: []string{"-o", "-"}},
	{args: []string{"-o", "type=tar,dest=out.tar"}},
	{args: []string{"-o", "type=oci,dest=out.tar,compression=zstd,compression-level=3"}},
	{args: []string{"-o", "type=docker,dest=out.tar"}},
	{args: []string{"-o", "type=docker,dest=out.tar,context=default"}},
	{args: []string{"-o", "type=oci,dest=out.tar,annotation.a=b,annotation-manifest[linux/amd64].dset=b,something-new=1"}},
	{args: []string{"-o", "type=local,dest=out,src=/bin,attestation-prefix=a-,platform-split=false"}},
	{args: []string{"-o", "type=docker"}, refusal: "type=docker,dest=FILE"},
	{args: []string{"-o", "type=image,name=app,unpack=true,store=true"}},
	{args: []string{"-o", "type=image,name=app,push=true"}},
	{args: []string{"-o", "type=registry,name=app"}},
	{args: []string{"-o", "type=registry", "-t", "app"}},
	{args: []string{"-o", "type=cacheonly"}},
	{args: []string{"--platform", "linux/amd64,linux/arm64"}},
	{args: []string{"--policy", "filename=policy.rego"}, refusal: "--source-policy-file"},
	{args: []string{"--print", "outline"}, refusal: "--call"},
	{args: []string{"--progress", "none"}},
	{args: []string{"--progress=rawjson"}},
	{args: []string{"--provenance", "mode=max"}},
	{args: []string{"--provenance=false"}},
	{args: []string{"--pull"}},
	{args: []string{"--push", "--tag", "app"}},
	{args: []string{"--quiet"}},
	{args: []string{"-q"}},
	{args: []string{"--resource", "memory=2g"}},
	{args: []string{"--rm"}},
	{args: []string{"--rm=false"}},
	{args: []string{"--sbom", "true"}},
	{args: []string{"--sbom=generator=scanner"}},
	{args: []string{"--secret", "id=key,src=Dockerfile"}},
	{args: []string{"--security-opt", "seccomp=unconfined"}},
	{args: []string{"--shm-size", "64m"}},
	{args: []string{"--squash"}},
	{args: []string{"--ssh", "key=id_ed25519"}},
	{args: []string{"--tag", "registry.example.com/app:1"}},
	{args: []string{"-t", "app", "-t", "registry.example.com/app:1"}},
	{args: []string{"--target", "two"}},
	{args: []string{"--ulimit", "nofile=1024:2048"}},
}

func TestBuildxFlags(t *testing.T) {
	key := sshKey(t)
	for _, c := range buildxFlags {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Chdir(testenv.Dir(t, "Dockerfile", "FROM busybox AS one\nFROM one AS two\n", "id_ed25519", key))
			err := parse(t, append([]string{"build", "."}, c.args...)...)
			var usage *usageError
			switch {
			case c.refusal == "" && err != nil:
				t.Errorf("build %q = %v, want it accepted", c.args, err)
			case c.refusal != "" && (!errors.As(err, &usage) || !strings.Contains(usage.hint, c.refusal)):
				t.Errorf("build %q = %v, want a usage error with a hint at %s", c.args, err, c.refusal)
			}
		})
	}
}

func sshKey(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// parse makes a plan of a command line and carries nothing out.
func parse(t *testing.T, args ...string) error {
	t.Helper()
	return parseAt(t, io.Discard, args...)
}

// parseAt is parse with a standard output.
func parseAt(t *testing.T, out io.Writer, args ...string) error {
	t.Helper()
	app := newApp(Streams{Out: out, Err: io.Discard})
	modes := map[string]mode{"build": modeBuild, "test": modeTest, "run": modeRun}
	for _, cmd := range app.Commands {
		if m, ok := modes[cmd.Name]; ok {
			cmd.Action = func(c *cli.Context) error {
				_, err := newPlan(c, m)
				return err
			}
		}
	}
	return app.Run(intersperse(app, append([]string{"seatrial"}, args...)))
}

// TestWrongOutputs are outputs that cannot be had, found before anything is run.
func TestWrongOutputs(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"build", "-o", ""}, "empty"},
		{[]string{"build", "-o", "dest=x"}, "has no type=, which is one of registry, image, local"},
		{[]string{"build", "-o", "dest=x,tar=false"}, "has no type="},
		{[]string{"build", "-o", "type="}, "has no type="},
		{[]string{"build", "-o", "type=zip,dest=x"}, "registry, image, local, tar, oci, docker"},
		{[]string{"build", "-o", "type=oci,dest"}, "KEY=VALUE"},
		{[]string{"build", "-o", "type=oci,output=x"}, "dest"},
		{[]string{"build", "-o", "type=oci,dset=x"}, "did you mean dest?"},
		{[]string{"build", "-o", "tpye=oci,dest=x"}, "did you mean type?"},
		{[]string{"build", "-o", "type=oci,dest=x,compression-lvl=3"}, "did you mean compression-level?"},
		{[]string{"build", "-o", "type=image,name=x,registry.insecur=true"}, "did you mean registry.insecure?"},
		{[]string{"build", "-o", "type=oci,dest=x,anotation.a=b"}, "did you mean annotation?"},
		{[]string{"build", "-o", "type=oci,dest=x,annotation-idex[linux/amd64].a=b"}, "did you mean annotation-index?"},
		{[]string{"build", "-o", "type=local"}, "dest=DIR"},
		{[]string{"build", "-o", "type=local,dest=-"}, "dest=DIR"},
		{[]string{"build", "-o", "type=local,dest=Dockerfile"}, "not a directory"},
		{[]string{"build", "-o", "type=local,dest=Dockerfile/x"}, "not a directory"},
		{[]string{"build", "-o", "type=local,dest=out,mode=move"}, "mode"},
		{[]string{"build", "-o", "type=local,dest=/,mode=delete"}, "not inside the working directory"},
		{[]string{"build", "-o", "type=local,dest=.,mode=delete"}, "not inside the working directory"},
		{[]string{"build", "-o", "type=local,dest=link/x,mode=delete"}, "not inside the working directory"},
		{[]string{"build", "-o", "type=oci,dest=dir"}, "is a directory"},
		{[]string{"build", "-o", "type=oci,dest=no/such/file"}, "cannot write to no/such: no such file or directory"},
		{[]string{"build", "-o", "type=tar,dest=no/such/file"}, "make the directory"},
		{[]string{"build", "-o", "type=local,dest=/proc/none"}, "cannot write to /proc: "}, // not even root may
		{[]string{"build", "-o", "type=docker"}, "docker load"},
		{[]string{"build", "-o", "type=oci,dest=x,tar=maybe"}, "true or false"},
		{[]string{"build", "-o", "type=docker,dest=x,tar=false"}, "docker load"},
		{[]string{"build", "-o", "type=docker,dest=x", "--platform", "linux/amd64,linux/arm64"}, "one platform"},
		{[]string{"build", "-o", "type=registry,dest=x,name=y"}, "no destination"},
		{[]string{"build", "-o", "type=oci", "-o", "-"}, "one destination"},
		{[]string{"build", "-o", "type=oci,dest=x,compression=zstd", "-o", "type=docker,dest=y"}, "look different"},
		{[]string{"build", "-o", "type=oci,dest=x,name=A B"}, "A B"},
		{[]string{"build", "-o", "type=registry,name=x,push-by-digest=true"}, "push-by-digest"},
		{[]string{"build", "--push"}, "no name"},
		{[]string{"build", "--push", "-o", "type=oci,dest=x,name=y"}, "no name"},
		{[]string{"test", "--test", "true", "--push"}, "pushes nothing"},
		{[]string{"test", "--test", "true", "-o", "type=registry,name=x"}, "pushes nothing"},
		{[]string{"test", "--test", "true", "-o", "type=image,name=x"}, "before it was tested"},
		{[]string{"run", "--untested", "-t", "x", "-o", "type=oci,dest=x,compression=zstd"}, "look different"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Chdir(testenv.Dir(t, "Dockerfile", "FROM busybox\n", "dir/file", ""))
			t.Setenv("IMAGE", "")
			if err := os.Symlink("/tmp", "link"); err != nil {
				t.Fatal(err)
			}
			err := parse(t, append(c.args, ".")...)
			var usage *usageError
			if !errors.As(err, &usage) || !strings.Contains(usage.Error()+usage.hint, c.want) {
				t.Errorf("%q = %v, want a usage error about %q", c.args, err, c.want)
			}
			left, err := filepath.Glob(".seatrial-*")
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %q (%v)", left, err)
			}
		})
	}
}

// TestTerminalIsNoOutput has a tar not be written where somebody is looking.
func TestTerminalIsNoOutput(t *testing.T) {
	user, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	defer tty.Close()
	project := testenv.Dir(t, "Dockerfile", "FROM busybox\n")
	for _, v := range []string{"-", "type=tar", "type=tar,dest=-", "type=oci", "type=docker,dest=-"} {
		var usage *usageError
		if err := parseAt(t, tty, "build", "-o", v, project); !errors.As(err, &usage) || !strings.Contains(usage.Error(), "a terminal is no place") {
			t.Errorf("-o %s at a terminal = %v, want a usage error", v, err)
		}
		if err := parse(t, "build", "-o", v, project); err != nil {
			t.Errorf("-o %s: %v", v, err)
		}
	}
}
