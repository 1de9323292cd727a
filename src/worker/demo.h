/* SPDX-License-Identifier: MIT
 *
 * The demo page (contrib/demo/index.html), built into the program so that it
 * can be served from inside the jail.  Holds no secret.
 *
 * Runs in: workers.
 */
#ifndef PEAL_DEMO_H
#define PEAL_DEMO_H

#include <stddef.h>

extern const char	demo_page[];
extern const size_t	demo_page_size;

#endif
