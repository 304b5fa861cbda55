/*
 * conf/relayhost.c: URLs of next hops, lists of them, and which line of the
 * configuration is meant for which mail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/relayhost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define LABEL_OF_60	"aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb" \
			"cccccccccccccccccccc"

/* ---- URLs ---- */

static const struct url {
	const char		*text;
	const char		*printed;	/* NULL: refused */
	const char		*says;		/* of a refusal */
	enum relayhost_scheme	 scheme;
	const char		*host;
	bool			 direct;
	uint16_t		 port;
} urls[] = {
	{ "smtp://mx.example", "smtp://mx.example", NULL, RELAYHOST_SMTP,
	  "mx.example", false, 25 },
	{ "SMTP://MX.Example.:25", "smtp://mx.example", NULL, RELAYHOST_SMTP,
	  "mx.example", false, 25 },
	{ "smtp://mx.example:587", "smtp://mx.example:587", NULL,
	  RELAYHOST_SMTP, "mx.example", false, 587 },
	{ "smtp://[mx.example]", "smtp://[mx.example]", NULL, RELAYHOST_SMTP,
	  "mx.example", true, 25 },
	{ "submission://mx.example", "submission://mx.example", NULL,
	  RELAYHOST_SUBMISSION, "mx.example", false, 587 },
	{ "submission://[mx.example]:1587", "submission://[mx.example]:1587",
	  NULL, RELAYHOST_SUBMISSION, "mx.example", true, 1587 },
	{ "smtps://mx.example:465", "smtps://mx.example", NULL,
	  RELAYHOST_SMTPS, "mx.example", false, 465 },
	{ "smtps://mx.example:25", "smtps://mx.example:25", NULL,
	  RELAYHOST_SMTPS, "mx.example", false, 25 },
	{ "smtp://[192.0.2.1]", "smtp://[192.0.2.1]", NULL, RELAYHOST_SMTP,
	  "[192.0.2.1]", true, 25 },
	{ "smtp://[2001:DB8::1]:26", "smtp://[IPv6:2001:db8::1]:26", NULL,
	  RELAYHOST_SMTP, "[IPv6:2001:db8::1]", true, 26 },
	{ "smtp://[ipv6:2001:db8:0::1]", "smtp://[IPv6:2001:db8::1]", NULL,
	  RELAYHOST_SMTP, "[IPv6:2001:db8::1]", true, 25 },
	{ "smtp://relay", "smtp://relay", NULL, RELAYHOST_SMTP, "relay",
	  false, 25 },
	{ "smtp://mx.example:1", "smtp://mx.example:1", NULL, RELAYHOST_SMTP,
	  "mx.example", false, 1 },
	{ "smtp://mx.example:65535", "smtp://mx.example:65535", NULL,
	  RELAYHOST_SMTP, "mx.example", false, 65535 },
	{ "SMTP+TLS://[MX.example]:25", "smtp+tls://[mx.example]", NULL,
	  RELAYHOST_SMTP_TLS, "mx.example", true, 25 },
	{ "smtp+tls://mx.example:26", "smtp+tls://mx.example:26", NULL,
	  RELAYHOST_SMTP_TLS, "mx.example", false, 26 },
	{ .text = "", .says = "begins with none of" },
	{ .text = "mx.example", .says = "begins with none of" },
	{ .text = "[mx.example]:25", .says = "begins with none of" },
	{ .text = "smtp:mx.example", .says = "begins with none of" },
	{ .text = "smtp:/mx.example", .says = "begins with none of" },
	{ .text = "https://mx.example", .says = "begins with none of" },
	{ .text = "lmtp://mx.example", .says = "begins with none of" },
	{ .text = " smtp://mx.example", .says = "begins with none of" },
	{ .text = "smtp://", .says = "names no host" },
	{ .text = "smtp://:25", .says = "names no host" },
	{ .text = "smtp://[]", .says = "names no host" },
	{ .text = "smtp://[mx.example", .says = "names no host" },
	{ .text = "smtp://[[192.0.2.1]]", .says = "names no host" },
	{ .text = "smtp://[IPv6:192.0.2.1]", .says = "names no host" },
	{ .text = "smtp://[192.0.2.256]x", .says = "has no port" },
	{ .text = "smtp://192.0.2.1", .says = "stands in brackets" },
	{ .text = "smtp://2001:db8::1", .says = "has no port" },
	{ .text = "smtp://::1", .says = "stands in brackets" },
	{ .text = "smtp://mx..example", .says = "names no host" },
	{ .text = "smtp://mx.example/", .says = "has a \"/\"" },
	{ .text = "submission://[mx.example]/", .says = "has a \"/\"" },
	{ .text = "smtp://a,b", .says = "names no host" },
	{ .text = "smtp://a b", .says = "names no host" },
	{ .text = "smtp://a\x01", .says = "names no host" },
	{ .text = "smtp://b\xc3\xbc" "cher.example", .says = "xn--" },
	{ .text = "smtp://[b\xc3\xbc" "cher.example]", .says = "xn--" },
	{ .text = "smtp://mx.example:", .says = "has no port" },
	{ .text = "smtp://mx.example:0", .says = "has no port" },
	{ .text = "smtp://mx.example:65536", .says = "has no port" },
	{ .text = "smtp://mx.example:-1", .says = "has no port" },
	{ .text = "smtp://mx.example:25/", .says = "has a \"/\"" },
	{ .text = "smtp://[mx.example]25", .says = "has no port" },
	{ .text = "smtp://me@mx.example", .says = "not yet" },
	{ .text = "submission://me:secret@mx.example", .says = "not yet" },
	{ .text = "smtp://" LABEL_OF_60 "." LABEL_OF_60 "." LABEL_OF_60 "."
	  LABEL_OF_60 "." LABEL_OF_60, .says = "names no host" },
};

