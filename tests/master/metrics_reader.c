/* SPDX-License-Identifier: MIT
 *
 * A reader of OpenMetrics: see metrics_reader.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/util.h"
#include "metrics_reader.h"

/* What has been read. */
static struct reader {
	char	 name[128], kind[16], unit[16];	/* of the family */
	char	 families[400][128];
	size_t	 n_families;
	char	 samples[4000][256];		/* name and labels */
	size_t	 n_samples;
	double	 le;			/* of the bucket before */
	double	 in_bucket;
	int	 stage;			/* 1: TYPE, 2: UNIT, 3: HELP */
	bool	 open;			/* OpenMetrics, not the older form */
} reader;

static void
family_begin(const char *name, const char *kind)
{
	assert_true(strcmp(kind, "gauge") == 0 || strcmp(kind, "counter") == 0 ||
	    strcmp(kind, "histogram") == 0);
	for (size_t i = 0; i < reader.n_families; i++)
		assert_string_not_equal(reader.families[i], name);
	assert_true(reader.n_families < NELEM(reader.families));
	snprintf(reader.families[reader.n_families++], 128, "%s", name);
	snprintf(reader.name, sizeof(reader.name), "%s", name);
	snprintf(reader.kind, sizeof(reader.kind), "%s", kind);
	reader.unit[0] = '\0';
	reader.le = reader.in_bucket = 0;
	reader.stage = 1;
}

static void
meta_read(const char *line)
{
	char what[8], name[128], text[256];
	size_t n, u;

	assert_int_equal(sscanf(line, "# %7s %127s %255[^\n]", what, name,
	    text), 3);
	if (strcmp(what, "TYPE") == 0) {
		family_begin(name, text);
		return;
	}
	assert_string_equal(name, reader.name);
	if (strcmp(what, "UNIT") == 0) {
		assert_true(reader.open && reader.stage == 1);
		n = strlen(name);
		u = strlen(text);
		assert_true(n > u && name[n - u - 1] == '_');
		assert_string_equal(name + n - u, text);
		reader.stage = 2;
	} else {
		assert_string_equal(what, "HELP");
		assert_true(reader.stage == 1 || reader.stage == 2);
		assert_true(strchr(text, '\\') == NULL);
		reader.stage = 3;
	}
}

/* From the brace on; returns what is behind the labels.  le: of a bucket. */
static const char *
labels_read(const char *p, double *le)
{
	char name[64], value[256];
	size_t n;

	for (p++; ; p++) {
		n = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
		assert_true(n > 0 && n < sizeof(name) && p[n] == '=' &&
		    p[n + 1] == '"');
		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		for (p += n + 2, n = 0; *p != '"'; p++) {
			assert_true(*p != '\0' && *p != '\n');
			if (*p == '\\') {
				p++;
				assert_true(*p == 'n' || *p == '"' ||
				    *p == '\\');
			}
			assert_true(n < sizeof(value) - 1);
			value[n++] = *p;
		}
		value[n] = '\0';
		if (strcmp(name, "le") == 0) {
			char *end;

			assert_true(strcmp(value, "+Inf") == 0 ||
			    strpbrk(value, ".e") != NULL);
			*le = strtod(value, &end);
			assert_int_equal(*end, '\0');
		}
		p++;
		if (*p == '}')
			return p + 1;
		assert_int_equal(*p, ',');
	}
}

static const char *
suffix_of(const char *name, size_t n)
{
	size_t family = strlen(reader.name);

	assert_true(n >= family && memcmp(name, reader.name, family) == 0);
	return name + family;
}

static void
sample_check(const char *suffix, size_t n, double le, double value)
{
	struct bytes s = bytes_of(suffix, n);

	assert_true(value >= 0);
	if (strcmp(reader.kind, "gauge") == 0) {
		assert_int_equal(n, 0);
	} else if (strcmp(reader.kind, "counter") == 0) {
		assert_true(bytes_eq(s, reader.open ? B("_total") : B("")));
	} else if (bytes_eq(s, B("_bucket"))) {
		assert_true(le > reader.le);
		assert_true(value >= reader.in_bucket);
		reader.le = le;
		reader.in_bucket = value;
	} else if (bytes_eq(s, B("_count"))) {
		assert_true(reader.le > 1e300);
		assert_true(value == reader.in_bucket);
	} else {
		assert_true(bytes_eq(s, B("_sum")));
	}
}

static void
sample_read(const char *line)
{
	size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789_"), k;
	const char *p = line + n, *suffix;
	double le = -1, value;
	char *end;

	assert_int_equal(reader.stage, 3);
	suffix = suffix_of(line, n);
	if (*p == '{')
		p = labels_read(p, &le);
	assert_int_equal(*p, ' ');
	k = (size_t)(p - line);
	assert_true(k < 256 && reader.n_samples < NELEM(reader.samples));
	for (size_t i = 0; i < reader.n_samples; i++)
		assert_false(strlen(reader.samples[i]) == k &&
		    memcmp(reader.samples[i], line, k) == 0);
	snprintf(reader.samples[reader.n_samples++], 256, "%.*s", (int)k,
	    line);
	value = strtod(p + 1, &end);
	assert_int_equal(*end, '\n');
	assert_int_equal(strspn(p + 1, "0123456789."), end - p - 1);
	sample_check(suffix, (size_t)(line + n - suffix), le, value);
}

void
metrics_read(const char *text, bool open)
{
	bool over = false;

	memset(&reader, 0, sizeof(reader));
	reader.open = open;
	while (*text != '\0') {
		const char *end = strchr(text, '\n');

		assert_non_null(end);
		assert_false(over);
		if (strncmp(text, "# EOF\n", 6) == 0)
			over = true;
		else if (*text == '#')
			meta_read(text);
		else
			sample_read(text);
		text = end + 1;
	}
	assert_int_equal(over, open);
	assert_true(reader.n_families > 80 && reader.n_samples > 100);
}
