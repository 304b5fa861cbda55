/*
 * How does a C struct become octets, and octets a struct again?
 *
 * Called for every message between programs and for every record on disk;
 * tables of rows say what a message is, this file alone reads and writes it.
 * What comes in is judged as if an attacker wrote it; what goes out is ours,
 * and wrong only by a bug.  Ports at the end are for programs that block; it
 * knows no loop and links none.
 */
#include "conf/wire.h"

#include "conf/log.h"
#include "conf/packet.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const struct wire_message *
wire_find(const struct wire_table *table, unsigned kind)
{
	unsigned i;

	for (i = 0; i < table->messages_n; i++)
		if (table->messages[i].kind == kind)
			return &table->messages[i];
	return NULL;
}

/* Where the encoder writes: full is final. */
struct writer {
	uint8_t	*at;
	size_t	 room;
	bool	 full;
};

static void
put_octets(struct writer *writer, const void *octets, size_t len)
{
	if (writer->full || len > writer->room) {
		writer->full = true;
		return;
	}
	if (len > 0)
		memcpy(writer->at, octets, len);
	writer->at += len;
	writer->room -= len;
}

/* The low octets of number, little endian. */
static void
put_number(struct writer *writer, uint64_t number, unsigned octets)
{
	uint8_t text[8];
	unsigned i;

	for (i = 0; i < octets; i++)
		text[i] = (uint8_t)(number >> 8 * i);
	put_octets(writer, text, octets);
}

static void
put_text(struct writer *writer, const struct wire_field *field,
    const char *text)
{
	size_t len = strnlen(text, field->max);

	if (len == field->max)
		bug("message text %s is not terminated", field->name);
	put_number(writer, len, 4);
	put_octets(writer, text, len);
}

/* A member of a message, copied out: members need not be aligned for us. */
static uint32_t
member_u32(const uint8_t *at)
{
	uint32_t number;

	memcpy(&number, at, sizeof(number));
	return number;
}

static uint64_t
member_u64(const uint8_t *at)
{
	uint64_t number;

	memcpy(&number, at, sizeof(number));
	return number;
}

/* field->max as the greatest value of a number; 0 is no bound. */
static bool
exceeds(const struct wire_field *field, uint64_t number)
{
	return field->max != 0 && number > field->max;
}

static void
put_field(struct writer *writer, const struct wire_field *field,
    const uint8_t *member)
{
	uint32_t number;

	switch (field->type) {
	case WIRE_BOOL:
		put_number(writer, *(const bool *)member, 1);
		return;
	case WIRE_U32:
		number = member_u32(member);
		if (exceeds(field, number))
			bug("message number %s is %u", field->name, number);
		put_number(writer, number, 4);
		return;
	case WIRE_U64:
	case WIRE_I64:
		put_number(writer, member_u64(member), 8);
		return;
	case WIRE_TEXT:
		put_text(writer, field, (const char *)member);
		return;
	case WIRE_BYTES:
		number = member_u32(member);
		if (number > field->max)
			bug("message octets %s are %u", field->name, number);
		put_number(writer, number, 4);
		put_octets(writer, member + sizeof(number), number);
		return;
	}
	bug("message field %s has no type", field->name);
}

size_t
wire_encode(const struct wire_message *row, const void *message,
    uint8_t *octets, size_t size)
{
	struct writer writer = { octets, size < WIRE_MAX ? size : WIRE_MAX,
	    false };
	const uint8_t *base = message;
	unsigned i;

	put_number(&writer, row->kind, 2);
	for (i = 0; i < row->fields_n; i++)
		put_field(&writer, &row->fields[i],
		    base + row->fields[i].offset);
	return writer.full ? 0 : (size_t)(writer.at - octets);
}

unsigned
wire_kind(const uint8_t *octets, size_t len)
{
	return len < 2 ? 0 : (unsigned)octets[0] | (unsigned)octets[1] << 8;
}

/* Where the decoder reads: short is final. */
struct reader {
	const uint8_t	*at;
	size_t		 len;
};

