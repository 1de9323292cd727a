/* SPDX-License-Identifier: MIT
 *
 * The front doors of this program.  In an object of its own, so that a program
 * for tests can bring another list.
 */
#include "front/front.h"

const struct front *const front_list[] = {
	&front_pusher, &front_rooms, &front_sse, &front_page, NULL
};
