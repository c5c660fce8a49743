#!/usr/bin/env bash
#
# baseimage.sh makes a stand-in for Docker Hub's python:3-slim out of the
# distribution's own packages, for places that Docker Hub cannot be reached
# from. PyPI is not there either, so Flask and pytest are in the image already:
# a `pip install -r requirements.txt` that they satisfy downloads nothing.
#
#   hub           succeeds when Docker Hub answers
#   layout        makes the image if need be; prints its OCI layout's directory
#   push HOST     pushes it to HOST/library/python:3-slim; prints that reference
#
# The layout is kept in ${XDG_CACHE_HOME:-~/.cache}/seatrial/baseimage until
# this recipe changes or another one is made. Root or not does not matter; the
# package sources are the machine's own.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here

readonly packages=ca-certificates,python3,python3-pip,python3-setuptools,python3-flask,python3-pytest

# Docker Hub answers 401 to this one; a captive proxy's 403 or 502 is no answer.
hub() {
	local status
	status=$(curl -sS -I -m 3 -o /dev/null -w '%{http_code}' \
		https://registry-1.docker.io/v2/ 2>/dev/null) || return 1
	[[ $status == 401 || $status == 200 ]]
}

# os_release NAME prints one field of what the machine says that it runs.
os_release() {
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${!1}")
}

# recipe_id names the image by all that decides what is in it.
recipe_id() {
	{
		os_release ID
		os_release VERSION_CODENAME
		dpkg --print-architecture
		cat "$here/baseimage.sh" "$here/baseimage/main.go"
	} | sha256sum | cut -c1-12
}

# apt_sources prints the distribution's own entries among the machine's package
# sources, one line each: third parties' packages and keys stay out of it. It
# prints nothing where apt has no package lists yet.
apt_sources() {
	local origin
	origin=$(os_release ID)
	apt-get indextargets --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
		'Identifier: Packages' "Origin: ${origin^}" | sort -u
}

# bootstrap TAR writes the root file system. With no sources given, mmdebstrap
# takes the distribution's public ones.
bootstrap() {
	local sources mirror=()
	sources=$(apt_sources)
	if [[ -n $sources ]]; then
		mirror=(-)
	elif [[ $(os_release ID) == ubuntu ]]; then
		mirror=("--components=main,universe")
	fi
	# shellcheck disable=SC2016 # mmdebstrap's shell expands the hooks' $1
	mmdebstrap --quiet --variant=minbase --include="$packages" \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--customize-hook='ln -s /usr/bin/python3 "$1/usr/local/bin/python"' \
		--customize-hook='ln -s /usr/bin/pip3 "$1/usr/local/bin/pip"' \
		--customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED' \
		--customize-hook='rm -f "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"' \
		--customize-hook='rm -rf "$1/etc/apt/sources.list" "$1/etc/apt/sources.list.d"' \
		--customize-hook='rm -f "$1"/var/log/*.log "$1"/var/log/apt/* "$1"/var/cache/ldconfig/*' \
		"$(os_release VERSION_CODENAME)" - "${mirror[@]}" <<<"$sources" >"$1"
}

# make_layout DIR makes the image and moves it to DIR when it is complete.
make_layout() {
	local parent scratch
	"$here/install.sh" base
	parent=$(dirname "$1")
	mkdir -p "$parent"
	scratch=$(mktemp -d "$parent/.new.XXXXXX")
	# shellcheck disable=SC2064 # the directory as it is called now
	trap "rm -rf '$scratch'" EXIT
	echo "making a python:3-slim of this machine's packages (a minute, once)" >&2
	bootstrap "$scratch/rootfs.tar"
	(cd "$here/.." && go run ./hack/baseimage "$scratch/rootfs.tar" "$scratch/layout")
	find "$parent" -mindepth 1 -maxdepth 1 -name 'python-3-slim-*' -exec rm -rf {} +
	# Somebody else may have made the same image meanwhile.
	mv -T "$scratch/layout" "$1" || [[ -e $1/index.json ]]
	rm -rf "$scratch"
	trap - EXIT
}

layout() {
	local dir
	dir=${XDG_CACHE_HOME:-$HOME/.cache}/seatrial/baseimage/python-3-slim-$(recipe_id)
	[[ -e $dir/index.json ]] || make_layout "$dir"
	echo "$dir"
}

push() {
	local dir reference=$1/library/python:3-slim
	dir=$(layout)
	skopeo copy --quiet --insecure-policy --dest-tls-verify=false \
		"oci:$dir:latest" "docker://$reference" >&2
	echo "$reference"
}

case ${1-} in
hub | layout) "$1" ;;
push) push "${2:?baseimage.sh push needs a HOST}" ;;
*)
	echo "usage: baseimage.sh hub | layout | push HOST" >&2
	exit 2
	;;
esac
