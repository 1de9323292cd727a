/* SPDX-License-Identifier: MIT
 *
 * What all processes count, as text for Prometheus (doc/METRICS).
 *
 * Everything of tables/counters.def is in it by itself; tables/metrics.def says
 * where something else than its name and its sum is wanted.  No series of a counter
 * ever goes back (numbers.h).
 *
 * Runs in: the master.
 */
#ifndef PEAL_MASTER_METRICS_H
#define PEAL_MASTER_METRICS_H

#include "common/buf.h"

/* As OpenMetrics, or in Prometheus's own format 0.0.4. */
void	metrics_text(struct buf *, bool openmetrics);
/* What there is: doc/METRICS. */
void	metrics_manual(struct buf *);

#endif