static const uint8_t *
take_octets(struct reader *reader, size_t len)
{
	const uint8_t *octets = reader->at;

	if (len > reader->len)
		return NULL;
	reader->at += len;
	reader->len -= len;
	return octets;
}

static bool
take_number(struct reader *reader, unsigned octets, uint64_t *number)
{
	const uint8_t *text = take_octets(reader, octets);
	unsigned i;

	*number = 0;
	if (text == NULL)
		return false;
	for (i = 0; i < octets; i++)
		*number |= (uint64_t)text[i] << 8 * i;
	return true;
}

static bool
take_u32(struct reader *reader, const struct wire_field *field,
    uint8_t *member)
{
	uint64_t number;
	uint32_t value;

	if (!take_number(reader, 4, &number) || exceeds(field, number))
		return false;
	value = (uint32_t)number;
	memcpy(member, &value, sizeof(value));
	return true;
}

static bool
take_u64(struct reader *reader, uint8_t *member)
{
	uint64_t number;

	if (!take_number(reader, 8, &number))
		return false;
	memcpy(member, &number, sizeof(number));
	return true;
}

static bool
take_bool(struct reader *reader, bool *member)
{
	uint64_t number;

	if (!take_number(reader, 1, &number) || number > 1)
		return false;
	*member = number == 1;
	return true;
}

static bool
take_text(struct reader *reader, const struct wire_field *field,
    uint8_t *member)
{
	const uint8_t *text;
	uint64_t len;

	if (!take_number(reader, 4, &len) || len >= field->max)
		return false;
	text = take_octets(reader, len);
	if (text == NULL || memchr(text, '\0', len) != NULL)
		return false;
	memcpy(member, text, len);
	member[len] = '\0';
	return true;
}

static bool
take_bytes(struct reader *reader, const struct wire_field *field,
    uint8_t *member)
{
	const uint8_t *octets;
	uint64_t number;
	uint32_t len;

	if (!take_number(reader, 4, &number) || number > field->max)
		return false;
	octets = take_octets(reader, number);
	if (octets == NULL)
		return false;
	len = (uint32_t)number;
	memcpy(member, &len, sizeof(len));
	memcpy(member + sizeof(len), octets, len);
	return true;
}

static bool
take_field(struct reader *reader, const struct wire_field *field,
    uint8_t *member)
{
	switch (field->type) {
	case WIRE_BOOL:
		return take_bool(reader, (bool *)member);
	case WIRE_U32:
		return take_u32(reader, field, member);
	case WIRE_U64:
	case WIRE_I64:
		return take_u64(reader, member);
	case WIRE_TEXT:
		return take_text(reader, field, member);
	case WIRE_BYTES:
		return take_bytes(reader, field, member);
	}
	bug("message field %s has no type", field->name);
}

size_t
wire_decode_first(const struct wire_message *row, const uint8_t *octets,
    size_t len, void *message)
{
	struct reader reader = { octets, len };
	uint8_t *base = message;
	unsigned i;

	if (row->size > 0)
		memset(message, 0, row->size);
	if (wire_kind(octets, len) != row->kind)
		return 0;
	take_octets(&reader, 2);
	for (i = 0; i < row->fields_n; i++)
		if (!take_field(&reader, &row->fields[i],
		    base + row->fields[i].offset))
			return 0;
	return len - reader.len;
}

bool
wire_decode(const struct wire_message *row, const uint8_t *octets, size_t len,
    void *message)
{
	return wire_decode_first(row, octets, len, message) == len && len > 0;
}

/* Plain where that is unmistakable, else as JSON has it. */
static void
print_text(const char *text, struct buffer *out)
{
	const char *at;

	for (at = text; *at > ' ' && *at < 0x7f && *at != '"'; at++)
		continue;
	if (*at == '\0' && at != text)
		buffer_add(out, slice_of(text));
	else
		buffer_json(out, slice_of(text));
}

