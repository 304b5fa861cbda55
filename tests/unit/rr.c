/*
 * DNS answers and queries (policy/rr.c).
 *
 * Answers are put together octet by octet by the small writer below, whole
 * names and pointers alike, and handed over in a block that ends where the
 * message does, so that ASan sees any step beyond it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/rr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

enum { QUESTIONS = 4, ANSWERS = 6, AUTHORITY = 8, ADDITIONAL = 10 };
#define ANSWERED	0x8180	/* QR, RD, RA */
#define AD		0x0020
#define TC		0x0200
#define OPT		41
#define AT_QUESTION	"\xc0\x0c"	/* pointer to the question's name */

struct message {
	uint8_t	octets[66000];
	size_t	len;
};

static void
put_u16(struct message *m, unsigned number)
{
	m->octets[m->len++] = (uint8_t)(number >> 8);
	m->octets[m->len++] = (uint8_t)number;
}

static void
put_u32(struct message *m, uint32_t number)
{
	put_u16(m, number >> 16);
	put_u16(m, number & 0xffff);
}

static void
put_octets(struct message *m, const void *octets, size_t len)
{
	memcpy(m->octets + m->len, octets, len);
	m->len += len;
}

/* Dotted text as labels and the root; one that begins 0xc0 as a pointer. */
static void
put_name(struct message *m, const char *name)
{
	const char *dot;
	size_t len;

	if ((uint8_t)name[0] >= 0xc0) {
		put_octets(m, name, 2);
		return;
	}
	while (*name != '\0') {
		dot = strchr(name, '.');
		len = dot == NULL ? strlen(name) : (size_t)(dot - name);
		m->octets[m->len++] = (uint8_t)len;
		put_octets(m, name, len);
		name += len + (dot != NULL);
	}
	m->octets[m->len++] = 0;
}

static void
count(struct message *m, int section)
{
	unsigned n = (unsigned)(m->octets[section] << 8 |
	    m->octets[section + 1]) + 1;

	m->octets[section] = (uint8_t)(n >> 8);
	m->octets[section + 1] = (uint8_t)n;
}

static void
begin(struct message *m, unsigned flags, const char *name, unsigned type)
{
	memset(m, 0, sizeof(*m));
	put_u16(m, 0x1234);
	put_u16(m, flags);
	m->len = 12;
	put_name(m, name);
	put_u16(m, type);
	put_u16(m, 1);
	count(m, QUESTIONS);
}

/* A record up to its RDATA's length, which end() fills in. */
static size_t
record(struct message *m, int section, const char *owner, unsigned type,
    uint32_t ttl_s)
{
	count(m, section);
	put_name(m, owner);
	put_u16(m, type);
	put_u16(m, 1);
	put_u32(m, ttl_s);
	put_u16(m, 0);
	return m->len;
}

static void
end(struct message *m, size_t start)
{
	size_t len = m->len - start;

	m->octets[start - 2] = (uint8_t)(len >> 8);
	m->octets[start - 1] = (uint8_t)len;
}

static void
put_record(struct message *m, int section, const char *owner, unsigned type,
    uint32_t ttl_s, const void *rdata, size_t len)
{
	size_t start = record(m, section, owner, type, ttl_s);

	put_octets(m, rdata, len);
	end(m, start);
}

static void
put_cname(struct message *m, const char *owner, const char *target,
    uint32_t ttl_s)
{
	size_t start = record(m, ANSWERS, owner, RR_CNAME, ttl_s);

	put_name(m, target);
	end(m, start);
}

static void
put_mx(struct message *m, const char *owner, unsigned preference,
    const char *exchange, uint32_t ttl_s)
{
	size_t start = record(m, ANSWERS, owner, RR_MX, ttl_s);

	put_u16(m, preference);
	put_name(m, exchange);
	end(m, start);
}

static void
put_a(struct message *m, const char *owner, const char *ip, uint32_t ttl_s)
{
	put_record(m, ANSWERS, owner, RR_A, ttl_s, ip, 4);
}

/* A TXT record of the given character-strings, NULL at their end. */
static void
put_txt(struct message *m, const char *owner, const char *const *strings)
{
	size_t start = record(m, ANSWERS, owner, RR_TXT, 300);

	for (; *strings != NULL; strings++) {
		m->octets[m->len++] = (uint8_t)strlen(*strings);
		put_octets(m, *strings, strlen(*strings));
	}
	end(m, start);
}

static void
put_soa(struct message *m, const char *owner, uint32_t ttl_s,
    uint32_t minimum_s)
{
	size_t start = record(m, AUTHORITY, owner, RR_SOA, ttl_s);

	put_name(m, "ns.example");
	put_name(m, "admin.example");
	put_u32(m, 1);
	put_u32(m, 7200);
	put_u32(m, 3600);
	put_u32(m, 86400);
	put_u32(m, minimum_s);
	end(m, start);
}

static void
put_opt(struct message *m, unsigned upper_rcode)
{
	size_t start = record(m, ADDITIONAL, "", OPT, upper_rcode << 24);

	end(m, start);
}

static struct region *region;

static int
set_up(void **state)
{
	(void)state;
	region = region_new();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	region_free(&region);
	return 0;
}

static struct rr_answer
parse_octets(const uint8_t *octets, size_t len, const char *name,
    enum rr_type type)
{
	struct rr_answer answer;
	struct domain domain;
	uint8_t *copy = malloc(len + (len == 0));

	memset(&domain, 0, sizeof(domain));
	strcpy(domain.name, name);
	memcpy(copy, octets, len);
	rr_parse((struct slice){ (char *)copy, len }, &domain, type, region,
	    &answer);
	free(copy);	/* nothing of the answer points into it */
	return answer;
}

static struct rr_answer
parse(const struct message *m, const char *name, enum rr_type type)
{
	return parse_octets(m->octets, m->len, name, type);
}

