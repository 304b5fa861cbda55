/*
 * Does what stands in the DNS fit a private key?
 *
 * Called by dkimctl.c (`dkim check`).  The verdicts are five; whatever makes a
 * key less useful than it could be, but leaves the verdict as it is, is a
 * warning.
 *
 * It asks no resolver: the answer is culver-policy's.
 */
#include "queue/dkimjudge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *
dkimjudge_name(enum dkimjudge_verdict verdict)
{
	static const char *const names[] = {
		"fits", "absent", "another-key", "unusable", "unknown"
	};

	return names[verdict];
}

static void	conclude(struct dkimjudge *, enum dkimjudge_verdict,
		    const char *format, ...)
		    __attribute__((format(printf, 3, 4)));

static void
conclude(struct dkimjudge *judge, enum dkimjudge_verdict verdict,
    const char *format, ...)
{
	va_list values;

	judge->verdict = verdict;
	va_start(values, format);
	vsnprintf(judge->text, sizeof(judge->text), format, values);
	va_end(values);
}

static void
warn(struct dkimjudge *judge, const char *warning)
{
	judge->warnings[judge->warnings_n++] = warning;
}

/* DKIM-6376-3.6.1-1 RFC 6376 3.6.1 */
static void
look_at_tags(struct dkimjudge *judge, const struct dkimkey *key)
{
	/* RPT-3-15 RFC 8460 3 */
	if (!key->for_tlsrpt)
		warn(judge, "s= names neither tlsrpt nor *: reports that this "
		    "key signs may be refused (RFC 8460 3)");
	if (key->testing)
		warn(judge, "t=y says that the domain is testing: verifiers "
		    "treat its mail as if it were not signed");
}

static void
look_at_key(struct dkimjudge *judge, const struct dkimsecret *secret,
    const char *name, const struct dkimkey *key)
{
	if (key->revoked)
		conclude(judge, DKIMJUDGE_UNUSABLE, "the key at %s is "
		    "revoked: its p= is empty", name);
	else if (!key->sha256)
		/* DKIM-8301-3.1-1 RFC 8301 3.1: nothing is signed otherwise */
		conclude(judge, DKIMJUDGE_UNUSABLE, "the h= at %s does not "
		    "name sha256: verifiers refuse what such a key signs",
		    name);
	else if (key->type != dkimsecret_type(secret))
		conclude(judge, DKIMJUDGE_ANOTHER, "the key at %s is of "
		    "another type than the file's, which is %s", name,
		    dkimsecret_type_name(secret));
	else if (!dkimsecret_fits(secret, key))
		conclude(judge, DKIMJUDGE_ANOTHER, "the key at %s is another "
		    "than the file's", name);
	else
		conclude(judge, DKIMJUDGE_FITS, "the key at %s is that of "
		    "the file", name);
	look_at_tags(judge, key);
}

static void
look_at_record(struct dkimjudge *judge, const struct dkimsecret *secret,
    const char *name, struct slice record)
{
	struct dkimkey key;
	const char *reason;

	if (dkimkey_parse(record, &key, &reason))
		look_at_key(judge, secret, name, &key);
	else
		conclude(judge, DKIMJUDGE_UNUSABLE, "the record at %s is "
		    "malformed: %s", name, reason);
}

static void
look_at_answer(struct dkimjudge *judge, const struct dkimsecret *secret,
    const char *name, const struct dkimline *found)
{
	const bool ok = slice_equal(found->outcome, SLICE("ok"));

	if (!slice_equal_nocase(found->name, slice_of(name)))
		conclude(judge, DKIMJUDGE_UNKNOWN, "the answer is not about "
		    "%s", name);
	else if (slice_equal(found->outcome, SLICE("none")) ||
	    (ok && found->records_n == 0))
		conclude(judge, DKIMJUDGE_ABSENT, "there is no TXT record at "
		    "%s", name);
	else if (!ok)
		conclude(judge, DKIMJUDGE_UNKNOWN, "%s cannot be looked up: "
		    "%.*s", name, (int)found->text.len, found->text.at);
	else if (found->records_n > 1)
		/* RFC 6376 3.6.2.2: what happens then is not defined. */
		conclude(judge, DKIMJUDGE_UNUSABLE, "there are %zu TXT "
		    "records at %s, and a verifier may take any",
		    found->records_n, name);
	else
		look_at_record(judge, secret, name, found->records[0]);
}

/* DKIM-8301-3.2-1 RFC 8301 3.2 */
const char *
dkimjudge_weakness(const struct dkimsecret *secret)
{
	if (dkimsecret_type(secret) != DKIMKEY_RSA ||
	    dkimsecret_bits(secret) >= DKIMSECRET_BITS_WANTED)
		return NULL;
	return "the RSA key has less than 2048 bits (RFC 8301 3.2)";
}

void
dkimjudge_judge(const struct dkimsecret *secret, const char *name,
    const struct dkimline *found, struct dkimjudge *judge)
{
	const char *weakness = dkimjudge_weakness(secret);

	memset(judge, 0, sizeof(*judge));
	look_at_answer(judge, secret, name, found);
	if (weakness != NULL)
		warn(judge, weakness);
}
