/* SPDX-License-Identifier: MIT
 *
 * sd_notify(3) without the library.
 *
 * Runs in: master.  Owns: one datagram socket and the address it sends to.
 * Dies: with the process.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/notify.h"

static int notify_fd = -1;
static struct sockaddr_un notify_to;
static socklen_t notify_to_n;
static uint64_t watchdog_ms;

/* "@name" is a name in the abstract namespace, which starts with a NUL. */
static int
address_set(const char *name)
{
	size_t n = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || n < 2 ||
	    n >= sizeof(notify_to.sun_path))
		return -1;
	notify_to.sun_family = AF_UNIX;
	memcpy(notify_to.sun_path, name, n + 1);
	if (name[0] == '@')
		notify_to.sun_path[0] = '\0';
	notify_to_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return 0;
}

/* systemd sets WATCHDOG_PID to the process it means; ours, or not for us. */
static uint64_t
watchdog_read(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t n;

	if (usec == NULL || bytes_u64(bytes_str(usec), &n) < 0)
		return 0;
	if (pid != NULL && strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	n /= 2000;
	return n != 0 ? n : 1;
}

void
notify_init(void)
{
	const char *name = getenv("NOTIFY_SOCKET");

	if (name != NULL && address_set(name) == 0)
		notify_fd = socket(AF_UNIX,
		    SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify_fd >= 0)
		watchdog_ms = watchdog_read();
}

void
notify_send(const char *format, ...)
{
	char text[1024];
	va_list args;
	int n;

	if (notify_fd < 0)
		return;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	/* Nothing is lost with one line. */
	(void)!sendto(notify_fd, text, (size_t)n, MSG_NOSIGNAL,
	    (const struct sockaddr *)&notify_to, notify_to_n);
}

void
notify_reloading(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	notify_send("RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)t.tv_sec * 1000000 +
	    (unsigned long long)t.tv_nsec / 1000);
}

uint64_t
notify_watchdog_ms(void)
{
	return watchdog_ms;
}
