/*
 * What did a disk get, in which order, and what was it told to keep?
 *
 *	recorder BASE FOLDER LOG PAGE
 *
 * Mounts on FOLDER a file system with one file, `disk`, that has the size and
 * at first the octets of BASE.  tests/power/disk.py puts a loop device on it,
 * and ext4 on that.  Every write and every flush is a record of LOG, written
 * there before it is answered.  PAGE is a file of 4096 octets whose first
 * words (struct page) are mapped by others: who reads `records` knows that
 * what he was told before lies in front of that place.
 *
 * A flush covers what was answered before it came.  Requests are therefore
 * read in batches: a write in the same batch as a flush was under way when the
 * flush was asked for, and a disk owes it nothing.
 *
 * It speaks the kernel's FUSE protocol itself, from one thread, and ends when
 * it is unmounted or its parent is gone.  It replays nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define WRITE_MAX	(1u << 20)
#define REQUEST_MAX	(WRITE_MAX + 4096)
#define BATCH_MAX	32
#define DISK_NODE	2
#define LONG_S		86400

/* A record of the log; a write's octets follow. */
enum { RECORD_WRITE = 1, RECORD_FLUSH = 2 };
struct record {
	uint32_t	kind;
	uint32_t	len;
	uint64_t	offset;
	uint64_t	covers;		/* a flush: records before this one */
};

struct page {
	volatile uint64_t	records, writes, flushes, octets;
};

static uint8_t *disk;
static uint64_t disk_bytes;
static int fuse_fd, log_fd;
static struct page *page;
static uint64_t answered;	/* records whose requests were answered */
static _Alignas(4096) uint8_t requests[BATCH_MAX][REQUEST_MAX];

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
answer(const struct fuse_in_header *in, int error, const void *octets,
    size_t len)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + (error == 0 ? len : 0)),
		.error = -error, .unique = in->unique
	};
	union { const void *in; void *out; } data = { .in = octets };
	struct iovec parts[2] = {
		{ &out, sizeof(out) }, { data.out, error == 0 ? len : 0 }
	};

	/* ENOENT: the request was given up meanwhile. */
	if (writev(fuse_fd, parts, 2) == -1 && errno != ENOENT &&
	    errno != ENODEV)
		fail("answer");
}

/* Into the log, then into the count: nobody sees a record half. */
static void
note(const struct record *record, const void *octets)
{
	union { const void *in; void *out; } head = { .in = record };
	union { const void *in; void *out; } data = { .in = octets };
	struct iovec parts[2] = {
		{ head.out, sizeof(*record) },
		{ data.out, octets == NULL ? 0 : record->len }
	};
	size_t len = parts[0].iov_len + parts[1].iov_len;

	if (writev(log_fd, parts, 2) != (ssize_t)len)
		fail("log");
	if (record->kind == RECORD_WRITE) {
		page->writes++;
		page->octets += record->len;
	} else {
		page->flushes++;
	}
	__atomic_add_fetch(&page->records, 1, __ATOMIC_SEQ_CST);
}

static void
fill_attr(struct fuse_attr *attr, uint64_t node)
{
	memset(attr, 0, sizeof(*attr));
	attr->ino = node;
	attr->mode = node == DISK_NODE ? S_IFREG | 0600 : S_IFDIR | 0700;
	attr->nlink = 1;
	attr->size = node == DISK_NODE ? disk_bytes : 0;
	attr->blocks = attr->size / 512;
	attr->blksize = 4096;
}

static void
do_init(const struct fuse_in_header *in, const void *arg)
{
	const struct fuse_init_in *asked = arg;
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = asked->minor < FUSE_KERNEL_MINOR_VERSION ?
		    asked->minor : FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = asked->max_readahead,
		.flags = asked->flags & (FUSE_ASYNC_READ | FUSE_BIG_WRITES |
		    FUSE_MAX_PAGES | FUSE_ASYNC_DIO),
		.max_background = 64, .congestion_threshold = 48,
		.max_write = WRITE_MAX, .time_gran = 1,
		.max_pages = WRITE_MAX / 4096
	};

	answer(in, 0, &out, sizeof(out));
}

static void
do_lookup(const struct fuse_in_header *in, const void *arg)
{
	struct fuse_entry_out out = {
		.nodeid = DISK_NODE, .entry_valid = LONG_S,
		.attr_valid = LONG_S
	};

	if (in->nodeid != FUSE_ROOT_ID || strcmp(arg, "disk") != 0) {
		answer(in, ENOENT, NULL, 0);
		return;
	}
	fill_attr(&out.attr, DISK_NODE);
	answer(in, 0, &out, sizeof(out));
}

static void
do_getattr(const struct fuse_in_header *in)
{
	struct fuse_attr_out out = { .attr_valid = LONG_S };

	fill_attr(&out.attr, in->nodeid);
	answer(in, 0, &out, sizeof(out));
}

/* Nothing may stay in a cache between the loop device and us. */
static void
do_open(const struct fuse_in_header *in)
{
	struct fuse_open_out out = {
		.open_flags = in->opcode == FUSE_OPEN ? FOPEN_DIRECT_IO : 0
	};

	answer(in, 0, &out, sizeof(out));
}

