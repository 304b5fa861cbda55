/*
 * Who asked to know?  What does a domain's _smtp._tls record say?
 *
 * Called by reports when a report is due, and by `culverctl check
 * tlsrpt-record'.  Records come from strangers and are read to the letter of
 * RFC 8460 3, so that publishers learn of their faults.  A record that does
 * not fit the grammar asks for nothing; of one that does, each URI is judged
 * for itself, so that a broken or strange one does not silence the others.
 * It looks nothing up, sends nothing and keeps nothing.
 */
#include "reports/rua.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAUSE		"RFC 8460 3"
#define NAME_MOST	32	/* of an extension */
#define SHOWN_MOST	60	/* octets of a stranger's text in a reason */

/* ---- text ---- */

/* A stranger's text made fit for one line of a reason. */
struct shown {
	char	text[SHOWN_MOST + 4];
};

static struct shown
show(struct slice text)
{
	struct shown shown;
	size_t i;

	for (i = 0; i < text.len && i < SHOWN_MOST; i++) {
		char c = text.at[i];

		shown.text[i] = c < 0x20 || c > 0x7e || c == '"' ||
		    c == '\\' ? '?' : c;
	}
	strcpy(shown.text + i, text.len > SHOWN_MOST ? "..." : "");
	return shown;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* The value of a hexadecimal digit, or -1. */
static int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static struct slice
skip(struct slice text, size_t n)
{
	return (struct slice){ text.at + n, text.len - n };
}

static struct slice
skip_blanks(struct slice text)
{
	while (text.len > 0 && is_blank(text.at[0]))
		text = skip(text, 1);
	return text;
}

static struct slice
drop_blanks(struct slice text)
{
	while (text.len > 0 && is_blank(text.at[text.len - 1]))
		text.len--;
	return text;
}

/* What stands before the first octet of set, or all. */
static struct slice
before(struct slice text, const char *set)
{
	size_t n = 0;

	while (n < text.len && !is_one_of(text.at[n], set))
		n++;
	return (struct slice){ text.at, n };
}

/* ---- the record ---- */

/* Why a record asks for nothing. */
struct fault {
	enum rua_found	found;		/* RUA_NONE, RUA_INVALID */
	char		reason[256];
};

static bool	refuse(struct fault *, enum rua_found, const char *format, ...)
		    __attribute__((format(printf, 3, 4)));

static bool
refuse(struct fault *fault, enum rua_found found, const char *format, ...)
{
	va_list args;

	fault->found = found;
	va_start(args, format);
	vsnprintf(fault->reason, sizeof(fault->reason), format, args);
	va_end(args);
	return false;
}

/*
 * What follows the version and the blanks behind it; .at is NULL when the
 * text begins otherwise.  RPT-3-2 RFC 8460 3: with its case, at the very
 * start.
 */
static struct slice
after_version(struct slice record)
{
	struct slice version = SLICE("v=TLSRPTv1");

	if (!slice_begins(record, version))
		return (struct slice){ NULL, 0 };
	return skip_blanks(skip(record, version.len));
}

/*
 * What keeps a record from being a TLSRPT record, where it nearly is one; or
 * NULL.  Such a record is passed over like any other (RPT-3-2, RPT-3-19).
 */
static const char *
near_miss(struct slice record)
{
	struct slice version = SLICE("v=TLSRPTv"), rest = skip_blanks(record);
	bool blank = rest.len < record.len, quoted;

	quoted = rest.len > 0 && rest.at[0] == '"';
	if (quoted)
		rest = skip_blanks(skip(rest, 1));
	if (rest.len < version.len || !slice_equal_nocase(
	    (struct slice){ rest.at, version.len }, version))
		return NULL;
	if (quoted)
		return "it stands in double quotes, as dig prints it: leave "
		    "them out, and join its strings";
	if (blank)
		return "a blank stands before v=TLSRPTv1";
	if (!slice_begins(rest, version))
		return "the version is written v=TLSRPTv1, with its capital "
		    "letters";
	rest = skip(rest, version.len);
	if (rest.len == 0 || rest.at[0] != '1' ||
	    (rest.len > 1 && is_digit(rest.at[1])))
		return "there is no version but 1 (v=TLSRPTv1)";
	return "a semicolon must follow v=TLSRPTv1";
}

/* No record; the first that nearly is one says why it is none. */
static bool
refuse_all(const struct slice *records, unsigned records_n,
    struct fault *fault)
{
	const char *why = NULL;

	for (unsigned i = 0; i < records_n && why == NULL; i++)
		why = near_miss(records[i]);
	return why != NULL ?
	    refuse(fault, RUA_NONE, "no TLSRPT record: %s", why) :
	    refuse(fault, RUA_NONE, "no TLSRPT record");
}

/*
 * The one TLSRPT record, from its first semicolon on.  Whether a record is
 * one of them, also where blanks stand before the semicolon, is decided as
 * for MTA-STS (ruling 1).
 */
static bool
choose_record(const struct slice *records, unsigned records_n,
    struct slice *fields, struct fault *fault)
{
	unsigned found = 0;
	bool bare = false;

	for (unsigned i = 0; i < records_n; i++) {
		struct slice rest = after_version(records[i]);

		/* RPT-3-19 RFC 8460 3: others are discarded */
		if (rest.len > 0 && rest.at[0] == ';') {
			*fields = rest;
			found++;
		} else if (rest.at != NULL && rest.len == 0) {
			bare = true;
		}
	}
	/* RPT-3-20 RFC 8460 3 */
	if (found > 1)
		return refuse(fault, RUA_INVALID,
		    "%u TLSRPT records where one is allowed", found);
	if (found == 1)
		return true;
	return bare ? refuse(fault, RUA_INVALID, "the rua field is missing") :
	    refuse_all(records, records_n, fault);
}

/* tlsrpt-ext-name */
static bool
is_extension_name(struct slice name)
{
	if (name.len == 0 || name.len > NAME_MOST)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!is_alpha(name.at[i]) && !is_digit(name.at[i]) &&
		    (i == 0 || !is_one_of(name.at[i], "_-.")))
			return false;
	return true;
}

