/* SPDX-License-Identifier: MIT
 *
 * Names for router and courier, which are in jail and cannot look them up, and
 * connections to the unix socket of the router's broker: a resolver (resolver.h) is
 * started for each question, and the master waits for nothing.
 *
 * A router that was taken over can have names looked up, but not connect to
 * another socket than the one in the settings.  A courier that was taken over can
 * have the hosts of [webhook] sections looked up.
 *
 * Runs in: master.  Owns: the questions under way.
 */
#include <sys/socket.h>

#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/util.h"
#include "master/master.h"
#include "master/resolver.h"
#include "master/spawn.h"
#include "master/tell.h"

#define AT_A_TIME	8	/* of each role */
#define ADDRESSES	16

/* A question under way; one datagram answers it. */
struct question {
	struct event	*event;		/* NULL: free */
	int		 fd;
	unsigned	 slot;		/* of who asked: router or courier */
	uint64_t	 cookie, generation;
};

static struct question questions[2 * AT_A_TIME];

void	master_on_resolve(struct child *, struct ipc *,
	    const struct msg_resolve *);
void	master_on_lookup(struct child *, struct ipc *,
	    const struct msg_lookup *);

static struct child *
asker_of(const struct question *q)
{
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c))
		if (c->slot == q->slot && c->ipc != NULL &&
		    c->generation == q->generation)
			return c;
	return NULL;
}

static void
tell_list(struct child *c, uint64_t cookie, struct bytes *at, uint32_t n,
    struct bytes why)
{
	if (c->slot == SLOT_COURIER)
		TELL(c, found, .cookie = cookie, .addresses_out = { at, n },
		    .why = why);
	else
		TELL(c, resolved, .cookie = cookie, .addresses_out = { at, n },
		    .why = why);
}

static void
tell_why(struct child *c, uint64_t cookie, struct bytes why)
{
	if (why.n > 190)
		why.n = 190;
	tell_list(c, cookie, NULL, 0, why);
}

static void
tell_addresses(struct child *c, uint64_t cookie, struct bytes list)
{
	struct bytes at[ADDRESSES];
	uint32_t n = 0;
	size_t size;

	while (list.n > 0 && n < ADDRESSES) {
		size = (unsigned char)list.p[0];
		if ((size != 4 && size != 16) || size >= list.n)
			break;
		at[n++] = bytes_of(list.p + 1, size);
		list = bytes_skip(list, size + 1);
	}
	tell_list(c, cookie, at, n,
	    n == 0 ? B("the name has no address") : B(""));
}

static void
tell_connected(struct child *router, uint64_t cookie, int fd)
{
	struct buf frame = { 0 };
	struct msg_connected m = { .cookie = cookie };

	msg_pack_connected(&frame, &m);
	ipc_put_fd(router->ipc, buf_view(&frame), fd);
	buf_done(&frame);
}

static void
question_end(struct question *q)
{
	event_free(q->event);
	close(q->fd);
	q->event = NULL;
}

static void
on_answer(evutil_socket_t from, short what, void *arg)
{
	struct question *q = arg;
	struct child *c = asker_of(q);
	char text[RESOLVER_ANSWER_MAX];
	int fd = -1;
	ssize_t n = what & EV_TIMEOUT ? 0 :
	    fd_recv(from, text, sizeof(text), &fd);

	if (c == NULL)
		;
	else if (n > 0 && text[0] == 'A')
		tell_addresses(c, q->cookie, bytes_of(text + 1,
		    (size_t)n - 1));
	else if (n > 0 && text[0] == 'F' && fd >= 0 && child_is_router(c))
		tell_connected(c, q->cookie, fd);
	else if (n > 0 && text[0] == 'E')
		tell_why(c, q->cookie, bytes_of(text + 1, (size_t)n - 1));
	else
		tell_why(c, q->cookie, B("the lookup took too long or "
		    "failed"));
	if (fd >= 0)
		close(fd);
	question_end(q);
}

