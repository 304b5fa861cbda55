/*
 * DANE (delivery/dane.c): which TLSA records count, and what a server's
 * certificates prove by them.
 *
 * Both sides run in this program, over memory.  A row is a set of TLSA
 * records, a chain that the server shows, and what must come of it, twice:
 * what DANE says of it, and what the public CAs say, whatever the other says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>

#include "delivery/tls.h"
#include "policy/rr.h"

#include "delivery_pki.h"

#define N(array)	(sizeof(array) / sizeof((array)[0]))

#define TRUST	CERT_NOT_TRUSTED
#define DATES	CERT_EXPIRED
#define NAME	CERT_HOST_MISMATCH
#define OTHER	CERT_OTHER
#define MATCH	CERT_DANE_NO_MATCH

/* ---- TLSA records ---- */

/* The list that struct r_host has. */
struct list {
	uint8_t	octets[65536];
	size_t	len;
};

static void
put_record(struct list *list, const uint8_t *rdata, size_t len)
{
	list->octets[list->len++] = (uint8_t)(len & 0xff);
	list->octets[list->len++] = (uint8_t)(len >> 8);
	memcpy(list->octets + list->len, rdata, len);
	list->len += len;
}

static struct slice
slice_of_list(const struct list *list)
{
	return (struct slice){ (const char *)list->octets, list->len };
}

/* The record of a certificate; flaw is added to its last octet. */
static void
put_tlsa(struct list *list, unsigned usage, unsigned selector,
    unsigned matching, X509 *certificate, uint8_t flaw)
{
	uint8_t rdata[4096] = { (uint8_t)usage, (uint8_t)selector,
	    (uint8_t)matching }, *der = NULL;
	unsigned digest_len;
	int len;

	len = selector == 1 ?
	    i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der) :
	    i2d_X509(certificate, &der);
	assert_true(len > 0);
	if (matching == 0) {
		memcpy(rdata + 3, der, (size_t)len);
	} else {
		EVP_Digest(der, (size_t)len, rdata + 3, &digest_len,
		    matching == 1 ? EVP_sha256() : EVP_sha512(), NULL);
		len = (int)digest_len;
	}
	OPENSSL_free(der);
	rdata[3 + len - 1] = (uint8_t)(rdata[3 + len - 1] + flaw);
	put_record(list, rdata, 3 + (size_t)len);
}

/* ---- the world ---- */

static struct {
	SSL_CTX			*client;	/* trusts the public root */
	struct pki_entity	 public, root, middle, short_root, under_short,
				 late_root, named_root, stranger;
} world;

enum ca { PUBLIC, ROOT, MIDDLE, SHORT, UNDER_SHORT, LATE, NAMED, STRANGER,
	ITSELF, LEAF };

static X509 *
certificate_of(enum ca ca, X509 *leaf)
{
	X509 *const certificates[] = {
		[PUBLIC] = world.public.certificate,
		[ROOT] = world.root.certificate,
		[MIDDLE] = world.middle.certificate,
		[SHORT] = world.short_root.certificate,
		[UNDER_SHORT] = world.under_short.certificate,
		[LATE] = world.late_root.certificate,
		[NAMED] = world.named_root.certificate,
		[STRANGER] = world.stranger.certificate,
		[ITSELF] = leaf, [LEAF] = leaf,
	};

	return certificates[ca];
}

static const struct pki_entity *
issuer_of(enum ca ca)
{
	const struct pki_entity *const entities[] = {
		[PUBLIC] = &world.public, [ROOT] = &world.root,
		[MIDDLE] = &world.middle, [SHORT] = &world.short_root,
		[UNDER_SHORT] = &world.under_short,
		[LATE] = &world.late_root, [NAMED] = &world.named_root,
		[STRANGER] = &world.stranger, [LEAF] = NULL,
	};

	return ca == ITSELF ? NULL : entities[ca];
}

/* usage, selector, matching type, of whom; flaw 1: of a like one */
struct record {
	unsigned	usage, selector, matching;
	enum ca		of;
	uint8_t		flaw;
};
#define EE(s, m)	{ 3, s, m, LEAF, 0 }
#define TA(s, m, of)	{ 2, s, m, of, 0 }
#define NOT_EE(s, m)	{ 3, s, m, LEAF, 1 }
#define NOT_TA(s, m, of) { 2, s, m, of, 1 }

struct row {
	const char	*what;
	struct record	 records[6];	/* up to usage 0 */
	struct pki_wish	 leaf;
	enum ca		 by;
	enum ca		 sent[3];	/* beside the leaf; up to PUBLIC */
	unsigned	 dane;		/* the defects that DANE must see */
	unsigned	 pkix;		/* and the public CAs */
	const char	*matched;	/* its beginning; NULL: none */
	const char	*others[2];
	bool		 unusable;
};
struct group {
	const struct row	*rows;
	size_t			 n;
};

