/* SPDX-License-Identifier: MIT
 *
 * Lines that must not fill the disk: see notice.h.
 */
#include "worker/notice.h"

#include "worker/worker.h"

bool
notice_due(struct notice *n, unsigned a_second)
{
	if (n->second != worker.now) {
		n->second = worker.now;
		n->lines = 0;
	}
	if (n->lines++ < a_second)
		return true;
	n->left_out++;
	return false;
}

void
notice_said(struct notice *n, bool written)
{
	n->left_out = written ? 0 : n->left_out + 1;
}
