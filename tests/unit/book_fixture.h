/*
 * A book in a folder of its own, and sessions to count in it.
 */
#ifndef CULVER_BOOK_FIXTURE_H
#define CULVER_BOOK_FIXTURE_H

#include "conf/log.h"
#include "reports/book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define DAY		20781		/* 2026-11-24 */
#define NOON		((int64_t)DAY * DAY_S + DAY_S / 2)
#define EPOCH		77

static char dir[64];
static uint64_t told;		/* the last sequence */
static struct buffer said;	/* log lines */

static void
hear_log(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	buffer_printf(&said, "%s\n", line);
}

static bool __attribute__((unused))
was_said(const char *text)
{
	return said.text != NULL && strstr(said.text, text) != NULL;
}

static int
begin(void **state)
{
	(void)state;
	log_start("test");
	log_to(hear_log, NULL);
	told = 0;
	strcpy(dir, "/tmp/culver-book-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
end(void **state)
{
	char command[128];

	(void)state;
	buffer_free(&said);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct book *
open_book(void)
{
	char error[512];
	struct book *book = book_open(dir, error, sizeof(error));

	if (book == NULL)
		fail_msg("%s", error);
	return book;
}

/* A session of that domain at noon of DAY, with its connection. */
static struct t_session
session_of(const char *domain)
{
	struct t_session session = { .epoch = EPOCH, .when_s = NOON };

	strcpy(session.domain, domain);
	strcpy(session.local, "192.0.2.1");
	snprintf(session.host, sizeof(session.host), "mx.%s", domain);
	strcpy(session.helo, "mx");
	strcpy(session.address, "192.0.2.2");
	return session;
}

static void
add_detail(struct t_session *session, uint32_t block, uint32_t result,
    const char *reason)
{
	struct report_detail detail = { .block = block, .result = result };

	snprintf(detail.reason, sizeof(detail.reason), "%s", reason);
	assert_true(report_put_detail(session->details, &session->details_len,
	    sizeof(session->details), &detail));
}

static void __attribute__((unused))
add_policy(struct t_session *session, const char *id, uint64_t text)
{
	strcpy(session->sts_id, id);
	session->sts_text = text;
}

/* An RDATA of len octets that begins so; 3 1 1 as a rule. */
static void __attribute__((unused))
add_tlsa(struct t_session *session, const char *base, uint8_t last)
{
	uint8_t *at = session->tlsa + session->tlsa_len;
	uint8_t rdata[] = { 6, 0, 3, 1, 1, 0xab, 0xcd, last };

	strcpy(session->tlsa_base, base);
	memcpy(at, rdata, sizeof(rdata));
	session->tlsa_len += sizeof(rdata);
}

/* Tell it as delivery does; false: it was told before. */
static bool
tell_as(struct book *book, struct t_session *session, uint64_t sequence)
{
	session->sequence = sequence;
	if (book_is_repeated(book, PROGRAM_DELIVERY, session->epoch,
	    sequence))
		return false;
	book_count_session(book, session);
	return true;
}

static void
tell(struct book *book, struct t_session *session)
{
	assert_true(tell_as(book, session, ++told));
}

/* One that succeeded, or failed, without any policy. */
static struct t_session
plain_session(const char *domain, bool good)
{
	struct t_session session = session_of(domain);

	add_detail(&session, REPORT_NO_POLICY, good ? RESULT_SUCCESS :
	    RESULT_STARTTLS_NOT_SUPPORTED, "");
	return session;
}

static void __attribute__((unused))
expect_totals(struct book *book, uint32_t day, const char *domain,
    uint64_t succeeded, uint64_t failed)
{
	uint64_t good, bad;

	book_totals(book, day, domain, &good, &bad);
	assert_int_equal(good, succeeded);
	assert_int_equal(bad, failed);
}

/*
 * Flip an octet so far from that text in a file of the book's: a value stands
 * before its key.
 */
static void __attribute__((unused))
damage(const char *file, const char *text, int from)
{
	static char octets[4u << 20];
	char path[128];
	size_t len, at;
	unsigned found = 0;
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s.db", dir, file);
	stream = fopen(path, "r+");
	assert_non_null(stream);
	len = fread(octets, 1, sizeof(octets), stream);
	for (at = 512; at + strlen(text) < len; at++)
		if (memcmp(octets + at, text, strlen(text)) == 0) {
			octets[at + (size_t)from] ^= 0x55;
			found++;
		}
	rewind(stream);
	assert_int_equal(fwrite(octets, 1, len, stream), len);
	fclose(stream);
	assert_true(found > 0);
}

#endif
