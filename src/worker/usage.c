/* SPDX-License-Identifier: MIT
 *
 * What each application's clients do: see usage.h.
 */
#include "worker/usage.h"

#include "common/util.h"
#include "front/front.h"
#include "worker/worker.h"

#define VERSION		5	/* MSG_VERSION of the first masters that ask */

/* The API has place 0, the front doors follow as in their list. */
static unsigned
place_of(const struct front *front)
{
	unsigned i = 0;

	if (front == NULL)
		return 0;
	while (front_list[i] != NULL && front_list[i] != front)
		i++;
	return i + 1 < APP_WAYS ? i + 1 : APP_WAYS - 1;
}

struct usage *
usage_of(struct app *app, const struct front *front)
{
	return &app->usage[place_of(front)];
}

void
usage_sent(struct app *app, const struct front *front, uint64_t messages,
    uint64_t octets)
{
	struct usage *u = usage_of(app, front);

	u->messages_out += messages;
	u->bytes_out += octets;
}

/* ---- telling ------------------------------------------------------------- */

static void
tell_way(struct app *app, const char *name, unsigned place)
{
	static struct buf packed;
	struct usage *u = &app->usage[place], *told = &app->told[place];

	if (memcmp(u, told, sizeof(*u)) == 0)
		return;
	*told = *u;
	buf_clear(&packed);
	usage_pack(u, &packed);
	msg_pack_usage(ipc_out(worker.master), &(struct msg_usage){
	    .app = app->id, .front = bytes_str(name),
	    .packed = buf_view(&packed) });
}

static void
tell_apps(void)
{
	struct app *app;
	size_t pos = 0;

	while ((app = app_next(&pos)) != NULL) {
		tell_way(app, "api", 0);
		for (unsigned i = 0; front_list[i] != NULL &&
		    i + 1 < APP_WAYS; i++)
			tell_way(app, front_list[i]->name, i + 1);
	}
}

static void
tell_closes(void)
{
	static uint64_t told[CLOSE_REASONS];
	static struct bytes names[CLOSE_REASONS];
	static struct buf packed;
	struct msg_closes m = { .names_out = { names, CLOSE_REASONS } };

	if (memcmp(told, closed_by, sizeof(told)) == 0)
		return;
	memcpy(told, closed_by, sizeof(told));
	for (unsigned i = 0; i < CLOSE_REASONS; i++)
		names[i] = bytes_str(close_info[i].name);
	buf_clear(&packed);
	msg_pack_numbers(&packed, told, CLOSE_REASONS);
	m.packed = buf_view(&packed);
	msg_pack_closes(ipc_out(worker.master), &m);
}

void
usage_tell(void)
{
	if (worker.master == NULL || worker.master_version < VERSION)
		return;
	tell_apps();
	tell_closes();
}
