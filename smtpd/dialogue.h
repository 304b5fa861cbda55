/*
 * What is said in a session: each command's meaning, the message's end, and
 * what queue answers.
 */
#ifndef CULVER_DIALOGUE_H
#define CULVER_DIALOGUE_H

#include "smtpd/visitor.h"

/* The first line. */
void	dialogue_greet(struct visitor *visitor);
/*
 * One line without its CRLF.  False: it was not taken, because queue's answer
 * to an RCPT before it is awaited; come again with it.
 */
bool	dialogue_line(struct visitor *visitor, struct slice line);
/* A line longer than its limit was dropped. */
void	dialogue_long_line(struct visitor *visitor);
/* Octets in DATA: takes what it can, input then begins behind that. */
void	dialogue_data(struct visitor *visitor, struct slice *input);
/* The client said nothing for too long. */
void	dialogue_timeout(struct visitor *visitor);
/* We end: 421, but in DATA not before cut. */
void	dialogue_stop(struct visitor *visitor, bool cut);
/* What queue says; for transactions_new. */
extern const struct transaction_calls dialogue_calls;

#endif
