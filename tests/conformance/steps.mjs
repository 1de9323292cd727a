// SPDX-License-Identifier: MIT
//
// What a case is made of.  A case is { id, what, steps }, and the steps are
// taken in their order:
//
//	Buffer		written at once
//	chop(b, n)	written n octets at a time
//	want.text(..)	the next event must be this one
//	may.text(..)	the same, but it need not come
//	CLEAN		we close with 1000; the server answers that, and nothing else
//	closed(..)	our close frame is out: the answer is one of these codes
//	FAIL, FAIL_UTF8	the server closes with 1002 (1007) or cuts; nothing else
//	EITHER		whatever comes, the connection must end
//	async (peer) =>	anything
//
// informational: any end will do.
import assert from "node:assert/strict";
import { OP, Peer, closing, frame } from "./peer.mjs";

export const text = (body, how) => frame(OP.text, body, how);
export const binary = (body, how) => frame(OP.binary, body, how);
export const more = (body, how) => frame(OP.more, body, how);
export const ping = (body, how) => frame(OP.ping, body, how);
export const pong = (body, how) => frame(OP.pong, body, how);
export const NOT_LAST = { fin: false };

export const chop = (octets, size = 1) => (peer) => peer.chop(octets, size);
/** The given frames, octet by octet. */
export const octetwise = (...octets) => chop(Buffer.concat(octets), 1);

// ---- events ---------------------------------------------------------------------

const show = (event) => JSON.stringify(event, (key, value) =>
	typeof value === "string" && value.length > 200 ? `${value.slice(0, 200)}...` :
	value?.type === "Buffer" ? Buffer.from(value.data).toString("hex").slice(0, 200) :
	value);

function same(got, wanted) {
	for (const [key, value] of Object.entries(wanted))
		if (Buffer.isBuffer(value) ? !got[key]?.equals?.(value) : got[key] !== value)
			return false;
	return true;
}

const events = {
	text: (body) => ({ text: body.toString() }),
	binary: (body) => ({ binary: Buffer.from(body) }),
	ping: (body = "") => ({ ping: Buffer.from(body) }),
	pong: (body = "") => ({ pong: Buffer.from(body) }),
};

function step(take) {
	return Object.fromEntries(Object.entries(events).map(([name, event]) =>
		[name, (body) => take(event(body))]));
}

export const want = step((wanted) => async (peer) => {
	const got = await next(peer);
	if (!same(got, wanted))
		assert.fail(`${show(got)} instead of ${show(wanted)}`);
});

/** Something that may come or not: the next step gets what is no match. */
export const may = step((wanted) => async (peer) => {
	const got = await peer.next();
	if (!same(got, wanted))
		peer.pushed = got;
});

// ---- ends -----------------------------------------------------------------------

/** The next event, or the one that a may did not want. */
async function next(peer) {
	const event = peer.pushed ?? await peer.next();
	peer.pushed = undefined;
	return event;
}

async function ends(peer, codes) {
	const first = await next(peer);
	if (first.close !== undefined) {
		if (!codes.includes(first.close))
			assert.fail(`${show(first)} instead of ${codes.join(" or ")}`);
		await peer.write(closing(1000));
		peer.socket.end();
		assert.deepEqual(await peer.next(), { gone: true });
	} else {
		assert.deepEqual(first, { gone: true });
	}
	return first;
}

/** The answer to our close frame, which is out already: a close, no cut. */
export const closed = (...codes) => async (peer) => {
	const first = await next(peer);
	if (!codes.includes(first.close))
		assert.fail(`${show(first)} instead of close ${codes.join(" or ")}`);
	assert.deepEqual(await peer.next(), { gone: true });
};

export const CLEAN = async (peer) => {
	await peer.write(closing(1000));
	await closed(1000)(peer);
};

export const FAIL = async (peer) => { await ends(peer, [1002]); };
export const FAIL_UTF8 = async (peer) => { await ends(peer, [1007]); };
export const FAIL_EITHER = async (peer) => { await ends(peer, [1002, 1007]); };

export const EITHER = async (peer) => {
	for (;;) {
		const event = await next(peer);
		assert.equal(event.broken, undefined);
		if (event.gone)
			return;
		if (event.close !== undefined)
			peer.socket.end();
	}
};

// ---- a case ----------------------------------------------------------------------

/** Takes the steps of a case with a new connection. */
export async function play(port, { steps, offer }) {
	const peer = await Peer.open(port, offer);
	try {
		for (const s of steps) {
			if (Buffer.isBuffer(s))
				await peer.write(s);
			else
				await s(peer);
		}
	} finally {
		peer.cut();
	}
}

/** [what, steps...] rows numbered prefix.1, prefix.2 ... */
export const numbered = (prefix, rows) => rows.map(([what, ...steps], i) =>
	({ id: `${prefix}.${i + 1}`, what, steps }));
