/*
 * How does a function of a few facts become a table that people can read?
 *
 * Every input is put to the function; the verdicts are then split fact by
 * fact, in the order of the dimensions.  Values of a fact that lead to the
 * same verdicts for all that follows share a row; a fact whose values all do
 * is part of the row's "*".  The rows of such a split never overlap.
 *
 * rows_read and rows_find are the other way round: they take the text as a
 * stranger would, so that the check of the golden file leans on nothing of
 * the above.
 */
#include "tests/decide/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNREACHABLE	(-1)
/* With the indent of a manual page it still fits 80 columns. */
#define LINE_MOST	72

/* All verdicts of a question, each once, the last used first. */
struct verdict {
	const char	*words[WORDS_MAX];
	char		 text[TEXT_MAX];
};
struct verdicts {
	struct verdict	**list;
	size_t		  n;
};

struct making {
	const struct question	*question;
	struct verdicts		 verdicts;
	int			*of;	/* per combination of facts */
	size_t			 size;
	struct rows		*rows;
	unsigned		 sets[DIMENSIONS_MAX];
};

/* Words are static: the same word is the same pointer. */
static int
verdict_index(const struct question *question, struct verdicts *verdicts,
    const char *const words[WORDS_MAX])
{
	struct verdict *new;
	size_t i;

	for (i = 0; i < verdicts->n; i++)
		if (memcmp(verdicts->list[i]->words, words,
		    sizeof(new->words)) == 0)
			return (int)i;
	new = mem_alloc(sizeof(*new));
	memcpy(new->words, words, sizeof(new->words));
	snprintf(new->text, sizeof(new->text), question->format, words[0],
	    words[1], words[2], words[3], words[4], words[5], words[6],
	    words[7], words[8], words[9]);
	/* The same text from other pointers is the same verdict. */
	for (i = 0; i < verdicts->n; i++)
		if (strcmp(verdicts->list[i]->text, new->text) == 0) {
			free(new);
			return (int)i;
		}
	verdicts->list = mem_grow(verdicts->list,
	    (verdicts->n + 1) * sizeof(verdicts->list[0]));
	verdicts->list[verdicts->n] = new;
	return (int)verdicts->n++;
}

static int
ask(const struct question *question, struct verdicts *verdicts, unsigned n)
{
	const char *words[WORDS_MAX] = { NULL };

	question->judge(n, words);
	return verdict_index(question, verdicts, words);
}

static void
verdicts_free(struct verdicts *verdicts)
{
	while (verdicts->n > 0)
		free(verdicts->list[--verdicts->n]);
	free(verdicts->list);
}

static size_t
position(const struct question *question, const unsigned *facts)
{
	size_t at = 0;
	unsigned d;

	for (d = 0; d < question->dimensions_n; d++)
		at = at * question->dimensions[d].values_n + facts[d];
	return at;
}

static size_t
combinations(const struct question *question)
{
	size_t size = 1;
	unsigned d;

	for (d = 0; d < question->dimensions_n; d++)
		size *= question->dimensions[d].values_n;
	return size;
}

static bool
ask_all(struct making *making, unsigned *conflict)
{
	unsigned facts[DIMENSIONS_MAX], n;
	int verdict, *known;

	for (n = 0; n < making->question->inputs_n; n++) {
		if (!making->question->project(n, facts))
			continue;
		verdict = ask(making->question, &making->verdicts, n);
		known = &making->of[position(making->question, facts)];
		*conflict = n;
		if (*known != UNREACHABLE && *known != verdict)
			return false;
		*known = verdict;
	}
	return true;
}

static void
add_row(struct making *making, int verdict)
{
	struct rows *rows = making->rows;
	struct row *row;

	rows->list = mem_grow(rows->list,
	    (rows->n + 1) * sizeof(rows->list[0]));
	row = &rows->list[rows->n++];
	memcpy(row->sets, making->sets, sizeof(row->sets));
	row->verdict = mem_copy(making->verdicts.list[verdict]->text);
}

static bool
is_reachable(const int *of, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (of[i] != UNREACHABLE)
			return true;
	return false;
}

