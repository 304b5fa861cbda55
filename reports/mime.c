/*
 * What does the mail of a report look like?  (RFC 8460 5.3)
 *
 * Called once for each receiver by mail.  Header, words for people, and the
 * compressed document; all of it printable ASCII in short lines with CRLF, so
 * that no relay has a reason to change what is signed (DKIM-6376-5.3-1
 * RFC 6376 5.3).  It does not sign, and compresses nothing.
 */
#include "reports/report.h"

#include "conf/stamp.h"
#include "queue/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define LINE_OCTETS	76	/* of a line of text, RFC 2045 6.7, 6.8 */
#define FIELD_OCTETS	78	/* RFC 5322 2.1.1 */

/* ---- encodings ---- */

static void
add_base64(struct buffer *out, struct slice octets)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *at = (const unsigned char *)octets.at;

	for (size_t i = 0; i < octets.len; i += 3) {
		size_t n = octets.len - i < 3 ? octets.len - i : 3;
		uint32_t bits = (uint32_t)at[i] << 16 |
		    (n > 1 ? (uint32_t)at[i + 1] << 8 : 0) |
		    (n > 2 ? at[i + 2] : 0);
		char group[4] = { digits[bits >> 18],
		    digits[bits >> 12 & 63],
		    n > 1 ? digits[bits >> 6 & 63] : '=',
		    n > 2 ? digits[bits & 63] : '=' };

		buffer_add(out, (struct slice){ group, 4 });
		if (i + 3 >= octets.len ||
		    (i + 3) % (LINE_OCTETS / 4 * 3) == 0)
			buffer_add(out, SLICE("\r\n"));
	}
}

/*
 * Can text stand as it is: short lines of printable ASCII, none of which
 * could be taken for a boundary, mbox's "From ", or a blank that is lost?
 */
static bool
is_plain(struct slice text)
{
	while (text.len > 0) {
		struct slice line = slice_cut(&text, '\n');

		if (line.len > LINE_OCTETS ||
		    slice_begins(line, SLICE("--")) ||
		    slice_begins(line, SLICE("From ")) ||
		    slice_begins(line, SLICE(".")) ||
		    (line.len > 0 && line.at[line.len - 1] == ' '))
			return false;
		for (size_t i = 0; i < line.len; i++)
			if (line.at[i] < 0x20 || line.at[i] > 0x7e)
				return false;
	}
	return true;
}

/* One line in quoted-printable (RFC 2045 6.7); every "=" is encoded, and so
   no line is a boundary. */
static void
add_quoted_line(struct buffer *out, struct slice line)
{
	size_t column = 0;

	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.at[i];
		bool bare = c >= 0x20 && c <= 0x7e && c != '=' &&
		    !(c == ' ' && i + 1 == line.len) &&
		    !((c == '.' || c == 'F') && column == 0);
		size_t width = bare ? 1 : 3;

		/* Room for the "=" that breaks the line. */
		if (column + width >= LINE_OCTETS) {
			buffer_add(out, SLICE("=\r\n"));
			column = 0;
			bare = bare && c != '.' && c != 'F';
			width = bare ? 1 : 3;
		}
		buffer_printf(out, bare ? "%c" : "=%02X", c);
		column += width;
	}
	buffer_add(out, SLICE("\r\n"));
}

static void
add_lines(struct buffer *out, struct slice text,
    void (*add)(struct buffer *, struct slice line))
{
	while (text.len > 0)
		add(out, slice_cut(&text, '\n'));
}

static void
add_plain_line(struct buffer *out, struct slice line)
{
	buffer_add(out, line);
	buffer_add(out, SLICE("\r\n"));
}

/* ---- header ---- */

/* "Name: value"; a value too long for that line has one of its own. */
static void
add_field(struct buffer *out, const char *name, const char *value)
{
	bool folded = strlen(name) + 2 + strlen(value) > FIELD_OCTETS;

	buffer_printf(out, "%s:%s %s\r\n", name, folded ? "\r\n" : "", value);
}

/*
 * RPT-5.3-6, RPT-5.3-7 RFC 8460 5.3: folded between words and nowhere else;
 * the report's id as a msg-id.
 */