static void
assert_malformed(const struct rr_answer *answer)
{
	assert_int_equal(answer->status, RR_MALFORMED);
	assert_false(answer->secure);
	assert_int_equal(answer->records_n, 0);
	assert_int_equal(answer->ttl_s, 0);
}

/*
 * Answers.
 */

static void
test_addresses(void **state)
{
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED | AD, "mx.example", RR_A);
	put_a(&m, "mx.example", "\xc0\x00\x02\x01", 300);
	put_a(&m, AT_QUESTION, "\xc0\x00\x02\x02", 200);
	put_opt(&m, 0);
	answer = parse(&m, "mx.example", RR_A);
	assert_int_equal(answer.status, RR_OK);
	assert_true(answer.secure);
	assert_false(answer.alias);
	assert_string_equal(answer.canonical.name, "mx.example");
	assert_int_equal(answer.records_n, 2);
	assert_int_equal(answer.ttl_s, 200);
	assert_int_equal(answer.records[0].address.family, 4);
	assert_memory_equal(answer.records[0].address.ip,
	    "\xc0\x00\x02\x01", 4);
	assert_memory_equal(answer.records[1].address.ip,
	    "\xc0\x00\x02\x02", 4);
	assert_int_equal(answer.records[0].ttl_s, 300);

	begin(&m, ANSWERED, "mx.example", RR_AAAA);
	put_record(&m, ANSWERS, AT_QUESTION, RR_AAAA, 60,
	    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	answer = parse(&m, "mx.example", RR_AAAA);
	assert_int_equal(answer.status, RR_OK);
	assert_false(answer.secure);
	assert_int_equal(answer.records_n, 1);
	assert_int_equal(answer.records[0].address.family, 6);
	assert_memory_equal(answer.records[0].address.ip,
	    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
}

static void
test_mx(void **state)
{
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED, "example.org", RR_MX);
	put_mx(&m, AT_QUESTION, 10, "MX1.Example.ORG", 300);
	put_mx(&m, AT_QUESTION, 65535, "xn--mller-kva.example", 300);
	put_mx(&m, AT_QUESTION, 0, "", 300);	/* null MX: the root */
	put_mx(&m, AT_QUESTION, 5, AT_QUESTION, 300);
	put_mx(&m, AT_QUESTION, 6, "192.0.2.1", 300);
	put_mx(&m, AT_QUESTION, 7, "AZaz-09_", 300);
	answer = parse(&m, "example.org", RR_MX);
	assert_int_equal(answer.status, RR_OK);
	assert_int_equal(answer.records_n, 6);
	assert_int_equal(answer.records[0].preference, 10);
	assert_string_equal(answer.records[0].name.name, "mx1.example.org");
	assert_int_equal(answer.records[1].preference, 65535);
	assert_string_equal(answer.records[1].name.name,
	    "xn--mller-kva.example");
	assert_string_equal(answer.records[2].name.name, "");
	assert_string_equal(answer.records[3].name.name, "example.org");
	assert_string_equal(answer.records[4].name.name, "192.0.2.1");
	assert_string_equal(answer.records[5].name.name, "azaz-09_");
}

/* An exchange that no host can have is there, and can never be looked up. */
static void
test_odd_names(void **state)
{
	static const char *const names[] = {
		"mail server.example", "a@b.example", "a/b.example",
		"*.example", "a.\xc3\xa9.example", "a\\b.example",
		"\x01.example",
		"\"x\".example", "a?b.example",
	};
	struct message m;
	struct rr_answer answer;
	uint8_t query[512];
	size_t i;

	(void)state;
	for (i = 0; i < N(names); i++) {
		begin(&m, ANSWERED, "example.org", RR_MX);
		put_mx(&m, AT_QUESTION, 5, names[i], 300);
		put_mx(&m, AT_QUESTION, 10, "mx.example", 300);
		answer = parse(&m, "example.org", RR_MX);
		assert_int_equal(answer.status, RR_OK);
		assert_int_equal(answer.records_n, 2);
		assert_true(rr_name_is_odd(&answer.records[0].name));
		assert_false(rr_name_is_odd(&answer.records[1].name));
		assert_int_equal(rr_query(&answer.records[0].name, RR_A, 1,
		    query, sizeof(query)), 0);
	}
}

/* Two odd names look the same; records at one are not at the other. */
static void
test_odd_owners(void **state)
{
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED, "mx.example", RR_A);
	put_cname(&m, AT_QUESTION, "odd one.example", 300);
	put_a(&m, "odd two.example", "\xc0\x00\x02\x01", 300);
	put_cname(&m, "odd three.example", "mx2.example", 300);
	answer = parse(&m, "mx.example", RR_A);
	assert_int_equal(answer.status, RR_OK);
	assert_true(answer.alias);
	assert_true(rr_name_is_odd(&answer.canonical));
	assert_int_equal(answer.records_n, 0);
}

static void
test_txt(void **state)
{
	static const char *const whole[] = { "v=STSv1; id=1;", NULL };
	static const char *const parts[] = {
		"v=STSv1; id=20", "26", "", "0101;", NULL
	};
	static const char *const empty[] = { "", NULL };
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED, "_mta-sts.example", RR_TXT);
	put_txt(&m, AT_QUESTION, whole);
	put_txt(&m, AT_QUESTION, parts);
	put_txt(&m, AT_QUESTION, empty);
	put_record(&m, ANSWERS, AT_QUESTION, RR_TXT, 300, "\3a\0b", 4);
	answer = parse(&m, "_mta-sts.example", RR_TXT);
	assert_int_equal(answer.status, RR_OK);
	assert_int_equal(answer.records_n, 4);
	assert_true(slice_equal(answer.records[0].data,
	    SLICE("v=STSv1; id=1;")));
	assert_true(slice_equal(answer.records[1].data,
	    SLICE("v=STSv1; id=20260101;")));
	assert_true(slice_equal(answer.records[2].data, SLICE("")));
	assert_true(slice_equal(answer.records[3].data, SLICE("a\0b")));
}