static bool
shake(SSL *client, SSL *server)
{
	BIO *one, *other;
	unsigned turns;
	int done = 0;

	BIO_new_bio_pair(&one, 0, &other, 0);
	SSL_set_bio(client, one, one);
	SSL_set_bio(server, other, other);
	for (turns = 0; turns < 20 && done != 2; turns++)
		done = (SSL_connect(client) == 1) + (SSL_accept(server) == 1);
	return done == 2;
}

/* A handshake with a server that shows this; proof and all. */
static void
meet(const struct tls_about *about, const struct pki_entity *leaf,
    X509 *const *sent, struct tls_proof *proof)
{
	SSL_CTX *serving = pki_server(leaf, NULL);
	SSL *server, *client;

	for (; *sent != NULL; sent++)
		SSL_CTX_add1_chain_cert(serving, *sent);
	SSL_CTX_set_mode(serving, SSL_MODE_NO_AUTO_CHAIN);
	server = SSL_new(serving);
	client = tls_new(world.client, about);
	assert_true(shake(client, server));
	tls_prove(client, about, proof);
	assert_int_equal(ERR_peek_error(), 0);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(serving);
}

static void
check(const struct row *row, const struct tls_proof *proof)
{
	char text[200];

	x509_print(proof->dane.defects.errors, proof->dane.defects.errors_n,
	    text, sizeof(text));
	if (proof->dane.defects.set != row->dane ||
	    proof->dane.usable == row->unusable)
		fail_msg("%s: DANE %#x instead of %#x (%s)", row->what,
		    proof->dane.defects.set, row->dane, text);
	if (proof->pkix.set != row->pkix)
		fail_msg("%s: PKIX %#x instead of %#x (%s)", row->what,
		    proof->pkix.set, row->pkix, proof->certificate);
	if (row->matched == NULL ? proof->dane.matched[0] != '\0' :
	    strncmp(proof->dane.matched, row->matched,
	    strlen(row->matched)) != 0)
		fail_msg("%s: matched [%s]", row->what, proof->dane.matched);
}

static void
try_row(const struct row *row)
{
	struct pki_entity leaf = pki_make(&row->leaf, issuer_of(row->by));
	struct list list = { .len = 0 };
	struct dane dane = { .base = "mx.example.com",
	    .others = { row->others[0], row->others[1] } };
	struct tls_about about = { "mx.example.com", true, &dane };
	struct tls_proof proof;
	const struct record *record;
	X509 *sent[4] = { NULL };
	unsigned i;

	for (record = row->records; record->usage != 0; record++)
		put_tlsa(&list, record->usage, record->selector,
		    record->matching, certificate_of(record->of,
		    leaf.certificate), record->flaw);
	dane.records = slice_of_list(&list);
	for (i = 0; i < N(row->sent) && row->sent[i] != PUBLIC; i++)
		sent[i] = certificate_of(row->sent[i], leaf.certificate);
	meet(&about, &leaf, sent, &proof);
	check(row, &proof);
	pki_free(&leaf);
}

static void
test_rows(void **state)
{
	const struct group *group = *state;
	size_t i;

	for (i = 0; i < group->n; i++)
		try_row(&group->rows[i]);
}

#define MX	.names = "DNS:mx.example.com"
#define FOREIGN	.names = "DNS:foreign.example.net"
#define PAST	.from_days = -30, .to_days = -1

/* ---- DANE-EE ---- */