static void
check_url(const struct url *row, const struct relayhost *relay)
{
	char text[RELAYHOST_TEXT_MAX];
	struct relayhost again;
	const char *why;

	assert_string_equal(relayhost_print(relay, text), row->printed);
	assert_int_equal(relay->scheme, row->scheme);
	assert_string_equal(relay->host.name, row->host);
	assert_int_equal(relay->direct, row->direct);
	assert_int_equal(relay->port, row->port);
	/* What is printed is taken for the same. */
	assert_true(relayhost_parse(slice_of(text), &again, &why));
	assert_int_equal(again.scheme, relay->scheme);
	assert_true(domain_equal(&again.host, &relay->host));
	assert_int_equal(again.direct, relay->direct);
	assert_int_equal(again.port, relay->port);
	assert_true(relayhost_is(text));
}

static void
test_urls(void **unused)
{
	const struct url *row;
	struct relayhost relay;
	const char *why = "";

	(void)unused;
	for (row = urls; row < urls + COUNT(urls); row++) {
		if (!relayhost_parse(slice_of(row->text), &relay, &why)) {
			if (row->printed != NULL ||
			    strstr(why, row->says) == NULL)
				fail_msg("%s: %s", row->text, why);
			continue;
		}
		if (row->printed == NULL)
			fail_msg("%s is taken", row->text);
		check_url(row, &relay);
	}
}

/* ---- lists ---- */