static void
test_long_txt(void **state)
{
	const char *strings[257];
	char piece[256];
	struct message m;
	struct rr_answer answer;
	size_t i;

	(void)state;
	memset(piece, 'x', 255);
	piece[255] = '\0';
	for (i = 0; i < 255; i++)
		strings[i] = piece;
	strings[255] = NULL;
	begin(&m, ANSWERED, "_mta-sts.example", RR_TXT);
	put_txt(&m, AT_QUESTION, strings);
	answer = parse(&m, "_mta-sts.example", RR_TXT);
	assert_int_equal(answer.status, RR_OK);
	assert_int_equal(answer.records_n, 1);
	assert_int_equal(answer.records[0].data.len, 255 * 255);
}

/* A string that claims more than the record has. */
static void
test_bad_txt(void **state)
{
	static const struct {
		const char	*rdata;
		size_t		 len;
	} rows[] = {
		{ "\5abcd", 5 }, { "\1", 1 }, { "\2ab\1", 4 },
		{ "\xff", 1 }, { "\0\0\1", 3 },
	};
	struct message m;
	struct rr_answer answer;
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		begin(&m, ANSWERED | AD, "_mta-sts.example", RR_TXT);
		put_record(&m, ANSWERS, AT_QUESTION, RR_TXT, 300,
		    rows[i].rdata, rows[i].len);
		put_soa(&m, "example", 300, 300);
		answer = parse(&m, "_mta-sts.example", RR_TXT);
		assert_malformed(&answer);
	}
}

static void
test_tlsa(void **state)
{
	char rdata[35] = "\3\1\1";
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED | AD, "_25._tcp.mx.example", RR_TLSA);
	put_record(&m, ANSWERS, AT_QUESTION, RR_TLSA, 300, rdata,
	    sizeof(rdata));
	put_record(&m, ANSWERS, AT_QUESTION, RR_TLSA, 300, "", 0);
	put_record(&m, ANSWERS, AT_QUESTION, 46, 300, "RRSIG", 5);
	answer = parse(&m, "_25._tcp.mx.example", RR_TLSA);
	assert_int_equal(answer.status, RR_OK);
	assert_true(answer.secure);
	assert_int_equal(answer.records_n, 2);
	assert_int_equal(answer.records[0].data.len, 35);
	assert_memory_equal(answer.records[0].data.at, rdata, 35);
	assert_true(rr_tlsa_usable(answer.records[0].data));
	assert_int_equal(answer.records[1].data.len, 0);
	assert_false(rr_tlsa_usable(answer.records[1].data));
}

static void
test_rdata_lengths(void **state)
{
	static const struct {
		unsigned	 type;
		const char	*rdata;
		size_t		 len;
	} rows[] = {
		{ RR_A, "\1\2\3", 3 }, { RR_A, "\1\2\3\4\5", 5 },
		{ RR_A, "", 0 },
		{ RR_AAAA, "\1\2\3\4", 4 }, { RR_AAAA, "", 0 },
		{ RR_MX, "", 0 }, { RR_MX, "\0", 1 }, { RR_MX, "\0\5", 2 },
		{ RR_MX, "\0\5\2mx", 5 }, { RR_MX, "\0\5\2mx\0x", 7 },
		{ RR_MX, "\0\5\xc0", 3 }, { RR_MX, "\0\5\x80x", 4 },
		{ RR_MX, "\0\5\x40x\0", 5 },
		{ RR_CNAME, "", 0 }, { RR_CNAME, "\2mx", 3 },
		{ RR_CNAME, "\2mx\0\0", 5 },
	};
	struct message m;
	struct rr_answer answer;
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		begin(&m, ANSWERED | AD, "mx.example", rows[i].type);
		put_record(&m, ANSWERS, AT_QUESTION, rows[i].type, 300,
		    rows[i].rdata, rows[i].len);
		answer = parse(&m, "mx.example", rows[i].type);
		assert_malformed(&answer);
	}
}

/*
 * Aliases.
 */

static void
test_alias(void **state)
{
	static const char *const record_[] = { "v=STSv1; id=p;", NULL };
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED | AD, "_mta-sts.example", RR_TXT);
	put_cname(&m, AT_QUESTION, "_mta-sts.Provider.example", 30);
	put_txt(&m, "_mta-sts.provider.example", record_);
	answer = parse(&m, "_mta-sts.example", RR_TXT);
	assert_int_equal(answer.status, RR_OK);
	assert_true(answer.alias);
	assert_true(answer.secure);
	assert_string_equal(answer.canonical.name,
	    "_mta-sts.provider.example");
	assert_int_equal(answer.records_n, 1);
	assert_int_equal(answer.ttl_s, 30);

	/* in any order, two of them, with strangers between */
	begin(&m, ANSWERED, "a.example", RR_A);
	put_a(&m, "c.example", "\xc0\x00\x02\x01", 300);
	put_a(&m, "x.example", "\xc0\x00\x02\x09", 1);
	put_cname(&m, "b.example", "c.example", 20);
	put_cname(&m, "y.example", "x.example", 1);
	put_cname(&m, AT_QUESTION, "b.example", 40);
	answer = parse(&m, "a.example", RR_A);
	assert_int_equal(answer.records_n, 1);
	assert_string_equal(answer.canonical.name, "c.example");
	assert_int_equal(answer.ttl_s, 20);
	assert_memory_equal(answer.records[0].address.ip,
	    "\xc0\x00\x02\x01", 4);
}

