/* SPDX-License-Identifier: MIT
 *
 * Answers of peald, set for people.
 *
 * Runs in: pealctl.
 */
#ifndef PEAL_SHOW_H
#define PEAL_SHOW_H

#include "common/buf.h"
#include "common/json.h"

/* Each takes the whole answer, whose last line said ok. */
void	show_status(struct bytes answer);
void	show_apps(struct bytes answer);
void	show_channels(struct bytes answer);
void	show_users(struct bytes answer);
void	show_connections(struct bytes answer);
void	show_backplane(struct bytes answer);
void	show_hosts(struct bytes answer);
void	show_inspected(struct bytes answer);
void	show_user_closed(struct bytes answer);
void	show_socket_closed(struct bytes answer);
/* Of both: STATUS_REFUSED if nobody was there to be closed. */
int	closed_status(struct bytes answer);
void	show_hooks(struct bytes answer);
void	show_config(struct bytes answer);
void	show_config_diff(struct bytes answer);
void	show_log(struct bytes answer);
void	show_report(struct bytes answer);
void	show_reloaded(struct bytes answer);
/* The answer as one JSON document: {"channels":[...],"ok":true}, or its only
 * line if rows is NULL. */
void	show_json(struct bytes answer, const char *rows);

#endif
