/*
 * Is this UTF-8?  The one decoder, for log lines and JSON.
 */
#ifndef CULVER_UTF8_H
#define CULVER_UTF8_H

#include "mem.h"

#include <stdbool.h>

/*
 * How many octets does the well-formed character at the start of text take?
 * Pure.  1 to 4; 0 when text is empty or begins with none (overlong forms,
 * surrogates and what is above U+10FFFF are ill-formed).  RFC 3629 4
 */
unsigned	utf8_length(struct slice text);
/*
 * Would the well-formed character of len octets at `at` end or garble a line
 * on some reader's side?  Pure.  C0 and C1 controls, DEL, U+2028, U+2029.
 */
bool	utf8_is_control(const char *at, unsigned len);

#endif
