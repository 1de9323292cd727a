/* SPDX-License-Identifier: MIT
 *
 * Packing and checked unpacking of the messages in tables/messages.def, see
 * msg.h.
 *
 * Every message that is passed on goes through here once in each process, so
 * both ways are made for it: a body is walked once, in which everything is
 * checked and each field noted (msgpack-c would have to be given a checked body,
 * walk it again and make objects of it), and a message is written into room
 * that was made for all of it (msgpack-c calls back for each field).  The octets
 * are the same as its.
 */
#include "common/msg.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/packed.h"
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

#define LENGTH		4u	/* of a frame, in front of it */
#define NUM_ROOM	9u	/* octets that a number takes at most */
#define BYTES_ROOM	5u	/* the head of a byte string, or of an array */
#define START_ROOM	(LENGTH + BYTES_ROOM + NUM_ROOM)

/* Each of these writes up to that many octets at `to`, and returns the end of
 * those that count. */
static inline char *
put_num(char *to, uint64_t value)
{
	uint64_t wire;
	unsigned log;

	if (value <= 0x7f) {			/* positive fixint */
		*to = (char)value;
		return to + 1;
	}
	/* uint 8 to 64 */
	log = value <= 0xff ? 0 : value <= 0xffff ? 1 : value <= 0xffffffff ?
	    2 : 3;
	wire = htobe64(value << (64 - (8u << log)));
	*to = (char)(0xcc + log);
	memcpy(to + 1, &wire, sizeof(wire));
	return to + 1 + (1u << log);
}

static inline char *
put_bytes_head(char *to, uint32_t n)
{
	unsigned log = n <= 0xff ? 0 : n <= 0xffff ? 1 : 2;	/* bin 8 to 32 */
	uint32_t wire = htobe32(n << (32 - (8u << log)));

	*to = (char)(0xc4 + log);
	memcpy(to + 1, &wire, sizeof(wire));
	return to + 1 + (1u << log);
}

static inline char *
put_array_head(char *to, uint32_t n)
{
	bool small = n <= 0xffff;			/* array 16, 32 */
	uint32_t wire = htobe32(small ? n << 16 : n);

	if (n <= 0x0f) {				/* fixarray */
		*to = (char)(0x90 | n);
		return to + 1;
	}
	*to = (char)(small ? 0xdc : 0xdd);
	memcpy(to + 1, &wire, sizeof(wire));
	return to + (small ? 3 : 5);
}

/* A message on its way into a buf, where there is room for it. */
struct packing {
	struct buf	*out;
	char		*to;
	const char	*name;
	const char	*too_large;	/* the field that is */
};

/* A field over its maximum is not written. */
static inline size_t
bytes_room(struct bytes b, size_t max)
{
	return BYTES_ROOM + (b.n <= max ? b.n : 0);
}

/* The i-th string of a list: from strings, or (a message passed on) from the list
 * it came with. */
static struct bytes
string_at(const struct msg_strings *strings, const struct msg_list *list,
    uint32_t i)
{
	return strings->at != NULL ? strings->at[i] : msg_list_at(list, i);
}

static uint32_t
strings_n(const struct msg_strings *strings, const struct msg_list *list)
{
	return strings->at != NULL ? strings->n : list->n;
}

static size_t
list_room(const struct msg_strings *strings, const struct msg_list *list,
    uint32_t max)
{
	uint32_t n = strings_n(strings, list);
	size_t room = BYTES_ROOM;

	for (uint32_t i = 0; n <= max && i < n; i++)
		room += bytes_room(string_at(strings, list, i), MSG_MAX);
	return room;
}

static inline void
pack_start(struct packing *p, struct buf *out, size_t room, unsigned code,
    const char *name, unsigned fields)
{
	p->out = out;
	p->to = buf_room(out, room) + LENGTH;
	p->name = name;
	p->too_large = NULL;
	p->to = put_array_head(p->to, fields + 1);
	p->to = put_num(p->to, code);
}

static inline void
pack_string(struct packing *p, struct bytes b, size_t max, const char *field)
{
	if (b.n > max) {
		p->too_large = field;
		return;
	}
	p->to = put_bytes_head(p->to, (uint32_t)b.n);
	if (b.n != 0)
		memcpy(p->to, b.p, b.n);
	p->to += b.n;
}

static void
pack_list(struct packing *p, const struct msg_strings *strings,
    const struct msg_list *list, uint32_t max, const char *field)
{
	uint32_t n = strings_n(strings, list);

	if (n > max) {
		p->too_large = field;
		return;
	}
	p->to = put_array_head(p->to, n);
	for (uint32_t i = 0; i < n; i++)
		pack_string(p, string_at(strings, list, i), MSG_MAX, field);
}

