/* SPDX-License-Identifier: MIT
 *
 * The signals that the master obeys.
 *
 * Runs in: master.  Owns: see signals.h.
 */
#include <event2/event.h>

#include <sys/signalfd.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "master/signals.h"

static const struct signal_watch *watched;
static size_t n_watched;
static struct event *event;

/* One is read at a time: what it leads to may be an exec. */
static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo s;

	(void)what;
	(void)arg;
	while (read((int)fd, &s, sizeof(s)) == sizeof(s))
		for (size_t i = 0; i < n_watched; i++)
			if (watched[i].signum == (int)s.ssi_signo)
				watched[i].on(watched[i].signum);
}

void
signals_start(struct event_base *base, const struct signal_watch *list,
    size_t n)
{
	sigset_t set;
	int fd;

	watched = list;
	n_watched = n;
	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, list[i].signum);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Whoever started us may have had some of them ignored. */
	for (size_t i = 0; i < n; i++)
		signal(list[i].signum, SIG_DFL);
	if ((fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) < 0)
		fatal("no descriptor for signals: %s", strerror(errno));
	event = event_new(base, fd, EV_READ | EV_PERSIST, on_signal, NULL);
	if (event == NULL || event_add(event, NULL) < 0)
		fatal("no event for signals");
}

void
signals_end(void)
{
	if (event == NULL)
		return;
	close(event_get_fd(event));
	event_free(event);
	event = NULL;
}
