#!/usr/bin/env bash
# Plays other projects' scenarios against the built program. Each must either
# pass, or be named in waiting.txt (what this version does not do yet), or be
# explained by its name in docs/divergences.md; those of expected.txt must pass.
# CONFORMANCE_DIR names the folder that holds the scenarios and the rig that
# plays them; without it nothing is run.
set -euo pipefail

if [ ! -d "${CONFORMANCE_DIR:-}" ]; then
    printf '\n*** SKIPPED: no scenarios of other projects (set CONFORMANCE_DIR to the folder that has them) ***\n'
    exit 0
fi
CONFORMANCE_DIR=$(cd "$CONFORMANCE_DIR" && pwd)
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$CONFORMANCE_DIR/rig/." "$work/src"
go -C "$work/src" build -o "$work/rig" .
go build -tags testclock -o "$work/lastgood" ./cmd/lastgood
# No scenario shall find the snapshot that another one left, nor its own from
# the try before.
mkdir "$work/state"
printf '#!/bin/sh\nXDG_STATE_HOME=$(mktemp -d "%s/XXXXXX") exec "%s" "$@"\n' "$work/state" "$work/lastgood" >"$work/apart"
chmod +x "$work/apart"

awk -F '\t' '!/^#/ { print $1 }' "$CONFORMANCE_DIR/shown.txt" | sort >"$work/list"
(cd "$CONFORMANCE_DIR" && "$work/rig" -driver lastgood -binary "$work/apart" -clockshim yes -fair -retry 2 \
    -from "$work/list" -json scenarios/unbound scenarios/deckard) >"$work/out" 2>"$work/counts" || true
cat "$work/counts"

# Lists of dialect/name: what passed, what must, what waits, what is explained.
sed -n 's/.*"result":"PASS","name":"\([^"]*\)".*"style":"\([^"]*\)".*/\2\/\1/p' "$work/out" | sort >"$work/passed"
names() { sed 's/\s*#.*//; /^\s*$/d' "$1" | awk '{ print $1 }' | sort; }
names conformance/expected.txt >"$work/expected"
names conformance/waiting.txt >"$work/waiting"
grep -oE '`(unbound|deckard)/[A-Za-z0-9_]+`' docs/divergences.md | tr -d '`' | sort -u >"$work/explained"
sort -u "$work/expected" "$work/waiting" "$work/explained" >"$work/known"

failed=0
tell() { # tell FILE WORDS: show a list unless it is empty
    [ ! -s "$1" ] || { printf '%s:\n' "$2"; sed 's/^/    /' "$1"; }
}
must() { # must FILE WORDS: the same, and it must be empty
    [ ! -s "$1" ] || { tell "$1" "FAILED, $2"; failed=1; }
}
# What the list does not have is no longer there to be played.
comm -23 "$work/known" "$work/list" >"$work/gone"
comm -23 "$work/expected" "$work/passed" | comm -12 - "$work/list" >"$work/broken"
comm -23 "$work/list" "$work/passed" | comm -23 - "$work/known" >"$work/unexplained"
comm -12 "$work/waiting" "$work/passed" >"$work/arrived"
comm -12 "$work/explained" "$work/passed" >"$work/converged"
comm -13 "$work/known" "$work/passed" >"$work/news"
must "$work/broken" 'and is expected to pass'
must "$work/unexplained" 'and neither conformance/waiting.txt nor docs/divergences.md says why'
tell "$work/arrived" 'passes, and need not wait any longer in conformance/waiting.txt'
tell "$work/converged" 'passes, and docs/divergences.md says that it does not'
tell "$work/news" 'passes, and is not yet in conformance/expected.txt'
tell "$work/gone" 'is named in a list, and is not among the scenarios'
cat "$work/broken" "$work/unexplained" | while IFS=/ read -r style name; do
    grep "\"name\":\"$name\".*\"style\":\"$style\"" "$work/out" || echo "$style/$name was not played"
done
printf '%d scenarios: %d passed, %d wait, %d explained, %d broken or unexplained\n' "$(wc -l <"$work/list")" \
    "$(wc -l <"$work/passed")" "$(comm -23 "$work/waiting" "$work/passed" | wc -l)" \
    "$(comm -23 "$work/explained" "$work/passed" | wc -l)" "$(cat "$work/broken" "$work/unexplained" | wc -l)"
exit $failed
