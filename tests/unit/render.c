/*
 * conf/render.c: answers as people see them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/mem.h"
#include "conf/render.h"

#include <stdlib.h>
#include <string.h>

/* What comes out of these octets, given in pieces of so many. */
static char *
rendered(enum render_form form, const char *octets, size_t piece)
{
	struct render *render;
	char *text = NULL;
	size_t size = 0, len = strlen(octets), part;
	FILE *out = open_memstream(&text, &size);

	render = render_new(form, out);
	for (; len > 0; len -= part, octets += part) {
		part = len < piece ? len : piece;
		render_add(render, octets, part);
	}
	render_end(&render);
	assert_null(render);
	fclose(out);
	return text;
}

struct row {
	enum render_form form;
	const char	*octets, *expected;
};

static const struct row rows[] = {
	{ RENDER_JSON, "{\"a\":1}\n{", "{\"a\":1}\n{" },
	{ RENDER_TABLE, "", "" },
	{ RENDER_TABLE, "{\"name\":\"x\",\"some_count\":5}\n"
	  "{\"name\":\"longer\",\"some_count\":12345678901}\n",
	  "NAME     SOME COUNT\n"
	  "x                 5\n"
	  "longer  12345678901\n" },
	{ RENDER_TABLE, "{\"a\":\"x\",\"b\":true,\"c\":null,\"d\":[1,2],"
	  "\"e\":{\"k\":\"v\",\"l\":0.5}}\n",
	  "A  B    C  D     E\n"
	  "x  yes     1, 2  k=v l=0.5\n" },
	/* Another kind of object: another table. */
	{ RENDER_TABLE, "{\"a\":\"1\"}\n{\"a\":\"2\"}\n{\"b\":\"3\"}\n",
	  "A\n1\n2\n\nB\n3\n" },
	/* The last line may lack its end; what is no JSON is shown. */
	{ RENDER_TABLE, "{\"a\":\"1\"}\nwhat?\n{\"a\":\"2\"}",
	  "what?\nA\n1\n2\n" },
	/* Characters count, not octets; controls do not reach a terminal. */
	{ RENDER_TABLE, "{\"a\":\"\xc3\xa4\xc3\xb6\",\"b\":\"x\"}\n"
	  "{\"a\":\"abc\",\"b\":\"\\u001b[31m\\n\\u009bx\"}\n",
	  "A    B\n\xc3\xa4\xc3\xb6   x\nabc  ?[31m ?x\n" },
	{ RENDER_OBJECT, "{\"valid\":true,\"mx\":[\"a\",\"b\"],\"id\":\"\"}\n",
	  "valid  yes\nmx     a, b\nid\n" },
	{ RENDER_OBJECT, "{\"a\":1}\n{\"a\":2}\n", "a  1\n\na  2\n" },
	{ RENDER_OBJECT, "{\"x\":{\"long_key\":1,\"y\":\"z\"},\"n\":"
	  "[{\"a\":1},{\"a\":2}],\"error\":null}\n",
	  "x\n    long_key  1\n    y         z\n"
	  "n 1\n    a  1\nn 2\n    a  2\n"
	  "error\n" },
	{ RENDER_ADDRESSES, "{\"valid\":true,\"local\":\"a\",\"domain\":\"b\"}"
	  "\n{\"valid\":false,\"reason\":\"empty\",\"clause\":\"RFC 5321 4.1.2"
	  "\"}\n",
	  "VALID  LOCAL  DOMAIN  REASON  CLAUSE\n"
	  "yes    a      b\n"
	  "no                    empty   RFC 5321 4.1.2\n" },
	/* Text made by the program is not touched. */
	{ RENDER_TEXT, "TLS report\n  {not json}\n\n{\"a\":1}\nend",
	  "TLS report\n  {not json}\n\n{\"a\":1}\nend" },
	{ RENDER_REPORTS, "{\"domain\":\"a.example\",\"day\":\"2026-11-24\","
	  "\"phase\":\"sending\",\"succeeded\":5,\"failed\":2,\"report_id\":"
	  "\"i\",\"receivers\":[{\"uri\":\"mailto:r@a.example\",\"phase\":"
	  "\"owed\",\"attempts\":1,\"next\":\"n1\",\"last\":\"l\"},{\"uri\":"
	  "\"https://b.example/r\",\"phase\":\"waiting\",\"attempts\":3,"
	  "\"next\":\"n2\",\"code\":503,\"text\":\"HTTP 503\","
	  "\"unverified\":true},{\"uri\":\"mailto:x@c.example\",\"phase\":"
	  "\"left-alone\",\"attempts\":3,\"code\":0,\"text\":\"no\"}]}\n"
	  "{\"domain\":\"b.example\",\"day\":\"2026-11-25\",\"phase\":"
	  "\"counting\",\"due\":true,\"succeeded\":10,\"failed\":0,"
	  "\"receivers\":[]}\n"
	  "{\"domain\":\"c.example\",\"day\":\"2026-11-24\",\"phase\":"
	  "\"unwanted\",\"succeeded\":1,\"failed\":0,\"next\":\"n3\",\"why\":"
	  "\"no record\"}\n",
	  "DOMAIN     DAY         PHASE     GOOD  FAILED  RECEIVER             "
	  "STATE       TRIES  NEXT  WHY\n"
	  "a.example  2026-11-24  sending      5       2  mailto:r@a.example   "
	  "owed            1  n1\n"
	  "                                               https://b.example/r  "
	  "waiting         3  n2    HTTP 503; certificate not verified\n"
	  "                                               mailto:x@c.example   "
	  "left-alone      3        no\n"
	  "b.example  2026-11-25  due         10       0\n"
	  "c.example  2026-11-24  unwanted     1       0                       "
	  "                   n3    no record\n" },
	{ RENDER_KEY, "{\"domain\":\"a.example\",\"selector\":\"s\",\"file\":"
	  "\"/etc/a b.key\",\"type\":\"rsa\",\"bits\":2048,\"record\":{\"name\""
	  ":\"s._domainkey.a.example\",\"type\":\"TXT\",\"value\":\"v=DKIM1\","
	  "\"zone\":\"s._domainkey.a.example. IN TXT ( \\\"v=DK\\\" \\\"IM1\\\""
	  " )\"},\"config\":\"dkim a.example s \\\"/etc/a b.key\\\"\",\""
	  "warnings\":[\"less than 2048\"]}\n",
	  "/etc/a b.key holds a new key (rsa, 2048 bits).\n"
	  "  warning     less than 2048\n\n"
	  "Publish this record:\n\n"
	  "s._domainkey.a.example. IN TXT ( \"v=DK\" \"IM1\" )\n\n"
	  "Then have it used, in culver.conf:\n\n"
	  "dkim a.example s \"/etc/a b.key\"\n" },
	{ RENDER_KEY_CHECK, "{\"domain\":\"a.example\",\"selector\":\"s\","
	  "\"verdict\":\"another-key\",\"text\":\"the key is another\","
	  "\"warnings\":[\"t=y\",\"s=email\"]}\n",
	  "s._domainkey.a.example: another key is published\n"
	  "  why         the key is another\n"
	  "  warning     t=y\n"
	  "  warning     s=email\n" },
	{ RENDER_KEY_CHECK, "{\"domain\":\"a.example\",\"selector\":\"s\","
	  "\"verdict\":\"absent\",\"text\":\"there is none\",\"record\":{"
	  "\"zone\":\"s. IN TXT ( \\\"p=\\\" )\"},\"warnings\":[\"t=y\"]}\n",
	  "s._domainkey.a.example: no key is published\n"
	  "  why         there is none\n"
	  "  warning     t=y\n\n"
	  "The record of the file's key:\n\n"
	  "s. IN TXT ( \"p=\" )\n" },
	{ RENDER_KEY_CHECK, "{\"domain\":\"a.example\",\"selector\":\"s\","
	  "\"verdict\":\"fits\",\"warnings\":[]}\n",
	  "s._domainkey.a.example: the published key fits\n" },
	{ RENDER_KEY_CHECK, "{\"domain\":\"a\",\"selector\":\"s\","
	  "\"verdict\":\"sometimes\"}\n", "s._domainkey.a: sometimes\n" },
	{ RENDER_POLICIES, "{\"domain\":\"d.example\",\"id\":\"1\",\"mode\":"
	  "\"enforce\",\"max_age\":5,\"mx\":[\"a\",\"*.b\"],\"fetched\":\"f\","
	  "\"expires\":\"e\",\"checked\":\"c\",\"error\":{\"result\":"
	  "\"sts-policy-fetch-error\",\"text\":\"HTTP 404\"}}\n",
	  "DOMAIN     MODE     ID  EXPIRES  MX      ERROR\n"
	  "d.example  enforce  1   e        a, *.b  "
	  "result=sts-policy-fetch-error text=HTTP 404\n" },
	/* What is held: until when. */
	{ RENDER_QUEUE, "{\"id\":\"1f\",\"from\":\"x\",\"size\":1,"
	  "\"arrived\":\"2026\",\"recipients\":[{\"to\":\"a@b\",\"state\":"
	  "\"held\",\"attempts\":0,\"next\":null,\"held_by\":\"domain\","
	  "\"held_until\":\"2027\",\"last\":null},{\"to\":\"c@d\",\"state\":"
	  "\"held\",\"attempts\":0,\"next\":null,\"held_until\":null}]}\n",
	  "ID  SIZE  ARRIVED  FROM  TO   STATE  TRIES  NEXT             REASON\n"
	  "1f     1  2026     x     a@b  held       0  held until 2027\n"
	  "                         c@d  held       0\n" },
	{ RENDER_DOMAINS, "{\"domain\":\"a.example\",\"class\":\"mail\","
	  "\"state\":\"held\",\"waiting\":7,\"failures\":0,\"next\":null,"
	  "\"held\":true,\"held_until\":\"2027\",\"proof\":\"dane\","
	  "\"last\":null}\n{\"domain\":\"b.example\",\"class\":\"mail\","
	  "\"state\":\"backoff\",\"waiting\":12,\"failures\":3,\"next\":"
	  "\"2028\",\"held_until\":null,\"proof\":\"none\",\"last\":"
	  "{\"enhanced\":\"4.4.1\",\"text\":\"no\",\"clause\":\"\"}}\n",
	  "DOMAIN     CLASS  STATE    WAITING  FAILURES  NEXT             "
	  "PROOF  REASON\n"
	  "a.example  mail   held           7         0  held until 2027  dane\n"
	  "b.example  mail   backoff       12         3  2028             none   "
	  "4.4.1 no\n" },
	{ RENDER_QUEUE, "{\"id\":\"1f\",\"from\":\"\",\"size\":12,\"tags\":[],"
	  "\"arrived\":\"2026\",\"recipients\":[{\"to\":\"a@b\",\"state\":"
	  "\"waiting\",\"attempts\":2,\"next\":\"2027\",\"last\":{\"host\":"
	  "\"h\",\"address\":\"x\",\"code\":450,\"enhanced\":\"4.7.5\","
	  "\"text\":\"no\\ntls\",\"verdict\":\"next\",\"clause\":\"RFC 8461 5\""
	  "}},{\"to\":\"c@d\",\"state\":\"active\",\"attempts\":0,\"next\":"
	  "null,\"last\":null}]}\n",
	  "ID  SIZE  ARRIVED  FROM  TO   STATE    TRIES  NEXT  REASON\n"
	  "1f    12  2026     <>    a@b  waiting      2  2027  "
	  "450 4.7.5 no tls (RFC 8461 5)\n"
	  "                         c@d  active       0\n" },
	{ RENDER_EXPLAIN, "{\"id\":\"1f\",\"time\":\"2026\",\"domain\":"
	  "\"d.example\",\"recipients\":[\"a@d.example\",\"b@d.example\"],"
	  "\"policy\":{\"type\":\"sts\",\"id\":\"7\",\"mode\":\"enforce\"},"
	  "\"hosts\":[{\"host\":\"mx.d.example\",\"address\":\"192.0.2.1\","
	  "\"facts\":{\"starttls\":\"done\",\"certificate\":\"expired\"},"
	  "\"requirement\":\"pkix\",\"verdict\":\"next\",\"clause\":"
	  "\"RFC 8461 4.2\",\"tls\":{\"version\":\"TLSv1.3\",\"cipher\":\"X\"},"
	  "\"reply\":\"\",\"rule\":\"certificate\",\"repair\":\"renew it\"},"
	  "{\"host\":\"old.example\",\"address\":null}],"
	  "\"outcome\":\"deferred\"}\n"
	  "{\"time\":\"2027\",\"domain\":\"d.example\"}\n",
	  "2026  d.example  deferred\n"
	  "  message     1f\n"
	  "  for         a@d.example, b@d.example\n"
	  "  policy      MTA-STS enforce, id 7\n"
	  "\n"
	  "  mx.d.example [192.0.2.1]\n"
	  "    found       STARTTLS done, certificate expired\n"
	  "    TLS         TLSv1.3, X\n"
	  "    must prove  a certificate for its name, of a known CA, in date\n"
	  "    verdict     not good enough: it was given no mail\n"
	  "    rule        certificate, RFC 8461 4.2\n"
	  "    to mend it  renew it\n"
	  "\n"
	  "  old.example\n"
	  "\n"
	  "2027  d.example  not attempted yet\n" },
	/* Nothing is cut, nor said twice; what is not known is shown as is. */
	{ RENDER_EXPLAIN, "{\"id\":\"1f\",\"time\":\"2026\",\"domain\":"
	  "\"d\",\"policy\":{\"type\":\"tlsa\",\"id\":\"7\",\"mode\":"
	  "\"testing\"},\"hosts\":[{\"host\":\"h\",\"facts\":{\"policy\":"
	  "\"tlsa\",\"sts\":\"testing\",\"sts_id\":\"7\",\"sts_cached\":true,"
	  "\"mx_match\":false,\"mx_secure\":true,\"tlsa\":\"failed\","
	  "\"connected\":false,\"starttls\":\"\",\"policy_error\":"
	  "\"sts-policy-fetch-error: HTTP 403\",\"new_fact\":\"x\"},"
	  "\"requirement\":\"new\",\"verdict\":\"unreachable\",\"rule\":\"\","
	  "\"clause\":\"RFC 5321 5.1\",\"reply\":\"450 \u00e4\u00e4\u00e4\u00e4 "
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx 1 2 "
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	  "xxxxxxxxxxxx\",\"more\":5,\"repair\":\"Mend it.\"}],\"outcome\":"
	  "\"failed\",\"enhanced\":\"5.4.4\",\"rule\":\"r\",\"clause\":\"c\","
	  "\"repair\":\"Mend it.\",\"text\":\"h: Mend it.\"}\n",
	  "2026  d  failed 5.4.4\n"
	  "  message     1f\n"
	  "  policy      DANE: the host's TLSA records; MTA-STS testing, id 7;\n"
	  "              sts-policy-fetch-error: HTTP 403\n"
	  "  rule        r, c\n"
	  "\n"
	  "  h\n"
	  "    found       the policy is the one kept from before, not covered "
	  "by the\n"
	  "                policy, MX signed, the answer about TLSA records is "
	  "broken, not\n"
	  "                connected, new fact x\n"

	  "    must prove  new\n"
	  "    verdict     could not be reached\n"
	  "    rule        RFC 5321 5.1\n"
	  "    reply       450 \u00e4\u00e4\u00e4\u00e4\n"
	  "                "
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx 1 2\n"
	  "                "
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	  "xxxxxxxxxxxx\n"
	  "    more        5\n"
	  "    to mend it  Mend it.\n" },
	{ RENDER_EXPLAIN, "{\"time\":\"2026\",\"domain\":\"d\",\"policy\":"
	  "{\"type\":\"\",\"id\":\"\",\"mode\":\"\"},\"hosts\":[],"
	  "\"outcome\":\"deferred\"}\n",
	  "2026  d  deferred\n"
	  "  policy      not known: no host was found\n" },
	/* Without a host the attempt says itself why, and what would help. */
	{ RENDER_EXPLAIN, "{\"time\":\"2026\",\"domain\":\"d\",\"policy\":"
	  "{\"type\":\"no-policy-found\",\"id\":\"\",\"mode\":\"\"},\"hosts\":"
	  "[],\"outcome\":\"deferred\",\"enhanced\":\"4.4.3\",\"rule\":\"\","
	  "\"clause\":\"RFC 5321 5.1\",\"text\":\"SERVFAIL\",\"repair\":"
	  "\"Look at the domain's name servers.\"}\n",
	  "2026  d  deferred 4.4.3\n"
	  "  policy      none found\n"
	  "  why         SERVFAIL\n"
	  "  rule        RFC 5321 5.1\n"
	  "  to mend it  Look at the domain's name servers.\n" },
};

static void
test_rows(void **unused)
{
	static const size_t pieces[] = { 1, 7, 100000 };
	char *text;
	size_t i, j;

	(void)unused;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (j = 0; j < 3; j++) {
			text = rendered(rows[i].form, rows[i].octets,
			    pieces[j]);
			assert_string_equal(text, rows[i].expected);
			free(text);
		}
}

/* More rows than a block holds: one heading, every row, in order. */
static void
test_many_rows(void **unused)
{
	struct buffer json = { NULL, 0, 0 }, expected = { NULL, 0, 0 };
	char *text;
	int i;

	(void)unused;
	buffer_printf(&expected, "%5s\n", "N");
	for (i = 0; i < 1700; i++) {
		buffer_printf(&json, "{\"n\":%d}\n", 10000 + i);
		buffer_printf(&expected, "%5d\n", 10000 + i);
	}
	text = rendered(RENDER_TABLE, json.text, 4096);
	assert_string_equal(text, expected.text);
	free(text);
	buffer_free(&json);
	buffer_free(&expected);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_many_rows),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
