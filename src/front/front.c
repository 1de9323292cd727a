/* SPDX-License-Identifier: MIT
 *
 * Which front door is a WebSocket request for?  See front.h.
 */
#include "front/front.h"

const struct front *
front_match(const struct http_request *req, struct bytes path)
{
	size_t i;

	for (i = 0; front_list[i] != NULL; i++)
		if ((front_list[i]->flags & FRONT_WS) != 0 &&
		    front_list[i]->match(req, path))
			return front_list[i];
	return NULL;
}
