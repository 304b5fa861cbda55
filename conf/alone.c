/*
 * What has a program to do before it answers one verb without a relay?
 *
 * Called by queue, policy and reports in `ctl' mode; the verbs themselves are
 * run by control_run.  It opens no store: that is the owner's.
 */
#include "conf/alone.h"

#include "conf/control.h"
#include "conf/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *
alone_begin(enum program program, int *argc, char ***argv)
{
	const char *file = NULL;

	log_start(program_name(program));
	/* What the configuration is warned of, culverd -n says. */
	log_set_level(LOG_LEVEL_ERROR);
	if (*argc >= 2 && strcmp((*argv)[0], "-c") == 0) {
		file = (*argv)[1];
		*argc -= 2;
		*argv += 2;
	}
	return file;
}

struct config *
alone_config(const char *file)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	char *line, *rest;

	config = config_read(file, NULL, 0, &error);
	if (config != NULL)
		return config;
	rest = error.text;
	while ((line = strsep(&rest, "\n")) != NULL)
		fprintf(stderr, "culverctl: %s\n", line);
	exit(CONTROL_DATA);
}

int
alone_enter(enum program program, const struct config *config,
    const char *folder)
{
	struct buffer path = { NULL, 0, 0 };
	struct stat status;

	buffer_printf(&path, "%s/%s", config->spool, folder);
	if (stat(path.text, &status) != 0 ||
	    access(path.text, R_OK | X_OK) != 0) {
		int error = errno;

		fprintf(stderr, "culverctl: %s: %s\n", path.text,
		    strerror(error));
		buffer_free(&path);
		return error == EACCES || error == EPERM ? CONTROL_DENIED :
		    CONTROL_AGAIN;
	}
	/* The path stays proc's for the program's life: see proc_path. */
	proc_confine_alone(program, config, path.text);
	return 0;
}
