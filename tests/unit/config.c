/*
 * conf/config.c and the files split off it, configfile.c, words.c, hostname.c:
 * the keyword table, the file, defaults, and that what is printed is taken
 * again.
 *
 * config.c itself is included, so that every row of its table can be tried.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/config.c"
#include "conf/configwhole.c"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* What was printed of one keyword, values joined by "|". */
struct printed {
	const char	*keyword;
	struct buffer	 values;
};

static void
gather(void *context, const char *keyword, const char *value)
{
	struct printed *printed = context;

	if (printed->keyword != NULL && strcmp(printed->keyword, keyword) != 0)
		return;
	if (printed->values.len > 0)
		buffer_add(&printed->values, SLICE("|"));
	if (printed->keyword == NULL)
		buffer_printf(&printed->values, "%s ", keyword);
	buffer_add(&printed->values, slice_of(value));
}

static char *
printed_of(const struct config *config, const char *keyword)
{
	struct printed printed = { .keyword = keyword };

	buffer_add(&printed.values, SLICE(""));
	config_each(config, gather, &printed);
	return printed.values.text;
}

/* ---- single settings ---- */

struct setting {
	const char	*keyword, *value;
	const char	*expected;	/* printed; NULL: refused */
	const char	*says;		/* of a refusal: part of the error */
};

#define TEXT_OF_20	"aaaaaaaaaaaaaaaaaaaa"
#define TEXT_OF_200	TEXT_OF_20 TEXT_OF_20 TEXT_OF_20 TEXT_OF_20 \
			TEXT_OF_20 TEXT_OF_20 TEXT_OF_20 TEXT_OF_20 \
			TEXT_OF_20 TEXT_OF_20
#define LABEL_OF_63	TEXT_OF_20 TEXT_OF_20 TEXT_OF_20 "aaa"

