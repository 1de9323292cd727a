/* SPDX-License-Identifier: MIT
 *
 * Which front door is a request for?  See front.h.
 */
#include "front/front.h"

const struct front *
front_match(const struct http_request *req, struct bytes path, unsigned *as)
{
	size_t i;

	for (i = 0; front_list[i] != NULL; i++)
		if ((*as = front_list[i]->match(req, path)) != 0)
			return front_list[i];
	return NULL;
}

void
fronts_settings(const struct config *config)
{
	size_t i;

	for (i = 0; front_list[i] != NULL; i++)
		if (front_list[i]->settings != NULL)
			front_list[i]->settings(config);
}
