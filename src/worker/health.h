/* SPDX-License-Identifier: MIT
 *
 * What load balancers and supervisors ask: /up, is the process alive (api.c:
 * yes); /ready, shall new clients come here?
 *
 * Runs in: workers.
 */
#ifndef PEAL_HEALTH_H
#define PEAL_HEALTH_H

/*
 * NULL: they shall.  Else a word why not:
 *	draining	the service is being stopped, or will be soon
 *			([peal] stop_delay)
 *	router		there is no link to the router just now, or it has
 *			answered nothing for half of [peal] watchdog
 * A worker that leaves after a reload is as good as its successor: the service
 * is there.  So is one whose broker is away: it serves its own clients.
 */
const char *health_trouble(void);

#endif