static const struct row ee[] = {
	{ "3 1 1", { EE(1, 1) }, { MX }, PUBLIC, { PUBLIC }, 0, 0, "3 1 1 ",
	  { NULL }, false },
	{ "3 0 1", { EE(0, 1) }, { MX }, PUBLIC, { PUBLIC }, 0, 0, "3 0 1 ",
	  { NULL }, false },
	{ "3 1 2", { EE(1, 2) }, { MX }, PUBLIC, { PUBLIC }, 0, 0, "3 1 2 ",
	  { NULL }, false },
	{ "3 0 2", { EE(0, 2) }, { MX }, PUBLIC, { PUBLIC }, 0, 0, "3 0 2 ",
	  { NULL }, false },
	{ "3 1 0", { EE(1, 0) }, { MX }, PUBLIC, { PUBLIC }, 0, 0, "3 1 0 ",
	  { NULL }, false },
	{ "3 0 0", { EE(0, 0) }, { MX }, PUBLIC, { PUBLIC }, 0, 0, "3 0 0 ",
	  { NULL }, false },
	{ "self-signed", { EE(1, 1) }, { MX }, ITSELF, { PUBLIC }, 0, TRUST,
	  "3 1 1 ", { NULL }, false },
	{ "foreign name", { EE(1, 1) }, { FOREIGN }, ITSELF, { PUBLIC }, 0,
	  TRUST | NAME, "3 1 1 ", { NULL }, false },
	{ "expired", { EE(0, 1) }, { MX, PAST }, ITSELF, { PUBLIC }, 0,
	  TRUST | DATES, "3 0 1 ", { NULL }, false },
	{ "not yet valid", { EE(1, 1) }, { MX, .from_days = 2,
	  .to_days = 9 }, ITSELF, { PUBLIC }, 0, TRUST | DATES, "3 1 1 ",
	  { NULL }, false },
	{ "expired, foreign, by a private CA", { EE(1, 1) }, { FOREIGN,
	  PAST }, ROOT, { ROOT }, 0, TRUST | DATES | NAME, "3 1 1 ",
	  { NULL }, false },
	{ "a client's, no name at all", { EE(1, 1) }, { .purpose =
	  "clientAuth" }, ITSELF, { PUBLIC }, 0, TRUST | NAME, "3 1 1 ",
	  { NULL }, false },
	{ "a signature that does not hold", { EE(1, 1) }, { MX,
	  .broken = 1 }, PUBLIC, { PUBLIC }, 0, OTHER, "3 1 1 ", { NULL },
	  false },
	{ "one of three", { NOT_EE(1, 1), EE(1, 1), { 3, 1, 1, ROOT, 0 } },
	  { MX }, ITSELF, { PUBLIC }, 0, TRUST, "3 1 1 ", { NULL }, false },
	{ "another's key", { { 3, 1, 1, ROOT, 0 } }, { MX }, PUBLIC,
	  { PUBLIC }, MATCH, 0, NULL, { NULL }, false },
	/* DANE-7672-3.2-1: good for the CAs, and no match */
	{ "no match, publicly good", { NOT_EE(1, 1) }, { MX }, PUBLIC,
	  { PUBLIC }, MATCH, 0, NULL, { NULL }, false },
	{ "no match, self-signed, expired", { NOT_EE(1, 1) }, { MX, PAST },
	  ITSELF, { PUBLIC }, MATCH, TRUST | DATES, NULL, { NULL }, false },
	{ "the issuer's key", { { 3, 1, 1, ROOT, 0 } }, { MX }, ROOT,
	  { ROOT }, MATCH, TRUST, NULL, { NULL }, false },
};

/* ---- DANE-TA ---- */

static const struct row ta[] = {
	{ "2 0 1 sent", { TA(0, 1, ROOT) }, { MX }, ROOT, { ROOT }, 0, TRUST,
	  "2 0 1 ", { NULL }, false },
	{ "2 1 1 sent", { TA(1, 1, ROOT) }, { MX }, ROOT, { ROOT }, 0, TRUST,
	  "2 1 1 ", { NULL }, false },
	{ "2 0 2 sent", { TA(0, 2, ROOT) }, { MX }, ROOT, { ROOT }, 0, TRUST,
	  "2 0 2 ", { NULL }, false },
	{ "below an intermediate", { TA(0, 1, ROOT) }, { MX }, MIDDLE,
	  { MIDDLE, ROOT }, 0, TRUST, "2 0 1 ", { NULL }, false },
	{ "the intermediate, all sent", { TA(0, 1, MIDDLE) }, { MX }, MIDDLE,
	  { MIDDLE, ROOT }, 0, TRUST, "2 0 1 ", { NULL }, false },
	{ "the intermediate, its root not sent", { TA(1, 1, MIDDLE) },
	  { MX }, MIDDLE, { MIDDLE }, 0, TRUST, "2 1 1 ", { NULL }, false },
	{ "2 0 1 not sent", { TA(0, 1, ROOT) }, { MX }, ROOT, { PUBLIC },
	  MATCH, TRUST, NULL, { NULL }, false },
	{ "2 0 0 not sent", { TA(0, 0, ROOT) }, { MX }, ROOT, { PUBLIC }, 0,
	  TRUST, "2 0 0 ", { NULL }, false },
	{ "2 0 0 sent", { TA(0, 0, ROOT) }, { MX }, ROOT, { ROOT }, 0, TRUST,
	  "2 0 0 ", { NULL }, false },
	{ "2 0 0 below an unsent intermediate", { TA(0, 0, ROOT) }, { MX },
	  MIDDLE, { PUBLIC }, MATCH, TRUST, NULL, { NULL }, false },
	{ "2 1 0 not sent", { TA(1, 0, ROOT) }, { MX }, ROOT, { PUBLIC }, 0,
	  TRUST, "2 1 0 ", { NULL }, false },
	{ "2 1 0 of another", { TA(1, 0, STRANGER) }, { MX }, ROOT,
	  { ROOT }, MATCH, TRUST, NULL, { NULL }, false },
	{ "the public CA", { TA(0, 1, PUBLIC) }, { MX }, PUBLIC, { PUBLIC },
	  MATCH, 0, NULL, { NULL }, false },
	{ "another CA", { TA(0, 1, STRANGER) }, { MX }, ROOT, { ROOT },
	  MATCH, TRUST, NULL, { NULL }, false },
	/* It stands in the chain, and has signed nothing there. */
	{ "another CA, sent", { TA(0, 1, STRANGER) }, { MX }, ROOT,
	  { ROOT, STRANGER }, MATCH, TRUST, NULL, { NULL }, false },
	{ "the leaf as its anchor", { { 2, 0, 1, LEAF, 0 } }, { MX }, ITSELF,
	  { PUBLIC }, MATCH, TRUST, NULL, { NULL }, false },
	{ "the leaf's key as its anchor", { { 2, 1, 1, LEAF, 0 } }, { MX },
	  ITSELF, { PUBLIC }, MATCH, TRUST, NULL, { NULL }, false },
	{ "no match, publicly good", { NOT_TA(0, 1, ROOT) }, { MX }, PUBLIC,
	  { PUBLIC }, MATCH, 0, NULL, { NULL }, false },
};