static void
test_lists(void **unused)
{
	static const char list[] = "smtp://a.example,smtps://[IPv6:::1]:1,"
	    "submission://b.example";
	char url[DOMAIN_TEXT_MAX];

	(void)unused;
	assert_true(relayhost_is(list));
	assert_false(relayhost_is("example.org"));
	assert_false(relayhost_is("[IPv6:::1]"));
	assert_false(relayhost_is(""));
	assert_true(relayhost_nth(list, 0, url));
	assert_string_equal(url, "smtp://a.example");
	assert_true(relayhost_nth(list, 1, url));
	assert_string_equal(url, "smtps://[IPv6:::1]:1");
	assert_true(relayhost_nth(list, 2, url));
	assert_string_equal(url, "submission://b.example");
	assert_false(relayhost_nth(list, 3, url));
	assert_false(relayhost_nth(list, 4000000000u, url));
	assert_true(relayhost_nth("smtp://a.example", 0, url));
	assert_string_equal(url, "smtp://a.example");
	assert_false(relayhost_nth("smtp://a.example", 1, url));
}

/* ---- senders ---- */

static struct mailbox
mailbox_of(const char *text)
{
	struct mailbox mailbox;

	memset(&mailbox, 0, sizeof(mailbox));
	if (text[0] != '\0')
		assert_true(mailbox_parse(slice_of(text), &mailbox));
	return mailbox;
}

static void
test_senders(void **unused)
{
	static const struct {
		const char	*pattern, *sender;
		bool		 fits;
	} rows[] = {
		{ "me@a.example", "me@a.example", true },
		{ "me@a.example", "me@A.EXAMPLE", true },
		{ "me@a.example", "Me@a.example", false },
		{ "me@a.example", "you@a.example", false },
		{ "me@a.example", "me@b.example", false },
		{ "me@a.example", "", false },
		{ "@a.example", "me@a.example", true },
		{ "*@a.example", "you@a.example", true },
		{ "@a.example", "me@x.a.example", false },
		{ "@a.example", "", false },
		{ "*@a.example", "", false },
		{ "\"a b\"@a.example", "\"a b\"@a.example", true },
		{ "\"a@b\"@a.example", "\"a@b\"@a.example", true },
		{ "\"me\"@a.example", "me@a.example", true },
		{ "<>", "", true },
		{ "<>", "me@a.example", false },
		{ "", "me@a.example", false },
		{ "", "", false },
		{ "me", "me@a.example", false },
		{ "@", "me@a.example", false },
	};
	struct mailbox sender;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		sender = mailbox_of(rows[i].sender);
		if (relayhost_is_sender(rows[i].pattern, &sender) !=
		    rows[i].fits)
			fail_msg("%s, %s", rows[i].pattern, rows[i].sender);
	}
}

/* ---- choosing ---- */

/* A configuration of these lines, which "|" separates. */
static struct config *
config_of(const char *lines)
{
	struct slice rest = slice_of(lines), line;
	struct buffer error = { NULL, 0, 0 };
	struct config *config = config_new();
	char text[512];

	while (rest.len > 0) {
		line = slice_cut(&rest, '|');
		assert_true(slice_store(line, text, sizeof(text)));
		if (!config_set(config, "relayhost", text, &error))
			fail_msg("%s", error.text);
	}
	return config;
}

