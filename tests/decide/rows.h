/*
 * Tables of verdicts: made from a question, printed, read back, looked up.
 */
#ifndef CULVER_TEST_ROWS_H
#define CULVER_TEST_ROWS_H

#include "tests/decide/space.h"

/* A row: for each dimension a set of values, one bit each. */
struct row {
	unsigned	 sets[DIMENSIONS_MAX];
	char		*verdict;
};
struct rows {
	struct row	*list;
	size_t		 n;
};

/*
 * The rows of a question: disjoint, covering every input that can be, joined
 * where the verdict is the same.  False: the facts do not settle the verdict
 * (*conflict is an input that shows it).  Free with rows_free.
 */
bool	rows_make(const struct question *question, struct rows *rows,
	    unsigned *conflict);
void	rows_free(struct rows *rows);

/* Print one question as it stands in table.golden. */
void	rows_print(const struct question *question, const struct rows *rows,
	    struct buffer *out);
/*
 * Read one question's rows back from printed text, knowing nothing of how
 * they were made.  False: something in the text is no row.
 */
bool	rows_read(const struct question *question, struct slice text,
	    struct rows *rows);
/* Which rows cover these facts?  Their number; *found: the last of them. */
unsigned rows_find(const struct question *question, const struct rows *rows,
	    const unsigned *facts, const struct row **found);

/*
 * Put every input to the question and look its facts up in the rows.
 * Returns how many inputs have no row, several, or one that says otherwise;
 * *first is the first of them, *inputs how many could be at all.
 */
unsigned rows_check(const struct question *question, const struct rows *rows,
	    unsigned *first, unsigned *inputs);

#endif
