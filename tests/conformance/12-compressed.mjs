// SPDX-License-Identifier: MIT
// Groups 12 and 13: permessage-deflate, with fewer messages than it could be.
import assert from "node:assert/strict";
import zlib from "node:zlib";
import { frames } from "./peer.mjs";
import { CLEAN, want } from "./steps.mjs";

// ---- data ------------------------------------------------------------------------

/** Numbers that look random and are the same each time. */
function numbers(seed) {
	let state = seed;
	return (below) => {
		state = Math.imul(state, 1664525) + 1013904223 | 0;
		return (state >>> 8) % below;
	};
}

const words = "the of a server message channel and in frame socket to is client data größer κόσμος event".split(" ");
const sentence = (random) => Array.from({ length: 8 }, () => words[random(words.length)]).join(" ");

/** Repeats make(random) until there are n octets, cut at a character. */
function fill(n, make) {
	const random = numbers(n + 1);
	let out = "";
	while (Buffer.byteLength(out) < n)
		out += make(random);
	const octets = Buffer.from(out).subarray(0, n);
	return new TextDecoder("utf-8").decode(octets).replace(/\ufffd+$/, "");
}

const json = (n) => fill(n, (random) => JSON.stringify({ id: random(1e6), name: sentence(random), tags: [words[random(5)], random(2) === 0], at: [random(180), random(90)] }) + ",\n");
const html = (n) => fill(n, (random) => `<div class="row c${random(9)}"><p id="p${random(999)}">${sentence(random)}</p><a href="/page/${random(99)}">${words[random(words.length)]}</a></div>\n`);
const prose = (n) => Buffer.from(fill(n, (random) => sentence(random) + ". "));
/** Rows of pixels with slow changes and a little noise. */
function bitmap(n) {
	const random = numbers(n + 7), out = Buffer.alloc(n);
	for (let i = 0; i < n; i++)
		out[i] = (i % 192 >> 2) + (i / 192 >> 3) + (random(16) === 0 ? random(4) : 0);
	return out;
}
/** Objects of text, and streams that were compressed before. */
function pdf(n) {
	const random = numbers(n + 3), parts = [];
	for (let have = 0, i = 1; have < n; i++) {
		const noise = Buffer.from(Array.from({ length: 400 }, () => random(256)));
		const part = Buffer.concat([Buffer.from(`${i} 0 obj\n<< /Length 400 /Filter /FlateDecode >>\nstream\n`), noise, Buffer.from("\nendstream\nendobj\n")]);
		parts.push(part);
		have += part.length;
	}
	return Buffer.concat(parts).subarray(0, n);
}

// ---- cases -----------------------------------------------------------------------

// [octets of a message, octets of a fragment]
const sizes = [
	...[16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072].map((n) => [n, Infinity]),
	[8192, 256], [16384, 256], [32768, 256], [65536, 256],
	[131072, 256], [131072, 1024], [131072, 4096], [131072, 32768],
];

const deflate = (body, windowBits) => zlib.deflateRawSync(body, { windowBits, finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);

const negotiated = (answer) => async (peer) => {
	const got = (peer.extensions ?? "").split(";").map((part) => part.trim());
	for (const part of ["permessage-deflate", "server_no_context_takeover", ...answer])
		assert.ok(got.includes(part), `${part} in "${peer.extensions}"`);
};

/** Sends messages of n octets and reads their echoes, all compressed. */
const messages = (data, n, size, bits) => async (peer) => {
	const body = data(n), packed = deflate(Buffer.from(body), bits);
	const count = Math.max(2, Math.min(20, Math.floor(200_000 / n)));
	const opcode = typeof body === "string" ? 1 : 2;
	for (let i = 0; i < count; i++) {
		const echo = opcode === 1 ? want.text(body) : want.binary(body);
		const check = async () => {
			const event = await peer.next();
			assert.equal(event.deflated, true, "the echo is compressed");
			await echo({ next: async () => event });
		};
		await Promise.all([peer.write(frames(opcode, packed, size, { rsv: 4 })), check()]);
	}
};

const group = (prefix, what, data, { offer, answer = [], bits = 15 }) => sizes.map(([n, size], i) => ({
	id: `${prefix}.${i + 1}`, offer,
	what: `${what}, ${n} octets${size === Infinity ? "" : ` in fragments of ${size}`}`,
	steps: [negotiated(answer), messages(data, n, size, bits), CLEAN],
}));

const usual = { offer: "permessage-deflate; client_no_context_takeover; client_max_window_bits" };
const nine = "server_max_window_bits=9", fifteen = "server_max_window_bits=15";

// What is offered, what must be in the answer, and our own window.
const offers = [
	["the usual offer", usual],
	["server without context", { offer: "permessage-deflate; server_no_context_takeover; client_max_window_bits" }],
	["server window 9", { offer: `permessage-deflate; ${nine}; client_max_window_bits`, answer: [nine] }],
	["server window 15", { offer: `permessage-deflate; ${fifteen}; client_max_window_bits`, answer: [fifteen] }],
	["server without context, window 9", { offer: `permessage-deflate; server_no_context_takeover; ${nine}; client_max_window_bits=9`, answer: [nine], bits: 9 }],
	["server without context, window 15", { offer: `permessage-deflate; server_no_context_takeover; ${fifteen}; client_max_window_bits`, answer: [fifteen] }],
	["a list of three", { offer: `permessage-deflate; server_max_window_bits=8; client_max_window_bits, permessage-deflate; server_no_context_takeover; ${nine}, permessage-deflate`, answer: [nine] }],
];

export default [
	...group("12.1", "JSON", json, usual),
	...group("12.2", "HTML", html, usual),
	...group("12.3", "bitmap", bitmap, usual),
	...group("12.4", "prose as binary", prose, usual),
	...group("12.5", "PDF", pdf, usual),
	...offers.flatMap(([what, offer], i) => group(`13.${i + 1}`, what, json, offer)),
];
