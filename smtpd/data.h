/*
 * The octets that a client sends after 354: where the message ends, what of
 * it is the message's own, and what is wrong with it.
 *
 * The octets are not copied: each call names the next run of them that
 * belongs to the message, in the block where they were read.
 */
#ifndef CULVER_DATA_H
#define CULVER_DATA_H

#include "conf/mem.h"
#include "smtpd/answer.h"

#include <stdbool.h>
#include <stdint.h>

/* The longest line that is taken, without CRLF (ruling 13). */
#define DATA_LINE_MAX		65536
/* So many Received fields are no loop yet.  SMTP-6.3-2 RFC 5321 6.3 */
#define DATA_RECEIVED_MAX	100

/* Where the next octet stands. */
enum data_state {
	DATA_LINE_START,
	DATA_DOT,		/* behind a dot at the start of a line */
	DATA_DOT_CR,		/* behind such a dot and a CR */
	DATA_TEXT,		/* inside a line */
	DATA_TEXT_CR,		/* inside a line, behind a CR */
	DATA_ENDED		/* the final dot's CRLF was read */
};

struct data {
	enum data_state	state;
	/* what the message is */
	uint64_t	size_bytes;	/* EXT-1870-5-1: as it is kept */
	bool		eight_bit;
	uint32_t	received;	/* Received fields */
	char		msgid[256];	/* Message-ID as written, "" none */
	/* what is wrong with it */
	bool		bare;		/* lone CR, lone LF or NUL */
	bool		long_line;
	/* the line under way */
	uint64_t	line_octets;
	bool		in_header;
	bool		in_msgid;	/* its value may be in the next line */
	size_t		field_len;
	char		field[288];	/* as much as is looked at */
};

void	data_begin(struct data *data);

/*
 * Take the next octets of *input, which then begins behind them; *run is what
 * of them belongs to the message (perhaps nothing), in input's own memory.
 * Pure.  Call it until input is empty or data->state is DATA_ENDED: then
 * input begins behind the final CRLF.
 *
 * Only CRLF "." CRLF ends a message.  Once `bare` or `long_line` is set the
 * runs may lack octets: the message will be refused.
 * RFC 5321 4.1.1.4, 4.5.2, 2.3.8
 */
void	data_take(struct data *data, struct slice *input, struct slice *run);

/*
 * What is against this message, as far as it was read?  Pure.  Code 0:
 * nothing.  max_bytes is the operator's max-message-size.
 */
struct answer	data_refusal(const struct data *data, uint64_t max_bytes);

#endif
