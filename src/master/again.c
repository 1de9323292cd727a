/* SPDX-License-Identifier: MIT
 *
 * The master over an exec of itself.
 *
 * Runs in: master, before the exec and after it.  Owns: nothing.
 */
#include <config.h>		/* of configure, not our own */

#include <event2/event.h>

#include <sys/mman.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "common/msg.h"
#include "common/notify.h"
#include "common/util.h"
#include "master/again.h"
#include "master/beside.h"
#include "master/control.h"
#include "master/master.h"
#include "master/pidfile.h"
#include "master/preflight.h"
#include "master/reload.h"
#include "master/reloads.h"
#include "master/replace.h"
#include "master/resolver.h"
#include "master/state.h"
#include "master/stop.h"

#define FLUSH_MS	1000	/* for children to read what was sent to them */

static const char running[] = "/proc/self/exe";

/* ---- the binary ---------------------------------------------------------- */

static bool
is_this_binary(const char *path)
{
	struct stat file, self;

	return stat(path, &file) == 0 && stat(running, &self) == 0 &&
	    file.st_dev == self.st_dev && file.st_ino == self.st_ino;
}

/* The name that it was called by: it may be a link to the release in use, and an
 * upgrade points that to another one.  NULL: it is not that any more. */
static char *
name_called(void)
{
	const char *name = (const char *)(uintptr_t)getauxval(AT_EXECFN);
	char here[4096], *path;

	if (name == NULL || (name[0] != '/' &&
	    getcwd(here, sizeof(here)) == NULL))
		return NULL;
	path = name[0] == '/' ? xstrdup(name) :
	    xasprintf("%s/%s", here, name);
	/* Also "/proc/self/exe" itself would be found for ever. */
	if (strncmp(path, "/proc/", 6) != 0 && is_this_binary(path))
		return path;
	free(path);
	return NULL;
}

/* A file that was replaced before we looked is found by its name again. */
static char *
name_of_kernel(void)
{
	static const char gone[] = " (deleted)";
	char path[4096];
	ssize_t n = readlink(running, path, sizeof(path) - 1);
	size_t tail = sizeof(gone) - 1;

	if (n <= 0)
		die("%s: %s (is /proc mounted?)", running, strerror(errno));
	path[n] = '\0';
	if ((size_t)n > tail && access(path, F_OK) < 0 &&
	    strcmp(path + (size_t)n - tail, gone) == 0)
		path[(size_t)n - tail] = '\0';
	return xstrdup(path);
}

char *
again_exe(void)
{
	char *path = name_called();

	return path != NULL ? path : name_of_kernel();
}

bool
again_binary_changed(void)
{
	return !is_this_binary(master.exe);
}

/* ---- what is carried ----------------------------------------------------- */

static char *
copy(const char *text)
{
	return text != NULL ? xstrdup(text) : NULL;
}

static void
source_save(struct state *s)
{
	s->file = copy(master.source->file);
	s->env_file = copy(master.source->env_file);
	s->host = copy(master.source->host);
	s->port = copy(master.source->port);
	s->path = copy(master.source->path);
	s->hostname = copy(master.source->hostname);
	s->workers = copy(master.source->workers);
	s->debug = master.source->debug;
}

static void
identity_save(struct state *s)
{
	s->version = MSG_VERSION;
	s->oldest = MSG_OLDEST;
	s->release = xstrdup(PACKAGE_VERSION);
	s->node = master.node;
	s->incarnation = master.incarnation;
	buf_add(&s->tickets, master.tickets, sizeof(master.tickets));
	s->started_ms = master.started_ms;
	s->started_wall_ms = master.started_wall_ms;
	s->uid = master.uid;
	s->gid = master.gid;
	s->exe = xstrdup(master.exe);
	s->hup_is_reload = master.hup_is_reload;
	s->had_terminal = master.had_terminal;
	s->ready = master.ready;
	s->crews = master.crews;
	stop_save(s);
}

