package buildkitd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func executableDir() string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	if target, err := filepath.EvalSymlinks(exe); err == nil {
		exe = target
	}
	return filepath.Dir(exe)
}

// command is the daemon as it will be run, in a session of its own: Ctrl-C in
// the terminal must not end it under another user of it.
func (h home) command(opt Options) (*exec.Cmd, error) {
	argv, err := h.argv(opt)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = h.environ(opt)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}

func (h home) argv(opt Options) ([]string, error) {
	daemon, err := find(opt, "buildkitd", "install it beside seatrial or on PATH; in seatrial's source tree `make tools` builds it")
	if err != nil {
		return nil, err
	}
	if err := checkRuntime(h.oci); err != nil {
		return nil, &Error{Addr: Private, Err: err, Hint: "install the package runc (apt-get install runc)"}
	}
	var argv []string
	if os.Geteuid() != 0 {
		kit, err := rootlesskit(opt)
		if err != nil {
			return nil, err
		}
		// The host's network: a private one would need slirp4netns, and in
		// rootless mode build steps are in the daemon's network anyway. /run is
		// not copied up, or the socket would be visible to the daemon only.
		argv = []string{kit, "--net=host", "--state-dir=" + filepath.Join(h.runtime, "rk")}
	}
	argv = append(argv, daemon, "--root="+h.state, "--addr="+h.addr(),
		// The default path may be another daemon's, even another user's.
		"--otel-socket-path="+filepath.Join(h.runtime, "otel.sock"))
	if os.Geteuid() != 0 {
		argv = append(argv, "--rootless")
	}
	if !hasConfig(opt) {
		// A containerd that happens to run on this machine is not ours to fill.
		argv = append(argv, "--oci-worker=true", "--containerd-worker=false")
		if filepath.Base(h.oci) == "crun" {
			argv = append(argv, "--oci-worker-binary=crun")
		}
	}
	return append(argv, strings.Fields(opt.Env("BUILDKITD_FLAGS"))...), nil
}

// ociRuntimes are in the order of preference; buildkitd finds all but the last itself.
func ociRuntimes() []string { return []string{"buildkit-runc", "runc", "crun"} }

func anyRuntime(opt Options) string {
	for _, name := range ociRuntimes() {
		if path := lookPath(opt, name); path != "" {
			return path
		}
	}
	return ""
}

// checkRuntime also refuses a crun that does not know what buildkitd asks of
// it, as that of Debian 12: every build step would fail, with its usage text.
func checkRuntime(path string) error {
	if path == "" {
		return errors.New("neither runc nor crun is on PATH")
	}
	if filepath.Base(path) != "crun" {
		return nil
	}
	help, err := exec.Command(path, "run", "--help").CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %s: %w", path, err)
	}
	if !strings.Contains(string(help), "--keep") {
		return fmt.Errorf("there is no runc, and %s is too old for buildkitd: it has no run --keep", path)
	}
	return nil
}

// rootlesskit returns its path once everything it needs is there.
func rootlesskit(opt Options) (string, error) {
	kit, err := find(opt, "rootlesskit", "install it beside seatrial or on PATH; in seatrial's source tree `make tools` builds it")
	if err != nil {
		return "", err
	}
	for _, name := range []string{"newuidmap", "newgidmap"} {
		if _, err := find(opt, name, "install the package uidmap (apt-get install uidmap)"); err != nil {
			return "", err
		}
	}
	return kit, checkSubIDs(opt, "/etc")
}

func find(opt Options, name, hint string) (string, error) {
	if path := lookPath(opt, name); path != "" {
		return path, nil
	}
	return "", &Error{Addr: Private, Err: fmt.Errorf("%s is neither beside seatrial nor on PATH", name), Hint: hint}
}

func lookPath(opt Options, name string) string {
	for _, dir := range searchDirs(opt) {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	return ""
}

// searchDirs leaves out relative directories: the build context, which may be
// anybody's, could be one.
func searchDirs(opt Options) []string {
	dirs := slices.Concat([]string{opt.seams.exeDir}, filepath.SplitList(opt.Env("PATH")), opt.seams.sbin)
	return slices.DeleteFunc(dirs, func(dir string) bool { return !filepath.IsAbs(dir) })
}

// checkSubIDs looks for the user's ranges in etc/subuid and etc/subgid. With
// another source of them configured, rootlesskit is left to find out.
func checkSubIDs(opt Options, etc string) error {
	if raw, err := os.ReadFile(filepath.Join(etc, "nsswitch.conf")); err == nil && strings.Contains(string(raw), "subid:") {
		return nil
	}
	uid, name := strconv.Itoa(os.Geteuid()), userName(opt)
	for _, file := range []string{"subuid", "subgid"} {
		raw, err := os.ReadFile(filepath.Join(etc, file))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil
		}
		owners := func(line string) bool {
			owner, _, _ := strings.Cut(line, ":")
			return owner == name || owner == uid
		}
		if !slices.ContainsFunc(strings.Split(string(raw), "\n"), owners) {
			return &Error{Addr: Private,
				Err:  fmt.Errorf("user %s has no range of subordinate ids in %s", name, filepath.Join(etc, file)),
				Hint: "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + name}
		}
	}
	return nil
}

func userName(opt Options) string {
	if u, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
		return u.Username
	}
	return opt.Env("USER")
}

// hasConfig reports whether the user configured buildkitd. It reads the file
// itself; we only refrain from overruling it.
func hasConfig(opt Options) bool {
	if opt.Env("BUILDKITD_CONFIG") != "" {
		return true
	}
	dir := "/etc/buildkit"
	if os.Geteuid() != 0 {
		config := opt.Env("XDG_CONFIG_HOME")
		if config == "" {
			home, _ := homeDir(opt)
			config = filepath.Join(home, ".config")
		}
		dir = filepath.Join(config, "buildkit")
	}
	_, err := os.Stat(filepath.Join(dir, "buildkitd.toml"))
	return err == nil
}

// environ passes on what a daemon needs and nothing else: it serves later runs
// too, and build steps without a process sandbox can read its environment, in
// which a CI job has its secrets.
func (h home) environ(opt Options) []string {
	homeDir, _ := homeDir(opt)
	name := userName(opt)
	if name == "" || name == "root" && os.Geteuid() != 0 {
		name = "user" // buildkitd looks for the user's configuration only if USER is somebody, not root
	}
	env := []string{
		"PATH=" + strings.Join(searchDirs(opt), ":"),
		"HOME=" + homeDir,
		"USER=" + name,
		// What a crash leaves lies where the next start looks for it.
		"TMPDIR=" + h.tmp(),
		"XDG_RUNTIME_DIR=" + h.runtime,
	}
	for _, name := range []string{
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME",
		"BUILDKITD_CONFIG", "BUILDKITD_LOG_LEVEL", "LANG", "LC_ALL", "TZ",
	} {
		if value := opt.Env(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}
