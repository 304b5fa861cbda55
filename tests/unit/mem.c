/* Slices, regions, buffers, JSON strings, UTF-8. */
#include "conf/mem.h"

#include "conf/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* Literals may hold NULs. */
#define S(literal)	{ (literal), sizeof(literal) - 1 }

static void
check_text(struct slice got, const char *expected)
{
	if (!slice_equal(got, slice_of(expected)))
		fail_msg("got \"%.*s\", expected \"%s\"", (int)got.len,
		    got.at != NULL ? got.at : "", expected);
}

static void
test_equal(void **unused)
{
	static const struct {
		struct slice	a, b;
		bool		equal, nocase;
	} rows[] = {
		{ S(""), S(""), true, true },
		{ { NULL, 0 }, S(""), true, true },
		{ { NULL, 0 }, { NULL, 0 }, true, true },
		{ S("a"), S(""), false, false },
		{ S("a"), S("a"), true, true },
		{ S("a"), S("A"), false, true },
		{ S("Z"), S("z"), false, true },
		{ S("@"), S("`"), false, false },
		{ S("["), S("{"), false, false },
		{ S("STARTTLS"), S("starttls"), false, true },
		{ S("a\0b"), S("a\0b"), true, true },
		{ S("a\0b"), S("a\0c"), false, false },
		{ S("\xc4"), S("\xe4"), false, false },
		{ S("0"), S("\x10"), false, false },
	};
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(slice_equal(rows[i].a, rows[i].b),
		    rows[i].equal);
		assert_int_equal(slice_equal(rows[i].b, rows[i].a),
		    rows[i].equal);
		assert_int_equal(slice_equal_nocase(rows[i].a, rows[i].b),
		    rows[i].nocase);
	}
}

static void
test_begins(void **unused)
{
	static const struct {
		struct slice	text, prefix;
		bool		begins, nocase;
	} rows[] = {
		{ S(""), S(""), true, true },
		{ S("abc"), S(""), true, true },
		{ S("abc"), S("ab"), true, true },
		{ S("abc"), S("abc"), true, true },
		{ S("abc"), S("abcd"), false, false },
		{ S("ABC"), S("ab"), false, true },
		{ S("abc"), S("bc"), false, false },
		{ { NULL, 0 }, S("a"), false, false },
		{ { NULL, 0 }, { NULL, 0 }, true, true },
	};
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(slice_begins(rows[i].text, rows[i].prefix),
		    rows[i].begins);
		assert_int_equal(slice_begins_nocase(rows[i].text,
		    rows[i].prefix), rows[i].nocase);
	}
}

static void
test_trim(void **unused)
{
	(void)unused;
	check_text(slice_trim(SLICE("")), "");
	check_text(slice_trim((struct slice){ NULL, 0 }), "");
	check_text(slice_trim(SLICE(" \t ")), "");
	check_text(slice_trim(SLICE("a")), "a");
	check_text(slice_trim(SLICE("\ta b \t")), "a b");
	check_text(slice_trim(SLICE(" \ra\n ")), "\ra\n");
}

static void
test_cut(void **unused)
{
	struct slice text = SLICE("a,,bc,");

	(void)unused;
	check_text(slice_cut(&text, ','), "a");
	check_text(slice_cut(&text, ','), "");
	check_text(slice_cut(&text, ','), "bc");
	assert_non_null(text.at);
	check_text(slice_cut(&text, ','), "");
	assert_null(text.at);
	check_text(slice_cut(&text, ','), "");
	assert_null(text.at);
	text = SLICE("whole");
	check_text(slice_cut(&text, ','), "whole");
	assert_null(text.at);
}

static void
test_number(void **unused)
{
	static const struct {
		struct slice	text;
		uint64_t	max;
		bool		good;
		uint64_t	number;
	} rows[] = {
		{ S(""), UINT64_MAX, false, 0 },
		{ { NULL, 0 }, UINT64_MAX, false, 0 },
		{ S("0"), 0, true, 0 },
		{ S("1"), 0, false, 0 },
		{ S("000"), 0, true, 0 },
		{ S("007"), 7, true, 7 },
		{ S("8"), 7, false, 0 },
		{ S("9"), 9, true, 9 },
		{ S("10"), 9, false, 0 },
		{ S("10"), 10, true, 10 },
		{ S("255"), 255, true, 255 },
		{ S("256"), 255, false, 0 },
		{ S("1000"), 255, false, 0 },
		{ S("31557600"), 31557600, true, 31557600 },
		{ S("31557601"), 31557600, false, 0 },
		{ S("4294967295"), UINT32_MAX, true, UINT32_MAX },
		{ S("4294967296"), UINT32_MAX, false, 0 },
		{ S("18446744073709551615"), UINT64_MAX, true, UINT64_MAX },
		{ S("18446744073709551616"), UINT64_MAX, false, 0 },
		{ S("18446744073709551620"), UINT64_MAX, false, 0 },
		{ S("99999999999999999999"), UINT64_MAX, false, 0 },
		{ S("9223372036854775808"), INT64_MAX, false, 0 },
		{ S("9223372036854775807"), INT64_MAX, true, INT64_MAX },
		{ S("-1"), UINT64_MAX, false, 0 },
		{ S("+1"), UINT64_MAX, false, 0 },
		{ S(" 1"), UINT64_MAX, false, 0 },
		{ S("1 "), UINT64_MAX, false, 0 },
		{ S("1_000"), UINT64_MAX, false, 0 },
		{ S("1e3"), UINT64_MAX, false, 0 },
		{ S("0x10"), UINT64_MAX, false, 0 },
		{ S("1\0"), UINT64_MAX, false, 0 },
		{ S("\xd9\xa1"), UINT64_MAX, false, 0 },
	};
	uint64_t number;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		number = 0;
		if (slice_number(rows[i].text, rows[i].max, &number) !=
		    rows[i].good || number != rows[i].number)
			fail_msg("row %zu: %s", i, rows[i].text.at);
	}
}

