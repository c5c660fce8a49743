#!/bin/sh
# Stands in for compilers and package managers: it leaves files where they would,
# made from the files that they would read.
set -eu
me=$(basename "$0")

# output OPTION ARG... prints the value of the option.
output() {
	option=$1 last=
	shift
	for arg; do
		[ "$last" != "$option" ] || { echo "$arg"; return; }
		last=$arg
	done
}

# sources PATTERN... prints a checksum of the files called so.
sources() {
	find . -xdev -type f -name "$1" | sort | xargs sha256sum 2>/dev/null || true
}

# program FILE makes a file that runs.
program() {
	mkdir -p "$(dirname "$1")"
	printf '#!/bin/sh\necho %s\n' "$me" >"$1"
	sources '*' | sha256sum >>"$1.sum"
	chmod 755 "$1"
}

case "$me $*" in
"go mod download"*)
	mkdir -p "${GOMODCACHE:-/go/pkg/mod}" && sha256sum go.mod >"${GOMODCACHE:-/go/pkg/mod}/list" ;;
"go test"* | "go vet"* | "go generate"* | "cargo test"* | "mvn test"*)
	sources '*' ;;
"go build"* | "gcc "*)
	program "$(output -o "$@")" ;;
"npm ci"* | "npm install"* | "pnpm install"*)
	mkdir -p node_modules/left-pad && cp package.json node_modules/left-pad/ ;;
"npm run build"* | "pnpm build"*)
	mkdir -p dist && cp -r src/. dist/ && echo built >dist/.stamp ;;
"pip install"* | "uv sync"* | "uv pip"*)
	dir=${VIRTUAL_ENV:-/usr/local}/lib/python3/site-packages
	mkdir -p "$dir" && sources '*.txt' >"$dir/installed" ;;
"python3 -m venv "* | "python -m venv "*)
	mkdir -p "$3/bin" && ln -sf /usr/local/bin/python3 "$3/bin/python" ;;
"mvn "*"dependency:go-offline"*)
	mkdir -p ~/.m2 && sha256sum pom.xml >~/.m2/list ;;
"mvn "*)
	mkdir -p target && sources '*.java' >target/app.jar ;;
"gradle "*)
	mkdir -p build/libs && sources '*.java' >build/libs/app.jar ;;
"cargo build"*)
	program target/release/app ;;
"dotnet publish"*)
	program "$(output -o "$@")/app.dll" ;;
"composer install"*)
	mkdir -p vendor && cp composer.json vendor/ ;;
"bundle install"*)
	mkdir -p /usr/local/bundle && cp Gemfile /usr/local/bundle/ ;;
"make install"*)
	program "${DESTDIR:-}/usr/bin/app" ;;
"make"*)
	program ./app ;;
"apt-get update"*)
	mkdir -p /var/lib/apt/lists && echo lists >/var/lib/apt/lists/main ;;
"apt-get install"* | "apk add"*)
	mkdir -p /var/lib/packages
	for arg; do
		case $arg in -* | add | install) ;; *) echo "$me" >"/var/lib/packages/$arg" ;; esac
	done ;;
"useradd "* | "adduser "*)
	for arg; do name=$arg; done
	echo "$name:x:1001:1001::/home/$name:/bin/sh" >>/etc/passwd && mkdir -p "/home/$name" ;;
"groupadd "* | "addgroup "*)
	for arg; do name=$arg; done
	echo "$name:x:1001:" >>/etc/group ;;
*)
	echo "$me $*" ;;
esac