/* The values of a fact that can be, here. */
static unsigned
reachable_values(const int *of, size_t part, unsigned values_n)
{
	unsigned set = 0, value;

	for (value = 0; value < values_n; value++)
		if (is_reachable(of + value * part, part))
			set |= 1u << value;
	return set;
}

/* The one verdict of all that can be; UNREACHABLE: there are several. */
static int
only_verdict(const int *of, size_t n)
{
	int verdict = UNREACHABLE;
	size_t i;

	for (i = 0; i < n; i++) {
		if (of[i] != UNREACHABLE && verdict != UNREACHABLE &&
		    of[i] != verdict)
			return UNREACHABLE;
		if (of[i] != UNREACHABLE)
			verdict = of[i];
	}
	return verdict;
}

/* The values that lead to the same as this one, itself among them. */
static unsigned
equal_values(const int *of, size_t part, unsigned left, unsigned value)
{
	int verdict = only_verdict(of + value * part, part);
	unsigned set = 0, other;

	for (other = value; left >> other != 0; other++)
		if ((left & 1u << other) &&
		    (memcmp(of + value * part, of + other * part,
			part * sizeof(of[0])) == 0 ||
		    (verdict != UNREACHABLE &&
			only_verdict(of + other * part, part) == verdict)))
			set |= 1u << other;
	return set;
}

/* What follows from any of these values, in one. */
static void
join_values(const int *of, size_t part, unsigned set, int *joined)
{
	unsigned value;
	size_t i;

	for (i = 0; i < part; i++)
		joined[i] = UNREACHABLE;
	for (value = 0; set >> value != 0; value++)
		for (i = 0; (set & 1u << value) && i < part; i++)
			if (of[value * part + i] != UNREACHABLE)
				joined[i] = of[value * part + i];
}

/*
 * Rows for the inputs whose verdicts are of[0..size): dimensions d and later
 * are free in them.  When all values that can be lead to the same, those that
 * cannot be are thrown in: the fact does not matter.
 */
static void
split(struct making *making, unsigned d, const int *of, size_t size)
{
	unsigned values_n, reachable, left, value, set;
	size_t part;
	int *joined;

	if (d == making->question->dimensions_n) {
		add_row(making, of[0]);
		return;
	}
	values_n = making->question->dimensions[d].values_n;
	part = size / values_n;
	left = reachable = reachable_values(of, part, values_n);
	joined = mem_alloc(part * sizeof(joined[0]));
	for (value = 0; value < values_n; value++) {
		if (!(left & 1u << value))
			continue;
		set = equal_values(of, part, left, value);
		join_values(of, part, set, joined);
		left &= ~set;
		making->sets[d] = set == reachable ? (1u << values_n) - 1 :
		    set;
		split(making, d + 1, joined, part);
	}
	free(joined);
}

bool
rows_make(const struct question *question, struct rows *rows,
    unsigned *conflict)
{
	struct making making = { .question = question, .rows = rows };
	size_t i;
	bool settled;

	memset(rows, 0, sizeof(*rows));
	making.size = combinations(question);
	making.of = mem_alloc(making.size * sizeof(making.of[0]));
	for (i = 0; i < making.size; i++)
		making.of[i] = UNREACHABLE;
	settled = ask_all(&making, conflict);
	if (settled)
		split(&making, 0, making.of, making.size);
	verdicts_free(&making.verdicts);
	free(making.of);
	return settled;
}

void
rows_free(struct rows *rows)
{
	while (rows->n > 0)
		free(rows->list[--rows->n].verdict);
	free(rows->list);
	memset(rows, 0, sizeof(*rows));
}

/*
 * Printing.
 */

static bool
is_full(const struct dimension *dimension, unsigned set)
{
	return set == (1u << dimension->values_n) - 1;
}

/* "tlsa=insecure,absent"; nothing where every value will do. */
static void
print_fact(const struct dimension *dimension, unsigned set,
    struct buffer *out)
{
	const char *before = "=";
	unsigned value;