static void
do_read(const struct fuse_in_header *in, const void *arg)
{
	const struct fuse_read_in *asked = arg;
	uint64_t len = asked->size;

	if (asked->offset >= disk_bytes)
		len = 0;
	else if (len > disk_bytes - asked->offset)
		len = disk_bytes - asked->offset;
	answer(in, 0, disk + asked->offset, len);
}

/* Recorded and done, not yet answered. */
static void
take_write(const struct fuse_in_header *in, const void *arg)
{
	const struct fuse_write_in *asked = arg;
	struct record record = { .kind = RECORD_WRITE, .len = asked->size,
	    .offset = asked->offset };

	if (in->len < sizeof(*in) + sizeof(*asked) + asked->size ||
	    asked->offset > disk_bytes ||
	    asked->size > disk_bytes - asked->offset) {
		fprintf(stderr, "recorder: a write beyond the disk\n");
		exit(1);
	}
	memcpy(disk + asked->offset, asked + 1, asked->size);
	note(&record, asked + 1);
}

static void
answer_write(const struct fuse_in_header *in, const void *arg)
{
	const struct fuse_write_in *asked = arg;
	struct fuse_write_out out = { .size = asked->size };

	answer(in, 0, &out, sizeof(out));
}

static void
take_flush(void)
{
	struct record record = { .kind = RECORD_FLUSH, .covers = answered };

	note(&record, NULL);
}

static void
do_statfs(const struct fuse_in_header *in)
{
	struct fuse_statfs_out out = { .st = {
	    .blocks = disk_bytes / 4096, .bsize = 4096, .frsize = 4096,
	    .namelen = 255 } };

	answer(in, 0, &out, sizeof(out));
}

static void
serve(const struct fuse_in_header *in)
{
	const void *arg = in + 1;

	switch (in->opcode) {
	case FUSE_INIT:		do_init(in, arg); break;
	case FUSE_LOOKUP:	do_lookup(in, arg); break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:	do_getattr(in); break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:	do_open(in); break;
	case FUSE_READ:		do_read(in, arg); break;
	case FUSE_WRITE:	answer_write(in, arg); break;
	case FUSE_STATFS:	do_statfs(in); break;
	case FUSE_READDIR:	/* empty: the name is known */
	case FUSE_FSYNC:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_DESTROY:	answer(in, 0, NULL, 0); break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:	break;
	/* Discards too: a recorder of writes sees zeros as writes. */
	default:		answer(in, ENOSYS, NULL, 0); break;
	}
}

/* All that waits; false when the file system is gone. */
static bool
read_batch(unsigned *n)
{
	struct pollfd ready = { .fd = fuse_fd, .events = POLLIN };

	*n = 0;
	while (*n < BATCH_MAX) {
		ssize_t len = read(fuse_fd, requests[*n], REQUEST_MAX);

		if (len >= (ssize_t)sizeof(struct fuse_in_header)) {
			(*n)++;
			continue;
		}
		if (len == -1 && errno == ENODEV)
			return *n > 0;
		if (len == -1 && errno != EAGAIN && errno != EINTR &&
		    errno != ENOENT)
			fail("/dev/fuse");
		if (*n > 0)
			return true;
		poll(&ready, 1, -1);
	}
	return true;
}

static void
serve_batch(unsigned n)
{
	const struct fuse_in_header *in;
	unsigned i;

	for (i = 0; i < n; i++) {
		in = (const void *)requests[i];
		if (in->opcode == FUSE_WRITE)
			take_write(in, in + 1);
		else if (in->opcode == FUSE_FSYNC)
			take_flush();
	}
	for (i = 0; i < n; i++)
		serve((const void *)requests[i]);
	answered = page->records;
}

static void *
map(const char *path, int flags, size_t len)
{
	int fd = open(path, flags == MAP_SHARED ? O_RDWR : O_RDONLY);
	void *memory;

	if (fd == -1)
		fail(path);
	memory = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (memory == MAP_FAILED)
		fail(path);
	close(fd);
	return memory;
}

static void
mount_on(const char *folder)
{
	char options[128];

	fuse_fd = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fuse_fd == -1)
		fail("/dev/fuse");
	snprintf(options, sizeof(options),
	    "fd=%d,rootmode=40700,user_id=0,group_id=0", fuse_fd);
	if (mount("recorder", folder, "fuse", MS_NOSUID | MS_NODEV,
	    options) == -1)
		fail(folder);
}

int
main(int argc, char **argv)
{
	struct stat status;
	unsigned n;

	if (argc != 5) {
		fprintf(stderr, "usage: recorder BASE FOLDER LOG PAGE\n");
		return 64;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (stat(argv[1], &status) == -1)
		fail(argv[1]);
	disk_bytes = (uint64_t)status.st_size;
	/* Private: BASE stays as it is. */
	disk = map(argv[1], MAP_PRIVATE | MAP_NORESERVE, disk_bytes);
	page = map(argv[4], MAP_SHARED, 4096);
	log_fd = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (log_fd == -1)
		fail(argv[3]);
	mount_on(argv[2]);
	puts("mounted");
	fflush(stdout);
	while (read_batch(&n))
		serve_batch(n);
	return 0;
}
