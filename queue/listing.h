/*
 * Which messages are meant, and how are they shown?
 */
#ifndef CULVER_QUEUE_LISTING_H
#define CULVER_QUEUE_LISTING_H

#include "queue/dispatch.h"

#include <sys/types.h>

enum recipient_state { RECIPIENT_WAITING, RECIPIENT_HELD, RECIPIENT_ACTIVE };

/* What an operator asked for; all that is given must hold. */
struct filter {
	char		 domain[DOMAIN_TEXT_MAX];	/* "" any */
	const char	*sender;	/* NULL any; borrowed */
	int		 state;		/* enum recipient_state, -1 any */
	uint64_t	 before_ms;	/* arrived before; 0 any */
	bool		 own;		/* uid's messages only */
	uid_t		 uid;
};

#define DURATION_WANTED	"a duration, as 30s, 15m, 4h or 5d"
/* "15m", "4h", "5d", "30s" as milliseconds.  Pure.  False: no duration. */
bool	listing_duration(const char *text, uint64_t *ms);

/* Does its envelope fit, as far as all its recipients share it?  Pure. */
bool	listing_fits_message(const struct filter *, const struct message *);
/* And this recipient, going to that destination? */
bool	listing_fits_recipient(const struct dispatch *, const struct filter *,
	    const struct recipient *, const struct destination *);
/*
 * Read a message's recipients and judge it; adds to *rows how many were read.
 * Local I/O.  False: it does not fit the filter, or has no recipient that can
 * be read.
 */
bool	listing_fits(struct spool *, const struct dispatch *,
	    const struct filter *, const struct message *, unsigned *rows);
/*
 * The destination of a recipient, read unless *destination is it already (0 at
 * first); an empty one where there is no record.  Local I/O.
 */
void	listing_destination(struct spool *, const struct recipient *,
	    struct destination *);
/* Its row as `queue list --json` has it; as above, appended to *row. */
void	listing_row(struct spool *, const struct dispatch *,
	    const struct message *, struct buffer *row);
/* Its lines as Postfix's mailq has them, appended to *text. */
void	listing_mailq(struct spool *, const struct dispatch *,
	    const struct message *, struct buffer *text);
/* The heading of such a list. */
void	listing_mailq_heading(struct buffer *text);
/* And its end. */
void	listing_mailq_end(struct buffer *text, uint64_t messages,
	    uint64_t octets);

/* In flight, held by itself or with its destination, or waiting. */
enum recipient_state listing_state(const struct dispatch *,
	    const struct recipient *, const struct destination *);

#endif