/* DANE-7672-2.1.3-3: what was cut at the alias names where to ask on. */
static void
test_bare_alias(void **state)
{
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED | AD, "a.example", RR_AAAA);
	put_cname(&m, AT_QUESTION, "b.example", 40);
	answer = parse(&m, "a.example", RR_AAAA);
	assert_int_equal(answer.status, RR_OK);
	assert_true(answer.alias);
	assert_string_equal(answer.canonical.name, "b.example");
	assert_int_equal(answer.records_n, 0);
	assert_true(answer.secure);

	/* asked for itself it is a record, and not followed */
	begin(&m, ANSWERED | AD, "a.example", RR_CNAME);
	put_cname(&m, AT_QUESTION, "b.example", 40);
	put_cname(&m, "b.example", "c.example", 40);
	answer = parse(&m, "a.example", RR_CNAME);
	assert_int_equal(answer.records_n, 1);
	assert_false(answer.alias);
	assert_string_equal(answer.canonical.name, "a.example");
	assert_string_equal(answer.records[0].name.name, "b.example");
}

static void
chain(struct message *m, unsigned links)
{
	char owner[32], target[32];
	unsigned i;

	begin(m, ANSWERED, "h0.example", RR_A);
	for (i = 0; i < links; i++) {
		snprintf(owner, sizeof(owner), "h%u.example", i);
		snprintf(target, sizeof(target), "h%u.example", i + 1);
		put_cname(m, owner, target, 300);
	}
	snprintf(target, sizeof(target), "h%u.example", links);
	put_a(m, target, "\xc0\x00\x02\x01", 300);
}

static void
test_chain_limit(void **state)
{
	struct message m;
	struct rr_answer answer;

	(void)state;
	chain(&m, 8);
	answer = parse(&m, "h0.example", RR_A);
	assert_int_equal(answer.status, RR_OK);
	assert_int_equal(answer.records_n, 1);
	assert_string_equal(answer.canonical.name, "h8.example");
	chain(&m, 9);
	answer = parse(&m, "h0.example", RR_A);
	assert_malformed(&answer);
	assert_string_equal(answer.canonical.name, "h0.example");
}

static void
test_alias_loops(void **state)
{
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED, "a.example", RR_TXT);
	put_cname(&m, AT_QUESTION, "a.example", 300);
	answer = parse(&m, "a.example", RR_TXT);
	assert_malformed(&answer);
	begin(&m, ANSWERED, "a.example", RR_TXT);
	put_cname(&m, AT_QUESTION, "b.example", 300);
	put_cname(&m, "b.example", "a.example", 300);
	answer = parse(&m, "a.example", RR_TXT);
	assert_malformed(&answer);
}

/*
 * Answers that say no, and none.
 */

static void
test_rcodes(void **state)
{
	static const struct {
		unsigned	rcode;
		enum rr_status	status;
	} rows[] = {
		{ 0, RR_OK }, { 1, RR_SERVFAIL }, { 2, RR_SERVFAIL },
		{ 3, RR_NXDOMAIN }, { 4, RR_SERVFAIL }, { 5, RR_SERVFAIL },
		{ 6, RR_SERVFAIL }, { 9, RR_SERVFAIL }, { 15, RR_SERVFAIL },
		{ 16, RR_SERVFAIL }, { 23, RR_SERVFAIL },
		{ 16 + 3, RR_SERVFAIL }, { 4095, RR_SERVFAIL },
		{ 0x800, RR_SERVFAIL },
	};
	struct message m;
	struct rr_answer answer;
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		begin(&m, (ANSWERED | AD) + (rows[i].rcode & 15),
		    "mx.example", RR_A);
		put_soa(&m, "example", 900, 300);
		put_opt(&m, rows[i].rcode >> 4);
		answer = parse(&m, "mx.example", RR_A);
		assert_int_equal(answer.status, rows[i].status);
		assert_int_equal(answer.rcode, rows[i].rcode);
		assert_int_equal(answer.records_n, 0);
		assert_int_equal(answer.secure,
		    rows[i].status != RR_SERVFAIL);
	}
}

static void
test_negative_ttl(void **state)
{
	static const struct {
		bool		soa;
		uint32_t	ttl_s, minimum_s, want_s;
	} rows[] = {
		{ true, 900, 300, 300 }, { true, 300, 900, 300 },
		{ true, 0, 300, 0 }, { true, 300, 0, 0 },
		{ true, 0x80000000, 300, 0 },	/* RFC 2181 8 */
		{ false, 0, 0, 0 },
	};
	struct message m;
	struct rr_answer answer;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * N(rows); i++) {
		begin(&m, ANSWERED + (i % 2 ? 3 : 0), "mx.example", RR_A);
		if (rows[i / 2].soa)
			put_soa(&m, "example", rows[i / 2].ttl_s,
			    rows[i / 2].minimum_s);
		answer = parse(&m, "mx.example", RR_A);
		assert_int_equal(answer.status, i % 2 ? RR_NXDOMAIN : RR_OK);
		assert_int_equal(answer.ttl_s, rows[i / 2].want_s);
	}
}

/* An alias to a name that is not there: the alias is known all the same. */
static void
test_alias_to_nothing(void **state)
{
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED + 3, "a.example", RR_A);
	put_cname(&m, AT_QUESTION, "b.example", 60);
	put_soa(&m, "example", 900, 300);
	answer = parse(&m, "a.example", RR_A);
	assert_int_equal(answer.status, RR_NXDOMAIN);
	assert_true(answer.alias);
	assert_string_equal(answer.canonical.name, "b.example");
	assert_int_equal(answer.ttl_s, 60);
}

/* Of two SOAs the first counts; one that cannot be read is a failure. */
static void
test_soa(void **state)
{
	static const struct {
		const char	*rdata;
		size_t		 len;
	} rows[] = {
		{ "", 0 }, { "\1a", 2 }, { "\0", 1 }, { "\0\1b", 3 },
		{ "\0\0", 2 }, { "\0\0" "1111222233334444555", 21 },
		{ "\0\0" "11112222333344445555x", 23 },
	};
	struct message m;
	struct rr_answer answer;
	size_t i;

	(void)state;
	begin(&m, ANSWERED, "mx.example", RR_A);
	put_soa(&m, "example", 900, 300);
	put_soa(&m, "example", 900, 200);
	answer = parse(&m, "mx.example", RR_A);
	assert_int_equal(answer.ttl_s, 300);
	for (i = 0; i < N(rows); i++) {
		begin(&m, ANSWERED, "mx.example", RR_A);
		put_record(&m, AUTHORITY, "example", RR_SOA, 300,
		    rows[i].rdata, rows[i].len);
		answer = parse(&m, "mx.example", RR_A);
		assert_malformed(&answer);
	}
}

