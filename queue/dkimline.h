/*
 * What culver-policy says of a TXT record, read back from its line of JSON
 * (`culver-policy ctl check txt NAME`).
 */
#ifndef CULVER_QUEUE_DKIMLINE_H
#define CULVER_QUEUE_DKIMLINE_H

#include "conf/mem.h"

#define DKIMLINE_MAX		(1u << 20)
#define DKIMLINE_RECORDS_MAX	32

struct dkimline {
	/* "" where it has no such member */
	struct slice	name;		/* that was asked for */
	struct slice	outcome;	/* "ok", "none", "again" */
	struct slice	text;
	size_t		records_n;	/* all, also those not kept */
	struct slice	records[DKIMLINE_RECORDS_MAX];
};

/*
 * Parse one JSON object, and nothing behind it but blanks.  Pure.
 * Strings are octets afterwards: \u0000 to \u00ff in a record is that octet,
 * as DNS has it; other strings are UTF-8.  Members of other names are
 * skipped, also numbers and words, but no object in it.
 * False: it is not such a line.  What is in the region is then useless.
 */
bool	dkimline_parse(struct slice line, struct region *, struct dkimline *);

#endif