	buffer_add(out, slice_of(dimension->name));
	for (value = 0; value < dimension->values_n; value++)
		if (set & 1u << value) {
			buffer_printf(out, "%s%s", before,
			    dimension->values[value]);
			before = ",";
		}
}

/* Words of a row, wrapped between facts. */
static void
print_facts(const struct question *question, const struct row *row,
    struct buffer *out)
{
	struct buffer fact = { NULL, 0, 0 };
	size_t column = 0;
	unsigned d;

	for (d = 0; d < question->dimensions_n; d++) {
		if (is_full(&question->dimensions[d], row->sets[d]))
			continue;
		buffer_free(&fact);
		fact = (struct buffer){ NULL, 0, 0 };
		print_fact(&question->dimensions[d], row->sets[d], &fact);
		if (column > 0 && column + 1 + fact.len > LINE_MOST - 2) {
			buffer_printf(out, "\n ");
			column = 1;
		}
		buffer_printf(out, "%s%s", column > 0 ? " " : "", fact.text);
		column += fact.len + (column > 0);
	}
	buffer_printf(out, "%s\n", column == 0 ? "*" : " *");
	buffer_free(&fact);
}

/* At most LINE_MOST columns, with what each line begins with. */
static void
print_wrapped(const char *text, const char *first, const char *further,
    struct buffer *out)
{
	struct slice rest = slice_of(text), word;
	const char *before = first;
	size_t column = 0;

	while (rest.at != NULL) {
		word = slice_cut(&rest, ' ');
		if (column + word.len + 1 > LINE_MOST) {
			buffer_printf(out, "\n");
			before = further;
			column = 0;
		}
		if (column == 0)
			column = strlen(before);
		else
			before = " ";
		buffer_printf(out, "%s", before);
		buffer_add(out, word);
		column += word.len + 1;
		before = " ";
	}
	buffer_printf(out, "\n");
}

void
rows_print(const struct question *question, const struct rows *rows,
    struct buffer *out)
{
	size_t i;

	buffer_printf(out, "== %s\n\n", question->title);
	print_wrapped(question->intro, "", "", out);
	buffer_printf(out, "\n");
	for (i = 0; i < rows->n; i++) {
		print_facts(question, &rows->list[i], out);
		print_wrapped(rows->list[i].verdict, "    ", "        ", out);
	}
	buffer_printf(out, "\n");
}

/*
 * Reading.
 */

static bool
read_values(const struct dimension *dimension, struct slice values,
    unsigned *set)
{
	struct slice name;
	unsigned value;

	*set = 0;
	while (values.at != NULL) {
		name = slice_cut(&values, ',');
		for (value = 0; value < dimension->values_n; value++)
			if (slice_equal(name,
			    slice_of(dimension->values[value])))
				break;
		if (value == dimension->values_n)
			return false;
		*set |= 1u << value;
	}
	return true;
}

static bool
read_fact(const struct question *question, struct slice fact,
    struct row *row)
{
	struct slice values = fact, name = slice_cut(&values, '=');
	unsigned d;

	for (d = 0; d < question->dimensions_n; d++)
		if (slice_equal(name,
		    slice_of(question->dimensions[d].name)))
			return read_values(&question->dimensions[d], values,
			    &row->sets[d]);
	return false;
}

/* One line of facts; *ends: it had the "*" that closes them. */
static bool
read_facts(const struct question *question, struct slice line,
    struct row *row, bool *ends)
{
	struct slice fact;

	*ends = false;
	line = slice_trim(line);
	while (line.at != NULL) {
		fact = slice_cut(&line, ' ');
		if (slice_equal(fact, SLICE("*")))
			*ends = true;
		else if (!read_fact(question, fact, row))
			return false;
	}
	return true;
}

static void
clear_row(struct row *row)
{
	unsigned d;

	for (d = 0; d < DIMENSIONS_MAX; d++)
		row->sets[d] = ~0u;
	row->verdict = NULL;
}

static void
keep_row(struct rows *rows, const struct row *row)
{
	rows->list = mem_grow(rows->list,
	    (rows->n + 1) * sizeof(rows->list[0]));
	rows->list[rows->n++] = *row;
}

