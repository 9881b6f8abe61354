#!/bin/sh
# Installs what is missing, builds, and runs every test suite: once as users build it (the Khronos validation
# layer on), once with AddressSanitizer and UndefinedBehaviorSanitizer (without it). The last line sums up both.
# usage: tests/run.sh [--trixie] [--tsan] [--fast] [--werror] [ARGUMENT...]
#   --trixie    not on this system but on Debian 13, in a chroot (needs root): tests/trixie.sh --help
#   --tsan      neither of these, but once with ThreadSanitizer, the suites of elements, sessions and memory
#   --fast      without the sanitizer build
#   --werror    compiler warnings are errors
#   ARGUMENT    passed to meson test: names of tests, --suite NAME, --verbose ...
set -u
cd "$(dirname "$0")/.." || exit 1

fast=false
werror=false
trixie=false
tsan=false
flags=
while :; do
    case "${1-}" in
        --trixie) trixie=true ;;
        --tsan) tsan=true; flags="$flags --tsan" ;;
        --fast) fast=true; flags="$flags --fast" ;;
        --werror) werror=true; flags="$flags --werror" ;;
        --help) sed -n '2,9s/^# //p' "$0"; exit 0 ;;
        *) break ;;
    esac
    shift
done
if $trixie; then
    # shellcheck disable=SC2086
    exec tests/trixie.sh $flags "$@"
fi

builds=${SHRIKE_BUILDS:-.} # where the build folders are; trixie.sh has the sources read-only
passed=0
failed=0
skipped=0

# A step of the build that fails counts as a failed test, so that nothing can look green.
step() {
    echo "== $*"
    "$@" && return 0
    echo "== failed: $*"
    failed=$((failed + 1))
    return 1
}

# usage: count FILE: prints "passed failed skipped" of a meson testlog.json
count() {
    python3 - "$1" <<'END'
import json, sys
tally = [0, 0, 0]
for line in open(sys.argv[1], encoding="utf-8"):
    result = json.loads(line)["result"]
    tally[{"OK": 0, "EXPECTEDFAIL": 0, "SKIP": 2}.get(result, 1)] += 1
print(*tally)
END
}

# usage: leg BUILD_FOLDER MESON_OPTIONS... -- TEST_ARGUMENTS...
leg() {
    build=$1
    shift
    options="-Dtests=enabled -Dsamples=enabled -Dgst=enabled -Dwerror=$werror"
    while [ "$1" != -- ]; do
        options="$options $1"
        shift
    done
    shift
    # shellcheck disable=SC2086
    if [ -d "$build/meson-private" ]; then
        step meson configure "$build" $options || return
    else
        step meson setup "$build" $options || return
    fi
    step ninja -C "$build" || return
    rm -f "$build/meson-logs/testlog.json"
    echo "== meson test -C $build $*"
    meson test -C "$build" --no-rebuild --print-errorlogs "$@"
    status=$?
    tally=$(count "$build/meson-logs/testlog.json") || tally="0 1 0"
    # shellcheck disable=SC2086
    set -- $tally
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
    # meson may fail without a test that did, as with a name that does not exist
    if [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then
        failed=$((failed + 1))
    fi
}

if step samples/setup.sh --tests; then
    if $tsan; then
        # ThreadSanitizer's code is several times slower
        leg "$builds/build-tsan" -Db_sanitize=thread -Db_lundef=false -- --timeout-multiplier 3 --suite elements \
            --suite pipeline --suite memory "$@"
    else
        leg "$builds/build-tests" -- "$@"
    fi
    if ! $fast && ! $tsan; then
        # The drivers leak at exit and are not built with the sanitizers: support/lsan.supp names them.
        leg "$builds/build-sanitize" -Db_sanitize=address,undefined -Db_lundef=false -- --timeout-multiplier 3 "$@"
    fi
fi

echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
