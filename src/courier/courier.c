/* SPDX-License-Identifier: MIT
 *
 * The courier process: its loop, and one handler per message.
 *
 * Runs in: the courier.
 */
#include "courier/courier.h"

int
courier_main(void)
{
	return 1;
}