static void
print_field(const struct wire_field *field, const uint8_t *member,
    struct buffer *out)
{
	buffer_printf(out, " %s=", field->name);
	switch (field->type) {
	case WIRE_BOOL:
		buffer_printf(out, "%s",
		    *(const bool *)member ? "yes" : "no");
		return;
	case WIRE_U32:
		buffer_printf(out, "%u", member_u32(member));
		return;
	case WIRE_U64:
		buffer_printf(out, "%llu",
		    (unsigned long long)member_u64(member));
		return;
	case WIRE_I64:
		buffer_printf(out, "%lld", (long long)member_u64(member));
		return;
	case WIRE_TEXT:
		print_text((const char *)member, out);
		return;
	case WIRE_BYTES:
		buffer_printf(out, "[%u]", member_u32(member));
		return;
	}
}

void
wire_print(const struct wire_message *row, const void *message,
    struct buffer *out)
{
	const uint8_t *base = message;
	unsigned i;

	buffer_printf(out, "%s", row->name);
	for (i = 0; i < row->fields_n; i++)
		print_field(&row->fields[i], base + row->fields[i].offset,
		    out);
}

int64_t
wire_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
wire_port_open(struct wire_port *port, int fd, const struct wire_table *table)
{
	port->fd = fd;
	port->table = table;
	port->len = port->at = 0;
	port->octets = mem_alloc(WIRE_MAX);
	port->message = mem_alloc(packet_room(table));
}

void
wire_port_close(struct wire_port *port)
{
	if (port->fd >= 0)
		close(port->fd);
	free(port->octets);
	free(port->message);
	*port = (struct wire_port){ .fd = -1 };
}

/*
 * Wait until fd is ready for events.  False when the deadline passed; an
 * error on the descriptor counts as ready, the next call says which.
 */
static bool
wait_ready(int fd, short events, int64_t deadline_ms)
{
	struct pollfd pollfd = { fd, events, 0 };
	int64_t left_ms = -1;
	int n;

	do {
		if (deadline_ms != -1) {
			left_ms = deadline_ms - wire_now_ms();
			if (left_ms <= 0)
				return false;
		}
		n = poll(&pollfd, 1,
		    left_ms > INT_MAX ? INT_MAX : (int)left_ms);
		if (n == -1 && errno != EINTR)
			fatal("poll");
	} while (n <= 0);
	return true;
}

int
wire_port_send(struct wire_port *port, unsigned kind, const void *message,
    const int *fds, int64_t deadline_ms)
{
	const struct wire_message *row = wire_find(port->table, kind);
	uint8_t octets[WIRE_MAX];
	size_t len;
	int sent;

	if (row == NULL || (row->fds > 0 && fds == NULL))
		bug("no message %#x to send on link %s", kind,
		    port->table->name);
	/* Not into port->octets: there may be more messages in there. */
	len = wire_encode(row, message, octets, sizeof(octets));
	if (len == 0)
		bug("message %s is too long", row->name);
	for (;;) {
		sent = packet_send(port->fd, octets, len, fds, row->fds);
		if (sent != 0)
			return sent == 1 ? 0 : -1;
		if (!wait_ready(port->fd, POLLOUT, deadline_ms))
			return -1;
	}
}

int
wire_port_receive(struct wire_port *port, const void **message, int *fds,
    int64_t deadline_ms)
{
	struct packet packet = { .octets = port->octets, .len = port->len,
	    .at = port->at };
	const struct wire_message *row;
	enum packet_state state = PACKET_HERE;

	memset(packet.fds, 0xff, sizeof(packet.fds));
	if (!wire_port_has_more(port))
		while ((state = packet_receive(port->fd, &packet)) ==
		    PACKET_NONE)
			if (!wait_ready(port->fd, POLLIN, deadline_ms))
				return -1;
	port->len = port->at = 0;
	if (state != PACKET_HERE)
		return 0;
	row = packet_decode(&packet, port->table, port->message);
	if (row == NULL || (row->fds > 0 && fds == NULL)) {
		packet_close(packet.fds, packet.fds_n);
		return 0;
	}
	if (fds != NULL)
		memcpy(fds, packet.fds, sizeof(packet.fds));
	port->len = packet.len;
	port->at = packet.at;
	*message = port->message;
	return (int)row->kind;
}

bool
wire_port_has_more(const struct wire_port *port)
{
	return port->at < port->len;
}
