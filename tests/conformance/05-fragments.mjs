// SPDX-License-Identifier: MIT
// Group 5: fragments, and control frames between them.
import { CLEAN, FAIL, NOT_LAST, may, more, numbered, octetwise, ping, pong, text, want } from "./steps.mjs";

const two = [text("fragment1", NOT_LAST), more("fragment2")];
const pinged = [two[0], ping("ping"), two[1]];
const whole = want.text("fragment1fragment2");

/** The same frames in one write, one write each, and octet by octet. */
const three = (what, list, ...ends) => [
	[`${what}, at once`, Buffer.concat(list), ...ends],
	[`${what}, frame-wise`, ...list, ...ends],
	[`${what}, octet-wise`, octetwise(...list), ...ends],
];

const stray = (how) => [more("non-continuation payload", how), text("Hello, world!")];
/** A continuation with nothing to continue, then good fragments, twice. */
const strays = (how) => [
	text("fragment1", NOT_LAST), more("fragment2"),
	more("fragment3", how),
	text("fragment4", NOT_LAST), more("fragment5"),
];

/** Five fragments and a ping behind each of the first and the third pair. */
const waits = (...between) => [
	text("fragment1", NOT_LAST), more("fragment2", NOT_LAST),
	ping("pongme 1!"), ...between.slice(0, 1),
	more("fragment3", NOT_LAST), more("fragment4", NOT_LAST),
	ping("pongme 2!"), ...between.slice(1),
	more("fragment5"),
];
const five = want.text("fragment1fragment2fragment3fragment4fragment5");

export default numbered("5", [
	["ping in fragments", Buffer.concat([ping("fragment1", NOT_LAST), more("fragment2")]), FAIL],
	["pong in fragments", Buffer.concat([pong("fragment1", NOT_LAST), more("fragment2")]), FAIL],
	...three("text in two fragments", two, whole, CLEAN),
	...three("ping between two fragments", pinged, want.pong("ping"), whole, CLEAN),
	...three("continuation of nothing", stray({}), FAIL),
	...three("continuation of nothing, not the last", stray(NOT_LAST), FAIL),
	["good fragments, then a stray last one, at once", Buffer.concat(strays({})), may.text("fragment1fragment2"), FAIL],
	["a stray one first, then good ones", Buffer.concat([more("fragment1", NOT_LAST), text("fragment2", NOT_LAST), more("fragment3")]), FAIL],
	["a stray last one first, then good ones", Buffer.concat([more("fragment1"), text("fragment2", NOT_LAST), more("fragment3")]), FAIL],
	["two frames with opcode text", Buffer.concat([text("fragment1", NOT_LAST), text("fragment2")]), FAIL],
	["five fragments; each ping is answered before we go on", ...waits(want.pong("pongme 1!"), want.pong("pongme 2!")), five, CLEAN],
	["the same at once", Buffer.concat(waits()), want.pong("pongme 1!"), want.pong("pongme 2!"), five, CLEAN],
]);