static const struct setting settings[] = {
	/* hostname */
	{ "hostname", "mx.example.org", "mx.example.org", NULL },
	{ "hostname", "MX.Example.ORG", "mx.example.org", NULL },
	{ "hostname", "mx.example.org.", "mx.example.org", NULL },
	{ "hostname", "\"mx.example.org\"", "mx.example.org", NULL },
	{ "hostname", "mx.example.org # ours", "mx.example.org", NULL },
	{ "hostname", "mx", "mx", NULL },
	{ "hostname", "xn--mller-kva.example", "xn--mller-kva.example", NULL },
	{ "hostname", "m\xc3\xbcller.example", NULL, "xn--" },
	{ "hostname", "[192.0.2.1]", NULL, "is no domain name" },
	{ "hostname", "mx..example", NULL, "is no domain name" },
	{ "hostname", "-mx.example", NULL, "is no domain name" },
	{ "hostname", "mx example", NULL, "is not understood" },
	{ "hostname", "", NULL, "accepted: the full name" },
	{ "hostname", "\"\"", NULL, "is no domain name" },
	/* mail-domain */
	{ "mail-domain", "example.org", "example.org", NULL },
	{ "mail-domain", "a b", NULL, "accepted: a domain" },
	{ "mail-domain", "@example.org", NULL, "is no domain name" },
	/* local-domain */
	{ "local-domain", "a.example b.example", "a.example|b.example", NULL },
	{ "local-domain", "a.example A.EXAMPLE", "a.example", NULL },
	{ "local-domain", "localhost", "localhost", NULL },
	{ "local-domain", "a.example b@c", NULL, "is no domain name" },
	{ "local-domain", "", NULL, "accepted: domains" },
	/* root-mail */
	{ "root-mail", "admin@example.org", "admin@example.org", NULL },
	{ "root-mail", "Admin@EXAMPLE.org", "Admin@example.org", NULL },
	{ "root-mail", "admin", NULL, "is no full address" },
	{ "root-mail", "postmaster", NULL, "is no full address" },
	{ "root-mail", "<admin@example.org>", NULL, "is no full address" },
	{ "root-mail", "a@b c@d", NULL, "accepted: an address" },
	{ "root-mail", "\"\\\"a b\\\"@example.org\"",
	  "\"\\\"a b\\\"@example.org\"", NULL },
	/* local */
	{ "local", "none", "none", NULL },
	{ "local", "mbox", NULL, "is not built yet" },
	{ "local", "lmtp:/run/dovecot/lmtp", NULL, "is not built yet" },
	{ "local", "maildir", NULL, "accepted: none" },
	{ "local", "", NULL, "accepted: none" },
	/* listen */
	{ "listen", "127.0.0.1:25", "127.0.0.1:25", NULL },
	{ "listen", "127.0.0.1:25 plain", "127.0.0.1:25", NULL },
	{ "listen", "[::1]:25", "[::1]:25", NULL },
	{ "listen", "[0:0:0:0:0:0:0:1]:25", "[::1]:25", NULL },
	{ "listen", "0.0.0.0:2525", "0.0.0.0:2525", NULL },
	{ "listen", "[::]:65535", "[::]:65535", NULL },
	{ "listen", "127.0.0.1:0", NULL, "accepted: ADDR:PORT" },
	{ "listen", "127.0.0.1:65536", NULL, "accepted: ADDR:PORT" },
	{ "listen", "127.0.0.1", NULL, "accepted: ADDR:PORT" },
	{ "listen", "127.0.0.1:", NULL, "accepted: ADDR:PORT" },
	{ "listen", "127.0.0.1:25x", NULL, "accepted: ADDR:PORT" },
	{ "listen", "127.0.0.1:+25", NULL, "accepted: ADDR:PORT" },
	{ "listen", "::1:25", NULL, "accepted: ADDR:PORT" },
	{ "listen", "[::1]", NULL, "accepted: ADDR:PORT" },
	{ "listen", "[::1:25", NULL, "accepted: ADDR:PORT" },
	{ "listen", "[127.0.0.1]:25", NULL, "accepted: ADDR:PORT" },
	{ "listen", "localhost:25", NULL, "accepted: ADDR:PORT" },
	{ "listen", ":25", NULL, "accepted: ADDR:PORT" },
	{ "listen", "25", NULL, "accepted: ADDR:PORT" },
	{ "listen", "", NULL, "accepted: ADDR:PORT" },
	{ "listen", "127.0.0.1:25 starttls", NULL, "not built yet" },
	{ "listen", "127.0.0.1:465 tls", NULL, "not built yet" },
	{ "listen", "127.0.0.1:587 submission", NULL, "not built yet" },
	{ "listen", "127.0.0.1:587 plain submission", NULL, "not built yet" },
	{ "listen", "127.0.0.1:25 ssl", NULL, "is not understood" },
	{ "listen", "127.0.0.1:25 plain plain", NULL, "is not understood" },
	/* submit-socket, control, spool, ca-file: paths */
	{ "submit-socket", "/run/x/submit", "/run/x/submit", NULL },
	{ "submit-socket", "\"/run/a b\"", "\"/run/a b\"", NULL },
	{ "submit-socket", "\"/run/a\\\"b\\\\c\"", "\"/run/a\\\"b\\\\c\"",
	  NULL },
	{ "submit-socket", "/run/a#b", "\"/run/a#b\"", NULL },
	{ "submit-socket", "run/submit", NULL, "is not an absolute path" },
	{ "submit-socket", "", NULL, "accepted: an absolute path" },
	{ "submit-socket", "/a /b", NULL, "accepted: an absolute path" },
	{ "submit-socket", "\"/a", NULL, "a quote is not closed" },
	{ "control", "/run/x/control", "/run/x/control", NULL },
	{ "control", "control", NULL, "is not an absolute path" },
	{ "spool", "/srv/spool", "/srv/spool", NULL },
	{ "spool", "spool", NULL, "is not an absolute path" },
	{ "ca-file", "/etc/ssl/ca.pem", "/etc/ssl/ca.pem", NULL },
	{ "ca-file", "ca.pem", NULL, "is not an absolute path" },
	/* relay-from */
	{ "relay-from", "192.0.2.0/24", "192.0.2.0/24", NULL },
	{ "relay-from", "192.0.2.1", "192.0.2.1/32", NULL },
	{ "relay-from", "::1/128 10.0.0.0/8", "::1/128|10.0.0.0/8", NULL },
	{ "relay-from", "2001:db8::/32", "2001:db8::/32", NULL },
	{ "relay-from", "0.0.0.0/0", "0.0.0.0/0", NULL },
	{ "relay-from", "192.0.2.0/33", NULL, "is no network" },
	{ "relay-from", "192.0.2.0/", NULL, "is no network" },
	{ "relay-from", "::/129", NULL, "is no network" },
	{ "relay-from", "localhost", NULL, "is no network" },
	{ "relay-from", "", NULL, "accepted: networks" },
	/* max-message-size */
	{ "max-message-size", "50M", "50M", NULL },
	{ "max-message-size", "64K", "64K", NULL },
	{ "max-message-size", "65536", "64K", NULL },
	{ "max-message-size", "65535", NULL, "is too little" },
	{ "max-message-size", "63K", NULL, "RFC 5321 4.5.3.1.7" },
	{ "max-message-size", "0", NULL, "is too little" },
	{ "max-message-size", "100000", "100000", NULL },
	{ "max-message-size", "1024K", "1M", NULL },
	{ "max-message-size", "1T", "1T", NULL },
	{ "max-message-size", "2T", NULL, "is too much" },
	{ "max-message-size", "1G", "1G", NULL },
	{ "max-message-size", "50m", NULL, "is not understood" },
	{ "max-message-size", "50 M", NULL, "is not understood" },
	{ "max-message-size", "50MB", NULL, "is not understood" },
	{ "max-message-size", "-1", NULL, "is not understood" },
	{ "max-message-size", "1.5M", NULL, "is not understood" },
	{ "max-message-size", "M", NULL, "is not understood" },
	{ "max-message-size", "18446744073709551616", NULL,
	  "is not understood" },
	{ "max-message-size", "18446744073709551615", NULL, "is too much" },
	{ "max-message-size", "16777216T", NULL, "is not understood" },
	{ "max-message-size", "0x100000", NULL, "is not understood" },
	/* max-recipients */
	{ "max-recipients", "1000", "1000", NULL },
	{ "max-recipients", "100", "100", NULL },
	{ "max-recipients", "99", NULL, "RFC 5321 4.5.3.1.8" },
	{ "max-recipients", "0", NULL, "is too little" },
	{ "max-recipients", "100000", "100000", NULL },
	{ "max-recipients", "100001", NULL, "is too much" },
	{ "max-recipients", "4294967296", NULL, "is too much" },
	{ "max-recipients", "abc", NULL, "accepted: a number from 100" },
	{ "max-recipients", "1k", NULL, "is not understood" },
	{ "max-recipients", "", NULL, "is not understood" },
	{ "max-recipients", "100 200", NULL, "is not understood" },
	/* the other numbers */
	{ "max-connections", "1", "1", NULL },
	{ "max-connections", "0", NULL, "is too little" },
	{ "max-connections", "1000001", NULL, "is too much" },
	{ "max-connections-per-client", "50", "50", NULL },
	{ "max-connections-per-client", "0", NULL, "is too little" },
	{ "workers", "0", "0", NULL },
	{ "workers", "200", "200", NULL },
	{ "workers", "10001", NULL, "is too much" },
	{ "per-domain", "1", "1", NULL },
	{ "per-domain", "0", NULL, "is too little" },
	{ "per-host", "10", "10", NULL },
	{ "per-host", "0", NULL, "is too little" },
	{ "per-host", "ten", NULL, "is not understood" },
	/* min-free */
	{ "min-free", "64M", "64M", NULL },
	{ "min-free", "0", "0", NULL },
	{ "min-free", "1", "1", NULL },
	{ "min-free", "no", NULL, "accepted: a size" },
	/* bind */
	{ "bind", "192.0.2.1", "192.0.2.1", NULL },
	{ "bind", "192.0.2.1 2001:db8::1", "192.0.2.1 2001:db8::1", NULL },
	{ "bind", "192.0.2.1:25", NULL, "is no address" },
	{ "bind", "[2001:db8::1]", NULL, "is no address" },
	{ "bind", "", NULL, "accepted: addresses" },
	/* ip */
	{ "ip", "both", "both", NULL },
	{ "ip", "4", "4", NULL },
	{ "ip", "6", "6", NULL },
	{ "ip", "5", NULL, "accepted: both, 4 or 6" },
	{ "ip", "46", NULL, "accepted: both, 4 or 6" },
	{ "ip", "4 6", NULL, "accepted: both, 4 or 6" },
	{ "ip", "BOTH", NULL, "accepted: both, 4 or 6" },
	/* resolver */
	{ "resolver", "127.0.0.1", "127.0.0.1:53", NULL },
	{ "resolver", "127.0.0.1:5353", "127.0.0.1:5353", NULL },
	{ "resolver", "::1", "[::1]:53", NULL },
	{ "resolver", "[::1]", "[::1]:53", NULL },
	{ "resolver", "[::1]:5353", "[::1]:5353", NULL },
	{ "resolver", "127.0.0.1 [::1]:54 2001:db8::53",
	  "127.0.0.1:53 [::1]:54 [2001:db8::53]:53", NULL },
	{ "resolver", "localhost", NULL, "is not understood" },
	{ "resolver", "127.0.0.1:0", NULL, "is not understood" },
	{ "resolver", "127.0.0.1:", NULL, "is not understood" },
	{ "resolver", "[::1]53", NULL, "is not understood" },
	{ "resolver", "", NULL, "accepted: ADDR" },
	{ "resolver", "1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 "
	  "1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 "
	  "1.1.1.1 1.1.1.1 1.1.1.1", NULL, "has too many addresses" },
	/* trust-resolver */
	{ "trust-resolver", "auto", "auto .", NULL },
	{ "trust-resolver", "auto .", "auto .", NULL },
	{ "trust-resolver", "yes", "yes .", NULL },
	{ "trust-resolver", "no", "no .", NULL },
	{ "trust-resolver", "auto signed.example", "auto signed.example",
	  NULL },
	{ "trust-resolver", "yes signed.example bogus.example",
	  "yes signed.example bogus.example", NULL },
	{ "trust-resolver", "auto . bogus.example", "auto . bogus.example",
	  NULL },
	{ "trust-resolver", "maybe", NULL, "accepted: yes, no or auto" },
	{ "trust-resolver", "auto a b c", NULL, "accepted: yes, no or auto" },
	{ "trust-resolver", "auto a@b", NULL, "is no domain name" },
	{ "trust-resolver", "auto . .", NULL, "is no domain name" },
	{ "trust-resolver", "", NULL, "accepted: yes, no or auto" },
	/* mta-sts */
	{ "mta-sts", "enforce", "enforce", NULL },
	{ "mta-sts", "off", "off", NULL },
	{ "mta-sts", "report", "report", NULL },
	{ "mta-sts", "testing", NULL, "accepted: enforce, report or off" },
	/* dane */
	{ "dane", "enforce", "enforce", NULL },
	{ "dane", "off", "off", NULL },
	{ "dane", "report", NULL, "accepted: enforce or off" },
	{ "dane", "", NULL, "accepted: enforce or off" },
	/* tls-required */
	{ "tls-required", "example.org", "example.org", NULL },
	{ "tls-required", "Example.org. .Example.NET",
	  "example.org|.example.net", NULL },
	{ "tls-required", "a.example .a.example A.example",
	  "a.example|.a.example", NULL },
	{ "tls-required", "b\xc3\xbc" "cher.example", NULL, "xn--" },
	{ "tls-required", ".b\xc3\xbc" "cher.example", NULL, "xn--" },
	{ "tls-required", "*.example.org", NULL, "is no domain name" },
	{ "tls-required", "..example.org", NULL, "is no domain name" },
	{ "tls-required", ".", NULL, "is no domain name" },
	{ "tls-required", "[192.0.2.1]", NULL, "is no domain name" },
	{ "tls-required", "192.0.2.1", NULL, "is an address, no domain name; "
	  "accepted: domains" },
	{ "tls-required", "2001:db8::1", NULL, "is an address" },
	{ "tls-required", "yes", NULL, "names no domain; accepted: domains" },
	{ "tls-required", "a.example No", NULL, "names no domain" },
	{ "tls-required", "on", NULL, "names no domain" },
	{ "tls-required", "off", NULL, "names no domain" },
	{ "tls-required", ".192.0.2.1", NULL, "is an address" },
	{ "tls-required", "user@example.org", NULL, "is no domain name" },
	{ "tls-required", "", NULL, "accepted: domains" },
	/* exempt */
	{ "exempt", "Example.org until 2026-12-31 because \"their "
	  "certificate ended\"", "example.org until 2026-12-31 because "
	  "\"their certificate ended\"", NULL },
	{ "exempt", "a.example until 2028-02-29 because x",
	  "a.example until 2028-02-29 because x", NULL },
	{ "exempt", "a.example until 1970-01-01 because x",
	  "a.example until 1970-01-01 because x", NULL },
	{ "exempt", "a.example until 9999-12-31 because \"S\xc3\xb6hne\"",
	  "a.example until 9999-12-31 because S\xc3\xb6hne", NULL },
	{ "exempt", "b\xc3\xbc" "cher.example until 2026-12-31 because x",
	  NULL, "xn--" },
	{ "exempt", ".example.org until 2026-12-31 because x", NULL,
	  "is no domain name" },
	{ "exempt", "192.0.2.1 until 2026-12-31 because x", NULL,
	  "is an address, no domain name" },
	{ "exempt", "a.example", NULL, "gives no end" },
	{ "exempt", "a.example until", NULL, "gives no end" },
	{ "exempt", "a.example because x", NULL, "gives no end" },
	{ "exempt", "a.example till 2026-12-31 because x", NULL,
	  "gives no end" },
	{ "exempt", "a.example until 2026-12-31", NULL, "gives no reason" },
	{ "exempt", "a.example until 2026-12-31 because", NULL,
	  "gives no reason" },
	{ "exempt", "a.example until 2026-12-31 because two words", NULL,
	  "gives no reason" },
	{ "exempt", "a.example until 2026-12-31 for x", NULL,
	  "gives no reason" },
	{ "exempt", "a.example until 2026-12-31 because \"\"", NULL,
	  "gives no reason" },
	{ "exempt", "a.example until 2026-12-31 because " TEXT_OF_200 "x",
	  NULL, "is too long" },
	{ "exempt", "a.example until 2026-12-31 because \xff", NULL,
	  "no text in UTF-8" },
	{ "exempt", "a.example until 2026-13-01 because x", NULL,
	  "ends at no day" },
	{ "exempt", "a.example until 2026-00-01 because x", NULL,
	  "ends at no day" },
	{ "exempt", "a.example until 2026-06-31 because x", NULL,
	  "ends at no day" },
	{ "exempt", "a.example until 2027-02-29 because x", NULL,
	  "ends at no day" },
	{ "exempt", "a.example until 2026-06-00 because x", NULL,
	  "ends at no day" },
	{ "exempt", "a.example until 2026-6-1 because x", NULL,
	  "ends at no day" },
	{ "exempt", "a.example until 26-06-01 because x", NULL,
	  "ends at no day" },
	{ "exempt", "a.example until 1969-12-31 because x", NULL,
	  "ends at no day" },
	{ "exempt", "a.example until 2026-06-01T00:00 because x", NULL,
	  "ends at no day" },
	{ "exempt", "a.example until tomorrow because x", NULL,
	  "ends at no day" },
	{ "exempt", "", NULL, "accepted: DOMAIN until YYYY-MM-DD" },
	/* relayhost (tests/unit/relayhost.c has the URLs) */
	{ "relayhost", "SMTP://MX.Example.org:25", "smtp://mx.example.org",
	  NULL },
	{ "relayhost", "smtp://mx.example.org:2525",
	  "smtp://mx.example.org:2525", NULL },
	{ "relayhost", "submission://[smtp.example.org]:587",
	  "submission://[smtp.example.org]", NULL },
	{ "relayhost", "smtps://[192.0.2.1]", "smtps://[192.0.2.1]", NULL },
	{ "relayhost", "smtp://a.example for=.B.example sender=*@C.example",
	  "smtp://a.example sender=@c.example for=.b.example", NULL },
	{ "relayhost", "smtp://a.example sender=Me@C.example",
	  "smtp://a.example sender=Me@c.example", NULL },
	{ "relayhost", "smtp://a.example \"sender=\\\"a b\\\"@c.example\"",
	  "smtp://a.example \"sender=\\\"a b\\\"@c.example\"", NULL },
	{ "relayhost", "smtp://a.example sender=<>",
	  "smtp://a.example sender=<>", NULL },
	{ "relayhost", "a.example", NULL, "begins with none of" },
	{ "relayhost", "smtp+tls://a.example", NULL,
	  "which tls-required makes of smtp://" },
	{ "relayhost", "[a.example]:25", NULL, "begins with none of" },
	{ "relayhost", "lmtp://a.example", NULL, "begins with none of" },
	{ "relayhost", "submission://me@a.example", NULL, "not yet" },
	{ "relayhost", "smtp://b\xc3\xbc" "cher.example", NULL, "xn--" },
	{ "relayhost", "smtp://a.example for=b\xc3\xbc" "cher.example", NULL,
	  "xn--" },
	{ "relayhost", "smtp://a.example sender=@b\xc3\xbc" "cher.example",
	  NULL, "xn--" },
	{ "relayhost", "smtp://a.example:0", NULL, "port from 1 to 65535" },
	{ "relayhost", "smtp://", NULL, "names no host" },
	{ "relayhost", "smtp://a.example for=b.example for=c.example", NULL,
	  "is not understood" },
	{ "relayhost", "smtp://a.example sender=@b.example sender=<>", NULL,
	  "is not understood" },
	{ "relayhost", "smtp://a.example to=b.example", NULL,
	  "is not understood" },
	{ "relayhost", "smtp://a.example smtp://b.example", NULL,
	  "is not understood" },
	{ "relayhost", "smtp://a.example for=", NULL, "is no domain name" },
	{ "relayhost", "smtp://a.example for=*.b.example", NULL,
	  "is no domain name" },
	{ "relayhost", "smtp://a.example sender=", NULL,
	  "has a sender= that is no address" },
	{ "relayhost", "smtp://a.example sender=me", NULL,
	  "has a sender= that is no address" },
	{ "relayhost", "smtp://a.example sender=@", NULL,
	  "is no domain name" },
	{ "relayhost", "", NULL, "accepted: URL [sender=PATTERN]" },
	/* fetch-private-addresses */
	{ "fetch-private-addresses", "yes", "yes", NULL },
	{ "fetch-private-addresses", "no", "no", NULL },
	{ "fetch-private-addresses", "on", NULL, "accepted: yes or no" },
	{ "fetch-private-addresses", "true", NULL, "accepted: yes or no" },
	/* connect-timeout */
	{ "connect-timeout", "30s", "30s", NULL },
	{ "connect-timeout", "60s", "1m", NULL },
	{ "connect-timeout", "10m", "10m", NULL },
	{ "connect-timeout", "11m", NULL, "is too much" },
	{ "connect-timeout", "0s", NULL, "is too little" },
	{ "connect-timeout", "30", NULL, "is not understood" },
	{ "connect-timeout", "s", NULL, "is not understood" },
	{ "connect-timeout", "1.5m", NULL, "is not understood" },
	{ "connect-timeout", "1m30s", NULL, "is not understood" },
	{ "connect-timeout", "30S", NULL, "is not understood" },
	/* retry */
	{ "retry", "1m", "1m", NULL },
	{ "retry", "1h 90m 86400s", "1h 90m 1d", NULL },
	{ "retry", "1m 5m 15m 30m 1h 2h 4h", "1m 5m 15m 30m 1h 2h 4h", NULL },
	{ "retry", "", NULL, "accepted: durations" },
	{ "retry", "0s", NULL, "is too little" },
	{ "retry", "31d", NULL, "is too much" },
	{ "retry", "1m five", NULL, "is not understood" },
	{ "retry", "5", NULL, "is not understood" },
	/* warn */
	{ "warn", "4h", "4h", NULL }, { "warn", "240m", "4h", NULL },
	{ "warn", "1m", "1m", NULL }, { "warn", "365d", "365d", NULL },
	{ "warn", "59s", NULL, "is too little" },
	{ "warn", "0s", NULL, "is too little" },
	{ "warn", "366d", NULL, "is too much" },
	{ "warn", "4", NULL, "accepted: a duration from 1m to 365d" },
	{ "warn", "never", NULL, "accepted: a duration" },
	/* expire */
	{ "expire", "5d", "5d", NULL },
	{ "expire", "120h", "5d", NULL },
	{ "expire", "6d", "6d", NULL },
	{ "expire", "1m", "1m", NULL },
	{ "expire", "59s", NULL, "is too little" },
	{ "expire", "366d", NULL, "is too much" },
	{ "expire", "never", NULL, "accepted: a duration" },
	{ "expire", "99999999999999999999d", NULL, "is not understood" },
	/* bounce-body */
	{ "bounce-body", "headers", "headers", NULL },
	{ "bounce-body", "full", "full", NULL },
	{ "bounce-body", "none", NULL, "accepted: headers or full" },
	/* tls-report */
	{ "tls-report", "on", "on", NULL },
	{ "tls-report", "off", "off", NULL },
	{ "tls-report", "yes", NULL, "accepted: on or off" },
	/* report-from, report-contact */
	{ "report-from", "tls-reports@Example.ORG",
	  "tls-reports@example.org", NULL },
	{ "report-from", "tls-reports", NULL, "is no full address" },
	{ "report-from", "r@[192.0.2.1]", NULL, "has no domain name" },
	{ "report-from", "r\xc3\xa4@example.org", NULL,
	  "is no full address" },
	{ "report-from", "a@b.example c@d.example", NULL,
	  "accepted: an address with its domain" },
	{ "report-from", "", NULL, "accepted: an address with its domain" },
	{ "report-contact", "postmaster@example.org",
	  "postmaster@example.org", NULL },
	{ "report-contact", "mailto:postmaster@example.org", NULL,
	  "is no full address" },
	{ "report-contact", "a@[IPv6:::1]", NULL, "has no domain name" },
	/* report-organization */
	{ "report-organization", "\"Example & S\xc3\xb6hne\"",
	  "\"Example & S\xc3\xb6hne\"", NULL },
	{ "report-organization", "Example", "Example", NULL },
	{ "report-organization", "Example Inc", NULL, "in double quotes" },
	{ "report-organization", "\"\"", NULL, "accepted: a text" },
	{ "report-organization", "\"S\xf6hne\"", NULL, "no text in UTF-8" },
	{ "report-organization", "\"a\xc2\x85z\"", NULL,
	  "no text in UTF-8" },
	{ "report-organization", TEXT_OF_200, TEXT_OF_200, NULL },
	{ "report-organization", TEXT_OF_200 "x", NULL, "is too long" },
	/* report-at */
	{ "report-at", "00:00", "00:00 spread 4h", NULL },
	{ "report-at", "23:59 spread 90m", "23:59 spread 90m", NULL },
	{ "report-at", "03:30 spread 0s", "03:30 spread 0s", NULL },
	{ "report-at", "03:30 spread 24h", "03:30 spread 1d", NULL },
	{ "report-at", "03:30 spread 25h", NULL, "is too much" },
	{ "report-at", "3:30", NULL, "accepted: HH:MM" },
	{ "report-at", "03:3", NULL, "accepted: HH:MM" },
	{ "report-at", "24:00", NULL, "accepted: HH:MM" },
	{ "report-at", "00:60", NULL, "accepted: HH:MM" },
	{ "report-at", "0330", NULL, "accepted: HH:MM" },
	{ "report-at", "03:30:00", NULL, "accepted: HH:MM" },
	{ "report-at", "03:30 4h", NULL, "accepted: HH:MM" },
	{ "report-at", "03:30 spread", NULL, "accepted: HH:MM" },
	{ "report-at", "03:30 spread 4", NULL, "accepted: HH:MM" },
	{ "report-at", "03:30 around 4h", NULL, "accepted: HH:MM" },
	{ "report-at", "", NULL, "accepted: HH:MM" },
	/* dkim */
	{ "dkim", "Example.org TLSRPT /etc/culver/a.key",
	  "example.org tlsrpt /etc/culver/a.key", NULL },
	{ "dkim", "example.org 2026.s1 \"/etc/a b.key\"",
	  "example.org 2026.s1 \"/etc/a b.key\"", NULL },
	{ "dkim", "example.org s /k all", NULL, "not yet built" },
	{ "dkim", "example.org s /k some", NULL,
	  "accepted: DOMAIN SELECTOR KEYFILE" },
	{ "dkim", "example.org s", NULL, "accepted: DOMAIN SELECTOR KEYFILE" },
	{ "dkim", "", NULL, "accepted: DOMAIN SELECTOR KEYFILE" },
	{ "dkim", "[192.0.2.1] s /k", NULL, "is no domain name" },
	{ "dkim", "example.org a_b /k", NULL, "has no selector" },
	{ "dkim", "example.org -a /k", NULL, "no domain name" },
	{ "dkim", "example.org " LABEL_OF_63 " /k",
	  "example.org " LABEL_OF_63 " /k", NULL },
	{ "dkim", "example.org " LABEL_OF_63 ".a /k", NULL,
	  "has too long a selector" },
	{ "dkim", "example.org s k", NULL, "names no absolute path" },
	{ "dkim", "example.org s /" TEXT_OF_200 TEXT_OF_200, NULL,
	  "names too long a path" },
	/* admin-group */
	{ "admin-group", "mail", "mail", NULL },
	{ "admin-group", "a:b", NULL, "accepted: the name of a group" },
	{ "admin-group", "\"a b\"", NULL, "accepted: the name of a group" },
	{ "admin-group", "", NULL, "accepted: the name of a group" },
	/* sandbox, log, log-level */
	{ "sandbox", "on", "on", NULL },
	{ "sandbox", "off", "off", NULL },
	{ "sandbox", "required", "required", NULL },
	{ "sandbox", "yes", NULL, "accepted: on, off or required" },
	{ "log", "syslog", "syslog", NULL },
	{ "log", "stderr", "stderr", NULL },
	{ "log", "file", NULL, "accepted: syslog or stderr" },
	{ "log-level", "error", "error", NULL },
	{ "log-level", "info", "info", NULL },
	{ "log-level", "debug", "debug", NULL },
	{ "log-level", "warning", NULL, "accepted: error, info or debug" },
	/* unknown ones, and their neighbours */
	{ "hostnam", "x", NULL, "unknown keyword \"hostnam\"; the nearest is "
	  "hostname" },
	{ "Hostname", "x", NULL, "the nearest is hostname" },
	{ "lissten", "x", NULL, "the nearest is listen" },
	{ "relay_from", "x", NULL, "the nearest is relay-from" },
	{ "max-connection", "x", NULL, "the nearest is max-connections" },
	{ "maxrecipients", "x", NULL, "the nearest is max-recipients" },
	{ "mta_sts", "x", NULL, "the nearest is mta-sts" },
	{ "log-levels", "x", NULL, "the nearest is log-level" },
	{ "spoool", "x", NULL, "the nearest is spool" },
	{ "retrys", "x", NULL, "the nearest is retry" },
	{ "myhostname", "x", NULL, "the nearest is hostname" },
	{ "mail-domains", "x", NULL, "the nearest is mail-domain" },
	{ "tls_required", "x", NULL, "the nearest is tls-required" },
	{ "relay-host", "x", NULL, "the nearest is relayhost" },
	{ "histori", "x", NULL, "not built yet" },
	{ "", "x", NULL, "unknown keyword \"\"" },
	{ "a\x01" "b", "x", NULL, "unknown keyword \"a?b\"" },
	/* control characters */
	{ "spool", "/a\x01", NULL, "control character" },
	{ "spool", "/a\x7f", NULL, "control character" },
	{ "spool", "\t /a \t", "/a", NULL },
};

