#!/usr/bin/env bash
# Plays other projects' scenarios against the built program, and fails when one
# that expected.txt lists does not pass. CONFORMANCE_DIR names the folder that
# holds the scenarios and the rig that plays them; without it nothing is run.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -d "${CONFORMANCE_DIR:-}" ]; then
    printf '\n*** SKIPPED: no scenarios of other projects (set CONFORMANCE_DIR) ***\n'
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$CONFORMANCE_DIR/rig/." "$work/src"
go -C "$work/src" build -o "$work/rig" .
go build -tags testclock -o "$work/lastgood" ./cmd/lastgood

# The classes that this version is to cope with; see docs/divergences.md.
classes='^(iter|fwd|fetch|ttl|rrset)/'
sed 's/\s*#.*//; /^$/d' conformance/expected.txt | sort >"$work/expected"
(cd "$CONFORMANCE_DIR" && "$work/rig" -driver lastgood -binary "$work/lastgood" -clockshim yes -fair -retry 2 \
    -from shown.txt -only "$classes" -json scenarios/unbound scenarios/deckard) >"$work/out" 2>"$work/counts" || true
cat "$work/counts"
# What passed, as dialect/name, beside what must.
sed -n 's/.*"result":"PASS","name":"\([^"]*\)".*"style":"\([^"]*\)".*/\2\/\1/p' "$work/out" | sort >"$work/passed"
comm -23 "$work/expected" "$work/passed" >"$work/broken"
comm -13 "$work/expected" "$work/passed" >"$work/news"
[ ! -s "$work/news" ] || { echo 'passes, and is not yet in conformance/expected.txt:'; cat "$work/news"; }
[ ! -s "$work/broken" ] || { echo 'FAILED, and is expected to pass:'; cat "$work/broken"; grep '"result":"FAIL"' "$work/out"; }
printf '%d passed, %d failed\n' "$(wc -l <"$work/passed")" "$(wc -l <"$work/broken")"
[ ! -s "$work/broken" ]
