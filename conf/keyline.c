/*
 * What may stand in a `dkim` line, and which files may hold a key?
 *
 * Called by keyfile.c for culverd, by culverctl and by culver-sign for the
 * verbs of `dkim`: all that they make or look at, a line can name, and culverd
 * takes.
 *
 * It parses no key: see queue/dkimsecret.c.
 */
#include "conf/keyline.h"

#include "conf/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
keyline_show(struct buffer *out, const char *text, size_t most)
{
	struct slice rest = slice_of(text);
	const size_t start = out->len;
	unsigned len;

	buffer_add(out, SLICE(""));
	while (rest.len > 0) {
		len = utf8_length(rest);
		if (out->len - start + (len > 0 ? len : 1) > most)
			return;
		if (len == 0 || utf8_is_control(rest.at, len))
			buffer_add(out, SLICE("?"));
		else
			buffer_add(out, (struct slice){ rest.at, len });
		len = len > 0 ? len : 1;
		rest.at += len;
		rest.len -= len;
	}
}

/* `"WORD" is no ...': what is wrong with one of the names.  Always false. */
static bool
refuse(struct buffer *why, const char *word, const char *what)
{
	buffer_add(why, SLICE("\""));
	keyline_show(why, word, KEYLINE_SHOWN_MAX);
	buffer_printf(why, "\" %s", what);
	return false;
}

bool
keyline_parse(const char *domain, const char *selector,
    struct keyline *keyline, struct buffer *why)
{
	char name[2 * DOMAIN_TEXT_MAX];
	struct domain labels, whole;

	if (!domain_parse(slice_of(domain), &keyline->domain) ||
	    domain_is_literal(&keyline->domain))
		return refuse(why, domain, "is no domain (letters beyond "
		    "ASCII: write its xn-- form)");
	/* RFC 6376 3.1: sub-domains, as of a mail address */
	if (!domain_parse(slice_of(selector), &labels) ||
	    domain_is_literal(&labels) || strchr(labels.name, '_') != NULL ||
	    !slice_store(slice_of(labels.name), keyline->selector,
	    sizeof(keyline->selector)))
		return refuse(why, selector, "is no selector: letters, digits "
		    "and hyphens are, at most 63");
	snprintf(name, sizeof(name), "%s._domainkey.%s", keyline->selector,
	    keyline->domain.name);
	if (!domain_parse(slice_of(name), &whole))
		return refuse(why, name, "is too long a name");
	memcpy(keyline->name, whole.name, sizeof(keyline->name));
	return true;
}

bool
keyline_path(const char *path, struct buffer *why)
{
	struct slice rest = slice_of(path);
	unsigned len;

	if (rest.len > KEYLINE_PATH_MAX) {
		buffer_printf(why, "its path has %zu octets, and a dkim line "
		    "takes %d", rest.len, KEYLINE_PATH_MAX);
		return false;
	}
	for (; rest.len > 0; rest.at += len, rest.len -= len) {
		len = utf8_length(rest);
		if (len > 0 && !utf8_is_control(rest.at, len))
			continue;
		buffer_printf(why, "its path has %s, which a dkim line does "
		    "not take", len > 0 ? "a control character" :
		    "an octet that is not UTF-8");
		return false;
	}
	return true;
}

enum keyline_file
keyline_look(int fd, const char *path, struct buffer *why)
{
	struct stat status;

	if (fstat(fd, &status) != 0) {
		buffer_printf(why, "%s: %s", path, strerror(errno));
		return KEYLINE_NO_FILE;
	}
	if (!S_ISREG(status.st_mode)) {
		buffer_printf(why, "%s is not a file", path);
		return KEYLINE_NO_FILE;
	}
	if ((status.st_mode & 077) != 0)
		buffer_printf(why, "%s may be used by others (mode %04o); "
		    "accepted: a file for its owner alone: chmod 600 %s",
		    path, (unsigned)status.st_mode & 07777, path);
	/* culverd gives up its right to read what belongs to others. */
	else if (geteuid() == 0 && status.st_uid != 0)
		buffer_printf(why, "%s belongs to uid %u, and culverd reads "
		    "no file of others; accepted: one of root: chown root %s",
		    path, (unsigned)status.st_uid, path);
	else
		return KEYLINE_PRIVATE;
	return KEYLINE_OPEN;
}
