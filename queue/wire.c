/*
 * The rows of queue's messages: what smtpd or reports and queue (intake_wire),
 * queue and delivery (feed_wire) and queue and sign (sign_wire) say to each
 * other.
 *
 * Linked at both ends of those links.  Meaning and order of the messages
 * stand in queue.h.
 */
#include "queue/queue.h"

#define ROWS(array)	(sizeof(array) / sizeof((array)[0]))

/* The greatest values a peer may send. */
#define BODY_MAX	BODY_8BITMIME
#define CLASS_MAX	(CLASSES_N - 1)
#define RECIPIENTS_MAX	100
#define COUNTED_MAX	1000

static const struct wire_field open_fields[] = {
	WIRE_FIELD(struct q_open, id, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct q_open, sender),
	WIRE_FIELD(struct q_open, size_bytes, WIRE_U64, 0),
	WIRE_FIELD(struct q_open, body, WIRE_U32, BODY_MAX),
	WIRE_FIELD(struct q_open, class, WIRE_U32, CLASS_MAX),
	WIRE_FIELD(struct q_open, local, WIRE_BOOL, 0),
	WIRE_FIELD(struct q_open, uid, WIRE_U32, 0),
	WIRE_FIELD_TEXT(struct q_open, key),
	WIRE_FIELD_TEXT(struct q_open, client),
	WIRE_FIELD_TEXT(struct q_open, proto),
	WIRE_FIELD_TEXT(struct q_open, tls),
	WIRE_FIELD_TEXT(struct q_open, auth),
	WIRE_FIELD(struct q_open, ret, WIRE_U32, RET_HDRS),
	WIRE_FIELD_TEXT(struct q_open, envid),
};

static const struct wire_field rcpt_fields[] = {
	WIRE_FIELD(struct q_rcpt, id, WIRE_U64, 0),
	WIRE_FIELD(struct q_rcpt, number, WIRE_U32, 0),
	WIRE_FIELD_TEXT(struct q_rcpt, recipient),
	WIRE_FIELD(struct q_rcpt, notify, WIRE_U32, NOTIFY_ALL),
	WIRE_FIELD_TEXT(struct q_rcpt, orcpt),
};

static const struct wire_field rcpt_answer_fields[] = {
	WIRE_FIELD(struct q_rcpt_answer, id, WIRE_U64, 0),
	WIRE_FIELD(struct q_rcpt_answer, number, WIRE_U32, 0),
	WIRE_FIELD(struct q_rcpt_answer, code, WIRE_U32, 599),
	WIRE_FIELD_TEXT(struct q_rcpt_answer, text),
};

static const struct wire_field data_fields[] = {
	WIRE_FIELD(struct q_data, id, WIRE_U64, 0),
};

static const struct wire_field end_fields[] = {
	WIRE_FIELD(struct q_end, id, WIRE_U64, 0),
	WIRE_FIELD(struct q_end, size_bytes, WIRE_U64, 0),
	WIRE_FIELD(struct q_end, eight_bit, WIRE_BOOL, 0),
	WIRE_FIELD(struct q_end, tls_optional, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct q_end, msgid),
};

static const struct wire_field whole_fields[] = {
	WIRE_FIELD(struct q_whole, id, WIRE_U64, 0),
	WIRE_FIELD(struct q_whole, eight_bit, WIRE_BOOL, 0),
	WIRE_FIELD(struct q_whole, tls_optional, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct q_whole, msgid),
	WIRE_FIELD_BYTES(struct q_whole, body),
};

static const struct wire_field id_fields[] = {
	WIRE_FIELD(struct q_id, id, WIRE_U64, 0),
};

static const struct wire_field refused_fields[] = {
	WIRE_FIELD(struct q_refused, id, WIRE_U64, 0),
	WIRE_FIELD(struct q_refused, code, WIRE_U32, 599),
	WIRE_FIELD_TEXT(struct q_refused, text),
};

static const struct wire_field ask_key_fields[] = {
	WIRE_FIELD_TEXT(struct q_ask_key, key),
};

