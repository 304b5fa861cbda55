/*
 * An SMTP reply (RFC 5321 4.2) as a hostile server may send it: parsed octet
 * for octet as it comes, bounded.  Pure.
 */
#ifndef CULVER_REPLY_H
#define CULVER_REPLY_H

#include "conf/mem.h"
#include "queue/queue.h"

#include <stdbool.h>

#define REPLY_LINE_MAX	1000		/* octets kept of a line */
#define REPLY_OCTETS_MAX	(1u << 20)	/* of a whole reply */
#define REPLY_STATUS_MAX	12		/* "5.123.123", the end */

struct reply {
	unsigned	code;			/* 200 to 599; 0: none yet */
	unsigned	lines;
	/* What the server said of status, if believed: EXT-2034-4-5; or "" */
	char		enhanced[REPLY_STATUS_MAX];
	/* The lines with their codes, joined by "\n", cut at the room */
	char		text[REPLY_TEXT_MAX];
};

enum reply_state {
	REPLY_MORE,
	REPLY_WHOLE,
	REPLY_VIOLATION		/* no SMTP reply: give the session up */
};

struct reply_parser {
	struct reply	*reply;
	/* Called with what stands behind each line's code; may be NULL. */
	void		(*line)(void *context, struct slice text, bool first);
	void		*context;
	enum reply_state state;
	size_t		 octets;		/* taken so far */
	size_t		 text_len;
	size_t		 line_len;		/* of which at most are kept: */
	char		 kept[REPLY_LINE_MAX];
};

/* Begin: *reply is emptied; both are the caller's until the reply is whole. */
void	reply_begin(struct reply_parser *parser, struct reply *reply,
	    void (*line)(void *context, struct slice text, bool first),
	    void *context);
/*
 * Take octets up to the end of the reply; *used says how many.  Lines end in
 * LF, with or without CR before it.  After REPLY_WHOLE and REPLY_VIOLATION
 * nothing more is taken.  RFC 5321 4.2, 4.2.1
 */
enum reply_state reply_feed(struct reply_parser *parser, const char *octets,
	    size_t len, size_t *used);

/* The first digit, which decides: 2 to 5; 0 without code.  SMTP-4.2-4 */
unsigned reply_class(const struct reply *reply);
/*
 * The enhanced status: the server's, or X.0.0 of the class (EXT-2034-4-5);
 * "" for replies that have none (3yz, no code).
 */
void	reply_status(const struct reply *reply, char *status, size_t size);

#endif