static void
add_subject(struct buffer *out, const struct report *report,
    const struct reporter *reporter)
{
	char id[REPORT_ID_MAX], msg_id[REPORT_ID_MAX + 2];
	const char *words[] = { "Report", "Domain:", report->domain,
	    "Submitter:", reporter->domain, "Report-ID:", msg_id };
	size_t column = strlen("Subject:");

	snprintf(msg_id, sizeof(msg_id), "<%s>",
	    report_id(report, reporter, id));
	buffer_add(out, SLICE("Subject:"));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		/* Never a first line without a word (RFC 5322 3.2.2). */
		if (i > 0 && column + 1 + strlen(words[i]) > FIELD_OCTETS) {
			buffer_add(out, SLICE("\r\n"));
			column = 0;
		}
		buffer_printf(out, " %s", words[i]);
		column += 1 + strlen(words[i]);
	}
	buffer_add(out, SLICE("\r\n"));
}

/* The same for each try, another one for each receiver of the report. */
static void
add_message_id(struct buffer *out, const struct report *report,
    const struct reporter *reporter, const char *to)
{
	const char *host = reporter->hostname;
	char id[REPORT_ID_MAX + 16];
	uLong mark = crc32(0, (const Bytef *)to, (uInt)strlen(to));

	if (host == NULL || host[0] == '\0')
		host = reporter->domain;
	snprintf(id, sizeof(id), "<%" PRIu32 ".%016" PRIx64 ".%08lx@%.255s>",
	    report->day, report->number, mark, host);
	add_field(out, "Message-ID", id);
}

static void
add_header(struct buffer *out, const struct report *report,
    const struct reporter *reporter, const struct mailbox *to, int64_t now_s)
{
	char address[MAILBOX_TEXT_MAX], date[STAMP_MAX];

	mailbox_print(to, address);
	add_field(out, "From", reporter->from);
	add_field(out, "To", address);
	add_field(out, "Date",
	    stamp_mail(now_s > 0 ? (uint64_t)now_s * 1000 : 0, date));
	add_message_id(out, report, reporter, address);
	add_subject(out, report, reporter);
	/* RPT-5.3-3, RPT-5.3-4 RFC 8460 5.3 */
	add_field(out, "TLS-Report-Domain", report->domain);
	add_field(out, "TLS-Report-Submitter", reporter->domain);
	/* RFC 8689 5: a server that has no TLS shall get it all the same. */
	add_field(out, "TLS-Required", "No");
	/* DSN-3834-3.1.7-2 RFC 3834 3.1.7 */
	add_field(out, "Auto-Submitted", "auto-generated");
	add_field(out, "Content-Transfer-Encoding", "7bit");
}

/* ---- parts ---- */

/* RPT-5.3-2 RFC 8460 5.3: text/plain first */
static void
add_words(struct multipart *multipart, const struct report *report,
    const struct reporter *reporter)
{
	struct buffer words = { 0 };
	struct slice text;
	bool plain;

	report_words(report, reporter, &words);
	text = (struct slice){ words.text, words.len };
	plain = is_plain(text);
	multipart_part(multipart, plain ?
	    "Content-Type: text/plain; charset=us-ascii\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n" :
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n");
	add_lines(multipart->out, text,
	    plain ? add_plain_line : add_quoted_line);
	buffer_free(&words);
}

/*
 * RPT-5.3-2, RPT-5.3-8 RFC 8460 5.3, RPT-5.2-1: the document.  Its name
 * stands on one line: with two of the longest domains that is still within
 * the 998 octets of RFC 5322, and every reader takes it.
 */
static void
add_document(struct multipart *multipart, const struct report *report,
    const struct reporter *reporter, struct slice gzip)
{
	char name[FILE_NAME_MAX], fields[FILE_NAME_MAX + 256];

	snprintf(fields, sizeof(fields),
	    "Content-Type: application/tlsrpt+gzip\r\n"
	    "Content-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment;\r\n"
	    " filename=\"%s\"\r\n",
	    report_file_name(report, reporter, name));
	multipart_part(multipart, fields);
	add_base64(multipart->out, gzip);
}

void
report_mail(const struct report *report, const struct reporter *reporter,
    const struct mailbox *to, struct slice gzip, int64_t now_s,
    struct buffer *message)
{
	struct multipart multipart;
	char word[20];

	snprintf(word, sizeof(word), "%016" PRIx64, report->number);
	add_header(message, report, reporter, to, now_s);
	/* RPT-5.3-1 RFC 8460 5.3; RPT-5.6-1: all of it is one report's */
	multipart_begin(&multipart, message, "\"tlsrpt\"", word);
	add_words(&multipart, report, reporter);
	add_document(&multipart, report, reporter, gzip);
	multipart_end(&multipart);
}
