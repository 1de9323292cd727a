/* SPDX-License-Identifier: MIT
 *
 * Which addresses may webhooks be sent to?  Not those of this machine and of
 * private networks (ip_is_private()), unless the settings say so: else who may write
 * a webhook's url could speak to what only this machine reaches.
 *
 * Runs in: the courier.  Owned by: the courier.  Dies: address_rules_done().
 */
#ifndef PEAL_COURIER_ADDRESS_H
#define PEAL_COURIER_ADDRESS_H

#include "common/config.h"
#include "common/ip.h"

struct address_rules {
	bool		 all;		/* [courier] allow_private */
	struct ip_net	*allow;
	size_t		 n_allow;
};

void	address_rules_set(struct address_rules *, const struct config_courier *);
void	address_rules_done(struct address_rules *);
bool	address_allowed(const struct address_rules *, const struct ip *);

#endif
