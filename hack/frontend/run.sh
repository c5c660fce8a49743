#!/usr/bin/env bash
#
# run.sh [PATTERN] runs BuildKit's own Dockerfile tests, those of the version in
# go.mod, with BuildKit's built-in frontend and with seatrial's, and prints
# which pass where. PATTERN is a regular expression for the tests' names
# (TestAddGit…); all run if there is none.
#
# seatrial's frontend is run twice: in the client, as the command has it, and as
# a frontend image in the daemon, which some tests insist on. Exit 1 if a test
# passes with the built-in frontend and fails with one of ours, 2 if the tests
# could not be run.
#
# Root only (the tests start rootful daemons), Debian or Ubuntu. The images of
# Docker Hub that the tests name are made here of static busybox. It leaves
# nothing behind but, if LOGS names a directory, the tests' output in it.
#
# Tests that ask for the containerd worker are run with containerd too, built
# from the version in go.mod. What is skipped or fails with both is listed with
# the reason that the test gives, or the one found in its output.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
readonly here repo

# BuildKit's two and ours: those named seatrial… are held against the others.
readonly frontends='builtin client seatrial seatrial-image'

die() {
	echo "run.sh: $*" >&2
	exit 2
}

# compile builds the tests with ours among their frontends. The tests stay in
# the module cache: an overlay makes them a package of this module, with two
# changes to the one file that declares the frontends.
compile() {
	local src file name
	cd "$here"
	cp go.mod go.sum "$work/"
	src=$(go list "${gomod[@]}" -m -f '{{.Dir}}' github.com/moby/buildkit)/frontend/dockerfile
	sed -e 's/^type clientFrontend struct{}$/type clientFrontend struct{ builds }/' \
		-e 's/"", builder\.Build, statusChan/"", f.buildFunc(), statusChan/' \
		-e '/^\t"github.com\/moby\/buildkit\/frontend\/dockerfile\/builder"$/d' \
		"$src/dockerfile_test.go" >"$work/dockerfile_test.go"
	{
		echo '{"Replace": {'
		for file in "$src"/*.go; do
			name=${file##*/}
			[[ $name != dockerfile_test.go ]] || file=$work/$name
			printf '"%s": "%s",\n' "$here/dockerfile/$name" "$file"
		done
		printf '"%s": "%s"}}\n' "$here/dockerfile/seatrial_test.go" "$here/testdata/frontends_test.go"
	} >"$work/overlay.json"
	# vet would look for the package's directory, which is nowhere.
	go test "${gomod[@]}" -c -vet=off -overlay "$work/overlay.json" -o "$work/frontend.test" ./dockerfile
	go build "${gomod[@]}" -trimpath -ldflags '-s -w' -o "$work/images/frontend/frontend" ./image
	go build "${gomod[@]}" -o "$work/report" ./report
}

# with_libraries ROOT COMMAND... copies commands and the libraries they load.
with_libraries() {
	local root=$1 command file
	shift
	for command in "$@"; do
		command=$(command -v "$command")
		install -D "$(readlink -f "$command")" "$root/usr/bin/${command##*/}"
		for file in $(ldd "$command" | grep -o '/[^ ]*'); do
			install -D "$(readlink -f "$file")" "$root$file"
		done
	done
}

