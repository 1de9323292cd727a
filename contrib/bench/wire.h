/* SPDX-License-Identifier: MIT
 *
 * What the programs of this folder write to a server and read of it: signatures,
 * WebSocket frames, signed requests of the HTTP API.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>

/* Before anything is signed; for each process anew or before it forks. */
void	wire_secret(const char *secret);
/* Hex of HMAC-SHA256 by the secret; with its NUL. */
void	wire_sign(char hex[65], const char *text, size_t n);

/* A signed call of the HTTP API, head and body, into room for at least
 * WIRE_HEAD + n octets; how long it is. */
#define WIRE_HEAD	1536
struct wire_call {
	const char	*host, *id, *key;
	const char	*method, *path;		/* behind /apps/ID */
	const char	*info;			/* of a question, or "" */
	bool		 once;			/* the server is to close */
};
size_t	wire_request(char *to, const struct wire_call *, const char *body,
	    size_t n);

/* A masked frame, into room for at least n + WIRE_FRAME; how long it is. */
#define WIRE_FRAME	14
size_t	wire_frame(char *to, unsigned opcode, const char *p, size_t n);
/* Of a server's frame: how long are its head and its body?  False: it is not
 * all there (*size is valid as soon as *head is not 0). */
bool	wire_whole(const unsigned char *p, size_t n, size_t *head, size_t *size);

#endif
