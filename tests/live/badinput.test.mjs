// SPDX-License-Identifier: MIT
//
// Walks doc/BAD-INPUT.md row by row.  A driver sends its input (or several that
// are alike) and gives what it got: { code, closed }.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import zlib from "node:zlib";
import { APP, Server, Wire, decoded, frame, live, patience, unique, until } from "./harness.mjs";

const doc = new URL("../../doc/BAD-INPUT.md", import.meta.url);
const rows = [...fs.readFileSync(doc, "utf8").matchAll(/^\| `([a-z0-9-]+)` \| (.+?) \| (\d+|none) \| (closed|stays) \|$/gm)]
    .map(([, id, input, answer, then]) => ({ id, input, answer, then }));
const drivers = {};

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-bad-"));
const key = path.join(dir, "key.pem"), chain = path.join(dir, "chain.pem");
execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-keyout", key, "-out", chain], { stdio: "ignore" });
after(() => fs.rmSync(dir, { recursive: true, force: true }));

const app = (n, more) => ({ id: String(n), key: `key-${n}`, secret: `secret-${n}`, ...more });
const OFF = app(2, { enabled: "no" }), FULL = app(3, { max_connections: 1 }), ORIGIN = app(4, { allowed_origins: "good.example" });
const SMALL = app(5, { max_message_size: 2000, max_channels: 2, max_channel_name: 50, max_presence_members: 1, max_presence_member: 100,
	max_watchlist: 2, max_event_name: 30, max_event_size: 100, max_event_channels: 2, max_batch: 2 });
const QUIET = app(6, { ping_interval: "1s" }), JOIN = app(7, { authorization_timeout: "1s" });
const RATE = app(8, { rate_limiting: "yes", rate_limit_attempts: 2, rate_limit_window: "1h" });
const CUT = app(9, { ...RATE, id: "9", key: "key-9", secret: "secret-9", rate_limit_terminate: "yes" });
const NONE = app(10, { client_events: "none" }), FEW = app(11, { client_event_rate: 1 });

// ---- ways to send ------------------------------------------------------------

const HEAD = "Host: x\r\n";
const signed = (s, method, target, body = "", options = {}) =>
	`${target}?${s.sign(method, target, body, options)}`;

/** Octets on a connection of their own; the answer's status; is it closed? */
const http = (...inputs) => async (s) => {
	const seen = new Set();
	for (const input of inputs.flat()) {
		const w = await s.wire();
		for (const part of [typeof input === "function" ? input(s) : input].flat())
			w.write(part);
		const { status, head } = await w.answer();
		const closed = /^connection: close/im.test(head);
		if (closed)
			await w.rest();
		else {
			w.write("GET /up HTTP/1.1\r\nHost: x\r\n\r\n");
			assert.equal((await w.answer()).status, 200);
		}
		w.close();
		seen.add(`${status} ${closed}`);
	}
	assert.equal(seen.size, 1, [...seen].join());
	const [status, closed] = [...seen][0].split(" ");
	return { code: status, closed: closed === "true" };
};
/**
 * The same. Where others run, too, this process may not run for so long that its first
 * octet comes when time is over: then it was silent, and tries again.
 */
const slowly = (...inputs) => async (s) => {
	for (let n = 1; ; n++)
		try {
			return await http(...inputs)(s);
		} catch (error) {
			if (n === 5 || !/^ended while waiting for an HTTP answer; have $/.test(error.message))
				throw error;
		}
};
const get = (more, line = "GET /up HTTP/1.1") => `${line}\r\n${HEAD}${more}\r\n`;
const upgrade = (more = {}, line = `GET /app/${APP.key} HTTP/1.1`) => `${line}\r\n` + Object.entries({ Host: "x", Upgrade: "websocket",
	Connection: "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13", ...more })
    .filter(([, v]) => v !== undefined).map(([k, v]) => `${k}: ${v}\r\n`).join("") + "\r\n";

/** A client that is refused at once. */
const refused = (options) => async (s) => {
	const c = await s.open(options), error = decoded(await c.next()), end = await c.closed();
	assert.equal(error.code, end.code);
	return { code: String(end.code), closed: true };
};

/** Frames by hand; the close frame's code. */
const frames = (...inputs) => async (s) => {
	const seen = new Set();
	for (const input of inputs) {
		const w = await s.wire();
		await w.upgrade(s, "", `/app/${SMALL.key}?protocol=7`);
		for (const part of [input].flat())
			w.write(part);
		const { code } = await w.closeFrame();
		w.write(frame(8, Buffer.from([code >> 8, code & 255])));
		await w.rest();
		seen.add(code);
	}
	assert.equal(seen.size, 1, [...seen].join());
	return { code: String([...seen][0]), closed: true };
};

/** Messages on one living connection, each answered alike. */
const message = (...inputs) => async (s) => {
	const { options = {}, before } = inputs.find((i) => i.options || i.before) ?? {};
	const c = await s.connect(options), seen = new Set();
	await before?.(c, s);
	for (const input of inputs.filter((i) => !i.options && !i.before)) {
		const text = typeof input === "function" ? input(c) : input;
		c.send(text);
		c.send({ event: "pusher:ping" });
		let code = "none";
		for (let f = await c.next(); f.event !== "pusher:pong"; f = await c.next())
			if (f.event === "pusher:error")
				code = String(decoded(f).code);
		seen.add(code);
	}
	assert.equal(seen.size, 1, [...seen].join());
	return { code: [...seen][0], closed: c.ended !== undefined };
};

/** Calls of the API, each answered alike; closed: the answer says so. */
const api = (...calls) => async (s) => {
	const seen = new Set();
	for (const [method, target, body, options] of calls) {
		const who = options?.app ?? APP;
		const answer = await s.call(method, target.replace("APP", who.id), body, { app: who, ...options });
		seen.add(`${answer.status} ${answer.headers.connection === "close"}`);
	}
	assert.equal(seen.size, 1, [...seen].join());
	const [status, closed] = [...seen][0].split(" ");
	return { code: status, closed: closed === "true" };
};

