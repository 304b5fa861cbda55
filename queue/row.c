/*
 * How does a row become JSON?
 *
 * Called by listing.c, explain.c and ctl.c.  Commas follow from what stands
 * before: nothing has to be remembered.
 */
#include "queue/row.h"

#include "conf/stamp.h"

static void
add_key(struct buffer *row, const char *key)
{
	char last = row->len > 0 ? row->text[row->len - 1] : '{';

	if (row->len > 0 && last != '{' && last != '[')
		buffer_add(row, SLICE(","));
	if (key == NULL)
		return;
	buffer_json(row, slice_of(key));
	buffer_add(row, SLICE(":"));
}

void
row_text(struct buffer *row, const char *key, const char *value)
{
	add_key(row, key);
	buffer_json(row, slice_of(value));
}

void
row_number(struct buffer *row, const char *key, uint64_t value)
{
	add_key(row, key);
	buffer_printf(row, "%llu", (unsigned long long)value);
}

void
row_bool(struct buffer *row, const char *key, bool value)
{
	add_key(row, key);
	buffer_add(row, value ? SLICE("true") : SLICE("false"));
}

void
row_null(struct buffer *row, const char *key)
{
	add_key(row, key);
	buffer_add(row, SLICE("null"));
}

void
row_time(struct buffer *row, const char *key, uint64_t ms)
{
	char text[STAMP_MAX];

	if (ms == 0)
		row_null(row, key);
	else
		row_text(row, key, stamp_json(ms, text));
}

void
row_open(struct buffer *row, const char *key, char bracket)
{
	add_key(row, key);
	buffer_add(row, (struct slice){ &bracket, 1 });
}

void
row_close(struct buffer *row, char bracket)
{
	buffer_add(row, (struct slice){ &bracket, 1 });
}
