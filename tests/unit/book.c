/*
 * The book: what is on disk when it says so, what comes of a kill, of telling
 * twice, of a full disk and of damage; reports and their order.
 *
 * This program has write, pwrite and posix_fallocate of its own, which find no
 * room when told so.
 */
#include "book_fixture.h"

#include "conf/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static bool full;

ssize_t
write(int fd, const void *octets, size_t len)
{
	errno = ENOSPC;
	return full && fd > 2 ? -1 : syscall(SYS_write, fd, octets, len);
}

ssize_t
pwrite(int fd, const void *octets, size_t len, off_t at)
{
	errno = ENOSPC;
	return full ? -1 : syscall(SYS_pwrite64, fd, octets, len, at);
}

int
posix_fallocate(int fd, off_t at, off_t len)
{
	if (full)
		return ENOSPC;
	return syscall(SYS_fallocate, fd, 0, at, len) == 0 ? 0 : errno;
}

static void
sleep_ms(int ms)
{
	struct timespec pause = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&pause, NULL);
}

/* ---- when is it kept? ---- */

static void
kept_when_flushed(void **state)
{
	struct book *book = open_book();
	struct t_session session = plain_session("a.example", true);

	(void)state;
	assert_int_equal(book_flush_at_ms(book), -1);
	tell(book, &session);
	tell(book, &session);
	assert_true(book_turn_end(book));
	/* committed is not kept */
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 0);
	assert_true(book_flush_at_ms(book) > wire_now_ms());
	assert_true(book_flush_at_ms(book) <= wire_now_ms() + 1000);
	assert_true(book_turn_end(book));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 0);
	/* a turn without a change flushes what went before */
	sleep_ms(1001);
	assert_true(book_turn_end(book));
	assert_int_equal(book_flushes(book), 1);
	assert_int_equal(book_flush_at_ms(book), -1);
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 2);
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 0);
	assert_int_equal(book_kept(book, PROGRAM_POLICY), 0);
	tell(book, &session);
	book_want_flush(book);
	assert_true(book_turn_end(book));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 3);
	/* nothing to say, nothing to flush */
	book_want_flush(book);
	assert_true(book_turn_end(book));
	assert_int_equal(book_flushes(book), 2);
	book_close(&book);
}

static void
told_twice_counts_once(void **state)
{
	struct book *book = open_book();
	struct t_session session = plain_session("a.example", true);

	(void)state;
	tell(book, &session);
	tell(book, &session);
	assert_false(tell_as(book, &session, 1));
	assert_false(tell_as(book, &session, 2));
	assert_false(tell_as(book, &session, 0));
	book_want_flush(book);
	assert_true(book_turn_end(book));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 2);
	/* the answer was lost: it hears it again */
	assert_false(tell_as(book, &session, 2));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 2);
	book_close(&book);
	/* after our restart too */
	book = open_book();
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 0);
	assert_false(tell_as(book, &session, 1));
	assert_false(tell_as(book, &session, 2));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 2);
	assert_true(tell_as(book, &session, 3));
	expect_totals(book, DAY, "a.example", 3, 0);
	/* another outbox begins at 1 */
	session.epoch++;
	assert_true(tell_as(book, &session, 1));
	assert_false(tell_as(book, &session, 1));
	expect_totals(book, DAY, "a.example", 4, 0);
	/* each peer for itself */
	assert_false(book_is_repeated(book, PROGRAM_POLICY, session.epoch,
	    1));
	book_close(&book);
}

/* What an old peer told is not said to a new one. */
static void
a_fresh_peer_hears_its_own(void **state)
{
	struct book *book = open_book();
	struct t_session session = plain_session("a.example", true);

	(void)state;
	tell(book, &session);
	tell(book, &session);
	assert_true(book_turn_end(book));
	book_fresh_peer(book, PROGRAM_DELIVERY);
	book_want_flush(book);
	assert_true(book_turn_end(book));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 0);
	session.epoch++;
	assert_true(tell_as(book, &session, 1));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 0);
	book_want_flush(book);
	assert_true(book_turn_end(book));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 1);
	book_close(&book);
}