/* NXDOMAIN with records is NXDOMAIN. */
static void
test_nxdomain_with_records(void **state)
{
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED + 3, "a.example", RR_A);
	put_a(&m, AT_QUESTION, "\xc0\x00\x02\x01", 300);
	answer = parse(&m, "a.example", RR_A);
	assert_int_equal(answer.status, RR_NXDOMAIN);
	assert_int_equal(answer.records_n, 0);
}

static void
test_foreign_records(void **state)
{
	struct message m;
	struct rr_answer answer;
	size_t start;

	(void)state;
	begin(&m, ANSWERED, "a.example", RR_A);
	put_a(&m, "b.example", "\xc0\x00\x02\x01", 1);
	put_record(&m, ANSWERS, AT_QUESTION, RR_AAAA, 1, "x", 1);
	start = record(&m, ANSWERS, AT_QUESTION, RR_A, 1);
	m.octets[start - 7] = 3;	/* class CHAOS */
	put_octets(&m, "\xc0\x00\x02\x02", 4);
	end(&m, start);
	put_record(&m, ADDITIONAL, AT_QUESTION, RR_A, 1, "\xc0\0\2\3", 4);
	put_record(&m, AUTHORITY, AT_QUESTION, RR_A, 1, "\xc0\0\2\4", 4);
	answer = parse(&m, "a.example", RR_A);
	assert_int_equal(answer.status, RR_OK);
	assert_int_equal(answer.records_n, 0);
	assert_int_equal(answer.ttl_s, 0);
}

/* Answers to something else, or to nobody. */
static void
test_not_our_answer(void **state)
{
	static const struct {
		unsigned	 flags;
		const char	*name;
		unsigned	 type;
	} rows[] = {
		{ ANSWERED & 0x7fff, "a.example", RR_A },	/* a query */
		{ ANSWERED | TC, "a.example", RR_A },
		{ ANSWERED | 0x2800, "a.example", RR_A },	/* opcode */
		{ ANSWERED, "b.example", RR_A },
		{ ANSWERED, "a.example.org", RR_A },
		{ ANSWERED, "a.example", RR_AAAA },
		{ ANSWERED, "", RR_A },
	};
	struct message m;
	struct rr_answer answer;
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		begin(&m, rows[i].flags, rows[i].name, rows[i].type);
		put_a(&m, "a.example", "\xc0\x00\x02\x01", 300);
		answer = parse(&m, "a.example", RR_A);
		assert_malformed(&answer);
	}
	/* the question's case does not count (0x20), its class does */
	begin(&m, ANSWERED, "A.eXaMpLe", RR_A);
	put_a(&m, AT_QUESTION, "\xc0\x00\x02\x01", 300);
	answer = parse(&m, "a.example", RR_A);
	assert_int_equal(answer.records_n, 1);
	m.octets[12 + 11 + 3] = 3;
	answer = parse(&m, "a.example", RR_A);
	assert_malformed(&answer);
	/* no question, two questions */
	begin(&m, ANSWERED, "a.example", RR_A);
	m.octets[QUESTIONS + 1] = 0;
	answer = parse(&m, "a.example", RR_A);
	assert_malformed(&answer);
	m.octets[QUESTIONS + 1] = 2;
	answer = parse(&m, "a.example", RR_A);
	assert_malformed(&answer);
}

/*
 * Octets.
 */

/* Cut anywhere, a message is never half an answer. */
static void
test_cut_short(void **state)
{
	struct message m;
	struct rr_answer answer;
	size_t len;

	(void)state;
	begin(&m, ANSWERED | AD, "example.org", RR_MX);
	put_cname(&m, AT_QUESTION, "example.net", 300);
	put_mx(&m, "example.net", 10, "mx.example.net", 300);
	put_mx(&m, "example.net", 20, AT_QUESTION, 300);
	put_soa(&m, "net", 300, 300);
	put_opt(&m, 0);
	answer = parse(&m, "example.org", RR_MX);
	assert_int_equal(answer.status, RR_OK);
	assert_int_equal(answer.records_n, 2);
	for (len = 0; len < m.len; len++) {
		answer = parse_octets(m.octets, len, "example.org", RR_MX);
		assert_malformed(&answer);
	}
	/* what follows the last record does not matter */
	m.octets[m.len++] = 0xff;
	answer = parse(&m, "example.org", RR_MX);
	assert_int_equal(answer.records_n, 2);
}

/* Every octet of a message turned in every way: never a fault. */
static void
test_turned_octets(void **state)
{
	struct message m;
	size_t at;
	unsigned turn;

	(void)state;
	begin(&m, ANSWERED | AD, "e.org", RR_MX);
	put_cname(&m, AT_QUESTION, "e.net", 300);
	put_mx(&m, "e.net", 10, AT_QUESTION, 300);
	put_soa(&m, "net", 300, 300);
	put_opt(&m, 0);
	for (at = 0; at < m.len; at++)
		for (turn = 1; turn < 256; turn++) {
			m.octets[at] ^= (uint8_t)turn;
			parse(&m, "e.org", RR_MX);
			m.octets[at] ^= (uint8_t)turn;
			if (turn % 64 == 0) {
				region_free(&region);
				region = region_new();
			}
		}
}