static void
test_settings(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	const struct setting *row;
	struct config *config;
	char *text;
	bool taken;

	(void)unused;
	for (row = settings; row < settings + COUNT(settings); row++) {
		config = config_new();
		taken = config_set(config, row->keyword, row->value, &error);
		if (taken != (row->expected != NULL))
			fail_msg("%s %s: %s", row->keyword, row->value,
			    taken ? "is taken" : error.text);
		if (taken) {
			text = printed_of(config, row->keyword);
			assert_string_equal(text, row->expected);
			free(text);
		} else if (strstr(error.text, row->says) == NULL) {
			fail_msg("%s %s: says \"%s\", not \"%s\"",
			    row->keyword, row->value, error.text, row->says);
		}
		config_free(&config);
		assert_null(config);
		buffer_free(&error);
	}
}

/* Each refusal names keyword, value, and what would be accepted. */
static void
test_refusals_say_what_is_accepted(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(keywords); i++) {
		assert_non_null(keywords[i].accepted);
		config = config_new();
		assert_false(config_set(config, keywords[i].name,
		    "\x02", &error));
		if (keywords[i].parse == NULL) {
			assert_non_null(strstr(error.text, "not yet"));
		} else {
			assert_non_null(strstr(error.text, keywords[i].name));
			assert_non_null(strstr(error.text, "\"?\""));
			assert_non_null(strstr(error.text,
			    keywords[i].accepted));
		}
		assert_null(strchr(error.text, '\n'));
		config_free(&config);
		buffer_free(&error);
	}
}