static const struct row ta_dates[] = {
	{ "expired leaf", { TA(0, 1, ROOT) }, { MX, PAST }, ROOT, { ROOT },
	  DATES, TRUST | DATES, "2 0 1 ", { NULL }, false },
	{ "leaf not yet valid", { TA(0, 1, ROOT) }, { MX, .from_days = 3,
	  .to_days = 5 }, ROOT, { ROOT }, DATES, TRUST | DATES, "2 0 1 ",
	  { NULL }, false },
	{ "expired under 2 0 0", { TA(0, 0, ROOT) }, { MX, PAST }, ROOT,
	  { PUBLIC }, DATES, TRUST | DATES, "2 0 0 ", { NULL }, false },
	{ "expired under 2 1 0", { TA(1, 0, ROOT) }, { MX, PAST }, ROOT,
	  { PUBLIC }, DATES, TRUST | DATES, "2 1 0 ", { NULL }, false },
	{ "expired, foreign name", { TA(0, 1, ROOT) }, { FOREIGN, PAST },
	  ROOT, { ROOT }, DATES | NAME, TRUST | DATES | NAME, "2 0 1 ",
	  { NULL }, false },
	{ "signature that does not hold", { TA(0, 1, ROOT) }, { MX,
	  .broken = 1 }, ROOT, { ROOT }, OTHER, TRUST | OTHER, "2 0 1 ",
	  { NULL }, false },
	{ "a client's certificate", { TA(0, 1, ROOT) }, { MX, .purpose =
	  "clientAuth" }, ROOT, { ROOT }, TRUST, TRUST, "2 0 1 ", { NULL },
	  false },
	{ "1024 bits", { TA(0, 1, ROOT) }, { MX, .rsa_bits = 1024 }, ROOT,
	  { ROOT }, TRUST, TRUST, "2 0 1 ", { NULL }, false },
};

/* The anchor's own words: one intermediate less, other names. */
static const struct row ta_constraints[] = {
	{ "path length kept", { TA(0, 1, SHORT) }, { MX }, SHORT, { SHORT },
	  0, TRUST, "2 0 1 ", { NULL }, false },
	{ "path length exceeded", { TA(0, 1, SHORT) }, { MX }, UNDER_SHORT,
	  { UNDER_SHORT, SHORT }, TRUST, TRUST, "2 0 1 ", { NULL }, false },
	{ "path length exceeded under 2 0 0", { TA(0, 0, SHORT) }, { MX },
	  UNDER_SHORT, { UNDER_SHORT }, TRUST, TRUST, "2 0 0 ", { NULL },
	  false },
	{ "names permitted", { TA(0, 1, NAMED) }, { MX }, NAMED, { NAMED },
	  0, TRUST, "2 0 1 ", { NULL }, false },
	{ "names not permitted", { TA(0, 1, NAMED) }, { .names =
	  "DNS:mx.example.com,DNS:mx.other.test" }, NAMED, { NAMED }, TRUST,
	  TRUST, "2 0 1 ", { NULL }, false },
	{ "names not permitted under 2 0 0", { TA(0, 0, NAMED) }, { .names =
	  "DNS:mx.example.com,DNS:mx.other.test" }, NAMED, { PUBLIC }, TRUST,
	  TRUST, "2 0 0 ", { NULL }, false },
	{ "an anchor past its dates", { TA(0, 1, LATE) }, { MX }, LATE,
	  { LATE }, DATES, TRUST | DATES, "2 0 1 ", { NULL }, false },
};