static const struct wire_field key_fields[] = {
	WIRE_FIELD_TEXT(struct q_key, key),
	WIRE_FIELD(struct q_key, state, WIRE_U32, KEY_EXPIRED),
	WIRE_FIELD(struct q_key, code, WIRE_U32, 599),
	WIRE_FIELD_TEXT(struct q_key, host),
	WIRE_FIELD_TEXT(struct q_key, text),
};

static const struct wire_message intake_rows[] = {
	WIRE_ROW(Q_OPEN, struct q_open, open_fields, 0),
	WIRE_ROW(Q_RCPT, struct q_rcpt, rcpt_fields, 0),
	WIRE_ROW(Q_PLACE, struct q_id, id_fields, 0),
	WIRE_ROW(Q_DATA, struct q_data, data_fields, 1),
	WIRE_ROW(Q_END, struct q_end, end_fields, 0),
	WIRE_ROW(Q_WHOLE, struct q_whole, whole_fields, 0),
	WIRE_ROW(Q_ABORT, struct q_id, id_fields, 0),
	WIRE_ROW(Q_RCPT_ANSWER, struct q_rcpt_answer, rcpt_answer_fields, 0),
	WIRE_ROW(Q_GO, struct q_id, id_fields, 0),
	WIRE_ROW(Q_TAKEN, struct q_id, id_fields, 0),
	WIRE_ROW(Q_REFUSED, struct q_refused, refused_fields, 0),
	WIRE_ROW(Q_ASK_KEY, struct q_ask_key, ask_key_fields, 0),
	WIRE_ROW(Q_KEY, struct q_key, key_fields, 0),
};

const struct wire_table intake_wire = {
	"intake", intake_rows, ROWS(intake_rows)
};

static const struct wire_field due_fields[] = {
	WIRE_FIELD(struct d_due, destination, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct d_due, domain),
	WIRE_FIELD(struct d_due, class, WIRE_U32, CLASS_MAX),
	WIRE_FIELD(struct d_due, waiting, WIRE_U32, COUNTED_MAX),
};

static const struct wire_field destination_fields[] = {
	WIRE_FIELD(struct d_destination, destination, WIRE_U64, 0),
};

static const struct wire_field job_fields[] = {
	WIRE_FIELD(struct d_job, destination, WIRE_U64, 0),
	WIRE_FIELD(struct d_job, session, WIRE_U64, 0),
	WIRE_FIELD(struct d_job, job, WIRE_U64, 0),
	WIRE_FIELD(struct d_job, message, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct d_job, sender),
	WIRE_FIELD(struct d_job, size_bytes, WIRE_U64, 0),
	WIRE_FIELD(struct d_job, body, WIRE_U32, BODY_MAX),
	WIRE_FIELD(struct d_job, recipients, WIRE_U32, RECIPIENTS_MAX),
	WIRE_FIELD(struct d_job, more, WIRE_U32, COUNTED_MAX),
	WIRE_FIELD(struct d_job, ret, WIRE_U32, RET_HDRS),
	WIRE_FIELD_TEXT(struct d_job, envid),
	WIRE_FIELD(struct d_job, requiretls, WIRE_BOOL, 0),
};

static const struct wire_field job_rcpt_fields[] = {
	WIRE_FIELD(struct d_rcpt, job, WIRE_U64, 0),
	WIRE_FIELD(struct d_rcpt, number, WIRE_U32, 0),
	WIRE_FIELD_TEXT(struct d_rcpt, recipient),
	WIRE_FIELD(struct d_rcpt, notify, WIRE_U32, NOTIFY_ALL),
	WIRE_FIELD_TEXT(struct d_rcpt, orcpt),
};

static const struct wire_field none_fields[] = {
	WIRE_FIELD(struct d_none, destination, WIRE_U64, 0),
	WIRE_FIELD(struct d_none, session, WIRE_U64, 0),
};

