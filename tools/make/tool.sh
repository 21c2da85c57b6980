#!/usr/bin/env bash
# Builds a tool that has a module of its own, once:
#
#	tool.sh NAME PACKAGE [go build flags]
#
# bin/NAME comes from the module that pins PACKAGE: tools/vault for vault,
# tools/lint for golangci-lint. It is kept while the module's pins, the Go
# version, and the flags are the same.
set -euo pipefail
cd "$(dirname "$0")/../.."

name=$1 package=$2
shift 2
case "$name" in
golangci-lint) dir=tools/lint ;;
*) dir=tools/$name ;;
esac

tools/make/need.sh go
want=$({ cat "$dir/go.mod" "$dir/go.sum"; go env GOVERSION GOOS GOARCH; echo "$package $*"; } | git hash-object --stdin)
stamp=bin/.$name.stamp
if [[ -x bin/$name && -f $stamp && $(<"$stamp") == "$want" ]]; then
	echo "bin/$name is up to date"
	exit 0
fi

mkdir -p bin
echo "building bin/$name from $dir (some minutes the first time; a line per 100 packages)"
rm -f "$stamp"
# -v names each package as it is compiled, on standard error.
go build -C "$dir" -v "$@" -o "../../bin/$name" "$package" 2>&1 |
	awk '/^[a-z0-9.-]+\/|^[a-z]+(\/|$)/ {if (++n % 100 == 0) {printf "  %d packages, now %s\n", n, $1; fflush()} next} {print; fflush()}'
echo "$want" >"$stamp"
echo "built bin/$name"
