/* SPDX-License-Identifier: MIT
 *
 * A courier that the test plays: what it is told of, what clients do of which it
 * hears, and its first words on a link.
 */
#ifndef TESTS_ROUTER_COURIER_H
#define TESTS_ROUTER_COURIER_H

#include "cluster.h"
#include "told.h"

#include "common/counters.h"

/* Not every test uses all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

#define HOOK	"subscription_count = yes\n" \
		"[webhook a]\nurl = https://hooks.example.org/\n"
#define STATES	HOOK "events = channel_occupied, member_added\n"
#define CLIENT	HOOK "events = client_event\n"

static void
join(struct mate *w, const char *channel, uint64_t flags)
{
	SAY(w, join, .app = B("1"), .channel = bytes_str(channel), .n = 1,
	    .flags = flags);
}

static void
leave(struct mate *w, const char *channel)
{
	SAY(w, leave, .app = B("1"), .channel = bytes_str(channel), .n = 1);
}

static void
enter(struct mate *w, const char *channel, const char *user, uint64_t flags)
{
	SAY(w, join, .app = B("1"), .channel = bytes_str(channel), .n = 1,
	    .user = bytes_str(user), .member = B("{}"),
	    .flags = JOIN_PRESENCE | flags);
}

static void
go(struct mate *w, const char *channel, const char *user)
{
	SAY(w, leave, .app = B("1"), .channel = bytes_str(channel), .n = 1,
	    .user = bytes_str(user));
}

static void
client_event(struct mate *w, uint64_t serial, const char *data,
    const char *user)
{
	SAY(w, publish, .serial = serial, .app = B("1"), .channel = B("c"),
	    .event = B("\"client-e\""), .data = bytes_str(data),
	    .user = bytes_str(user), .except_a = 5, .except_b = 6,
	    .flags = PUBLISH_CLIENT);
}

static void
ack(struct mate *k)
{
	SAY(k, hook_ack, .serial = k->serial);
}

/* The first words on a link, when nothing is there. */
static void
gets_empty_roll(struct mate *k)
{
	GETS(k, "hosts own=0 lost=0 live 0");
	GETS(k, "roll");
	GETS(k, "rolled");
	GETS_NONE(k);
}

static struct mate *
courier(struct rig *g)
{
	struct mate *k = rig_courier(g);

	rig_run(g);
	return k;
}

#endif
