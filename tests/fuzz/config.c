/*
 * Fuzz: a configuration file of any octets.  Either it is refused with a
 * sentence a line, or what is printed of it is taken again for the same.
 * Every line of it is tried as a single setting, too.
 */
#include "conf/config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
gather(void *context, const char *keyword, const char *value)
{
	buffer_printf(context, "%s %s\n", keyword, value);
}

static void
set_again(void *context, const char *keyword, const char *value)
{
	struct buffer error = { NULL, 0, 0 };

	must(config_set(context, keyword, value, &error));
}

static void
check_round_trip(const struct config *config)
{
	struct buffer before = { NULL, 0, 0 }, after = { NULL, 0, 0 };
	struct config *again = config_new();

	config_each(config, set_again, again);
	config_each(config, gather, &before);
	config_each(again, gather, &after);
	must(strcmp(before.text, after.text) == 0);
	config_free(&again);
	buffer_free(&before);
	buffer_free(&after);
}

/* What is said to an operator is text of whole lines. */
static void
check_error(const struct buffer *error)
{
	size_t i;

	must(error->len > 0 && error->text[error->len - 1] != '\n');
	for (i = 0; i < error->len; i++)
		must(error->text[i] == '\n' ||
		    (unsigned char)error->text[i] >= ' ');
}

static void
try_file(const uint8_t *octets, size_t len)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	char path[64];
	int fd = memfd_create("config", MFD_CLOEXEC);

	must(fd != -1 && write(fd, octets, len) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	config = config_read(path, NULL, 0, &error);
	close(fd);
	if (config != NULL)
		check_round_trip(config);
	else
		check_error(&error);
	config_free(&config);
	buffer_free(&error);
}

static void
try_line(char *line)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config = config_new();
	char *value = line + strcspn(line, " ");

	if (*value != '\0')
		*value++ = '\0';
	if (!config_set(config, line, value, &error))
		check_error(&error);
	config_free(&config);
	buffer_free(&error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	char *text = mem_alloc(len + 1), *line, *rest = text;

	log_set_level(LOG_LEVEL_ERROR);
	try_file(octets, len);
	memcpy(text, octets, len);
	while ((line = strsep(&rest, "\n")) != NULL)
		try_line(line);
	free(text);
	return 0;
}