static const struct wire_field pipe_fields[] = {
	WIRE_FIELD(struct d_pipe, job, WIRE_U64, 0),
	WIRE_FIELD(struct d_pipe, size_bytes, WIRE_U64, 0),
};

static const struct wire_field settled_fields[] = {
	WIRE_FIELD(struct d_settled, sequence, WIRE_U64, 0),
};

static const struct wire_field host_fields[] = {
	WIRE_FIELD(struct d_host, destination, WIRE_U64, 0),
	WIRE_FIELD(struct d_host, session, WIRE_U64, 0),
	WIRE_FIELD(struct d_host, ready, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct d_host, host),
	WIRE_FIELD_TEXT(struct d_host, address),
	WIRE_FIELD_TEXT(struct d_host, policy),
	WIRE_FIELD_TEXT(struct d_host, sts),
	WIRE_FIELD_TEXT(struct d_host, sts_id),
	WIRE_FIELD(struct d_host, sts_cached, WIRE_BOOL, 0),
	WIRE_FIELD(struct d_host, mx_match, WIRE_BOOL, 0),
	WIRE_FIELD(struct d_host, mx_secure, WIRE_BOOL, 0),
	WIRE_FIELD(struct d_host, address_secure, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct d_host, tlsa),
	WIRE_FIELD_TEXT(struct d_host, requirement),
	WIRE_FIELD_TEXT(struct d_host, verdict),
	WIRE_FIELD(struct d_host, exempt, WIRE_BOOL, 0),
	WIRE_FIELD(struct d_host, connected, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct d_host, starttls),
	WIRE_FIELD_TEXT(struct d_host, certificate),
	WIRE_FIELD_TEXT(struct d_host, tls_version),
	WIRE_FIELD_TEXT(struct d_host, tls_cipher),
	WIRE_FIELD_TEXT(struct d_host, result),
	WIRE_FIELD_TEXT(struct d_host, rule),
	WIRE_FIELD_TEXT(struct d_host, enhanced),
	WIRE_FIELD_TEXT(struct d_host, clause),
	WIRE_FIELD_TEXT(struct d_host, repair),
	WIRE_FIELD_TEXT(struct d_host, reply),
	WIRE_FIELD_TEXT(struct d_host, dane),
	WIRE_FIELD_TEXT(struct d_host, policy_error),
	WIRE_FIELD(struct d_host, name_given, WIRE_BOOL, 0),
};

static const struct wire_field next_fields[] = {
	WIRE_FIELD(struct d_next, destination, WIRE_U64, 0),
	WIRE_FIELD(struct d_next, session, WIRE_U64, 0),
	WIRE_FIELD(struct d_next, has_8bitmime, WIRE_BOOL, 0),
	WIRE_FIELD(struct d_next, has_size, WIRE_BOOL, 0),
	WIRE_FIELD(struct d_next, size_limit, WIRE_U64, 0),
};

static const struct wire_field body_fields[] = {
	WIRE_FIELD(struct d_body, job, WIRE_U64, 0),
};

static const struct wire_field result_fields[] = {
	WIRE_FIELD(struct d_result, sequence, WIRE_U64, 0),
	WIRE_FIELD(struct d_result, job, WIRE_U64, 0),
	WIRE_FIELD(struct d_result, message, WIRE_U64, 0),
	WIRE_FIELD(struct d_result, session, WIRE_U64, 0),
	WIRE_FIELD(struct d_result, destination, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct d_result, recipient),
	WIRE_FIELD(struct d_result, outcome, WIRE_U32, OUTCOME_FAILED),
	WIRE_FIELD(struct d_result, code, WIRE_U32, 599),
	WIRE_FIELD_TEXT(struct d_result, enhanced),
	WIRE_FIELD_TEXT(struct d_result, clause),
	WIRE_FIELD_TEXT(struct d_result, host),
	WIRE_FIELD_TEXT(struct d_result, address),
	WIRE_FIELD_TEXT(struct d_result, reply),
	WIRE_FIELD(struct d_result, dsn_passed, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct d_result, policy),
	WIRE_FIELD_TEXT(struct d_result, requirement),
	WIRE_FIELD_TEXT(struct d_result, verdict),
	WIRE_FIELD_TEXT(struct d_result, rule),
	WIRE_FIELD_TEXT(struct d_result, repair),
	WIRE_FIELD_TEXT(struct d_result, tls_version),
	WIRE_FIELD_TEXT(struct d_result, tls_cipher),
};