// ---- HTTP ------------------------------------------------------------------------

drivers["http-garbage"] = http("\x00\x01\x02\r\n\r\n", crypto.randomBytes(300), "hello there\r\n\r\n", "GET  /up HTTP/1.1\r\n\r\n");
drivers["http-tls-hello"] = http(Buffer.from("16030100a5010000a10303", "hex"));
drivers["http-target-long"] = http(`GET /${"x".repeat(9000)}`);
drivers["http-head-large"] = http(get(`X: ${"x".repeat(9000)}\r\n`), get("X: yyyyyyyyyyyyyyyyyyyy\r\n".repeat(60) + `Z: ${"z".repeat(8000)}\r\n`));
drivers["http-headers-many"] = http(get("X: y\r\n".repeat(64)));
drivers["http-head-slow"] = slowly("GET /up HTTP/1.1\r\nHost: x\r\n", "G");
drivers["http-silent"] = async (s) => {
	const w = await s.wire();
	assert.equal(await w.rest(), "");
	return { code: "none", closed: true };
};
drivers["http-trickle"] = async (s, n = 1) => {
	const w = await s.wire(), start = Date.now();
	w.write("GET /up HTTP/1.1\r\nX: ");
	const drip = setInterval(() => w.write("x"), 100);
	try {
		const { status } = await w.answer();
		assert.ok(Date.now() - start < 60000 * patience);
		await w.rest();
		return { code: String(status), closed: true };
	} catch (error) {
		// As above: its first octet came too late.
		if (n === 5 || !/have $/.test(error.message))
			throw error;
		return drivers["http-trickle"](s, n + 1);
	} finally {
		clearInterval(drip);
		w.close();
	}
};
drivers["http-version"] = http("GET /up HTTP/2.0\r\nHost: x\r\n\r\n", "GET /up HTTP/0.9\r\nHost: x\r\n\r\n");
drivers["http-line-bare"] = http("GET /up HTTP/1.1\nHost: x\n\n", "GET /up HTTP/1.1\r\nHost: x\n\n");
drivers["http-control-character"] = http(get("X: a\x00b\r\n"), get("X\x00: a\r\n"), get("X: a\rb\r\n"));
drivers["http-header-space"] = http(get("X : y\r\n"), get(" X: y\r\n"));
drivers["http-header-folded"] = http(get("X: y\r\n z\r\n"));
drivers["http-host-missing"] = http("GET /up HTTP/1.1\r\n\r\n");
drivers["http-host-twice"] = http("GET /up HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n");
drivers["http-host-bad"] = http("GET /up HTTP/1.1\r\nHost: a b\r\n\r\n", "GET /up HTTP/1.1\r\nHost: a/b\r\n\r\n");
drivers["http-length-bad"] = http(["x", "-1", "1.5", "0x10", "1 2", "", "+1"].map((n) => get(`Content-Length: ${n}\r\n`, "POST /up HTTP/1.1")));
drivers["http-length-huge"] = http(get("Content-Length: 99999999999999999999999\r\n", "POST /up HTTP/1.1"));
drivers["http-length-twice"] = http(get("Content-Length: 1\r\nContent-Length: 2\r\n", "POST /up HTTP/1.1"));
drivers["http-length-and-chunked"] = http(get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "POST /up HTTP/1.1"));
drivers["http-coding-unknown"] = http(["gzip", "gzip, chunked", "identity"].map((t) => get(`Transfer-Encoding: ${t}\r\n`, "POST /up HTTP/1.1")));
const chunked = (body) => get("Transfer-Encoding: chunked\r\n", "POST /apps/1001/events HTTP/1.1") + body;
drivers["http-chunk-bad"] = http(chunked("x\r\n"), chunked("-5\r\nhello\r\n"), chunked("5\r\nhelloXX"), chunked("\r\n\r\n"));
drivers["http-chunk-large"] = http(chunked(`1000\r\n${"x".repeat(0x1000)}\r\n`.repeat(3)), chunked("ffffff\r\n"));
drivers["http-chunk-huge"] = http(chunked("fffffffffffffffffffffff\r\n"));
drivers["http-body-large"] = http(get("Content-Length: 10001\r\n", "POST /apps/1001/events HTTP/1.1"));
drivers["http-body-slow"] = slowly(get("Content-Length: 10\r\n", "POST /apps/1001/events HTTP/1.1") + "12345", chunked("5\r\nhe"));
drivers["http-path-unknown"] = http(["/nothing", "/", "/apps", "/app", "/app/", "/apps/1001", "/../etc/passwd", "/up/../up"].map((p) => get("", `GET ${p} HTTP/1.1`)));
drivers["http-method-unknown"] = http(["DELETE", "PUT", "POST", "TRACE", "FOO"].map((m) => get("", `${m} /up HTTP/1.1`)));
drivers["http-escape-bad"] = http(get("", "GET /apps/%zz/channels HTTP/1.1"), get("", "GET /apps/1001/channels/%f HTTP/1.1"), get("", "GET /apps/1001/channels?a=%g0 HTTP/1.1"));
drivers["http-query-utf8"] = http(get("", "GET /apps/1001/channels?a=%ff%fe HTTP/1.1"));
drivers["http-query-many"] = http(get("", `GET /apps/1001/channels?${"a=b&".repeat(300)} HTTP/1.1`));
drivers["http-idle"] = async () => {
	const s = await Server.start({ http: { keepalive_timeout: "1s" } });
	try {
		const w = await s.wire();
		w.write(get(""));
		await w.answer();
		assert.equal(await w.rest(), "");
	} finally {
		await s.stop();
	}
	return { code: "none", closed: true };
};
drivers["http-pipelined-unread"] = async () => {
	const s = await Server.start({ websocket: { max_backlog: "64k", backlog_timeout: "1s" } });
	try {
		const w = await s.wire(), requests = 200000;
		w.socket.pause();
		w.write(get("").repeat(requests));
		await until(async () => (await s.ctl("status")).totals.slow_readers > 0, "the cut");
		w.socket.resume();
		assert.ok((await w.rest()).split("HTTP/1.1 200").length < requests / 2);
	} finally {
		await s.stop();
	}
	return { code: "none", closed: true };
};
drivers["http-address-many"] = async () => {
	const s = await Server.start({ http: { max_connections_per_address: 3 } });
	try {
		const crowd = await s.crowd(3), w = await s.wire().catch(() => null);
		assert.equal(w ? await w.rest() : "", "");
		await crowd[0].ping();
	} finally {
		await s.stop();
	}
	return { code: "none", closed: true };
};
/** What n requests get behind others that are silent; they were held back. */
const waits = (options, silent, n) => async () => {
	const s = await Server.start(options), others = [];
	try {
		for (let i = 0; i < silent; i++)
			others.push(await s.wire());
		const wires = await Promise.all(Array.from({ length: n }, () => s.wire()));
		const got = await Promise.all(wires.map(async (w) => {
			const { status, head } = await w.write(get("")).answer();
			assert.equal((await w.write(get("")).answer()).status, status, head);
			return status;
		}));
		await until(async () => (await s.ctl("status")).totals.accept_held > 0, "accept_held");
		for (const w of [...others, ...wires])
			w.close();
		assert.equal(new Set(got).size, 1, got.join());
		return { code: String(got[0]), closed: false };
	} finally {
		await s.stop();
	}
};
drivers["http-rush"] = waits({ listen: { accept_rate: 20 } }, 0, 30);
drivers["http-silent-many"] = waits({ listen: { max_handshakes: 3, backlog: 64 }, http: { header_timeout: "2s" } }, 20, 1);