/* ---- killed ---- */

/* Counts for ever, and says in the pipe what is kept. */
static void
count_until_killed(int fd, unsigned a_flush, int pause_ms)
{
	struct t_session session = plain_session("a.example", true);
	struct t_session other = plain_session("b.example", false);
	struct book *book = open_book();
	uint64_t kept;
	unsigned i;

	for (i = 0;; i++) {
		/* as an outbox, it begins where nothing is settled */
		told++;
		tell_as(book, told % 2 == 0 ? &session : &other, told);
		if (a_flush != 0 && i % a_flush == 0)
			book_want_flush(book);
		if (!book_turn_end(book))
			abort();
		kept = book_kept(book, PROGRAM_DELIVERY);
		if (kept != 0 && write(fd, &kept, sizeof(kept)) !=
		    sizeof(kept))
			abort();
		if (pause_ms > 0)
			sleep_ms(pause_ms);
	}
}

/* Run it so long, then kill it; what it last said was kept. */
static uint64_t
count_and_kill(unsigned a_flush, int pause_ms, int run_ms)
{
	uint64_t kept, last = told;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		count_until_killed(fds[1], a_flush, pause_ms);
	}
	close(fds[1]);
	sleep_ms(run_ms);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	while (read(fds[0], &kept, sizeof(kept)) == sizeof(kept))
		last = kept;
	close(fds[0]);
	return last;
}

static void
killed_at_any_moment(void **state)
{
	struct t_session session = plain_session("a.example", true);
	struct t_session other = plain_session("b.example", false);
	struct book *book;
	unsigned round;
	uint64_t i;

	(void)state;
	for (round = 0; round < 12; round++)
		/* what is kept is settled, the rest is told again */
		told = count_and_kill(1 + round % 5, 0, 37 + 13 * (int)round);
	assert_true(told > 20);
	book = open_book();
	/* nothing said to be kept is lost */
	assert_false(tell_as(book, &session, told));
	for (i = told + 1; i < told + 1000; i++)
		tell_as(book, i % 2 == 0 ? &session : &other, i);
	i--;
	/* and nothing counted twice: each of 1..i once */
	expect_totals(book, DAY, "a.example", i / 2, 0);
	expect_totals(book, DAY, "b.example", 0, i - i / 2);
	book_close(&book);
}

static void
a_kill_loses_a_second(void **state)
{
	struct book *book;
	uint64_t good, bad, kept;

	(void)state;
	/* one each 10 ms and more, a second is at most 100 of them */
	kept = count_and_kill(0, 10, 2600);
	assert_true(kept > 0);
	book = open_book();
	book_totals(book, DAY, "a.example", &good, &bad);
	book_totals(book, DAY, "b.example", &bad, &bad);
	assert_true(good + bad >= kept);
	assert_true(good + bad <= kept + 110);
	book_close(&book);
}

/* ---- a full disk ---- */

static void
a_lost_turn_is_told_again(void **state)
{
	struct book *book = open_book();
	struct t_session session = plain_session("a.example", true);
	struct t_session late = plain_session("b.example", true);

	(void)state;
	tell(book, &session);
	book_want_flush(book);
	assert_true(book_turn_end(book));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 1);
	full = true;
	tell(book, &session);
	tell(book, &session);
	book_want_flush(book);
	assert_false(book_turn_end(book));
	assert_true(book_is_behind(book, PROGRAM_DELIVERY));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 0);
	full = false;
	/* what comes next would leave out the lost: refused */
	assert_false(tell_as(book, &late, 4));
	book_want_flush(book);
	assert_true(book_turn_end(book));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 0);
	expect_totals(book, DAY, "a.example", 1, 0);
	/* all is told again */
	assert_true(tell_as(book, &session, 2));
	assert_false(book_is_behind(book, PROGRAM_DELIVERY));
	assert_true(tell_as(book, &session, 3));
	assert_true(tell_as(book, &late, 4));
	book_want_flush(book);
	assert_true(book_turn_end(book));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 4);
	expect_totals(book, DAY, "a.example", 3, 0);
	expect_totals(book, DAY, "b.example", 1, 0);
	book_close(&book);
	book = open_book();
	expect_totals(book, DAY, "a.example", 3, 0);
	book_close(&book);
}