void
resolve_end(void)
{
	struct question *q;
	struct child *c;

	for (q = questions; q < questions + NELEM(questions); q++) {
		if (q->event == NULL)
			continue;
		if ((c = asker_of(q)) != NULL)
			tell_why(c, q->cookie, B("ask again: the service "
			    "is reloaded"));
		question_end(q);
	}
}

/* Those that the router works with. */
static const struct config *
settings_of(const struct child *router)
{
	return router->crew->config != NULL ? router->crew->config :
	    master.config;
}

static const char *
refusal(const struct config *config, struct bytes host)
{
	const struct config_backplane *set = &config->backplane;

	if (set->driver == BACKPLANE_NONE)
		return "there is no backplane";
	if (host.n == 0 || memchr(host.p, '\0', host.n) != NULL)
		return "that is no name";
	if (host.p[0] == '/' && !bytes_eq(host, bytes_str(set->host)))
		return "that is not the socket in the settings";
	return NULL;
}

/* Starts a resolver that knows what to look up; the end to read its answer
 * from, or -1 with why. */
static int
resolver_start(const char *user, struct bytes host, const char **why)
{
	struct buf text = { 0 };
	int ends[2];
	pid_t pid = -1;

	*why = "no process for it";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	buf_str(&text, user != NULL ? user : "");
	buf_char(&text, '\0');
	buf_bytes(&text, host);
	if (text.n <= RESOLVER_QUESTION_MAX &&
	    send(ends[0], text.p, text.n, MSG_NOSIGNAL) == (ssize_t)text.n)
		pid = spawn(master.exe, "peald: resolver", ends[1], why);
	buf_done(&text);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -1;
	}
	return ends[0];
}

/* A place for one more question of this role, or NULL. */
static struct question *
question_free(unsigned slot)
{
	struct question *q, *found = NULL;
	unsigned n = 0;

	for (q = questions; q < questions + NELEM(questions); q++)
		if (q->event == NULL)
			found = q;
		else
			n += q->slot == slot;
	return n < AT_A_TIME ? found : NULL;
}

static void
ask(struct child *c, uint64_t cookie, const char *user, struct bytes host)
{
	const struct timeval limit = { .tv_sec = RESOLVER_SECONDS + 1 };
	struct question *q = question_free(c->slot);
	const char *why = "too many names are looked up already";

	if (q == NULL || (q->fd = resolver_start(user, host, &why)) < 0) {
		tell_why(c, cookie, bytes_str(why));
		return;
	}
	q->event = event_new(master.base, q->fd, EV_READ, on_answer, q);
	if (q->event == NULL || event_add(q->event, &limit) < 0)
		fatal("no event for a lookup");
	q->slot = c->slot;
	q->cookie = cookie;
	q->generation = c->generation;
}

void
master_on_resolve(struct child *router, struct ipc *ipc,
    const struct msg_resolve *m)
{
	const struct config *config = settings_of(router);
	const char *why = refusal(config, m->host);

	(void)ipc;
	if (!child_is_router(router))
		return;
	if (why != NULL)
		tell_why(router, m->cookie, bytes_str(why));
	else
		ask(router, m->cookie, config->peal.user, m->host);
}

static bool
is_host_of_hook(struct bytes host)
{
	const struct config *set = master.config;
	struct config_target t;
	const char *why;

	for (size_t i = 0; i < set->n_webhook; i++)
		if (config_target_parse(bytes_str(set->webhook[i].url), &t,
		    &why) == 0 && bytes_ieq(t.host, host))
			return true;
	return false;
}

void
master_on_lookup(struct child *c, struct ipc *ipc, const struct msg_lookup *m)
{
	(void)ipc;
	if (c->slot != SLOT_COURIER)
		return;
	if (!is_host_of_hook(m->host))
		tell_why(c, m->cookie, B("that is no host of a webhook"));
	else
		ask(c, m->cookie, master.config->peal.user, m->host);
}