static void
listen_save(struct state *s)
{
	const struct listen_address *a;
	struct state_address *to;

	for (size_t i = 0; i < master.listen.n; i++) {
		a = &master.listen.at[i];
		to = state_add_address(s);
		to->section = a->section;
		to->label = copy(a->label);
		to->asked = copy(a->asked);
		to->entry = a->entry;
		to->local = a->local;
		to->text = copy(a->text);
		to->path = copy(a->path);
		to->workers = a->workers;
		for (unsigned k = 0; k < a->n_fd; k++)
			state_add_socket(to)->fd = a->fd[k];
	}
}

static void
child_save(const struct child *c, struct state_child *to)
{
	struct bytes unread = B("");

	to->slot = c->slot;
	to->generation = c->generation;
	to->spawns = c->spawns;
	to->knows = child_version(c);
	to->pid = (uint64_t)c->pid;
	to->link = c->ipc != NULL ? ipc_save(c->ipc, &unread) : -1;
	to->state = c->state;
	to->fails = c->fails;
	to->told_to_stop = c->told_to_stop;
	to->since_ms = c->since_ms;
	to->spawned_ms = c->spawned_ms;
	to->heard_ms = c->heard_ms;
	to->asked = c->asked;
	to->answered = c->answered;
	to->lost = xstrdup(c->lost);
	counters_pack(&c->counters, &to->counters);
	numbers_save_child(c, to);
	if (to->link >= 0)
		buf_bytes(&to->unread, unread);
}

static void
children_save(struct state *s)
{
	const struct crew *crew = master.crew[CREW_IN_FORCE];
	struct state_slot *slot;

	s->crew = crew->number;
	for (unsigned i = 0; i < crew->n; i++)
		child_save(&crew->at[i], state_add_child(s));
	child_save(&master.crew[CREW_BESIDE]->at[0], state_add_courier(s));
	beside_save(s);
	for (unsigned i = 0; i < NELEM(master.generation); i++) {
		slot = state_add_slot(s);
		slot->slot = i;
		slot->generation = master.generation[i];
		slot->restarts = master.restarts[i];
	}
	counters_pack(&master.retired, &s->retired);
	numbers_save(s);
	reloads_save(s);
}

static void
files_save(struct state *s)
{
	const char *path;

	s->log = log_fd();
	s->pid_file = pidfile_save(&path);
	s->pid_path = copy(path);
	control_save(s);
}

static void
state_fill(struct state *s, struct bytes next)
{
	state_init(s);
	identity_save(s);
	source_save(s);
	state_settings_pack(master.config, master.certificates, &s->settings,
	    &s->certificates, &s->n_certificates);
	listen_save(s);
	files_save(s);
	children_save(s);
	reload_save(s);
	buf_bytes(&s->next, next);
}

void
again_pack(struct bytes next, struct buf *out)
{
	struct state s;

	state_fill(&s, next);
	state_pack(&s, out);
	state_done(&s);
}

/* ---- the exec ------------------------------------------------------------ */

/* All that was said must have left: it cannot be carried.  Who is dead takes
 * nothing more, and its end is found after the exec. */
static int
links_flush(char **why)
{
	uint64_t until = clock_ms() + FLUSH_MS, now;
	struct child *c;

	for (c = children_next(NULL); c != NULL; c = children_next(c)) {
		if (c->ipc == NULL)
			continue;
		now = clock_ms();
		(void)ipc_flush_wait(c->ipc, now < until ? (int)(until - now) :
		    0);
		if (!ipc_waiting(c->ipc))
			continue;
		/* Its successor is told anew. */
		if (c->slot == SLOT_COURIER) {
			child_kill(c);
			continue;
		}
		*why = xasprintf("%s does not read what the master sends",
		    child_name(c));
		return -1;
	}
	return 0;
}

static int
possible(char **why)
{
	if (master.stopping)
		*why = xstrdup("the service is stopping");
	else if (replace_phase() != REPLACE_IDLE ||
	    master.crew[CREW_COMING] != NULL ||
	    master.crew[CREW_LEAVING] != NULL)
		*why = xstrdup("the processes of the last reload still leave");
	else if (!preflight_same_binary())
		*why = xasprintf("%s was replaced while it was tried: reload "
		    "again", master.exe);
	else
		return links_flush(why);
	return -1;
}

