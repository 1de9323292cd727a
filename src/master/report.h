/* SPDX-License-Identifier: MIT
 *
 * What the master knows of all processes, as one line of JSON: for pealctl (verb
 * "report") and for workers that are asked for it (msg ask_report).
 *
 *	{"ok":true,"time":MS,"version":"1.0","host":"web1","pid":N,"uptime":S,
 *	 "draining":false,
 *	 "workers":[PROCESS with "slot", ...], "router":PROCESS,
 *	 "courier":PROCESS or null,
 *	 "totals":{every counter},
 *	 "histograms":{"publish_seconds":{"bounds":[SECONDS,..],"counts":[..],
 *			"sum":SECONDS,"count":N}, ...},
 *	 "closes":{"PEER_CLOSED":N, ...},
 *	 "apps":[{"app":"1001","label":"main","fronts":{"pusher":{..},
 *		"api":{..}}}, ...],
 *	 "hooks":[..], "reloads":[..]}
 *
 *	PROCESS: {"pid":N,"generation":N,"state":"up","crew":"in force",
 *		"uptime":S,"counters":{every counter}}
 *
 * Whoever wants rates takes the difference of two: in totals, histograms, closes,
 * apps and the processes in force ("crew") nothing that only grows ever goes back,
 * as those count on where their forerunners ended.  Of the processes that come or
 * leave the counters are their own; who is in force counts them, too.  counts are
 * not cumulative, and have one more, for all above the last bound.  MS are
 * milliseconds since 1970.
 *
 * Runs in: master.
 */
#ifndef PEAL_MASTER_REPORT_H
#define PEAL_MASTER_REPORT_H

#include "common/buf.h"

void	report_json(struct buf *);
/* The service ends. */
void	report_end(void);

#endif
