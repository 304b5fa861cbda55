/*
 * reports/mime.c: the mail of a report, line by line.
 *
 *	report_mime FOLDER	writes all samples there as NAME.json, .gz,
 *				.eml and .txt, for report_forms.py
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "report_samples.h"

#include <ctype.h>
#include <stdlib.h>

struct forms {
	struct buffer	json, gzip, mail, words;
};

static struct slice
whole(const struct buffer *buffer)
{
	return (struct slice){ buffer->text, buffer->len };
}

static void
forms_make(struct forms *forms, const struct sample *sample)
{
	struct report report = sample_build(sample);
	struct mailbox to;

	memset(forms, 0, sizeof(*forms));
	if (!mailbox_parse(slice_of(sample->to), &to))
		abort();
	report_json(&report, &sample->reporter, &forms->json);
	report_gzip(whole(&forms->json), &forms->gzip);
	report_mail(&report, &sample->reporter, &to, whole(&forms->gzip),
	    SAMPLE_NOW_S, &forms->mail);
	report_words(&report, &sample->reporter, &forms->words);
}

static void
forms_free(struct forms *forms)
{
	buffer_free(&forms->json);
	buffer_free(&forms->gzip);
	buffer_free(&forms->mail);
	buffer_free(&forms->words);
}

/* ---- for report_forms.py ---- */

static bool
write_file(const char *folder, const char *name, const char *ending,
    const struct buffer *octets)
{
	char path[4096];
	FILE *file;
	bool done;

	snprintf(path, sizeof(path), "%s/%s.%s", folder, name, ending);
	file = fopen(path, "w");
	if (file == NULL)
		return false;
	done = fwrite(octets->text, 1, octets->len, file) == octets->len;
	return fclose(file) == 0 && done;
}

static int
write_all(const char *folder)
{
	for (size_t i = 0; i < SAMPLE_COUNT(samples); i++) {
		const char *name = samples[i].name;
		struct forms forms;
		bool done;

		forms_make(&forms, &samples[i]);
		done = write_file(folder, name, "json", &forms.json) &&
		    write_file(folder, name, "gz", &forms.gzip) &&
		    write_file(folder, name, "eml", &forms.mail) &&
		    write_file(folder, name, "txt", &forms.words);
		forms_free(&forms);
		if (!done) {
			perror(folder);
			return 1;
		}
	}
	return 0;
}

/* ---- tests ---- */

/* DKIM-6376-5.3-1: nothing that a relay would have to change. */
static void
assert_seven_bit(struct slice text, size_t longest)
{
	size_t line = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c == '\r') {
			assert_true(i + 1 < text.len);
			assert_int_equal(text.at[++i], '\n');
			assert_true(i < 2 || text.at[i - 2] != ' ');
			line = 0;
			continue;
		}
		if (c < 0x20 || c > 0x7e)
			fail_msg("octet %02x", c);
		assert_true(++line <= longest);
	}
	assert_int_equal(line, 0);
}

static void
all_are_seven_bit(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLE_COUNT(samples); i++) {
		bool is_long = strcmp(samples[i].name, "long-names") == 0;
		struct forms forms;

		forms_make(&forms, &samples[i]);
		assert_seven_bit(whole(&forms.mail), is_long ? 998 :
		    strcmp(samples[i].name, "idn") == 0 ? 96 : 90);
		forms_free(&forms);
	}
}

/* A line of the boundary stands there three times, whatever peers say. */
static void
boundaries(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLE_COUNT(samples); i++) {
		struct forms forms;
		unsigned n = 0;
		const char *at;

		forms_make(&forms, &samples[i]);
		at = forms.mail.text;
		while ((at = strstr(at, "\r\n--=_culver/")) != NULL) {
			at += 4;
			n++;
		}
		assert_int_equal(n, 3);
		forms_free(&forms);
	}
}

static void
the_header(void **state)
{
	struct forms forms;

	(void)state;
	forms_make(&forms, sample_find("both"));
	assert_true(slice_begins(whole(&forms.mail), SLICE(
	    "From: tls-reports@sender.example\r\n"
	    "To: \"a,b\"@c.example\r\n"
	    "Date: Wed, 25 Nov 2026 04:00:00 +0000\r\n"
	    "Message-ID: <20781.0123456789abcdef.")));
	assert_non_null(strstr(forms.mail.text,
	    "@relay.sender.example>\r\n"
	    "Subject: Report Domain: example.org Submitter: sender.example "
	    "Report-ID:\r\n"
	    " <20261124.0123456789abcdef@sender.example>\r\n"
	    "TLS-Report-Domain: example.org\r\n"
	    "TLS-Report-Submitter: sender.example\r\n"
	    "TLS-Required: No\r\n"
	    "Auto-Submitted: auto-generated\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report;"));
	assert_non_null(strstr(forms.mail.text, "report-type=\"tlsrpt\";"));
	assert_non_null(strstr(forms.mail.text,
	    "Content-Type: application/tlsrpt+gzip\r\n"
	    "Content-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment;\r\n"
	    " filename=\"sender.example!example.org!1795478400!1795564799!"
	    "0123456789abcdef.json.gz\"\r\n\r\nH4sI"));
	forms_free(&forms);
}

