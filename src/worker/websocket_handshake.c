/* SPDX-License-Identifier: MIT
 *
 * RFC 6455 section 4: what makes a request a handshake, and its answer.
 *
 * Runs in: workers.
 */
#include "common/crypto.h"
#include "worker/websocket.h"

/* base64 of 16 octets: 22 characters and two equals signs. */
static bool
key_ok(struct bytes key)
{
	if (key.n != 24 || key.p[22] != '=' || key.p[23] != '=')
		return false;
	for (size_t i = 0; i < 22; i++) {
		char c = key.p[i], lower = c | 32;

		if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '+' && c != '/')
			return false;
	}
	return true;
}

int
websocket_check(const struct http_request *r, const char **why)
{
	if (r->method != HTTP_GET) {
		*why = "a WebSocket handshake is a GET request";
		return 405;
	}
	if (!r->connection_upgrade ||
	    !http_list_has(r->upgrade, B("websocket"))) {
		*why = "no Upgrade to websocket";
		return 426;
	}
	if (!bytes_eq(r->ws_version, B("13"))) {
		*why = "WebSocket version 13 only";
		return 426;
	}
	if (r->minor == 0 || r->chunked || r->length > 0) {
		*why = "a WebSocket handshake is HTTP/1.1 without a body";
		return 400;
	}
	if (r->ws_key_twice || !key_ok(r->ws_key)) {
		*why = "bad Sec-WebSocket-Key";
		return 400;
	}
	return 0;
}

void
websocket_answer(const struct http_request *r, struct bytes extension,
    struct bytes protocol, struct buf *out)
{
	char accept[28];

	websocket_accept(r->ws_key, accept);
	buf_str(out, "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: ");
	buf_add(out, accept, sizeof(accept));
	if (extension.n > 0) {
		buf_str(out, "\r\nSec-WebSocket-Extensions: ");
		buf_bytes(out, extension);
	}
	if (protocol.n > 0) {
		buf_str(out, "\r\nSec-WebSocket-Protocol: ");
		buf_bytes(out, protocol);
	}
	buf_str(out, "\r\n\r\n");
}
