/*
 * How culver's programs speak with each other, and how records lie on disk:
 * a C struct and a static table of its fields; one encoder, one decoder.
 *
 * A message is: kind (u16), then the fields in table order, integers little
 * endian at fixed width, TEXT and BYTES with a u32 length before them.  At
 * most WIRE_MAX octets.  A packet is one message, or several without
 * descriptors one behind the other.  A record on disk is the same octets as a
 * message, with the table's version before and a CRC-32C behind (store.h).
 */
#ifndef CULVER_WIRE_H
#define CULVER_WIRE_H

#include "mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAX	65536
#define WIRE_FDS_MAX	4

enum wire_type {
	WIRE_BOOL,	/* bool */
	WIRE_U32,	/* uint32_t; max is the greatest value, 0: any */
	WIRE_U64,	/* uint64_t */
	WIRE_I64,	/* int64_t */
	WIRE_TEXT,	/* char[max]: terminated, no NUL inside */
	WIRE_BYTES	/* uint32_t length, directly followed by uint8_t[max] */
};

struct wire_field {
	const char	*name;
	enum wire_type	 type;
	size_t		 offset;
	size_t		 max;
};

struct wire_message {
	unsigned		 kind;
	const char		*name;		/* "Q_OPEN" */
	size_t			 size;		/* of the struct */
	const struct wire_field	*fields;
	unsigned		 fields_n;
	unsigned		 fds;		/* descriptors it carries */
};

/* All messages of one link, both ways. */
struct wire_table {
	const char			*name;	/* "queue" */
	const struct wire_message	*messages;
	unsigned			 messages_n;
};

/*
 * Rows for tables:
 *	static const struct wire_field open_fields[] = {
 *		WIRE_FIELD(struct q_open, id, WIRE_U64, 0),
 *		WIRE_FIELD_TEXT(struct q_open, sender),
 *	};
 *	... WIRE_ROW(Q_OPEN, struct q_open, open_fields, 0),
 *	    WIRE_EMPTY(Q_STOP),
 * BYTES: the struct has `uint32_t NAME_len; uint8_t NAME[MAX];` in this order.
 */
#define WIRE_FIELD(type, member, kind, most)				\
	{ #member, kind, offsetof(type, member), most }
#define WIRE_FIELD_TEXT(type, member)					\
	{ #member, WIRE_TEXT, offsetof(type, member),			\
	    sizeof(((type *)0)->member) }
#define WIRE_FIELD_BYTES(type, member)					\
	{ #member, WIRE_BYTES, offsetof(type, member##_len),		\
	    sizeof(((type *)0)->member) }
#define WIRE_ROW(kind, type, fields, fds)				\
	{ kind, #kind, sizeof(type), fields,				\
	    sizeof(fields) / sizeof((fields)[0]), fds }
#define WIRE_EMPTY(kind)	{ kind, #kind, 0, NULL, 0, 0 }

/* The row of a kind, or NULL.  Pure. */
const struct wire_message *wire_find(const struct wire_table *, unsigned kind);

/*
 * Encode message (a struct as the row says) into octets; returns the length,
 * or 0 when it exceeds size or WIRE_MAX.  A text that is not terminated, or
 * a length above its maximum, is our bug and stops the program.
 */
size_t	wire_encode(const struct wire_message *, const void *message,
	    uint8_t *octets, size_t size);
/* The kind that octets begin with, or 0.  Pure. */
unsigned wire_kind(const uint8_t *octets, size_t len);
/*
 * Decode octets into *message (row->size octets, zeroed first).  Pure.
 * False when short, long, of another kind, or out of any field's bounds:
 * nothing of it may then be used.
 */
bool	wire_decode(const struct wire_message *, const uint8_t *octets,
	    size_t len, void *message);
/*
 * The same where more may follow: the octets that this message took, or 0
 * where wire_decode would say false.
 */
size_t	wire_decode_first(const struct wire_message *, const uint8_t *octets,
	    size_t len, void *message);
/* For debug lines: "Q_OPEN id=17 sender=a@x". Appends to *out. */
void	wire_print(const struct wire_message *, const void *message,
	    struct buffer *out);

/*
 * A port: one end of a SOCK_SEQPACKET socketpair, for programs that block
 * (workers, fetch, sendmail, culverctl); programs with a loop use link.h.
 * Deadlines are milliseconds of CLOCK_MONOTONIC (wire_now_ms), -1: none.
 */
int64_t	wire_now_ms(void);
struct wire_port {
	int				 fd;
	const struct wire_table		*table;
	uint8_t				*octets;	/* WIRE_MAX, port's */
	size_t				 len, at;	/* of the packet there */
	void				*message;	/* decoded, port's */
};
void	wire_port_open(struct wire_port *, int fd, const struct wire_table *);
void	wire_port_close(struct wire_port *);
/* 0 sent; -1 the peer is gone or the deadline passed.  fds stay open. */
int	wire_port_send(struct wire_port *, unsigned kind, const void *message,
	    const int *fds, int64_t deadline_ms);
/*
 * The next message: its kind, *message valid until the next call, fds (room
 * for WIRE_FDS_MAX) are the caller's.  0: the peer is gone or spoke nonsense;
 * -1: the deadline passed.
 */
int	wire_port_receive(struct wire_port *, const void **message, int *fds,
	    int64_t deadline_ms);
/*
 * Came more in the last packet than was received?  Then the descriptor need
 * not be readable for the next message.  Pure.
 */
bool	wire_port_has_more(const struct wire_port *);

#endif