// ---- TLS ---------------------------------------------------------------------------

drivers["tls-garbage"] = async (s) => {
	const w = await s.wire({ address: s.addresses[1] });
	w.write(crypto.randomBytes(2000));
	assert.doesNotMatch(await w.rest(), /HTTP/);
	return { code: "none", closed: true };
};
drivers["tls-slow"] = async (s) => {
	const w = await s.wire({ address: s.addresses[1] });
	w.write(Buffer.from("1603010200010001fc0303", "hex"));
	await w.rest();
	return { code: "none", closed: true };
};

// ---- proxies -----------------------------------------------------------------------

const V2 = "\r\n\r\n\x00\r\nQUIT\n";

/** Each of these is hung up on; what a good header brings is still answered. */
const proxied = (settings, ...inputs) => async () => {
	const s = await Server.start({ listen: { proxy_protocol: "yes" }, http: { trusted_proxies: "127.0.0.1", header_timeout: "4s", ...settings } });
	try {
		for (const input of inputs) {
			const w = await s.wire();
			w.write(Buffer.from(input, "latin1"));
			assert.equal(await w.rest(), "");
		}
		if (settings.trusted_proxies === undefined) {
			const w = await s.wire();
			w.write(`PROXY UNKNOWN\r\n${get("Connection: close\r\n")}`);
			assert.match(await w.rest(), /^HTTP\/1.1 200 /);
		}
	} finally {
		await s.stop();
	}
	return { code: "none", closed: true };
};
drivers["proxy-garbage"] = proxied({}, get(""), "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
    "PROXY TCP4 ::1 ::1 1 2\r\n", `${V2}\x31\x11\x00\x00`, `${V2}\x21\x11\x00\x02xx`, `${V2}\x21\x77\x00\x00`);
drivers["proxy-long"] = proxied({}, `PROXY UNKNOWN ${"x".repeat(120)}`, `${V2}\x21\x11\xff\xff`);
drivers["proxy-slow"] = proxied({}, "P", "PROXY TCP4 192.0.2.1 ", V2, `${V2}\x21\x11\x00\x0c\xc0\x00`);
drivers["proxy-stranger"] = proxied({ trusted_proxies: "192.0.2.1" }, "PROXY UNKNOWN\r\n");

/** Requests at an address that serves metrics alone; a good one first. */
const numbers = (metrics, ...inputs) => async () => {
	const s = await Server.start({ metrics: { address: "127.0.0.1:0", ...metrics } });
	const address = s.addresses.find((a) => a !== s.address), seen = new Set();
	try {
		for (const [text, where = address] of inputs) {
			const w = await Wire.open(s, { address: where });
			w.write(text);
			seen.add((await w.answer()).status);
			w.write(get(""));
			assert.equal((await w.answer()).status, 200);
			w.close();
		}
		assert.equal(seen.size, 1, [...seen].join());
		return { code: String([...seen][0]), closed: false };
	} finally {
		await s.stop();
	}
};
const TOKEN = "0123456789abcdef", at = (more = "", target = "/metrics") => get(more, `GET ${target} HTTP/1.1`);
drivers["metrics-stranger"] = numbers({ allow: "192.0.2.1", token: TOKEN }, [at()], [at(`Authorization: Bearer ${TOKEN}\r\n`)],
    [at("X-Forwarded-For: 192.0.2.1\r\n")]);
drivers["metrics-token"] = numbers({ token: TOKEN }, [at()], [at(`Authorization: Bearer ${TOKEN}0\r\n`)], [at("Authorization: Bearer\r\n")],
    [at(`Authorization: Basic ${TOKEN}\r\n`)], [at("", `/metrics?token=${TOKEN}`)], [at(`Authorization: Bearer x\r\nAuthorization: Bearer ${TOKEN}\r\n`)]);
drivers["metrics-elsewhere"] = numbers({}, [at("", "/apps/1001/channels")], [at("", "/")], [at("", "/metrics/")], [at("", "//metrics")],
    [upgrade()], [at("", "/%6detrics")]);