# rootfs writes what is in the images below $work/images.
rootfs() {
	local root=$work/images/busybox applet
	mkdir -p "$root"/{bin,dev,etc,home,proc,root,sys,tmp,usr/bin,usr/sbin,var}
	chmod 1777 "$root/tmp"
	install "$(command -v busybox)" "$root/bin/busybox"
	for applet in $(busybox --list); do
		[[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
	done
	ln -s /bin/env "$root/usr/bin/env"
	install "$here"/standin/bin/add* "$root/usr/sbin/"
	cp "$here"/standin/etc/* "$root/etc/"
	cp -a "$root" "$work/images/alpine"
	root=$work/images/alpine
	echo 3.18.0 >"$root/etc/alpine-release"
	install "$here/standin/bin/apk" "$root/usr/sbin/"
	with_libraries "$root" git
}

# start LOG COMMAND... runs a daemon in the background.
start() {
	local log=$1
	shift
	: >"$log"
	"$@" >"$log" 2>&1 &
	daemons+=($!)
}

# await LOG PATTERN prints what of a daemon's log matches, once something does.
await() {
	local deadline=$((SECONDS + 30))
	until grep -o -m1 -- "$2" "$1"; do
		((SECONDS < deadline)) || {
			cat "$1" >&2
			die "no $2 in the log above after 30 s"
		}
		sleep 0.1
	done
}

# push TARGET NAME builds an image of standin/Dockerfile into the mirror.
push() {
	buildctl --addr "unix://$work/buildkitd.sock" build --progress=quiet --frontend dockerfile.v0 \
		--local context="$work/images" --local dockerfile="$here/standin" \
		--opt target="$1" \
		--output "type=image,name=$host/$2,push=true,registry.insecure=true" >/dev/null
}

# images fills the directory that the tests' mirror of Docker Hub serves. The
# tests copy nothing into it that is there already.
images() {
	local host name daemons=()
	rootfs
	mkdir -p "$work/mirror"
	printf 'version: 0.1\nloglevel: info\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:0"}\n' \
		"$work/mirror/data" >"$work/mirror/config.yaml"
	start "$work/registry.log" registry serve "$work/mirror/config.yaml"
	start "$work/buildkitd.log" buildkitd --root "$work/buildkitd" --addr "unix://$work/buildkitd.sock"
	host=$(await "$work/registry.log" '127\.0\.0\.1:[0-9]*')
	await "$work/buildkitd.log" 'running server' >/dev/null
	for name in busybox:latest busybox:stable-musl; do
		push busybox "library/$name"
	done
	push alpine library/alpine:latest
	push alpine amd64/debian:bullseye-20230109-slim
	push busybox tonistiigi/hellofs:latest
	push frontend buildkit_test/seatrial:latest
	kill "${daemons[@]}"
	wait "${daemons[@]}" || true
}

# run_tests WORKER PATTERN adds what the tests say to $work/events.json. It
# shows those that fail, and leaves judging to the report.
run_tests() {
	echo "running tests of the $1 worker" >&2
	{
		BUILDKIT_REGISTRY_MIRROR_DIR=$work/mirror FRONTENDS="$frontends" TMPDIR=$work/tmp \
			"$work/frontend.test" -test.run "^TestIntegration\$/($2)/^worker=$1\$" \
			-test.v=test2json -test.timeout 60m 2>>"$work/stderr" || true
	} | tee >(grep -a --line-buffered -o -e '--- FAIL: TestIntegration/.*' >&2) |
		go tool test2json >>"$work/events.json"
}

# only_containerd prints a pattern for the tests, or the rest of tests, that
# asked for another worker than they were run with.
only_containerd() {
	grep -a '"Output":" *[a-z_]*_test\.go:[0-9]*: [a-z ]*containerd worker' "$work/events.json" |
		grep -o 'TestIntegration/[^/"]*' | sort -u | cut -d/ -f2 | paste -sd'|' || true
}

# inside does the work, in namespaces of its own: whatever a test or a daemon
# leaves running or mounted ends with them.
inside() {
	local pattern
	# A copy, so that go can follow the repository's own go.mod.
	gomod=(-mod=mod -modfile="$work/go.mod")
	mkdir -p "$work"/{bin,tmp,images/frontend}
	# The tests look for the registry under its upstream name.
	ln -s "$(command -v docker-registry)" "$work/bin/registry"
	export PATH=$work/bin:$repo/bin:$PATH
	compile
	images
	run_tests oci "${1:-.}"
	pattern=$(only_containerd)
	if [[ -n $pattern ]]; then
		go build "${gomod[@]}" -o "$work/bin/" github.com/containerd/containerd/v2/cmd/containerd{,-shim-runc-v2}
		run_tests containerd "^($pattern)\$"
	fi
	"$work/report" <"$work/events.json"
}

# created DIR... prints those that are not there: containerd makes them.
created() {
	local dir
	for dir in "$@"; do
		[[ -e $dir ]] || echo "$dir"
	done
}

outside() {
	local status=0 child new
	[[ $(id -u) == 0 ]] || die 'the tests start rootful daemons: run it as root'
	"$repo/hack/install.sh" test
	make -s -C "$repo" tools
	export work
	work=$(mktemp -d "${TMPDIR:-/tmp}/seatrial-frontend.XXXXXX")
	new=$(created /opt/containerd /run/containerd)
	unshare --mount --pid --fork --kill-child --mount-proc "$here/run.sh" --inside "$@" &
	child=$!
	trap 'kill -KILL "$child"' INT TERM # all others die with it; it ignores TERM
	wait "$child" || status=$?
	wait "$child" 2>/dev/null || true # again if it was a signal that ended the first
	if [[ -n ${LOGS-} ]]; then
		mkdir -p "$LOGS"
		cp "$work"/{events.json,stderr} "$LOGS/" || true
	fi
	# shellcheck disable=SC2086 # a list of paths without spaces
	rm -rf "$work" $new
	exit "$status"
}

export PATH=$PATH:/usr/sbin:/sbin CGO_ENABLED=0
if [[ ${1-} == --inside ]]; then
	inside "${@:2}"
else
	outside "$@"
fi
