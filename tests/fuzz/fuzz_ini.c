/* SPDX-License-Identifier: MIT
 *
 * Settings: the octets as peal.ini and as a .env file.  What is refused says
 * so in one line.  What is accepted comes back the same from its dump and from
 * its packed form.
 */
#include "common/config_parts.h"
#include "common/util.h"
#include "fuzz.h"

static char *const environment[] = { (char[]){ "HOME=/root" },
	(char[]){ "EMPTY=" }, (char[]){ "SECRET=a;b#c ${HOME}\\\"" }, NULL };

static const struct config_source source = { .file = "fuzz.ini",
	.environ_ = environment };

static void
complains(const struct config_draft *d, int rc)
{
	MUST((rc < 0) == (d->why.n > 0));
	MUST(bytes_find(buf_view(&d->why), '\n') < 0);
}

static void
same(const struct config *a, const struct config *b)
{
	struct buf names = { 0 };
	bool reload;

	config_diff(a, b, &names, &reload);
	MUST(names.n == 0 && !reload);
	buf_done(&names);
}

static void
dump_and_load(const struct config *c)
{
	struct config_draft d;
	struct buf text = { 0 };

	config_dump(c, true, &text);
	config_draft_init(&d);
	MUST(config_draft_load(&d, &source, buf_view(&text)) == 0);
	same(c, d.config);
	config_draft_done(&d);
	buf_done(&text);
}

static void
pack_and_unpack(const struct config *c)
{
	struct buf packed = { 0 };
	struct config *back;
	char *why = NULL;

	config_pack(c, CONFIG_ALL, &packed);
	back = config_unpack(buf_view(&packed), &why);
	MUST(back != NULL);
	same(c, back);
	config_free(back);
	buf_done(&packed);
}

static void
as_ini(struct bytes in)
{
	struct config_draft d;
	int rc;

	config_draft_init(&d);
	d.env.environ_ = environment;
	rc = config_draft_load(&d, &source, in);
	complains(&d, rc);
	if (rc == 0) {
		dump_and_load(d.config);
		pack_and_unpack(d.config);
		free(config_control_path(d.config));
	}
	config_draft_done(&d);
}

static void
as_env(struct bytes in)
{
	struct config_draft d;
	int rc;

	config_draft_init(&d);
	d.env.environ_ = environment;
	rc = config_env_parse(&d.env, "fuzz.env", in, &d.why);
	if (rc == 0)
		rc = config_draft_load(&d, &source, B(""));
	complains(&d, rc);
	if (rc == 0)
		dump_and_load(d.config);
	config_draft_done(&d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_ini(bytes_of(data, size));
	as_env(bytes_of(data, size));
	return 0;
}
