package compose

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bad are the files in testdata/bad: what is wrong with each, where, and how the
// remedy begins.
var bad = []struct {
	name         string
	line, column int
	msg, hint    string
}{
	{"alias", 16, 13, "both a and b are to be called db", "give one of them another name"},
	{"aliasname", 5, 9, "both b and a are to be called b", "give one of them another name"},
	{"buildsecret", 5, 7, "an image for a test cannot have build.secrets", "put it into the Dockerfile, or build thi"},
	{"comment", 1, 1, "the file is empty", "a test looks like this:\n  services:\n    "},
	{"condition", 6, 9, "services.sut.depends_on.db.condition value must be one of 'service_started', 'service_healthy', 'service_completed_successfully'", "the conditions are service_started, serv"},
	{"config", 7, 5, "the config c: no file missing.txt that can be used", "it is relative to the Compose file, and "},
	{"context", 3, 5, "the build context missing is not a directory", "it is relative to the Compose file"},
	{"cycle", 12, 9, "services wait for each other: a → b → a", "remove one of these dependencies; servic"},
	{"dockerfile", 5, 7, "there is no Dockerfile Dockerfile.missing", "it is relative to the build's context"},
	{"documents", 4, 1, "there is more than one document", "put them into files of their own"},
	{"empty", 1, 1, "the file is empty", "a test looks like this:\n  services:\n    "},
	{"endless", 2, 7, "the alias *s is inside of what it stands for", "write it out"},
	{"envfile", 4, 5, "there is no file missing.env with variables for sut", "it is relative to the Compose file; one "},
	{"extends", 2, 3, "cannot extend service \"sut\" in testdata/bad/extends.test.yml: service \"base\" not found", ""},
	{"healthcheck", 8, 7, "the health check of db begins with \"pg_isready\", which is none of NONE, CMD and CMD-SHELL", "put CMD before the arguments, or write t"},
	{"image", 3, 5, "\"Not An Image\" is no image: invalid reference format: repository name (library/Not An Image) must be lowercase", "an image looks like postgres:16 or regis"},
	{"include", 2, 5, "open missing.yml: no such file or directory", "paths are relative to the Compose file"},
	{"interpolation", 4, 5, "invalid interpolation format for services.sut.command", "a variable is ${NAME}; a $ that is none "},
	{"interval-number", 8, 7, "services.db.healthcheck.interval must be a string", "a time has a unit: 10s or 1m30s"},
	{"depends-null", 5, 7, "services.sut.depends_on.db must be a mapping", "write NAME: {condition: service_started}"},
	{"port", 7, 13, "invalid containerPort: abc", "a port looks like 8080 or 8080:80"},
	{"interval", 8, 7, "'services[db].healthcheck.interval' time: invalid duration \"often\"", "a time looks like"},
	{"key", 4, 5, "services.sut.comand is not a key of Compose", "did you mean \"command\"?"},
	{"include-map", 1, 1, "`include` must be a list, got missing.yml", ""},
	{"null", 0, 0, "a value is missing, or not of Compose's kind (interface conversion: interface {} is nil, not string)", "look for a key with nothing"},
	{"list", 1, 1, "this is not a Compose file: a mapping is expected", "a test looks like this:\n  services:\n    "},
	{"neither", 5, 3, "the service db has neither image nor build", "add `image: NAME`, or `build: .` for the"},
	{"noservices", 1, 1, "there are no services", "a test looks like this:\n  services:\n    "},
	{"nosut", 1, 1, "there is no service \"sut\": test, db", "call the service that is the test sut, a"},
	{"nullservices", 1, 1, "there are no services", "a test looks like this:\n  services:\n    "},
	{"nullsut", 2, 3, "services.sut must be a mapping", "a test looks like this:\n  services:\n    "},
	{"outside", 5, 9, "../good lies outside of the build context, and cannot be mounted", "put it into the build context, or copy i"},
	{"platform", 4, 5, "\"no such/platform/at/all\" is no platform", "a platform looks like linux/amd64 or lin"},
	{"profile", 4, 18, "sut depends on the service db, whose profiles are not active: big", "say COMPOSE_PROFILES=big, or remove the "},
	{"refused-cap_add", 7, 5, "db asks for cap_add, which a test cannot have", "remove it: tests run without privileges;"},
	{"refused-devices", 7, 5, "db asks for devices, which a test cannot have", "remove it: tests run without privileges;"},
	{"refused-expose", 7, 14, "expose: \"99999\" is no port", "a port looks like 8080 or 8080-8090"},
	{"refused-external_links", 7, 5, "db asks for external_links, which a test cannot have", "remove it, and run what is to be reached"},
	{"refused-extra_hosts", 7, 19, "a test cannot reach the host: h is host-gateway", "remove it, and run what is to be reached"},
	{"refused-gpus", 7, 5, "db asks for gpus, which a test cannot have", "remove it: tests run without privileges;"},
	{"refused-group_add", 7, 5, "db asks for group_add, which a test cannot have", "say user: NAME:GROUP, or make the group "},
	{"refused-ipc", 7, 5, "db asks for ipc, which a test cannot have", "remove it: each service has its own proc"},
	{"refused-network_mode", 7, 5, "db asks for network_mode, which a test cannot have", "remove it: each service has its own proc"},
	{"refused-pid", 7, 5, "db asks for pid, which a test cannot have", "remove it: each service has its own proc"},
	{"refused-privileged", 7, 5, "db asks for privileged, which a test cannot have", "remove it: tests run without privileges;"},
	{"refused-security_opt", 7, 5, "db asks for security_opt, which a test cannot have", "remove it: tests run without privileges;"},
	{"refused-sysctls", 7, 5, "db asks for sysctls, which a test cannot have", "remove it: tests run without privileges;"},
	{"refused-tmpfs", 7, 13, "the path \"relative\" in the container is not absolute", "a tmpfs looks like /PATH or /PATH:size=6"},
	{"refused-userns_mode", 7, 5, "db asks for userns_mode, which a test cannot have", "remove it: tests run without privileges;"},
	{"refused-uts", 7, 5, "db asks for uts, which a test cannot have", "remove it: each service has its own proc"},
	{"refused-volumes_from", 4, 5, "sut asks for volumes_from, which a test cannot have", "name the volume, and mount it in both se"},
	{"required", 4, 5, "services.sut.command: required variable COMMAND is missing a value: say what to run", "set it where this command runs, or give "},
	{"secret", 7, 5, "the secret password of sut: no file missing.txt that can be used", "it is relative to the Compose file, and "},
	{"secretenv", 7, 5, "the secret password: the variable MISSING is not set", "set it where this command runs"},
	{"socket", 6, 9, "a test cannot have /var/run/docker.sock: there is no daemon to talk to", "run what the test would start with it as"},
	{"tab", 3, 1, "this is not YAML: found character that cannot start any token", "tabs cannot indent, and what belongs tog"},
	{"target", 4, 15, "the path \"relative\" in the container is not absolute", "say where in the container: SOURCE:/PATH"},
	{"twice", 4, 3, "\"sut\" is there already, in line 2", "keep one of them, or give them different"},
	{"type", 4, 5, "services.sut.environment must be a mapping", ""},
	{"undefinedvolume", 4, 15, "service \"sut\" refers to undefined volume data", "declare it, with a line `volumes:` at th"},
	{"unknown", 5, 9, "sut depends on the service db, which is not there", "the services are sut, database"},
	{"unknownlink", 5, 9, "sut depends on the service db, which is not there", "the services are sut"},
	{"v2flat", 3, 1, "version 2 has services under `services:`", "put a line `services:` above them, and i"},
	{"volume", 6, 3, "the volume data has its data elsewhere", "a test's volume begins with what the ima"},
}

