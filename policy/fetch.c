/*
 * culver-fetch: what does a web host answer?
 *
 * Started by culverd when culver-policy (a policy, F_GET) or culver-reports (a
 * report to be handed in, F_POST) needs it, gone after a minute without work.
 * It resolves nothing, keeps nothing and decides nothing: addresses come with
 * the question, a body goes back through the question's pipe, a document comes
 * through it.  Some jobs run at a time; libcurl waits for their sockets, for
 * the links and for the parent in one poll.
 *
 * A job is gathering (its document is not whole yet) or under way (libcurl has
 * it).  It may have either link or both.  Who asked and is gone has his jobs
 * dropped; then the program ends when the other's are over, because culverd
 * gives a fresh one all its links.
 *
 * Hosts that hang hold up nobody (trap T45): there is room for many of them,
 * the oldest is given up where there is none left, and the end of the program
 * is not put off for them.
 *
 * It ends at any time without harm: culver-policy asks a fresh one once more,
 * culver-reports tries a report again.
 */
#include "conf/log.h"
#include "conf/proc.h"
#include "policy/fetcher.h"
#include "policy/https.h"
#include "policy/post.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* All that policy asks for, but for what is still to be read; 130 KiB each. */
#define GETS_MAX	(FETCHER_ASKED_MAX - FETCHER_FRESH_MAX)
/* A pipe, a socket, and another while one of them is being connected. */
#define GET_DESCRIPTORS	3
#define OTHER_DESCRIPTORS 64
#define POSTS_MAX	8		/* each may hold POST_SIZE_MAX */
#define IDLE_MS		60000
/* libcurl remembers pinned addresses for its life: a fresh one does not. */
#define JOBS_MAX	1000
#define PIPE_PATIENCE_MS	10000

/* Who asks. */
struct peer {
	enum program	 program;
	unsigned	 jobs_max;	/* of his at a time */
	struct wire_port port;
	bool		 linked;
	bool		 gone;		/* to be dropped at the turn's end */
	unsigned	 jobs;
};

struct job {
	struct job	*next;
	struct peer	*peer;
	struct transfer	*transfer;	/* of F_GET */
	struct post	*post;		/* of F_POST */
	int		 pipe;
	int64_t		 begun_ms;
	int64_t		 gathered_by_ms;
	CURL		*easy;		/* NULL: gathering */
};

#define PEERS_N	2
struct fetch {
	struct https		*https;
	CURLM			*multi;
	struct wire_port	 parent;
	struct peer		 peers[PEERS_N];
	struct job		*jobs;
	bool			 retired;	/* no new jobs */
	bool			 deserted;	/* nor while a link is lost */
	unsigned		 jobs_begun;
	int64_t			 idle_since_ms;
};

/*
 * Jobs.
 */

static struct job *
job_new(struct fetch *fetch, struct peer *peer, int pipe)
{
	struct job *job;

	job = mem_alloc(sizeof(*job));
	job->peer = peer;
	job->pipe = pipe;
	job->begun_ms = wire_now_ms();
	job->next = fetch->jobs;
	fetch->jobs = job;
	peer->jobs++;
	fetch->retired = fetch->retired || ++fetch->jobs_begun >= JOBS_MAX;
	return job;
}

static void
job_free(struct fetch *fetch, struct job *job)
{
	struct job **at = &fetch->jobs;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	job->peer->jobs--;
	if (job->easy != NULL)
		curl_multi_remove_handle(fetch->multi, job->easy);
	https_free(&job->transfer);
	post_free(&job->post);
	if (job->pipe != -1)
		close(job->pipe);
	free(job);
}

/* Into libcurl's hands. */
static void
job_begin(struct fetch *fetch, struct job *job, CURL *easy)
{
	job->easy = easy;
	if (curl_easy_setopt(easy, CURLOPT_PRIVATE, job) != CURLE_OK ||
	    curl_multi_add_handle(fetch->multi, easy) != CURLM_OK)
		fatal("libcurl takes no job");
}

static void
answer(struct peer *peer, unsigned kind, const void *message)
{
	if (wire_port_send(&peer->port, kind, message, NULL,
	    wire_now_ms() + PIPE_PATIENCE_MS) == -1)
		peer->gone = true;
}

/*
 * A policy.
 */