drivers["proxy-address-many"] = async () => {
	const s = await Server.start({ http: { trusted_proxies: "127.0.0.1", max_connections_per_address: 2 } });
	try {
		const from = { headers: { "X-Forwarded-For": "192.0.2.1" } }, crowd = await s.crowd(2, from), w = await s.wire();
		w.write(upgrade({ "X-Forwarded-For": "203.0.113.1, 192.0.2.1" }));
		const text = await w.rest();
		await crowd[0].ping();
		await (await s.connect()).ping();
		return { code: text.split(" ")[1], closed: true };
	} finally {
		await s.stop();
	}
};

// ---- handshake -----------------------------------------------------------------------

drivers["upgrade-missing"] = http(get("", `GET /app/${APP.key} HTTP/1.1`), upgrade({ Connection: "keep-alive" }));
drivers["upgrade-other"] = http(upgrade({ Upgrade: "h2c" }));
drivers["upgrade-version"] = http(upgrade({ "Sec-WebSocket-Version": "8" }), upgrade({ "Sec-WebSocket-Version": undefined }));
drivers["upgrade-key-missing"] = http(upgrade({ "Sec-WebSocket-Key": undefined }));
drivers["upgrade-key-bad"] = http(upgrade({ "Sec-WebSocket-Key": "short" }), upgrade({ "Sec-WebSocket-Key": "!".repeat(24) }));
drivers["upgrade-post"] = http(upgrade({}, `POST /app/${APP.key} HTTP/1.1`));
drivers["upgrade-http10"] = http(upgrade({}, `GET /app/${APP.key} HTTP/1.0`));
drivers["upgrade-body"] = http(upgrade({ "Content-Length": "3" }));
drivers["upgrade-path"] = http(upgrade({}, "GET /nothing HTTP/1.1"), upgrade({}, "GET /application/x HTTP/1.1"));
drivers["upgrade-path-app"] = async (s) => {
	for (const key of ["", `${APP.key}/`, `${APP.key}/x`])
		await refused({ key })(s);
	return refused({ key: "/" })(s);
};
drivers["upgrade-key-unknown"] = refused({ key: "nobody" });
drivers["upgrade-app-disabled"] = refused({ app: OFF });
drivers["upgrade-quota"] = async (s) => { await s.connect({ app: FULL }); return refused({ app: FULL })(s); };
drivers["upgrade-origin"] = refused({ app: ORIGIN, origin: "http://bad.example" });
drivers["upgrade-protocol"] = refused({ query: "protocol=99" });
drivers["upgrade-protocol-text"] = refused({ query: "protocol=x" });

// ---- frames --------------------------------------------------------------------------

const PING = '{"event":"pusher:ping"}';
drivers["frame-unmasked"] = frames(frame(1, PING, { mask: false }));
drivers["frame-reserved"] = frames(...[1, 2, 3, 7].map((rsv) => frame(1, PING, { rsv })), frame(9, "", { rsv: 4 }));
drivers["frame-opcode"] = frames(...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => frame(opcode, "x")));
drivers["frame-control-long"] = frames(frame(9, "x".repeat(126)), frame(8, "x".repeat(126)));
drivers["frame-control-fragment"] = frames(frame(9, "x", { fin: false }), frame(10, "x", { fin: false }), frame(8, "", { fin: false }));
drivers["frame-continuation"] = frames(frame(0, "x"), frame(0, "x", { fin: false }));
drivers["frame-interleaved"] = frames([frame(1, "{", { fin: false }), frame(1, "}")], [frame(1, "{", { fin: false }), frame(2, "}")]);
drivers["frame-length-63"] = frames(Buffer.from("81ffffffffffffffffff00000000", "hex"));
drivers["frame-large"] = frames(frame(1, "", { length: 2001 }), frame(1, "", { length: 2 ** 40 }), frame(2, "", { length: 65535 }));
drivers["frame-fragments-large"] = frames([frame(1, "x".repeat(1500), { fin: false }), frame(0, "x".repeat(501))]);
drivers["frame-fragments-many"] = frames([frame(1, "x", { fin: false }), Buffer.concat(Array(20).fill(frame(0, "x", { fin: false })))]);
drivers["frame-fragments-empty"] = frames([frame(1, "", { fin: false }), Buffer.concat(Array(1000).fill(frame(0, "", { fin: false })))]);
drivers["frame-utf8"] = frames(frame(1, Buffer.from('{"event":"\xff"}', "latin1")), frame(1, Buffer.from("c0af", "hex")), frame(1, Buffer.from("eda080", "hex")));
drivers["frame-utf8-fragment"] = frames(frame(1, Buffer.from("ce78", "hex"), { fin: false }), [frame(1, "good", { fin: false }), frame(0, Buffer.from("ff", "hex"), { fin: false })]);
drivers["frame-utf8-binary"] = async (s) => {
	const c = await s.connect();
	c.send(Buffer.from('{"event":"\xff"}', "latin1"));
	const { code } = decoded(await c.next());
	await c.ping();
	return { code: String(code), closed: false };
};
drivers["frame-close-code"] = frames(...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999].map((code) => frame(8, Buffer.from([code >> 8, code & 255]))));
drivers["frame-close-short"] = frames(frame(8, "x"));
drivers["frame-close-utf8"] = frames(frame(8, Buffer.from("03e8fffe", "hex")));
drivers["frame-after-close"] = frames([frame(8, Buffer.from("03e8", "hex")), frame(1, PING), frame(9, "x")]);
drivers["frame-half"] = async (s) => {
	const w = await s.wire();
	await w.upgrade(s, "", `/app/${QUIET.key}`);
	w.write(frame(1, PING).subarray(0, 10));
	const { code } = await w.closeFrame();
	await w.rest();
	return { code: String(code), closed: true };
};
drivers["frame-pings"] = async (s) => {
	const w = await s.wire();
	await w.upgrade(s);
	await w.frame();
	w.write(Buffer.concat(Array(10000).fill(frame(9, "x"))));
	for (let i = 0; i < 10000; i++)
		assert.equal((await w.frame()).opcode, 10);
	w.write(frame(1, PING));
	assert.match((await w.frame()).payload.toString(), /pong/);
	w.close();
	return { code: "none", closed: false };
};

