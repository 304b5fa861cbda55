/*
 * How does a policy come from culver-fetch?
 *
 * Called by obtain.c.  A job is waiting (no link yet, or enough fresh ones are
 * with fetch), fresh (F_GET was sent; its body comes through a pipe), or slow
 * (likewise, some seconds ago).  When the link closes, what was asked waits
 * once more; a job that has seen two links die ends with "our own failure",
 * and so does one whose link never comes.
 *
 * Does not know what a policy is.
 */
#include "policy/fetcher.h"

#include "conf/link.h"
#include "conf/log.h"
#include "conf/parent.h"
#include "policy/sts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINK_WAIT_MS	30000	/* for the program to be started */
#define DEATHS_MAX	2
#define READ_OCTETS	16384

struct job {
	struct job	*next;
	struct fetcher	*fetcher;
	struct f_get	 get;
	fetcher_call	*call;
	void		*context;
	bool		 asked;		/* fresh or slow */
	bool		 fresh;
	unsigned	 deaths;
	struct timer	*timer;
	int		 pipe;		/* read end; -1: none, or at its end */
	struct watch	*watch;
	struct buffer	 body;
	bool		 done;		/* F_DONE is here */
	struct f_done	 answer;
};

struct fetcher {
	struct loop	*loop;
	struct link	*link;
	struct job	*jobs;		/* oldest first */
	bool		 needed;	/* the parent was asked for one */
	unsigned	 asked, fresh;
	uint64_t	 question;
};

static void	send_waiting(struct fetcher *);

static void
pipe_close(struct job *job)
{
	watch_free(&job->watch);
	if (job->pipe != -1)
		close(job->pipe);
	job->pipe = -1;
}

/* It holds no place any more. */
static void
job_stale(struct job *job)
{
	if (job->fresh)
		job->fetcher->fresh--;
	job->fresh = false;
}

static void
job_recall(struct job *job)
{
	job_stale(job);
	if (job->asked)
		job->fetcher->asked--;
	job->asked = false;
}

static void
job_end(struct job *job, const struct f_done *done)
{
	struct fetcher *fetcher = job->fetcher;
	struct job **at = &fetcher->jobs;
	struct slice body = { job->body.text, job->body.len };

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	job_recall(job);
	pipe_close(job);
	timer_free(&job->timer);
	job->call(job->context, done, body);
	buffer_free(&job->body);
	free(job);
}

/* Both the answer and the pipe's end are here. */
static void
job_end_if_whole(struct job *job)
{
	struct fetcher *fetcher = job->fetcher;
	bool whole = job->answer.outcome != FETCH_BODY ||
	    job->body.len == job->answer.body_bytes;

	if (!job->done || job->pipe != -1)
		return;
	if (!whole)
		log_line(LOG_LEVEL_ERROR, "fetch: %zu of %u octets came of "
		    "the policy of %s", job->body.len, job->answer.body_bytes,
		    job->get.domain);
	job_end(job, whole ? &job->answer : NULL);
	send_waiting(fetcher);
}

/* STS-3.3-13 RFC 8461 3.3: fetch has counted; a second look costs nothing. */
static void
on_body(void *context, int what)
{
	struct job *job = context;
	char octets[READ_OCTETS];
	ssize_t n;

	(void)what;
	n = read(job->pipe, octets, sizeof(octets));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && job->body.len + (size_t)n <= STS_BODY_MAX) {
		buffer_add(&job->body, (struct slice){ octets, (size_t)n });
		return;
	}
	if (n > 0)
		buffer_free(&job->body);
	pipe_close(job);
	job_end_if_whole(job);
}

/* Waiting again; what came so far is nothing. */
static void
job_wait(struct job *job)
{
	job_recall(job);
	job->done = false;
	pipe_close(job);
	buffer_free(&job->body);
	timer_set(job->timer, LINK_WAIT_MS);
}

