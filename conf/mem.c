/*
 * How does a program of culver hold text and memory?
 *
 * Called by everybody.  Slices borrow; regions give many small pieces back
 * at once; buffers grow.  Running out of memory ends the program here and
 * nowhere else.  It knows no locale: case is ASCII's.
 */
#include "conf/mem.h"

#include "conf/log.h"
#include "conf/utf8.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slice
slice_of(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

bool
slice_equal(struct slice a, struct slice b)
{
	/* memcmp may not be given NULL, not even for nothing. */
	return a.len == b.len &&
	    (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static unsigned char
lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool
slice_equal_nocase(struct slice a, struct slice b)
{
	size_t i;

	if (a.len != b.len)
		return false;
	for (i = 0; i < a.len; i++)
		if (lower(a.at[i]) != lower(b.at[i]))
			return false;
	return true;
}

bool
slice_begins(struct slice text, struct slice prefix)
{
	return text.len >= prefix.len &&
	    slice_equal((struct slice){ text.at, prefix.len }, prefix);
}

bool
slice_begins_nocase(struct slice text, struct slice prefix)
{
	return text.len >= prefix.len &&
	    slice_equal_nocase((struct slice){ text.at, prefix.len }, prefix);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct slice
slice_trim(struct slice text)
{
	while (text.len > 0 && is_blank(text.at[0])) {
		text.at++;
		text.len--;
	}
	while (text.len > 0 && is_blank(text.at[text.len - 1]))
		text.len--;
	return text;
}

struct slice
slice_cut(struct slice *text, char separator)
{
	struct slice head = *text;
	const char *end;

	end = text->len > 0 ? memchr(text->at, separator, text->len) : NULL;
	if (end == NULL) {
		*text = (struct slice){ NULL, 0 };
		return head;
	}
	head.len = (size_t)(end - text->at);
	text->at += head.len + 1;
	text->len -= head.len + 1;
	return head;
}

bool
slice_number(struct slice text, uint64_t max, uint64_t *number)
{
	uint64_t sum = 0, digit;
	size_t i;

	if (text.len == 0)
		return false;
	for (i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		digit = (uint64_t)(text.at[i] - '0');
		if (digit > max || sum > (max - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*number = sum;
	return true;
}

bool
slice_store(struct slice text, char *array, size_t size)
{
	if (size == 0)
		return false;
	array[0] = '\0';
	if (text.len >= size)
		return false;
	if (text.len == 0)
		return true;
	if (memchr(text.at, '\0', text.len) != NULL)
		return false;
	memcpy(array, text.at, text.len);
	array[text.len] = '\0';
	return true;
}

void *
mem_alloc(size_t size)
{
	void *memory;

	memory = calloc(1, size > 0 ? size : 1);
	if (memory == NULL)
		fatal("no memory for %zu octets", size);
	return memory;
}

void *
mem_grow(void *old, size_t size)
{
	void *memory;

	memory = realloc(old, size > 0 ? size : 1);
	if (memory == NULL)
		fatal("no memory for %zu octets", size);
	return memory;
}

char *
mem_copy(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(mem_alloc(size), text, size);
}

/*
 * A region is a chain of blocks, the newest first.  What is larger than a
 * quarter block gets a block of its own behind the first, so that the first
 * goes on being filled.
 */
#define BLOCK_SIZE	4000

struct block {
	struct block	*next;
	size_t		 used;
	alignas(max_align_t) unsigned char	memory[];
};

struct region {
	struct block	*blocks;
};

static struct block *
block_new(size_t size, struct block *next)
{
	struct block *block;

	if (size > SIZE_MAX - sizeof(*block))
		bug("region piece of %zu octets", size);
	block = mem_alloc(sizeof(*block) + size);
	block->next = next;
	return block;
}

struct region *
region_new(void)
{
	struct region *region;

	region = mem_alloc(sizeof(*region));
	region->blocks = block_new(BLOCK_SIZE, NULL);
	return region;
}

void *
region_alloc(struct region *region, size_t size)
{
	struct block *first = region->blocks;
	size_t rounded;
	void *piece;

	if (size > SIZE_MAX - alignof(max_align_t))
		bug("region piece of %zu octets", size);
	if (size > BLOCK_SIZE / 4) {
		first->next = block_new(size, first->next);
		return first->next->memory;
	}
	rounded = (size + alignof(max_align_t) - 1) &
	    ~(alignof(max_align_t) - 1);
	if (rounded == 0)
		rounded = alignof(max_align_t);
	if (BLOCK_SIZE - first->used < rounded)
		first = region->blocks = block_new(BLOCK_SIZE, first);
	piece = first->memory + first->used;
	first->used += rounded;
	return piece;
}

char *
region_text(struct region *region, struct slice text)
{
	char *copy;

	copy = region_alloc(region, text.len + 1);
	if (text.len > 0)
		memcpy(copy, text.at, text.len);
	return copy;
}

void
region_free(struct region **region)
{
	struct block *block, *next;

	if (*region == NULL)
		return;
	for (block = (*region)->blocks; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
	free(*region);
	*region = NULL;
}

/* Room for len more octets and the end. */
static void
buffer_reserve(struct buffer *buffer, size_t len)
{
	size_t size;

	if (len >= SIZE_MAX / 2 - buffer->len)
		bug("buffer of %zu and %zu octets", buffer->len, len);
	if (buffer->len + len < buffer->size)
		return;
	size = buffer->size > 0 ? buffer->size : 64;
	while (size <= buffer->len + len)
		size *= 2;
	buffer->text = mem_grow(buffer->text, size);
	buffer->size = size;
}

void
buffer_add(struct buffer *buffer, struct slice text)
{
	buffer_reserve(buffer, text.len);
	if (text.len > 0)
		memcpy(buffer->text + buffer->len, text.at, text.len);
	buffer->len += text.len;
	buffer->text[buffer->len] = '\0';
}

void
buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list values;
	int len;

	va_start(values, format);
	len = vsnprintf(NULL, 0, format, values);
	va_end(values);
	if (len < 0)
		bug("format \"%s\" cannot be printed", format);
	buffer_reserve(buffer, (size_t)len);
	va_start(values, format);
	vsnprintf(buffer->text + buffer->len, (size_t)len + 1, format, values);
	va_end(values);
	buffer->len += (size_t)len;
}

void
buffer_free(struct buffer *buffer)
{
	free(buffer->text);
	*buffer = (struct buffer){ NULL, 0, 0 };
}

/* \u form of a character that utf8_is_control named (at most 3 octets). */
static void
json_escape(struct buffer *buffer, const unsigned char *at, unsigned len)
{
	static const char names[] = "\b\f\n\r\t", letters[] = "bfnrt";
	const char *name;
	unsigned code;

	name = at[0] != '\0' ? strchr(names, at[0]) : NULL;
	if (name != NULL) {
		buffer_printf(buffer, "\\%c", letters[name - names]);
		return;
	}
	code = len == 1 ? at[0] :
	    len == 2 ? (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu) :
	    (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
	buffer_printf(buffer, "\\u%04x", code);
}

/* RPT-4.4-21: what a peer said stays one well-formed JSON string. */
void
buffer_json(struct buffer *buffer, struct slice text)
{
	unsigned len;

	buffer_add(buffer, SLICE("\""));
	while (text.len > 0) {
		len = utf8_length(text);
		if (len == 0) {
			buffer_add(buffer, SLICE("\xef\xbf\xbd"));
			len = 1;
		} else if (utf8_is_control(text.at, len)) {
			json_escape(buffer, (const unsigned char *)text.at,
			    len);
		} else {
			if (text.at[0] == '"' || text.at[0] == '\\')
				buffer_add(buffer, SLICE("\\"));
			buffer_add(buffer, (struct slice){ text.at, len });
		}
		text.at += len;
		text.len -= len;
	}
	buffer_add(buffer, SLICE("\""));
}
