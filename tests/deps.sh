#!/bin/sh
# Install those of the named Debian packages that are missing (make deps).
# As root or by sudo; otherwise says exactly what is needed and ends with 77.
set -u
if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "make deps knows Debian's packages only; needed are: $*" >&2
	exit 77
fi
missing=
for package in "$@"; do
	state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "To be installed:$missing"
run=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "As root, run: apt-get install --no-install-recommends$missing" >&2
		exit 77
	fi
	run=sudo
fi
export DEBIAN_FRONTEND=noninteractive
echo "... apt-get update"
$run apt-get -qq update || true
echo "... apt-get install"
# shellcheck disable=SC2086
if ! $run apt-get -qq -y --no-install-recommends install $missing; then
	echo "As root, run: apt-get install --no-install-recommends$missing" >&2
	exit 77
fi
