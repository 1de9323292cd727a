/* SPDX-License-Identifier: MIT
 *
 * A reader of the text of /metrics that takes nothing that OpenMetrics 1.0 (open),
 * or Prometheus's format 0.0.4, does not allow: families once and whole, their
 * lines in order, names and suffixes as their type wants them, units, escapes, no
 * sample twice, buckets that rise to their count, nothing behind the end.  In the
 * older form a counter's family is called as its samples.
 */
#ifndef PEAL_TEST_METRICS_READER_H
#define PEAL_TEST_METRICS_READER_H

#include <stdbool.h>

/* Fails the test. */
void	metrics_read(const char *text, bool open);

#endif