/* Into the pipe; culver-policy reads as we write.  False: it does not. */
static bool
write_body(int fd, const uint8_t *octets, size_t len)
{
	int64_t deadline_ms = wire_now_ms() + PIPE_PATIENCE_MS;
	struct pollfd ready = { fd, POLLOUT, 0 };
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (len > 0) {
		n = write(fd, octets, len);
		if (n > 0) {
			octets += n;
			len -= (size_t)n;
		} else if ((n == -1 && errno != EAGAIN && errno != EINTR) ||
		    wire_now_ms() >= deadline_ms) {
			return false;
		} else {
			poll(&ready, 1, 1000);
		}
	}
	return true;
}

static void
get_end(struct fetch *fetch, struct job *job, CURLcode code)
{
	struct transfer *transfer = job->transfer;
	struct peer *peer = job->peer;
	struct f_done done;

	https_end(transfer, code, &done);
	if (done.outcome == FETCH_BODY &&
	    !write_body(job->pipe, transfer->body, transfer->body_len))
		peer->gone = true;
	job_free(fetch, job);
	if (!peer->gone)
		answer(peer, F_DONE, &done);
}

/* A policy host that takes its time. */
static bool
is_slow(const struct job *job)
{
	return job->transfer != NULL &&
	    wire_now_ms() - job->begun_ms >= FETCHER_FRESH_MS;
}

/* That peer's slow job which is the oldest; NULL: none is slow. */
static struct job *
oldest_slow(const struct fetch *fetch, const struct peer *peer)
{
	struct job *job, *oldest = NULL;

	/* The youngest is the first. */
	for (job = fetch->jobs; job != NULL; job = job->next)
		if (job->peer == peer && is_slow(job))
			oldest = job;
	return oldest;
}

/* Is there room for one more job of his? */
static bool
has_room(const struct fetch *fetch, const struct peer *peer)
{
	return peer->jobs < peer->jobs_max ||
	    oldest_slow(fetch, peer) != NULL;
}

/* RPT-4.3.2.2-3 RFC 8460 4.3.2.2: as if its time were over. */
static void
make_room(struct fetch *fetch, struct peer *peer)
{
	struct job *job;

	if (peer->jobs < peer->jobs_max)
		return;
	job = oldest_slow(fetch, peer);
	if (job != NULL)
		get_end(fetch, job, CURLE_OPERATION_TIMEDOUT);
}

/* A question that holds no domain or no address is a fault of ours. */
static void
get_refuse(struct peer *peer, const struct f_get *get, int pipe)
{
	struct f_done done = {
		.question = get->question,
		.outcome = FETCH_ERROR,
		.text = "no address"
	};

	log_line(LOG_LEVEL_ERROR, "asked about \"%s\" without domain or "
	    "address", get->domain);
	close(pipe);
	answer(peer, F_DONE, &done);
}

static void
get_begin(struct fetch *fetch, struct peer *peer, const struct f_get *get,
    int pipe)
{
	struct transfer *transfer = https_get(fetch->https, get);
	struct job *job;

	if (transfer == NULL) {
		get_refuse(peer, get, pipe);
		return;
	}
	make_room(fetch, peer);
	job = job_new(fetch, peer, pipe);
	job->transfer = transfer;
	job_begin(fetch, job, transfer->exchange.easy);
}

/*
 * A report.
 */

/* Nothing was sent. */
static void
post_refuse(struct peer *peer, uint64_t question, const char *why)
{
	struct f_posted posted = {
		.question = question, .outcome = POST_FAILED
	};

	snprintf(posted.text, sizeof(posted.text), "%s", why);
	answer(peer, F_POSTED, &posted);
}

static void
post_gather(struct fetch *fetch, struct peer *peer,
    const struct f_post *message, int pipe)
{
	char why[EXCHANGE_TEXT_MAX];
	struct post *post = post_new(fetch->https, message, why);
	struct job *job;

	if (post == NULL) {
		close(pipe);
		post_refuse(peer, message->question, why);
		return;
	}
	job = job_new(fetch, peer, pipe);
	job->post = post;
	job->gathered_by_ms = wire_now_ms() + PIPE_PATIENCE_MS;
	fcntl(pipe, F_SETFL, O_NONBLOCK);
}

