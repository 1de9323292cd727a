/* SPDX-License-Identifier: MIT
 *
 * A front door that sends back what it gets, for the WebSocket conformance
 * tests and as the smallest example of one.  Linked into tests/peald-echo only:
 * its front_list takes the place of that of src/front/list.c.
 */
#include "front/front.h"
#include "worker/app.h"

static unsigned
echo_match(const struct http_request *req, struct bytes path)
{
	(void)req;
	return bytes_eq(path, B("/echo")) ? FRONT_WS : 0;
}

/* Limits are those of the first app. */
static void
echo_open(struct client *c, const struct http_request *req, struct bytes path)
{
	size_t pos = 0;

	(void)req, (void)path;
	c->app = app_next(&pos);
	client_enter(c);
}

static void
echo_input(struct client *c, enum websocket_kind kind, struct bytes message)
{
	if (kind == WEBSOCKET_TEXT)
		client_send_text(c, message);
	else
		client_send_binary(c, message);
}

static void
echo_tick(struct client *c, uint32_t now)
{
	(void)c, (void)now;
}

static const struct front front_echo = {
	.name = "echo",
	.flags = FRONT_WS,
	.match = echo_match,
	.open = echo_open,
	.input = echo_input,
	.tick = echo_tick,
};

const struct front *const front_list[] = {
	&front_echo, &front_pusher, NULL
};