/* A line of a verdict, joined to those before it by a blank. */
static void
add_verdict(struct row *row, struct slice line)
{
	size_t len = row->verdict == NULL ? 0 : strlen(row->verdict);

	row->verdict = mem_grow(row->verdict, len + line.len + 2);
	if (len > 0)
		row->verdict[len++] = ' ';
	memcpy(row->verdict + len, line.at, line.len);
	row->verdict[len + line.len] = '\0';
}

/* From "== title" to the next such line, behind the intro's blank line. */
static struct slice
find_section(const struct question *question, struct slice text)
{
	struct slice line, section = { NULL, 0 };
	int blanks = 0;

	while (text.at != NULL) {
		line = slice_cut(&text, '\n');
		if (slice_begins(line, SLICE("== ")) && blanks > 0)
			break;
		if (slice_begins(line, SLICE("== ")))
			blanks = slice_equal((struct slice){ line.at + 3,
			    line.len - 3 }, slice_of(question->title));
		else if (blanks > 0 && line.len == 0)
			blanks++;
		else if (blanks == 3 && section.at == NULL)
			section.at = line.at;
		if (section.at != NULL)
			section.len = (size_t)(line.at + line.len -
			    section.at);
	}
	return section;
}

/*
 * Facts begin at the margin and end in "*"; what is indented by four or more
 * behind them is the verdict.
 */
bool
rows_read(const struct question *question, struct slice text,
    struct rows *rows)
{
	struct slice line, indent = SLICE("    ");
	bool ends = false;
	struct row row;

	memset(rows, 0, sizeof(*rows));
	text = find_section(question, text);
	clear_row(&row);
	while (text.at != NULL) {
		line = slice_cut(&text, '\n');
		if (line.len == 0)
			continue;
		if (ends && slice_begins(line, indent)) {
			add_verdict(&row, slice_trim(line));
			continue;
		}
		if (row.verdict != NULL) {
			keep_row(rows, &row);
			clear_row(&row);
			ends = false;
		}
		if (ends || !read_facts(question, line, &row, &ends))
			return false;
	}
	if (row.verdict == NULL)
		return false;
	keep_row(rows, &row);
	return true;
}

static bool
covers(const struct question *question, const struct row *row,
    const unsigned *facts)
{
	unsigned d;

	for (d = 0; d < question->dimensions_n; d++)
		if (!(row->sets[d] & 1u << facts[d]))
			return false;
	return true;
}

unsigned
rows_find(const struct question *question, const struct rows *rows,
    const unsigned *facts, const struct row **found)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < rows->n; i++)
		if (covers(question, &rows->list[i], facts)) {
			*found = &rows->list[i];
			n++;
		}
	return n;
}

/* Which row is it for these facts?  NULL: none, or several. */
static const struct row *
only_row(const struct question *question, const struct rows *rows,
    const unsigned *facts)
{
	const struct row *row = NULL;

	return rows_find(question, rows, facts, &row) == 1 ? row : NULL;
}

/* Of all inputs with the same facts the rows are searched for the first. */
unsigned
rows_check(const struct question *question, const struct rows *rows,
    unsigned *first, unsigned *inputs)
{
	size_t size = combinations(question);
	const struct row **of = mem_alloc(size * sizeof(of[0]));
	bool *known = mem_alloc(size * sizeof(known[0]));
	struct verdicts verdicts = { NULL, 0 };
	unsigned facts[DIMENSIONS_MAX], wrong = 0, n;
	int verdict;
	size_t at;

	*inputs = 0;
	for (n = 0; n < question->inputs_n; n++) {
		if (!question->project(n, facts))
			continue;
		++*inputs;
		at = position(question, facts);
		if (!known[at])
			of[at] = only_row(question, rows, facts);
		known[at] = true;
		verdict = ask(question, &verdicts, n);
		if (of[at] != NULL && strcmp(of[at]->verdict,
		    verdicts.list[verdict]->text) == 0)
			continue;
		if (wrong++ == 0)
			*first = n;
	}
	verdicts_free(&verdicts);
	free(known);
	free(of);
	return wrong;
}
