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
	{ RENDER_POLICIES, "{\"domain\":\"d.example\",\"id\":\"1\",\"mode\":"
	  "\"enforce\",\"max_age\":5,\"mx\":[\"a\",\"*.b\"],\"fetched\":\"f\","
	  "\"expires\":\"e\",\"checked\":\"c\",\"error\":{\"result\":"
	  "\"sts-policy-fetch-error\",\"text\":\"HTTP 404\"}}\n",
	  "DOMAIN     MODE     ID  EXPIRES  MX      ERROR\n"
	  "d.example  enforce  1   e        a, *.b  "
	  "result=sts-policy-fetch-error text=HTTP 404\n" },
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
	  "  message      1f\n"
	  "  recipients   a@d.example, b@d.example\n"
	  "  policy       type=sts id=7 mode=enforce\n"
	  "  host mx.d.example [192.0.2.1]\n"
	  "    facts        starttls=done certificate=expired\n"
	  "    must prove   pkix\n"
	  "    tls          version=TLSv1.3 cipher=X\n"
	  "    verdict      next (RFC 8461 4.2)\n"
	  "    rule         certificate\n"
	  "    repair       renew it\n"
	  "  host old.example\n"
	  "\n"
	  "2027  d.example  not attempted yet\n" },
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