/* tlsrpt-ext-value */
static bool
is_extension_value(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.at[i] < 0x21 || value.at[i] > 0x7e ||
		    is_one_of(value.at[i], "=;"))
			return false;
	return value.len > 0;
}

/*
 * One field.  RPT-3-18 RFC 8460 3: "rua" with its case; RPT-3-25: the first
 * counts, others are passed over.
 */
static bool
parse_field(struct slice field, struct slice *rua, struct fault *fault)
{
	struct slice value = field, name = slice_cut(&value, '=');

	if (value.at == NULL)
		return refuse(fault, RUA_INVALID,
		    "field \"%s\" has no \"=\"", show(field).text);
	if (slice_equal(name, SLICE("rua"))) {
		if (rua->at == NULL)
			*rua = value;
		return true;
	}
	/* RPT-3-24 RFC 8460 3: what fits the grammar is passed over. */
	if (!is_extension_name(name))
		return refuse(fault, RUA_INVALID, "\"%s\" is no field name",
		    show(name).text);
	if (!is_extension_value(value))
		return refuse(fault, RUA_INVALID,
		    "field \"%s\" has an empty or impossible value",
		    show(name).text);
	return true;
}

/*
 * The URIs of the record.  RPT-3-17 RFC 8460 3: each field is led by a
 * semicolon with optional blanks round it; one more may close the record.
 */
static bool
find_uris(const struct slice *records, unsigned records_n, struct slice *uris,
    struct fault *fault)
{
	struct slice rest = { NULL, 0 };

	*uris = (struct slice){ NULL, 0 };
	if (!choose_record(records, records_n, &rest, fault))
		return false;
	slice_cut(&rest, ';');
	while (rest.at != NULL) {
		struct slice field = skip_blanks(slice_cut(&rest, ';'));

		if (rest.at == NULL && field.len == 0)
			break;
		if (rest.at != NULL)
			field = drop_blanks(field);
		if (!parse_field(field, uris, fault))
			return false;
	}
	/* RPT-3-3 RFC 8460 3 */
	if (uris->at == NULL)
		return refuse(fault, RUA_INVALID, "the rua field is missing");
	if (uris->len == 0)
		return refuse(fault, RUA_INVALID, "the rua field is empty");
	return true;
}

/*
 * The next of the URIs; list->at is NULL after the last.  RPT-3-4 RFC 8460 3:
 * blanks round a comma belong to it, others to no one.
 */
static struct slice
cut_uri(struct slice *list)
{
	struct slice uri = slice_cut(list, ',');

	if (list->at == NULL)
		return uri;
	*list = skip_blanks(*list);
	return drop_blanks(uri);
}

/* ---- a URI ---- */

enum kind {
	URI_SERVED,
	URI_UNSERVED,	/* it is one, but not one that we serve */
	URI_BROKEN
};

