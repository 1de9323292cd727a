/* SPDX-License-Identifier: MIT
 *
 * Columns that stand under each other on a terminal.
 *
 * Runs in: pealctl.  Owns: see table.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/util.h"
#include "ctl/table.h"

struct table {
	const char *const	*heads;
	size_t			 columns, n;
	char			**cells;
	size_t			 cap;
	size_t			*width;
};

struct table *
table_new(const char *const *heads, size_t n)
{
	struct table *t = xcalloc(1, sizeof(*t));

	t->heads = heads;
	t->columns = n;
	t->width = xcalloc(n, sizeof(*t->width));
	for (size_t i = 0; i < n; i++)
		t->width[i] = strlen(heads[i]) - (heads[i][0] == '>');
	return t;
}

void
table_free(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t->width);
	free(t);
}

/* Characters, not octets: continuation octets take no room. */
static size_t
text_width(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* What others named must not move the cursor or ring the bell. */
static char *
text_clean(struct bytes text)
{
	struct buf out = { 0 };
	unsigned char c;

	for (size_t i = 0; i < text.n; i++) {
		c = (unsigned char)text.p[i];
		/* C1 controls are U+0080 to U+009F: C2 80 to C2 9F. */
		if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < text.n &&
		    (unsigned char)text.p[i + 1] < 0xa0))
			buf_fmt(&out, "\\x%02x",
			    c == 0xc2 ? (unsigned char)text.p[++i] : c);
		else
			buf_char(&out, (char)c);
	}
	return buf_cstr(&out);
}

void
table_cell(struct table *t, struct bytes text)
{
	size_t column = t->n % t->columns, width;

	if (t->n == t->cap) {
		t->cap = t->cap != 0 ? t->cap * 2 : 64;
		t->cells = xreallocarray(t->cells, t->cap, sizeof(*t->cells));
	}
	t->cells[t->n] = text_clean(text);
	width = text_width(t->cells[t->n++]);
	if (width > t->width[column])
		t->width[column] = width;
}

void
table_number(struct table *t, uint64_t n)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "%llu",
	    (unsigned long long)n);

	table_cell(t, bytes_of(text, (size_t)length));
}

static void
print_cell(const struct table *t, size_t column, const char *text)
{
	size_t width = text_width(text);
	int fill = (int)(t->width[column] - width);

	if (t->heads[column][0] == '>')
		printf("%*s%s", fill, "", text);
	else if (column + 1 == t->columns)
		fputs(text, stdout);
	else
		printf("%s%*s", text, fill, "");
	fputs(column + 1 == t->columns ? "\n" : "  ", stdout);
}

void
table_print(const struct table *t, const char *none)
{
	if (t->n == 0) {
		puts(none);
		return;
	}
	for (size_t i = 0; i < t->columns; i++)
		print_cell(t, i, t->heads[i] + (t->heads[i][0] == '>'));
	for (size_t i = 0; i < t->n; i++)
		print_cell(t, i % t->columns, t->cells[i]);
}
