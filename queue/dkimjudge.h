/*
 * Does what stands in the DNS fit a private key?
 */
#ifndef CULVER_QUEUE_DKIMJUDGE_H
#define CULVER_QUEUE_DKIMJUDGE_H

#include "queue/dkimline.h"
#include "queue/dkimsecret.h"

enum dkimjudge_verdict {
	DKIMJUDGE_FITS,		/* this key is published */
	DKIMJUDGE_ABSENT,	/* nothing is */
	DKIMJUDGE_ANOTHER,	/* another key is */
	DKIMJUDGE_UNUSABLE,	/* revoked, malformed, not for SHA-256, or
				   several records */
	DKIMJUDGE_UNKNOWN	/* could not tell */
};
/* "fits", "absent", "another-key", "unusable", "unknown".  Static. */
const char	*dkimjudge_name(enum dkimjudge_verdict);

#define DKIMJUDGE_WARNINGS_MAX	4
struct dkimjudge {
	enum dkimjudge_verdict	 verdict;
	char			 text[512];	/* a sentence for people */
	size_t			 warnings_n;
	const char		*warnings[DKIMJUDGE_WARNINGS_MAX];
						/* sentences, static */
};
/*
 * Judge what was found at name, and found says.  Pure, but for libcrypto's
 * encoding of the key.
 */
void	dkimjudge_judge(const struct dkimsecret *, const char *name,
	    const struct dkimline *found, struct dkimjudge *);
/* What to warn of before it is published: a sentence, static, or NULL. */
const char	*dkimjudge_weakness(const struct dkimsecret *);

#endif
