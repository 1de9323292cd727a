// SPDX-License-Identifier: MIT
//
// Good sessions with random damage: octets changed, cut out, doubled, cut off,
// sent in random pieces.  Whatever becomes of them, no process ends, nobody else
// notices, and the censuses are empty in the end.  PEAL_TEST_SEED sets another
// seed.
import assert from "node:assert/strict";
import { test } from "node:test";
import zlib from "node:zlib";
import { frame, live, until } from "./harness.mjs";

const seed = Number(process.env.PEAL_TEST_SEED ?? 1);
const SESSIONS = 400, AT_ONCE = 25;

/** A small generator (mulberry32), so that a seed gives the same damage again. */
function generator(state) {
	return (n) => {
		state = (state + 0x6d2b79f5) | 0;
		let t = Math.imul(state ^ (state >>> 15), 1 | state);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) % n;
	};
}

const handshake = (key, extra = "") => Buffer.from(`GET /app/${key}?protocol=7&client=js HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n` +
    `Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${extra}\r\n`);
const deflate = (text) => zlib.deflateRawSync(Buffer.from(text), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
const messages = [
	{ event: "pusher:subscribe", data: { channel: "chaos" } },
	{ event: "pusher:subscribe", data: { channel: "presence-chaos", auth: "app-key:00", channel_data: '{"user_id":"1","user_info":{"a":[1,2.5e3,"\\u00e9"]}}' } },
	{ event: "pusher:signin", data: { auth: "app-key:00", user_data: '{"id":"1","watchlist":["a","b"]}' } },
	{ event: "client-x", channel: "chaos", data: { deep: { er: [null, true, "é😀"] } } },
	{ event: "pusher:unsubscribe", data: { channel: "chaos" } },
	{ event: "pusher:ping", data: {} },
].map((m) => JSON.stringify(m));

/** Whole sessions, as good clients have them. */
const sessions = (s) => [
	() => Buffer.concat([handshake(s.app.key), ...messages.map((m) => frame(1, m)), frame(9, "hi"), frame(8, Buffer.from("03e8", "hex"))]),
	() => Buffer.concat([handshake(s.app.key, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"),
		...messages.map((m) => frame(1, deflate(m), { rsv: 4 }))]),
	() => Buffer.concat([handshake(s.app.key), frame(1, messages[0].slice(0, 9), { fin: false }), frame(9, ""), frame(0, messages[0].slice(9))]),
	() => {
		const body = JSON.stringify({ name: "e", data: "{\"a\":1}", channels: ["chaos", "presence-chaos"], info: "user_count" });
		const target = `/apps/${s.app.id}/events`;
		return Buffer.from(`POST ${target}?${s.sign("POST", target, body)} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}` +
		    `GET ${target.replace("events", "channels")}?${s.sign("GET", target.replace("events", "channels"))} HTTP/1.1\r\nHost: x\r\n\r\n`);
	},
	() => {
		const body = JSON.stringify({ batch: [{ name: "e", data: "1", channel: "chaos" }, { name: "f", data: "2", channel: "cache-chaos" }] });
		const target = `/apps/${s.app.id}/batch_events`;
		return Buffer.from(`POST ${target}?${s.sign("POST", target, body)} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n` +
		    `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
	},
];

function damage(bytes, random) {
	let out = Buffer.from(bytes);
	for (let n = random(5); n > 0; n--) {
		const at = random(out.length), some = out.subarray(at, at + random(20));
		switch (random(6)) {
		case 0: out[at] = random(256); break;
		case 1: out[at] ^= 1 << random(8); break;
		case 2: out = Buffer.concat([out.subarray(0, at), out.subarray(at + some.length)]); break;
		case 3: out = Buffer.concat([out.subarray(0, at), some, out.subarray(at)]); break;
		case 4: out = out.subarray(0, at + 1); break;
		default: out = Buffer.concat([out.subarray(0, at), Buffer.from(Array.from({ length: random(30) }, () => random(256))), out.subarray(at)]);
		}
		if (out.length === 0)
			return Buffer.from("x");
	}
	return out;
}

async function session(s, random) {
	const kinds = sessions(s), bytes = damage(kinds[random(kinds.length)](), random);
	const w = await s.wire();
	for (let at = 0; at < bytes.length && !w.ended;) {
		const n = 1 + random(bytes.length);
		await new Promise((resolve) => w.socket.write(bytes.subarray(at, at + n), resolve));
		at += n;
	}
	// Some wait for an answer, some just go.
	if (random(2) === 0)
		await w.wait((text) => text.length > 0 || w.ended, "an answer").catch(() => {});
	w.close();
}

live("chaos", { http: { header_timeout: "1s", body_timeout: "1s" } }, (s) => {
	test(`${SESSIONS} damaged sessions, seed ${seed}`, async () => {
		const random = generator(seed), pids = s.server.pids("peald: ");
		const bystander = await s.server.connect();
		await bystander.subscribe("bystander");
		let left = SESSIONS;
		await Promise.all(Array.from({ length: AT_ONCE }, async () => {
			while (left-- > 0)
				await session(s.server, random);
		}));
		await bystander.silent("bystander");
		assert.deepEqual(s.server.pids("peald: "), pids);
		await until(async () => (await s.server.get("/connections")).json.connections === 1, "the others to be forgotten");
		assert.deepEqual((await s.server.get("/channels")).json, { channels: { bystander: {} } });
	});
});
