/*
 * reports/day.c: days, ids and file names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "report_samples.h"

static void
days_go_there_and_back(void **state)
{
	static const struct { const char *text; uint32_t day; } rows[] = {
		{ "1970-01-01", 0 }, { "1970-01-02", 1 },
		{ "1999-12-31", 10956 }, { "2000-02-29", 11016 },
		{ "2026-11-24", SAMPLE_DAY }, { "2028-02-29", 21243 },
		{ "2100-03-01", 47541 }, { "9999-12-31", 2932896 },
	};
	char text[DAY_TEXT_MAX];
	uint32_t day;

	(void)state;
	for (size_t i = 0; i < SAMPLE_COUNT(rows); i++) {
		assert_string_equal(day_print(rows[i].day, text),
		    rows[i].text);
		assert_true(day_parse(rows[i].text, &day));
		assert_int_equal(day, rows[i].day);
	}
	/* Every day of a long time. */
	for (uint32_t i = 0; i < 60000; i++) {
		assert_true(day_parse(day_print(i, text), &day));
		assert_int_equal(day, i);
	}
	/* None that anybody lives to see: it fits all the same. */
	assert_int_equal(strlen(day_print(UINT32_MAX, text)), 10);
}

static void
what_is_no_day(void **state)
{
	static const char *const rows[] = {
		"", "2026", "2026-11", "2026-11-24 ", " 2026-11-24",
		"2026-11-24T00:00:00Z", "2026-1-24", "2026-011-4",
		"2026-11-31", "2026-02-29", "2100-02-29", "2026-00-10",
		"2026-13-01", "2026-10-00", "2026-10-32", "1969-12-31",
		"0000-00-00", "10000-01-01", "-026-11-24", "2026--1-24",
		"2026-11--4", "2026+11+24", "20261124", "2026/11/24",
		"today", "----------", "2026-11-2x", "99999-1-01",
	};
	uint32_t day;

	(void)state;
	for (size_t i = 0; i < SAMPLE_COUNT(rows); i++)
		if (day_parse(rows[i], &day))
			fail_msg("[%s] is day %u", rows[i], day);
}

static void
ids(void **state)
{
	struct report report = sample_build(&samples[0]);
	struct reporter reporter = samples[0].reporter;
	char id[REPORT_ID_MAX], other[REPORT_ID_MAX];

	(void)state;
	assert_string_equal(report_id(&report, &reporter, id),
	    "20261124.0123456789abcdef@sender.example");
	/* Another try is the same report; another number another one. */
	assert_string_equal(report_id(&report, &reporter, other), id);
	report.number++;
	assert_string_not_equal(report_id(&report, &reporter, other), id);
	report.number--;
	report.day++;
	assert_string_not_equal(report_id(&report, &reporter, other), id);
	reporter.domain = LONG_1;
	report_id(&report, &reporter, id);
	assert_int_equal(strlen(id), 8 + 1 + 16 + 1 + strlen(LONG_1));
}

/* Unique and no id of a report that was sent. */
static void
ids_of_none(void **state)
{
	struct report report = sample_build(&samples[0]);
	struct reporter reporter = samples[0].reporter;
	char id[REPORT_ID_MAX];

	(void)state;
	report.number = 0;
	assert_string_equal(report_id(&report, &reporter, id),
	    "20261124.not-made.example.org@sender.example");
	snprintf(report.domain, sizeof(report.domain), "%s", LONG_1);
	reporter.domain = LONG_2;
	assert_string_equal(report_id(&report, &reporter, id),
	    "20261124.not-made." LONG_1 "@" LONG_2);
}

/* What is over of a day; never another day. */
static void
parts_of_days(void **state)
{
	static const int64_t begin_s = (int64_t)SAMPLE_DAY * DAY_S;
	static const struct { int64_t until_s, end_s; bool partial; } rows[] =
	{
		{ 0, DAY_S - 1, false }, { begin_s, 0, true },
		{ begin_s + 1, 1, true }, { begin_s - 5, 0, true },
		{ begin_s + DAY_S - 2, DAY_S - 2, true },
		{ begin_s + DAY_S - 1, DAY_S - 1, false },
		{ begin_s + 9 * DAY_S, DAY_S - 1, false },
	};
	struct report report = sample_build(&samples[0]);
	char name[FILE_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < SAMPLE_COUNT(rows); i++) {
		report.until_s = rows[i].until_s;
		assert_int_equal(report_end_s(&report), begin_s +
		    rows[i].end_s);
		assert_int_equal(report_is_partial(&report), rows[i].partial);
	}
	report.until_s = begin_s + 47107;
	assert_string_equal(report_file_name(&report, &samples[0].reporter,
	    name), "sender.example!example.org!1795478400!1795525507!"
	    "0123456789abcdef.json.gz");
}

static void
file_names(void **state)
{
	const struct sample *sample = sample_find("long-names");
	struct report report = sample_build(&samples[0]);
	char name[FILE_NAME_MAX];

	(void)state;
	assert_string_equal(report_file_name(&report, &samples[0].reporter,
	    name), "sender.example!example.org!1795478400!1795564799!"
	    "0123456789abcdef.json.gz");
	report = sample_build(sample);
	report_file_name(&report, &sample->reporter, name);
	assert_string_equal(name, LONG_2 "!" LONG_1 "!1795478400!1795564799!"
	    "0123456789abcdef.json.gz");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "days go there and back", days_go_there_and_back, NULL,
		    NULL, NULL },
		{ "what is no day", what_is_no_day, NULL, NULL, NULL },
		{ "RPT-4.4-5 an id is one report's alone, and stays",
		    ids, NULL, NULL, NULL },
		{ "an id of what is not made says so", ids_of_none, NULL,
		    NULL, NULL },
		{ "RPT-5.1-4 a part of a day ends when it was sent",
		    parts_of_days, NULL, NULL, NULL },
		{ "RPT-5.1-1, RPT-5.1-2, RPT-5.1-3, RPT-5.1-4, RPT-5.1-5, "
		    "RPT-5.1-6 file names", file_names, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("report_day", tests, NULL, NULL);
}