/* scheme ":" (RFC 3986 3.1), cut off; .len is 0 where there is none. */
static struct slice
cut_scheme(struct slice *uri)
{
	struct slice scheme = *uri, rest = *uri;

	scheme = slice_cut(&rest, ':');
	if (rest.at == NULL || scheme.len == 0 || !is_alpha(scheme.at[0]))
		return (struct slice){ NULL, 0 };
	for (size_t i = 0; i < scheme.len; i++)
		if (!is_alpha(scheme.at[i]) && !is_digit(scheme.at[i]) &&
		    !is_one_of(scheme.at[i], "+-."))
			return (struct slice){ NULL, 0 };
	*uri = rest;
	return scheme;
}

/* Reserved or unreserved (RFC 3986 2.2, 2.3), where these stand bare. */
static bool
is_uri_octet(char c)
{
	return is_alpha(c) || is_digit(c) ||
	    is_one_of(c, "-._~:/?#[]@$&'()*+=");
}

/*
 * What is wrong with its octets, or NULL.  RPT-3-5 RFC 8460 3: a bare
 * exclamation mark is wrong, also in DMARC's "!10m"; commas and semicolons
 * have ended the URI before.  Brackets are taken anywhere: they are nothing
 * but themselves to those who will use the URI.
 */
static const char *
find_bad_octet(struct slice uri)
{
	if (uri.len == 0)
		return "it is empty";
	for (size_t i = 0; i < uri.len; i++) {
		char c = uri.at[i];

		if (c == '%') {
			if (uri.len - i < 3 || hex_value(uri.at[i + 1]) < 0 ||
			    hex_value(uri.at[i + 2]) < 0)
				return "\"%\" without two hexadecimal digits";
			i += 2;
		} else if (c == '!') {
			return "\"!\" must be written as %21";
		} else if (is_blank(c)) {
			return "there is a blank in it";
		} else if (!is_uri_octet(c)) {
			return "an octet that must be percent-encoded";
		}
	}
	return NULL;
}

/*
 * Decode %XX.  False: no room, or what comes out is not printable ASCII (so
 * no U-labels either).
 */
static bool
decode(struct slice text, char *decoded, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		int c = (unsigned char)text.at[i];

		if (c == '%' && text.len - i >= 3) {
			c = hex_value(text.at[i + 1]) << 4 |
			    hex_value(text.at[i + 2]);
			i += 2;
		}
		if (c < 0x20 || c > 0x7e || n + 1 >= size)
			return false;
		decoded[n++] = (char)c;
	}
	decoded[n] = '\0';
	return true;
}

/*
 * A local part with a comma or semicolon must be quoted in mail, and RFC 6068
 * would have it so in a URI; RFC 8460 asks for no more than %2C and %3B.
 */
static bool
parse_unquoted(const char *text, struct mailbox *mailbox)
{
	const char *at = strrchr(text, '@'), *octet;
	char quoted[MAILBOX_TEXT_MAX + 2];
	size_t local;

	if (at == NULL || strlen(text) + 3 > sizeof(quoted))
		return false;
	local = (size_t)(at - text);
	octet = strpbrk(text, ",;");
	if (octet == NULL || octet > at || memchr(text, '@', local) != NULL ||
	    memchr(text, '"', local) != NULL ||
	    memchr(text, '\\', local) != NULL)
		return false;
	snprintf(quoted, sizeof(quoted), "\"%.*s\"%s", (int)local, text, at);
	return mailbox_parse(slice_of(quoted), mailbox);
}

/*
 * mailto (RFC 6068 2).  RPT-3-5, RPT-3-9 RFC 8460 3: decoded after the record
 * was split; header fields are not ours to write.  It may be a list; RFC 8460
 * speaks of one address, and so the first is taken.
 */
static const char *
parse_mailto(struct slice rest, struct rua_receiver *receiver)
{
	struct mailbox *mailbox = &receiver->mailbox;
	char text[MAILBOX_TEXT_MAX];
	struct slice list, first;

	receiver->scheme = RUA_MAILTO;
	rest = before(rest, "?#");
	if (!decode(rest, text, sizeof(text)))
		return "its address is too long or not in printable ASCII "
		    "(domains are written in A-labels)";
	list = slice_of(text);
	first = slice_cut(&list, ',');
	if (!mailbox_parse(slice_of(text), mailbox) &&
	    !mailbox_parse(first, mailbox) &&
	    !parse_unquoted(text, mailbox))
		return "its address is no mailbox of RFC 5321";
	return NULL;
}

