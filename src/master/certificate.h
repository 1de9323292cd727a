/* SPDX-License-Identifier: MIT
 *
 * Certificates and keys of the [listen] sections: read by the master, as root
 * if it is, and sent to the workers, who may open no files.
 *
 * Runs in: master.  Owns: the texts, until certificates_free().
 */
#ifndef PEAL_CERTIFICATE_H
#define PEAL_CERTIFICATE_H

#include "common/config.h"

struct certificate {
	struct buf	 chain, key;	/* PEM; empty: this section is no TLS */
};

/* One per [listen] section, in order; NULL with *why (caller frees), which
 * names the file.  Certificate and key are tried together here, so that a
 * worker never meets a pair that does not fit; so are those for the broker,
 * which the router reads by itself. */
struct certificate *certificates_read(const struct config *, char **why);
void	certificates_free(struct certificate *, size_t n);
/* Does a renewed file differ from what is in force? */
bool	certificates_equal(const struct certificate *,
	    const struct certificate *, size_t n);

#endif
