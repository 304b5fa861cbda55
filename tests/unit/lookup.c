/*
 * `culver-policy ctl check txt NAME': resolv.conf read, a real resolver asked,
 * the line that comes out.
 */
#include "policy/lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/log.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static void
no_log(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	(void)line;
}

/* ---- resolv.conf ---- */

static void
test_conf(void **state)
{
	static const struct {
		const char	*text, *wanted;
	} rows[] = {
		{ "", "" },
		{ "nameserver 192.0.2.1\n", "192.0.2.1" },
		{ "# nameserver 192.0.2.9\n; nameserver 192.0.2.9\n"
		    "search a.t\nnameserver\t192.0.2.1  # here\r\n"
		    "  nameserver   2001:db8::1\nnameserver 192.0.2.3\n"
		    "nameserver 192.0.2.4\n",
		    "192.0.2.1 2001:db8::1 192.0.2.3" },
		{ "nameserver\nnameserver x\nnameservers 192.0.2.1\n"
		    "options edns0\nnameserver 192.0.2.2", "192.0.2.2" },
	};
	char file[] = "/tmp/culver-lookup-XXXXXX", text[256];
	char printed[ADDRESS_TEXT_MAX];
	struct config_endpoint list[8];
	size_t i, j, n;
	int fd;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		strcpy(file + strlen(file) - 6, "XXXXXX");
		fd = mkstemp(file);
		assert_int_equal(write(fd, rows[i].text,
		    strlen(rows[i].text)), strlen(rows[i].text));
		close(fd);
		n = lookup_read_conf(file, list, COUNT(list));
		unlink(file);
		text[0] = '\0';
		for (j = 0; j < n; j++) {
			assert_int_equal(list[j].port, 53);
			sprintf(text + strlen(text), "%s%s", j > 0 ? " " :
			    "", address_print(&list[j].address, printed));
		}
		assert_string_equal(text, rows[i].wanted);
	}
	assert_int_equal(lookup_read_conf("/nonexistent", list, 8), 0);
}

/* ---- the line ---- */

static void
test_line(void **state)
{
	struct rr records[] = {
		{ .type = RR_TXT, .data = SLICE("v=DKIM1; p=AB") },
		{ .type = RR_TXT, .data = { "\"\\\n\0\xff\x7f~", 7 } },
		{ .type = RR_TXT, .data = SLICE("") },
	};
	struct rr_answer answer = { .records = records, .records_n = 3 };
	const struct domain name = { "s._domainkey.a.t" };
	struct buffer json = { NULL, 0, 0 };

	(void)state;
	lookup_print(&json, &name, &answer, NULL);
	assert_string_equal(json.text, "{\"name\":\"s._domainkey.a.t\","
	    "\"outcome\":\"ok\",\"text\":\"\",\"records\":["
	    "\"v=DKIM1; p=AB\",\"\\\"\\\\\\u000a\\u0000\\u00ff\\u007f~\","
	    "\"\"]}");
	buffer_free(&json);
	lookup_print(&json, &name, &answer, "SERVFAIL");
	assert_string_equal(json.text, "{\"name\":\"s._domainkey.a.t\","
	    "\"outcome\":\"again\",\"text\":\"SERVFAIL\",\"records\":[]}");
	buffer_free(&json);
	answer.records_n = 0;
	lookup_print(&json, &name, &answer, NULL);
	assert_string_equal(json.text, "{\"name\":\"s._domainkey.a.t\","
	    "\"outcome\":\"none\",\"text\":\"no TXT record\","
	    "\"records\":[]}");
	buffer_free(&json);
	answer.status = RR_NXDOMAIN;
	lookup_print(&json, &name, &answer, NULL);
	assert_non_null(strstr(json.text, "\"text\":\"no such name\""));
	buffer_free(&json);
}

/* ---- a resolver ---- */

/* Two strings of one record for "two.t", by the first letter otherwise:
 * nothing (e), no such name (n), a failure (f). */
