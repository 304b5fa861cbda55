/*
 * DKIM's relaxed canonicalisation (RFC 6376 3.4): what of a message is left
 * when everything is gone that a relay may change on its way.
 *
 * Pure; a body comes in pieces of any size, and nothing of it is kept.
 */
#ifndef CULVER_QUEUE_DKIMCANON_H
#define CULVER_QUEUE_DKIMCANON_H

#include "conf/mem.h"

/*
 * One header field, with or without its last CRLF, appended in its relaxed
 * form and without a CRLF (RFC 6376 3.4.2).  Pure.  A line without colon is
 * no field: nothing.
 */
void	dkimcanon_field(struct buffer *out, struct slice field);

/*
 * Cut the first header field off *header (fields with CRLF, continuation
 * lines with them); len 0: there is none left.  Pure; borrows.
 */
struct slice	dkimcanon_cut_field(struct slice *header);
/*
 * Its name, without the blanks before the colon; "" where there is none.
 * Pure; borrows.
 */
struct slice	dkimcanon_name(struct slice field);

/*
 * A body under way.  Zero-initialise, then set put, which is called with the
 * octets of the relaxed form as they become known.
 */
struct dkimcanon_body {
	void		(*put)(void *context, const void *octets, size_t len);
	void		*context;
	uint64_t	 lines;		/* ended, not put: perhaps the end */
	bool		 any;		/* something was put */
	bool		 blank;		/* blanks, perhaps of the line's end */
	bool		 cr;		/* perhaps half a line end */
	size_t		 len;		/* of out */
	uint8_t		 out[1024];
};
void	dkimcanon_body_add(struct dkimcanon_body *, const void *octets,
	    size_t len);
/* The body is whole: an unfinished last line is ended (RFC 6376 3.4.4). */
void	dkimcanon_body_end(struct dkimcanon_body *);

#endif