static void
test_not_yet(void **unused)
{
	static const char *const later[] = {
		"masquerade", "aliases", "relay-to", "tls-cert", "tls-key",
		"auth-users", "rate-client", "rate-user",
		"relayhost-password", "relayhost-password-command",
		"history", "history-size", "metrics"
	};
	struct buffer error = { NULL, 0, 0 };
	struct config *config = config_new();
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(later); i++) {
		assert_false(config_set(config, later[i], "x", &error));
		if (strstr(error.text, "not yet") == NULL)
			fail_msg("%s: %s", later[i], error.text);
		buffer_free(&error);
	}
	config_free(&config);
}

static void
test_once_and_many(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config = config_new();
	char *text;

	(void)unused;
	assert_true(config_set(config, "spool", "/a", &error));
	assert_false(config_set(config, "spool", "/b", &error));
	assert_string_equal(error.text, "spool is given twice");
	buffer_free(&error);
	assert_true(config_set(config, "listen", "127.0.0.1:25", &error));
	assert_true(config_set(config, "listen", "127.0.0.1:26", &error));
	assert_false(config_set(config, "listen", "127.0.0.1:25", &error));
	assert_non_null(strstr(error.text, "is there already"));
	buffer_free(&error);
	text = printed_of(config, "listen");
	assert_string_equal(text, "127.0.0.1:25|127.0.0.1:26");
	free(text);
	assert_true(config_set(config, "relay-from", "10.0.0.0/8", &error));
	assert_true(config_set(config, "relay-from", "::/0", &error));
	text = printed_of(config, "relay-from");
	assert_string_equal(text, "10.0.0.0/8|::/0");
	free(text);
	config_free(&config);
}

static void
test_lists_are_bounded(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config = config_new();
	char value[64];
	int i;

	(void)unused;
	for (i = 0; i < KIND_ITEMS_MAX; i++) {
		snprintf(value, sizeof(value), "d%d.example", i);
		assert_true(config_set(config, "local-domain", value,
		    &error));
	}
	assert_false(config_set(config, "local-domain", "more.example",
	    &error));
	assert_non_null(strstr(error.text, "one too many"));
	assert_int_equal(config->local_domains_n, KIND_ITEMS_MAX);
	buffer_free(&error);
	for (i = 1; i <= 64; i++) {
		snprintf(value, sizeof(value), "127.0.0.1:%d", i);
		assert_true(config_set(config, "listen", value, &error));
	}
	assert_false(config_set(config, "listen", "127.0.0.1:65", &error));
	buffer_free(&error);
	config_free(&config);
}

/* ---- files ---- */

static char folder[] = "/tmp/culver-config-XXXXXX";

static void
write_file(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static int
make_folder(void **unused)
{
	(void)unused;
	return mkdtemp(folder) == NULL;
}

static int
remove_folder(void **unused)
{
	char command[128];

	(void)unused;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static struct config *
read_text(const char *text, char *const *overrides, size_t n,
    struct buffer *error)
{
	char path[256];

	write_file("culver.conf", text);
	snprintf(path, sizeof(path), "%s/culver.conf", folder);
	return config_read(path, overrides, n, error);
}

/* A file, and the start of each line of what is said of it ("" all good). */
struct file {
	const char	*text;
	const char	*errors;	/* FOLDER stands for the folder */
};

static const struct file files_read[] = {
	{ "", "" },
	{ "\n\n# nothing\n   # nothing\n\t\n", "" },
	{ "hostname mx.example.org", "" },
	{ "hostname\tmx.example.org\r\n", "" },
	{ "  hostname   mx.example.org   # a comment\n", "" },
	{ "hostname mx.example.org#no-comment\n",
	  "FOLDER/culver.conf:1: hostname: " },
	{ "# one\nhostnam x\n", "FOLDER/culver.conf:2: unknown keyword "
	  "\"hostnam\"; the nearest is hostname, which takes the full name" },
	{ "max-recipients 7\n", "FOLDER/culver.conf:1: max-recipients: \"7\" "
	  "is too little; accepted: a number from 100" },
	{ "history 1d\n", "FOLDER/culver.conf:1: history: not yet" },
	{ "spool /a\n\nspool /b\n",
	  "FOLDER/culver.conf:3: spool is given twice" },
	{ "x 1\ny 2\n", "FOLDER/culver.conf:1: unknown keyword \"x\"\n"
	  "FOLDER/culver.conf:2: unknown keyword \"y\"" },
	{ "hostname \"mx.example.org\n",
	  "FOLDER/culver.conf:1: hostname: \"\"mx.example.org\" a quote" },
	{ "include missing\n", "FOLDER/culver.conf:1: cannot read "
	  "FOLDER/missing: No such file" },
	{ "include\n", "FOLDER/culver.conf:1: include: not understood" },
	{ "include a b\n", "FOLDER/culver.conf:1: include: not understood" },
	{ "include \"a\n", "FOLDER/culver.conf:1: include: a quote" },
	{ "include culver.conf\n",
	  "FOLDER/culver.conf:1: FOLDER/culver.conf includes itself" },
	{ "include .\n", "FOLDER/culver.conf:1: FOLDER/. is a folder" },
	{ "include /dev/null\n",
	  "FOLDER/culver.conf:1: /dev/null is not a file" },
	{ "include loop-a\n",
	  "FOLDER/loop-b:1: FOLDER/loop-a includes itself" },
	{ "include deep0\n",
	  "FOLDER/deep7:1: FOLDER/deep8 is included too deep" },
	{ "include good\nexpire 6d\n", "" },
	{ "include \"good\" # again\n", "" },
	{ "include bad\nx y\n", "FOLDER/bad:2: unknown keyword \"oops\"\n"
	  "FOLDER/culver.conf:2: unknown keyword \"x\"" },
	{ "include good\nworkers 3\n",
	  "FOLDER/culver.conf:2: workers is given twice" },
};

/* Does each line of `said` begin with the one of `expected`? */
static bool
says(const char *said, const char *expected)
{
	struct slice had = slice_of(said), want = slice_of(expected);
	struct buffer line = { NULL, 0, 0 };
	struct slice part, one;
	bool good = true;

	while (want.at != NULL && good) {
		one = slice_cut(&want, '\n');
		line.len = 0;
		while (one.len > 0) {
			if (slice_begins(one, SLICE("FOLDER"))) {
				buffer_add(&line, slice_of(folder));
				one.at += 6;
				one.len -= 6;
				continue;
			}
			buffer_add(&line, (struct slice){ one.at, 1 });
			one.at++;
			one.len--;
		}
		good = had.at != NULL;
		part = good ? slice_cut(&had, '\n') : SLICE("");
		good = good && slice_begins(part, slice_of(line.text));
	}
	buffer_free(&line);
	return good && had.at == NULL;
}

static void
write_files(void)
{
	char name[16], text[32];
	int i;

	write_file("good", "workers 3\n");
	write_file("bad", "# a\noops 1\n");
	write_file("loop-a", "include loop-b\n");
	write_file("loop-b", "include loop-a\n");
	for (i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "deep%d", i);
		snprintf(text, sizeof(text), "include deep%d\n", i + 1);
		write_file(name, text);
	}
}

static void
test_files(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	size_t i;

	(void)unused;
	write_files();
	for (i = 0; i < COUNT(files_read); i++) {
		config = read_text(files_read[i].text, NULL, 0, &error);
		if ((config != NULL) != (files_read[i].errors[0] == '\0'))
			fail_msg("%s: %s", files_read[i].text, config != NULL ?
			    "is taken" : error.text);
		if (config == NULL && !says(error.text, files_read[i].errors))
			fail_msg("%s: says \"%s\"", files_read[i].text,
			    error.text);
		config_free(&config);
		buffer_free(&error);
	}
}

static void
test_file_that_is_missing(void **unused)
{
	struct buffer error = { NULL, 0, 0 };

	(void)unused;
	assert_null(config_read("/nonexistent/culver.conf", NULL, 0, &error));
	assert_string_equal(error.text, "cannot read "
	    "/nonexistent/culver.conf: No such file or directory");
	buffer_free(&error);
}

static void
test_line_with_nul_and_long_line(void **unused)
{
	static const char nul[] = "spool /a\0b\n";
	struct buffer error = { NULL, 0, 0 };
	char path[256], *text;
	FILE *file;

	(void)unused;
	snprintf(path, sizeof(path), "%s/nul", folder);
	file = fopen(path, "w");
	fwrite(nul, 1, sizeof(nul) - 1, file);
	fclose(file);
	assert_null(config_read(path, NULL, 0, &error));
	assert_non_null(strstr(error.text, ":1: there is a NUL"));
	buffer_free(&error);
	text = mem_alloc(10000);
	strcpy(text, "spool /");
	memset(text + 7, 'x', 9000);
	assert_null(read_text(text, NULL, 0, &error));
	assert_non_null(strstr(error.text, ":1: spool: "));
	assert_non_null(strstr(error.text, "the line is too long"));
	/* What is quoted of it is short. */
	assert_true(error.len < 300);
	buffer_free(&error);
	free(text);
}

static void
test_many_errors_are_cut(void **unused)
{
	struct buffer error = { NULL, 0, 0 }, text = { NULL, 0, 0 };
	int i;

	(void)unused;
	for (i = 0; i < 50; i++)
		buffer_printf(&text, "nonsense-%d x\n", i);
	assert_null(read_text(text.text, NULL, 0, &error));
	assert_non_null(strstr(error.text, "nonsense-19"));
	assert_null(strstr(error.text, "nonsense-20"));
	assert_non_null(strstr(error.text, "\nand 30 more"));
	buffer_free(&text);
	buffer_free(&error);
}

/* ---- overrides ---- */

static void
test_overrides(void **unused)
{
	char one[] = "expire=6d", two[] = "listen=127.0.0.1:1",
	    three[] = "listen=127.0.0.1:2";
	char *const overrides[] = { one, two, three };
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	char *text;

	(void)unused;
	config = read_text("expire 7d\nlisten 127.0.0.1:25\nworkers 2\n",
	    overrides, 3, &error);
	assert_non_null(config);
	assert_int_equal(config->expire_s, 6 * DAY);
	assert_int_equal(config->workers, 2);
	text = printed_of(config, "listen");
	assert_string_equal(text, "127.0.0.1:1|127.0.0.1:2");
	free(text);
	config_free(&config);
	/* What is outranked must be right all the same. */
	assert_null(read_text("expire soon\n", overrides, 1, &error));
	assert_non_null(strstr(error.text, "culver.conf:1: expire:"));
	buffer_free(&error);
}

static void
test_bad_overrides(void **unused)
{
	static const char *const bad[][2] = {
		{ "expire", "-o: KEYWORD=VALUE is meant, not \"expire\"" },
		{ "expire=", "-o: expire: \"\" is not understood" },
		{ "=5d", "-o: unknown keyword \"\"" },
		{ "expirre=5d", "-o: unknown keyword \"expirre\"; the nearest "
		  "is expire" },
		{ "history=1d", "-o: history: not yet" },
		{ "workers=-1", "-o: workers: \"-1\" is not understood" },
		{ "include=/etc/passwd", "-o: unknown keyword \"include\"" },
	};
	struct buffer error = { NULL, 0, 0 };
	char *override;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(bad); i++) {
		override = mem_copy(bad[i][0]);
		assert_null(read_text("", &override, 1, &error));
		if (strncmp(error.text, bad[i][1], strlen(bad[i][1])) != 0)
			fail_msg("%s: %s", bad[i][0], error.text);
		buffer_free(&error);
		free(override);
	}
}

