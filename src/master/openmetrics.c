/* SPDX-License-Identifier: MIT
 *
 * Numbers as text for Prometheus: see openmetrics.h.
 */
#include "master/openmetrics.h"

#include <inttypes.h>

#include "common/util.h"

static const char *const kinds[] = {
	[METRIC_GAUGE] = "gauge", [METRIC_COUNTER] = "counter",
	[METRIC_HISTOGRAM] = "histogram",
};

/* A counter's samples are called _total; to the older format that is its name. */
static void
add_name(const struct openmetrics *o, bool of_sample)
{
	buf_fmt(o->out, "peal_%s", o->metric->name);
	if (o->metric->kind == METRIC_COUNTER &&
	    (of_sample || o->form != OPENMETRICS))
		buf_str(o->out, "_total");
}

static void
add_meta(const struct openmetrics *o, const char *what, const char *text)
{
	buf_fmt(o->out, "# %s ", what);
	add_name(o, false);
	buf_fmt(o->out, " %s\n", text);
}

static void
add_manual(const struct openmetrics *o)
{
	const struct metric *m = o->metric;

	add_name(o, false);
	buf_fmt(o->out, "%s%s%s  %s\n\t%s\n", *m->labels != '\0' ? "{" : "",
	    m->labels, *m->labels != '\0' ? "}" : "", kinds[m->kind], m->help);
}

void
openmetrics_family(struct openmetrics *o, const struct metric *m)
{
	o->metric = m;
	if (o->form == OPENMETRICS_MANUAL) {
		add_manual(o);
		return;
	}
	add_meta(o, "TYPE", kinds[m->kind]);
	if (m->unit != NULL && o->form == OPENMETRICS)
		add_meta(o, "UNIT", m->unit);
	add_meta(o, "HELP", m->help);
}

static void
add_label(struct buf *out, const struct metric_label *label)
{
	buf_fmt(out, "%s=\"", label->name);
	for (const char *p = label->value; *p != '\0'; p++) {
		if (*p == '\n')
			buf_str(out, "\\n");
		else if (*p == '"' || *p == '\\')
			buf_fmt(out, "\\%c", *p);
		else
			buf_char(out, *p);
	}
	buf_char(out, '"');
}

static void
add_labels(struct buf *out, const struct metric_label *labels, size_t n)
{
	if (n == 0)
		return;
	buf_char(out, '{');
	for (size_t i = 0; i < n; i++) {
		if (i != 0)
			buf_char(out, ',');
		add_label(out, &labels[i]);
	}
	buf_char(out, '}');
}

static void
add_value(struct buf *out, uint64_t value, uint64_t parts)
{
	buf_fmt(out, " %" PRIu64, value / parts);
	if (parts > 1)
		buf_char(out, '.');
	for (uint64_t rest = value % parts; parts > 1; rest %= parts) {
		parts /= 10;
		buf_char(out, (char)('0' + rest / parts));
	}
	buf_char(out, '\n');
}

void
openmetrics_sample(struct openmetrics *o, const struct metric_label *labels,
    size_t n, uint64_t value, uint64_t parts)
{
	if (o->form == OPENMETRICS_MANUAL)
		return;
	add_name(o, true);
	add_labels(o->out, labels, n);
	add_value(o->out, value, parts);
}

static void
add_part(struct openmetrics *o, const char *part, uint64_t value,
    uint64_t parts)
{
	add_name(o, true);
	buf_str(o->out, part);
	add_value(o->out, value, parts);
}

void
openmetrics_histogram(struct openmetrics *o, const struct histogram *h)
{
	struct metric_label le = { .name = "le" };
	uint64_t sum = 0;

	if (o->form == OPENMETRICS_MANUAL)
		return;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		sum += h->counts[i];
		le.value = i < HISTOGRAM_BUCKETS - 1 ?
		    histogram_bounds[i].seconds : "+Inf";
		add_name(o, true);
		buf_str(o->out, "_bucket");
		add_labels(o->out, &le, 1);
		add_value(o->out, sum, 1);
	}
	add_part(o, "_sum", h->sum, 1000000000);
	add_part(o, "_count", sum, 1);
}

void
openmetrics_end(struct openmetrics *o)
{
	if (o->form == OPENMETRICS)
		buf_str(o->out, "# EOF\n");
}
