/*
 * What an operator asks of a running program, and how it answers: the verbs
 * of culverctl.  A request is a vector of words; the answer is lines of JSON
 * (culverctl makes the text for people of them) or raw octets, perhaps one
 * error sentence, and an exit status as interfaces.md has them.
 *
 * The same verbs run without a relay: `culver-queue ctl queue list` answers
 * on standard output, in its owner's confinement.
 */
#ifndef CULVER_CONTROL_H
#define CULVER_CONTROL_H

#include "link.h"
#include "log.h"

#include <sys/types.h>

enum {				/* exit statuses of culverctl, sendmail */
	CONTROL_OK = 0,
	CONTROL_NO = 1,		/* no, invalid, nothing matched */
	CONTROL_USAGE = 64,
	CONTROL_DATA = 65,
	CONTROL_DOWN = 69,
	CONTROL_AGAIN = 75,
	CONTROL_DENIED = 77
};

enum {
	C_REQUEST = 0x0201,	/* words, each ended by NUL */
	C_OUTPUT,		/* octets for standard output */
	C_ERROR,		/* one sentence for standard error */
	C_END			/* exit status; the last message */
};
#define CONTROL_OUTPUT_MAX	32768
struct c_request {
	uint32_t	words_len;
	uint8_t		words[CONTROL_OUTPUT_MAX];
};
struct c_output {
	uint32_t	octets_len;
	uint8_t		octets[CONTROL_OUTPUT_MAX];
};
struct c_error {
	char		text[2048];
};
struct c_end {
	uint32_t	status;
};
extern const struct wire_table control_wire;
/*
 * A client's first packet on the control socket is one octet, the enum
 * program that shall answer (PROGRAM_PARENT: status); the parent reads it and
 * passes the connection on.
 */

/* One request under way.  Freed after control_end or when the caller goes. */
struct control;

/* What the program does for one verb. */
struct control_verb {
	const char	*noun, *verb;
	/* May a caller without rights (uid's own messages only) use it? */
	bool		 anybody;
	/*
	 * Answer, or begin to: either call control_end before returning, or
	 * control_again with the function that goes on.
	 */
	void	(*run)(void *program, struct control *, int argc, char **argv);
};

/* Who asks. */
uid_t	control_uid(const struct control *);
bool	control_is_admin(const struct control *);
/* Add uid= of the caller to an event. */
void	control_who(const struct control *, struct event *);
/* One JSON object as a line (the newline is added). */
void	control_line(struct control *, const struct buffer *json);
/* Raw octets (`queue message`). */
void	control_octets(struct control *, const void *octets, size_t len);
void	control_error(struct control *, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));
/*
 * Go on in a later turn, as soon as there is room for output: a slice of at
 * most 500 rows each time.  state is freed by release (NULL: free it with
 * free()) when the request ends or the caller goes away.
 */
void	control_again(struct control *, void (*go_on)(void *program,
	    struct control *, void *state), void *state,
	    void (*release)(void *state));
void	control_end(struct control *, int status);

/*
 * Serve a passed control connection (fd taken over).  verbs ends with a row
 * of NULLs.
 */
void	control_serve(struct loop *, int fd, uid_t uid, bool admin,
	    const struct control_verb *verbs, void *program);
/*
 * Run one verb without a relay, answering on standard output; returns its
 * exit status.  The caller is an admin (checked by culverctl and by the file
 * permissions of the spool); his uid is that of whoever started the program.
 * Errors go to standard error; further lines of the log to the descriptor that
 * the environment names, a line each, for culverctl to write them out.
 */
#define CONTROL_LOG	"CULVER_CTL_LOG"
int	control_run(const struct control_verb *verbs, void *program, int argc,
	    char **argv);

#endif
