// SPDX-License-Identifier: MIT
// Group 9: large messages, many fragments, many chops, many round trips.
import { frames } from "./peer.mjs";
import { CLEAN, binary, chop, numbered, text, want } from "./steps.mjs";

const KIB = 1024, MIB = 1024 * KIB;
const name = (n) => n >= MIB ? `${n / MIB} MiB` : n >= KIB ? `${n / KIB} KiB` : String(n);

// Built when a case is played: all of them at once are a quarter of a gigabyte.
const kinds = {
	text: { opcode: 1, body: (n) => "*".repeat(n), send: text, echo: want.text },
	binary: { opcode: 2, body: (n) => Buffer.alloc(n, 0xfe), send: binary, echo: want.binary },
};
const trip = (kind, n, send) => async (peer) => {
	const body = kinds[kind].body(n);
	await Promise.all([send(peer, body), kinds[kind].echo(body)(peer)]);
};

const whole = (prefix, kind) => numbered(prefix, [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB].map((n) =>
	[`${kind} of ${name(n)}`, trip(kind, n, (peer, body) => peer.write(kinds[kind].send(body))), CLEAN]));

const fragments = (prefix, kind) => numbered(prefix, [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB].map((size) =>
	[`${kind} of 4 MiB in fragments of ${name(size)}`, trip(kind, 4 * MIB, (peer, body) => peer.write(frames(kinds[kind].opcode, body, size))), CLEAN]));

const chops = (prefix, kind) => numbered(prefix, [64, 128, 256, 512, 1024, 2048].map((size) =>
	[`${kind} of 1 MiB in chops of ${size}`, trip(kind, MIB, (peer, body) => chop(kinds[kind].send(body), size)(peer)), CLEAN]));

const trips = (prefix, kind) => numbered(prefix, [0, 16, 64, 256, 1024, 4096].map((n) =>
	[`1000 round trips of ${kind} of ${n}`, async (peer) => {
		for (let i = 0; i < 1000; i++)
			await trip(kind, n, (_, body) => peer.write(kinds[kind].send(body)))(peer);
	}, CLEAN]));

export default [
	...whole("9.1", "text"), ...whole("9.2", "binary"),
	...fragments("9.3", "text"), ...fragments("9.4", "binary"),
	...chops("9.5", "text"), ...chops("9.6", "binary"),
	...trips("9.7", "text"), ...trips("9.8", "binary"),
];