/* The peer died meanwhile: what is told anew is taken. */
static void
a_lost_turn_and_a_new_peer(void **state)
{
	struct book *book = open_book();
	struct t_session session = plain_session("a.example", true);

	(void)state;
	full = true;
	tell(book, &session);
	book_want_flush(book);
	assert_false(book_turn_end(book));
	full = false;
	session.epoch++;
	assert_true(tell_as(book, &session, 1));
	assert_false(book_is_behind(book, PROGRAM_DELIVERY));
	book_want_flush(book);
	assert_true(book_turn_end(book));
	assert_int_equal(book_kept(book, PROGRAM_DELIVERY), 1);
	book_close(&book);
}

/* ---- damage ---- */

static void
a_damaged_record_costs_itself(void **state)
{
	struct t_session a = plain_session("a.example", false);
	struct t_session b = plain_session("b.example", true);
	struct report_state report;
	struct book *book = open_book();

	(void)state;
	tell(book, &a);
	tell(book, &b);
	book_close(&book);
	damage("reports", "a.example", -14);
	damage("blocks", "a.example", -14);
	damage("failures", "mx.a.example", 2);
	book = open_book();
	assert_false(book_get_report(book, DAY, "a.example", &report));
	assert_true(book_get_report(book, DAY, "b.example", &report));
	expect_totals(book, DAY, "a.example", 0, 0);
	expect_totals(book, DAY, "b.example", 1, 0);
	assert_true(book_next_report(book, 0, "", &report));
	assert_string_equal(report.domain, "b.example");
	/* the index says more than the reports: that goes */
	assert_true(book_soonest_report(book, &report));
	assert_string_equal(report.domain, "b.example");
	/* and counting goes on */
	tell(book, &a);
	tell(book, &a);
	expect_totals(book, DAY, "a.example", 0, 2);
	assert_true(book_get_report(book, DAY, "a.example", &report));
	assert_true(was_said("damaged"));
	book_close(&book);
}

static void
write_garbage(const char *name)
{
	char path[128];
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	stream = fopen(path, "w");
	assert_non_null(stream);
	fprintf(stream, "%8192s", "garbage");
	fclose(stream);
}

static unsigned
count_aside(void)
{
	struct dirent *entry;
	unsigned n = 0;
	DIR *all = opendir(dir);

	assert_non_null(all);
	while ((entry = readdir(all)) != NULL)
		n += strncmp(entry->d_name, "damaged-", 8) == 0;
	closedir(all);
	return n;
}

/* What a child does not free before it ends is no leak. */
void	__lsan_disable(void) __attribute__((weak));