/* A pointer may only lead back, before the labels that it ends. */
static void
test_pointers(void **state)
{
	static const struct {
		const char	*name;
		size_t		 len;
		const char	*means;		/* NULL: malformed */
	} rows[] = {
		/* The question "a.example" stands at 12; the RDATA below
		 * begins at 39 with the preference, its name at 41. */
		{ "\xc0\x0c", 2, "a.example" },
		{ "\xc0\x0e", 2, "example" },
		{ "\2mx\xc0\x0e", 5, "mx.example" },
		{ "\xc0\x16", 2, "" },		/* the root's octet */
		{ "\xc0\x29", 2, NULL },	/* itself */
		{ "\1x\xc0\x29", 4, NULL },	/* its own labels */
		{ "\xc0\x2a", 2, NULL },	/* forward, within itself */
		{ "\xc0\x40", 2, NULL },	/* forward, beyond */
		{ "\xff\xff", 2, NULL },
		{ "\xc0\x00", 2, NULL },	/* the header is no name */
		{ "\xc0\x0b", 2, NULL },
		{ "\xc0", 1, NULL },
		{ "\x80\x0c", 2, NULL },	/* reserved label types */
		{ "\x40\x0c", 2, NULL },
		{ "\xc0\x0d", 2, NULL },	/* amid a label: 'a' is 97 */
	};
	struct message m;
	struct rr_answer answer;
	size_t i, start;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		begin(&m, ANSWERED, "a.example", RR_MX);
		start = record(&m, ANSWERS, AT_QUESTION, RR_MX, 300);
		assert_int_equal(start, 39);
		put_u16(&m, 10);
		put_octets(&m, rows[i].name, rows[i].len);
		end(&m, start);
		answer = parse(&m, "a.example", RR_MX);
		if (rows[i].means == NULL) {
			assert_malformed(&answer);
			continue;
		}
		assert_int_equal(answer.status, RR_OK);
		assert_string_equal(answer.records[0].name.name,
		    rows[i].means);
	}
}

/* Label types that are reserved, with octets enough behind them. */
static void
test_reserved_labels(void **state)
{
	struct message m;
	struct rr_answer answer;
	unsigned type;
	size_t start;

	(void)state;
	for (type = 0x40; type < 0xc0; type += 0x0f) {
		begin(&m, ANSWERED, "a.example", RR_MX);
		start = record(&m, ANSWERS, AT_QUESTION, RR_MX, 300);
		put_u16(&m, 10);
		m.octets[m.len++] = (uint8_t)type;
		memset(m.octets + m.len, 'x', type);
		m.len += type;
		m.octets[m.len++] = 0;
		end(&m, start);
		put_opt(&m, 0);
		answer = parse(&m, "a.example", RR_MX);
		assert_malformed(&answer);
	}
}

/* Two pointers that lead to each other, laid through two records. */
static void
test_pointer_loop(void **state)
{
	struct message m;
	struct rr_answer answer;
	size_t first, second;

	(void)state;
	begin(&m, ANSWERED, "a.example", RR_MX);
	first = record(&m, ANSWERS, AT_QUESTION, RR_MX, 300);
	put_octets(&m, "\0\5\1x\xc0\xff", 6);
	end(&m, first);
	second = record(&m, ANSWERS, AT_QUESTION, RR_MX, 300);
	put_octets(&m, "\0\5\1y\xc0", 5);
	m.octets[m.len++] = (uint8_t)(first + 2);
	end(&m, second);
	m.octets[first + 5] = (uint8_t)(second + 2);
	answer = parse(&m, "a.example", RR_MX);
	assert_malformed(&answer);
}

/* 255 octets on the wire is the longest name, 63 the longest label. */
static void
test_name_lengths(void **state)
{
	char name[300];
	struct message m;
	struct rr_answer answer;
	struct domain domain;
	uint8_t query[512];
	size_t last;

	(void)state;
	for (last = 59; last <= 62; last++) {
		memset(name, 'x', sizeof(name));
		name[63] = name[127] = name[191] = '.';
		name[192 + last] = '\0';	/* 194 + last on the wire */
		begin(&m, ANSWERED, "a.example", RR_MX);
		put_mx(&m, AT_QUESTION, 10, name, 300);
		answer = parse(&m, "a.example", RR_MX);
		memset(&domain, 0, sizeof(domain));
		strcpy(domain.name, name);
		if (last <= 61) {
			assert_int_equal(answer.status, RR_OK);
			assert_string_equal(answer.records[0].name.name, name);
			assert_int_not_equal(rr_query(&domain, RR_A, 1, query,
			    sizeof(query)), 0);
		} else {
			assert_malformed(&answer);
			assert_int_equal(rr_query(&domain, RR_A, 1, query,
			    sizeof(query)), 0);
		}
	}
}

/* Many labels by way of a pointer: the whole still has 255 octets at most. */
static void
test_name_of_pointers(void **state)
{
	struct message m;
	struct rr_answer answer;
	size_t start, at = 12;
	unsigned i;

	(void)state;
	begin(&m, ANSWERED, "a.example", RR_MX);
	for (i = 0; i < 30; i++) {
		start = record(&m, ANSWERS, AT_QUESTION, RR_MX, 300);
		put_octets(&m, "\0\5\x0fmmmmmmmmmmmmmmm", 18);
		put_u16(&m, 0xc000 + (unsigned)at);
		end(&m, start);
		at = start + 2;
		answer = parse(&m, "a.example", RR_MX);
		/* 11 of the question and 16 a step */
		if (11 + 16 * (i + 1) <= 255) {
			assert_int_equal(answer.status, RR_OK);
			assert_int_equal(strlen(
			    answer.records[i].name.name), 9 + 16 * (i + 1));
		} else {
			assert_malformed(&answer);
		}
	}
}

