/* SPDX-License-Identifier: MIT
 *
 * Packing and checked unpacking of the messages in tables/messages.def, see
 * msg.h.
 *
 * msgpack-c allocates what an array's header announces, so every body is walked
 * once before it gets there: all headers must fit the octets there are, and
 * nothing but numbers, byte strings and one level of lists may stand in it.
 */
#include "common/msg.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"

#define FIELDS_MAX	64	/* of a message, the code included */
#define LIST_MAX	10000	/* strings of a list */
#define NUMBERS_MAX	10000	/* of msg_unpack_numbers() */

static const char *const names[MSG_TYPES] = {
#define MESSAGE(code, name, to)	[code] = #name,
#define NUM(f)
#define BYTES_(f, max)
#define LIST(f, max)
#define FD(f)
#define END
#include "tables/messages.def"
};

const char *
msg_name(unsigned type)
{
	return type < MSG_TYPES ? names[type] : NULL;
}

/* ---- packing ------------------------------------------------------------ */

static int
to_buf(void *buf, const char *p, size_t n)
{
	buf_add(buf, p, n);
	return 0;
}

/* A message on its way into a buf. */
struct packing {
	struct buf	*out;
	size_t		 start;		/* of the frame in out */
	msgpack_packer	 pk;
	const char	*name;
	const char	*too_large;	/* the field that is */
};

static void
pack_start(struct packing *p, struct buf *out, unsigned code, const char *name,
    unsigned fields)
{
	p->out = out;
	p->start = out->n;
	p->name = name;
	p->too_large = NULL;
	buf_add(out, "\0\0\0\0", 4);
	msgpack_packer_init(&p->pk, out, to_buf);
	msgpack_pack_array(&p->pk, fields + 1);
	msgpack_pack_uint32(&p->pk, code);
}

static void
pack_bytes(struct packing *p, struct bytes b, size_t max, const char *field)
{
	if (b.n > max) {
		p->too_large = field;
		return;
	}
	msgpack_pack_bin(&p->pk, b.n);
	if (b.n != 0)
		msgpack_pack_bin_body(&p->pk, b.p, b.n);
}

/* From strings, or (a message passed on) from the list it came with. */
static void
pack_list(struct packing *p, const struct msg_strings *strings,
    const struct msg_list *list, uint32_t max, const char *field)
{
	uint32_t n = strings->at != NULL ? strings->n : list->n;

	if (n > max) {
		p->too_large = field;
		return;
	}
	msgpack_pack_array(&p->pk, n);
	for (uint32_t i = 0; i < n; i++)
		pack_bytes(p, strings->at != NULL ? strings->at[i] :
		    msg_list_at(list, i), MSG_MAX, field);
}

static void
pack_end(struct packing *p)
{
	size_t n = p->out->n - p->start - 4;
	char *at = p->out->p + p->start;

	if (p->too_large == NULL && n > MSG_FRAME_MAX)
		p->too_large = "the whole";
	if (p->too_large != NULL) {
		/* The receiver would end the link for it. */
		p->out->n = p->start;
		log_error("message %s not sent: %s is too large", p->name,
		    p->too_large);
		return;
	}
	at[0] = (char)(n >> 24);
	at[1] = (char)(n >> 16);
	at[2] = (char)(n >> 8);
	at[3] = (char)n;
}

enum {
#define MESSAGE(code, name, to)	FIELDS_OF_##name = 0
#define NUM(f)			+ 1
#define BYTES_(f, max)		+ 1
#define LIST(f, max)		+ 1
#define FD(f)
#define END			,
#include "tables/messages.def"
};

#define MESSAGE(code, name, to)						\
void									\
msg_pack_##name(struct buf *out, const struct msg_##name *m)		\
{									\
	struct packing p;						\
									\
	(void)m;							\
	pack_start(&p, out, code, #name, FIELDS_OF_##name);
#define NUM(f)		msgpack_pack_uint64(&p.pk, m->f);
#define BYTES_(f, max)	pack_bytes(&p, m->f, max, #f);
#define LIST(f, max)	pack_list(&p, &m->f##_out, &m->f, max, #f);
#define FD(f)
#define END		pack_end(&p); }
#include "tables/messages.def"

void
msg_pack_numbers(struct buf *out, const uint64_t *numbers, size_t n)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, out, to_buf);
	msgpack_pack_array(&pk, n);
	for (size_t i = 0; i < n; i++)
		msgpack_pack_uint64(&pk, numbers[i]);
}

/* ---- the walk before ---------------------------------------------------- */

struct walk {
	const unsigned char	*p, *end;
};

/* A big-endian number of n octets; -1 if they are not all there. */
static int64_t
walk_size(struct walk *w, size_t n)
{
	uint32_t value = 0;

	if ((size_t)(w->end - w->p) < n)
		return -1;
	while (n-- > 0)
		value = value << 8 | *w->p++;
	return value;
}

