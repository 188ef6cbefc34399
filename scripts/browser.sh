#!/bin/sh
# Sees to it that there is a Chromium for the tests of the report (`make test` runs this first). Does nothing where one
# is found; on Debian, as root or with sudo, installs Debian's own; elsewhere says what to do and lets the tests decide.
#
# CODE_OPTIMISE_BROWSER  a browser to take instead
set -eu

if [ -n "${CODE_OPTIMISE_BROWSER:-}" ]; then exit 0; fi
for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Ubuntu's package of that name only fetches a snap, which does not run in containers.
if grep -qs '^ID=debian' /etc/os-release && as_root true 2>/dev/null; then
    echo "+ apt-get install chromium" >&2
    as_root apt-get -qq update
    as_root apt-get -qq install -y --no-install-recommends chromium >/dev/null
else
    printf 'no Chromium: the tests of the report in a browser will fail\n' >&2
    printf '  fix: install chromium or Google Chrome, name one in CODE_OPTIMISE_BROWSER, or SKIP_BROWSER=1\n' >&2
fi