func TestLoadRefuses(t *testing.T) {
	for _, b := range bad {
		t.Run(b.name, func(t *testing.T) {
			file := filepath.Join("testdata", "bad", b.name+".test.yml")
			_, err := Load(t.Context(), file, Options{ContextDir: filepath.Dir(file)})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Load(%s) = %v, want an *Error", file, err)
			}
			if e.File != file || e.Line != b.line || e.Column != b.column || e.Msg != b.msg || !strings.HasPrefix(e.Hint, b.hint) {
				t.Errorf("Load(%s) = %s:%d:%d: %s (%s), want %d:%d: %s (%s…)", file, e.File, e.Line, e.Column, e.Msg, e.Hint, b.line, b.column, b.msg, b.hint)
			}
		})
	}
}

// TestEveryBadFileIsTried has no file lie in testdata unused.
func TestEveryBadFileIsTried(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yml")
	if err != nil || len(files) != len(bad) {
		t.Errorf("testdata/bad has %d files (%v), the table %d", len(files), err, len(bad))
	}
}

func TestLoadMissingFile(t *testing.T) {
	if _, err := Load(t.Context(), "testdata/none.test.yml", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load() = %v, want that there is no such file", err)
	}
}

func TestDotEnvMalformed(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "a.test.yml", "services:\n  sut:\n    build: .\n")
	env := write(t, dir, ".env", "A='never closed\n")
	_, err := Load(t.Context(), file, Options{ContextDir: dir})
	var e *Error
	if !errors.As(err, &e) || e.File != env || e.Hint == "" {
		t.Errorf("Load() = %v, want an error about %s", err, env)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
