/*
 * The rows of delivery's own messages: manager and spawner (spawner_wire),
 * manager and worker (worker_wire).
 *
 * Meaning and order stand in delivery.h.  Does not send anything.
 */
#include "delivery/delivery.h"

#include "conf/log.h"

#define ROWS(rows)	rows, sizeof(rows) / sizeof((rows)[0])
#define CLASS_MAX	(CLASSES_N - 1)
#define CERT_MAX	(CERT_NOT_TRUSTED | CERT_EXPIRED | \
	CERT_HOST_MISMATCH | CERT_OTHER | CERT_DANE_NO_MATCH)
#define CODE_MAX	599

/* A message that is nothing but its descriptor has no fields. */
#define ONLY_FD(kind)	{ kind, #kind, 0, NULL, 0, 1 }

static const struct wire_message spawner_rows[] = {
	ONLY_FD(W_SPAWN),
	ONLY_FD(W_BUNDLE),
};
const struct wire_table spawner_wire = { "spawner", ROWS(spawner_rows) };

static const struct wire_field socket_fields[] = {
	WIRE_FIELD(struct w_socket, session, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct w_socket, host),
	WIRE_FIELD_TEXT(struct w_socket, ehlo),
	WIRE_FIELD(struct w_socket, class, WIRE_U32, CLASS_MAX),
	WIRE_FIELD(struct w_socket, sts, WIRE_U32, STS_ENFORCE),
	WIRE_FIELD(struct w_socket, sts_unknown, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_socket, sts_report_only, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_socket, mx_match, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_socket, mx_secure, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_socket, dnssec_unjudged, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_socket, name_given, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_socket, tlsa, WIRE_U32, TLSA_FAILED),
	WIRE_FIELD(struct w_socket, tlsa_mark, WIRE_U64, 0),
	WIRE_FIELD(struct w_socket, tls_required, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_socket, relayhost_verified, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_socket, exempt, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_socket, relayhost, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_socket, clear_retry, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_socket, implicit_tls, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct w_socket, tlsa_base),
	WIRE_FIELD_TEXT(struct w_socket, next_hop),
	WIRE_FIELD_TEXT(struct w_socket, next_hop_canonical),
	WIRE_FIELD_BYTES(struct w_socket, tlsa_records),
};

static const struct wire_field proof_fields[] = {
	WIRE_FIELD(struct w_proof, session, WIRE_U64, 0),
	WIRE_FIELD(struct w_proof, failure, WIRE_U32, PROOF_CUT),
	WIRE_FIELD(struct w_proof, starttls_known, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_proof, starttls, WIRE_U32, STARTTLS_DONE),
	WIRE_FIELD(struct w_proof, cert, WIRE_U32, CERT_MAX),
	WIRE_FIELD_TEXT(struct w_proof, certificate),
	WIRE_FIELD_TEXT(struct w_proof, tls_version),
	WIRE_FIELD_TEXT(struct w_proof, tls_cipher),
	WIRE_FIELD_BYTES(struct w_proof, errors),
	WIRE_FIELD(struct w_proof, dane, WIRE_U32, CERT_MAX),
	WIRE_FIELD_BYTES(struct w_proof, dane_errors),
	WIRE_FIELD_TEXT(struct w_proof, tlsa_matched),
	WIRE_FIELD_TEXT(struct w_proof, tls_reason),
	WIRE_FIELD_TEXT(struct w_proof, helo),
	WIRE_FIELD(struct w_proof, requiretls, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_proof, has_8bitmime, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_proof, has_size, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_proof, size_limit, WIRE_U64, 0),
	WIRE_FIELD(struct w_proof, code, WIRE_U32, CODE_MAX),
	WIRE_FIELD_TEXT(struct w_proof, reply),
};

static const struct wire_field job_fields[] = {
	WIRE_FIELD(struct w_job, job, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct w_job, sender),
	WIRE_FIELD(struct w_job, size_bytes, WIRE_U64, 0),
	WIRE_FIELD(struct w_job, body, WIRE_U32, BODY_8BITMIME),
	WIRE_FIELD(struct w_job, recipients, WIRE_U32, JOB_RECIPIENTS_MAX),
	WIRE_FIELD(struct w_job, ret, WIRE_U32, RET_HDRS),
	WIRE_FIELD_TEXT(struct w_job, envid),
	WIRE_FIELD(struct w_job, requiretls, WIRE_BOOL, 0),
};

static const struct wire_field rcpt_fields[] = {
	WIRE_FIELD(struct w_rcpt, job, WIRE_U64, 0),
	WIRE_FIELD(struct w_rcpt, number, WIRE_U32, 0),
	WIRE_FIELD_TEXT(struct w_rcpt, recipient),
	WIRE_FIELD(struct w_rcpt, notify, WIRE_U32, NOTIFY_ALL),
	WIRE_FIELD_TEXT(struct w_rcpt, orcpt),
};

