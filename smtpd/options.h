/*
 * The command line of sendmail(8).
 */
#ifndef CULVER_OPTIONS_H
#define CULVER_OPTIONS_H

#include "queue/queue.h"

enum options_mode {
	OPTIONS_SEND,		/* a message from standard input */
	OPTIONS_LIST		/* mailq, -bp */
};

struct options {
	enum options_mode mode;
	bool		 from_header;	/* -t */
	bool		 dots;		/* -i: a lone dot is text */
	bool		 gateway;	/* -G: don't complete the header */
	bool		 verbose;	/* -v */
	bool		 requiretls;	/* -O REQUIRETLS=yes */
	const char	*sender;	/* -f, -r; NULL: the user */
	const char	*name;		/* -F, NULL: the user's */
	const char	*config_file;	/* -C, NULL: the usual one */
	uint32_t	 notify;	/* -N, a set of enum dsn_notify */
	enum dsn_ret	 ret;		/* -R */
	const char	*envelope_id;	/* -V, NULL: none */
	const char	**recipients;	/* freed by options_free; NULL ended */
	size_t		 recipients_n;
};

/*
 * Read the command line; argv[0] says by which name we were called.  Pure;
 * borrows argv.  False, with a sentence in error, when it cannot be used
 * (sysexits' 64): an unknown letter, a bad value, or what is not built yet.
 */
bool	options_parse(int argc, char *const *argv, struct options *options,
	    struct buffer *error);
void	options_free(struct options *options);

#endif
