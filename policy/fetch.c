/*
 * culver-fetch: what does a policy host answer over HTTPS?
 *
 * Started by culverd when culver-policy needs it, gone after a minute without
 * work.  It resolves nothing, keeps nothing and decides nothing: addresses
 * come with the question, the body goes back through the question's pipe.
 * Some fetches run at a time; libcurl waits for their sockets, for the link to
 * culver-policy and for the parent in one poll.
 *
 * It ends at any time without harm: culver-policy asks a fresh one once more.
 */
#include "conf/log.h"
#include "conf/proc.h"
#include "policy/https.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RUNNING_MAX	20
#define IDLE_MS		60000
/* libcurl remembers pinned addresses for its life: a fresh one does not. */
#define FETCHES_MAX	1000
#define PIPE_PATIENCE_MS	10000

struct fetch {
	struct https		*https;
	CURLM			*multi;
	struct wire_port	 parent;
	struct wire_port	 policy;
	bool			 linked;
	bool			 retired;	/* no new fetches */
	unsigned		 running;
	unsigned		 fetches;
	int64_t			 idle_since_ms;
};

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
answer(struct fetch *fetch, const struct f_done *done)
{
	if (wire_port_send(&fetch->policy, F_DONE, done, NULL,
	    wire_now_ms() + PIPE_PATIENCE_MS) == -1)
		exit(0);	/* who asked is gone */
}

static void
transfer_end(struct fetch *fetch, struct transfer *transfer, CURLcode code)
{
	struct f_done done;

	https_end(transfer, code, &done);
	curl_multi_remove_handle(fetch->multi, transfer->easy);
	if (done.outcome == FETCH_BODY &&
	    !write_body(transfer->pipe, transfer->body, transfer->body_len))
		exit(1);
	close(transfer->pipe);
	https_free(&transfer);
	fetch->running--;
	answer(fetch, &done);
}

/* A question that holds no domain or no address is a fault of ours. */
static void
refuse(struct fetch *fetch, const struct f_get *get, int pipe)
{
	struct f_done done = {
		.question = get->question,
		.outcome = FETCH_ERROR,
		.text = "no address"
	};

	log_line(LOG_LEVEL_ERROR, "asked about \"%s\" without domain or "
	    "address", get->domain);
	close(pipe);
	answer(fetch, &done);
}

static void
transfer_begin(struct fetch *fetch, const struct f_get *get, int pipe)
{
	struct transfer *transfer = https_get(fetch->https, get);

	if (transfer == NULL) {
		refuse(fetch, get, pipe);
		return;
	}
	transfer->pipe = pipe;
	if (curl_multi_add_handle(fetch->multi, transfer->easy) != CURLM_OK)
		fatal("libcurl takes no fetch");
	fetch->running++;
	fetch->retired = fetch->retired || ++fetch->fetches >= FETCHES_MAX;
}

static void
take_question(struct fetch *fetch)
{
	int fds[WIRE_FDS_MAX], kind;
	const void *message;

	kind = wire_port_receive(&fetch->policy, &message, fds,
	    wire_now_ms());
	if (kind == 0)
		exit(0);	/* culver-policy is gone */
	if (kind == F_GET)
		transfer_begin(fetch, message, fds[0]);
}

static void
link_to(struct fetch *fetch, int fd)
{
	if (fetch->linked)
		exit(0);	/* culver-policy began anew: so do we */
	wire_port_open(&fetch->policy, fd, &fetch_wire);
	fetch->linked = true;
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
		link_to(fetch, fds[0]);
	else if (kind == P_CA)
		close(fds[0]);
	else if (kind == P_SETTINGS_END)
		fetch->retired = true;
}

static void
take_ends(struct fetch *fetch)
{
	struct transfer *transfer;
	struct CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(fetch->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
		    &transfer);
		transfer_end(fetch, transfer, message->data.result);
	}
}

/* Wait for work, and do what is ready.  False: it is time to go. */
static bool
turn(struct fetch *fetch)
{
	bool take = fetch->linked && !fetch->retired &&
	    fetch->running < RUNNING_MAX;
	struct curl_waitfd ready[2] = {
		{ fetch->parent.fd, CURL_WAIT_POLLIN, 0 },
		{ fetch->policy.fd, CURL_WAIT_POLLIN, 0 }
	};
	int running;

	if (curl_multi_poll(fetch->multi, ready, take ? 2 : 1, 1000, NULL) !=
	    CURLM_OK ||
	    curl_multi_perform(fetch->multi, &running) != CURLM_OK)
		fatal("libcurl failed");
	take_ends(fetch);
	if (ready[0].revents != 0)
		take_order(fetch);
	if (take && ready[1].revents != 0)
		take_question(fetch);
	if (fetch->running > 0)
		fetch->idle_since_ms = wire_now_ms();
	return fetch->running > 0 || (!fetch->retired &&
	    wire_now_ms() - fetch->idle_since_ms < IDLE_MS);
}

int
main(void)
{
	struct fetch fetch = { .https = NULL };
	struct proc_start start;
	size_t i;

	proc_begin(PROGRAM_FETCH, &start);
	tzset();
	fetch.https = https_new(start.ca_fd, start.config->hostname);
	fetch.multi = curl_multi_init();
	if (fetch.multi == NULL)
		fatal("libcurl cannot begin");
	proc_confine(PROGRAM_FETCH, start.config, NULL);
	wire_port_open(&fetch.parent, PROC_PARENT_FD, &proc_wire);
	proc_send(P_READY, NULL);
	for (i = 0; i < start.links_n; i++)
		if (start.links[i].peer == PROGRAM_POLICY)
			link_to(&fetch, start.links[i].fd);
	fetch.idle_since_ms = wire_now_ms();
	while (turn(&fetch))
		continue;
	return 0;
}