static void
take_message_id(const struct buffer *mail, char id[600])
{
	const char *at = strstr(mail->text, "\r\nMessage-ID: ");

	assert_non_null(at);
	assert_int_equal(sscanf(at, "\r\nMessage-ID: %599[^\r]", id), 1);
}

/* The same for each try of one receiver, another for another one. */
static void
message_ids(void **state)
{
	struct sample sample = *sample_find("both");
	char first[600], second[600];
	struct forms forms;

	(void)state;
	forms_make(&forms, &sample);
	take_message_id(&forms.mail, first);
	forms_free(&forms);
	forms_make(&forms, &sample);
	take_message_id(&forms.mail, second);
	assert_string_equal(first, second);
	forms_free(&forms);
	sample.to = "other@c.example";
	forms_make(&forms, &sample);
	take_message_id(&forms.mail, second);
	assert_string_not_equal(first, second);
	forms_free(&forms);
	forms_make(&forms, sample_find("no-hostname"));
	take_message_id(&forms.mail, first);
	assert_non_null(strstr(first, "@sender.example>"));
	forms_free(&forms);
}

/* Quoted-printable is decoded and compared, for texts of every octet. */
static void
decode_quoted(struct slice text, struct buffer *decoded)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		if (c == '=' && text.at[i + 1] == '\r') {
			i += 2;
		} else if (c == '=') {
			char hex[3] = { text.at[i + 1], text.at[i + 2], 0 };

			assert_true(isxdigit((unsigned char)hex[0]) &&
			    isxdigit((unsigned char)hex[1]));
			buffer_printf(decoded, "%c",
			    (int)strtol(hex, NULL, 16));
			i += 2;
		} else if (c != '\r') {
			buffer_add(decoded, (struct slice){ &c, 1 });
		}
	}
}

static void
words_come_through(void **state)
{
	struct sample sample = *sample_find("hostile");
	char organization[400];

	(void)state;
	sample.reporter.organization = organization;
	for (unsigned n = 1; n < sizeof(organization) - 1; n++) {
		struct buffer decoded = { 0 };
		struct forms forms;
		char *begin, *end;

		for (unsigned i = 0; i < n; i++)
			organization[i] = "\xe2\x82\xac .=x-\xff"[(i * n) % 9];
		organization[n] = '\0';
		forms_make(&forms, &sample);
		assert_seven_bit(whole(&forms.mail), 90);
		begin = strstr(forms.mail.text, "quoted-printable\r\n\r\n");
		assert_non_null(begin);
		begin += strlen("quoted-printable\r\n\r\n");
		end = strstr(begin, "\r\n--=_culver/");
		assert_non_null(end);
		decode_quoted((struct slice){ begin, (size_t)(end - begin) },
		    &decoded);
		assert_string_equal(decoded.text, forms.words.text);
		buffer_free(&decoded);
		forms_free(&forms);
	}
}

/* RFC 4648 10, and a line's end. */
static void
base64(void **state)
{
	static const struct { const char *octets, *text; } rows[] = {
		{ "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfb\xef", "//777w==" },
		{ "123456789012345678901234567890123456789012345678901234567",
		    "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEy"
		    "MzQ1Njc4OTAxMjM0NTY3" },
		{ "1234567890123456789012345678901234567890123456789012345678",
		    "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEy"
		    "MzQ1Njc4OTAxMjM0NTY3\r\nOA==" },
	};
	const struct sample *sample = sample_find("success");
	struct report report = sample_build(sample);
	struct mailbox to;

	(void)state;
	mailbox_parse(slice_of(sample->to), &to);
	for (size_t i = 0; i < SAMPLE_COUNT(rows); i++) {
		struct buffer mail = { 0 };
		char expected[200];

		report_mail(&report, &sample->reporter, &to,
		    slice_of(rows[i].octets), SAMPLE_NOW_S, &mail);
		snprintf(expected, sizeof(expected),
		    ".json.gz\"\r\n\r\n%s\r\n\r\n--", rows[i].text);
		assert_non_null(strstr(mail.text, expected));
		buffer_free(&mail);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		{ "DKIM-6376-5.3-1 all is 7 bit, CRLF, short lines",
		    all_are_seven_bit, NULL, NULL, NULL },
		{ "T50 boundaries are ours alone", boundaries, NULL, NULL,
		    NULL },
		{ "RPT-5.3-1, RPT-5.3-2, RPT-5.3-3, RPT-5.3-4, RPT-5.3-6, "
		    "RPT-5.3-7, RPT-5.3-8 the header", the_header, NULL,
		    NULL, NULL },
		{ "Message-ID is one try's as another's", message_ids, NULL,
		    NULL, NULL },
		{ "T50 words come through quoted-printable",
		    words_come_through, NULL, NULL, NULL },
		{ "RPT-5.3-8 base64", base64, NULL, NULL, NULL },
	};

	if (argc == 2)
		return write_all(argv[1]);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("report_mime", tests, NULL, NULL);
}
