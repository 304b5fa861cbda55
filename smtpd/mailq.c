/*
 * What is in the queue, in the form that old programs read?
 *
 * Called by sendmail.c for -bp.  The text is made by the queue program (verb
 * `queue mailq`): of a running relay it is asked through the control socket;
 * without one, root and the relay's owner get it from the program itself, in
 * its own confinement.
 */
#include "smtpd/mailq.h"

#include "conf/beside.h"
#include "conf/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MS	60000

static int
complain(int status, const char *what, const char *why)
{
	fprintf(stderr, "sendmail: %s%s%s\n", what, why[0] != '\0' ? ": " : "",
	    why);
	return status;
}

/* Connected to the relay, or -1 with errno. */
static int
connect_relay(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&address,
	    sizeof(address)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Print what comes until the end; the status. */
static int
take_answer(struct wire_port *port)
{
	const struct c_output *output;
	const void *message;
	int kind;

	for (;;) {
		kind = wire_port_receive(port, &message, NULL,
		    wire_now_ms() + ANSWER_MS);
		if (kind == C_END)
			return (int)((const struct c_end *)message)->status;
		if (kind == C_ERROR) {
			complain(0, ((const struct c_error *)message)->text,
			    "");
		} else if (kind == C_OUTPUT) {
			output = message;
			fwrite(output->octets, 1, output->octets_len, stdout);
		} else {
			return complain(CONTROL_AGAIN,
			    "the relay does not answer", "");
		}
	}
}

static int
ask_relay(int fd)
{
	static const char words[] = "queue\0mailq";
	const uint8_t program = PROGRAM_QUEUE;
	struct c_request request = { .words_len = sizeof(words) };
	struct wire_port port;
	int status;

	memcpy(request.words, words, sizeof(words));
	wire_port_open(&port, fd, &control_wire);
	if (send(fd, &program, 1, MSG_NOSIGNAL) != 1 ||
	    wire_port_send(&port, C_REQUEST, &request, NULL,
	    wire_now_ms() + ANSWER_MS) != 0)
		status = complain(CONTROL_AGAIN, "the relay went away", "");
	else
		status = take_answer(&port);
	wire_port_close(&port);
	if (fflush(stdout) != 0)
		return complain(CONTROL_AGAIN, "standard output",
		    strerror(errno));
	return status;
}

static bool
is_owner(const struct config *config)
{
	struct stat status;

	return geteuid() == 0 || (stat(config->spool, &status) == 0 &&
	    status.st_uid == geteuid());
}

/* Become `culver-queue ctl [-c FILE] queue mailq`. */
static int
become_queue(const char *config_file)
{
	char *words[7];
	int fd = beside_open(PROGRAM_QUEUE), n = 0;

	if (fd == -1)
		return complain(CONTROL_AGAIN, "culver-queue",
		    strerror(errno));
	words[n++] = mem_copy(program_name(PROGRAM_QUEUE));
	words[n++] = mem_copy("ctl");
	if (config_file != NULL) {
		words[n++] = mem_copy("-c");
		words[n++] = mem_copy(config_file);
	}
	words[n++] = mem_copy("queue");
	words[n++] = mem_copy("mailq");
	words[n] = NULL;
	beside_execute(fd, words);
	return complain(CONTROL_AGAIN, "culver-queue", strerror(errno));
}

int
mailq(const struct config *config, const char *config_file)
{
	int fd = connect_relay(config->control);

	if (fd != -1)
		return ask_relay(fd);
	if (is_owner(config))
		return become_queue(config_file);
	return complain(CONTROL_DOWN, "the relay is not running",
	    strerror(errno));
}
