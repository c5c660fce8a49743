#!/usr/bin/env bash
#
# demo.sh shows what seatrial does, on hack/examples/flask: it builds, tests,
# and pushes the project to a registry of its own; looks at what arrived there
# with skopeo; does it again with nothing changed; and once more with a broken
# test. It installs what is missing, says so, and asks nothing. It exits with 1
# if anything that it claims is not so, and leaves nothing running.
#
# SEATRIAL_DEMO_BIN=DIR takes the binaries from there and builds none.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly project=hack/examples/flask
readonly columns=78
export REGISTRY ACCOUNT=harbour IMAGE=berths TAG=1

work=$(mktemp -d "${TMPDIR:-/tmp}/seatrial-demo.XXXXXX")
registry_pid=
base_flags=()
failures=0
status=0
took=

say() { printf '\n%s\n' "$*" | fold -s -w "$columns"; }

# show COMMAND... prints a command as it would be typed, in lines that fit.
show() {
	local line='$' word
	for word in "$@"; do
		[[ $word != *[[:space:]]* ]] || word="'$word'"
		if ((${#line} + ${#word} + 3 > columns)); then
			printf '%s \\\n' "$line"
			line='   '
		fi
		line+=" $word"
	done
	printf '%s\n' "$line"
}

# run COMMAND... shows it, then runs it.
run() {
	show "$@"
	"$@"
}

# expect CLAIM TEST... says whether a claim is so.
expect() {
	if "${@:2}"; then
		printf '  ok: %s\n' "$1"
	else
		printf '  NOT SO: %s\n' "$1"
		failures=$((failures + 1))
	fi
}

# trial DIR runs seatrial on a project. What it printed is in $work/pushed, its
# exit code in $status, and the seconds it took in $took.
trial() {
	local from=${EPOCHREALTIME/[.,]/} micros
	set -- run "${base_flags[@]}" --test ./test.sh "$1"
	show seatrial "$@"
	status=0
	seatrial "$@" >"$work/pushed" || status=$?
	micros=$((${EPOCHREALTIME/[.,]/} - from))
	took=$(printf '%d.%02d s' $((micros / 1000000)) $((micros / 10000 % 100)))
	cat "$work/pushed"
	echo "(exit $status, $took)"
}

# digest_of TAG asks the registry, through skopeo, what the tag points at.
digest_of() {
	skopeo inspect --tls-verify=false --no-tags --format '{{.Digest}}' \
		"docker://$REGISTRY/$ACCOUNT/$IMAGE:$1" 2>/dev/null
}

# printed TAG is the digest that seatrial printed for a tag.
printed() {
	sed -n "s|^$REGISTRY/$ACCOUNT/$IMAGE:$1@||p" "$work/pushed"
}

# The kernel chooses the port, and the registry says which it was.
start_registry() {
	local deadline=$((SECONDS + 10))
	cat >"$work/registry.yml" <<-EOF
		version: 0.1
		log: {level: info, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $work/registry}}
		http: {addr: "127.0.0.1:0"}
	EOF
	docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
	registry_pid=$!
	until REGISTRY=$(grep -o 'listening on [0-9.:]*' "$work/registry.log"); do
		if ((SECONDS > deadline)) || ! kill -0 "$registry_pid" 2>/dev/null; then
			cat "$work/registry.log" >&2
			exit 1
		fi
		sleep 0.05
	done
	REGISTRY=${REGISTRY#listening on }
	echo "A registry listens on $REGISTRY."
}

stop_registry() {
	[[ -n $registry_pid ]] || return 0
	kill "$registry_pid" 2>/dev/null || true
	wait "$registry_pid" 2>/dev/null || true
	registry_pid=
}

# A rootless daemon's state belongs to ids that only its user namespace may
# remove.
clean_up() {
	stop_registry
	rm -rf "$work" 2>/dev/null || rootlesskit rm -rf "$work"
}

# processes_of_ours prints the command lines that name our directory.
processes_of_ours() {
	local file words
	for file in /proc/[0-9]*/cmdline; do
		mapfile -d '' -t words 2>/dev/null <"$file" || continue
		[[ ${words[*]} != *"$work"* ]] || echo "${words[*]}"
	done
}

# owners lists the project's files and whose they are.
owners() { find "$project" -printf '%u %g %p\n' | sort; }

prepare() {
	hack/install.sh demo
	if [[ -n ${SEATRIAL_DEMO_BIN-} ]]; then
		PATH=$SEATRIAL_DEMO_BIN:$PATH
	else
		make --no-print-directory build tools
		PATH=$PWD/bin:$PATH
	fi
	PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
	start_registry
	if hack/baseimage.sh hub; then
		echo 'Docker Hub answers: python:3-slim comes from there.'
	else
		echo 'Docker Hub does not answer: python:3-slim is made from the packages'
		echo "of this machine's distribution, and the Dockerfile stays as it is."
		base_flags=(--build-context
			"python:3-slim=docker-image://$(hack/baseimage.sh push "$REGISTRY")")
	fi
	# A daemon of our own, whose cache is empty now and gone afterwards.
	export SEATRIAL_ADDR=private XDG_CACHE_HOME=$work/cache
}

first_run() {
	say '1. Build the image, run its test in it, push it under two tags.'
	show export "REGISTRY=$REGISTRY" "ACCOUNT=$ACCOUNT" "IMAGE=$IMAGE" "TAG=$TAG"
	trial "$project"
	first_took=$took
	digest=$(printed "$TAG")
	expect 'seatrial succeeded' [ "$status" = 0 ]
	expect 'it printed one digest for both tags' \
		[ -n "$digest" -a "$digest" = "$(printed latest)" ]
	((failures == 0)) || exit 1 # there is nothing to look at
}

pull_back() {
	say '2. Pull it back with a client that is not ours.'
	run skopeo copy --quiet --insecure-policy --src-tls-verify=false \
		"docker://$REGISTRY/$ACCOUNT/$IMAGE:$TAG" "oci:$work/pulled:$TAG" || true
	expect 'skopeo got an image' [ -s "$work/pulled/index.json" ]
	expect "$IMAGE:$TAG is the digest that seatrial printed" \
		[ "$(digest_of "$TAG")" = "$digest" ]
	expect "$IMAGE:latest is the digest that seatrial printed" \
		[ "$(digest_of latest)" = "$digest" ]
}

second_run() {
	say '3. Again, with nothing changed.'
	trial "$project"
	second_took=$took
	expect "the same digest: $took instead of $first_took" \
		[ "$status" = 0 -a "$(printed "$TAG")" = "$digest" ]
}

broken_run() {
	say '4. Again, with a bug that the test finds (in a copy of the project).'
	cp -R "$project" "$work/flask"
	run sed -i 's/draught + KEEL_CLEARANCE/draught/' "$work/flask/app.py"
	trial "$work/flask"
	expect 'the exit code is 4: a test failed' [ "$status" = 4 ]
	expect 'nothing was printed on stdout' [ ! -s "$work/pushed" ]
	expect "$IMAGE:$TAG has not moved" [ "$(digest_of "$TAG")" = "$digest" ]
	expect "$IMAGE:latest has not moved" [ "$(digest_of latest)" = "$digest" ]
}

nothing_left() {
	say '5. What is left behind?'
	stop_registry
	expect 'no process' [ -z "$(processes_of_ours)" ]
	expect 'no mount' [ -z "$(grep -F "$work" /proc/self/mountinfo)" ]
	expect "no new file, and nobody else's, in $project" \
		[ "$(owners)" = "$owned_before" ]
}

main() {
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	owned_before=$(owners)
	prepare
	first_run
	pull_back
	second_run
	broken_run
	nothing_left
	if ((failures > 0)); then
		say "$failures of the claims above are not so."
		exit 1
	fi
	say "seatrial built $project, ran its test in the image, and then pushed" \
		"$ACCOUNT/$IMAGE:$TAG and :latest, both $digest, in $first_took from an" \
		"empty cache and in $second_took when nothing had changed. skopeo found" \
		"that digest under both tags. The broken project moved no tag. The" \
		"registry, the daemon, and everything they wrote are gone."
}

main