static int
walk_skip(struct walk *w, int64_t n)
{
	if (n < 0 || n > w->end - w->p)
		return -1;
	w->p += n;
	return 0;
}

/* A number or a byte string whose first octet is c. */
static int
walk_scalar(struct walk *w, unsigned char c)
{
	if (c <= 0x7f)				/* positive fixint */
		return 0;
	if (c >= 0xa0 && c <= 0xbf)		/* fixstr */
		return walk_skip(w, c & 0x1f);
	if (c >= 0xcc && c <= 0xcf)		/* uint 8 to 64 */
		return walk_skip(w, 1 << (c - 0xcc));
	if (c >= 0xc4 && c <= 0xc6)		/* bin 8 to 32 */
		return walk_skip(w, walk_size(w, 1u << (c - 0xc4)));
	if (c >= 0xd9 && c <= 0xdb)		/* str 8 to 32 */
		return walk_skip(w, walk_size(w, 1u << (c - 0xd9)));
	return -1;
}

/* Elements of the array whose first octet is c; -1: none, or no array. */
static int64_t
walk_array(struct walk *w, unsigned char c, int64_t max)
{
	int64_t n = -1;

	if (c >= 0x90 && c <= 0x9f)		/* fixarray */
		n = c & 0x0f;
	else if (c == 0xdc || c == 0xdd)	/* array 16, 32 */
		n = walk_size(w, c == 0xdc ? 2 : 4);
	/* Each element is an octet at least. */
	return n <= max && n <= w->end - w->p ? n : -1;
}

static int
walk_list(struct walk *w, unsigned char c)
{
	int64_t n = walk_array(w, c, LIST_MAX);

	for (int64_t i = 0; i < n; i++) {
		if (w->p == w->end || walk_scalar(w, *w->p++) < 0)
			return -1;
	}
	return n < 0 ? -1 : 0;
}

/* True if body is an array of at most max numbers, byte strings and lists of
 * such, and nothing else. */
static bool
well_formed(struct bytes body, int64_t max)
{
	struct walk w = { .p = (const unsigned char *)body.p };
	unsigned char c;
	int64_t n;

	if (body.n == 0)
		return false;
	w.end = w.p + body.n;
	c = *w.p++;
	n = walk_array(&w, c, max);
	for (int64_t i = 0; i < n; i++) {
		if (w.p == w.end)
			return false;
		c = *w.p++;
		if ((c >= 0x90 && c <= 0x9f) || c == 0xdc || c == 0xdd) {
			if (walk_list(&w, c) < 0)
				return false;
		} else if (walk_scalar(&w, c) < 0) {
			return false;
		}
	}
	return n >= 0 && w.p == w.end;
}

/* ---- reading ------------------------------------------------------------ */

struct msg_reader {
	msgpack_zone	zone;
};

/* Holds the fields of every usual message, so that none allocates. */
#define ZONE_CHUNK	4096

struct msg_reader *
msg_reader_new(void)
{
	struct msg_reader *r = xcalloc(1, sizeof(*r));

	if (!msgpack_zone_init(&r->zone, ZONE_CHUNK))
		fatal("out of memory for messages");
	return r;
}

void
msg_reader_free(struct msg_reader *r)
{
	if (r == NULL)
		return;
	msgpack_zone_destroy(&r->zone);
	free(r);
}

/* The array in body; its elements live in the zone. */
static int
read_array(msgpack_zone *zone, struct bytes body, int64_t max,
    msgpack_object_array *out)
{
	msgpack_object object;

	if (!well_formed(body, max) || msgpack_unpack(body.p, body.n, NULL,
	    zone, &object) != MSGPACK_UNPACK_SUCCESS ||
	    object.type != MSGPACK_OBJECT_ARRAY)
		return -1;
	*out = object.via.array;
	return 0;
}

int
msg_read(struct msg_reader *r, struct bytes body, unsigned *type,
    struct unpacker *u, const char **why)
{
	msgpack_object_array all;

	msgpack_zone_clear(&r->zone);
	if (read_array(&r->zone, body, FIELDS_MAX, &all) < 0) {
		*why = "message is malformed";
		return -1;
	}
	if (all.size == 0 || all.ptr[0].type !=
	    MSGPACK_OBJECT_POSITIVE_INTEGER) {
		*why = "message has no type";
		return -1;
	}
	if (all.ptr[0].via.u64 >= MSG_TYPES ||
	    names[all.ptr[0].via.u64] == NULL) {
		*why = "message of an unknown type";
		return -1;
	}
	*type = (unsigned)all.ptr[0].via.u64;
	*u = (struct unpacker){ .field = all.ptr + 1, .left = all.size - 1 };
	return 0;
}