/* Records beyond 512 are passed over; what they stand in must be sound. */
static void
test_many_records(void **state)
{
	struct message m;
	struct rr_answer answer;
	char ip[4] = "\xc0\0\2\0";
	unsigned i;

	(void)state;
	begin(&m, ANSWERED, "a.example", RR_A);
	for (i = 0; i < 4000; i++) {
		ip[2] = (char)(i >> 8);
		ip[3] = (char)i;
		put_a(&m, AT_QUESTION, ip, i < 512 ? 300 : 1);
	}
	put_opt(&m, 0);
	answer = parse(&m, "a.example", RR_A);
	assert_int_equal(answer.status, RR_OK);
	assert_int_equal(answer.records_n, 512);
	assert_int_equal(answer.records[511].address.ip[3], 511 & 255);
	assert_int_equal(answer.ttl_s, 300);
	m.len--;
	answer = parse(&m, "a.example", RR_A);
	assert_malformed(&answer);
}

/* A count is only a claim. */
static void
test_false_counts(void **state)
{
	static const int sections[] = { ANSWERS, AUTHORITY, ADDITIONAL };
	struct message m;
	struct rr_answer answer;
	size_t i;

	(void)state;
	for (i = 0; i < N(sections); i++) {
		begin(&m, ANSWERED, "a.example", RR_A);
		put_a(&m, AT_QUESTION, "\xc0\x00\x02\x01", 300);
		m.octets[sections[i]] = 0xff;
		m.octets[sections[i] + 1] = 0xff;
		answer = parse(&m, "a.example", RR_A);
		assert_malformed(&answer);
	}
}

static void
test_ttl_sign(void **state)
{
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED, "a.example", RR_A);
	put_a(&m, AT_QUESTION, "\xc0\x00\x02\x01", 0x7fffffff);
	answer = parse(&m, "a.example", RR_A);
	assert_int_equal(answer.ttl_s, 0x7fffffff);
	put_a(&m, AT_QUESTION, "\xc0\x00\x02\x02", 0x80000000);
	answer = parse(&m, "a.example", RR_A);
	assert_int_equal(answer.records_n, 2);
	assert_int_equal(answer.ttl_s, 0);
}

/* The root's SOA, by which trust in a resolver is tried. */
static void
test_root(void **state)
{
	struct message m;
	struct rr_answer answer;

	(void)state;
	begin(&m, ANSWERED | AD, "", RR_SOA);
	put_soa(&m, "", 86400, 86400);
	m.octets[AUTHORITY + 1] = 0;
	m.octets[ANSWERS + 1] = 1;
	answer = parse(&m, "", RR_SOA);
	assert_int_equal(answer.status, RR_OK);
	assert_true(answer.secure);
	assert_int_equal(answer.records_n, 1);
	assert_true(answer.records[0].data.len > 20);
	assert_int_equal(answer.ttl_s, 86400);
}

/*
 * Queries.
 */

static void
test_query(void **state)
{
	static const char want[] =
	    "\xbe\xef" "\x01\x20" "\0\1\0\0\0\0\0\1"
	    "\x08_mta-sts\7example\3org\0" "\0\x10\0\1"
	    "\0" "\0\x29" "\x04\xd0" "\0\0\0\0" "\0\0";
	struct domain name = { "_mta-sts.example.org" };
	uint8_t octets[512];
	size_t len;

	(void)state;
	len = rr_query(&name, RR_TXT, 0xbeef, octets, sizeof(octets));
	assert_int_equal(len, sizeof(want) - 1);
	assert_memory_equal(octets, want, len);
	/* RD and AD are set, CD and the OPT's DO are not */
	assert_int_equal(octets[2] & 1, 1);
	assert_int_equal(octets[3], 0x20);
}

static void
test_query_names(void **state)
{
	static const struct {
		const char	*name;
		bool		 good;
	} rows[] = {
		{ "", true }, { "a", true }, { "_25._tcp.mx.example", true },
		{ "MX.Example", true }, { "xn--mller-kva.de", true },
		{ "a.", false }, { ".a", false }, { "a..b", false },
		{ ".", false }, { "?", false }, { "[192.0.2.1]", false },
		{ "[IPv6:2001:db8::1]", false }, { "a b", false },
		{ "\xc3\xa9", false }, { "*.example", false },
		{ "a2345678901234567890123456789012345678901234567890123456"
		    "7890123.example", true },
		{ "a2345678901234567890123456789012345678901234567890123456"
		    "78901234.example", false },
	};
	struct domain name;
	uint8_t octets[512];
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		memset(&name, 0, sizeof(name));
		strcpy(name.name, rows[i].name);
		assert_int_equal(rr_query(&name, RR_A, 1, octets,
		    sizeof(octets)) != 0, rows[i].good);
	}
	/* in lower case on the wire */
	strcpy(name.name, "MX.Example");
	rr_query(&name, RR_A, 1, octets, sizeof(octets));
	assert_memory_equal(octets + 12, "\2mx\7example", 12);
}

static void
test_query_room(void **state)
{
	struct domain name = { "mx.example" };
	uint8_t *octets;
	size_t size, need = 12 + 12 + 4 + 11;

	(void)state;
	for (size = 0; size <= need; size++) {
		octets = malloc(size + (size == 0));
		assert_int_equal(rr_query(&name, RR_A, 1, octets, size),
		    size < need ? 0 : need);
		free(octets);
	}
}

/* An answer to our own query is taken as one. */
static void
test_round_trip(void **state)
{
	struct domain name = { "_25._tcp.mx.example" };
	struct rr_answer answer;
	uint8_t octets[512];
	size_t len;

	(void)state;
	len = rr_query(&name, RR_TLSA, 7, octets, sizeof(octets));
	answer = parse_octets(octets, len, name.name, RR_TLSA);
	assert_malformed(&answer);	/* it is a question */
	octets[2] |= 0x80;
	answer = parse_octets(octets, len, name.name, RR_TLSA);
	assert_int_equal(answer.status, RR_OK);
	assert_int_equal(answer.records_n, 0);
	assert_true(answer.secure);
}

/*
 * TLSA.
 */

