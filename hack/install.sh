#!/usr/bin/env bash
#
# install.sh [GROUP]... installs the Debian packages that seatrial's tests,
# demo, and linters need, and that are not there yet. It asks nothing, says
# what it installs, and says nothing when nothing is missing.
#
#   test   what `make test` needs (the default); for root also the system
#          user that the rootless daemon is tested as
#   demo   what `make demo` and `make bench` need
#   base   what hack/baseimage.sh needs to make a base image
#   lint   what `make verify` needs
#
# Debian and Ubuntu only. Not root and no passwordless sudo: it prints the
# command to run, and exits with 1.
set -euo pipefail

# The unprivileged user that root's tests run a rootless buildkitd as.
readonly test_user=seatrial-test

# Debian keeps runc and useradd where an ordinary user's PATH does not look.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# wanted GROUP prints a PACKAGE:COMMAND pair for each thing the group needs. A
# command that is already there is left alone, whoever installed it: Debian's
# runc would remove the containerd.io package that brought another one.
wanted() {
	case $1 in
	test) echo runc:runc uidmap:newuidmap docker-registry:docker-registry \
		skopeo:skopeo mmdebstrap:mmdebstrap gpg:gpg curl:curl \
		git:git bzip2:bzip2 xz-utils:xz zstd:zstd busybox-static: ;;
	demo) echo runc:runc uidmap:newuidmap docker-registry:docker-registry \
		skopeo:skopeo curl:curl ;;
	base) echo mmdebstrap:mmdebstrap gpg:gpg uidmap:newuidmap curl:curl ;;
	lint) echo shellcheck:shellcheck ;;
	*)
		echo "install.sh: no group $1: choose from test, demo, base, lint" >&2
		exit 2
		;;
	esac
}

# installed PACKAGE COMMAND succeeds when the command is on PATH, or, for a
# package without one of its own, when the package is installed.
installed() {
	if [[ -n $2 ]]; then
		command -v "$2" >/dev/null
	else
		[[ -e /var/lib/dpkg/info/$1.list || -e /var/lib/dpkg/info/$1:$(dpkg --print-architecture).list ]] &&
			[[ $(dpkg-query -W -f='${db:Status-Status}' "$1") == installed ]]
	fi
}

# missing GROUP... prints the packages to install.
missing() {
	local group entries entry
	for group in "$@"; do
		entries=$(wanted "$group")
		for entry in $entries; do
			installed "${entry%%:*}" "${entry#*:}" || echo "${entry%%:*}"
		done
	done | sort -u
}

# as_root COMMAND... runs it as root, or says what to type and gives up.
as_root() {
	if [[ $(id -u) == 0 ]]; then
		"$@"
	elif sudo -n true 2>/dev/null; then
		sudo -n "$@"
	else
		echo "install.sh: this needs root. Please run:" >&2
		echo "    sudo $*" >&2
		exit 1
	fi
}

apt_install() {
	echo "installing: $*" >&2
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 update >&2
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Acquire::Retries=3 \
		-o Dpkg::Use-Pty=0 --no-install-recommends install "$@" >&2
}

# The package starts a registry on port 5000 as it is installed, and at every
# boot. Nobody asked for that: the unit is masked while the package is set up
# and disabled afterwards. (Without systemd its init script is the same matter.)
apt_install_with_registry() {
	if [[ -d /run/systemd/system ]]; then
		as_root systemctl --quiet mask docker-registry.service
	fi
	apt_install "$@"
	if [[ -d /run/systemd/system ]]; then
		as_root systemctl --quiet unmask docker-registry.service
		as_root systemctl --quiet disable --now docker-registry.service
	elif [[ -x /etc/init.d/docker-registry ]]; then
		as_root /etc/init.d/docker-registry stop >/dev/null 2>&1 || true
		as_root update-rc.d docker-registry disable >/dev/null 2>&1 || true
	fi
}

# first_free_id prints the first id above every range that is given out.
first_free_id() {
	cat /etc/subuid /etc/subgid 2>/dev/null | awk -F: '
		BEGIN { free = 300000 }
		$2 + $3 > free { free = $2 + $3 }
		END { print free }'
}

# add_test_user makes sure that the test user is there and has ids to map.
add_test_user() {
	local first
	if ! id "$test_user" >/dev/null 2>&1; then
		echo "adding the system user $test_user" >&2
		useradd --system --no-create-home --shell /usr/sbin/nologin "$test_user"
	fi
	if ! grep -qs "^$test_user:" /etc/subuid || ! grep -qs "^$test_user:" /etc/subgid; then
		first=$(first_free_id)
		usermod --add-subuids "$first-$((first + 65535))" \
			--add-subgids "$first-$((first + 65535))" "$test_user"
	fi
}

main() {
	local found packages group
	(($# > 0)) || set -- test
	found=$(missing "$@")
	if [[ -n $found ]]; then
		mapfile -t packages <<<"$found"
		if ! command -v apt-get >/dev/null; then
			echo "install.sh: no apt-get here; please install: ${packages[*]}" >&2
			exit 1
		fi
		case " ${packages[*]} " in
		*" docker-registry "*) apt_install_with_registry "${packages[@]}" ;;
		*) apt_install "${packages[@]}" ;;
		esac
	fi
	for group in "$@"; do
		if [[ $group == test && $(id -u) == 0 ]]; then
			add_test_user
		fi
	done
}

main "$@"
