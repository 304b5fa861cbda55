/*
 * From what a program wrote to sendmail's standard input to a message as it
 * goes out: octets with CRLF, a complete header, and recipients.
 */
#ifndef CULVER_COMPOSE_H
#define CULVER_COMPOSE_H

#include "smtpd/envelope.h"

struct compose {
	bool		 from_header;	/* -t: recipients stand in it */
	bool		 as_it_is;	/* -G: header is not completed */
	const char	*name;		/* of the author, or NULL */
	struct mailbox	 author;	/* for From when there is none */
	struct domain	 mail_domain;
	const char	*host;		/* right side of Message-ID */
	uint64_t	 random[2];	/* for Message-ID */
	int64_t		 wall_s;	/* for Date */
};

/*
 * Make a message of what was read, and add its recipients to the envelope
 * (-t).  Pure but for the time zone.  False, with a sentence in error, when
 * it is bad data (sysexits' 65).
 */
bool	compose_message(const struct compose *compose, struct slice text,
	    struct envelope *envelope, struct buffer *message,
	    struct buffer *error);

/*
 * Append a display name as a phrase: plain, quoted, or in encoded words when
 * it is not ASCII.  Pure.  MSG-2047-5-1 RFC 2047 5
 */
void	compose_phrase(struct buffer *out, const char *name);

#endif
