// SPDX-License-Identifier: MIT
// Group 6: what is UTF-8 and what is not, and how soon that is seen.
import { frames } from "./peer.mjs";
import { CLEAN, FAIL_UTF8, NOT_LAST, more, numbered, text, want } from "./steps.mjs";

const hex = (s) => Buffer.from(s.replace(/ /g, ""), "hex");
const umlauts = Buffer.from("Hello-µ@ßöäüàá-UTF-8!!");
const greek = hex("cebae1bdb9cf83cebcceb5");
const surrogate = Buffer.concat([greek, hex("eda080"), Buffer.from("edited")]);

const good = (body) => [text(body), want.text(body), CLEAN];
const bad = (body) => [text(body), FAIL_UTF8];

// ---- 6.1-6.4: fragments ----------------------------------------------------------

/*
 * 6.4: nothing of what follows the bad part is ever sent, so a server that
 * waits for it fails the case.  As frames, and as parts of one frame.
 */
function parts(first, second, third) {
	const one = text(Buffer.concat([first, second, third]));
	const head = one.length - first.length - second.length - third.length;
	return {
		frames: [text(first, NOT_LAST), more(second, NOT_LAST), FAIL_UTF8],
		chops: [one.subarray(0, head + first.length),
		    one.subarray(head + first.length, head + first.length + second.length), FAIL_UTF8],
	};
}
const beyond = parts(greek, hex("f4908080"), Buffer.from("edited"));
const early = parts(Buffer.concat([greek, hex("f4")]), hex("90"), Buffer.concat([hex("8080"), Buffer.from("edited")]));

const pieces = [
	...numbered("6.1", [
		["empty text", ...good("")],
		["three empty fragments", text("", NOT_LAST), more("", NOT_LAST), more(""), want.text(""), CLEAN],
		["only the middle one is not empty", text("", NOT_LAST), more("middle frame payload", NOT_LAST), more(""), want.text("middle frame payload"), CLEAN],
	]),
	...numbered("6.2", [
		["valid, whole", ...good(umlauts)],
		["valid, cut between characters", text(umlauts.subarray(0, 12), NOT_LAST), more(umlauts.subarray(12)), want.text(umlauts), CLEAN],
		["valid, an octet each frame", frames(1, umlauts, 1), want.text(umlauts), CLEAN],
		["Greek, an octet each frame", frames(1, greek, 1), want.text(greek), CLEAN],
	]),
	...numbered("6.3", [
		["invalid, whole", ...bad(surrogate)],
		["invalid, an octet each frame", frames(1, surrogate, 1), FAIL_UTF8],
	]),
	...numbered("6.4", [
		["invalid second fragment of three", ...beyond.frames],
		["invalid in the second octet of a character, fragments", ...early.frames],
		["invalid second part of a frame", ...beyond.chops],
		["invalid in the second octet of a character, one frame", ...early.chops],
	]),
];

// ---- 6.5-6.23: sequences ---------------------------------------------------------

/** The octets from a to b, each followed by a space. */
function lonely(a, b) {
	const out = [];
	for (let c = a; c <= b; c++)
		out.push(c, 0x20);
	return Buffer.from(out);
}

const incomplete = ["c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"];
const surrogates = ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"];
const pairs = ["eda080", "edadbf", "edae80", "edafbf"].flatMap((high) => ["edb080", "edbfbf"].map((low) => high + low));
const lastOfPlanes = Array.from({ length: 17 }, (_, plane) => [0xfffe, 0xffff]
    .map((last) => Buffer.from(String.fromCodePoint(plane * 65536 + last)).toString("hex"))).flat();
const all = (list) => list.map((s) => [s, true]), none = (list) => list.map((s) => [s, false]);

// number, what, [[hex, valid], ...]
const sets = [
	[5, "characters of 1-4 octets", all([...["$", "¢", "€", "\u{24b62}"].map((c) => Buffer.from(`hello${c}world`).toString("hex")), greek.toString("hex")])],
	[6, "a prefix of a Greek word", Array.from({ length: greek.length }, (_, i) => [greek.subarray(0, i + 1).toString("hex"), [2, 5, 7, 9, 11].includes(i + 1)])],
	[7, "the first character of its length", all(["00", "c280", "e0a080", "f0908080"])],
	[8, "the first of 5 and 6 octets", none(["f888808080", "fc8480808080"])],
	[9, "the last character of its length", all(["7f", "dfbf", "efbfbf", "f48fbfbf"])],
	[10, "the last of 4 to 6 octets", none(["f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"])],
	[11, "other borders", [["ed9fbf", true], ["ee8080", true], ["efbfbd", true], ["f48fbfbf", true], ["f4908080", false]]],
	[12, "continuation octets alone", none(["80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf",
	    Buffer.from(Array.from({ length: 64 }, (_, i) => 0x80 + i)).toString("hex")])],
	[13, "starts alone", none([[0xc0, 0xdf], [0xe0, 0xef], [0xf0, 0xf7], [0xf8, 0xfb], [0xfc, 0xfd]].map(([a, b]) => lonely(a, b).toString("hex")))],
	[14, "the last octet is missing", none(incomplete)],
	[15, "incomplete ones in a row", none([incomplete.join("")])],
	[16, "octets that never occur", none(["fe", "ff", "fefeffff"])],
	[17, "overlong slash", none(["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"])],
	[18, "the longest overlong ones", none(["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"])],
	[19, "overlong NUL", none(["c080", "e08080", "f0808080", "f880808080", "fc8080808080"])],
	[20, "a surrogate", none(surrogates)],
	[21, "two surrogates", none(pairs)],
	[22, "the last code points of a plane", all(lastOfPlanes)],
	[23, "specials", all(["efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf"])],
];

const sequences = sets.flatMap(([number, what, list]) => numbered(`6.${number}`,
    list.map(([s, valid]) => [`${what}: ${s.slice(0, 24)}`, ...(valid ? good : bad)(hex(s))])));

export default [...pieces, ...sequences];