static const struct wire_field id_fields[] = {
	WIRE_FIELD(struct w_id, job, WIRE_U64, 0),
};

static const struct wire_field pipe_fields[] = {
	WIRE_FIELD(struct w_pipe, job, WIRE_U64, 0),
	WIRE_FIELD(struct w_pipe, size_bytes, WIRE_U64, 0),
};

static const struct wire_field result_fields[] = {
	WIRE_FIELD(struct w_result, job, WIRE_U64, 0),
	WIRE_FIELD(struct w_result, number, WIRE_U32, 0),
	WIRE_FIELD(struct w_result, outcome, WIRE_U32, OUTCOME_FAILED),
	WIRE_FIELD(struct w_result, code, WIRE_U32, CODE_MAX),
	WIRE_FIELD_TEXT(struct w_result, enhanced),
	WIRE_FIELD_TEXT(struct w_result, clause),
	WIRE_FIELD_TEXT(struct w_result, reply),
	WIRE_FIELD(struct w_result, dsn_passed, WIRE_BOOL, 0),
};

static const struct wire_field done_fields[] = {
	WIRE_FIELD(struct w_done, job, WIRE_U64, 0),
	WIRE_FIELD(struct w_done, done, WIRE_U32, DONE_CUT),
	WIRE_FIELD(struct w_done, alive, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_done, untouched, WIRE_BOOL, 0),
	WIRE_FIELD(struct w_done, code, WIRE_U32, CODE_MAX),
	WIRE_FIELD_TEXT(struct w_done, enhanced),
	WIRE_FIELD_TEXT(struct w_done, reply),
};

static const struct wire_field log_fields[] = {
	WIRE_FIELD(struct w_log, level, WIRE_U32, LOG_LEVEL_DEBUG),
	WIRE_FIELD_TEXT(struct w_log, line),
};

static const struct wire_message worker_rows[] = {
	WIRE_ROW(W_SOCKET, struct w_socket, socket_fields, 1),
	WIRE_ROW(W_JOB, struct w_job, job_fields, 0),
	WIRE_ROW(W_RCPT, struct w_rcpt, rcpt_fields, 0),
	WIRE_ROW(W_PIPE, struct w_pipe, pipe_fields, 1),
	WIRE_EMPTY(W_QUIT),
	WIRE_EMPTY(W_CUT),
	WIRE_ROW(W_READY, struct w_proof, proof_fields, 0),
	WIRE_ROW(W_FAILED, struct w_proof, proof_fields, 0),
	WIRE_ROW(W_BODY, struct w_id, id_fields, 0),
	WIRE_ROW(W_DOT, struct w_id, id_fields, 0),
	WIRE_ROW(W_RESULT, struct w_result, result_fields, 0),
	WIRE_ROW(W_DONE, struct w_done, done_fields, 0),
	WIRE_EMPTY(W_IDLE),
	WIRE_ROW(W_LOG, struct w_log, log_fields, 0),
};
const struct wire_table worker_wire = { "worker", ROWS(worker_rows) };

void
delivery_facts(const struct w_socket *socket, struct host_facts *facts)
{
	*facts = (struct host_facts){
		.class = (enum mail_class)socket->class,
		.sts = (enum sts_mode)socket->sts,
		.sts_unknown = socket->sts_unknown,
		.sts_report_only = socket->sts_report_only,
		.mx_match = socket->mx_match,
		.mx_secure = socket->mx_secure,
		.dnssec_unjudged = socket->dnssec_unjudged,
		.name_given = socket->name_given,
		.tlsa = (enum tlsa_state)socket->tlsa,
		.tlsa_mark = socket->tlsa_mark,
		.tls_required = socket->tls_required,
		.relayhost_verified = socket->relayhost_verified,
		.exempt = socket->exempt,
		.relayhost = socket->relayhost
	};
}

void
delivery_put_facts(const struct host_facts *facts, struct w_socket *socket)
{
	socket->class = facts->class;
	socket->sts = facts->sts;
	socket->sts_unknown = facts->sts_unknown;
	socket->sts_report_only = facts->sts_report_only;
	socket->mx_match = facts->mx_match;
	socket->mx_secure = facts->mx_secure;
	socket->dnssec_unjudged = facts->dnssec_unjudged;
	socket->name_given = facts->name_given;
	socket->tlsa = facts->tlsa;
	socket->tlsa_mark = facts->tlsa_mark;
	socket->tls_required = facts->tls_required;
	socket->relayhost_verified = facts->relayhost_verified;
	socket->exempt = facts->exempt;
	socket->relayhost = facts->relayhost;
}
