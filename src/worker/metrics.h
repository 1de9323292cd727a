/* SPDX-License-Identifier: MIT
 *
 * GET /metrics ([metrics] path): the numbers of all processes, which the master
 * adds up (REPORT_METRICS* of msg.h), for those who may see them.
 *
 *	403	not from this address ([metrics] allow)
 *	401	without the token ([metrics] token)
 *	200	as OpenMetrics if the other side accepts that, else as the text
 *		of Prometheus
 *
 * Refusals are noted in the log.
 *
 * Runs in: workers.  Owned by: its request; dies with it.
 */
#ifndef PEAL_METRICS_H
#define PEAL_METRICS_H

#include "worker/request.h"

/* Is this where they are? */
bool	metrics_wants(struct bytes path);
/* Answers, later if the master is asked. */
void	metrics_answer(struct request *);
/* The request goes while it waits. */
void	metrics_forget(struct request *);

#endif
