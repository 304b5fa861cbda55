/*
 * Memory: text by reference (slice), memory that goes together (region), and
 * allocation that cannot fail quietly.
 *
 * A program of culver that gets no memory ends (mem.c logs one line); the
 * parent starts it again and nothing that was acknowledged is lost.  What a
 * peer sends is bounded before it is stored, so this is never a peer's doing.
 */
#ifndef CULVER_MEM_H
#define CULVER_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text that somebody else owns.  Not terminated; may hold any octet. */
struct slice {
	const char	*at;
	size_t		 len;
};

#define SLICE(literal)	((struct slice){ (literal), sizeof(literal) - 1 })

/* A terminated string as a slice.  Pure; borrows text. */
struct slice	slice_of(const char *text);
/* Are both the same octets?  Pure. */
bool	slice_equal(struct slice a, struct slice b);
/* The same without regard to ASCII case?  Pure; no locale. */
bool	slice_equal_nocase(struct slice a, struct slice b);
/* Does text begin with prefix (exactly / without ASCII case)?  Pure. */
bool	slice_begins(struct slice text, struct slice prefix);
bool	slice_begins_nocase(struct slice text, struct slice prefix);
/* Without blanks and tabs at both ends.  Pure. */
struct slice	slice_trim(struct slice text);
/*
 * Cut text at the first separator: returns what stands before it and leaves
 * the rest in *text; without separator returns all and leaves text->at NULL.
 */
struct slice	slice_cut(struct slice *text, char separator);
/*
 * The decimal number that text is, wholly.  Pure.  False when it is empty,
 * holds anything but digits, or exceeds max.
 */
bool	slice_number(struct slice text, uint64_t max, uint64_t *number);
/*
 * Copy into a terminated array of size octets.  Returns false, and stores
 * nothing but "", when it does not fit or holds a NUL.
 */
bool	slice_store(struct slice text, char *array, size_t size);

/* Zeroed memory; ends the program when there is none.  Free with free(). */
void	*mem_alloc(size_t size);
/* realloc that ends the program when there is no memory. */
void	*mem_grow(void *old, size_t size);
/* strdup likewise. */
char	*mem_copy(const char *text);

/*
 * Memory of one transaction, job or question: taken piece by piece, given
 * back at once.  region_free nulls the caller's pointer.
 */
struct region;
struct region	*region_new(void);
void	*region_alloc(struct region *, size_t size);	/* zeroed, aligned */
char	*region_text(struct region *, struct slice);	/* terminated copy */
void	 region_free(struct region **);

/*
 * A string that grows.  Zero-initialise; text is terminated and NULL while
 * empty; free with buffer_free.
 */
struct buffer {
	char	*text;
	size_t	 len;
	size_t	 size;
};
void	buffer_add(struct buffer *, struct slice);
void	buffer_printf(struct buffer *, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));
void	buffer_free(struct buffer *);

/*
 * Append text as one JSON string, quotes included: ill-formed UTF-8 becomes
 * U+FFFD, control characters are escaped (RPT-4.4-21, trap T50).  culver's
 * programs only write JSON (rows for culverctl); who reads it uses jansson.
 */
void	buffer_json(struct buffer *, struct slice text);

#endif
