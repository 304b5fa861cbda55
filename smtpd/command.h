/*
 * One command line of an SMTP client, as RFC 5321 4.1 reads it, with the
 * parameters of the extensions that we offer (SIZE, 8BITMIME, DSN; REQUIRETLS
 * on the submit socket).
 */
#ifndef CULVER_COMMAND_H
#define CULVER_COMMAND_H

#include "conf/addr.h"
#include "queue/queue.h"
#include "smtpd/answer.h"

enum command_verb {
	COMMAND_UNKNOWN,
	COMMAND_UNBUILT,	/* known, not offered: EXPN, AUTH, BDAT, ... */
	COMMAND_EHLO,
	COMMAND_HELO,
	COMMAND_MAIL,
	COMMAND_RCPT,
	COMMAND_DATA,
	COMMAND_RSET,
	COMMAND_NOOP,
	COMMAND_QUIT,
	COMMAND_VRFY,
	COMMAND_HELP
};

/*
 * The longest lines, CRLF included.  RFC 5321 4.5.3.1.4, and what is added by
 * SIZE (RFC 1870 3), BODY (RFC 6152 2), RET and ENVID, NOTIFY and ORCPT (RFC
 * 3461 4), REQUIRETLS (RFC 8689 2)
 */
#define COMMAND_LINE_MAX	512
#define COMMAND_MAIL_LINE_MAX	(COMMAND_LINE_MAX + 26 + 17 + 9 + 107 + 11)
#define COMMAND_RCPT_LINE_MAX	(COMMAND_LINE_MAX + 29 + 507)

struct command {
	enum command_verb	 verb;
	struct domain		 name;		/* EHLO, HELO */
	/*
	 * MAIL: the reverse-path, null for "<>".  RCPT: the forward-path.
	 * domain "" with a local part: a bare one, perhaps Postmaster.  A
	 * source route was parsed and dropped.
	 */
	struct mailbox		 mailbox;
	uint64_t		 size_bytes;	/* SIZE=; 0: none */
	enum body_kind		 body;		/* BODY= */
	bool			 requiretls;	/* MAIL: REQUIRETLS */
	/* MAIL: RET= and ENVID=, in xtext as it came; "" none */
	enum dsn_ret		 ret;
	char			 envid[ENVID_TEXT_MAX];
	/* RCPT: NOTIFY=, a set, 0: none; ORCPT= as it came, "" none */
	uint32_t		 notify;
	char			 orcpt[ORCPT_TEXT_MAX];
};

/*
 * Which command is this, without its arguments?  Pure.
 */
enum command_verb command_verb(struct slice line);

/*
 * Parse one line, without its CRLF.  Pure; keeps nothing of line.
 * Returns the refusal, code 0 when the command is well-formed; command->verb
 * is set in any case, the rest only when it is.  RFC 5321 4.1.1, 4.1.2
 */
struct answer	command_parse(struct slice line, struct command *command);
/*
 * The same where more is offered: REQUIRETLS.  Elsewhere it is a parameter
 * that is not known.  RFC 8689 2
 */
struct answer	command_parse_offered(struct slice line, bool requiretls,
		    struct command *command);

/*
 * The values of NOTIFY, RET and ENVID by themselves, as sendmail(8) takes
 * them too.  Pure.  False, and *notify or *ret is as it was: it is none.
 * RFC 3461 4.1, 4.3, 4.4
 */
bool	command_parse_notify(struct slice value, uint32_t *notify);
bool	command_parse_ret(struct slice value, enum dsn_ret *ret);
bool	command_is_envid(struct slice value);

/* Append a text as xtext, without any octet it may not hold.  RFC 3461 4 */
void	command_put_xtext(struct buffer *out, const char *text);

#endif