/* ---- defaults ---- */

static void
test_defaults(void **unused)
{
	/* As interfaces.md has them. */
	static const char *const expected[][2] = {
		{ "listen", "127.0.0.1:25|[::1]:25" },
		{ "submit-socket", "/run/culver/submit" },
		{ "relay-from", "127.0.0.0/8|::1/128" },
		{ "max-message-size", "50M" },
		{ "max-recipients", "1000" },
		{ "max-connections", "10000" },
		{ "max-connections-per-client", "50" },
		{ "min-free", "64M" },
		{ "bind", "" },
		{ "ip", "both" },
		{ "resolver", "" },
		{ "trust-resolver", "auto ." },
		{ "ca-file", "" },
		{ "relayhost", "" },
		{ "mta-sts", "enforce" },
		{ "dane", "enforce" },
		{ "tls-required", "" },
		{ "exempt", "" },
		{ "fetch-private-addresses", "no" },
		{ "workers", "200" },
		{ "per-domain", "20" },
		{ "per-host", "10" },
		{ "connect-timeout", "30s" },
		{ "spool", "/var/spool/culver" },
		{ "retry", "1m 5m 15m 30m 1h 2h 4h" },
		{ "warn", "4h" },
		{ "expire", "5d" },
		{ "bounce-body", "headers" },
		{ "control", "/run/culver/control" },
		{ "admin-group", "" },
		{ "sandbox", "on" },
		{ "log", "" },
		{ "log-level", "info" },
		{ "root-mail", "" },
		{ "tls-report", "on" },
		{ "report-at", "00:00 spread 4h" },
		{ "dkim", "" },
		{ "local", "none" },
	};
	struct buffer error = { NULL, 0, 0 };
	struct config *config = read_text("", NULL, 0, &error);
	char *text;
	size_t i;

	(void)unused;
	assert_non_null(config);
	for (i = 0; i < COUNT(expected); i++) {
		text = printed_of(config, expected[i][0]);
		if (strcmp(text, expected[i][1]) != 0)
			fail_msg("%s is \"%s\"", expected[i][0], text);
		free(text);
	}
	assert_int_equal(config->listeners_n, 2);
	assert_true(config->listeners[0].optional);
	assert_true(config->listeners[1].optional);
	assert_int_equal(config->log, CONFIG_LOG_DEFAULT);
	config_free(&config);
}

/* SMTP-4.5.4.1-4 the default gives up after five days */
static void
test_expire_is_five_days(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config = read_text("", NULL, 0, &error);

	(void)unused;
	assert_int_equal(config->expire_s, 5 * 24 * 3600);
	config_free(&config);
}

static void
test_configured_listener_is_no_default(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config = read_text("listen 127.0.0.1:25\n", NULL, 0,
	    &error);

	(void)unused;
	assert_int_equal(config->listeners_n, 1);
	assert_false(config->listeners[0].optional);
	config_free(&config);
}

static void
test_identity_follows(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	char *text;

	(void)unused;
	config = read_text("hostname mx.a.example\nmail-domain a.example\n",
	    NULL, 0, &error);
	text = printed_of(config, "local-domain");
	assert_string_equal(text, "a.example|localhost|mx.a.example");
	free(text);
	config_free(&config);
	config = read_text("hostname mx.a.example\nmail-domain a.example\n"
	    "local-domain b.example\n", NULL, 0, &error);
	text = printed_of(config, "local-domain");
	assert_string_equal(text, "b.example");
	free(text);
	config_free(&config);
}

static void
test_is_local(void **unused)
{
	struct domain a = { "a.example" }, b = { "b.a.example" },
	    localhost = { "localhost" }, none = { "" };
	struct buffer error = { NULL, 0, 0 };
	struct config *config;

	(void)unused;
	config = read_text("hostname mx.a.example\nmail-domain a.example\n",
	    NULL, 0, &error);
	assert_true(config_is_local(config, &a));
	assert_true(config_is_local(config, &localhost));
	assert_false(config_is_local(config, &b));
	assert_false(config_is_local(config, &none));
	config_free(&config);
}

/* ---- the machine's name ---- */

struct hosts {
	const char	*node, *hosts, *expected;
};

static const struct hosts hosts_rows[] = {
	{ "mx", "127.0.1.1 mx.example.org mx\n", "mx.example.org" },
	{ "mx", "127.0.1.1\tmx.example.org\tmx\n", "mx.example.org" },
	{ "mx", "127.0.1.1 mx mx.example.org\n", "mx.example.org" },
	{ "mx", "127.0.1.1 MX.Example.ORG MX\n", "mx.example.org" },
	{ "mx", "127.0.0.1 localhost\n127.0.1.1 mx.example.org mx",
	  "mx.example.org" },
	{ "mx", "192.0.2.1 mail.example.org mx\n", "mail.example.org" },
	{ "mx", "192.0.2.1 mail.example.org mx.example.org mx\n",
	  "mx.example.org" },
	{ "mx", "192.0.2.1 mx.example.org\n", "mx.example.org" },
	{ "mx", "#192.0.2.1 mx.example.org mx\n", "" },
	{ "mx", "192.0.2.1 # mx.example.org mx\n", "" },
	{ "mx", "127.0.0.1 localhost.localdomain localhost mx\n", "" },
	{ "mx", "127.0.0.1 localhost.localdomain mx\n"
	  "192.0.2.1 mx.example.org\n", "mx.example.org" },
	{ "mx", "127.0.0.1 mx\n", "" },
	{ "mx", "127.0.0.1 mxx.example.org mxx\n", "" },
	{ "mx", "127.0.0.1 other.example.org other\n", "" },
	{ "mx", "127.0.0.1 bad..example mx\n", "" },
	{ "mx", "mx.example.org mx\n", "" },
	{ "mx", "127.0.0.1\n", "" },
	{ "mx", "\n\n \t \n", "" },
	{ "mx", "", "" },
	{ "", "127.0.0.1 mx.example.org\n", "" },
	{ "mx.example.org", "", "mx.example.org" },
	{ "mx.example.org", "127.0.0.1 localhost\n", "mx.example.org" },
	{ "mx.example.org", "127.0.1.1 mx.example.org mx\n",
	  "mx.example.org" },
	{ "localhost.localdomain", "", "" },
	{ "localhost", "127.0.0.1 localhost.localdomain localhost\n", "" },
	{ "mx", "127.0.1.1 mx.example.org mx\r\n", "mx.example.org" },
};

