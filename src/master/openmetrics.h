/* SPDX-License-Identifier: MIT
 *
 * Numbers as text for Prometheus: OpenMetrics 1.0, the older format 0.0.4, or, for
 * doc/METRICS, only what there is.
 *
 *	openmetrics_family(&o, &family);
 *	openmetrics_sample(&o, labels, n, value, 1);	any number of them
 *	...
 *	openmetrics_end(&o);
 *
 * Runs in: the master.  Owns: nothing.
 */
#ifndef PEAL_OPENMETRICS_H
#define PEAL_OPENMETRICS_H

#include "common/counters.h"

enum openmetrics_form { OPENMETRICS, OPENMETRICS_PLAIN, OPENMETRICS_MANUAL };
enum metric_kind { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM };

struct metric {
	const char	*name;		/* without peal_ and _total */
	enum metric_kind kind;
	const char	*unit;		/* its name ends in it; or NULL */
	const char	*labels;	/* "app, front", or empty */
	const char	*help;
};

struct metric_label {
	const char	*name;
	const char	*value;		/* UTF-8; anything */
};

struct openmetrics {
	struct buf	*out;
	enum openmetrics_form form;
	const struct metric *metric;	/* the present one */
};

void	openmetrics_family(struct openmetrics *, const struct metric *);
/* value / parts; parts is a power of ten. */
void	openmetrics_sample(struct openmetrics *, const struct metric_label *,
	    size_t n, uint64_t value, uint64_t parts);
/* Of a histogram of durations. */
void	openmetrics_histogram(struct openmetrics *, const struct histogram *);
void	openmetrics_end(struct openmetrics *);

#endif
