/* SPDX-License-Identifier: MIT
 *
 * For fuzz targets that drive a router: its settings, and a backplane that
 * carries nothing.
 */
#ifndef PEAL_FUZZ_ROUTER_H
#define PEAL_FUZZ_ROUTER_H

#include "fuzz.h"

#include <unistd.h>

#include "router/router.h"

/* ---- a backplane that carries nothing ----------------------------------- */

static void *
null_open(const struct config_backplane *set, struct event_base *base,
    const struct backplane_up *up, void *ctx, const char **why)
{
	(void)set, (void)base, (void)up, (void)why;
	return ctx;
}

static void
null_self(void *self)
{
	(void)self;
}

static void
null_topic(void *self, const struct topic *t)
{
	(void)self, (void)t;
}

static void
null_join(void *self, const struct topic *t, struct position since)
{
	(void)self, (void)t, (void)since;
}

static void
null_publish(void *self, const struct topic *t, struct bytes octets,
    uint64_t cookie)
{
	(void)self, (void)t, (void)octets, (void)cookie;
}

static const struct backplane null = {
	.name = "null", .open = null_open, .close = null_self,
	.start = null_self, .flush = null_self, .join = null_join,
	.leave = null_topic, .publish = null_publish,
};

/* ---- settings ----------------------------------------------------------- */

/* One application, and more. */
static struct config *
settings(const char *more)
{
	char *none[] = { NULL }, path[] = "/tmp/peal-fuzz-XXXXXX", *why;
	struct config_source source = { .file = path, .environ_ = none };
	struct config *c;
	int fd = mkstemp(path);

	MUST(fd >= 0);
	MUST(dprintf(fd, "[app chat]\nid = 1\nkey = k\nsecret = s\n%s",
	    more) > 0);
	close(fd);
	c = config_load(&source, &why);
	unlink(path);
	MUST(c != NULL);
	return c;
}

#endif