static void
test_hosts(void **unused)
{
	char name[DOMAIN_TEXT_MAX];
	const struct hosts *row;

	(void)unused;
	for (row = hosts_rows; row < hosts_rows + COUNT(hosts_rows); row++) {
		hostname_find(slice_of(row->node), slice_of(row->hosts),
		    name);
		if (strcmp(name, row->expected) != 0)
			fail_msg("%s in \"%s\" is \"%s\"", row->node,
			    row->hosts, name);
	}
}

/* ---- warnings ---- */

static void
remember(void *context, enum log_level level, const char *line)
{
	assert_int_equal(level, LOG_LEVEL_INFO);
	buffer_printf(context, "%s\n", line);
}

static char *
warnings_of(const char *text)
{
	struct buffer lines = { NULL, 0, 0 }, error = { NULL, 0, 0 };
	struct config *config;

	buffer_add(&lines, SLICE(""));
	log_to(remember, &lines);
	log_set_level(LOG_LEVEL_INFO);
	config = read_text(text, NULL, 0, &error);
	assert_non_null(config);
	config_free(&config);
	log_set_level(LOG_LEVEL_ERROR);
	log_to(log_stderr, NULL);
	return lines.text;
}

struct warning {
	const char	*text, *expected;	/* part of it, "" none */
};

#define NAMED	"hostname mx.example.org\nmail-domain example.org\n" \
		"dkim example.org s /k\n"

static const struct warning warnings[] = {
	{ NAMED, "" },
	{ "hostname mx\nmail-domain example.org\n",
	  "warning: hostname mx has no dot" },
	{ "hostname mx.a\nmail-domain a\nexpire 3d\n",
	  "warning: expire is less than 4d (RFC 5321 4.5.4.1)" },
	{ NAMED "expire 4d\n", "" },
	{ "hostname mx.a\nmail-domain a\nrelay-from 0.0.0.0/0\n",
	  "warning: relay-from lets everybody" },
	{ "hostname mx.a\nmail-domain a\nrelay-from ::/0\n",
	  "warning: relay-from lets everybody" },
	{ NAMED "relay-from 0.0.0.0/1\n", "" },
	/* RPT-3-16: without a key nothing goes by mail. */
	{ "hostname mx.a\nmail-domain a\n",
	  "warning: no dkim line signs for a (report-from)" },
	{ "hostname mx.a\nmail-domain a\nreport-from r@b.example\n",
	  "warning: no dkim line signs for b.example" },
	{ "hostname mx.a\nmail-domain a\ndkim b.example s /k\n",
	  "warning: no dkim line signs for a " },
	{ "hostname mx.a\nmail-domain a\nreport-from r@b.example\n"
	  "dkim c.example s /k\ndkim b.example s /k\n", "" },
	{ "hostname mx.a\nmail-domain a\ntls-report off\n", "" },
	{ "hostname mx.a\nmail-domain a\n",
	  "warning: report-from is at a, a name that is known nowhere else" },
	{ "hostname mx.a\nmail-domain node.localdomain\n",
	  "warning: report-from is at node.localdomain, " },
	{ "hostname mx.a\nmail-domain printer.local\n",
	  "warning: report-from is at printer.local, " },
	{ NAMED "root-mail me@example.org\n",
	  "warning: root-mail is at example.org, a local domain" },
	{ NAMED "root-mail me@far.example\n", "" },
	/* T22 */
	{ NAMED "tls-required .a.example\n"
	  "exempt x.a.example until 2099-12-31 because x\n",
	  "warning: exempt: x.a.example is in tls-required too" },
};

static void
test_warnings(void **unused)
{
	const struct warning *row;
	char *lines;

	(void)unused;
	for (row = warnings; row < warnings + COUNT(warnings); row++) {
		lines = warnings_of(row->text);
		if (row->expected[0] == '\0' ? lines[0] != '\0' :
		    strstr(lines, row->expected) == NULL ||
		    strstr(strstr(lines, row->expected) + 1,
		    row->expected) != NULL)
			fail_msg("%s: warns \"%s\"", row->text, lines);
		free(lines);
	}
}

/* ---- exemptions ---- */

/* "2026-11-24", so many days from now (UTC). */
static void
day_text(int days, char text[16])
{
	time_t then = time(NULL) + (time_t)days * DAY;
	struct tm tm;

	gmtime_r(&then, &tm);
	assert_int_not_equal(strftime(text, 16, "%Y-%m-%d", &tm), 0);
}

static char *
exempt_line(const char *domain, int days)
{
	struct buffer line = { NULL, 0, 0 };
	char day[16];

	day_text(days, day);
	buffer_printf(&line, "exempt %s until %s because \"a # b\"\n",
	    domain, day);
	return line.text;
}

/* Read one exemption that ends in so many days: the day that counts, or "". */
static void
read_exempt(int days, char counts[16], char **warned)
{
	struct buffer lines = { NULL, 0, 0 }, error = { NULL, 0, 0 };
	char *line = exempt_line("a.example", days);
	struct config *config;
	time_t last;
	struct tm tm;

	buffer_add(&lines, SLICE(""));
	log_to(remember, &lines);
	log_set_level(LOG_LEVEL_INFO);
	config = read_text(line, NULL, 0, &error);
	log_set_level(LOG_LEVEL_ERROR);
	log_to(log_stderr, NULL);
	assert_non_null(config);
	counts[0] = '\0';
	if (config->exempt_n > 0) {
		last = (time_t)config->exempt[0].until_s - 1;
		gmtime_r(&last, &tm);
		strftime(counts, 16, "%Y-%m-%d", &tm);
	}
	*warned = lines.text;
	free(line);
	config_free(&config);
}

static void
test_exempt_days(void **unused)
{
	static const struct {
		int		days, counts;	/* -1: not at all */
		const char	*says;
	} rows[] = {
		{ 0, 0, NULL }, { 1, 1, NULL }, { 90, 90, NULL },
		{ 91, 90, "culver.conf:1: exempt: a.example is exempt until" },
		{ 4000, 90, ", 90 days from now, and no longer" },
		{ -1, -1, "culver.conf:1: exempt: a.example was exempt until" },
		{ -4000, -1, "which is past: the line is ignored" },
	};
	char counts[16], expected[16], *warned;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		read_exempt(rows[i].days, counts, &warned);
		expected[0] = '\0';
		if (rows[i].counts >= 0)
			day_text(rows[i].counts, expected);
		assert_string_equal(counts, expected);
		if (rows[i].says != NULL ?
		    strstr(warned, rows[i].says) == NULL :
		    strstr(warned, "exempt") != NULL)
			fail_msg("%d: %s", rows[i].days, warned);
		free(warned);
	}
}

/* What the parent counted is taken by a child as it is, without a word. */
static void
test_exempt_for_children(void **unused)
{
	struct buffer lines = { NULL, 0, 0 }, error = { NULL, 0, 0 };
	struct config *config = config_new();

	(void)unused;
	buffer_add(&lines, SLICE(""));
	log_to(remember, &lines);
	log_set_level(LOG_LEVEL_INFO);
	assert_true(config_set(config, "exempt",
	    "a.example until 2001-01-01 because x", &error));
	assert_true(config_set(config, "exempt",
	    "b.example until 2999-01-01 because x", &error));
	assert_false(config_set(config, "exempt",
	    "B.example until 2999-01-02 because y", &error));
	assert_non_null(strstr(error.text, "exempt already"));
	log_set_level(LOG_LEVEL_ERROR);
	log_to(log_stderr, NULL);
	assert_int_equal(config->exempt_n, 2);
	assert_string_equal(lines.text, "");
	buffer_free(&lines);
	buffer_free(&error);
	config_free(&config);
}

/* Until the last second of its day, for that domain and none below it. */
static void
test_exempt_for(void **unused)
{
	struct domain a = { "a.example" }, below = { "b.a.example" };
	struct buffer error = { NULL, 0, 0 };
	struct config *config = config_new();
	const int64_t end_s = 978393600;	/* of 2001-01-01 */

	(void)unused;
	assert_true(config_set(config, "exempt",
	    "a.example until 2001-01-01 because x", &error));
	assert_int_equal(config->exempt[0].until_s, end_s);
	assert_ptr_equal(config_exempt_for(config, &a, end_s - 1),
	    &config->exempt[0]);
	assert_string_equal(config->exempt[0].because, "x");
	assert_null(config_exempt_for(config, &a, end_s));
	assert_null(config_exempt_for(config, &below, 0));
	config_free(&config);
}

/* A line of the past makes room for a new one of the same domain. */
static void
test_exempt_again(void **unused)
{
	char *past = exempt_line("a.example", -2),
	    *next = exempt_line("a.example", 2);
	struct buffer error = { NULL, 0, 0 }, text = { NULL, 0, 0 };
	struct config *config;

	(void)unused;
	buffer_printf(&text, "%s%s", past, next);
	config = read_text(text.text, NULL, 0, &error);
	assert_non_null(config);
	assert_int_equal(config->exempt_n, 1);
	assert_non_null(strstr(config_where(config, "exempt", 0), ":2"));
	config_free(&config);
	free(past);
	free(next);
	buffer_free(&text);
}

/* TLS-3207-6-1 RFC 3207 6: TLS can be demanded for hosts that are named. */
static void
test_tls_required(void **unused)
{
	static const struct {
		struct domain	domain;
		bool		required;
	} rows[] = {
		{ { "a.example" }, true }, { { "x.a.example" }, false },
		{ { "xa.example" }, false }, { { "b.example" }, true },
		{ { "x.b.example" }, true }, { { "y.x.b.example" }, true },
		{ { "xb.example" }, false }, { { "example" }, false },
		{ { "[192.0.2.1]" }, false }, { { "" }, false },
	};
	struct buffer error = { NULL, 0, 0 };
	struct config *config = config_new();
	size_t i;

	(void)unused;
	assert_true(config_set(config, "tls-required",
	    "a.example .b.example", &error));
	for (i = 0; i < COUNT(rows); i++)
		if (config_tls_required(config, &rows[i].domain) !=
		    rows[i].required)
			fail_msg("%s", rows[i].domain.name);
	config_free(&config);
}