#define HOP	"example.org", "real.example.net"
static const struct row ta_names[] = {
	{ "foreign name", { TA(0, 1, ROOT) }, { FOREIGN }, ROOT, { ROOT },
	  NAME, TRUST | NAME, "2 0 1 ", { HOP }, false },
	{ "no name", { TA(0, 1, ROOT) }, { .common_name = "x" }, ROOT,
	  { ROOT }, NAME, TRUST | NAME, "2 0 1 ", { HOP }, false },
	{ "the next hop's", { TA(0, 1, ROOT) }, { .names =
	  "DNS:example.org" }, ROOT, { ROOT }, 0, TRUST | NAME, "2 0 1 ",
	  { HOP }, false },
	{ "what that is short for", { TA(0, 1, ROOT) }, { .names =
	  "DNS:real.example.net" }, ROOT, { ROOT }, 0, TRUST | NAME,
	  "2 0 1 ", { HOP }, false },
	{ "the next hop's, which is no name here", { TA(0, 1, ROOT) },
	  { .names = "DNS:example.org" }, ROOT, { ROOT }, NAME,
	  TRUST | NAME, "2 0 1 ", { "", "" }, false },
	{ "below the next hop", { TA(0, 1, ROOT) }, { .names =
	  "DNS:a.example.org" }, ROOT, { ROOT }, NAME, TRUST | NAME,
	  "2 0 1 ", { HOP }, false },
	{ "upper case", { TA(0, 1, ROOT) }, { .names =
	  "DNS:MX.EXAMPLE.COM" }, ROOT, { ROOT }, 0, TRUST, "2 0 1 ",
	  { HOP }, false },
	{ "a wildcard", { TA(0, 1, ROOT) }, { .names = "DNS:*.example.com" },
	  ROOT, { ROOT }, 0, TRUST, "2 0 1 ", { NULL }, false },
	{ "a wildcard for two labels", { TA(0, 1, ROOT) }, { .names =
	  "DNS:*.com" }, ROOT, { ROOT }, NAME, TRUST | NAME, "2 0 1 ",
	  { NULL }, false },
	{ "a wildcard within a label", { TA(0, 1, ROOT) }, { .names =
	  "DNS:m*.example.com" }, ROOT, { ROOT }, NAME, TRUST | NAME,
	  "2 0 1 ", { NULL }, false },
	/* DANE-7672-3.2.3-1: unlike MTA-STS */
	{ "a common name alone", { TA(0, 1, ROOT) }, { .common_name =
	  "mx.example.com" }, ROOT, { ROOT }, 0, TRUST | NAME, "2 0 1 ",
	  { NULL }, false },
	{ "a common name beside another name", { TA(0, 1, ROOT) },
	  { .common_name = "mx.example.com", FOREIGN }, ROOT, { ROOT }, NAME,
	  TRUST | NAME, "2 0 1 ", { NULL }, false },
};

/* ---- both, and digests ---- */

static const struct row mixed[] = {
	{ "EE of two, TA not", { NOT_TA(0, 1, ROOT), EE(1, 1) }, { FOREIGN,
	  PAST }, ROOT, { ROOT }, 0, TRUST | DATES | NAME, "3 1 1 ",
	  { NULL }, false },
	{ "TA of two, EE not", { NOT_EE(1, 1), TA(0, 1, ROOT) }, { MX },
	  ROOT, { ROOT }, 0, TRUST, "2 0 1 ", { NULL }, false },
	{ "both", { EE(1, 1), TA(0, 1, ROOT) }, { MX }, ROOT, { ROOT }, 0,
	  TRUST, "3 1 1 ", { NULL }, false },
	/* The key is known: what the anchor would ask for is nothing here. */
	{ "both, expired", { TA(0, 1, ROOT), EE(1, 1) }, { MX, PAST }, ROOT,
	  { ROOT }, 0, TRUST | DATES, "3 1 1 ", { NULL }, false },
	{ "TA of two, expired", { NOT_EE(1, 1), TA(0, 1, ROOT) }, { MX,
	  PAST }, ROOT, { ROOT }, DATES, TRUST | DATES, "2 0 1 ", { NULL },
	  false },
	{ "TA of two, foreign", { NOT_EE(1, 1), TA(0, 1, ROOT) },
	  { FOREIGN }, ROOT, { ROOT }, NAME, TRUST | NAME, "2 0 1 ",
	  { NULL }, false },
	{ "neither", { NOT_EE(1, 1), NOT_TA(0, 1, ROOT) }, { MX }, ROOT,
	  { ROOT }, MATCH, TRUST, NULL, { NULL }, false },
	/* All that is wrong is seen: an anchor would not do either. */
	{ "neither, expired, foreign", { NOT_EE(1, 1),
	  NOT_TA(0, 1, ROOT) }, { FOREIGN, PAST }, ROOT, { ROOT },
	  MATCH | DATES | NAME, TRUST | DATES | NAME, NULL, { NULL }, false },
};