static void
test_usable(void **state)
{
	uint8_t rdata[2000];
	unsigned usage, selector, type;
	size_t len;
	bool want;

	(void)state;
	memset(rdata, 0, sizeof(rdata));
	for (usage = 0; usage < 256; usage += usage < 5 ? 1 : 125)
		for (selector = 0; selector < 256;
		    selector += selector < 3 ? 1 : 126)
			for (type = 0; type < 256; type += type < 4 ? 1 : 63)
				for (len = 0; len <= 68; len++) {
					rdata[0] = (uint8_t)usage;
					rdata[1] = (uint8_t)selector;
					rdata[2] = (uint8_t)type;
					want = (usage == 2 || usage == 3) &&
					    selector < 2 &&
					    ((type == 1 && len == 35) ||
					    (type == 2 && len == 67));
					assert_int_equal(rr_tlsa_usable(
					    (struct slice){ (char *)rdata,
					    len }), want);
				}
}

static void
test_usable_whole(void **state)
{
	static const struct {
		const char	*head;
		size_t		 head_len;
		size_t		 len;	/* of the data, head included */
		bool		 usable;
	} rows[] = {
		{ "", 0, 0, false }, { "\x30", 1, 1, false },
		{ "\x30\0", 2, 2, true }, { "\x30\x05", 2, 7, true },
		{ "\x30\x05", 2, 6, false }, { "\x30\x05", 2, 8, false },
		{ "\x31\x05", 2, 7, false }, { "\0\x05", 2, 7, false },
		{ "\x30\x7f", 2, 129, true },
		{ "\x30\x80", 2, 130, false },		/* indefinite */
		{ "\x30\x81\x80", 3, 131, true },
		{ "\x30\x81\x7f", 3, 130, false },	/* not the shortest */
		{ "\x30\x81\x80", 3, 130, false },
		{ "\x30\x82\x03\xe8", 4, 1004, true },
		{ "\x30\x82\x03\xe8", 4, 1003, false },
		{ "\x30\x82\x03\xe8", 4, 3, false },
		{ "\x30\x83\x00\x03\xe8", 5, 1005, true },
		{ "\x30\x84\x00\x00\x03\xe8", 6, 1006, false },
		{ "\x30\xff", 2, 200, false },
	};
	uint8_t rdata[3 + 1100];
	size_t i;
	uint8_t *copy;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		memset(rdata, 0x41, sizeof(rdata));
		memcpy(rdata, "\3\0\0", 3);
		memcpy(rdata + 3, rows[i].head, rows[i].head_len);
		copy = malloc(3 + rows[i].len);
		memcpy(copy, rdata, 3 + rows[i].len);
		if (rr_tlsa_usable((struct slice){ (char *)copy,
		    3 + rows[i].len }) != rows[i].usable)
			fail_msg("row %zu", i);
		copy[0] = 1;	/* PKIX-EE with the same data */
		assert_false(rr_tlsa_usable((struct slice){ (char *)copy,
		    3 + rows[i].len }));
		free(copy);
	}
	assert_false(rr_tlsa_usable((struct slice){ NULL, 0 }));
}

#define TEST(name, function) { name, function, set_up, tear_down, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST("A and AAAA", test_addresses),
		TEST("DANE-7671-10.1.1-1 MX, in lower case", test_mx),
		TEST("names that no host has", test_odd_names),
		TEST("records at one odd name are not at another",
		    test_odd_owners),
		TEST("STS-3.1-16 TXT strings are joined", test_txt),
		TEST("STS-3.1-16 TXT of 65,025 octets", test_long_txt),
		TEST("TXT strings longer than their record", test_bad_txt),
		TEST("TLSA, with signatures beside", test_tlsa),
		TEST("DANE-7672-2.1.1-1 RDATA of impossible length is a "
		    "failure", test_rdata_lengths),
		TEST("STS-3.1-17, DANE-7672-2.1.3-6 aliases are followed",
		    test_alias),
		TEST("DANE-7672-2.1.3-3 an alias without its target",
		    test_bare_alias),
		TEST("DANE-7672-2.1.3-3 a chain of more than 8 is a failure",
		    test_chain_limit),
		TEST("STS-3.1-17, DANE-7672-2.1.3-4 a loop of aliases is a "
		    "failure", test_alias_loops),
		TEST("DANE-7672-2.1.1-1, DANE-7672-2.1.1-2 rcodes, with "
		    "EDNS's upper octet", test_rcodes),
		TEST("how long a no is believed", test_negative_ttl),
		TEST("the SOA of a no", test_soa),
		TEST("an alias to nothing", test_alias_to_nothing),
		TEST("NXDOMAIN with records", test_nxdomain_with_records),
		TEST("records of others are ignored", test_foreign_records),
		TEST("DANE-7672-2.1.1-1 answers to other questions",
		    test_not_our_answer),
		TEST("a message cut anywhere is malformed", test_cut_short),
		TEST("every octet turned", test_turned_octets),
		TEST("pointers lead back only", test_pointers),
		TEST("labels of reserved types", test_reserved_labels),
		TEST("pointers that lead to each other", test_pointer_loop),
		TEST("names of 255 octets", test_name_lengths),
		TEST("names of many pointers", test_name_of_pointers),
		TEST("4,000 records", test_many_records),
		TEST("counts that are false", test_false_counts),
		TEST("a TTL with its sign set is 0", test_ttl_sign),
		TEST("the SOA of the root", test_root),
		TEST("DANE-7672-2.1.3-2 a query asks for AD", test_query),
		TEST("SMTP-5.1-3 a query has the name as it is",
		    test_query_names),
		TEST("a query that does not fit", test_query_room),
		TEST("a query turned into its answer", test_round_trip),
		TEST("DANE-7672-3.1.3-1, DANE-7671-4.1-1, DANE-6698-2.1-1 "
		    "usable TLSA digests", test_usable),
		TEST("DANE-7671-4.1-1 usable TLSA of whole certificates",
		    test_usable_whole),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
