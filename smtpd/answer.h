/*
 * An SMTP reply that we give: a code and a text that begins with its enhanced
 * status code.  The functions that judge a command or a message return one;
 * code 0 is "nothing against it".
 */
#ifndef CULVER_ANSWER_H
#define CULVER_ANSWER_H

#include "conf/mem.h"

struct answer {
	unsigned	 code;		/* 250, 354, 451, ...; 0: none */
	const char	*text;		/* "5.5.2 what was wrong", static */
};

/*
 * Append the reply to out as it goes to the client.  Lines are parted by
 * "\n"; each but the first of a 2yz, 4yz or 5yz reply that has an enhanced
 * status code repeats it.  RFC 5321 4.2.1, RFC 2034 4 (EXT-2034-4-3)
 */
void	answer_print(struct buffer *out, unsigned code, const char *text);

#endif
