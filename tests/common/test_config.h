/* SPDX-License-Identifier: MIT
 *
 * What tests of settings share: a file in memory, loaded.
 *
 * Runs in: tests.  Owns: the last complaint.
 */
#ifndef PEAL_TEST_CONFIG_H
#define PEAL_TEST_CONFIG_H

#include <stdio.h>

#include "common/config_parts.h"

/* Of the last load; empty if it was good. */
static char why[1000];

/* NULL with a complaint. */
static struct config *
load(const char *ini)
{
	struct config_source src = { .file = "t.ini" };
	struct config_draft d;
	struct config *c = NULL;

	config_draft_init(&d);
	if (config_draft_load(&d, &src, bytes_str(ini)) == 0) {
		c = d.config;
		d.config = NULL;
	}
	snprintf(why, sizeof why, "%s", buf_cstr(&d.why));
	config_draft_done(&d);
	return c;
}

#endif
