/* SPDX-License-Identifier: MIT
 *
 * Programs for the kernel: which of an address's sockets a new connection comes
 * to, if to any.
 *
 * Runs in: master.
 */
#include <sys/socket.h>

#include <linux/filter.h>

#include <errno.h>

#include "common/log.h"
#include "common/util.h"
#include "master/listen.h"

/* Where a segment's flags are, and the one that opens a connection. */
#define TCP_FLAGS	13
#define TCP_SYN_FLAG	0x02

/* The kernel is given all octets of it, those between its members too. */
static void
program_set(struct sock_fprog *program, struct sock_filter *code, size_t n)
{
	memset(program, 0, sizeof(*program));
	program->len = (unsigned short)n;
	program->filter = code;
}

void
listen_steer(const struct listen_address *a)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    (unsigned)(SKF_AD_OFF + SKF_AD_RANDOM)),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, a->workers),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog program;
	int none = 0;

	program_set(&program, code, NELEM(code));
	if (a->workers == a->n_fd && (setsockopt(a->fd[0], SOL_SOCKET,
	    SO_DETACH_REUSEPORT_BPF, &none, sizeof(none)) == 0 ||
	    errno == ENOENT))
		return;
	if (setsockopt(a->fd[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF,
	    &program, sizeof(program)) < 0)
		log_debug("connections are spread unevenly address=%s why=\"%s\"",
		    a->text, strerror(errno));
}

void
listen_turn_away(const struct listen_address *a)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TCP_SYN_FLAG, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program;

	program_set(&program, code, NELEM(code));
	for (unsigned i = 0; i < a->n_fd; i++)
		if (setsockopt(a->fd[i], SOL_SOCKET, SO_ATTACH_FILTER,
		    &program, sizeof(program)) < 0)
			log_debug("a listener that leaves is open to the end "
			    "address=%s why=\"%s\"", a->text,
			    strerror(errno));
}
