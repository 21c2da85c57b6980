#!/usr/bin/env bash
# Lints the module with Caddy's linters, and looks over what is not Go: line
# ends, tabs in YAML, and links in Markdown that lead nowhere.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools/make/need.sh go git
tools/make/tool.sh golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint -trimpath -ldflags='-s -w'

echo "== golangci-lint"
bin/golangci-lint run ./...

echo "== texts"
bad=0
complain() {
	echo "$1" >&2
	bad=1
}
while IFS= read -r f; do
	[[ -f "$f" ]] || continue
	if grep -q $'\r' "$f"; then complain "$f: has carriage returns"; fi
	if [[ -s "$f" && -n "$(tail -c 1 "$f")" ]]; then complain "$f: does not end with a line end"; fi
	case "$f" in
	*.yml | *.yaml)
		if grep -q $'\t' "$f"; then complain "$f: has tabs, which YAML does not allow"; fi
		;;
	*.md)
		while IFS= read -r link; do
			target=${link%%#*}
			[[ -z "$target" || "$target" == *://* || "$target" == mailto:* ]] && continue
			[[ -e "$(dirname "$f")/$target" ]] || complain "$f: links to $target, which does not exist"
		done < <(sed -E '/^```/,/^```/d' "$f" | grep -oE '\]\([^) ]+\)' | sed -E 's/^\]\(//; s/\)$//' || true)
		;;
	esac
done < <(git ls-files '*.md' '*.yml' '*.yaml' '*.sh' .ci/run Makefile)
exit "$bad"
