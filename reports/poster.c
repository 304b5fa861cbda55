/*
 * How does a document get to culver-fetch, and what did its receiver say?
 *
 * Called by trial.c.  A post is waiting (fetch is to be started), or asked:
 * F_POST was sent and the document goes into its pipe.  When the link closes,
 * a document of which nothing was read waits once more; from one that was
 * read nobody knows whether it arrived.
 *
 * Does not try again: when, if at all, is the caller's.
 */
#include "reports/poster.h"

#include "conf/link.h"
#include "conf/log.h"
#include "conf/parent.h"
#include "reports/pour.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <unistd.h>

#define LINK_WAIT_MS	30000	/* for the program to be started */
#define DEATHS_MAX	2

struct post {
	TAILQ_ENTRY(post)	 line;
	struct poster		*poster;
	struct f_post		 what;
	struct buffer		 document;
	poster_call		*call;
	void			*context;
	struct timer		*timer;
	bool			 asked;
	unsigned		 deaths;
	struct pour		*pour;
	int			 unread;	/* read end, to see what is
						   left in it; -1: none */
};

struct poster {
	struct loop		*loop;
	struct link		*link;
	TAILQ_HEAD(, post)	 posts;		/* oldest first */
	unsigned		 posts_n;
	bool			 needed;	/* the parent was asked */
	uint64_t		 question;
};

static void
pipe_close(struct post *post)
{
	pour_free(&post->pour);
	if (post->unread != -1)
		close(post->unread);
	post->unread = -1;
}

static void
post_free(struct post *post)
{
	TAILQ_REMOVE(&post->poster->posts, post, line);
	post->poster->posts_n--;
	pipe_close(post);
	timer_free(&post->timer);
	buffer_free(&post->document);
	free(post);
}

static void
post_end(struct post *post, const struct f_posted *posted)
{
	poster_call *call = post->call;
	void *context = post->context;

	post_free(post);
	call(context, posted);
}

/* Can the receiver have it?  Not before fetch has read all of it. */
static bool
was_read(const struct post *post)
{
	int left = 0;

	if (!post->asked || post->pour != NULL)
		return false;
	return ioctl(post->unread, FIONREAD, &left) == -1 || left == 0;
}

/* Our own program failed. */
static void
post_end_ours(struct post *post, const char *text)
{
	struct f_posted posted = { .outcome = was_read(post) ? POST_UNKNOWN :
	    POST_FAILED };

	snprintf(posted.text, sizeof(posted.text), "%s", text);
	post_end(post, &posted);
}

static void
on_timer(void *context)
{
	struct post *post = context;

	log_line(LOG_LEVEL_ERROR, "fetch does not answer about %s",
	    post->what.host);
	post->poster->needed = false;
	post_end_ours(post, "no answer from our own fetch");
}

static void
on_poured(void *context, bool whole)
{
	struct post *post = context;

	/* A reader that went away says why, or is dead: by the link. */
	if (whole)
		pour_free(&post->pour);
}

static void
post_ask(struct post *post)
{
	struct poster *poster = post->poster;
	int ends[2];

	pour_pipe(ends);
	post->unread = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
	if (post->unread == -1)
		fatal("dup");
	post->asked = true;
	post->what.question = ++poster->question;
	timer_set(post->timer, POSTER_DEADLINE_MS);
	link_send(poster->link, F_POST, &post->what, &ends[0]);
	post->pour = pour_new(poster->loop, ends[1], (struct slice){
	    post->document.text, post->document.len }, on_poured, post);
}

static void
send_waiting(struct poster *poster)
{
	struct post *post;

	if (poster->link == NULL) {
		if (!TAILQ_EMPTY(&poster->posts) && !poster->needed)
			parent_need(PROGRAM_FETCH);
		poster->needed = !TAILQ_EMPTY(&poster->posts);
		return;
	}
	TAILQ_FOREACH(post, &poster->posts, line)
		if (!post->asked)
			post_ask(post);
}

bool
poster_has_room(const struct poster *poster)
{
	return poster->posts_n < POSTER_MAX;
}

void
poster_send(struct poster *poster, const struct f_post *what,
    struct buffer *document, poster_call *call, void *context)
{
	struct post *post = mem_alloc(sizeof(*post));

	if (!poster_has_room(poster))
		bug("a post without room for it");
	post->poster = poster;
	post->what = *what;
	post->document = *document;
	*document = (struct buffer){ NULL, 0, 0 };
	post->what.size_bytes = post->document.len;
	post->call = call;
	post->context = context;
	post->unread = -1;
	post->timer = timer_new(poster->loop, on_timer, post);
	timer_set(post->timer, LINK_WAIT_MS);
	TAILQ_INSERT_TAIL(&poster->posts, post, line);
	poster->posts_n++;
	send_waiting(poster);
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	const struct f_posted *posted = message;
	struct poster *poster = context;
	struct post *post;

	(void)link;
	(void)fds;
	if (kind != F_POSTED)
		return;
	TAILQ_FOREACH(post, &poster->posts, line)
		if (post->asked && post->what.question == posted->question)
			break;
	if (post != NULL)	/* else its deadline has passed */
		post_end(post, posted);
}

/* Waiting again; nobody has read of it. */
static void
post_wait(struct post *post)
{
	pipe_close(post);
	post->asked = false;
	timer_set(post->timer, LINK_WAIT_MS);
}

/*
 * Idle and gone, or dead.  Calls may add posts, at the end of the line, where
 * they are not asked yet and are passed over.
 */
static void
lose_posts(struct poster *poster)
{
	struct post *post, *next;

	for (post = TAILQ_FIRST(&poster->posts); post != NULL; post = next) {
		next = TAILQ_NEXT(post, line);
		if (!post->asked)
			continue;
		if (was_read(post) || ++post->deaths >= DEATHS_MAX)
			post_end_ours(post, "our own fetch went away");
		else
			post_wait(post);
	}
}

static void
on_closed(void *context, struct link *link)
{
	struct poster *poster = context;

	(void)link;
	poster->link = NULL;
	lose_posts(poster);
	send_waiting(poster);
}

void
poster_link(struct poster *poster, int fd)
{
	static const struct link_calls calls = {
		.message = on_message, .closed = on_closed
	};

	if (poster->link != NULL) {
		link_close(&poster->link);
		lose_posts(poster);
	}
	poster->needed = false;
	poster->link = link_new(poster->loop, fd, &fetch_wire, &calls, poster);
	send_waiting(poster);
}

struct poster *
poster_new(struct loop *loop)
{
	struct poster *poster = mem_alloc(sizeof(*poster));

	poster->loop = loop;
	TAILQ_INIT(&poster->posts);
	return poster;
}

void
poster_free(struct poster **poster)
{
	if (*poster == NULL)
		return;
	while (!TAILQ_EMPTY(&(*poster)->posts))
		post_free(TAILQ_FIRST(&(*poster)->posts));
	link_close(&(*poster)->link);
	free(*poster);
	*poster = NULL;
}