static void
test_store(void **unused)
{
	char array[4];

	(void)unused;
	memset(array, 'x', sizeof(array));
	assert_true(slice_store(SLICE("abc"), array, sizeof(array)));
	assert_string_equal(array, "abc");
	assert_false(slice_store(SLICE("abcd"), array, sizeof(array)));
	assert_string_equal(array, "");
	memset(array, 'x', sizeof(array));
	assert_false(slice_store(SLICE("a\0b"), array, sizeof(array)));
	assert_string_equal(array, "");
	assert_true(slice_store((struct slice){ NULL, 0 }, array, 1));
	assert_string_equal(array, "");
	array[0] = 'y';
	assert_false(slice_store(SLICE(""), array, 0));
	assert_int_equal(array[0], 'y');
}

static void
test_alloc(void **unused)
{
	char *memory = mem_alloc(100);
	size_t i;

	(void)unused;
	for (i = 0; i < 100; i++)
		assert_int_equal(memory[i], 0);
	memcpy(memory, "kept", 5);
	memory = mem_grow(memory, 100000);
	assert_string_equal(memory, "kept");
	free(memory);
	memory = mem_alloc(0);
	assert_non_null(memory);
	free(memory);
	memory = mem_copy("");
	assert_string_equal(memory, "");
	free(memory);
}

static void
test_region(void **unused)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 999, 1000, 1001,
		3999, 4000, 4001, 100000 };
	struct region *region = region_new();
	unsigned char *pieces[600];
	size_t i, at, size;

	(void)unused;
	for (i = 0; i < COUNT(pieces); i++) {
		size = sizes[i % COUNT(sizes)];
		pieces[i] = region_alloc(region, size);
		assert_int_equal((uintptr_t)pieces[i] %
		    _Alignof(max_align_t), 0);
		for (at = 0; at < size; at++)
			assert_int_equal(pieces[i][at], 0);
		memset(pieces[i], (int)(i % 255 + 1), size);
	}
	/* No piece was given twice. */
	for (i = 0; i < COUNT(pieces); i++)
		for (at = 0; at < sizes[i % COUNT(sizes)]; at++)
			assert_int_equal(pieces[i][at], i % 255 + 1);
	region_free(&region);
	assert_null(region);
	region_free(&region);
}

static void
test_region_text(void **unused)
{
	struct region *region = region_new();

	(void)unused;
	assert_string_equal(region_text(region, SLICE("hello")), "hello");
	assert_string_equal(region_text(region, (struct slice){ NULL, 0 }),
	    "");
	assert_memory_equal(region_text(region, SLICE("a\0b")), "a\0b", 4);
	region_free(&region);
}

static void
test_buffer(void **unused)
{
	struct buffer buffer = { NULL, 0, 0 };
	size_t i;

	(void)unused;
	buffer_add(&buffer, (struct slice){ NULL, 0 });
	assert_string_equal(buffer.text, "");
	for (i = 0; i < 1000; i++)
		buffer_printf(&buffer, "%zu,", i);
	assert_int_equal(buffer.len, strlen(buffer.text));
	assert_memory_equal(buffer.text, "0,1,2,", 6);
	assert_string_equal(buffer.text + buffer.len - 4, "999,");
	buffer_add(&buffer, SLICE("a\0b"));
	assert_memory_equal(buffer.text + buffer.len - 3, "a\0b", 4);
	buffer_free(&buffer);
	assert_null(buffer.text);
	assert_int_equal(buffer.len, 0);
	buffer_printf(&buffer, "%s", "");
	assert_string_equal(buffer.text, "");
	buffer_free(&buffer);
	/* Every length around the first sizes is terminated. */
	for (i = 0; i < 300; i++) {
		buffer_printf(&buffer, "%*s", (int)i, "");
		assert_int_equal(buffer.len, i);
		assert_int_equal(buffer.text[i], '\0');
		buffer_free(&buffer);
	}
}

