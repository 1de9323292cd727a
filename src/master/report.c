/* SPDX-License-Identifier: MIT
 *
 * What the master knows of all processes, for workers that are asked for it.
 *
 * Runs in: master.
 */
#include "master/master.h"

void	master_on_ask_report(struct child *, struct ipc *,
	    const struct msg_ask_report *);
void	master_on_usage(struct child *, struct ipc *, const struct msg_usage *);
void	master_on_closes(struct child *, struct ipc *,
	    const struct msg_closes *);

void
master_on_ask_report(struct child *c, struct ipc *ipc,
    const struct msg_ask_report *m)
{
	(void)c;
	msg_pack_report(ipc_out(ipc), &(struct msg_report){
	    .cookie = m->cookie });
}

void
master_on_usage(struct child *c, struct ipc *ipc, const struct msg_usage *m)
{
	(void)c, (void)ipc, (void)m;
}

void
master_on_closes(struct child *c, struct ipc *ipc, const struct msg_closes *m)
{
	(void)c, (void)ipc, (void)m;
}