static inline void
pack_end(struct packing *p)
{
	char *at = p->out->p + p->out->n;
	size_t n = (size_t)(p->to - at) - LENGTH;
	uint32_t wire = htobe32((uint32_t)n);

	if (p->too_large == NULL && n > MSG_FRAME_MAX)
		p->too_large = "the whole";
	if (p->too_large != NULL) {
		/* The receiver would end the link for it. */
		log_error("message %s not sent: %s is too large", p->name,
		    p->too_large);
		return;
	}
	memcpy(at, &wire, sizeof(wire));
	p->out->n += LENGTH + n;
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

/* Octets that a message takes at most. */
#define MESSAGE(code, name, to)						\
static inline size_t							\
room_of_##name(const struct msg_##name *m)				\
{									\
	(void)m;							\
	return START_ROOM
#define NUM(f)		+ NUM_ROOM
#define BYTES_(f, max)	+ bytes_room(m->f, max)
#define LIST(f, max)	+ list_room(&m->f##_out, &m->f, max)
#define FD(f)
#define END		; }
#include "tables/messages.def"

#define MESSAGE(code, name, to)						\
void									\
msg_pack_##name(struct buf *out, const struct msg_##name *m)		\
{									\
	struct packing p;						\
									\
	pack_start(&p, out, room_of_##name(m), code, #name,		\
	    FIELDS_OF_##name);
#define NUM(f)		p.to = put_num(p.to, m->f);
#define BYTES_(f, max)	pack_string(&p, m->f, max, #f);
#define LIST(f, max)	pack_list(&p, &m->f##_out, &m->f, max, #f);
#define FD(f)
#define END		pack_end(&p); }
#include "tables/messages.def"

void
msg_pack_numbers(struct buf *out, const uint64_t *numbers, size_t n)
{
	pack_array(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		pack_u64(out, numbers[i]);
}

/* ---- reading ------------------------------------------------------------ */

enum field_kind { FIELD_NUM, FIELD_BYTES, FIELD_LIST };

struct msg_field {
	enum field_kind	 kind;
	/* A number; octets; or how many strings of the message's, from at. */
	uint64_t	 n;
	union {
		const char	*p;
		size_t		 at;
	};
};

/* What the walk through a body notes. */
struct msg_reader {
	struct msg_field	 fields[FIELDS_MAX];
	struct bytes		*strings;	/* of all lists; p is NULL for what
						   is none */
	size_t			 n_strings, cap_strings;
};

#define STRINGS_KEEP	1024	/* room for more is given back */

struct walk {
	const unsigned char	*p, *end;
};

/* A big-endian number of n octets, 1 to 8; -1 if they are not all there. */
static inline int
walk_number(struct walk *w, size_t n, uint64_t *out)
{
	size_t left = (size_t)(w->end - w->p);
	uint64_t value = 0;

	if (left < n)
		return -1;
	if (left >= sizeof(value)) {
		memcpy(&value, w->p, sizeof(value));
		value = be64toh(value) >> (64 - 8 * n);
	} else {
		for (size_t i = 0; i < n; i++)
			value = value << 8 | w->p[i];
	}
	w->p += n;
	*out = value;
	return 0;
}

static inline int
walk_octets(struct walk *w, struct msg_field *f)
{
	if (f->n > (uint64_t)(w->end - w->p))
		return -1;
	f->kind = FIELD_BYTES;
	f->p = (const char *)w->p;
	w->p += f->n;
	return 0;
}

/* A number or a byte string whose first octet is c. */
static inline int
walk_scalar(struct walk *w, unsigned char c, struct msg_field *f)
{
	unsigned log;

	if (c <= 0x7f) {			/* positive fixint */
		f->kind = FIELD_NUM;
		f->n = c;
		return 0;
	}
	if (c >= 0xcc && c <= 0xcf) {		/* uint 8 to 64 */
		f->kind = FIELD_NUM;
		return walk_number(w, 1u << (c - 0xcc), &f->n);
	}
	if (c >= 0xa0 && c <= 0xbf) {		/* fixstr */
		f->n = c & 0x1f;
		return walk_octets(w, f);
	}
	if (c >= 0xc4 && c <= 0xc6)		/* bin 8 to 32 */
		log = c - 0xc4;
	else if (c >= 0xd9 && c <= 0xdb)	/* str 8 to 32 */
		log = c - 0xd9;
	else
		return -1;
	return walk_number(w, 1u << log, &f->n) < 0 ? -1 : walk_octets(w, f);
}

static bool
is_array(unsigned char c)
{
	return (c >= 0x90 && c <= 0x9f) || c == 0xdc || c == 0xdd;
}

/* Elements of the array whose first octet is c; -1: too many, or no array. */
static int64_t
walk_array(struct walk *w, unsigned char c, uint64_t max)
{
	uint64_t n = c & 0x0f;			/* fixarray */

	if (!is_array(c))
		return -1;
	if (c >= 0xdc &&			/* array 16, 32 */
	    walk_number(w, c == 0xdc ? 2 : 4, &n) < 0)
		return -1;
	/* Each element is an octet at least. */
	return n <= max && n <= (uint64_t)(w->end - w->p) ? (int64_t)n : -1;
}

/* Room for n strings more.  It grows with the octets that are there. */
static void
strings_room(struct msg_reader *r, size_t n)
{
	if (r->cap_strings - r->n_strings >= n)
		return;
	r->cap_strings = r->n_strings + n + 64;
	r->strings = xreallocarray(r->strings, r->cap_strings,
	    sizeof(*r->strings));
}

static int
walk_list(struct msg_reader *r, struct walk *w, unsigned char c,
    struct msg_field *list)
{
	int64_t n = walk_array(w, c, LIST_MAX);
	struct msg_field f;

	if (n < 0)
		return -1;
	strings_room(r, (size_t)n);
	*list = (struct msg_field){
		.kind = FIELD_LIST, .n = (uint64_t)n, .at = r->n_strings,
	};
	while (n-- > 0) {
		if (w->p == w->end || walk_scalar(w, *w->p++, &f) < 0)
			return -1;
		r->strings[r->n_strings++] = f.kind == FIELD_BYTES ?
		    bytes_of(f.p, f.n) : bytes_of(NULL, 0);
	}
	return 0;
}

/* How many fields there are in a body; -1 if it is anything else than an array
 * of numbers, byte strings and lists of such. */
static int64_t
walk_body(struct msg_reader *r, struct bytes body)
{
	struct walk w = { .p = (const unsigned char *)body.p };
	unsigned char c;
	int64_t n;

	if (body.n == 0)
		return -1;
	w.end = w.p + body.n;
	c = *w.p++;
	n = walk_array(&w, c, FIELDS_MAX);
	for (int64_t i = 0; i < n; i++) {
		struct msg_field *f = &r->fields[i];

		if (w.p == w.end)
			return -1;
		c = *w.p++;
		if ((is_array(c) ? walk_list(r, &w, c, f) :
		    walk_scalar(&w, c, f)) < 0)
			return -1;
	}
	return w.p == w.end ? n : -1;
}

struct msg_reader *
msg_reader_new(void)
{
	return xcalloc(1, sizeof(struct msg_reader));
}

void
msg_reader_free(struct msg_reader *r)
{
	if (r == NULL)
		return;
	free(r->strings);
	free(r);
}

static void
reader_clear(struct msg_reader *r)
{
	r->n_strings = 0;
	if (r->cap_strings <= STRINGS_KEEP)
		return;
	free(r->strings);
	r->strings = NULL;
	r->cap_strings = 0;
}

int
msg_read(struct msg_reader *r, struct bytes body, unsigned *type,
    struct unpacker *u, const char **why)
{
	const struct msg_field *first = &r->fields[0];
	int64_t n;

	reader_clear(r);
	n = walk_body(r, body);
	if (n < 0) {
		*why = "message is malformed";
		return -1;
	}
	if (n == 0 || first->kind != FIELD_NUM) {
		*why = "message has no type";
		return -1;
	}
	if (first->n >= MSG_TYPES || names[first->n] == NULL) {
		*why = "message of an unknown type";
		return -1;
	}
	*type = (unsigned)first->n;
	*u = (struct unpacker){
		.field = first + 1, .left = (uint32_t)n - 1,
		.strings = r->strings,
	};
	return 0;
}

int
msg_unpack_numbers(struct bytes packed, uint64_t *numbers, size_t n)
{
	struct packed in = packed_open(packed);
	uint32_t there = packed_count(&in, NUMBERS_MAX);

	memset(numbers, 0, n * sizeof(*numbers));
	for (uint32_t i = 0; i < there; i++) {
		uint64_t number = packed_u64(&in);

		if (i < n)
			numbers[i] = number;
	}
	return packed_end(&in) ? 0 : -1;
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
static inline const struct msg_field *
next_field(struct unpacking *u)
{
	if (u->u.left == 0)
		return NULL;
	u->u.left--;
	return u->u.field++;
}

static inline int
unpack_num(struct unpacking *u, uint64_t *out, const char *field)
{
	const struct msg_field *f = next_field(u);

	if (f == NULL)
		return 0;
	if (f->kind != FIELD_NUM)
		return refuse(u, field, "is no number");
	*out = f->n;
	return 0;
}

static inline int
unpack_bytes(struct unpacking *u, struct bytes *out, size_t max,
    const char *field)
{
	const struct msg_field *f = next_field(u);

	if (f == NULL)
		return 0;
	if (f->kind != FIELD_BYTES)
		return refuse(u, field, "is no byte string");
	if (f->n > max)
		return refuse(u, field, "is too long");
	*out = bytes_of(f->p, f->n);
	return 0;
}

static int
unpack_list(struct unpacking *u, struct msg_list *out, uint32_t max,
    const char *field)
{
	const struct msg_field *f = next_field(u);

	if (f == NULL)
		return 0;
	if (f->kind != FIELD_LIST)
		return refuse(u, field, "is no list");
	if (f->n > max)
		return refuse(u, field, "is too long");
	out->n = (uint32_t)f->n;
	if (out->n > 0)
		out->at = u->u.strings + f->at;
	for (uint32_t i = 0; i < out->n; i++) {
		if (out->at[i].p == NULL)
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
	if (i >= list->n)
		fatal("string %u of a list of %u", i, list->n);
	return list->at[i];
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
