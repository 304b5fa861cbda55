#!/bin/sh
# make install: programs, man pages, sample configuration, service and the two
# accounts.  A sendmail that another package owns is never overwritten; the
# line that diverts it is printed instead.
set -eu
: "${PREFIX:=/usr/local}" "${DESTDIR:=}" "${B:=build}"
root=$DESTDIR$PREFIX

install -d "$root/sbin" "$root/bin" "$root/libexec/culver" \
	"$root/share/man/man5" "$root/share/man/man7" "$root/share/man/man8" \
	"$DESTDIR/etc/culver" "$DESTDIR/lib/systemd/system"
install -m 755 "$B/bin/culverd" "$B/bin/culverctl" "$root/sbin/"
for program in "$B"/libexec/culver-*; do
	install -m 755 "$program" "$root/libexec/culver/"
done
for page in man/*.[578]; do
	case $page in
	man/sendmail.8)	# would hide another package's page
		to=culver-sendmail.8 ;;
	*)	to=$(basename "$page") ;;
	esac
	install -m 644 "$page" "$root/share/man/man${page##*.}/$to"
done
if [ -e "$DESTDIR/etc/culver/culver.conf" ]; then
	install -m 644 conf/culver.conf "$DESTDIR/etc/culver/culver.conf.sample"
	echo "Kept $DESTDIR/etc/culver/culver.conf; the new sample is beside it."
else
	install -m 644 conf/culver.conf "$DESTDIR/etc/culver/culver.conf"
fi
sed "s,@PREFIX@,$PREFIX,g" conf/culver.service \
	>"$DESTDIR/lib/systemd/system/culver.service"
chmod 644 "$DESTDIR/lib/systemd/system/culver.service"

# Is this file culver's sendmail: no package's, and it names our configuration?
is_ours() {
	! dpkg -S "$1" >/dev/null 2>&1 &&
		grep -qa '/etc/culver/culver\.conf' "$1" 2>/dev/null &&
		grep -qa 'sendmail: ' "$1" 2>/dev/null
}

# Put sendmail at $1 as $2 says (copy or link), unless another's is there.
# False when it is not ours afterwards.
sendmail_at() {
	at=$DESTDIR$1
	if [ -e "$at" ] || [ -L "$at" ]; then
		if ! is_ours "$at"; then
			echo "Not overwritten: $at is another program's. To make room:"
			echo "    dpkg-divert --local --rename --add $1"
			echo "and run make install again."
			return 1
		fi
		rm -f "$at"
	fi
	if [ "$2" = copy ]; then
		install -m 755 "$B/bin/sendmail" "$at"
	else
		install -d "$(dirname "$at")"
		ln -s "$2" "$at"
	fi
}
# The well-known places are links to ours, so only where ours could be put.
if sendmail_at "$PREFIX/sbin/sendmail" copy; then
	if [ "$PREFIX" = /usr ]; then
		sendmail_at /usr/lib/sendmail ../sbin/sendmail || :
	elif [ -z "$DESTDIR" ]; then
		sendmail_at /usr/sbin/sendmail "$PREFIX/sbin/sendmail" &&
			sendmail_at /usr/lib/sendmail ../sbin/sendmail || :
	fi
fi
if [ ! -e "$root/bin/mailq" ] && [ ! -L "$root/bin/mailq" ]; then
	ln -s ../sbin/sendmail "$root/bin/mailq"
fi

# Accounts belong to the machine, not to a package being put together.
[ -z "$DESTDIR" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo 'Not root: the accounts culver and culver-net were not made.'
	exit 0
fi
for account in culver culver-net; do
	getent passwd "$account" >/dev/null 2>&1 || useradd --system \
		--user-group --no-create-home --home-dir /nonexistent \
		--shell /usr/sbin/nologin "$account"
done
install -d -o culver -g culver -m 755 /var/spool/culver
