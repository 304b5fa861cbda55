/*
 * The decisions as one table: print it, keep the manual page and the golden
 * file true to it, and check what must hold whatever it says.
 *
 *	table				print the table (table.golden)
 *	table --man PAGE		print PAGE with the table put anew
 *					between its two marks
 *	table --decisions		print tests/vectors/decisions.json
 *	table --check GOLDEN PAGE	all checks, as TAP
 */
#include "tests/decide/decisions.h"
#include "tests/decide/property.h"
#include "tests/decide/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED		0x5f3759df
#define DRAWS_N		1000000
#define DECISIONS	"tests/vectors/decisions.json"
#define MARK_BEGIN	".\\\" The table begins; it is made by `table --man`.\n"
#define MARK_END	".\\\" The table ends.\n"

static unsigned tests_n, failed_n;

static void
tell(bool good, const char *name)
{
	printf("%s %u - %s\n", good ? "ok" : "not ok", ++tests_n, name);
	if (!good)
		failed_n++;
}

static void
tell_property(const char *name, unsigned broken)
{
	tell(broken == 0, name);
	if (broken > 0)
		printf("# %u inputs break it\n", broken);
}

static struct buffer
read_whole(const char *path)
{
	struct buffer text = { NULL, 0, 0 };
	FILE *file = fopen(path, "r");
	char piece[4096];
	size_t n;

	if (file == NULL) {
		perror(path);
		exit(1);
	}
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		buffer_add(&text, (struct slice){ piece, n });
	fclose(file);
	return text;
}

static struct slice
slice_of_buffer(const struct buffer *text)
{
	return (struct slice){ text->text, text->len };
}

/* All questions, printed. */
static struct buffer
print_table(void)
{
	struct buffer text = { NULL, 0, 0 };
	struct rows rows;
	unsigned conflict;
	size_t q;

	for (q = 0; q < QUESTIONS_N; q++) {
		if (!rows_make(&questions[q], &rows, &conflict)) {
			fprintf(stderr, "%s: input %u: the facts shown do not "
			    "settle the verdict\n", questions[q].title,
			    conflict);
			exit(1);
		}
		rows_print(&questions[q], &rows, &text);
		rows_free(&rows);
	}
	return text;
}

/* A line of the table in the page's language: nothing in it is a request. */
static void
print_man_line(struct slice line, struct buffer *out)
{
	size_t i;

	if (line.len > 0 && (line.at[0] == '.' || line.at[0] == '\''))
		buffer_printf(out, "\\&");
	for (i = 0; i < line.len; i++)
		if (line.at[i] == '-')
			buffer_printf(out, "\\-");
		else
			buffer_add(out, (struct slice){ line.at + i, 1 });
	buffer_printf(out, "\n");
}

/*
 * Titles become sections, what is between the blank lines behind one a
 * paragraph, and rows are kept as they stand.
 */
static void
print_man_table(struct slice table, struct buffer *out)
{
	struct slice line;
	int blanks = 0;

	while (table.len > 0) {
		line = slice_cut(&table, '\n');
		if (slice_begins(line, SLICE("== "))) {
			buffer_printf(out, "%s.Ss %.*s\n",
			    blanks > 0 ? ".Ed\n" : "", (int)line.len - 3,
			    line.at + 3);
			blanks = 0;
		} else if (line.len == 0) {
			if (++blanks == 2)
				buffer_printf(out, ".Bd -literal\n");
		} else {
			print_man_line(line, out);
		}
	}
	buffer_printf(out, ".Ed\n");
}

/* The page with what stands between its marks made anew. */
static struct buffer
print_page(const struct buffer *page, const struct buffer *table)
{
	const char *begin = strstr(page->text, MARK_BEGIN);
	const char *end = strstr(page->text, MARK_END);
	struct buffer text = { NULL, 0, 0 };

	if (begin == NULL || end == NULL || end < begin) {
		fprintf(stderr, "the page lacks the marks of the table\n");
		exit(1);
	}
	begin += strlen(MARK_BEGIN);
	buffer_add(&text, (struct slice){ page->text,
	    (size_t)(begin - page->text) });
	print_man_table(slice_of_buffer(table), &text);
	buffer_add(&text, slice_of(end));
	return text;
}

/* The file is read as it lies there; nothing of its making is used. */
static void
check_question(const struct question *question, const struct buffer *golden)
{
	unsigned first = 0, inputs = 0, wrong = 1;
	struct rows rows;
	char name[200];

	if (rows_read(question, slice_of_buffer(golden), &rows))
		wrong = rows_check(question, &rows, &first, &inputs);
	snprintf(name, sizeof(name), "%s: every input has exactly one row, "
	    "and it is true", question->title);
	tell(wrong == 0, name);
	if (wrong == 0)
		printf("# %u inputs, %zu rows\n", inputs, rows.n);
	else
		printf("# %u wrong, the first is input %u\n", wrong, first);
	rows_free(&rows);
}

static void
check_decisions(void)
{
	struct buffer file = read_whole(DECISIONS), made = { NULL, 0, 0 };

	decisions_print(&made);
	tell(slice_equal(slice_of_buffer(&file), slice_of_buffer(&made)),
	    DECISIONS " is what is decided");
	buffer_free(&file);
	buffer_free(&made);
}

static int
check(const char *golden_path, const char *page_path)
{
	struct buffer golden = read_whole(golden_path);
	struct buffer page = read_whole(page_path);
	struct buffer table = print_table(), made;
	size_t q;

	tell(slice_equal(slice_of_buffer(&golden), slice_of_buffer(&table)),
	    "STS-4-3 the table is the golden file");
	made = print_page(&page, &table);
	tell(slice_equal(slice_of_buffer(&page), slice_of_buffer(&made)),
	    "the manual page holds the table");
	check_decisions();
	for (q = 0; q < QUESTIONS_N; q++)
		check_question(&questions[q], &golden);
	property_check(tell_property);
	printf("# %u draws, seed %#x\n", DRAWS_N, SEED);
	property_draw(SEED, DRAWS_N, tell_property);
	printf("1..%u\n", tests_n);
	buffer_free(&golden);
	buffer_free(&page);
	buffer_free(&table);
	buffer_free(&made);
	return failed_n == 0 ? 0 : 1;
}

static int
print_decisions(void)
{
	struct buffer json = { NULL, 0, 0 };

	decisions_print(&json);
	fputs(json.text, stdout);
	buffer_free(&json);
	return 0;
}

int
main(int argc, char **argv)
{
	struct buffer page, table, made;

	if (argc == 4 && strcmp(argv[1], "--check") == 0)
		return check(argv[2], argv[3]);
	if (argc == 2 && strcmp(argv[1], "--decisions") == 0)
		return print_decisions();
	table = print_table();
	if (argc == 1) {
		fputs(table.text, stdout);
	} else if (argc == 3 && strcmp(argv[1], "--man") == 0) {
		page = read_whole(argv[2]);
		made = print_page(&page, &table);
		fputs(made.text, stdout);
		buffer_free(&page);
		buffer_free(&made);
	} else {
		fprintf(stderr, "usage: table [--man PAGE | --decisions | "
		    "--check GOLDEN PAGE]\n");
		return 64;
	}
	buffer_free(&table);
	return 0;
}
