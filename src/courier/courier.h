/* SPDX-License-Identifier: MIT
 *
 * The courier process: all HTTP that this host sends by itself, which is webhooks.
 * A slow or hostile target stops nobody: nothing waits for the courier.
 *
 * Runs in: the courier; there is one per process.
 */
#ifndef PEAL_COURIER_H
#define PEAL_COURIER_H

/* Everything from descriptor 3 on; returns the exit status. */
int	courier_main(void);

#endif