static const struct choice_row {
	const char	*lines, *sender, *domain;
	const char	*expected;	/* NULL: to its domain */
} choices[] = {
	{ "", "me@a.example", "b.example", NULL },
	{ "smtp://x", "me@a.example", "b.example", "smtp://x" },
	{ "smtp://x", "", "b.example", "smtp://x" },
	{ "smtp://x", "me@a.example", "[192.0.2.1]", "smtp://x" },
	/* alternatives, in their order */
	{ "smtp://x|smtps://y|smtp://z", "me@a.example", "b.example",
	  "smtp://x,smtps://y,smtp://z" },
	{ "smtp://x|smtp://f for=c.example|smtp://y", "me@a.example",
	  "b.example", "smtp://x,smtp://y" },
	/* for= */
	{ "smtp://f for=b.example", "me@a.example", "b.example",
	  "smtp://f" },
	{ "smtp://f for=b.example", "me@a.example", "x.b.example", NULL },
	{ "smtp://f for=.b.example", "me@a.example", "x.b.example",
	  "smtp://f" },
	{ "smtp://f for=.b.example", "me@a.example", "b.example",
	  "smtp://f" },
	{ "smtp://f for=.b.example", "me@a.example", "xb.example", NULL },
	{ "smtp://x|smtp://f for=b.example", "me@a.example", "b.example",
	  "smtp://f" },
	/* the more exact one */
	{ "smtp://f for=.example|smtp://g for=.b.example|"
	  "smtp://h for=x.b.example", "me@a.example", "x.b.example",
	  "smtp://h" },
	{ "smtp://f for=.example|smtp://g for=.b.example|"
	  "smtp://h for=x.b.example", "me@a.example", "y.b.example",
	  "smtp://g" },
	{ "smtp://f for=.example|smtp://g for=.b.example", "me@a.example",
	  "c.example", "smtp://f" },
	/* for=b and for=.b are two kinds of selectors, equally exact here */
	{ "smtp://f for=b.example|smtp://g for=.b.example", "me@a.example",
	  "b.example", "smtp://f" },
	{ "smtp://g for=.b.example|smtp://f for=b.example", "me@a.example",
	  "b.example", "smtp://g" },
	/* sender= */
	{ "smtp://s sender=@a.example", "me@a.example", "b.example",
	  "smtp://s" },
	{ "smtp://s sender=@a.example", "me@c.example", "b.example", NULL },
	{ "smtp://s sender=@a.example|smtp://t sender=me@a.example",
	  "me@a.example", "b.example", "smtp://t" },
	{ "smtp://s sender=<>|smtp://x", "", "b.example", "smtp://s" },
	{ "smtp://s sender=<>|smtp://x", "me@a.example", "b.example",
	  "smtp://x" },
	{ "smtp://s sender=*@a.example|smtp://t sender=@a.example",
	  "me@a.example", "b.example", "smtp://s,smtp://t" },
	/* for= before sender=, both before either */
	{ "smtp://s sender=me@a.example|smtp://f for=.example",
	  "me@a.example", "b.example", "smtp://f" },
	{ "smtp://f for=b.example|smtp://sf sender=@a.example for=.example",
	  "me@a.example", "b.example", "smtp://sf" },
	{ "smtp://f for=b.example|smtp://sf sender=@a.example for=.example",
	  "me@c.example", "b.example", "smtp://f" },
	{ "smtp://sf sender=@a.example for=c.example", "me@a.example",
	  "b.example", NULL },
};

static void
test_choose(void **unused)
{
	char next_hop[DOMAIN_TEXT_MAX];
	const struct choice_row *row;
	struct mailbox sender;
	struct domain domain;
	struct config *config;
	bool chosen;

	(void)unused;
	for (row = choices; row < choices + COUNT(choices); row++) {
		config = config_of(row->lines);
		sender = mailbox_of(row->sender);
		assert_true(domain_parse(slice_of(row->domain), &domain));
		chosen = relayhost_choose(config, &sender, &domain,
		    next_hop);
		if (chosen != (row->expected != NULL) ||
		    (chosen && strcmp(next_hop, row->expected) != 0))
			fail_msg("%s; %s to %s: %s", row->lines, row->sender,
			    row->domain, chosen ? next_hop : "its domain");
		config_free(&config);
	}
}

/* ---- tls-required ---- */

static void
test_required(void **unused)
{
	static const char *const rows[][2] = {
		{ "smtp://a.example", "smtp+tls://a.example" },
		{ "smtp://[a.example]:26,smtps://b.example,"
		  "submission://c.example,smtp://d.example",
		  "smtp+tls://[a.example]:26,smtps://b.example,"
		  "submission://c.example,smtp+tls://d.example" },
		{ "smtp+tls://a.example", "smtp+tls://a.example" },
		{ "smtps://a.example", "smtps://a.example" },
	};
	char required[DOMAIN_TEXT_MAX];
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		assert_true(relayhost_require(rows[i][0], required));
		assert_string_equal(required, rows[i][1]);
	}
}