/* RFC 7671 9 */
static const struct row agility[] = {
	{ "the stronger matches", { EE(1, 2), NOT_EE(1, 1) }, { MX }, ITSELF,
	  { PUBLIC }, 0, TRUST, "3 1 2 ", { NULL }, false },
	{ "the weaker matches", { EE(1, 1), NOT_EE(1, 2) }, { MX }, ITSELF,
	  { PUBLIC }, MATCH, TRUST, NULL, { NULL }, false },
	{ "the whole matches", { EE(1, 0), NOT_EE(1, 2) }, { MX }, ITSELF,
	  { PUBLIC }, 0, TRUST, "3 1 0 ", { NULL }, false },
	{ "a broken stronger one", { EE(1, 1), NOT_EE(1, 0) }, { MX },
	  ITSELF, { PUBLIC }, 0, TRUST, "3 1 1 ", { NULL }, false },
	/* DANE-7671-9-2 */
	{ "another selector", { EE(0, 1), NOT_EE(1, 2) }, { MX }, ITSELF,
	  { PUBLIC }, 0, TRUST, "3 0 1 ", { NULL }, false },
	{ "another usage", { NOT_TA(0, 2, ROOT), EE(0, 1) }, { MX }, ITSELF,
	  { PUBLIC }, 0, TRUST, "3 0 1 ", { NULL }, false },
	{ "the weaker anchor", { TA(0, 1, ROOT), NOT_TA(0, 2, ROOT) },
	  { MX }, ROOT, { ROOT }, MATCH, TRUST, NULL, { NULL }, false },
	{ "an anchor in whole", { TA(0, 0, ROOT), NOT_TA(0, 2, ROOT) },
	  { MX }, ROOT, { ROOT }, 0, TRUST, "2 0 0 ", { NULL }, false },
};

/* DANE-7672-3.1.3-1: the CAs' usages are no usages here. */
static const struct row unusable[] = {
	{ "1 1 1", { { 1, 1, 1, LEAF, 0 } }, { MX }, PUBLIC, { PUBLIC }, 0, 0,
	  NULL, { NULL }, true },
	{ "4 1 1", { { 4, 1, 1, LEAF, 0 } }, { MX }, ITSELF, { PUBLIC }, 0,
	  TRUST, NULL, { NULL }, true },
	{ "1 1 1 beside 3 1 1", { { 1, 1, 1, LEAF, 0 }, NOT_EE(1, 1) },
	  { MX }, PUBLIC, { PUBLIC }, MATCH, 0, NULL, { NULL }, false },
	/* A point that lies on no curve. */
	{ "a key that is none", { NOT_EE(1, 0) }, { MX }, PUBLIC, { PUBLIC },
	  0, 0, NULL, { NULL }, true },
	{ "a key that is none beside another", { NOT_EE(1, 0),
	  { 3, 1, 0, ROOT, 0 } }, { MX }, PUBLIC, { PUBLIC }, MATCH, 0, NULL,
	  { NULL }, false },
};

/* ---- records that are none ---- */

/* Octets that only look like a certificate are as unusable as others. */
static void
test_undecodable(void **state)
{
	static const uint8_t empty[] = { 3, 0, 0, 0x30, 0 };
	static const uint8_t junk[] = { 2, 1, 0, 0x30, 3, 1, 2, 3 };
	static const struct pki_wish wish = { MX };
	struct pki_entity leaf = pki_make(&wish, &world.public);
	struct list list = { .len = 0 };
	struct dane dane = { .base = "mx.example.com" };
	struct tls_about about = { "mx.example.com", true, &dane };
	struct tls_proof proof;
	X509 *nobody = NULL;

	(void)state;
	put_record(&list, empty, sizeof(empty));
	put_record(&list, junk, sizeof(junk));
	dane.records = slice_of_list(&list);
	meet(&about, &leaf, &nobody, &proof);
	assert_false(proof.dane.usable);
	assert_int_equal(proof.dane.defects.set, 0);
	assert_string_equal(proof.dane.matched, "");
	/* One beside them that is good decides. */
	put_tlsa(&list, 3, 1, 1, leaf.certificate, 0);
	dane.records = slice_of_list(&list);
	meet(&about, &leaf, &nobody, &proof);
	assert_true(proof.dane.usable);
	assert_int_equal(proof.dane.defects.set, 0);
	assert_memory_equal(proof.dane.matched, "3 1 1 ", 6);
	pki_free(&leaf);
}

/* In the place of the library's, which says no word where `mute' is set. */
static bool mute;

int
SSL_get0_dane_tlsa(SSL *ssl, uint8_t *usage, uint8_t *selector,
    uint8_t *matching, const unsigned char **data, size_t *len)
{
	int (*real)(SSL *, uint8_t *, uint8_t *, uint8_t *,
	    const unsigned char **, size_t *);

	if (mute)
		return -1;
	*(void **)&real = dlsym(RTLD_NEXT, "SSL_get0_dane_tlsa");
	return real(ssl, usage, selector, matching, data, len);
}