static void
answer_one(int fd)
{
	static const uint8_t two[] = { 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0,
	    10, 4, 'v', '=', 'a', ';', 4, ' ', 'b', '=', 'c' };
	uint8_t octets[1024];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	size_t end = 12;
	ssize_t n;

	n = recvfrom(fd, octets, sizeof(octets), 0,
	    (struct sockaddr *)&from, &len);
	if (n < 17)
		return;
	while (octets[end] != 0)
		end += octets[end] + 1u;
	end += 5;
	octets[2] |= 0x80;
	octets[3] = octets[13] == 'n' ? 3 : octets[13] == 'f' ? 2 : 0;
	memset(octets + 6, 0, 6);
	if (octets[13] == 't') {
		octets[7] = 1;
		memcpy(octets + end, two, sizeof(two));
		end += sizeof(two);
	}
	sendto(fd, octets, end, 0, (struct sockaddr *)&from, len);
}

/* A resolver as a process of its own; its port. */
static pid_t
serve(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(address);
	pid_t pid;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len),
	    0);
	*port = ntohs(address.sin_port);
	fflush(NULL);
	pid = fork();
	while (pid == 0)
		answer_one(fd);
	close(fd);
	return pid;
}

/* The verb in a process of its own; returns its exit status. */
static int
check(uint16_t port, const char *name, char output[1024])
{
	struct config_endpoint resolver = { .port = port };
	struct config config = { .resolvers = &resolver, .resolvers_n = 1 };
	char *words[] = { mem_copy("check"), mem_copy("txt"),
		mem_copy(name) };
	int out[2], status;
	size_t i, len = 0;
	ssize_t n;
	pid_t pid;

	address_parse(SLICE("127.0.0.1"), &resolver.address);
	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		struct lookup *lookup = lookup_new(&config);

		dup2(out[1], 1);
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(99);
		_exit(control_run(lookup_verbs, lookup, 3, words));
	}
	close(out[1]);
	while ((n = read(out[0], output + len, 1023 - len)) > 0)
		len += (size_t)n;
	output[len] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (i = 0; i < 3; i++)
		free(words[i]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_verb(void **state)
{
	static const struct {
		const char	*name;
		int		 status;
		const char	*output;
	} rows[] = {
		{ "two.t", 0, "{\"name\":\"two.t\",\"outcome\":\"ok\","
		    "\"text\":\"\",\"records\":[\"v=a; b=c\"]}\n" },
		{ "TWO._domainkey.t.", 0, "{\"name\":\"two._domainkey.t\","
		    "\"outcome\":\"ok\",\"text\":\"\","
		    "\"records\":[\"v=a; b=c\"]}\n" },
		{ "empty.t", 1, "{\"name\":\"empty.t\",\"outcome\":\"none\","
		    "\"text\":\"no TXT record\",\"records\":[]}\n" },
		{ "none.t", 1, "{\"name\":\"none.t\",\"outcome\":\"none\","
		    "\"text\":\"no such name\",\"records\":[]}\n" },
		{ "fail.t", 75, "{\"name\":\"fail.t\",\"outcome\":\"again\","
		    "\"text\":\"SERVFAIL\",\"records\":[]}\n" },
		{ "a..t", 64, "" },
		{ "[192.0.2.1]", 64, "" },
	};
	char output[1024];
	uint16_t port;
	pid_t pid = serve(&port);
	size_t i;
	int status;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		status = check(port, rows[i].name, output);
		if (status != rows[i].status ||
		    strcmp(output, rows[i].output) != 0)
			fail_msg("%s: %d %s", rows[i].name, status, output);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* Nobody is there any more. */
	assert_int_equal(check(port, "two.t", output), 75);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "nameservers of resolv.conf", test_conf, NULL, NULL, NULL },
		{ "records as JSON, octet by octet", test_line, NULL,
		    NULL, NULL },
		{ "RPT-3-21 check txt asks a resolver, and says what it "
		    "found", test_verb, NULL, NULL, NULL },
	};

	log_to(no_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
