/*
 * One JSON object as it grows: the rows that culverctl shows.
 */
#ifndef CULVER_QUEUE_ROW_H
#define CULVER_QUEUE_ROW_H

#include "conf/mem.h"

#include <stdbool.h>
#include <stdint.h>

/* Each adds a member; key NULL: an element of an array. */
void	row_text(struct buffer *, const char *key, const char *value);
void	row_number(struct buffer *, const char *key, uint64_t value);
void	row_bool(struct buffer *, const char *key, bool value);
void	row_null(struct buffer *, const char *key);
/* RFC 3339 of wall clock milliseconds; 0 is null. */
void	row_time(struct buffer *, const char *key, uint64_t ms);
/* Begin an object ('{') or array ('['); row_close with '}' or ']'. */
void	row_open(struct buffer *, const char *key, char bracket);
void	row_close(struct buffer *, char bracket);

#endif
