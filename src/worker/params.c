/* SPDX-License-Identifier: MIT
 *
 * The parameters of a query string; see params.h.
 */
#include "worker/params.h"

#include "worker/http.h"

/* name[] and name[3] are lists called name. */
static bool
strip_brackets(struct bytes *name)
{
	ptrdiff_t at = bytes_find(*name, '[');

	if (at < 1 || name->p[name->n - 1] != ']')
		return false;
	name->n = (size_t)at;
	return true;
}

static void
lower(char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
}

/* What is the same decoded, and as a name in lower case. */
static bool
is_plain(struct bytes raw)
{
	static const char plain[256] = {
		['a' ... 'z'] = 1, ['0' ... '9'] = 1, ['_'] = 1, ['-'] = 1,
		['.'] = 1, ['['] = 1, [']'] = 1,
	};
	size_t i = 0;

	while (i < raw.n && plain[(unsigned char)raw.p[i]])
		i++;
	return i == raw.n;
}

/* Most are plain and stay where they are.  Others are decoded behind the text
 * there is; room for it was made before, so nothing moves. */
static int
decode(struct buf *text, struct bytes raw, bool name, struct bytes *out)
{
	size_t start = text->n;

	*out = raw;
	if (is_plain(raw))
		return 0;
	if (http_decode(raw, true, text) != 0)
		return -1;
	if (name)
		lower(text->p + start, text->n - start);
	*out = bytes_of(text->p + start, text->n - start);
	return utf8_valid(*out) ? 0 : -1;
}

/* Into its place by name; what has the same name stays in the order sent. */
static void
insert(struct params *ps, const struct param *p)
{
	size_t i = ps->n++;

	for (; i > 0 && bytes_cmp(ps->at[i - 1].name, p->name) > 0; i--)
		ps->at[i] = ps->at[i - 1];
	ps->at[i] = *p;
}

int
params_read(struct params *ps, struct bytes query)
{
	struct bytes name, value;
	struct param p;
	size_t pos = 0;

	ps->n = 0;
	buf_clear(&ps->text);
	buf_room(&ps->text, query.n + 1);
	while (http_query_next(query, &pos, &name, &value)) {
		if (name.n == 0 && value.n == 0)
			continue;
		if (ps->n == PARAMS_MAX ||
		    decode(&ps->text, name, true, &p.name) != 0 ||
		    decode(&ps->text, value, false, &p.value) != 0)
			return -1;
		p.list = strip_brackets(&p.name);
		insert(ps, &p);
	}
	return 0;
}

/* The end of the run of equal names that starts at i. */
static size_t
run_end(const struct params *ps, size_t i)
{
	size_t j = i + 1;

	while (j < ps->n && bytes_eq(ps->at[j].name, ps->at[i].name))
		j++;
	return j;
}

/* Does the run of equal names count as a list?  The last one says so. */
static void
add_values(const struct params *ps, size_t from, size_t end, struct buf *out)
{
	const char *comma = "";

	if (!ps->at[end - 1].list) {
		buf_bytes(out, ps->at[end - 1].value);
		return;
	}
	for (; from < end; from++) {
		if (!ps->at[from].list)
			continue;
		buf_str(out, comma);
		buf_bytes(out, ps->at[from].value);
		comma = ",";
	}
}

struct bytes
params_get(const struct params *ps, struct bytes name, struct buf *room)
{
	size_t i, end;

	for (i = 0; i < ps->n && !bytes_eq(ps->at[i].name, name); i++)
		;
	if (i == ps->n)
		return bytes_of(NULL, 0);
	end = run_end(ps, i);
	if (end == i + 1 || !ps->at[end - 1].list)
		return ps->at[end - 1].value;
	buf_clear(room);
	add_values(ps, i, end, room);
	return buf_view(room);
}

void
params_sorted(const struct params *ps, struct bytes skip, struct buf *out)
{
	size_t i, end;
	bool first = true;

	for (i = 0; i < ps->n; i = end) {
		end = run_end(ps, i);
		if (bytes_eq(ps->at[i].name, skip))
			continue;
		if (!first)
			buf_char(out, '&');
		first = false;
		buf_bytes(out, ps->at[i].name);
		buf_char(out, '=');
		add_values(ps, i, end, out);
	}
}