int
msg_unpack_numbers(struct bytes packed, uint64_t *numbers, size_t n)
{
	msgpack_object_array all;
	msgpack_zone zone;
	int result = -1;

	if (!msgpack_zone_init(&zone, ZONE_CHUNK))
		fatal("out of memory for messages");
	if (read_array(&zone, packed, NUMBERS_MAX, &all) == 0) {
		result = 0;
		for (uint32_t i = 0; i < all.size; i++)
			if (all.ptr[i].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
				result = -1;
	}
	for (size_t i = 0; result == 0 && i < n; i++)
		numbers[i] = i < all.size ? all.ptr[i].via.u64 : 0;
	msgpack_zone_destroy(&zone);
	return result;
}

/* ---- unpacking ---------------------------------------------------------- */

/* A message on its way out of an unpacker. */
struct unpacking {
	struct unpacker	 u;
	const char	*message, **why;
};

static int
refuse(struct unpacking *u, const char *field, const char *what)
{
	static char text[120];

	snprintf(text, sizeof(text), "message %s: %s%s%s", u->message, field,
	    field[0] != '\0' ? " " : "", what);
	*u->why = text;
	return -1;
}

static void
unpack_start(struct unpacking *u, const struct unpacker *from,
    const char *message, uint32_t fields, const char **why)
{
	u->u = *from;
	u->message = message;
	u->why = why;
	/* A newer release may have put more behind: they are not for us. */
	if (from->left > fields)
		u->u.left = fields;
}

/* NULL: an older release does not send it, and it is 0 or empty. */
static const msgpack_object *
next_field(struct unpacking *u)
{
	if (u->u.left == 0)
		return NULL;
	u->u.left--;
	return u->u.field++;
}

/* Only the bytes of a string or binary; false if it is neither. */
static bool
object_bytes(const msgpack_object *o, struct bytes *out)
{
	if (o->type == MSGPACK_OBJECT_BIN)
		*out = bytes_of(o->via.bin.ptr, o->via.bin.size);
	else if (o->type == MSGPACK_OBJECT_STR)
		*out = bytes_of(o->via.str.ptr, o->via.str.size);
	else
		return false;
	return true;
}

static int
unpack_num(struct unpacking *u, uint64_t *out, const char *field)
{
	const msgpack_object *o = next_field(u);

	if (o == NULL)
		return 0;
	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return refuse(u, field, "is no number");
	*out = o->via.u64;
	return 0;
}

static int
unpack_bytes(struct unpacking *u, struct bytes *out, size_t max,
    const char *field)
{
	const msgpack_object *o = next_field(u);

	if (o == NULL)
		return 0;
	if (!object_bytes(o, out))
		return refuse(u, field, "is no byte string");
	if (out->n > max)
		return refuse(u, field, "is too long");
	return 0;
}

static int
unpack_list(struct unpacking *u, struct msg_list *out, uint32_t max,
    const char *field)
{
	const msgpack_object *o = next_field(u);
	struct bytes b;

	if (o == NULL)
		return 0;
	if (o->type != MSGPACK_OBJECT_ARRAY)
		return refuse(u, field, "is no list");
	if (o->via.array.size > max)
		return refuse(u, field, "is too long");
	out->at = o->via.array.ptr;
	out->n = o->via.array.size;
	for (uint32_t i = 0; i < out->n; i++) {
		if (!object_bytes(&out->at[i], &b))
			return refuse(u, field, "holds no byte strings");
	}
	return 0;
}

static int
unpack_fd(struct unpacking *u, int *out, const char *field)
{
	if (u->u.n_fds == 0)
		return refuse(u, field, "came without its descriptor");
	u->u.n_fds--;
	*out = *u->u.fds++;
	return 0;
}

struct bytes
msg_list_at(const struct msg_list *list, uint32_t i)
{
	struct bytes b = { NULL, 0 };

	if (i >= list->n || !object_bytes(&list->at[i], &b))
		fatal("string %u of a list of %u", i, list->n);
	return b;
}

/* Nothing is taken from the unpacker, descriptors least of all, unless the
 * whole message is right.  Then all is, also what was not for us. */
#define MESSAGE(code, name, to)						\
int									\
msg_unpack_##name(struct unpacker *from, struct msg_##name *m,		\
    const char **why)							\
{									\
	struct unpacking u;						\
									\
	*m = (struct msg_##name){ .end_ = { 0 } };			\
	unpack_start(&u, from, #name, FIELDS_OF_##name, why);
#define NUM(f)								\
	if (unpack_num(&u, &m->f, #f) < 0)				\
		return -1;
#define BYTES_(f, max)							\
	if (unpack_bytes(&u, &m->f, max, #f) < 0)			\
		return -1;
#define LIST(f, max)							\
	_Static_assert((max) <= LIST_MAX, #f " is too long a list");	\
	if (unpack_list(&u, &m->f, max, #f) < 0)			\
		return -1;
#define FD(f)								\
	if (unpack_fd(&u, &m->f, #f) < 0)				\
		return -1;
#define END								\
	*from = u.u;							\
	from->left = 0;							\
	return 0;							\
}
#include "tables/messages.def"