/* More of a document.  False: there will be none. */
static bool
gather_more(struct job *job)
{
	uint8_t octets[16384];
	ssize_t n;

	while (!post_is_whole(job->post)) {
		n = read(job->pipe, octets, sizeof(octets));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return wire_now_ms() < job->gathered_by_ms;
		if (n <= 0 || !post_take(job->post, octets, (size_t)n))
			return false;
	}
	return true;
}

/* What a document's pipe has now; libcurl's poll does not see its end. */
static void
gather(struct fetch *fetch)
{
	struct job *job, *next;

	for (job = fetch->jobs; job != NULL; job = next) {
		next = job->next;
		if (job->post == NULL || job->easy != NULL)
			continue;
		if (!gather_more(job)) {
			log_line(LOG_LEVEL_ERROR, "the report for %s did not "
			    "come whole", job->post->message.url);
			post_refuse(job->peer, job->post->message.question,
			    "our own report was not whole");
			job_free(fetch, job);
		} else if (post_is_whole(job->post)) {
			close(job->pipe);
			job->pipe = -1;
			job_begin(fetch, job, post_begin(job->post));
		}
	}
}

static void
post_over(struct fetch *fetch, struct job *job, CURLcode code)
{
	struct peer *peer = job->peer;
	struct f_posted posted;

	curl_multi_remove_handle(fetch->multi, job->easy);
	job->easy = NULL;
	if (!post_end(job->post, code, &posted)) {
		job_begin(fetch, job, post_begin(job->post));
		return;
	}
	job_free(fetch, job);
	answer(peer, F_POSTED, &posted);
}

/*
 * Links.
 */

static void
take_question(struct fetch *fetch, struct peer *peer)
{
	int fds[WIRE_FDS_MAX], kind;
	const void *message;

	kind = wire_port_receive(&peer->port, &message, fds, wire_now_ms());
	if (kind == 0)
		peer->gone = true;
	else if (kind == F_GET)
		get_begin(fetch, peer, message, fds[0]);
	else if (kind == F_POST)
		post_gather(fetch, peer, message, fds[0]);
}

static void
peer_drop(struct fetch *fetch, struct peer *peer)
{
	struct job *job, *next;

	for (job = fetch->jobs; job != NULL; job = next) {
		next = job->next;
		if (job->peer == peer)
			job_free(fetch, job);
	}
	wire_port_close(&peer->port);
	peer->linked = peer->gone = false;
}

static void
drop_gone(struct fetch *fetch)
{
	unsigned i;

	for (i = 0; i < PEERS_N; i++)
		if (fetch->peers[i].gone) {
			peer_drop(fetch, &fetch->peers[i]);
			fetch->deserted = true;
		}
}

/* A fresh link: what the old one asked for is wanted no more. */
static void
link_to(struct fetch *fetch, enum program program, int fd)
{
	struct peer *peer = fetch->peers;

	while (peer < fetch->peers + PEERS_N && peer->program != program)
		peer++;
	if (peer == fetch->peers + PEERS_N) {
		close(fd);
		return;
	}
	if (peer->linked)
		peer_drop(fetch, peer);
	wire_port_open(&peer->port, fd, &fetch_wire);
	peer->linked = true;
	fetch->deserted = false;
}

/*
 * New settings or anchors are for a fresh program: end when what runs is
 * over.  P_STOP: end at once.
 */
static void
take_order(struct fetch *fetch)
{
	int fds[WIRE_FDS_MAX], kind;
	const void *message;

	kind = wire_port_receive(&fetch->parent, &message, fds,
	    wire_now_ms());
	if (kind == 0 || kind == P_STOP)
		exit(0);
	if (kind == P_LINK)
		link_to(fetch, ((const struct p_program *)message)->program,
		    fds[0]);
	else if (kind == P_CA)
		close(fds[0]);
	else if (kind == P_SETTINGS_END)
		fetch->retired = true;
}

/*
 * Turns.
 */

