#!/bin/sh
# Run a command as root: as we are, or by sudo.  77 when neither can be.
set -u
if [ "$(id -u)" = 0 ]; then
	exec "$@"
fi
if command -v sudo >/dev/null 2>&1; then
	exec sudo -E -- "$@"
fi
echo "This needs root (or sudo), to make a private network namespace:" >&2
echo "    $*" >&2
exit 77