/* Would some reader of URLs take this name for an IPv4 address? */
static bool
ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.');
	const char *last = dot == NULL ? name : dot + 1;

	if (last[strspn(last, "0123456789")] == '\0')
		return true;
	return last[0] == '0' && last[1] == 'x' &&
	    last[2 + strspn(last + 2, "0123456789abcdef")] == '\0';
}

/* host (RFC 3986 3.2.2): a name in A-labels, or an address. */
static bool
parse_host(struct slice text, char host[DOMAIN_TEXT_MAX])
{
	char printed[ADDRESS_TEXT_MAX];
	struct address address;
	struct domain domain;

	if (text.len > 0 && text.at[0] == '[') {
		text = (struct slice){ text.at + 1, text.len - 2 };
		if (!address_parse(text, &address) || address.family != 6)
			return false;
		snprintf(host, DOMAIN_TEXT_MAX, "[IPv6:%s]",
		    address_print(&address, printed));
		return true;
	}
	if (!domain_parse(text, &domain))
		return false;
	if (!ends_in_number(domain.name))
		return slice_store(slice_of(domain.name), host,
		    DOMAIN_TEXT_MAX);
	/* Only the one form that means the same to everybody. */
	if (!address_parse(text, &address))
		return false;
	snprintf(host, DOMAIN_TEXT_MAX, "[%s]",
	    address_print(&address, printed));
	return true;
}

/* [ ":" port ]; an empty port is the default (RFC 3986 3.2.3). */
static bool
parse_port(struct slice text, uint32_t *port)
{
	uint64_t number = 443;

	if (text.len > 0 && text.at[0] != ':')
		return false;
	if (text.len > 1 && !slice_number(skip(text, 1), 65535, &number))
		return false;
	*port = (uint32_t)number;
	return number > 0;
}

/* https (RFC 9110 4.2.2); path, query and so on stay as they are: RPT-3-7 */
static const char *
parse_https(struct slice rest, struct rua_receiver *receiver)
{
	struct slice host;

	receiver->scheme = RUA_HTTPS;
	if (!slice_begins(rest, SLICE("//")))
		return "\"//\" and a host are missing";
	rest = before(skip(rest, 2), "/?#");
	if (memchr(rest.at, '@', rest.len) != NULL)
		return "there is user information in it";
	host = before(rest, ":");
	if (rest.len > 0 && rest.at[0] == '[') {
		host = before(rest, "]");
		if (host.len == rest.len)
			return "its host has no closing bracket";
		host.len++;
	}
	if (!parse_host(host, receiver->host))
		return "its host is neither a domain in A-labels nor an "
		    "address";
	if (!parse_port(skip(rest, host.len), &receiver->port))
		return "its port is no number from 1 to 65535";
	return NULL;
}

/*
 * One URI.  Where it is not served, *why is a sentence of ours.
 * RPT-3-6 RFC 8460 3: mailto and https (schemes have no case) are.
 */
static enum kind
judge_uri(struct slice uri, struct rua_receiver *receiver, const char **why)
{
	struct slice rest = uri, scheme;

	memset(receiver, 0, sizeof(*receiver));
	*why = find_bad_octet(uri);
	if (*why != NULL)
		return URI_BROKEN;
	scheme = cut_scheme(&rest);
	if (scheme.len == 0) {
		*why = "it does not begin with a scheme and a colon";
		return URI_BROKEN;
	}
	if (slice_equal_nocase(scheme, SLICE("mailto")))
		*why = parse_mailto(rest, receiver);
	else if (slice_equal_nocase(scheme, SLICE("https")))
		*why = parse_https(rest, receiver);
	else
		*why = "only mailto and https are served";
	if (*why != NULL)
		return receiver->scheme == 0 ? URI_UNSERVED : URI_BROKEN;
	if (slice_store(uri, receiver->uri, sizeof(receiver->uri)))
		return URI_SERVED;
	*why = "it is longer than 2047 octets";
	return URI_UNSERVED;
}

/* ---- receivers ---- */

static bool
is_same(const struct rua_receiver *a, const struct rua_receiver *b)
{
	if (strcmp(a->uri, b->uri) == 0)
		return true;
	return a->scheme == RUA_MAILTO && b->scheme == RUA_MAILTO &&
	    strcmp(a->mailbox.local, b->mailbox.local) == 0 &&
	    domain_equal(&a->mailbox.domain, &b->mailbox.domain);
}

static bool
is_known(const struct rua *rua, const struct rua_receiver *receiver)
{
	for (unsigned i = 0; i < rua->n; i++)
		if (is_same(&rua->receiver[i], receiver))
			return true;
	return false;
}

