/*
 * What an operator asks of the queue of queue_fixture.h, by the control link.
 */
#ifndef CULVER_QUEUE_ASKING_H
#define CULVER_QUEUE_ASKING_H

#include "queue_fixture.h"

#include "conf/control.h"
#include "queue/ctl.h"

#include <jansson.h>

/* What a request brought. */
struct answer {
	struct buffer	out;
	char		error[2048];	/* the last sentence */
	unsigned	errors;
	int		status;
	json_t		*rows;		/* an array, if they are JSON */
};

static inline void
parse_rows(struct answer *answer)
{
	char *copy = mem_copy(answer->out.text != NULL ? answer->out.text :
	    ""), *rest = copy, *line;

	answer->rows = json_array();
	while ((line = strsep(&rest, "\n")) != NULL) {
		json_error_t error;
		json_t *row;

		if (line[0] != '{')
			continue;
		row = json_loads(line, 0, &error);
		if (row == NULL)
			fail_msg("%s: %s", error.text, line);
		json_array_append_new(answer->rows, row);
	}
	free(copy);
}

/* words are separated by single blanks. */
static inline struct answer
ask(struct world *world, uid_t uid, bool admin, const char *words)
{
	static struct c_request request;
	struct answer answer = { .status = -1 };
	struct wire_port port;
	const void *message;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	control_serve(world->loop, ends[1], uid, admin, queue_verbs,
	    world->queue);
	wire_port_open(&port, ends[0], &control_wire);
	request.words_len = (uint32_t)strlen(words) + 1;
	memcpy(request.words, words, request.words_len);
	for (uint32_t i = 0; i < request.words_len; i++)
		if (request.words[i] == ' ')
			request.words[i] = '\0';
	say(&port, C_REQUEST, &request);
	while (answer.status == -1) {
		unsigned kind = hear_within(world, &port, &message, NULL,
		    ANSWER_MS);

		if (kind == C_OUTPUT) {
			const struct c_output *output = message;

			buffer_add(&answer.out, (struct slice){
			    (const char *)output->octets,
			    output->octets_len });
		} else if (kind == C_ERROR) {
			set_text(answer.error, sizeof(answer.error),
			    ((const struct c_error *)message)->text);
			answer.errors++;
		} else {
			assert_int_equal(kind, C_END);
			answer.status = (int)((const struct c_end *)
			    message)->status;
		}
	}
	wire_port_close(&port);
	turns(world);
	parse_rows(&answer);
	return answer;
}

static inline void
forget(struct answer *answer)
{
	buffer_free(&answer->out);
	json_decref(answer->rows);
}

static inline const char *
text_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_string(value))
		fail_msg("no text %s", key);
	return json_string_value(value);
}

static inline uint64_t
take_of_uid(struct world *world, uid_t uid, const char *recipient)
{
	struct q_open open = { .id = queue_id_new(), .class = CLASS_MAIL,
	    .local = true, .uid = uid, .sender = "u@our.example",
	    .proto = "local" };
	int fd;

	say(&world->smtpd, Q_OPEN, &open);
	add_recipient(world, open.id, 0, recipient);
	fd = ask_data(world, open.id);
	expect(world, &world->smtpd, Q_GO);
	write_body(world, fd, SMALL, sizeof(SMALL) - 1);
	close(fd);
	say_end(world, open.id, sizeof(SMALL) - 1, false);
	expect(world, &world->smtpd, Q_TAKEN);
	return open.id;
}

static inline uint64_t
number_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		fail_msg("no number %s", key);
	return (uint64_t)json_integer_value(value);
}

static inline bool
is_null_at(const json_t *object, const char *key)
{
	return json_is_null(json_object_get(object, key));
}

/* Ask as root; the status must be that. */
static inline struct answer
command(struct world *world, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline struct answer
command(struct world *world, int status, const char *format, ...)
{
	struct answer answer;
	char words[8192];
	va_list values;

	va_start(values, format);
	vsnprintf(words, sizeof(words), format, values);
	va_end(values);
	answer = ask(world, 0, true, words);
	if (answer.status != status)
		fail_msg("%s: %d, not %d: %s%s", words, answer.status, status,
		    answer.error, answer.out.text != NULL ? answer.out.text :
		    "");
	return answer;
}

/* The same where only the status counts. */
#define COMMAND(...)	do { \
	struct answer answer_ = command(__VA_ARGS__); \
	forget(&answer_); \
} while (0)

#endif