static void
take_ends(struct fetch *fetch)
{
	struct CURLMsg *message;
	struct job *job;
	CURLcode code;
	int left;

	while ((message = curl_multi_info_read(fetch->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
		    &job);
		if (job->post != NULL)
			post_over(fetch, job, code);
		else
			get_end(fetch, job, code);
	}
}

static bool
takes_jobs(const struct fetch *fetch)
{
	return !fetch->retired && !fetch->deserted;
}

/* Wait for sockets, links and pipes; ready says which links have something. */
static void
wait_for_work(struct fetch *fetch, bool ready[1 + PEERS_N])
{
	struct curl_waitfd fds[1 + PEERS_N + POSTS_MAX];
	const struct job *job;
	unsigned n = 1, i, at[PEERS_N] = { 0 };
	int running;

	memset(fds, 0, sizeof(fds));
	fds[0].fd = fetch->parent.fd;
	for (i = 0; i < PEERS_N; i++)
		if (fetch->peers[i].linked && takes_jobs(fetch) &&
		    has_room(fetch, &fetch->peers[i])) {
			fds[n].fd = fetch->peers[i].port.fd;
			at[i] = n++;
		}
	for (job = fetch->jobs; job != NULL; job = job->next)
		if (job->easy == NULL && n < sizeof(fds) / sizeof(fds[0]))
			fds[n++].fd = job->pipe;
	for (i = 0; i < n; i++)
		fds[i].events = CURL_WAIT_POLLIN;
	if (curl_multi_poll(fetch->multi, fds, n, 1000, NULL) != CURLM_OK ||
	    curl_multi_perform(fetch->multi, &running) != CURLM_OK)
		fatal("libcurl failed");
	ready[0] = fds[0].revents != 0;
	for (i = 0; i < PEERS_N; i++)
		ready[1 + i] = at[i] != 0 && fds[at[i]].revents != 0;
}

/*
 * Is anything running that the end of this program has to wait for?  Slow
 * ones are asked once more of a fresh one; a report that is cut off may have
 * arrived, and would count twice.
 */
static bool
is_needed(const struct fetch *fetch)
{
	const struct job *job;

	for (job = fetch->jobs; job != NULL; job = job->next)
		if (!is_slow(job))
			return true;
	return false;
}

/* Wait for work, and do what is ready.  False: it is time to go. */
static bool
turn(struct fetch *fetch)
{
	bool ready[1 + PEERS_N];
	unsigned i;

	wait_for_work(fetch, ready);
	take_ends(fetch);
	for (i = 0; i < PEERS_N; i++)
		if (ready[1 + i])
			take_question(fetch, &fetch->peers[i]);
	gather(fetch);
	drop_gone(fetch);
	if (ready[0])
		take_order(fetch);
	if (fetch->jobs != NULL)
		fetch->idle_since_ms = wire_now_ms();
	if (!takes_jobs(fetch))
		return is_needed(fetch);
	return fetch->jobs != NULL ||
	    wire_now_ms() - fetch->idle_since_ms < IDLE_MS;
}

/* GETS_MAX, or what the limit on descriptors allows. */
static unsigned
gets_max(void)
{
	struct rlimit limit;
	rlim_t most;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		fatal("getrlimit");
	if (limit.rlim_cur <= OTHER_DESCRIPTORS + GET_DESCRIPTORS)
		return 1;
	most = (limit.rlim_cur - OTHER_DESCRIPTORS) / GET_DESCRIPTORS;
	return most < GETS_MAX ? (unsigned)most : GETS_MAX;
}

int
main(void)
{
	struct fetch fetch = { .peers = {
		{ .program = PROGRAM_POLICY },
		{ .program = PROGRAM_REPORTS, .jobs_max = POSTS_MAX }
	} };
	struct proc_start start;
	size_t i;

	proc_begin(PROGRAM_FETCH, &start);
	tzset();
	fetch.https = https_new(start.ca_fd, start.config->hostname);
	fetch.multi = curl_multi_init();
	if (fetch.multi == NULL)
		fatal("libcurl cannot begin");
	proc_confine(PROGRAM_FETCH, start.config, NULL);
	fetch.peers[0].jobs_max = gets_max();
	wire_port_open(&fetch.parent, PROC_PARENT_FD, &proc_wire);
	proc_send(P_READY, NULL);
	for (i = 0; i < start.links_n; i++)
		link_to(&fetch, start.links[i].peer, start.links[i].fd);
	fetch.idle_since_ms = wire_now_ms();
	while (turn(&fetch))
		continue;
	return 0;
}