/* In a child, as it may end the program.  Returns its exit status. */
static int
begin_in_child(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (__lsan_disable != NULL)
			__lsan_disable();
		struct t_session session = plain_session("a.example", true);
		struct book *book = book_open_or_begin(dir);

		session.epoch = (uint64_t)getpid();
		for (unsigned i = 0; i < 5; i++) {
			tell_as(book, &session, 1);
			book_want_flush(book);
			book_turn_end(book);
		}
		book_close(&book);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
a_broken_table_goes_aside(void **state)
{
	struct book *book;
	unsigned i;

	(void)state;
	assert_int_equal(begin_in_child(), 0);
	assert_int_equal(count_aside(), 0);
	write_garbage("blocks.db");
	for (i = 0; i < 3; i++)
		assert_int_equal(begin_in_child(), 1);
	assert_int_equal(begin_in_child(), 0);
	assert_int_equal(count_aside(), 1);
	/* a good one is left alone */
	assert_int_equal(begin_in_child(), 0);
	assert_int_equal(count_aside(), 1);
	book = book_open_or_begin(dir);
	expect_totals(book, DAY, "a.example", 2, 0);
	book_close(&book);
}

static void
a_broken_log_goes_aside(void **state)
{
	struct t_session session = plain_session("a.example", true);
	struct book *book = open_book();

	(void)state;
	tell(book, &session);
	book_close(&book);
	write_garbage("log.0000000001");
	assert_int_equal(book_moved_s(dir), 0);
	book = book_open_or_begin(dir);
	expect_totals(book, DAY, "a.example", 0, 0);
	assert_int_equal(count_aside(), 1);
	assert_true(was_said("cannot be read"));
	assert_true(book_moved_s(dir) <= time(NULL) &&
	    book_moved_s(dir) > time(NULL) - 60);
	tell(book, &session);
	book_close(&book);
}

/* Every page but the first of that file. */
static void
break_pages(const char *name)
{
	char path[128], page[4096];
	struct stat status;
	off_t at;
	int fd;

	memset(page, 0x5a, sizeof(page));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fstat(fd, &status), 0);
	assert_true(status.st_size > 4096);
	for (at = 4096; at < status.st_size; at += 4096)
		assert_int_equal(pwrite(fd, page, sizeof(page), at),
		    sizeof(page));
	close(fd);
}

/* It opens, and then counting ends the program; but not for ever. */
static void
a_broken_page_goes_aside(void **state)
{
	unsigned ends = 0;

	(void)state;
	assert_int_equal(begin_in_child(), 0);
	break_pages("policies.db");
	while (begin_in_child() != 0 && ends < 10)
		ends++;
	assert_true(ends >= 1 && ends <= 4);
	assert_int_equal(count_aside(), 1);
	assert_int_equal(begin_in_child(), 0);
	assert_int_equal(count_aside(), 1);
}

/* A full disk is no damage; nor is another owner. */
static void
no_damage_is_not_moved(void **state)
{
	struct book *book = open_book();

	(void)state;
	assert_int_equal(begin_in_child(), 1);
	assert_int_equal(count_aside(), 0);
	book_close(&book);
	write_garbage("log.0000000001");
	full = true;
	assert_int_equal(begin_in_child(), 1);
	full = false;
	assert_int_equal(count_aside(), 0);
}

/* ---- reports, receivers, refusers ---- */

static void
put_report(struct book *book, uint32_t day, const char *domain,
    int64_t next_s)
{
	struct report_state report = { .day = day, .next_s = next_s };

	strcpy(report.domain, domain);
	book_put_report(book, &report);
}

static void
expect_soonest(struct book *book, const char *domain)
{
	struct report_state report;

	if (domain == NULL) {
		assert_false(book_soonest_report(book, &report));
		return;
	}
	assert_true(book_soonest_report(book, &report));
	assert_string_equal(report.domain, domain);
}

static void
the_soonest_is_first(void **state)
{
	struct book *book = open_book();

	(void)state;
	expect_soonest(book, NULL);
	put_report(book, DAY, "a.example", 300);
	put_report(book, DAY, "b.example", 100);
	put_report(book, DAY + 1, "c.example", 200);
	expect_soonest(book, "b.example");
	put_report(book, DAY, "b.example", 400);
	expect_soonest(book, "c.example");
	put_report(book, DAY + 1, "c.example", 0);
	expect_soonest(book, "a.example");
	/* written again as it is */
	put_report(book, DAY, "a.example", 300);
	expect_soonest(book, "a.example");
	put_report(book, DAY, "a.example", 0);
	expect_soonest(book, "b.example");
	put_report(book, DAY, "b.example", INT64_MIN);
	expect_soonest(book, "b.example");
	put_report(book, DAY, "b.example", 0);
	expect_soonest(book, NULL);
	book_close(&book);
}

