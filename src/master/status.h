/* SPDX-License-Identifier: MIT
 *
 * What the master knows, as JSON for pealctl.
 *
 * Runs in: master.
 */
#ifndef PEAL_STATUS_H
#define PEAL_STATUS_H

#include "common/buf.h"

/* One line: version, processes, addresses, every counter. */
void	status_json(struct buf *);
/* A line for each application, without its secret, and a last one. */
void	status_apps(struct buf *);

#endif
