#!/bin/sh
# Which real servers does the test world play with, and where do they live?
#
# Unpacks unbound, knot, nginx, Postfix, Exim and OpenSMTPD with all they depend
# on into a root of their own, build/peers/root. Nothing is installed, started or changed on
# this machine: apt only resolves and fetches, dpkg-deb only unpacks, and the
# servers run chrooted there, in namespaces of the test world.
#
# Called by `make demo` and tests/run.py before they make a world. Quiet when
# there is nothing to do. Ends with 77 when the packages cannot be had.
#
#   tests/peers.sh [DIR]            DIR is build/peers unless told
set -eu

dir=${1:-build/peers}
want='unbound knot nginx-light postfix openssl iproute2'
# The first two keep each other and Postfix off a machine where they are
# installed: all are resolved one by one, and only unpacked side by side.
beside='exim4-daemon-light opensmtpd dash'
recipe=2			# raise it when what is made below changes

say() { printf 'peers: %s\n' "$*" >&2; }
missing() { say "$*"; exit 77; }

# One line that counts up on a terminal; elsewhere it is kept out of the way.
progress() {
	[ -t 2 ] || return 0
	printf '\r\033[Kpeers: %s' "$*" >&2
}
progress_end() {
	[ -t 2 ] || return 0
	printf '\r\033[K' >&2
}

for tool in apt-get dpkg-deb flock; do
	command -v $tool >/dev/null || missing \
	    "$tool is missing: the servers come from Debian's packages"
done

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
root=$dir/root

# Two builds in one tree wait for each other here.
exec 9>"$dir/lock"
flock 9
if [ "$(cat "$root/.complete" 2>/dev/null)" = "$recipe $want $beside" ]; then
	exit 0
fi

# apt with state and cache of its own. status=/dev/null: nothing counts as
# installed, so the answer is the whole closure, libc included.
apt() {
	apt-get -q \
	    -o Dir::State::status=/dev/null \
	    -o Dir::Cache="$dir/apt/cache" \
	    -o Debug::NoLocking=1 \
	    -o APT::Sandbox::User="$(id -un)" \
	    -o APT::Install-Recommends=0 \
	    "$@"
}
own_lists() {
	apt -o Dir::State::lists="$dir/apt/lists" "$@"
}

fetch() {			# fetch HOW PACKAGE...: download their closure
	how=$1
	shift
	: >"$dir/apt/status"
	$how -y --download-only -o APT::Status-Fd=3 install "$@" \
	    3>"$dir/apt/status" >"$dir/apt/log" 2>&1 &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		percent=$(sed -n 's/^dlstatus:[0-9]*:\([0-9]*\).*/\1/p' \
		    "$dir/apt/status" | tail -1)
		progress "fetching the servers' packages ${percent:-0} %"
		sleep 0.3
	done
	progress_end
	wait $pid
}

fetch_all() {			# fetch_all HOW
	fetch "$1" $want || return 1
	for package in $beside; do
		fetch "$1" $package || return 1
	done
}

say "unbound, knot, nginx, Postfix, Exim and OpenSMTPD go into $root (nothing is installed)"
mkdir -p "$dir/apt/cache/archives/partial" "$dir/apt/lists/partial"
if ! fetch_all apt; then
	say "this machine's package lists do not do; fetching fresh ones"
	own_lists update >"$dir/apt/log" 2>&1 || {
		tail -5 "$dir/apt/log" >&2
		missing "no package lists: is there a way to a Debian mirror?"
	}
	fetch_all own_lists || {
		tail -5 "$dir/apt/log" >&2
		missing "the servers' packages could not be fetched"
	}
fi

rm -rf "$root.new"
mkdir -p "$root.new"
total=$(ls "$dir/apt/cache/archives" | grep -c '\.deb$')
count=0
for deb in "$dir"/apt/cache/archives/*.deb; do
	count=$((count + 1))
	progress "unpacking $count of $total"
	dpkg-deb -x "$deb" "$root.new"
done
progress_end

# What maintainers' scripts would have made: accounts by number, and the
# mount points that the world covers with its own private file systems.
cd "$root.new"
rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/info
mkdir -p dev proc tmp run var/lib var/log var/spool world etc/postfix
cat >etc/passwd <<-'PASSWD'
	root:x:0:0:root:/root:/bin/false
	nobody:x:65534:65534:nobody:/nonexistent:/bin/false
	postfix:x:64101:64101:Postfix:/var/spool/postfix:/bin/false
	knot:x:64102:64102:knot:/var/lib/knot:/bin/false
	unbound:x:64103:64103:unbound:/var/lib/unbound:/bin/false
	www-data:x:64104:64104:nginx:/var/www:/bin/false
	vmail:x:64105:64105:mailboxes:/world:/bin/false
	Debian-exim:x:64107:64107:Exim:/var/spool/exim4:/bin/false
	opensmtpd:x:64108:64108:OpenSMTPD:/run:/bin/false
	opensmtpq:x:64109:64109:OpenSMTPD queue:/run:/bin/false
PASSWD
cat >etc/group <<-'GROUP'
	root:x:0:
	nogroup:x:65534:
	postfix:x:64101:
	postdrop:x:64106:
	knot:x:64102:
	unbound:x:64103:
	www-data:x:64104:
	vmail:x:64105:
	Debian-exim:x:64107:
	opensmtpd:x:64108:
	opensmtpq:x:64109:
GROUP
printf 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\n' \
    >etc/nsswitch.conf
printf 'nameserver 127.0.0.1\n' >etc/resolv.conf
printf '127.0.0.1 localhost\n::1 localhost\n' >etc/hosts
printf '%s' "$recipe $want $beside" >.complete
cd "$dir"

rm -rf "$root"
mv "$root.new" "$root"
rm -rf "$dir/apt"
say "ready, $(du -sm "$root" | cut -f1) MB"
