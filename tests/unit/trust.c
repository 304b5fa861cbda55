/*
 * Whose AD bit counts: what the probes prove, and which resolvers are used
 * then.
 */
#include "policy/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static struct rr_answer
answer_of(enum rr_status status, bool secure, size_t records_n)
{
	struct rr_answer answer = {
		.status = status, .secure = secure, .records_n = records_n
	};

	return answer;
}

static void
test_judge(void **state)
{
	/* The bogus name: not asked, data, and everything else. */
	enum { UNASKED, DATA, SERVFAIL, NXDOMAIN, NODATA, BROKEN, BOGUS_N };
	const struct rr_answer bogus[] = {
		[DATA] = answer_of(RR_OK, false, 1),
		[SERVFAIL] = answer_of(RR_SERVFAIL, false, 0),
		[NXDOMAIN] = answer_of(RR_NXDOMAIN, true, 0),
		[NODATA] = answer_of(RR_OK, true, 0),
		[BROKEN] = answer_of(RR_MALFORMED, false, 0)
	};
	static const struct {
		enum rr_status		status;
		bool			secure;
		size_t			records_n;
		enum trust_proof	proof;	/* unless bogus data came */
	} rows[] = {
		{ RR_OK, true, 1, TRUST_PROVEN },
		{ RR_OK, true, 0, TRUST_PROVEN },
		{ RR_NXDOMAIN, true, 0, TRUST_PROVEN },
		{ RR_OK, false, 1, TRUST_REFUSED },
		{ RR_OK, false, 0, TRUST_REFUSED },
		{ RR_NXDOMAIN, false, 0, TRUST_REFUSED },
		{ RR_SERVFAIL, false, 0, TRUST_SILENT },
		{ RR_MALFORMED, false, 0, TRUST_SILENT },
	};
	struct rr_answer asked;
	enum trust_proof wanted;
	size_t i;
	int which;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		for (which = UNASKED; which < BOGUS_N; which++) {
			asked = answer_of(rows[i].status, rows[i].secure,
			    rows[i].records_n);
			wanted = rows[i].proof;
			if (which == DATA && wanted == TRUST_PROVEN)
				wanted = TRUST_REFUSED;
			assert_int_equal(trust_judge(&asked,
			    which == UNASKED ? NULL : &bogus[which]), wanted);
		}
}

static enum trust_proof
proof_of(char letter)
{
	switch (letter) {
	case 'r':
		return TRUST_REMOTE;
	case 's':
		return TRUST_SILENT;
	case 'p':
		return TRUST_PROVEN;
	default:
		return TRUST_REFUSED;
	}
}

static void
test_choose(void **state)
{
	/* r remote, s silent, p proven, x refused; masks as letters */
	static const struct {
		const char		*proofs;
		enum trust_state	 state;
		const char		*used, *believed;
	} rows[] = {
		{ "p", TRUST_ON, "u", "u" },
		{ "x", TRUST_OFF, "u", "-" },
		{ "s", TRUST_WAITING, "-", "-" },
		{ "r", TRUST_OFF, "u", "-" },
		{ "rr", TRUST_OFF, "uu", "--" },
		{ "pr", TRUST_ON, "u-", "u-" },
		{ "rp", TRUST_ON, "-u", "-u" },
		{ "px", TRUST_ON, "u-", "u-" },
		{ "ps", TRUST_ON, "u-", "u-" },
		{ "pp", TRUST_ON, "uu", "uu" },
		{ "xs", TRUST_OFF, "uu", "--" },
		{ "sx", TRUST_OFF, "uu", "--" },
		{ "sr", TRUST_WAITING, "--", "--" },
		{ "ss", TRUST_WAITING, "--", "--" },
		{ "xr", TRUST_OFF, "uu", "--" },
		{ "sprxs", TRUST_ON, "-u---", "-u---" },
		{ "rrrrrrrr", TRUST_OFF, "uuuuuuuu", "--------" },
	};
	enum trust_proof proofs[RESOLVERS_MAX];
	struct trust_choice choice;
	unsigned n, j;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		n = (unsigned)strlen(rows[i].proofs);
		for (j = 0; j < n; j++)
			proofs[j] = proof_of(rows[i].proofs[j]);
		choice = trust_choose(proofs, n);
		assert_int_equal(choice.state, rows[i].state);
		for (j = 0; j < n; j++) {
			assert_int_equal(choice.used >> j & 1,
			    rows[i].used[j] == 'u');
			assert_int_equal(choice.believed >> j & 1,
			    rows[i].believed[j] == 'u');
		}
		assert_int_equal(choice.used >> n, 0);
	}
}

/* Whatever the set: AD of an unproven one never counts, nor beside one. */
static void
test_never_mixed(void **state)
{
	enum trust_proof proofs[4];
	struct trust_choice choice;
	unsigned all, i;

	(void)state;
	for (all = 0; all < 256; all++) {
		for (i = 0; i < 4; i++)
			proofs[i] = (enum trust_proof)(all >> 2 * i & 3);
		choice = trust_choose(proofs, 4);
		for (i = 0; i < 4; i++) {
			if (choice.believed >> i & 1)
				assert_int_equal(proofs[i], TRUST_PROVEN);
			if (choice.state == TRUST_ON)
				assert_int_equal(choice.used,
				    choice.believed);
			else
				assert_int_equal(choice.believed, 0);
		}
	}
}

static void
test_parse(void **state)
{
	static const struct {
		const char	*text, *list;
	} rows[] = {
		{ "", "" },
		{ "127.0.0.1:53", "127.0.0.1 53" },
		{ "127.0.0.1:53 [::1]:5353", "127.0.0.1 53,::1 5353" },
		{ "  127.0.0.1:53   192.0.2.1:1 ",
		    "127.0.0.1 53,192.0.2.1 1" },
		{ "nonsense 127.0.0.1:53", "127.0.0.1 53" },
		{ "127.0.0.1", "" }, { "127.0.0.1:", "" }, { ":53", "" },
		{ "127.0.0.1:0", "" }, { "127.0.0.1:65536", "" },
		{ "127.0.0.1:65535", "127.0.0.1 65535" },
		{ "127.0.0.1:+5", "" }, { "[]:53", "" }, { "[::1:53", "" },
		{ "1.1.1.1:1 1.1.1.2:1 1.1.1.3:1 1.1.1.4:1",
		    "1.1.1.1 1,1.1.1.2 1,1.1.1.3 1" },
	};
	struct config_endpoint list[3];
	char text[256], address[ADDRESS_TEXT_MAX];
	size_t i, j, n;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		n = resolvers_parse(rows[i].text, list, COUNT(list));
		text[0] = '\0';
		for (j = 0; j < n; j++)
			sprintf(text + strlen(text), "%s%s %u",
			    j > 0 ? "," : "",
			    address_print(&list[j].address, address),
			    list[j].port);
		assert_string_equal(text, rows[i].list);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "DANE-7672-2.1.3-1 what two probes prove", test_judge, NULL,
		    NULL, NULL },
		{ "DANE-7672-2.1.3-1 which resolvers are used then",
		    test_choose, NULL, NULL, NULL },
		{ "DANE-7672-2.1.3-1 no second opinion beside a proven one",
		    test_never_mixed, NULL, NULL, NULL },
		{ "resolvers as the parent writes them", test_parse, NULL,
		    NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