#define FFFD	"\xef\xbf\xbd"

static void
test_json(void **unused)
{
	static const struct {
		struct slice	 text;
		const char	*json;
	} rows[] = {
		{ S(""), "\"\"" },
		{ { NULL, 0 }, "\"\"" },
		{ S("plain"), "\"plain\"" },
		{ S("a\"b"), "\"a\\\"b\"" },
		{ S("a\\b"), "\"a\\\\b\"" },
		{ S("a/b"), "\"a/b\"" },
		{ S("a\nb"), "\"a\\nb\"" },
		{ S("\r\n\t\b\f"), "\"\\r\\n\\t\\b\\f\"" },
		{ S("\0"), "\"\\u0000\"" },
		{ S("\1\x1f\x7f"), "\"\\u0001\\u001f\\u007f\"" },
		{ S("\xc2\x80\xc2\x85\xc2\x9f"),
		    "\"\\u0080\\u0085\\u009f\"" },
		{ S("\xc2\xa0"), "\"\xc2\xa0\"" },
		{ S("\xe2\x80\xa8\xe2\x80\xa9"), "\"\\u2028\\u2029\"" },
		{ S("\xe2\x80\xa7"), "\"\xe2\x80\xa7\"" },
		{ S("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"" },
		{ S("\xf0\x9f\x93\xa7"), "\"\xf0\x9f\x93\xa7\"" },
		{ S("\xff"), "\"" FFFD "\"" },
		{ S("a\x80z"), "\"a" FFFD "z\"" },
		{ S("\xc3"), "\"" FFFD "\"" },
		{ S("\xc3\""), "\"" FFFD "\\\"\"" },
		{ S("\xe2\x80"), "\"" FFFD FFFD "\"" },
		{ S("\xc0\xaf"), "\"" FFFD FFFD "\"" },
		{ S("\xed\xa0\x80"), "\"" FFFD FFFD FFFD "\"" },
		{ S("\xf4\x90\x80\x80"), "\"" FFFD FFFD FFFD FFFD "\"" },
	};
	struct buffer buffer;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		memset(&buffer, 0, sizeof(buffer));
		buffer_json(&buffer, rows[i].text);
		assert_string_equal(buffer.text, rows[i].json);
		buffer_free(&buffer);
	}
}

/* The decoder written a second way: by the code point. */
static unsigned
slow_length(const unsigned char *octets, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code;
	unsigned n, i;

	if (octets[0] < 0x80)
		return 1;
	n = octets[0] >> 5 == 6 ? 2 : octets[0] >> 4 == 14 ? 3 :
	    octets[0] >> 3 == 30 ? 4 : 0;
	if (n == 0 || n > len)
		return 0;
	code = octets[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if (octets[i] >> 6 != 2)
			return 0;
		code = code << 6 | (octets[i] & 0x3fu);
	}
	if (code < least[n] || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return n;
}

static void
test_utf8(void **unused)
{
	static const unsigned char thirds[] = { 0, 0x41, 0x7f, 0x80, 0xbf,
		0xc0, 0xff };
	unsigned char octets[4];
	unsigned first, second;
	size_t i, j, len;

	(void)unused;
	assert_int_equal(utf8_length((struct slice){ NULL, 0 }), 0);
	for (first = 0; first < 256; first++)
	for (second = 0; second < 256; second++)
	for (i = 0; i < COUNT(thirds); i++)
	for (j = 0; j < COUNT(thirds); j++)
	for (len = 1; len <= 4; len++) {
		octets[0] = (unsigned char)first;
		octets[1] = (unsigned char)second;
		octets[2] = thirds[i];
		octets[3] = thirds[j];
		if (utf8_length((struct slice){ (char *)octets, len }) !=
		    slow_length(octets, len))
			fail_msg("%02x %02x %02x %02x (%zu)", octets[0],
			    octets[1], octets[2], octets[3], len);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "slices are equal with and without case", test_equal,
		    NULL, NULL, NULL },
		{ "slices begin with a prefix", test_begins, NULL, NULL,
		    NULL },
		{ "slices are trimmed of blanks only", test_trim, NULL, NULL,
		    NULL },
		{ "slices are cut at separators", test_cut, NULL, NULL,
		    NULL },
		{ "numbers are digits within bounds", test_number, NULL,
		    NULL, NULL },
		{ "slices are stored whole or not at all", test_store, NULL,
		    NULL, NULL },
		{ "memory is zeroed, kept when grown", test_alloc, NULL,
		    NULL, NULL },
		{ "region pieces are aligned, zeroed and distinct",
		    test_region, NULL, NULL, NULL },
		{ "region texts are terminated", test_region_text, NULL,
		    NULL, NULL },
		{ "buffers grow and stay terminated", test_buffer, NULL,
		    NULL, NULL },
		{ "RPT-4.4-21 any octets become one JSON string", test_json,
		    NULL, NULL, NULL },
		{ "UTF-8 lengths agree with the code points", test_utf8,
		    NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