/* A memfd with it, or -1 with *why. */
static int
memory_make(struct bytes octets, char **why)
{
	int fd = memfd_create("peal-state", MFD_CLOEXEC);
	ssize_t n = 0;

	while (fd >= 0 && octets.n > 0) {
		n = write(fd, octets.p, octets.n);
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			octets = bytes_skip(octets, (size_t)n);
	}
	if (fd >= 0 && octets.n == 0)
		return fd;
	*why = xasprintf("no memory for the state: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The standard ones are open in everybody. */
static void
descriptor_keep(int fd, void *keep)
{
	if (fd > STDERR_FILENO)
		(void)fd_cloexec(fd, keep == NULL);
}

/* Returns with errno. */
static void
become(const struct state *s, int memory)
{
	static bool keep;
	char *title = master_title(master.source), number[16];
	char *const args[] = { title, number, NULL };
	int error;

	snprintf(number, sizeof(number), "%d", memory);
	state_each_descriptor(s, descriptor_keep, &keep);
	descriptor_keep(memory, &keep);
	execve(master.exe, args, environ);
	error = errno;
	state_each_descriptor(s, descriptor_keep, NULL);
	free(title);
	errno = error;
}

int
again_exec(struct bytes next, char **why)
{
	struct buf packed = { 0 };
	struct state s;
	int memory;

	resolve_end();
	if (possible(why) < 0)
		return -1;
	state_fill(&s, next);
	state_pack(&s, &packed);
	if ((memory = memory_make(buf_view(&packed), why)) >= 0) {
		log_info("becoming the binary on disk file=%s", master.exe);
		become(&s, memory);
		*why = xasprintf("%s: %s", master.exe, strerror(errno));
		close(memory);
	}
	explicit_bzero(packed.p, packed.n);
	buf_done(&packed);
	state_done(&s);
	return -1;
}

/* ---- behind it ----------------------------------------------------------- */

static void
memory_read(int fd, struct buf *to)
{
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0)
		die("no state to go on with: %s", strerror(errno));
	while ((n = read(fd, buf_room(to, 65536), 65536)) > 0 ||
	    (n < 0 && errno == EINTR))
		to->n += n > 0 ? (size_t)n : 0;
	if (n < 0)
		die("no state to go on with: %s", strerror(errno));
	close(fd);
}

/* Its texts are those of the state, which stays. */
static const struct config_source *
source_restore(const struct state *s)
{
	static struct config_source source;

	source = (struct config_source){
		.file = s->file, .env_file = s->env_file, .environ_ = environ,
		.host = s->host, .port = s->port, .path = s->path,
		.hostname = s->hostname, .workers = s->workers,
		.debug = s->debug != 0,
	};
	return &source;
}

static void
identity_restore(const struct state *s)
{
	master.node = s->node;
	master.incarnation = s->incarnation;
	if (s->tickets.n == sizeof(master.tickets))
		memcpy(master.tickets, s->tickets.p, sizeof(master.tickets));
	else
		random_fill(master.tickets, sizeof(master.tickets));
	master.started_ms = s->started_ms;
	master.started_wall_ms = s->started_wall_ms;
	master.uid = (uid_t)s->uid;
	master.gid = (gid_t)s->gid;
	master.exe = xstrdup(s->exe);
	master.hup_is_reload = s->hup_is_reload != 0;
	master.had_terminal = s->had_terminal != 0;
	master.ready = s->ready != 0;
}

static void
address_restore(const struct state_address *from, struct listen_address *a)
{
	*a = (struct listen_address){
		.section = (unsigned)from->section, .label = copy(from->label),
		.asked = copy(from->asked), .entry = (unsigned)from->entry,
		.local = from->local != 0, .text = copy(from->text),
		.path = copy(from->path), .workers = (unsigned)from->workers,
		.n_fd = (unsigned)from->n_sockets,
		.fd = xcalloc(from->n_sockets, sizeof(*a->fd)),
	};
	for (unsigned i = 0; i < a->n_fd; i++)
		a->fd[i] = from->sockets[i].fd;
}

static void
listen_restore(const struct state *s)
{
	master.listen.n = s->n_addresses;
	master.listen.at = xcalloc(s->n_addresses, sizeof(*master.listen.at));
	for (size_t i = 0; i < s->n_addresses; i++)
		address_restore(&s->addresses[i], &master.listen.at[i]);
}

/* Without its link a process cannot be spoken to: it ends, and is replaced. */
static void
child_restore(const struct state_child *from, struct child *c)
{
	c->pid = (pid_t)from->pid;
	c->generation = from->generation;
	c->spawns = (unsigned)from->spawns;
	c->version = from->knows;
	c->state = from->pid == 0 ? CHILD_DOWN :
	    from->link < 0 ? CHILD_ENDING :
	    from->state == CHILD_UP ? CHILD_UP : CHILD_STARTING;
	c->fails = (unsigned)from->fails;
	c->told_to_stop = from->told_to_stop != 0;
	c->since_ms = from->since_ms;
	c->spawned_ms = from->spawned_ms;
	c->heard_ms = clock_ms();
	c->asked = from->asked;
	c->answered = from->answered;
	if (from->lost != NULL)
		snprintf(c->lost, sizeof(c->lost), "%s", from->lost);
	(void)counters_unpack(&c->counters, buf_view(&from->counters));
	numbers_restore_child(from, c);
	child_adopt(c, from->link);
	if (c->ipc != NULL)
		ipc_restore(c->ipc, buf_view(&from->unread));
}

static void
children_restore(const struct state *s)
{
	struct crew *crew;
	unsigned workers = (unsigned)s->n_children - SLOT_WORKER_FIRST;

	for (size_t i = 0; i < s->n_slots; i++) {
		if (s->slots[i].slot >= NELEM(master.generation))
			continue;
		master.generation[s->slots[i].slot] = s->slots[i].generation;
		master.restarts[s->slots[i].slot] = s->slots[i].restarts;
	}
	(void)counters_unpack(&master.retired, buf_view(&s->retired));
	numbers_restore(s);
	reloads_restore(s);
	crew = master.crew[CREW_IN_FORCE] = crew_new(workers);
	crew->number = s->crew;
	master.crews = s->crews;
	for (size_t i = 0; i < s->n_children; i++)
		child_restore(&s->children[i], &crew->at[s->children[i].slot]);
	crew = master.crew[CREW_BESIDE] = crew_new_beside();
	if (s->n_courier != 0)
		child_restore(&s->courier[0], &crew->at[0]);
	beside_restore(s);
}

static void
files_restore(const struct state *s)
{
	if (s->log > STDERR_FILENO)
		log_to_fd(s->log);
	if (s->pid_file >= 0)
		pidfile_restore(s->pid_file, s->pid_path);
	control_restore(s);
}

static void
settings_restore(const struct state *s)
{
	const char *words;
	char *why;

	if (state_settings_unpack(buf_view(&s->settings), s->certificates,
	    s->n_certificates, &master.config, &master.certificates,
	    &why) < 0)
		die("the state was tried, and does not fit now: %s", why);
	if (state_check(s, master.config->n_listen, &words) < 0)
		die("the state was tried, and does not fit now: %s", words);
	process_log_settings(master.config);
}

/* Everything but the loop.  What preflight has tried with the same octets does
 * not fail here; if it did, there would be nothing to go on with. */
static void
restore(const struct state *s)
{
	char *title;

	state_each_descriptor(s, descriptor_keep, NULL);
	settings_restore(s);
	master.source = source_restore(s);
	title = master_title(master.source);
	title_set("%s", title);
	free(title);
	identity_restore(s);
	listen_restore(s);
	if ((master.base = event_base_new()) == NULL)
		die("no event loop: %s", strerror(errno));
	children_restore(s);
	files_restore(s);
	reload_restore(s);
	stop_restore(s);
}

int
again_main(int memfd)
{
	static struct state s;
	struct buf packed = { 0 };
	const char *why;

	log_init("master");
	notify_init();
	memory_read(memfd, &packed);
	if (state_unpack(&s, buf_view(&packed), &why) < 0)
		die("%s", why);
	explicit_bzero(packed.p, packed.n);
	buf_done(&packed);
	restore(&s);
	log_info("goes on in the binary on disk version=%s before=%s pid=%d "
	    "processes=%u", PACKAGE_VERSION, s.release != NULL ? s.release :
	    "?", (int)getpid(), children_count());
	master_events();
	replace_begin(buf_view(&s.next));
	return master_run();
}