/* A recipient's domain decides, and what it makes of relays alone. */
static void
test_choose_required(void **unused)
{
	static const char *const rows[][2] = {
		{ "secret.example", "smtp+tls://a.example,smtps://b.example" },
		{ "x.below.example",
		  "smtp+tls://a.example,smtps://b.example" },
		{ "below.example", "smtp+tls://a.example,smtps://b.example" },
		{ "x.secret.example", "smtp://a.example,smtps://b.example" },
		{ "a.example", "smtp://a.example,smtps://b.example" },
		{ "proven.secret.example", "smtps://c.example" },
	};
	struct config *config = config_of("smtp://a.example|"
	    "smtps://b.example|smtps://c.example for=proven.secret.example");
	struct mailbox sender = mailbox_of("me@here.example");
	struct buffer error = { NULL, 0, 0 };
	char next_hop[DOMAIN_TEXT_MAX];
	struct domain domain;
	size_t i;

	(void)unused;
	assert_true(config_set(config, "tls-required", "secret.example "
	    ".below.example proven.secret.example", &error));
	for (i = 0; i < COUNT(rows); i++) {
		assert_true(domain_parse(slice_of(rows[i][0]), &domain));
		assert_true(relayhost_choose(config, &sender, &domain,
		    next_hop));
		assert_string_equal(next_hop, rows[i][1]);
	}
	config_free(&config);
}

/* ---- what one next hop can hold ---- */

/* Lines whose URLs are so many octets, each with a sender of its own. */
static void
test_fits(void **unused)
{
	struct config_relayhost lines[3];
	struct config config = { .relayhosts = lines, .relayhosts_n = 3 };
	char text[3][DOMAIN_TEXT_MAX], next_hop[DOMAIN_TEXT_MAX];
	struct mailbox sender = mailbox_of("me@a.example");
	struct domain domain = { "b.example" };
	size_t i;

	(void)unused;
	memset(lines, 0, sizeof(lines));
	for (i = 0; i < 3; i++) {
		memset(text[i], 'x', 80);
		memcpy(text[i], "smtp://", 7);
		text[i][80] = '\0';
		lines[i].url = text[i];
	}
	/*
	 * 3 * 80, three times "+tls" and two commas are 254: an octet is
	 * left.
	 */
	assert_true(relayhost_fits(&config, 0));
	assert_true(relayhost_choose(&config, &sender, &domain, next_hop));
	assert_int_equal(strlen(next_hop), 242);
	strcat(text[1], "y");
	assert_true(relayhost_fits(&config, 2));
	strcat(text[2], "z");
	assert_false(relayhost_fits(&config, 0));
	/* Of other selectors: a list of its own. */
	lines[1].for_some = true;
	lines[1].for_domain = (struct config_domains){ { "c" }, false };
	assert_true(relayhost_fits(&config, 0));
	assert_true(relayhost_fits(&config, 1));
	assert_true(relayhost_has(&config, &lines[1]));
	lines[1].for_some = false;
	assert_false(relayhost_has(&config, &(struct config_relayhost){
	    .url = (char *)(uintptr_t)"smtp://other" }));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "URLs are taken, refused and printed", test_urls, NULL,
		    NULL, NULL },
		{ "a next hop is a list of URLs", test_lists, NULL, NULL,
		    NULL },
		{ "TLS-3207-6-1 the list of a recipient in tls-required",
		    test_required, NULL, NULL, NULL },
		{ "TLS-3207-6-1 tls-required chooses it",
		    test_choose_required, NULL, NULL, NULL },
		{ "sender= fits", test_senders, NULL, NULL, NULL },
		{ "which line is meant for which mail", test_choose, NULL,
		    NULL, NULL },
		{ "alternatives that one next hop can hold", test_fits, NULL,
		    NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