static void
on_job_timer(void *context)
{
	struct job *job = context;
	struct fetcher *fetcher = job->fetcher;

	/* Behind others that wait for the same link, time does not count. */
	if (!job->asked && fetcher->link != NULL) {
		timer_set(job->timer, LINK_WAIT_MS);
		return;
	}
	if (job->fresh) {
		job_stale(job);
		timer_set(job->timer, FETCHER_DEADLINE_MS - FETCHER_FRESH_MS);
		send_waiting(fetcher);
		return;
	}
	log_line(LOG_LEVEL_ERROR, "fetch: no answer about %s",
	    job->get.domain);
	fetcher->needed = false;
	job_end(job, NULL);
	send_waiting(fetcher);
}

static void
job_ask(struct job *job)
{
	struct fetcher *fetcher = job->fetcher;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1 ||
	    fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1)
		fatal("pipe");
	job->pipe = ends[0];
	job->watch = watch_new(fetcher->loop, job->pipe, WATCH_READ, on_body,
	    job);
	job->asked = job->fresh = true;
	fetcher->asked++;
	fetcher->fresh++;
	job->get.question = ++fetcher->question;
	timer_set(job->timer, FETCHER_FRESH_MS);
	link_send(fetcher->link, F_GET, &job->get, &ends[1]);
}

static void
send_waiting(struct fetcher *fetcher)
{
	struct job *job;

	if (fetcher->link == NULL) {
		if (fetcher->jobs != NULL && !fetcher->needed)
			parent_need(PROGRAM_FETCH);
		fetcher->needed = fetcher->jobs != NULL;
		return;
	}
	for (job = fetcher->jobs; job != NULL; job = job->next)
		if (!job->asked && fetcher->asked < FETCHER_ASKED_MAX &&
		    fetcher->fresh < FETCHER_FRESH_MAX)
			job_ask(job);
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	struct fetcher *fetcher = context;
	const struct f_done *done = message;
	struct job *job = fetcher->jobs;

	(void)link;
	(void)fds;
	if (kind != F_DONE)
		return;
	while (job != NULL &&
	    (!job->asked || job->get.question != done->question))
		job = job->next;
	if (job == NULL)
		return;		/* answered after its deadline */
	job->done = true;
	job->answer = *done;
	job_end_if_whole(job);
}

/*
 * Idle and gone, or dead: what it had is put once more, to a fresh one.
 * job_end calls out, and those calls may add jobs, but only at the end.
 */
static void
on_closed(void *context, struct link *link)
{
	struct fetcher *fetcher = context;
	struct job *job, *next;

	(void)link;
	fetcher->link = NULL;
	for (job = fetcher->jobs; job != NULL; job = next) {
		next = job->next;
		if (!job->asked)
			continue;
		job_wait(job);
		if (++job->deaths >= DEATHS_MAX)
			job_end(job, NULL);
	}
	send_waiting(fetcher);
}

void
fetcher_link(struct fetcher *fetcher, int fd)
{
	static const struct link_calls calls = {
		.message = on_message, .closed = on_closed
	};

	if (fetcher->link != NULL) {
		link_close(&fetcher->link);
		on_closed(fetcher, NULL);
	}
	fetcher->needed = false;
	fetcher->link = link_new(fetcher->loop, fd, &fetch_wire, &calls,
	    fetcher);
	send_waiting(fetcher);
}

struct fetcher *
fetcher_new(struct loop *loop)
{
	struct fetcher *fetcher;

	fetcher = mem_alloc(sizeof(*fetcher));
	fetcher->loop = loop;
	return fetcher;
}

void
fetcher_get(struct fetcher *fetcher, const struct domain *domain,
    const struct address *addresses, unsigned addresses_n, fetcher_call *call,
    void *context)
{
	struct job **at = &fetcher->jobs, *job;
	unsigned i;

	job = mem_alloc(sizeof(*job));
	job->fetcher = fetcher;
	memcpy(job->get.domain, domain->name, sizeof(job->get.domain));
	for (i = 0; i < addresses_n; i++)
		route_put_address(job->get.addresses, &job->get.addresses_len,
		    sizeof(job->get.addresses), &addresses[i]);
	job->call = call;
	job->context = context;
	job->pipe = -1;
	job->timer = timer_new(fetcher->loop, on_job_timer, job);
	timer_set(job->timer, LINK_WAIT_MS);
	while (*at != NULL)
		at = &(*at)->next;
	*at = job;
	send_waiting(fetcher);
}