/* The first that is passed over is named. */
static void
note_skipped(struct rua *rua, struct slice uri, const char *why)
{
	if (rua->skipped++ == 0)
		snprintf(rua->reason, sizeof(rua->reason), "\"%s\": %s",
		    show(uri).text, why);
}

/* RPT-3-22 RFC 8460 3: each of the first five. */
static void
take_uri(struct rua *rua, struct slice uri)
{
	struct rua_receiver receiver;
	const char *why;

	if (judge_uri(uri, &receiver, &why) != URI_SERVED)
		note_skipped(rua, uri, why);
	else if (is_known(rua, &receiver))
		return;
	else if (rua->n == RUA_MAX)
		note_skipped(rua, uri, "five receivers are enough");
	else
		rua->receiver[rua->n++] = receiver;
}

static void
count_skipped(struct rua *rua)
{
	size_t len = strlen(rua->reason);

	if (rua->skipped > 1)
		snprintf(rua->reason + len, sizeof(rua->reason) - len,
		    "; and %u more", rua->skipped - 1);
}

enum rua_found
rua_read(const struct slice *records, unsigned records_n, struct rua *rua)
{
	struct fault fault;
	struct slice uris;

	memset(rua, 0, sizeof(*rua));
	rua->clause = CLAUSE;
	if (!find_uris(records, records_n, &uris, &fault)) {
		memcpy(rua->reason, fault.reason, sizeof(rua->reason));
		return fault.found;
	}
	while (uris.at != NULL)
		take_uri(rua, cut_uri(&uris));
	count_skipped(rua);
	return rua->n > 0 ? RUA_FOUND : RUA_INVALID;
}

/* ---- check tlsrpt-record ---- */

static bool
check_refused(struct buffer *json, const char *reason)
{
	buffer_add(json, SLICE("{\"valid\":false,\"reason\":"));
	buffer_json(json, slice_of(reason));
	buffer_add(json, SLICE(",\"clause\":\"" CLAUSE "\"}"));
	return false;
}

/* One that is served by itself: is it, after those before it? */
static enum kind
judge_place(struct rua *known, const struct rua_receiver *receiver,
    const char **why)
{
	*why = is_known(known, receiver) ? "it stands there already" :
	    "five receivers are enough";
	if (is_known(known, receiver) || known->n == RUA_MAX)
		return URI_UNSERVED;
	known->receiver[known->n++] = *receiver;
	return URI_SERVED;
}

/* Append to the lists what becomes of one URI; false: it is broken. */
static bool
check_uri(struct slice uri, struct rua *known, struct buffer *rua,
    struct buffer *skipped, const char **why)
{
	struct rua_receiver receiver;
	enum kind kind = judge_uri(uri, &receiver, why);

	if (kind == URI_SERVED)
		kind = judge_place(known, &receiver, why);
	if (kind != URI_BROKEN) {
		buffer_add(rua, rua->len > 0 ? SLICE(",") : SLICE(""));
		buffer_json(rua, uri);
	}
	if (kind != URI_SERVED) {
		buffer_add(skipped, skipped->len > 0 ? SLICE(",") :
		    SLICE(",\"skipped\":["));
		buffer_add(skipped, SLICE("{\"uri\":"));
		buffer_json(skipped, uri);
		buffer_add(skipped, SLICE(",\"reason\":"));
		buffer_json(skipped, slice_of(*why));
		buffer_add(skipped, SLICE("}"));
	}
	return kind != URI_BROKEN;
}

bool
rua_check(const struct slice *records, unsigned records_n,
    struct buffer *json)
{
	struct buffer rua = { 0 }, skipped = { 0 };
	struct rua *known = mem_alloc(sizeof(*known));
	struct fault fault = { 0 };
	struct slice uris = { NULL, 0 }, uri;
	const char *why;
	bool valid;

	if (!find_uris(records, records_n, &uris, &fault))
		uris.at = NULL;
	while (uris.at != NULL) {
		uri = cut_uri(&uris);
		if (!check_uri(uri, known, &rua, &skipped, &why) &&
		    fault.reason[0] == '\0')
			refuse(&fault, RUA_INVALID, "\"%s\": %s",
			    show(uri).text, why);
	}
	valid = rua.len > 0;
	if (!valid)
		check_refused(json, fault.reason);
	else
		buffer_printf(json, "{\"valid\":true,\"rua\":[%s]%s%s}",
		    rua.text, skipped.len > 0 ? skipped.text : "",
		    skipped.len > 0 ? "]" : "");
	buffer_free(&rua);
	buffer_free(&skipped);
	free(known);
	return valid;
}
