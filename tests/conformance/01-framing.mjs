// SPDX-License-Identifier: MIT
// Groups 1-4: lengths, pings, reserved bits, reserved opcodes.
import { frame, frames } from "./peer.mjs";
import { CLEAN, FAIL, binary, chop, numbered, octetwise, ping, pong, text, want } from "./steps.mjs";

// ---- 1: lengths ------------------------------------------------------------------

const sizes = [0, 125, 126, 127, 128, 65535, 65536];
const stars = (n) => "*".repeat(n);
const bytes = (n) => Buffer.alloc(n, 0xfe);

const lengths = [
	...numbered("1.1", [
		...sizes.map((n) => [`text of ${n}`, text(stars(n)), want.text(stars(n)), CLEAN]),
		["text of 65536 in chops of 997", chop(text(stars(65536)), 997), want.text(stars(65536)), CLEAN],
	]),
	...numbered("1.2", [
		...sizes.map((n) => [`binary of ${n}`, binary(bytes(n)), want.binary(bytes(n)), CLEAN]),
		["binary of 65536 in chops of 997", chop(binary(bytes(65536)), 997), want.binary(bytes(65536)), CLEAN],
	]),
];

// ---- 2: pings and pongs ----------------------------------------------------------

const odd = Buffer.from([0, 255, 254, 253, 252, 251, 0, 255]);
const long = Buffer.alloc(125, 0xfe);
const ten = Array.from({ length: 10 }, (_, i) => `payload-${i}`);

const pings = numbered("2", [
	["ping", ping(), want.pong(), CLEAN],
	["ping with text", ping("Hello, world!"), want.pong("Hello, world!"), CLEAN],
	["ping with binary", ping(odd), want.pong(odd), CLEAN],
	["ping with 125 octets", ping(long), want.pong(long), CLEAN],
	["ping with 126 octets", ping(Buffer.alloc(126, 0xfe)), FAIL],
	["ping with 125 octets, octet-wise", octetwise(ping(long)), want.pong(long), CLEAN],
	["unasked pong", pong(), CLEAN],
	["unasked pong with payload", pong("unsolicited"), CLEAN],
	["unasked pong, then ping", pong("unsolicited"), ping("asked"), want.pong("asked"), CLEAN],
	["ten pings", Buffer.concat(ten.map((p) => ping(p))), ...ten.map((p) => want.pong(p)), CLEAN],
	["ten pings, octet-wise", octetwise(...ten.map((p) => ping(p))), ...ten.map((p) => want.pong(p)), CLEAN],
]);

// ---- 3: reserved bits ------------------------------------------------------------

const hello = "Hello, world!";
/** A good text, a frame that is none, a ping: echo of the first, no pong. */
const before = (bad) => Buffer.concat([text(hello), bad, ping()]);

const reserved = numbered("3", [
	["text with RSV 1", text(hello, { rsv: 1 }), FAIL],
	["text with RSV 2 between good ones", before(text(hello, { rsv: 2 })), want.text(hello), FAIL],
	["text with RSV 3 between good ones, frame-wise", text(hello), text(hello, { rsv: 3 }), ping(), want.text(hello), FAIL],
	["text with RSV 4 between good ones, octet-wise", octetwise(before(text(hello, { rsv: 4 }))), want.text(hello), FAIL],
	["binary with RSV 5", binary(odd, { rsv: 5 }), FAIL],
	["ping with RSV 6", ping(hello, { rsv: 6 }), FAIL],
	["close with RSV 7", frame(8, [3, 232], { rsv: 7 }), FAIL],
]);

// ---- 4: reserved opcodes ---------------------------------------------------------

const opcodes = (prefix, [a, b, c, d, e]) => numbered(prefix, [
	[`opcode ${a}`, frame(a), FAIL],
	[`opcode ${b} with payload`, frame(b, "reserved opcode payload"), FAIL],
	[`opcode ${c} between good ones`, before(frame(c)), want.text(hello), FAIL],
	[`opcode ${d} with payload between good ones`, before(frame(d, "payload")), want.text(hello), FAIL],
	[`opcode ${e} with payload between good ones, octet-wise`, octetwise(before(frame(e, "payload"))), want.text(hello), FAIL],
]);

export default [
	...lengths, ...pings, ...reserved,
	...opcodes("4.1", [3, 4, 5, 6, 7]),
	...opcodes("4.2", [11, 12, 13, 14, 15]),
	// 10.1.1: many frames of one message
	{ id: "10.1.1", what: "text of 65536 in frames of 1300",
	    steps: [frames(1, stars(65536), 1300), want.text(stars(65536)), CLEAN] },
];
