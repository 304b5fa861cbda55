/*
 * Plays a corpus through a fuzz target without a fuzzer: every file as it is,
 * then a number of small changes of it that are the same in every run.
 *
 *	build/fuzz/NAME tests/fuzz/corpus/NAME [FILE...]
 *
 * TAP, one line a file.  A target that goes wrong ends the program; the line
 * of the file that did it is then missing and its name stands last.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHANGES_A_FILE	300
#define OCTETS_MAX	(1u << 20)

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static unsigned files_n;

/* xorshift: the same octets on every machine. */
static uint32_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 16);
}

/* One small change in octets (room for one more); returns the new length. */
static size_t
change(uint8_t *octets, size_t len, uint64_t *state)
{
	static const uint8_t odd[] = { 0, 0xff, '\r', '\n', '"', '\\', '.',
		' ', ';', 0x80, 0x7f, ':', '[', '@', '0' };
	size_t at = len > 0 ? next_random(state) % len : 0;
	uint8_t octet = odd[next_random(state) % sizeof(odd)];

	switch (len > 0 ? next_random(state) % 5 : 4) {
	case 0:
		octets[at] ^= (uint8_t)(1u << next_random(state) % 8);
		return len;
	case 1:
		octets[at] = octet;
		return len;
	case 2:
		return at;
	case 3:
		memmove(octets + at, octets + at + 1, len - at - 1);
		return len - 1;
	default:
		memmove(octets + at + 1, octets + at, len - at);
		octets[at] = octet;
		return len + 1;
	}
}

/* Exactly len octets on the heap, so that reading past them is seen. */
static void
run_once(const uint8_t *octets, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);

	if (exact == NULL)
		abort();
	memcpy(exact, octets, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

static void
run_changed(const uint8_t *octets, size_t len)
{
	uint64_t state = 0x9e3779b97f4a7c15u;
	uint8_t *copy = malloc(len + 8);
	size_t changed, i, n;

	if (copy == NULL)
		abort();
	for (i = 0; i < CHANGES_A_FILE; i++) {
		memcpy(copy, octets, len);
		changed = len;
		for (n = i % 4 + 1; n > 0; n--)
			changed = change(copy, changed, &state);
		run_once(copy, changed);
	}
	free(copy);
}

static void
run_file(const char *path)
{
	uint8_t *octets = malloc(OCTETS_MAX);
	FILE *file = fopen(path, "rb");
	size_t len;

	if (octets == NULL || file == NULL) {
		perror(path);
		exit(1);
	}
	len = fread(octets, 1, OCTETS_MAX, file);
	fclose(file);
	printf("# %s\n", path);
	fflush(stdout);
	run_once(octets, len);
	run_changed(octets, len);
	free(octets);
	printf("ok %u - %s\n", ++files_n, path);
}

static int
is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void
run_folder(const char *path)
{
	struct dirent **entries;
	char file[4096];
	int i, n;

	n = scandir(path, &entries, is_visible, alphasort);
	if (n == -1) {
		perror(path);
		exit(1);
	}
	for (i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", path,
		    entries[i]->d_name);
		run_file(file);
		free(entries[i]);
	}
	free(entries);
}

int
main(int argc, char **argv)
{
	struct stat status;
	int i;

	for (i = 1; i < argc; i++) {
		if (stat(argv[i], &status) == -1) {
			perror(argv[i]);
			return 1;
		}
		if (S_ISDIR(status.st_mode))
			run_folder(argv[i]);
		else
			run_file(argv[i]);
	}
	printf("1..%u\n", files_n);
	if (files_n == 0)
		fprintf(stderr, "no corpus\n");
	return files_n == 0;
}
