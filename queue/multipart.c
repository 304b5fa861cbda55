/*
 * How does a multipart/report lie in a message?
 *
 * Called by bounce.c for notices, and by reports for the mail of a TLS
 * report.  It writes headers of parts and the lines between them; what is in
 * a part the caller appends to the buffer himself, and sees to it that no line
 * of it could be taken for the boundary.
 */
#include "queue/queue.h"

#include "conf/log.h"

#include <stdio.h>
#include <string.h>

#define BOUNDARY_BEGIN	"=_culver/"	/* "=_": never in quoted-printable */
#define WORD_MAX	40

static void
check_word(const char *word)
{
	if (word[0] == '\0' || strlen(word) > WORD_MAX ||
	    strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789.") !=
	    strlen(word))
		bug("boundary word %s", word);
}

/* DSN-6522-3-2, RPT-5.3-1 RFC 6522 3: report-type is required */
void
multipart_begin(struct multipart *multipart, struct buffer *out,
    const char *report_type, const char *word)
{
	check_word(word);
	*multipart = (struct multipart){ .out = out };
	snprintf(multipart->boundary, sizeof(multipart->boundary),
	    BOUNDARY_BEGIN "%s", word);
	buffer_printf(out, "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report;\r\n"
	    " report-type=%s;\r\n"
	    " boundary=\"%s\"\r\n\r\n", report_type, multipart->boundary);
}

/* The line break before a boundary is the boundary's, not the part's. */
void
multipart_part(struct multipart *multipart, const char *fields)
{
	buffer_printf(multipart->out, "%s--%s\r\n%s\r\n",
	    multipart->begun ? "\r\n" : "", multipart->boundary, fields);
	multipart->begun = true;
}

void
multipart_end(struct multipart *multipart)
{
	buffer_printf(multipart->out, "\r\n--%s--\r\n", multipart->boundary);
}