static void
reports_by_day_and_domain(void **state)
{
	static const char *const expected[] = { "b.example", "a.example",
		"ab.example", "b.example" };
	struct book *book = open_book();
	struct report_state report = { .day = 0 };
	size_t i;

	(void)state;
	put_report(book, DAY + 1, "b.example", 1);
	put_report(book, DAY + 1, "ab.example", 1);
	put_report(book, DAY + 1, "a.example", 1);
	put_report(book, DAY, "b.example", 1);
	for (i = 0; i < COUNT(expected); i++) {
		assert_true(book_next_report(book, report.day, report.domain,
		    &report));
		assert_string_equal(report.domain, expected[i]);
		assert_int_equal(report.day, DAY + (i > 0));
	}
	assert_false(book_next_report(book, report.day, report.domain,
	    &report));
	book_close(&book);
}

static void
states_come_back(void **state)
{
	struct report_state report = { .day = DAY, .phase = REPORT_SENDING,
		.number = UINT64_MAX, .next_s = 7, .first_s = 8,
		.attempts = 9, .receivers = RUA_MAX, .domain = "a.example",
		.why = "because" }, same_report;
	struct receiver_state receiver = { .n = 4, .phase = RECEIVER_OWED,
		.attempts = 2, .next_s = 3, .last_s = 4, .code = 599,
		.unverified = true, .text = "said" }, same;
	struct refuser refuser = { 2, 0 }, other;
	struct book *book = open_book();
	char uri[RUA_URI_MAX];

	(void)state;
	memset(receiver.uri, 'u', sizeof(receiver.uri) - 1);
	memcpy(uri, receiver.uri, sizeof(uri));
	book_put_report(book, &report);
	book_put_receiver(book, &report, &receiver);
	book_put_refuser(book, uri, &refuser);
	book_close(&book);
	book = open_book();
	memset(&same_report, 0xff, sizeof(same_report));
	assert_true(book_get_report(book, DAY, "a.example", &same_report));
	assert_int_equal(same_report.number, UINT64_MAX);
	assert_int_equal(same_report.first_s, 8);
	assert_int_equal(same_report.attempts, 9);
	assert_int_equal(same_report.receivers, RUA_MAX);
	assert_string_equal(same_report.why, "because");
	assert_true(book_get_receiver(book, &report, 4, &same));
	assert_memory_equal(&same, &receiver, sizeof(same));
	assert_false(book_get_receiver(book, &report, 3, &same));
	book_get_refuser(book, uri, &other);
	assert_int_equal(other.refusals, 2);
	book_get_refuser(book, "x", &other);
	assert_int_equal(other.refusals, 0);
	refuser.refusals = 0;
	book_put_refuser(book, uri, &refuser);
	book_get_refuser(book, uri, &other);
	assert_int_equal(other.refusals, 0);
	book_close(&book);
}

/* ---- forgetting ---- */

static void
count_day(struct book *book, uint32_t day)
{
	struct t_session session = session_of("a.example");
	unsigned i;
	char reason[32];

	for (i = 0; i < 260; i++) {
		session = session_of("a.example");
		session.when_s = (int64_t)day * DAY_S + 5;
		add_policy(&session, "1", 1 + i % 10);
		snprintf(reason, sizeof(reason), "%u", i);
		add_tlsa(&session, "mx.a.example", 1);
		add_detail(&session, REPORT_STS,
		    RESULT_CERTIFICATE_NOT_TRUSTED, reason);
		add_detail(&session, REPORT_TLSA, RESULT_SUCCESS, "");
		tell(book, &session);
	}
}

