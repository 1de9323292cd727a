// SPDX-License-Identifier: MIT
// Group 7: closing.
import { closing, frame } from "./peer.mjs";
import { EITHER, FAIL, FAIL_EITHER, NOT_LAST, closed, more, numbered, ping, text, want } from "./steps.mjs";

const bye = closing(1000);
const both = (...list) => Buffer.concat(list);
const informational = (c) => ({ ...c, informational: true });

const order = numbered("7.1", [
	["a message, then close", both(text("Hello World!"), bye), want.text("Hello World!"), closed(1000)],
	["two close frames", both(bye, bye), closed(1000)],
	["ping behind close", both(bye, ping()), closed(1000)],
	["text behind close", both(bye, text("Hello World!")), closed(1000)],
	["fragment, close, fragment", both(text("fragment1", NOT_LAST), bye, more("fragment2")), closed(1000)],
	["256 KiB, text, close, ping", both(text("BAsd7&jh23".repeat(26215)), text("Hello World!"), bye, ping()), EITHER],
]);

const payloads = numbered("7.3", [
	["close without payload", frame(8), closed(1000, 1005)],
	["close with one octet", frame(8, "a"), FAIL],
	["close with a code", bye, closed(1000)],
	["close with code and reason", closing(1000, "Hello World!"), closed(1000)],
	["close with a reason of 123 octets", closing(1000, "*".repeat(123)), closed(1000)],
	["close with a reason of 124 octets", frame(8, both(Buffer.from([3, 232]), Buffer.alloc(124, "*"))), FAIL],
]);

const reason = both(Buffer.from("κόσμε"), Buffer.from("eda080656469746564", "hex"));
const codes = (prefix, list, end) => numbered(prefix,
    list.map((code) => [`close with code ${code}`, closing(code), end(code)]));

export default [
	...order.slice(0, 5), informational(order[5]),
	...payloads,
	...numbered("7.5", [["close with a reason that is no UTF-8", closing(1000, reason), FAIL_EITHER]]),
	...codes("7.7", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999], (code) => closed(code, 1000)),
	...codes("7.9", [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999], () => FAIL),
	...codes("7.13", [5000, 65535], () => EITHER).map(informational),
];