/* What goes to relays: twice the same line, and a group that is too long. */
static void
test_relayhost_groups(void **unused)
{
	char name[] = "relayhost=smtp://a.example";
	char *const override[] = { name };
	struct buffer error = { NULL, 0, 0 }, text = { NULL, 0, 0 };
	struct config *config;
	int i;

	(void)unused;
	assert_null(read_text("relayhost smtp://a.example for=b.example\n\n"
	    "relayhost SMTP://A.example:25 for=B.example\n", NULL, 0,
	    &error));
	assert_non_null(strstr(error.text, "culver.conf:3: relayhost: "));
	assert_non_null(strstr(error.text, "is there already"));
	buffer_free(&error);
	for (i = 0; i < 10; i++)
		buffer_printf(&text, "relayhost smtp://%d.relays-that-have-"
		    "long-names.example\n", i);
	assert_null(read_text(text.text, NULL, 0, &error));
	assert_non_null(strstr(error.text, "culver.conf:6: relayhost: "));
	assert_non_null(strstr(error.text, "one alternative too many"));
	buffer_free(&error);
	buffer_free(&text);
	/* -o outranks them all. */
	config = read_text("relayhost smtp://b.example\n"
	    "relayhost smtp://c.example for=d.example\n", override, 1,
	    &error);
	assert_non_null(config);
	assert_int_equal(config->relayhosts_n, 1);
	assert_string_equal(config->relayhosts[0].url, "smtp://a.example");
	config_free(&config);
	buffer_free(&error);
}

/* A relay that is ourselves would be a loop. */
static void
test_relayhost_is_ourselves(void **unused)
{
	static const struct {
		const char	*listen, *url;
		bool		refused;
	} rows[] = {
		{ "127.0.0.1:25", "smtp://[127.0.0.1]", true },
		{ "127.0.0.1:25", "smtp://[127.0.0.1]:26", false },
		{ "127.0.0.1:25", "smtp://[127.0.0.2]", false },
		{ "127.0.0.1:587", "submission://[127.0.0.1]", true },
		{ "[::1]:25", "smtp://[IPv6:::1]", true },
		{ "[::1]:25", "smtp://[127.0.0.1]", false },
		{ "0.0.0.0:25", "smtp://[127.0.0.5]", true },
		{ "0.0.0.0:25", "smtp://[192.0.2.1]", false },
		{ "[::]:25", "smtp://[IPv6:::1]", true },
		{ "192.0.2.9:25", "smtp://[192.0.2.9]", true },
	};
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	char text[200];
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		snprintf(text, sizeof(text), "hostname mx.a.example\n"
		    "listen %s\nrelayhost smtp://b.example\n"
		    "relayhost %s for=c.example\n", rows[i].listen,
		    rows[i].url);
		config = read_text(text, NULL, 0, &error);
		if ((config == NULL) != rows[i].refused)
			fail_msg("%s %s", rows[i].listen, rows[i].url);
		if (config == NULL)
			assert_non_null(strstr(error.text,
			    "culver.conf:4: relayhost: "));
		else
			config_free(&config);
		buffer_free(&error);
	}
}

/* ---- reports ---- */

static void
test_report_defaults(void **unused)
{
	static const char *const rows[][4] = {
		/* the file, report-from, -organization, -contact */
		{ "", "tls-reports@a.example", "a.example",
		  "tls-reports@a.example" },
		{ "report-from r@b.example\n", "r@b.example", "a.example",
		  "r@b.example" },
		{ "report-contact c@a.example\n", "tls-reports@a.example",
		  "a.example", "c@a.example" },
		{ "report-organization \"A B\"\n", "tls-reports@a.example",
		  "\"A B\"", "tls-reports@a.example" },
	};
	static const char *const keys[] = { "report-from",
		"report-organization", "report-contact" };
	struct buffer text = { NULL, 0, 0 }, error = { NULL, 0, 0 };
	struct config *config;
	char *value;
	size_t i, j;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		text.len = 0;
		buffer_printf(&text, "mail-domain a.example\n%s", rows[i][0]);
		config = read_text(text.text, NULL, 0, &error);
		assert_non_null(config);
		for (j = 0; j < COUNT(keys); j++) {
			value = printed_of(config, keys[j]);
			assert_string_equal(value, rows[i][j + 1]);
			free(value);
		}
		config_free(&config);
	}
	buffer_free(&text);
}

/* Ruling 24: one domain sends, signs and answers. */
static void
test_report_domains_agree(void **unused)
{
	static const struct file rows[] = {
		{ "report-from r@b.example\n\n"
		  "report-contact c@c.example\n",
		  "FOLDER/culver.conf:3: report-contact: \"c@c.example\" is "
		  "at another domain than report-from, r@b.example, which "
		  "signs reports (RFC 8460 3); accepted: an address at "
		  "b.example" },
		{ "report-contact c@c.example\nreport-from r@b.example\n",
		  "FOLDER/culver.conf:1: report-contact: " },
		{ "mail-domain a.example\nreport-contact c@c.example\n",
		  "FOLDER/culver.conf:2: report-contact: \"c@c.example\" is "
		  "at another domain than report-from, "
		  "tls-reports@a.example" },
		{ "include contact\n", "FOLDER/contact:2: report-contact: " },
		{ "report-contact c@B.example\nreport-from r@b.example\n",
		  "" },
	};
	struct buffer error = { NULL, 0, 0 };
	char one[] = "report-contact=c@c.example";
	char *const overrides[] = { one };
	struct config *config;
	size_t i;

	(void)unused;
	write_file("contact", "# ours\nreport-contact c@c.example\n");
	for (i = 0; i < COUNT(rows); i++) {
		config = read_text(rows[i].text, NULL, 0, &error);
		assert_int_equal(config != NULL, rows[i].errors[0] == '\0');
		if (config == NULL && !says(error.text, rows[i].errors))
			fail_msg("%s: %s", rows[i].text, error.text);
		config_free(&config);
		buffer_free(&error);
	}
	assert_null(read_text("report-contact c@a.example\n"
	    "report-from r@a.example\n", overrides, 1, &error));
	assert_true(says(error.text, "-o: report-contact: \"c@c.example\""));
	buffer_free(&error);
}

static void
test_dkim_lines(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config = config_new();
	char value[64];
	int i;

	(void)unused;
	for (i = 0; i < CONFIG_DKIM_MAX; i++) {
		snprintf(value, sizeof(value), "d%d.example s%d /k%d", i / 2,
		    i % 2, i);
		assert_true(config_set(config, "dkim", value, &error));
	}
	assert_int_equal(config->dkim_n, CONFIG_DKIM_MAX);
	assert_false(config_set(config, "dkim", "D0.example S1 /k", &error));
	assert_non_null(strstr(error.text, "is there already"));
	buffer_free(&error);
	assert_false(config_set(config, "dkim", "x.example s /k", &error));
	assert_non_null(strstr(error.text, "one too many (16 at most)"));
	buffer_free(&error);
	assert_string_equal(config->dkim[3].domain.name, "d1.example");
	assert_string_equal(config->dkim[3].selector, "s1");
	assert_string_equal(config->dkim[3].file, "/k3");
	/* Nothing was changed by what was refused. */
	assert_int_equal(config->dkim_n, CONFIG_DKIM_MAX);
	mailbox_parse(SLICE("r@d7.example"), &config->report_from);
	assert_true(config_signs_reports(config));
	mailbox_parse(SLICE("r@d8.example"), &config->report_from);
	assert_false(config_signs_reports(config));
	config_free(&config);
}

static void
test_where(void **unused)
{
	struct buffer error = { NULL, 0, 0 }, line = { NULL, 0, 0 };
	char one[] = "ca-file=/b";
	char *const overrides[] = { one };
	struct config *config;

	(void)unused;
	write_file("keys", "\ndkim b.example s /k\n");
	config = read_text("dkim a.example s /k\ninclude keys\n"
	    "ca-file /a\nadmin-group mail\n", overrides, 1, &error);
	assert_non_null(config);
	config_blame(config, "dkim", 0, &line);
	config_blame(config, "dkim", 1, &line);
	config_blame(config, "ca-file", 0, &line);
	config_blame(config, "admin-group", 0, &line);
	config_blame(config, "spool", 0, &line);
	assert_true(says(line.text, "FOLDER/culver.conf:1: dkim: \n"
	    "FOLDER/keys:2: dkim: \n-o: ca-file: \n"
	    "FOLDER/culver.conf:4: admin-group: \nspool: "));
	assert_string_equal(config_where(config, "dkim", 2), "");
	config_free(&config);
	buffer_free(&line);
	buffer_free(&error);
}

/* ---- pipes ---- */

