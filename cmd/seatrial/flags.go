package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// env names the variables that a flag reads: SEATRIAL_<FLAG>, then more.
func env(flag string, more ...string) []string {
	return append([]string{"SEATRIAL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))}, more...)
}

func stringFlag(category, name, usage string, aliases ...string) *cli.StringFlag {
	return &cli.StringFlag{Category: category, Name: name, Aliases: aliases, Usage: usage, EnvVars: env(name)}
}

func listFlag(category, name, usage string, aliases ...string) *cli.StringSliceFlag {
	return &cli.StringSliceFlag{Category: category, Name: name, Aliases: aliases, Usage: usage, EnvVars: env(name)}
}

func boolFlag(category, name, usage string, aliases ...string) *cli.BoolFlag {
	return &cli.BoolFlag{Category: category, Name: name, Aliases: aliases, Usage: usage, EnvVars: env(name), DisableDefaultText: true}
}

const (
	catBuild   = "Build:"
	catImage   = "Image:"
	catTest    = "Test:"
	catBuilder = "Builder:"
	catOutput  = "Output:"
)

func buildFlags() []cli.Flag {
	return []cli.Flag{
		stringFlag(catBuild, "config", "`FILE` with the project's settings (default: CONTEXT/seatrial.yaml, if CONTEXT is a directory); none has none read"),
		stringFlag(catBuild, "file", "`PATH` of the Dockerfile (default: CONTEXT/Dockerfile); - is standard input", "f"),
		listFlag(catBuild, "build-arg", "set `NAME=VALUE` for ARG; NAME alone takes the environment's value"),
		listFlag(catBuild, "build-context", "replace an image or stage: `NAME=VALUE`, a directory, docker-image://REF, oci-layout://PATH[:TAG], target:STAGE or a URL"),
		stringFlag(catBuild, "target", "`STAGE` that becomes the image (default: the last)"),
		platformFlag("`PLATFORM` to build for, as linux/arm64; several by comma or repeated"),
		listFlag(catBuild, "label", "add the label `NAME=VALUE` to the image"),
		listFlag(catBuild, "secret", "offer a secret to RUN --mount=type=secret: `id=ID[,src=FILE|,env=VAR]`"),
		listFlag(catBuild, "ssh", "offer an SSH agent or keys, or with raw=true any socket, to RUN --mount=type=ssh: `ID[=SOCKET[,raw=true]|KEY[,KEY]]`"),
		boolFlag(catBuild, "no-cache", "build every step anew"),
		listFlag(catBuild, "no-cache-filter", "build `STAGE` anew; several by comma or repeated"),
		stringFlag(catBuild, "network", "`NETWORK` of RUN instructions and tests: default, none or host"),
		listFlag(catBuild, "add-host", "add `NAME:IP` to /etc/hosts of RUN instructions and tests"),
		stringFlag(catBuild, "shm-size", "`SIZE` of /dev/shm, as 64m"),
		listFlag(catBuild, "ulimit", "limit of RUN instructions and tests, as `nofile=1024:2048`"),
		listFlag(catBuild, "resource", "limit what each RUN instruction and test may take: `KEY=VALUE`, as memory=2g, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, cpuset-mems"),
		stringFlag(catBuild, "cgroup-parent", "parent `CGROUP` of RUN instructions and tests"),
		listFlag(catBuild, "allow", "`ENTITLEMENT` that the build may use: network.host, security.insecure or device; buildx.local.delete lets an output delete"),
		listFlag(catBuild, "allow-frontend", "run the frontend image that # syntax= names if it is `REPO[:TAG|@DIGEST]`; it can read everything the build offers: context, secrets, credentials"),
		stringFlag(catBuild, "source-policy-file", "`FILE` with the policy that allows, denies and replaces sources (default: the one in EXPERIMENTAL_BUILDKIT_SOURCE_POLICY)"),
		listFlag(catBuild, "cache-from", "look for finished steps in a cache: `type=registry|local|gha|s3|azblob,…`, or a reference"),
		listFlag(catBuild, "cache-to", "keep finished steps, of tests too, in a cache: `type=registry|local|gha|s3|azblob|inline,…`, or a reference"),
		boolFlag(catBuild, "pull", "ask the registry for base images even if the builder has them"),
	}
}

func imageFlags() []cli.Flag {
	return []cli.Flag{
		listFlag(catImage, "annotation", "annotate the image: `[TYPE:]KEY=VALUE`, TYPE being manifest, index, manifest-descriptor or index-descriptor"),
		stringFlag(catImage, "compression", "`TYPE` of the layers' compression: gzip, zstd, estargz or uncompressed (default: gzip)"),
		&cli.IntFlag{Category: catImage, Name: "compression-level", Usage: "`LEVEL` of the compression", EnvVars: env("compression-level"), DefaultText: "the compression's own"},
		boolFlag(catImage, "force-compression", "compress layers anew that the builder has compressed otherwise: those of base images, and of steps that it has built before"),
		stringFlag(catImage, "provenance", "attest how the image was built: true, or `mode=min|max,…` (default: false)"),
		stringFlag(catImage, "sbom", "attest what is in the image: true, or `generator=IMAGE,…` (default: false)"),
		listFlag(catImage, "attest", "what --provenance and --sbom do, in one flag: `type=provenance|sbom,…`"),
		boolFlag(catImage, "reproducible", "give files and image the time of SOURCE_DATE_EPOCH (default: 1970), so that two builds make one digest"),
	}
}

func testFlags() []cli.Flag {
	return []cli.Flag{
		listFlag(catTest, "test", "run `CMD` in the built image instead of its start command"),
		listFlag(catTest, "test-stage", "build `STAGE` as a test (default: the one called test, if there is one)"),
		listFlag(catTest, "test-file", "read tests from `FILE`: structure tests, or a Compose file whose service sut is the test (default: the *.test.yml and *-test.yml beside the Dockerfile, if no test is named)"),
		listFlag(catTest, "test-platform", "`PLATFORM` of the image to test on; several by comma or repeated (default: all that the image is built for)"),
		listFlag(catTest, "report", "bring back the test's files that match `GLOB`, pass or fail: paths from its working directory, directories, *, **; JUnit, go test -json and TAP are understood"),
		stringFlag(catTest, "report-dir", "`DIR` for the tests' whole output and reports (default: "+defaultReportDir+")"),
		stringFlag(catTest, "junit", "write the results of all tests to `FILE` as JUnit XML"),
		&cli.DurationFlag{Category: catTest, Name: "test-timeout", Usage: "end a test after `DURATION`, as 90s or 10m", EnvVars: env("test-timeout"), DefaultText: "no limit"},
		&cli.DurationFlag{Category: catTest, Name: "tests-timeout", Usage: "end all tests `DURATION` after the first has begun", EnvVars: env("tests-timeout"), DefaultText: "no limit"},
		&cli.IntFlag{Category: catTest, Name: "test-retries", Usage: "try a test that fails `N` times more, each from its beginning; one that passes then is called flaky", EnvVars: env("test-retries"), DefaultText: "0"},
		&cli.IntFlag{Category: catTest, Name: "test-jobs", Usage: "run `N` tests at a time", EnvVars: env("test-jobs"), DefaultText: "all"},
		listFlag(catTest, "forward", "let tests reach a service that runs elsewhere, by `NAME=HOST:PORT`: under that name, at that port, as this machine reaches it; what it answers has no part in whether a test has passed before"),
		boolFlag(catTest, "fail-fast", "stop the other tests when one has failed"),
		boolFlag(catTest, "fail-on-flaky", "fail if a test passed only when it was tried again"),
		boolFlag(catTest, "no-test-cache", "run the tests even if they have passed on this image before"),
		attestTestsFlag(),
	}
}

// defaultReportDir is where reports go, seen from the working directory.
const defaultReportDir = "seatrial-reports"

func builderFlags() []cli.Flag {
	return []cli.Flag{
		listFlag(catBuilder, "addr", "`ADDRESS` of a buildkitd; auto, the default, looks at BUILDKIT_HOST and the usual sockets, then starts a private one; private insists on that. Several share the platforms"),
		stringFlag(catBuilder, "tlsdir", "`DIR` with ca.pem, cert.pem and key.pem (or ca.crt, tls.crt, tls.key)"),
		stringFlag(catBuilder, "tlscacert", "`FILE` with the CA that the builder's certificate is checked against"),
		stringFlag(catBuilder, "tlscert", "`FILE` with the client certificate"),
		stringFlag(catBuilder, "tlskey", "`FILE` with the client key"),
		stringFlag(catBuilder, "tlsservername", "`NAME` in the builder's certificate (default: the address's host)"),
		boolFlag(catBuilder, "insecure-builder", "allow tcp:// without TLS to another host: anyone on the way can read and change the build"),
	}
}

func outputFlags() []cli.Flag {
	progress := stringFlag(catOutput, "progress", "`MODE`: auto, tty, plain, rawjson or quiet")
	progress.Value = "auto"
	progress.EnvVars = env("progress", "BUILDKIT_PROGRESS")
	return []cli.Flag{
		progress,
		boolFlag(catOutput, "quiet", "print the result and errors only", "q"),
		stringFlag(catOutput, "result-file", "write what happened to `FILE` as JSON"),
		stringFlag(catOutput, "metadata-file", "write the image's metadata to `FILE`, as buildx does"),
		stringFlag(catOutput, "iidfile", "write the image's ID to `FILE`"),
		boolFlag(catOutput, "debug", "show errors with all that led to them, which credentials were used, and what converted the Dockerfile", "D"),
	}
}

// failureFlag is for commands that may fail in the builder.
func failureFlag() []cli.Flag {
	return []cli.Flag{boolFlag(catBuild, shellOnFailure, "open a shell in the test or RUN instruction that failed first, as it left everything, if standard input and standard error are a terminal")}
}

const shellOnFailure = "shell-on-failure"

// platformFlag has the default that buildx has.
func platformFlag(usage string) cli.Flag {
	f := listFlag(catBuild, "platform", usage)
	f.EnvVars = env("platform", "DOCKER_DEFAULT_PLATFORM")
	return f
}

// destinationFlags say where the image goes. use is what -t is for.
func destinationFlags(use, push string) []cli.Flag {
	load := boolFlag(catImage, "load", "")
	load.Hidden = true
	return []cli.Flag{
		listFlag(catImage, "tag", "`REFERENCE` "+use, "t"),
		listFlag(catImage, "output", "write the image, once it has passed its tests: `DIR`, -, or type=local|tar|oci|docker|registry|image,dest=…; may be repeated", "o"),
		boolFlag(catImage, "push", push),
		verifyPushFlag(),
		load,
	}
}

func verifyPushFlag() cli.Flag {
	return boolFlag(catImage, "verify-push", "before tags move, ask the registries for every blob and manifest of the image, and send what is missing")
}