/* A comparison that ends well, and names no record: it proves nothing. */
static void
test_nothing_matched(void **state)
{
	static const struct pki_wish wish = { MX };
	struct pki_entity leaf = pki_make(&wish, &world.public);
	struct list list = { .len = 0 };
	struct dane dane = { .base = "mx.example.com" };
	struct tls_about about = { "mx.example.com", true, &dane };
	struct tls_proof proof;
	X509 *nobody = NULL;

	(void)state;
	put_tlsa(&list, 3, 1, 1, leaf.certificate, 0);
	dane.records = slice_of_list(&list);
	mute = true;
	meet(&about, &leaf, &nobody, &proof);
	mute = false;
	assert_true(proof.dane.usable);
	assert_string_equal(proof.dane.matched, "");
	assert_int_equal(proof.dane.defects.set, MATCH);
	pki_free(&leaf);
}

/* Names that are none: what bears the record is good, and nothing ends. */
static void
test_odd_names(void **state)
{
	static const char *const names[] = { "-mx.example.com",
	    "mx..example.com", "192.0.2.1", "?" };
	static const struct pki_wish wish = { MX };
	struct pki_entity leaf = pki_make(&wish, &world.root);
	struct list list = { .len = 0 };
	struct dane dane = { .base = "mx.example.com" };
	struct tls_about about = { "mx.example.com", true, &dane };
	X509 *sent[] = { world.root.certificate, NULL };
	struct tls_proof proof;
	size_t i;

	(void)state;
	put_tlsa(&list, 2, 0, 1, world.root.certificate, 0);
	dane.records = slice_of_list(&list);
	for (i = 0; i < N(names); i++) {
		dane.others[0] = dane.others[1] = names[i];
		meet(&about, &leaf, sent, &proof);
		assert_int_equal(proof.dane.defects.set, 0);
		dane.base = names[i];
		meet(&about, &leaf, sent, &proof);
		assert_int_equal(proof.dane.defects.set, NAME);
		dane.base = "mx.example.com";
	}
	pki_free(&leaf);
}

/* Lists that are cut, empty, or promise more than they hold. */
static void
test_lists(void **state)
{
	static const char whole[] = { 2, 0, 'a', 'b', 1, 0, 'c' };
	struct slice rest = { whole, sizeof(whole) }, rdata;
	size_t len;

	(void)state;
	assert_true(dane_next(&rest, &rdata));
	assert_true(slice_equal(rdata, SLICE("ab")));
	assert_true(dane_next(&rest, &rdata));
	assert_true(slice_equal(rdata, SLICE("c")));
	assert_false(dane_next(&rest, &rdata));
	for (len = 0; len < sizeof(whole); len++) {
		rest = (struct slice){ whole, len };
		while (dane_next(&rest, &rdata))
			assert_true(rdata.at + rdata.len <= whole + len);
	}
}

/* What policy calls usable and what is compared here are the same. */
static void
test_agreement(void **state)
{
	static uint8_t rdata[70];
	struct dane_digests none = { { { 0 } } }, digests;
	struct list list;
	struct slice one;
	unsigned usage, selector, matching;
	size_t len;

	(void)state;
	for (usage = 0; usage < 6; usage++)
	for (selector = 0; selector < 4; selector++)
	for (matching = 0; matching < 5; matching++)
	for (len = 0; len <= sizeof(rdata); len++) {
		rdata[0] = (uint8_t)usage;
		rdata[1] = (uint8_t)selector;
		rdata[2] = (uint8_t)matching;
		rdata[3] = 0x30;
		rdata[4] = (uint8_t)(len >= 5 ? len - 5 : 0);
		list.len = 0;
		put_record(&list, rdata, len);
		one = (struct slice){ (const char *)rdata, len };
		dane_weigh(slice_of_list(&list), &digests);
		if (rr_tlsa_usable(one) && !dane_counts(&digests, one))
			fail_msg("%u %u %u, %zu octets: policy alone", usage,
			    selector, matching, len);
		/* A whole certificate is left to the library. */
		if (!rr_tlsa_usable(one) && dane_counts(&digests, one) &&
		    matching != 0)
			fail_msg("%u %u %u, %zu octets: here alone", usage,
			    selector, matching, len);
		/* A digest counts by its own strength only. */
		assert_int_equal(dane_counts(&none, one),
		    dane_counts(&digests, one) && matching == 0);
	}
}