static void
test_pipe_without_writer(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	char path[256];

	(void)unused;
	snprintf(path, sizeof(path), "%s/pipe", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(config_read(path, NULL, 0, &error));
	assert_non_null(strstr(error.text, "is a pipe that nobody writes to"));
	buffer_free(&error);
}

/* What `-c <(command)' of a shell gives. */
static void
test_pipe_of_a_shell(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	char path[64];
	int ends[2];
	pid_t pid;

	(void)unused;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		usleep(200 * 1000);
		if (write(ends[1], "workers 3\n", 10) != 10)
			_exit(1);
		usleep(200 * 1000);
		_exit(write(ends[1], "expire 6d\n", 10) != 10);
	}
	close(ends[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	config = config_read(path, NULL, 0, &error);
	assert_non_null(config);
	assert_int_equal(config->workers, 3);
	assert_int_equal(config->expire_s, 6 * DAY);
	config_free(&config);
	close(ends[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- there and back ---- */

static void
set_again(void *context, const char *keyword, const char *value)
{
	struct buffer error = { NULL, 0, 0 };

	if (!config_set(context, keyword, value, &error))
		fail_msg("%s %s: %s", keyword, value, error.text);
}

static void
check_round_trip(const struct config *config)
{
	struct config *again = config_new();
	char *before, *after;

	config_each(config, set_again, again);
	before = printed_of(config, NULL);
	after = printed_of(again, NULL);
	assert_string_equal(before, after);
	free(before);
	free(after);
	config_free(&again);
}

static const char full[] =
    "hostname mx.example.org\n"
    "mail-domain example.org\n"
    "local-domain example.org\nlocal-domain a.example b.example\n"
    "root-mail \"\\\"o\\\\ b\\\"@far.example\"\n"
    "local none\n"
    "listen 127.0.0.1:25\nlisten [2001:db8::1]:2525 plain\n"
    "submit-socket \"/run/with blank/and \\\"quote\\\"\"\n"
    "relay-from 10.0.0.0/8 ::1\n"
    "max-message-size 65537\nmax-recipients 100\n"
    "max-connections 5\nmax-connections-per-client 5\nmin-free 0\n"
    "bind 192.0.2.1 2001:db8::1\nip 6\n"
    "resolver 127.0.0.1 [::1]:54\n"
    "trust-resolver no . bogus.example\n"
    "ca-file /etc/ssl/certs/x.pem\nmta-sts off\n"
    "relayhost smtp://a.example\nrelayhost smtps://[::1]:1465 for=.b.example\n"
    "relayhost submission://c.example sender=<>\ndane off\n"
    "tls-required a.example .b.example\n"
    "fetch-private-addresses yes\nworkers 0\nper-domain 1\nper-host 1\n"
    "connect-timeout 61s\nspool /srv/spool\nretry 61s 1h\nwarn 61s\nexpire 25h\n"
    "tls-report off\nreport-from \"\\\"a b\\\"@example.org\"\n"
    "report-organization \"Example \\\"Inc\\\" \\\\\"\n"
    "report-contact postmaster@example.org\n"
    "report-at 23:59 spread 0s\n"
    "dkim example.org s1 /etc/a.key\ndkim example.org s2 \"/etc/b 2\"\n"
    "bounce-body full\ncontrol /run/control#1\nadmin-group mail\n"
    "sandbox required\nlog stderr\nlog-level debug\n";

static void
test_round_trip(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	struct printed printed;
	char *override;
	size_t i;

	(void)unused;
	config = read_text("", NULL, 0, &error);
	check_round_trip(config);
	config_free(&config);
	override = exempt_line("a.example", 3);
	override[6] = '=';
	override[strcspn(override, "\n")] = '\0';
	config = read_text(full, &override, 1, &error);
	free(override);
	if (config == NULL)
		fail_msg("%s", error.text);
	buffer_free(&error);
	check_round_trip(config);
	/* The text above leaves out no keyword that is built. */
	for (i = 0; i < COUNT(keywords); i++) {
		printed = (struct printed){ .keyword = keywords[i].name };
		config_each(config, gather, &printed);
		if ((printed.values.len > 0) != (keywords[i].parse != NULL))
			fail_msg("%s is not printed", keywords[i].name);
		buffer_free(&printed.values);
	}
	config_free(&config);
}

/* Every value that is taken is printed in a form that is taken for the same. */
static void
test_each_round_trip(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	struct slice rest, value;
	char *printed, *again, *one;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(settings); i++) {
		if (settings[i].expected == NULL)
			continue;
		printed = mem_copy(settings[i].expected);
		config = config_new();
		for (rest = slice_of(printed); rest.at != NULL; free(one)) {
			value = slice_cut(&rest, '|');
			one = mem_alloc(value.len + 1);
			memcpy(one, value.at, value.len);
			if (!config_set(config, settings[i].keyword, one,
			    &error))
				fail_msg("%s %s: %s", settings[i].keyword,
				    one, error.text);
		}
		again = printed_of(config, settings[i].keyword);
		assert_string_equal(again, printed);
		free(again);
		free(printed);
		config_free(&config);
	}
}

/* SMTP-4.5.4.1-5 every wait of retry is the operator's */
static void
test_retry_values(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config = read_text("retry 30s 1h\nexpire 6d\n", NULL,
	    0, &error);

	(void)unused;
	assert_int_equal(config->retry_n, 2);
	assert_int_equal(config->retry_s[0], 30);
	assert_int_equal(config->retry_s[1], 3600);
	assert_int_equal(config->expire_s, 6 * 24 * 3600);
	config_free(&config);
}

/* SMTP-2.3.5-2, EXT-6531-3.7.1-1: a name, in ASCII, or a warning */
static void
test_ehlo_name(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config = config_new();
	char *lines;

	(void)unused;
	assert_false(config_set(config, "hostname", "b\xc3\xbc" "cher.example",
	    &error));
	buffer_free(&error);
	config_free(&config);
	lines = warnings_of("hostname mx\nmail-domain a\n");
	assert_non_null(strstr(lines, "has no dot"));
	free(lines);
}

/* ---- a machine that is named so ---- */

struct machine {
	const char	*node, *hosts, *mailname;	/* NULL: no such file */
	const char	*expected;			/* of mail-domain */
};
static const struct machine machines[] = {
	{ "node7", "127.0.1.1 node7.example.org node7\n", "example.org\n",
	  "example.org" },
	{ "node7", "127.0.1.1 node7.example.org node7\n", NULL,
	  "node7.example.org" },
	{ "node7", "127.0.1.1 node7.example.org node7\n", "\n",
	  "node7.example.org" },
	{ "node7", "127.0.1.1 node7.example.org node7\n", "no domain\n",
	  "node7.example.org" },
	/* Without a full name: one that is nobody else's. */
	{ "node7", "127.0.0.1 localhost\n", NULL, "node7.localdomain" },
	{ "node7", NULL, NULL, "node7.localdomain" },
	{ "node7", NULL, "[192.0.2.1]\n", "node7.localdomain" },
	{ "localhost", "127.0.0.1 localhost\n", NULL,
	  "localhost.localdomain" },
	{ "(none)", NULL, NULL, "localhost.localdomain" },
};

static void
write_etc(const char *path, const char *text)
{
	FILE *file;

	if (text == NULL)
		return;
	file = fopen(path, "w");
	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
		_exit(1);
}

/* In a process of its own, which sees another /etc and another name. */
static void
say_mail_domain(const struct machine *machine, int out)
{
	struct config *config = config_new();

	if (unshare(CLONE_NEWNS | CLONE_NEWUTS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("etc", "/etc", "tmpfs", 0, NULL) != 0 ||
	    sethostname(machine->node, strlen(machine->node)) != 0)
		_exit(77);
	write_etc("/etc/hosts", machine->hosts);
	write_etc("/etc/mailname", machine->mailname);
	finish_hostname(config);
	finish_mail_domain(config);
	if (write(out, config->mail_domain.name,
	    strlen(config->mail_domain.name)) == -1)
		_exit(1);
	_exit(0);
}

/* Its exit status; 77 where there are no namespaces. */
static int
mail_domain_on(const struct machine *machine, char *said, size_t size)
{
	int ends[2], status;
	ssize_t len;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0)
		say_mail_domain(machine, ends[1]);
	assert_true(pid > 0);
	close(ends[1]);
	len = read(ends[0], said, size - 1);
	said[len > 0 ? len : 0] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Whatever the machine is called, mail of its users has a domain. */
static void
test_mail_domain_is_never_empty(void **unused)
{
	struct config *config = config_new();
	char said[DOMAIN_TEXT_MAX];
	size_t i;
	int status;

	(void)unused;
	config->mail_domain.name[0] = '\0';
	mail_domain_of_last_resort(config);
	assert_non_null(strstr(config->mail_domain.name, ".localdomain"));
	finish_mail_domain(config);
	assert_int_not_equal(config->mail_domain.name[0], '\0');
	config_free(&config);
	for (i = 0; i < COUNT(machines); i++) {
		status = mail_domain_on(&machines[i], said, sizeof(said));
		/* Only root can have another /etc: the above has to do. */
		if (status == 77)
			return;
		assert_int_equal(status, 0);
		assert_string_equal(said, machines[i].expected);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_refusals_say_what_is_accepted),
		cmocka_unit_test(test_not_yet),
		cmocka_unit_test(test_once_and_many),
		cmocka_unit_test(test_lists_are_bounded),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_file_that_is_missing),
		cmocka_unit_test(test_line_with_nul_and_long_line),
		cmocka_unit_test(test_many_errors_are_cut),
		cmocka_unit_test(test_overrides),
		cmocka_unit_test(test_bad_overrides),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_configured_listener_is_no_default),
		cmocka_unit_test(test_identity_follows),
		cmocka_unit_test(test_is_local),
		cmocka_unit_test(test_hosts),
		{ "mail-domain is never empty",
		    test_mail_domain_is_never_empty, NULL, NULL, NULL },
		cmocka_unit_test(test_warnings),
		{ "exempt: 90 days at most, a past day is ignored, both with "
		  "a warning", test_exempt_days, NULL, NULL, NULL },
		{ "exempt: a child takes it as the parent counted it",
		  test_exempt_for_children, NULL, NULL, NULL },
		{ "exempt: until its day ends", test_exempt_for, NULL, NULL,
		  NULL },
		{ "exempt: a past line makes room for a new one",
		  test_exempt_again, NULL, NULL, NULL },
		{ "TLS-3207-6-1 tls-required names domains, and what is below "
		  "them", test_tls_required, NULL, NULL, NULL },
		{ "relayhost: a line twice, and a list too long, are refused "
		  "with file and line", test_relayhost_groups, NULL, NULL,
		  NULL },
		{ "a relayhost that listens here is ourselves: refused",
		    test_relayhost_is_ourselves, NULL, NULL, NULL },
		{ "RPT-3-16 that no key signs reports is warned of, once",
		    test_warnings, NULL, NULL, NULL },
		{ "RPT-4.4-2, RPT-4.4-4 defaults of who reports",
		    test_report_defaults, NULL, NULL, NULL },
		{ "report-contact and report-from are of one domain",
		    test_report_domains_agree, NULL, NULL, NULL },
		{ "dkim lines are counted, and each is one key",
		    test_dkim_lines, NULL, NULL, NULL },
		{ "a setting is blamed with its file and line", test_where,
		    NULL, NULL, NULL },
		{ "a pipe without writer is refused",
		    test_pipe_without_writer, NULL, NULL, NULL },
		{ "a pipe of a shell is read to its end",
		    test_pipe_of_a_shell, NULL, NULL, NULL },
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_each_round_trip),
		{ "SMTP-4.5.3.1.7-1 max-message-size is at least 64 KiB, "
		  "SMTP-4.5.3.1.8-1 max-recipients at least 100",
		  test_settings, NULL, NULL, NULL },
		{ "SMTP-4.5.4.1-4 mail is given up after five days",
		  test_expire_is_five_days, NULL, NULL, NULL },
		{ "SMTP-4.5.4.1-4 expire below 4d is warned of",
		  test_warnings, NULL, NULL, NULL },
		{ "SMTP-4.5.4.1-5 the parameters of retry can be configured",
		  test_retry_values, NULL, NULL, NULL },
		{ "SMTP-2.3.5-2 a hostname without dot is warned of, "
		  "EXT-6531-3.7.1-1 one with a U-label refused",
		  test_ehlo_name, NULL, NULL, NULL },
	};

	log_start("test");
	log_set_level(LOG_LEVEL_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
