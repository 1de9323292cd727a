/* SPDX-License-Identifier: MIT
 *
 * What is answered where.  A [listen] section is for clients and the
 * application, or for those who want numbers, or the live page ([listen]
 * serve); a conn keeps the section that it came by, also when it is passed on or
 * handed over.
 *
 *			clients		metrics		page
 *	health		yes		yes		yes
 *	clients		yes		no		no
 *	metrics		if shared	yes		no
 *	page		if it has no	no		yes
 *			addresses
 *
 * What is not served there does not exist there (404).
 *
 * Runs in: workers.  Owns: nothing.
 */
#ifndef PEAL_SERVE_H
#define PEAL_SERVE_H

#include "common/buf.h"

struct conn;

enum served { SERVED_HEALTH, SERVED_CLIENTS, SERVED_METRICS, SERVED_PAGE };

bool	serve_here(const struct conn *, enum served);
/*
 * A request's path as routes know it.  Where clients connect, http.path stands
 * in front of every route, as a proxy may pass nothing else on, and is taken
 * off; false if it is not there.  Elsewhere there is no such prefix.
 */
bool	serve_path(const struct conn *, struct bytes *path);

#endif
