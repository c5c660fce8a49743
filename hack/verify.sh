#!/usr/bin/env bash
#
# verify.sh checks what no test does: the shape of the repository, its shell
# scripts, formatting, imports, module files, and the linters' findings. It
# says what it checks, shows all that it finds there, and stops at the first
# check that finds anything.
#
# `make verify` gets bin/golangci-lint and shellcheck first.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly module=github.com/seatrial/seatrial

# files PATTERN... lists the repository's files, new ones too.
files() {
	git ls-files --cached --others --exclude-standard --deduplicate -- "$@" |
		while IFS= read -r file; do [[ ! -e $file ]] || echo "$file"; done
}

# check TITLE FUNCTION runs one group. What it prints is what is wrong.
check() {
	local found rc=0
	printf '%-42s ' "$1"
	found=$("$2" 2>&1) || rc=$?
	if [[ -n $found || $rc != 0 ]]; then
		printf 'FAILED\n%s\n' "$found"
		exit 1
	fi
	echo ok
}

# A new top-level entry is a decision about the design, not a place to put
# things.
top_level() {
	files | cut -d/ -f1 | sort -u |
		grep -v -x -E 'cmd|llb|registry|testsuite|hack|go\.mod|go\.sum|Makefile|README\.md|LICENSE|\..*' || true
}

# The paths of the place that this is built at are nobody else's business.
local_paths() {
	local path
	for path in "$PWD" "$(go env GOMODCACHE)" "$(go env GOPATH)"; do
		[[ $path == /*/* ]] || continue
		files | tr '\n' '\0' | xargs -0 grep -n -I -F "$path/" || true
	done
}

scripts() { files '*.sh' .ci/run; }

shell_syntax() {
	local file
	for file in $(scripts); do
		bash -n "$file"
		[[ -x $file ]] || echo "$file: not executable"
	done
}

shell_lint() {
	local file
	for file in $(scripts); do
		shellcheck "$file" || true
	done
}

formatting() { files '*.go' | grep -v /testdata/ | xargs gofmt -l; }

# refuse FROM PATTERN REASON lists the packages that FROM reaches through any
# number of imports although it must not.
refuse() {
	local found
	[[ -n $(files "${1%/...}/*.go") ]] || return 0
	found=$(go list -deps "./$1" | grep -E "$2" || true)
	[[ -z $found ]] || printf '%s %s, but reaches:\n%s\n' "$1" "$3" "$found"
}

imports() {
	local library
	refuse registry/... '^github.com/moby/buildkit/client(/|$)' 'knows no BuildKit client'
	refuse registry/... "^$module/(llb|testsuite|cmd)(/|$)" 'stands alone'
	refuse llb "^$module/(registry|testsuite|cmd)(/|$)" 'stands alone'
	refuse testsuite/... "^$module/(registry|cmd)(/|$)" 'knows only llb'
	refuse cmd/seatrial '^github.com/Shopify/toxiproxy/' 'makes no faults'
	refuse llb '^github.com/google/go-containerregistry(/|$)' 'does not push'
	refuse testsuite/... '^github.com/google/go-containerregistry(/|$)' 'does not push'
	for library in llb registry/... testsuite/...; do
		refuse "$library" '^github.com/urfave/cli(/|$)' 'has no command line'
	done
}

vet() { go vet ./...; }

# The modules under hack/ are checked by building them: tidying looks at the
# tests of all that they depend on.
modules() {
	local out
	out=$(go mod tidy -diff 2>&1) && return
	echo 'go.mod or go.sum is not tidy, or cannot be compared:'
	grep -v '^go: downloading' <<<"$out" | sed '/^diff current.go.sum/,$d'
}

lint() {
	local out
	out=$(bin/golangci-lint run --config hack/golangci.yml ./... 2>&1) || echo "$out"
}

main() {
	# Where git refuses to list files, every check of files would succeed.
	git ls-files >/dev/null
	check 'only known entries at the top level' top_level
	check "no paths of this machine's in any file" local_paths
	check 'shell scripts: bash -n' shell_syntax
	check 'shell scripts: shellcheck' shell_lint
	check 'gofmt' formatting
	check 'who imports whom' imports
	check 'go vet' vet
	check 'go mod tidy' modules
	check 'golangci-lint' lint
}

main
