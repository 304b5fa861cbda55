/*
 * How is a document made small?  (RPT-5.2-1 RFC 8460 5.2)
 *
 * Called once a report.  zlib writes neither name nor time unless asked to,
 * so one text is always the same octets (report-id and key are the same for
 * every try; what is sent then is too).
 */
#include "reports/report.h"

#include "conf/log.h"

#include <stdlib.h>
#include <zlib.h>

#define PIECE		16384
#define GZIP_WINDOW	(15 + 16)	/* the largest, as GZIP (RFC 1952) */

/* No memory ends the program, as everywhere. */
static void *
take_memory(void *unused, unsigned n, unsigned size)
{
	(void)unused;
	return mem_alloc((size_t)n * size);
}

static void
give_memory(void *unused, void *memory)
{
	(void)unused;
	free(memory);
}

void
report_gzip(struct slice text, struct buffer *gzip)
{
	z_stream stream = { .zalloc = take_memory, .zfree = give_memory };
	unsigned char piece[PIECE];
	int state;

	if (text.len > UINT32_MAX ||
	    deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW,
	    8, Z_DEFAULT_STRATEGY) != Z_OK)
		bug("gzip of %zu octets", text.len);
	stream.next_in = (unsigned char *)(uintptr_t)text.at;
	stream.avail_in = (unsigned)text.len;
	do {
		stream.next_out = piece;
		stream.avail_out = sizeof(piece);
		state = deflate(&stream, Z_FINISH);
		buffer_add(gzip, (struct slice){ (char *)piece,
		    sizeof(piece) - stream.avail_out });
	} while (state == Z_OK);
	deflateEnd(&stream);
	if (state != Z_STREAM_END)
		bug("gzip: %d", state);
}