static const struct wire_field return_fields[] = {
	WIRE_FIELD(struct d_return, job, WIRE_U64, 0),
};

static const struct wire_field ended_fields[] = {
	WIRE_FIELD(struct d_ended, destination, WIRE_U64, 0),
	WIRE_FIELD(struct d_ended, outcome, WIRE_U32, OUTCOME_FAILED),
	WIRE_FIELD(struct d_ended, ours, WIRE_BOOL, 0),
	WIRE_FIELD(struct d_ended, policy_refused, WIRE_BOOL, 0),
	WIRE_FIELD(struct d_ended, policy_checked, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct d_ended, enhanced),
	WIRE_FIELD_TEXT(struct d_ended, rule),
	WIRE_FIELD_TEXT(struct d_ended, clause),
	WIRE_FIELD_TEXT(struct d_ended, repair),
	WIRE_FIELD_TEXT(struct d_ended, text),
};

static const struct wire_field held_fields[] = {
	WIRE_FIELD(struct d_held, running, WIRE_BOOL, 0),
	WIRE_FIELD(struct d_held, job, WIRE_U64, 0),
	WIRE_FIELD(struct d_held, message, WIRE_U64, 0),
	WIRE_FIELD(struct d_held, destination, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct d_held, recipient),
};

static const struct wire_message feed_rows[] = {
	WIRE_ROW(D_DUE, struct d_due, due_fields, 0),
	WIRE_ROW(D_JOB, struct d_job, job_fields, 0),
	WIRE_ROW(D_RCPT, struct d_rcpt, job_rcpt_fields, 0),
	WIRE_ROW(D_NONE, struct d_none, none_fields, 0),
	WIRE_ROW(D_PIPE, struct d_pipe, pipe_fields, 1),
	WIRE_ROW(D_SETTLED, struct d_settled, settled_fields, 0),
	WIRE_ROW(D_HOLD, struct d_destination, destination_fields, 0),
	WIRE_ROW(D_HOST, struct d_host, host_fields, 0),
	WIRE_ROW(D_NEXT, struct d_next, next_fields, 0),
	WIRE_ROW(D_BODY, struct d_body, body_fields, 0),
	WIRE_ROW(D_RESULT, struct d_result, result_fields, 0),
	WIRE_ROW(D_RETURN, struct d_return, return_fields, 0),
	WIRE_ROW(D_ENDED, struct d_ended, ended_fields, 0),
	WIRE_ROW(D_HELD, struct d_held, held_fields, 0),
	WIRE_EMPTY(D_SYNCED),
};

const struct wire_table feed_wire = { "feed", feed_rows, ROWS(feed_rows) };

static const struct wire_field sign_fields[] = {
	WIRE_FIELD(struct s_sign, id, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct s_sign, domain),
	WIRE_FIELD(struct s_sign, size_bytes, WIRE_U64, 0),
	WIRE_FIELD(struct s_sign, now_s, WIRE_I64, 0),
};

static const struct wire_field header_fields[] = {
	WIRE_FIELD(struct s_header, id, WIRE_U64, 0),
	WIRE_FIELD(struct s_header, done, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct s_header, error),
	WIRE_FIELD_BYTES(struct s_header, header),
};

static const struct wire_message sign_rows[] = {
	WIRE_ROW(S_SIGN, struct s_sign, sign_fields, 1),
	WIRE_ROW(S_HEADER, struct s_header, header_fields, 0),
};

const struct wire_table sign_wire = { "sign", sign_rows, ROWS(sign_rows) };