/* As many as a message between programs holds: all are looked at. */
static void
test_many(void **state)
{
	static const struct pki_wish wish = { FOREIGN };
	struct pki_entity leaf = pki_make(&wish, NULL);
	struct list list = { .len = 0 };
	struct dane dane = { .base = "mx.example.com" };
	struct tls_about about = { "mx.example.com", true, &dane };
	struct tls_proof proof;
	X509 *nobody = NULL;

	(void)state;
	while (list.len + 2 * 37 <= ROUTE_TLSA_MAX)
		put_tlsa(&list, 3, 1, 1, leaf.certificate,
		    (uint8_t)(1 + list.len % 255));
	put_tlsa(&list, 3, 1, 1, leaf.certificate, 0);
	dane.records = slice_of_list(&list);
	meet(&about, &leaf, &nobody, &proof);
	assert_int_equal(proof.dane.defects.set, 0);
	dane.records.len -= 37;
	meet(&about, &leaf, &nobody, &proof);
	assert_int_equal(proof.dane.defects.set, MATCH);
	pki_free(&leaf);
}

/* TLS 1.2 shows the same certificates. */
static void
test_without_records(void **state)
{
	static const struct pki_wish wish = { MX };
	struct pki_entity leaf = pki_make(&wish, &world.public);
	struct tls_about about = { "mx.example.com", true, NULL };
	struct tls_proof proof;
	X509 *nobody = NULL;

	(void)state;
	meet(&about, &leaf, &nobody, &proof);
	assert_int_equal(proof.pkix.set, 0);
	assert_false(proof.dane.usable);
	assert_int_equal(proof.dane.defects.set, 0);
	pki_free(&leaf);
}

/* ---- the whole ---- */

static struct pki_entity
make_ca(const char *name, const char *constraints, const char *permitted,
    const struct pki_entity *issuer, bool late)
{
	const struct pki_wish wish = { .common_name = name,
	    .constraints = constraints, .permitted = permitted,
	    .from_days = late ? -30 : 0, .to_days = late ? -1 : 0 };

	return pki_make(&wish, issuer);
}

#define CA	"critical,CA:TRUE"

static int
set_up(void **state)
{
	unsigned n;
	int fd;

	(void)state;
	world.public = make_ca("public", CA, NULL, NULL, false);
	world.root = make_ca("root", CA, NULL, NULL, false);
	world.middle = make_ca("middle", CA, NULL, &world.root, false);
	world.short_root = make_ca("short", CA ",pathlen:0", NULL, NULL,
	    false);
	world.under_short = make_ca("under", CA, NULL, &world.short_root,
	    false);
	world.late_root = make_ca("late", CA, NULL, NULL, true);
	world.named_root = make_ca("named", CA,
	    "critical,permitted;DNS:example.com", NULL, false);
	world.stranger = make_ca("stranger", CA, NULL, NULL, false);
	fd = pki_bundle(&world.public, 1);
	world.client = tls_context(fd, &n);
	close(fd);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	SSL_CTX_free(world.client);
	pki_free(&world.public);
	pki_free(&world.root);
	pki_free(&world.middle);
	pki_free(&world.short_root);
	pki_free(&world.under_short);
	pki_free(&world.late_root);
	pki_free(&world.named_root);
	pki_free(&world.stranger);
	return 0;
}

#define ROWS(name, rows)						\
	{ name, test_rows, NULL, NULL,					\
	  (void *)&(struct group){ (rows), N(rows) } }
#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROWS("DANE-7672-3.1.1-1, DANE-7672-3.1.1-2, DANE-6698-A.3-1, "
		    "DANE-7672-3.2-1 DANE-EE", ee),
		ROWS("DANE-7672-3.1.2-1, DANE-7671-5.2-1 DANE-TA", ta),
		ROWS("DANE-7672-3.1.2-3 DANE-TA: dates, signatures, keys",
		    ta_dates),
		ROWS("DANE-7672-3.1.2-2 DANE-TA: the anchor's constraints",
		    ta_constraints),
		ROWS("DANE-7672-3.2.2-1, DANE-7672-3.2.2-2, "
		    "DANE-7672-3.2.2-3, DANE-7672-3.2.2-4, "
		    "DANE-7672-3.2.3-1, DANE-7672-3.2.3-2 DANE-TA: names",
		    ta_names),
		ROWS("trap T26: either of DANE-EE and DANE-TA may match",
		    mixed),
		ROWS("DANE-7671-9-1, DANE-7671-9-2, DANE-7671-9-3 only the "
		    "strongest digests count", agility),
		ROWS("DANE-7672-3.1.3-1 usages of the CAs are unusable",
		    unusable),
		TEST("DANE-7671-4.1-1 what does not decode is unusable",
		    test_undecodable),
		TEST("DANE-7672-3.2-1 no match, no proof",
		    test_nothing_matched),
		TEST("DANE-7672-3.2.2-3 names that are none", test_odd_names),
		TEST("lists of records", test_lists),
		TEST("DANE-7671-4.1-1, DANE-6698-2.1-1 usable is what policy "
		    "calls so", test_agreement),
		TEST("as many records as there can be", test_many),
		TEST("no record, no word on it", test_without_records),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