static void
days_are_forgotten(void **state)
{
	struct book *book = open_book();
	struct report_state report;
	struct receiver_state receiver = { .n = 0 };
	struct refuser refuser = { 3, 5 };
	char domain[DOMAIN_TEXT_MAX];
	unsigned slices = 0, today = (unsigned)(time(NULL) / DAY_S);
	uint64_t mark;

	(void)state;
	count_day(book, DAY);
	count_day(book, DAY + 1);
	book_put_text(book, "a.example", 1, SLICE("mx: a\n"));
	assert_true(book_get_report(book, DAY, "a.example", &report));
	book_put_receiver(book, &report, &receiver);
	book_put_refuser(book, "mailto:x@y", &refuser);
	while (book_forget_before(book, DAY + 1))
		slices++;
	assert_true(slices > 0);
	assert_false(book_get_report(book, DAY, "a.example", &report));
	expect_totals(book, DAY, "a.example", 0, 0);
	expect_totals(book, DAY + 1, "a.example", 260, 260);
	assert_true(book_next_report(book, 0, "", &report));
	assert_int_equal(report.day, DAY + 1);
	assert_true(book_soonest_report(book, &report));
	assert_int_equal(report.day, DAY + 1);
	assert_true(book_wanted_text(book, domain, &mark));
	while (book_forget_before(book, today + 60))
		continue;
	assert_false(book_next_report(book, 0, "", &report));
	assert_false(book_soonest_report(book, &report));
	assert_false(book_wanted_text(book, domain, &mark));
	assert_false(book_has_own(book, DAY + 1, "a.example"));
	/* a refuser is remembered longer than a day is */
	book_get_refuser(book, "mailto:x@y", &refuser);
	assert_int_equal(refuser.refusals, 3);
	book_close(&book);
	book = open_book();
	while (book_forget_before(book, today + 61))
		continue;
	book_get_refuser(book, "mailto:x@y", &refuser);
	assert_int_equal(refuser.refusals, 0);
	book_close(&book);
}

/* Nothing of a domain and day is left in any table. */
static void
nothing_is_left(void **state)
{
	static const struct store_options options = {
		.cache_bytes = 1u << 20, .log_file_bytes = 1u << 20
	};
	static const char *const names[] = { "policies", "blocks",
		"failures", "texts", "wanted", "contributors", "reports",
		"receivers", "soon" };
	struct book *book = open_book();
	struct slice key, value;
	struct store *store;
	char error[256];
	size_t i;

	(void)state;
	count_day(book, DAY);
	count_day(book, DAY + 1);
	while (book_forget_before(book, DAY + 2))
		continue;
	book_close(&book);
	store = store_open(dir, &options, error, sizeof(error));
	assert_non_null(store);
	for (i = 0; i < COUNT(names); i++)
		assert_int_equal(store_next(store_table(store, names[i], 1),
		    SLICE(""), false, &key, &value), STORE_ABSENT);
	store_close(&store);
}

#define TEST(name, function)						\
	{ name, function, begin, end, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST("kept is said after the flush, a second later at most",
		    kept_when_flushed),
		TEST("T33 what is told twice counts once, over restarts of "
		    "both sides", told_twice_counts_once),
		TEST("a fresh peer hears of nothing that an old one told",
		    a_fresh_peer_hears_its_own),
		TEST("T36 killed at any moment: nothing kept is lost, nothing "
		    "doubled", killed_at_any_moment),
		TEST("a kill loses at most a second", a_kill_loses_a_second),
		TEST("a full disk: the turn is lost and told again",
		    a_lost_turn_is_told_again),
		TEST("a full disk, and the peer begins anew",
		    a_lost_turn_and_a_new_peer),
		TEST("a damaged record costs itself and no more",
		    a_damaged_record_costs_itself),
		TEST("a table that does not open three times goes aside",
		    a_broken_table_goes_aside),
		TEST("a log that cannot be recovered goes aside at once",
		    a_broken_log_goes_aside),
		TEST("a page that cannot be read goes aside after a restart",
		    a_broken_page_goes_aside),
		TEST("another owner and a full disk are no damage",
		    no_damage_is_not_moved),
		TEST("the soonest report is found, however it changes",
		    the_soonest_is_first),
		TEST("reports stand by day and domain",
		    reports_by_day_and_domain),
		TEST("states of reports, receivers, refusers come back",
		    states_come_back),
		TEST("T51 days are forgotten in slices, refusers much later",
		    days_are_forgotten),
		TEST("RPT-7-3 nothing of a forgotten day is left",
		    nothing_is_left),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