const deflate = (data) => zlib.deflateRawSync(Buffer.from(data), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
const compressed = (...parts) => async (s) => {
	const w = await s.wire();
	await w.upgrade(s, "Sec-WebSocket-Extensions: permessage-deflate\r\n", `/app/${SMALL.key}`);
	for (const part of parts)
		w.write(part);
	const { code } = await w.closeFrame();
	w.write(frame(8, Buffer.from([code >> 8, code & 255])));
	await w.rest();
	return { code: String(code), closed: true };
};
const bomb = deflate(Buffer.alloc(1 << 20, "x"));
drivers["deflate-not-agreed"] = frames(frame(1, deflate(PING), { rsv: 4 }));
drivers["deflate-bad"] = compressed(frame(1, Buffer.alloc(40, 0xfe), { rsv: 4 }));
drivers["deflate-bomb"] = compressed(frame(1, bomb, { rsv: 4 }));
drivers["deflate-bomb-fragments"] = compressed(frame(1, bomb.subarray(0, 100), { rsv: 4, fin: false }), frame(0, bomb.subarray(100)));

/** A subscriber that stops reading while much is published to it. */
const slow = (bytes, websocket) => async () => {
	const s = await Server.start({ websocket });
	try {
		const channel = unique("slow"), w = await s.wire();
		await w.upgrade(s);
		w.write(frame(1, JSON.stringify({ event: "pusher:subscribe", data: { channel } })));
		await w.wait((text) => text.includes("subscription_succeeded"), "subscribed");
		w.socket.pause();
		// The time of a call begins when it is sent, so few are under way.
		await Promise.all(Array.from({ length: 8 }, async () => {
			for (let n = 0; n < bytes / 8; n += 9000)
				await s.publish(channel, "e", "x".repeat(9000));
		}));
		await until(async () => !(await s.get(`/channels/${channel}`)).json.occupied, "the slow one to be cut off");
		await until(async () => (await s.ctl("status")).totals.slow_readers === 1, "the count");
		w.close();
	} finally {
		await s.stop();
	}
	return { code: "4100", closed: true };
};
drivers["reader-slow"] = slow(30 << 20, { max_backlog: "1m" });
drivers["reader-stuck"] = slow(12 << 20, { max_backlog: "1g", backlog_timeout: "1s" });
drivers["reader-slow-all"] = slow(12 << 20, { max_backlog: "1g", max_backlog_total: "1m" });
drivers["close-unanswered"] = async (s) => {
	const w = await s.wire();
	await w.upgrade(s, "Origin: http://bad.example\r\n", `/app/${ORIGIN.key}`);
	const { code } = await w.closeFrame();
	await w.rest();
	return { code: String(code), closed: true };
};
const late = (options) => async (s) => {
	const c = await s.connect(options), error = decoded(await c.skipTo("pusher:error")), end = await c.closed();
	assert.equal(error.code, end.code);
	return { code: String(end.code), closed: true };
};
drivers.silent = late({ app: QUIET });
drivers["joins-nothing"] = late({ app: JOIN });

// ---- messages ---------------------------------------------------------------------------

const deep = (n) => "[".repeat(n) + "]".repeat(n);
const subscribe = (data) => ({ event: "pusher:subscribe", data });
const small = { options: { app: SMALL } };
const client = (event, channel, data) => ({ event, channel, data });
const bad = (channel, data) => (c) => subscribe({ channel, channel_data: JSON.stringify(data), auth: c.auth(channel, JSON.stringify(data)) });

drivers["message-text"] = message("hello", "{", "{'a':1}", "undefined", "<xml/>");
drivers["message-empty"] = message("", " ");
drivers["message-nul"] = message('{"event":"a\x00"}', "\x00");
drivers["message-list"] = message("[]", "5", "null", '"pusher:ping"', '[{"event":"pusher:ping"}]');
drivers["message-deep"] = message(`{"event":"pusher:ping","data":${deep(200)}}`, deep(4000));
drivers["message-surrogate"] = message('{"event":"client-\\ud800","channel":"c","data":{}}', '{"event":"\\udc00"}');
drivers["message-trailing"] = message('{"event":"pusher:ping"}x', '{"event":"pusher:ping"}{}');
drivers["message-event-missing"] = message("{}", { data: {} }, { channel: "c" });
drivers["message-event-type"] = message({ event: 5 }, { event: null }, { event: [] }, { event: {} }, { event: "" });
drivers["message-event-unknown"] = message({ event: "pusher:unknown" }, { event: "pusher:" }, { event: "pusher:connection_established", data: {} });
drivers["message-event-other"] = message(client("foo", "c", {}), client("pusher_internal:member_added", "c", {}));
drivers["message-rate"] = async (s) => {
	const c = await s.connect({ app: RATE });
	await c.ping();
	await c.ping();
	c.send({ event: "pusher:ping" });
	const { code } = decoded(await c.next());
	c.socket.ping();
	await c.control("pong");
	return { code: String(code), closed: false };
};
drivers["message-rate-terminate"] = async (s) => {
	const c = await s.connect({ app: CUT });
	for (let i = 0; i < 3; i++)
		c.send({ event: "pusher:ping" });
	assert.equal(decoded(await c.skipTo("pusher:error")).code, 4301);
	return { code: String((await c.closed()).code), closed: true };
};
drivers["subscribe-channel-type"] = message(...[5, null, [], {}, true].map((channel) => subscribe({ channel })), subscribe({}));
drivers["subscribe-data-type"] = message(...[5, null, [], "x", "[]", true].map(subscribe), { event: "pusher:subscribe" });
drivers["subscribe-auth-type"] = message(...[5, [], {}, true].map((auth) => subscribe({ channel: "private-x", auth })));
drivers["subscribe-member-json"] = message(...["x", "{", [], {}, 5].map((channel_data) => subscribe({ channel: "presence-x", auth: "", channel_data })));
drivers["subscribe-name"] = message(...["", "a b", "é", "a\u0000", "#", "#x", "a#b", "a/b", "../x", "\n"].map((channel) => subscribe({ channel })));
drivers["subscribe-name-long"] = message(small, subscribe({ channel: "x".repeat(51) }));
drivers["subscribe-many"] = message({ ...small, before: async (c) => { await c.subscribe("a"); await c.subscribe("b"); } }, subscribe({ channel: "c" }));
drivers["subscribe-signature"] = message(...["", "x", `${APP.key}:`, `${APP.key}:${"0".repeat(64)}`, ":".repeat(100), "\u0000"].map((auth) => subscribe({ channel: "private-x", auth })));
drivers["subscribe-user-channel"] = message({ before: (c) => c.signin({ id: "me" }) }, ...["other", "me2", "", "m"].map((id) => subscribe({ channel: `#server-to-user-${id}` })));
drivers["subscribe-member-missing"] = message((c) => subscribe({ channel: "presence-x", auth: c.auth("presence-x") }));
drivers["subscribe-member-id"] = message(...[undefined, null, "", true, [], {}, "x".repeat(129)].map((user_id) => bad("presence-x", { user_id })), bad("presence-x", []), bad("presence-x", 5));
drivers["subscribe-member-large"] = message(small, bad("presence-x", { user_id: "1", user_info: "x".repeat(100) }));
drivers["subscribe-full"] = async (s) => {
	const channel = unique("presence-full");
	await (await s.connect({ app: SMALL })).subscribe(channel, { user_id: "1" });
	// The router decides, so the answer comes behind a pong.
	const c = await s.connect({ app: SMALL });
	c.subscribing(channel, { user_id: "2" });
	const { code } = decoded(await c.skipTo("pusher:error"));
	await c.skipTo("pusher:subscription_error");
	await c.ping();
	return { code: String(code), closed: false };
};
drivers["subscribe-again"] = message(...Array(1000).fill(subscribe({ channel: "again" })));
drivers["unsubscribe-unknown"] = message({ event: "pusher:unsubscribe", data: { channel: "never" } }, { event: "pusher:unsubscribe", data: { channel: "" } });
drivers["signin-shape"] = message(...[{}, { auth: "x" }, { user_data: "{}" }, { auth: 1, user_data: 1 }, null].map((data) => ({ event: "pusher:signin", data })));
drivers["signin-signature"] = async (s) => {
	const c = await s.connect();
	c.send({ event: "pusher:signin", data: { auth: `${APP.key}:00`, user_data: '{"id":"1"}' } });
	const { code } = decoded(await c.next());
	return { code: String((await c.closed(code)).code), closed: true };
};
const signin = (user_data) => (c) => ({ event: "pusher:signin", data: { user_data, auth: `${c.app.key}:${crypto.createHmac("sha256", c.app.secret).update(`${c.id}::user::${user_data}`).digest("hex")}` } });
drivers["signin-user"] = message(...["{}", '{"id":""}', '{"id":5}', "[]", "x", "", JSON.stringify({ id: "x".repeat(129) })].map(signin));
drivers["signin-other"] = message({ before: (c) => c.signin({ id: "one" }) }, signin('{"id":"two"}'));
drivers["signin-watchlist"] = message(small, signin('{"id":"w","watchlist":["a","b","c"]}'));
drivers["event-off"] = message({ options: { app: NONE }, before: (c) => c.subscribe("c") }, client("client-x", "c", {}));
drivers["event-stranger"] = message(client("client-x", "private-c", {}), client("client-x", "#server-to-user-1", {}), client("client-x", "a b", {}));
drivers["event-channel"] = message({ event: "client-x", data: {} }, client("client-x", "", {}), client("client-x", 5, {}), client("client-x", ["c"], {}));
drivers["event-name-long"] = message({ ...small, before: (c) => c.subscribe("c") }, client(`client-${"x".repeat(30)}`, "c", {}));
drivers["event-large"] = message({ ...small, before: (c) => c.subscribe("c") }, client("client-x", "c", "x".repeat(100)));
drivers["event-rate"] = async (s) => {
	const c = await s.connect({ app: FEW });
	await c.subscribe("c");
	for (let i = 0; i < 10; i++)
		c.send(client("client-x", "c", {}));
	const { code } = decoded(await c.next());
	await c.skipTo("pusher:error");
	c.send({ event: "pusher:ping" });
	await c.skipTo("pusher:pong");
	return { code: String(code), closed: false };
};

// ---- plain rooms -------------------------------------------------------------------------------

const token = (room, seconds, secret = TOKEN) => {
	const expires = Math.floor(Date.now() / 1000) + seconds;
	return `${expires}.${crypto.createHmac("sha256", secret).update(`${room}:${expires}`).digest("hex")}`;
};
const ROOMS = {
	rooms: { app: "main", path: "/room", max_message_size: 100, message_rate: 5, max_room_name: 20 },
	"rooms token": { app: "main", path: "/token", sse_path: "/token-sse/", channel: "private-t-", token_secret: TOKEN, token_timeout: "1s",
		allowed_origins: "good.example" },
	"rooms read": { app: "main", path: "/read", sse_path: "", publish: "no", ping_interval: "1s" },
};
const door = (target, more = {}) => upgrade(more, `GET ${target} HTTP/1.1`);
const GOOD = { Origin: "https://good.example" };
const badTokens = () => ["x", ".", "1.", `${token("8", 60)}`, token("7", -1), token("7", 60, TOKEN + "0"), token("7", 60).slice(0, -1), "9".repeat(1000)];
const badRooms = ["", "a%0Ab", "%7f", "%zz", "%", "%ff", "%ed%a0%80", "x".repeat(21)];

/** What is said in a room, each on a connection of its own; the close code. */
const room = (target, more, ...says) => async (s) => {
	const seen = new Set();
	for (const say of says.flatMap((one) => (typeof one === "function" ? one() : [one]))) {
		const w = await s.wire();
		w.write(door(target, more));
		assert.equal((await w.answer()).status, 101);
		for (const part of [say].flat())
			w.write(part);
		const { code } = await w.closeFrame();
		w.write(frame(8, Buffer.from([code >> 8, code & 255])));
		await w.rest();
		seen.add(code);
	}
	assert.equal(seen.size, 1, [...seen].join());
	return { code: String([...seen][0]), closed: true };
};

drivers["rooms-name"] = http(...badRooms.map((name) => door(`/room?room=${name}`)), door("/room"));
drivers["rooms-origin"] = http(...["https://evil.example", "null", "", "good.example"].map((Origin) => door("/token?room=7", { Origin })), door("/token?room=7"));
drivers["rooms-token-query"] = http(...badTokens().map((bad) => door(`/token?room=7&token=${bad}`, GOOD)));
drivers["rooms-token-message"] = room("/token?room=7", GOOD, () => [...badTokens(), ""].map((bad) => frame(1, bad)));
drivers["rooms-token-silent"] = room("/token?room=7", GOOD, []);
drivers["rooms-binary"] = room("/room?room=7", {}, frame(2, "x"), frame(2, ""));
drivers["rooms-large"] = room("/room?room=7", {}, frame(1, "x".repeat(101)), [[frame(1, "x".repeat(100), { fin: false }), frame(0, "x")]].flat());
drivers["rooms-rate"] = room("/room?room=7", {}, Buffer.concat(Array.from({ length: 20 }, () => frame(1, "x"))));
drivers["rooms-read-only"] = room("/read?room=7", {}, frame(1, "x"));
drivers["rooms-ping-unanswered"] = room("/read?room=7", {}, []);
drivers["sse-name"] = http(...badRooms.map((name) => get("", `GET /sse/${name} HTTP/1.1`)));
drivers["sse-method"] = http(...["POST", "DELETE", "PUT", "X"].map((method) => get("", `${method} /sse/7 HTTP/1.1`)), get("Content-Length: 3\r\n", "POST /sse/7 HTTP/1.1") + "abc");
drivers["sse-origin"] = http(get("Origin: https://evil.example\r\n", "GET /token-sse/7 HTTP/1.1"), get("Origin: null\r\n", "GET /token-sse/7 HTTP/1.1"));
drivers["sse-token-missing"] = http(get("", "GET /token-sse/7 HTTP/1.1"), get("", "GET /token-sse/7?token= HTTP/1.1"));
drivers["sse-token"] = http(...badTokens().map((bad) => get("", `GET /token-sse/7?token=${bad} HTTP/1.1`)));

// ---- the live page --------------------------------------------------------------------------

const PAGE = { page: { enabled: "yes", token: TOKEN } };
const login = (text) => frame(1, JSON.stringify({ do: "login", token: text }));
const IN = login(TOKEN);
drivers["page-origin"] = http(...["https://evil.example", "null", ""].map((Origin) => door("/peal/ws", { Origin })));
drivers["page-login-missing"] = room("/peal/ws", {}, frame(1, ""), frame(1, "{"), frame(1, '{"do":"watch"}'), frame(1, '{"do":"login","token":[]}'));
drivers["page-token"] = room("/peal/ws", {}, ...["", "x", TOKEN.slice(0, -1), `${TOKEN}0`, "9".repeat(1000)].map(login));
drivers["page-login-large"] = room("/peal/ws", {}, login("x".repeat(2100)));
drivers["page-binary"] = room("/peal/ws", {}, frame(2, "x"));
drivers["page-login-silent"] = room("/peal/ws", {}, []);
drivers["page-method"] = http(get("", "POST /peal/ HTTP/1.1"), get("", "DELETE /peal/page.js HTTP/1.1"));
/** One that has logged in, on a server of its own: wrong tokens make an address wait. */
const inside = (...says) => async () => {
	const s = await Server.start(PAGE);
	try {
		return await room("/peal/ws", {}, ...says.map((say) => [IN, say].flat()))(s);
	} finally {
		await s.stop();
	}
};
drivers["page-large"] = inside(frame(1, "x".repeat(131073)));
drivers["page-rate"] = inside(Buffer.concat(Array.from({ length: 1000 }, () => frame(1, "{}"))));

// ---- the API ---------------------------------------------------------------------------------

const EVENT = { name: "e", data: "1", channel: "c" };
const events = (body, options) => ["POST", "/apps/APP/events", body, options];
const batch = (body, options) => ["POST", "/apps/APP/batch_events", body, options];
const list = (options) => ["GET", "/apps/APP/channels", undefined, options];
const off = { auth_timestamp: String(Math.floor(Date.now() / 1000) - 3600) };

drivers["api-app"] = api(["GET", "/apps/999/channels"], ["POST", "/apps/999/events", EVENT], ["GET", `/apps/${"9".repeat(500)}/channels`]);
drivers["api-app-disabled"] = api(list({ app: OFF }), events(EVENT, { app: OFF }));
drivers["api-unsigned"] = api(list({ unsigned: true }), events(EVENT, { unsigned: true }));
drivers["api-signature"] = api(...["", "x", "0".repeat(64), "0".repeat(5000)].map((auth_signature) => list({ change: { auth_signature } })));
drivers["api-key"] = api(list({ change: { auth_key: SMALL.key } }), list({ change: { auth_key: "" } }));
drivers["api-timestamp"] = api(list({ change: off }), list({ change: { auth_timestamp: "99999999999999999999" } }), list({ change: { auth_timestamp: "-1" } }));
drivers["api-version"] = api(list({ change: { auth_version: "2.0" } }));
drivers["api-md5"] = api(events(EVENT, { change: { body_md5: "0".repeat(32) } }), events(EVENT, { change: { body_md5: undefined } }));
drivers["api-body"] = api(...["x", "[]", "null", "5", "{", '{"a":1}x'].map((body) => events(body)), batch("[]"));
drivers["api-body-deep"] = api(events(`{"name":"e","channel":"c","data":${deep(3000)}}`));
drivers["api-body-utf8"] = async (s) => {
	const body = Buffer.from('{"name":"\xff","data":"1","channel":"c"}', "latin1"), target = `/apps/${APP.id}/events`;
	return http([[signed(s, "POST", target, body)]].map(([line]) => [get(`Content-Length: ${body.length}\r\n`, `POST ${line} HTTP/1.1`), body]))(s);
};
drivers["api-field-missing"] = api(...["name", "data", "channel"].map((field) => events({ ...EVENT, [field]: undefined })), events({ ...EVENT, data: "" }), events({ name: "e", data: "1", channels: [] }),
    batch({}), batch({ batch: [] }), batch({ batch: [{}] }), batch({ batch: [5] }));
drivers["api-field-type"] = api(...Object.entries({ name: 5, data: {}, channel: [], socket_id: 5, info: [] }).map(([k, v]) => events({ ...EVENT, [k]: v })), events({ ...EVENT, channels: "c" }), batch({ batch: "x" }));
drivers["api-name-long"] = api(events({ ...EVENT, name: "x".repeat(201) }), events({ ...EVENT, name: "x".repeat(31) }, { app: SMALL }));
drivers["api-name-reserved"] = api(events({ ...EVENT, name: "pusher:error" }), events({ ...EVENT, name: "pusher_internal:member_added" }));
drivers["api-channel-name"] = api(...["a b", "x".repeat(201), "#x", "é", "a/b"].map((channel) => events({ ...EVENT, channel })), batch({ batch: [{ ...EVENT, channel: "a b" }] }));
drivers["api-channels-many"] = api(events({ name: "e", data: "1", channels: ["a", "b", "c"] }, { app: SMALL }));
drivers["api-channels-type"] = api(events({ name: "e", data: "1", channels: [5] }), events({ name: "e", data: "1", channels: [null] }));
drivers["api-channels-encrypted"] = api(events({ name: "e", data: "1", channels: ["private-encrypted-x", "c"] }));
drivers["api-batch-large"] = api(batch({ batch: [EVENT, EVENT, EVENT] }, { app: SMALL }));
drivers["api-data-large"] = api(events({ ...EVENT, data: "x".repeat(101) }, { app: SMALL }), batch({ batch: [{ ...EVENT, data: "x".repeat(101) }] }, { app: SMALL }));
/** The router takes nothing, and what was published fills the worker's window. */
drivers["api-over-capacity"] = async () => {
	const s = await Server.start({ peal: { watchdog: "10m" }, http: { max_request_size: "200k" },
	    router: { publish_window: "64k", publish_wait: "1s" } });
	const [router] = s.pids("peald: router");
	try {
		process.kill(router, "SIGSTOP");
		const first = s.publish("c", "e", "x".repeat(100000));
		await until(async () => (await s.ctl("status")).totals.published === 1, "the first to be taken");
		const answer = await s.call("POST", `/apps/${s.app.id}/events`, EVENT);
		process.kill(router, "SIGCONT");
		await first;
		assert.equal(answer.headers["retry-after"], "1");
		return { code: String(answer.status), closed: answer.headers.connection === "close" };
	} finally {
		process.kill(router, "SIGCONT");
		await s.stop();
	}
};
drivers["api-users-public"] = api(["GET", "/apps/APP/channels/c/users"], ["GET", "/apps/APP/channels/private-c/users"]);

// ---- the walk ------------------------------------------------------------------------------------

const server = {
	apps: { main: APP, off: OFF, full: FULL, origin: ORIGIN, small: SMALL, quiet: QUIET, join: JOIN, rate: RATE, cut: CUT, none: NONE, few: FEW },
	websocket: { close_timeout: "1s", max_fragments: 16 },
	...ROOMS,
	...PAGE,
	listeners: { "listen tls": { address: "127.0.0.1:0", certificate: chain, certificate_key: key } },
};

const walk = (which) => (s) => {
	for (const { id, input, answer, then } of rows.filter(which))
		test(`${id}: ${input}`, async () => {
			assert.ok(drivers[id], "a row without a driver");
			const bystander = await s.server.connect(), pids = s.server.pids("peald: ");
			const got = await drivers[id](s.server);
			assert.deepEqual(got, { code: answer, closed: then === "closed" });
			await bystander.ping();
			assert.deepEqual(s.server.pids("peald: "), pids);
		});
};

// What waits for a time-out waits beside the others, where time is short.
const timed = ({ id }) => /-slow$|-silent$|-idle$|-trickle$|-unread$|-half$|-stuck$|^silent$|^joins-|-unanswered$/.test(id);
live("bad input", server, walk((row) => !timed(row)));
// Beside others this process does not run for seconds at times.
const SLOW = Math.max(10, 3 * patience);
live("slow input", { ...server, parallel: true, http: { header_timeout: `${SLOW}s`, body_timeout: `${SLOW}s` } }, walk(timed));

test("every driver has its row, and no row stands twice", () => {
	const ids = rows.map((row) => row.id);
	assert.ok(ids.length > 100, "the table was read");
	assert.deepEqual(Object.keys(drivers).filter((id) => !ids.includes(id)), []);
	assert.equal(new Set(ids).size, ids.length);
	// A row that the pattern above did not take is a mistake in the table.
	assert.equal(fs.readFileSync(doc, "utf8").match(/^\| `/gm).length, ids.length);
});
