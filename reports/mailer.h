/*
 * culver-reports' end of its talk with culver-queue: mails are handed in by
 * their keys, and what became of them is asked by the same.
 */
#ifndef CULVER_MAILER_H
#define CULVER_MAILER_H

#include "conf/loop.h"
#include "queue/queue.h"

struct mailer;

struct mailer	*mailer_new(struct loop *);
/* What is under way is dropped without its call.  NULL is fine. */
void	 mailer_free(struct mailer **);
/* A fresh link to culver-queue (fd is taken over). */
void	 mailer_link(struct mailer *, int fd);

/* Is there a link, and room for one mail more? */
#define MAILER_MAX	8
bool	 mailer_has_room(const struct mailer *);
bool	 mailer_is_linked(const struct mailer *);

/*
 * How handing in went; call is made once, from the loop, never inside
 * mailer_send.
 */
enum mailed {
	MAILED_TAKEN,	/* the queue has it on disk, now or since long */
	MAILED_NOT,	/* it has not: code and text say why */
	MAILED_UNKNOWN	/* its answer was lost: ask by the key */
};
typedef void	mailer_call(void *context, enum mailed, uint32_t code,
		    const char *text);
/*
 * Hand a mail of class report in: sender and recipient as on the wire, the
 * message (CRLF, 7 bit) is taken over.  Only while mailer_has_room.
 */
#define MAILER_DEADLINE_MS	120000
void	 mailer_send(struct mailer *, const char *key, const char *sender,
	    const char *recipient, struct buffer *message, mailer_call *,
	    void *context);

/*
 * What became of the mail with this key?  Waits for a link and asks on each
 * fresh one; call is made once, from the loop, never inside mailer_ask; NULL:
 * there was no answer within MAILER_DEADLINE_MS.
 */
typedef void	mailer_key_call(void *context, const struct q_key *);
void	 mailer_ask(struct mailer *, const char *key, mailer_key_call *,
	    void *context);

#endif
