// SPDX-License-Identifier: MIT
// The HTTP API: every call, its shapes and statuses, and HTTP itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hmac, live, md5, unique, until, within } from "./harness.mjs";

live("api", {}, (s) => {
	const base = () => `/apps/${s.server.app.id}`;
	const post = (target, body, options) => s.server.call("POST", base() + target, body, options);

	test("events: one channel, several, as Laravel and as old libraries send it", async () => {
		const [a, b] = [unique(), unique()], c = await s.server.connect();
		await c.subscribe(a);
		await c.subscribe(b);
		const answer = await post("/events", { name: "e", data: "1", channel: a });
		assert.deepEqual([answer.status, answer.text], [200, "{}"]);
		assert.equal(answer.headers["content-length"], "2");
		assert.match(answer.headers["content-type"], /^application\/json/);
		await c.expectFrame({ event: "e", channel: a, data: "1" });
		await post("/events", { name: "e", data: "2", channels: [a, b] });
		await c.expectFrame({ event: "e", channel: a, data: "2" });
		await c.expectFrame({ event: "e", channel: b, data: "2" });
		// Strings with everything in them arrive unchanged.
		const odd = "\u0000\u001f\"\\/\u2028 é 😀 \ud83d\ude00 </script>";
		await post("/events", { name: "ödd \"name\"", data: odd, channel: a });
		await c.expectFrame({ event: "ödd \"name\"", channel: a, data: odd });
	});

	test("events: socket_id is left out, a stranger's does not matter", async () => {
		const channel = unique(), crowd = await s.server.crowd(6);
		for (const c of crowd)
			await c.subscribe(channel);
		await s.server.publish(channel, "e", "1", { body: { socket_id: crowd[2].id } });
		for (const c of crowd.filter((x) => x !== crowd[2]))
			await c.expect("e", channel);
		await crowd[2].silent(channel);
		for (const socket_id of ["1.1", "999999999999.5", "12345678901234567890.1"]) {
			const { status } = await post("/events", { name: "e", data: "1", channel, socket_id });
			assert.ok(status === 200 || status === 422, String(status));
		}
	});

	test("events: info counts over all workers", async () => {
		const pub = unique(), pres = unique("presence-i"), empty = unique("nobody"), crowd = await s.server.crowd(8);
		for (const [i, c] of crowd.entries()) {
			await c.subscribe(pub);
			c.subscribing(pres, { user_id: `u${i % 3}`, user_info: {} });
			await c.skipTo("pusher_internal:subscription_succeeded");
		}
		const both = "user_count,subscription_count";
		const { json } = await post("/events", { name: "e", data: "1", channels: [pub, pres, empty], info: both });
		assert.deepEqual(json, { channels: { [pub]: { subscription_count: 8 }, [pres]: { user_count: 3 }, [empty]: {} } });
		assert.deepEqual((await post("/events", { name: "e", data: "1", channel: pub, info: "user_count" })).json, { channels: { [pub]: {} } });
	});

	test("events: parameters in the query, as Pusher allows", async () => {
		const channel = unique(), c = await s.server.connect();
		await c.subscribe(channel);
		const { status } = await post("/events", undefined, { query: { name: "q", data: "1", channel } });
		assert.equal(status, 200);
		await c.expectFrame({ event: "q", channel, data: "1" });
	});

	test("batch: shapes with and without info, order of items", async () => {
		const [a, b] = [unique(), unique("presence-b")], c = await s.server.connect();
		await c.subscribe(a);
		await c.subscribe(b, { user_id: "1", user_info: {} });
		const item = (n, more) => ({ name: `e${n}`, data: String(n), channel: n % 2 ? b : a, ...more });
		const none = await post("/batch_events", { batch: [item(0), item(1), item(2)] });
		assert.deepEqual([none.status, none.text], [200, '{"batch":{}}']);
		for (const n of [0, 1, 2])
			await c.expectFrame({ event: `e${n}`, channel: n % 2 ? b : a, data: String(n) });
		const some = await post("/batch_events", { batch: [item(0, { info: "subscription_count" }), item(1, { info: "user_count" }), item(2)] });
		assert.deepEqual(some.json, { batch: [{ subscription_count: 1 }, { user_count: 1 }, {}] });
		const ten = await post("/batch_events", { batch: Array.from({ length: 10 }, (_, n) => item(n)) });
		assert.equal(ten.status, 200);
		assert.equal((await post("/batch_events", { batch: Array.from({ length: 11 }, (_, n) => item(n)) })).status, 422);
	});

	test("channels: all occupied ones, by prefix, with counts", async () => {
		const tag = unique("list"), crowd = await s.server.crowd(5);
		assert.deepEqual((await s.server.get("/channels", { filter_by_prefix: tag })).json, { channels: {} });
		for (const [i, c] of crowd.entries()) {
			await c.subscribe(`${tag}-${i % 2}`);
			await c.subscribe(`presence-${tag}`, { user_id: `u${i % 2}`, user_info: {} });
		}
		assert.deepEqual((await s.server.get("/channels", { filter_by_prefix: tag })).json, { channels: { [`${tag}-0`]: {}, [`${tag}-1`]: {} } });
		assert.deepEqual((await s.server.get("/channels", { filter_by_prefix: tag, info: "subscription_count" })).json,
		    { channels: { [`${tag}-0`]: { subscription_count: 3 }, [`${tag}-1`]: { subscription_count: 2 } } });
		assert.deepEqual((await s.server.get("/channels", { filter_by_prefix: `presence-${tag}`, info: "user_count" })).json,
		    { channels: { [`presence-${tag}`]: { user_count: 2 } } });
		const all = (await s.server.get("/channels")).json.channels;
		assert.ok(all[`${tag}-0`] && all[`presence-${tag}`]);
	});

	test("channel: occupied, counts, cache; nobody there", async () => {
		const channel = unique("presence-cache-one"), c = await s.server.connect();
		await c.subscribe(channel, { user_id: "1", user_info: {} });
		assert.deepEqual((await s.server.get(`/channels/${channel}`)).json, { occupied: true });
		assert.deepEqual((await s.server.get(`/channels/${channel}`, { info: "user_count,subscription_count" })).json, { occupied: true, user_count: 1 });
		await s.server.publish(channel, "e", '{"x":1}');
		const read = async () => (await s.server.get(`/channels/${channel}`, { info: "cache" })).json;
		// Another host asks the broker, which may read its question first.
		if (s.server.partner)
			await until(async () => (await read()).cache && (await read()).cache, "the broker to have it");
		const json = await read();
		assert.equal(json.occupied, true);
		assert.ok(JSON.stringify(json.cache).includes("x"), JSON.stringify(json));
		assert.deepEqual((await s.server.get(`/channels/${unique("no")}`, { info: "subscription_count" })).json.occupied, false);
	});

	test("users: in join order, each once; 400 and 404", async () => {
		const channel = unique("presence-u"), crowd = await s.server.crowd(4);
		for (const [i, c] of crowd.entries())
			await c.subscribe(channel, { user_id: [5, "b", "5", "a"][i], user_info: {} });
		assert.deepEqual((await s.server.get(`/channels/${channel}/users`)).json, { users: [{ id: 5 }, { id: "b" }, { id: "a" }] });
		const plain = await s.server.get(`/channels/${unique()}/users`);
		assert.deepEqual([plain.status, plain.text], [400, "{}"]);
		const nobody = await s.server.get(`/channels/${unique("presence-n")}/users`);
		assert.deepEqual([nobody.status, nobody.text], [404, "{}"]);
	});

	test("connections: those with a subscription, each once", async () => {
		const before = (await s.server.get("/connections")).json.connections, [a, b] = await s.server.crowd(2);
		await a.subscribe(unique());
		await a.subscribe(unique());
		const now = async () => (await s.server.get("/connections")).json.connections - before;
		await until(async () => await now() === 1, "one more");
		await b.subscribe(unique());
		await until(async () => await now() === 2, "two more");
		await a.kill();
		await until(async () => await now() === 1, "one less");
	});

	test("the old calls: channels/NAME/events (202) and stats", async () => {
		const channel = unique(), c = await s.server.connect();
		await c.subscribe(channel);
		const { status } = await post(`/channels/${channel}/events`, '{"old":1}', { query: { name: "old" } });
		assert.equal(status, 202);
		await c.expectFrame({ event: "old", channel, data: '{"old":1}' });
		assert.equal((await s.server.get(`/channels/${channel}/stats`)).json.occupied, true);
	});

	test("up: no signature", async () => {
		const { status, text, headers } = await s.server.request("GET", "/up");
		assert.deepEqual([status, text, headers["content-length"]], [200, '{"health":"OK"}', "15"]);
	});

	test("signatures: every part is checked, on every call", async () => {
		const now = Math.floor(Date.now() / 1000);
		const calls = [["POST", "/events", { name: "e", data: "1", channel: "c" }], ["POST", "/batch_events", { batch: [] }],
			["GET", "/channels"], ["GET", "/channels/c"], ["GET", "/channels/presence-c/users"], ["GET", "/connections"],
			["POST", "/users/1/terminate_connections", {}]];
		for (const [method, target, body] of calls) {
			assert.equal((await s.server.call(method, base() + target, body, { unsigned: true })).status, 401, target);
			for (const change of [{ auth_key: "other" }, { auth_key: undefined }, { auth_version: "1.1" }, { auth_version: undefined },
			    { auth_timestamp: String(now - 700) }, { auth_timestamp: String(now + 700) }, { auth_timestamp: "soon" }, { auth_timestamp: undefined },
			    { auth_signature: "0".repeat(64) }, { auth_signature: "" }, { auth_signature: "é" }, { body_md5: md5("other") },
			    ...(body ? [{ body_md5: undefined }] : [])])
				assert.equal((await s.server.call(method, base() + target, body, { change })).status, 401, `${target} ${JSON.stringify(change)}`);
			assert.equal((await s.server.call(method, base() + target, body, { app: { ...s.server.app, secret: "wrong" } })).status, 401);
		}
		for (const off of [-590, 590])
			assert.equal((await s.server.get("/channels", {}, { change: { auth_timestamp: String(now + off) } })).status, 200);
		assert.equal((await s.server.call("GET", "/apps/999/channels")).status, 404);
		assert.match((await s.server.call("GET", "/apps/999/channels")).text, /^No matching application for ID \[999\]\.$/);
	});

	test("a signature is for one method, path and query only", async () => {
		const query = s.server.sign("GET", `${base()}/channels`);
		assert.equal((await s.server.request("GET", `${base()}/channels?${query}`)).status, 200);
		assert.equal((await s.server.request("GET", `${base()}/connections?${query}`)).status, 401);
		assert.equal((await s.server.request("GET", `${base()}/channels?${query}&info=user_count`)).status, 401);
		assert.equal((await s.server.request("POST", `${base()}/events?${query}`, "{}")).status, 401);
	});

	test("query keys in upper case and escaped values sign as documented", async () => {
		const now = Math.floor(Date.now() / 1000), prefix = "a b&c=d/é";
		const text = `auth_key=${s.server.app.key}&auth_timestamp=${now}&auth_version=1.0&filter_by_prefix=${prefix}`;
		const signature = hmac(s.server.app.secret, `GET\n${base()}/channels\n${text}`);
		const query = `Auth_Key=${s.server.app.key}&AUTH_TIMESTAMP=${now}&auth_version=1.0&filter_by_prefix=${encodeURIComponent(prefix)}&auth_signature=${signature}`;
		const answer = await s.server.request("GET", `${base()}/channels?${query}`);
		assert.deepEqual([answer.status, answer.text], [200, '{"channels":{}}']);
	});

	test("422 in Laravel's words", async () => {
		const bad = async (body, expected, target = "/events") => {
			const answer = await post(target, body);
			assert.deepEqual([answer.status, answer.json], [422, expected], JSON.stringify(body));
		};
		await bad({ name: "e", channel: "c" }, { data: ["The data field is required."] });
		await bad({ data: "1", channel: "c" }, { name: ["The name field is required."] });
		await bad({ name: "e", data: {}, channel: "c" }, { data: ["The data field must be a string."] });
		await bad({ name: "e", data: "1", channel: "c", socket_id: 1 }, { socket_id: ["The socket id field must be a string."] });
		await bad({ name: "e", data: "1", channel: "c", info: 1 }, { info: ["The info field must be a string."] });
		await bad({ name: "e", data: "1" }, { channels: ["The channels field is required when channel is not present."],
			channel: ["The channel field is required when channels is not present."] });
		await bad({}, { batch: ["The batch field is required."] }, "/batch_events");
		await bad({ batch: "x" }, { batch: ["The batch field must be an array."] }, "/batch_events");
		await bad({ batch: [{}] }, { "batch.0.name": ["The batch.0.name field is required."], "batch.0.data": ["The batch.0.data field is required."],
			"batch.0.channel": ["The batch.0.channel field is required when channels is not present."] }, "/batch_events");
		for (const body of [{ name: "x".repeat(201), data: "1", channel: "c" }, { name: "pusher:x", data: "1", channel: "c" },
		    { name: "pusher_internal:x", data: "1", channel: "c" }, { name: "e", data: "1", channel: "bad name" }, { name: "e", data: "1", channel: "x".repeat(201) },
		    { name: "e", data: "1", channels: Array(101).fill("c") }, { name: "e", data: "1", channels: ["private-encrypted-x", "c"] },
		    { name: "e", data: "1", channel: "c", socket_id: "x" }])
			assert.equal((await post("/events", body)).status, 422, JSON.stringify(body));
	});

	test("400 for what is no JSON object", async () => {
		for (const body of ["null", "[]", '"x"', "5", "{", '{"a":}', "not json", '{"a":1}x'])
			assert.equal((await post("/events", body)).status, 400, body);
		assert.equal((await post("/events", { name: "e", data: "1", channels: [1] })).status, 400);
		assert.equal((await post("/batch_events", "null")).status, 400);
	});

	test("404, 405 with Allow, OPTIONS, HEAD", async () => {
		for (const target of ["/nothing", "/apps", `${base()}/nothing`, `${base()}/channels/`, "//up", "/up/", "/apps//channels"])
			assert.equal((await s.server.request("GET", target)).status, 404, target);
		const wrong = await s.server.request("DELETE", `${base()}/channels`);
		assert.equal(wrong.status, 405);
		assert.match(wrong.headers.allow, /GET/);
		assert.equal((await s.server.request("GET", `${base()}/events`)).status, 405);
		const options = await s.server.request("OPTIONS", `${base()}/events`);
		assert.equal(options.status, 200);
		assert.match(options.headers.allow, /POST/);
		assert.equal(options.headers["access-control-allow-origin"], undefined);
		const head = await s.server.call("HEAD", `${base()}/channels`);
		assert.deepEqual([head.status, head.text], [200, ""]);
		assert.ok(Number(head.headers["content-length"]) >= '{"channels":{}}'.length);
	});

	test("keep-alive: many calls on one connection", async () => {
		const w = await s.server.wire();
		for (let i = 0; i < 20; i++) {
			w.write(`GET ${base()}/connections?${s.server.sign("GET", `${base()}/connections`)} HTTP/1.1\r\nHost: x\r\n\r\n`);
			assert.equal((await w.answer()).status, 200);
		}
		w.write("GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		assert.match((await w.answer()).head, /^connection: close/im);
		await w.rest();
	});

	test("HTTP/1.0: closed after the answer, kept if asked", async () => {
		const w = await s.server.wire();
		w.write("GET /up HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
		assert.equal((await w.answer()).status, 200);
		w.write("GET /up HTTP/1.0\r\n\r\n");
		assert.equal((await w.answer()).status, 200);
		await w.rest();
	});

	test("pipelining: answers in order, also when some must wait for the router", async () => {
		const w = await s.server.wire(), channel = unique();
		const body = JSON.stringify({ name: "e", data: "1", channel });
		const one = (method, target, text = "") => `${method} ${target}${target.startsWith("/apps") ? `?${s.server.sign(method, target, text)}` : ""} HTTP/1.1\r\nHost: x\r\n${
			text ? `Content-Length: ${text.length}\r\n` : ""}\r\n${text}`;
		w.write(one("GET", "/up") + one("POST", `${base()}/events`, body) + one("GET", `${base()}/connections`) + one("GET", "/nothing") + one("GET", "/up"));
		assert.equal((await w.answer()).body, '{"health":"OK"}');
		assert.equal((await w.answer()).body, "{}");
		assert.match((await w.answer()).body, /^\{"connections":\d+\}$/);
		assert.equal((await w.answer()).status, 404);
		assert.equal((await w.answer()).body, '{"health":"OK"}');
		w.close();
	});

	test("Expect: 100-continue; a body in many pieces; a chunked body", async () => {
		const w = await s.server.wire(), channel = unique(), c = await s.server.connect();
		await c.subscribe(channel);
		const body = JSON.stringify({ name: "e", data: "x".repeat(5000), channel });
		const query = s.server.sign("POST", `${base()}/events`, body);
		w.write(`POST ${base()}/events?${query} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`);
		assert.equal((await w.answer()).status, 100);
		for (let i = 0; i < body.length; i += 500)
			await new Promise((resolve) => w.socket.write(body.slice(i, i + 500), resolve));
		assert.equal((await w.answer()).status, 200);
		await c.expect("e", channel, "x".repeat(5000));
		w.write(`POST ${base()}/events?${query} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
		for (let i = 0; i < body.length; i += 1000) {
			const part = body.slice(i, i + 1000);
			await new Promise((resolve) => w.socket.write(`${part.length.toString(16)}\r\n${part}\r\n`, resolve));
		}
		w.write("0\r\nTrailer: x\r\n\r\n");
		assert.equal((await w.answer()).status, 200);
		await c.expect("e", channel, "x".repeat(5000));
		w.close();
	});

	test("octet by octet", async () => {
		const w = await s.server.wire();
		for (const letter of "GET /up HTTP/1.1\r\nHost: x\r\n\r\n")
			await new Promise((resolve) => w.socket.write(letter, resolve));
		assert.equal((await w.answer()).body, '{"health":"OK"}');
		w.close();
	});

	test("413 over the request's size, headers counted; the connection ends", async () => {
		const send = async (n) => {
			const head = { name: "e", data: "", channel: "c" };
			return post("/events", JSON.stringify({ ...head, data: "x".repeat(n) }));
		};
		assert.equal((await send(9000)).status, 200);
		const big = await send(10000);
		assert.deepEqual([big.status, big.text], [413, "Payload too large."]);
	});
});

live("api with larger limits", { http: { max_request_size: "300k", timestamp_window: "0" }, app: { max_event_size: "200k", max_batch: 20, max_event_channels: 3 } }, (s) => {
	test("150 kB goes through to the subscriber", async () => {
		const channel = unique(), c = await s.server.connect(), data = "0123456789".repeat(15000);
		await c.subscribe(channel);
		await s.server.publish(channel, "big", data);
		await c.expectFrame({ event: "big", channel, data });
	});

	test("data over max_event_size: 413; window 0: any timestamp", async () => {
		const { status } = await s.server.call("POST", `/apps/${s.server.app.id}/events`, { name: "e", channel: "c", data: "x".repeat(210 * 1024) });
		assert.equal(status, 413);
		assert.equal((await s.server.get("/channels", {}, { change: { auth_timestamp: "1700000000" } })).status, 200);
	});

	test("limits of the app are its own", async () => {
		const item = { name: "e", data: "1", channel: "c" };
		assert.equal((await s.server.call("POST", `/apps/${s.server.app.id}/batch_events`, { batch: Array(20).fill(item) })).status, 200);
		assert.equal((await s.server.call("POST", `/apps/${s.server.app.id}/events`, { name: "e", data: "1", channels: ["a", "b", "c", "d"] })).status, 422);
	});
});

live("api under load", {}, (s) => {
	test("many publishers, many channels: everything arrives once", async () => {
		const crowd = await s.server.crowd(10), channels = Array.from({ length: 10 }, () => unique());
		for (const [i, c] of crowd.entries())
			for (const channel of channels.slice(0, i + 1))
				await c.subscribe(channel);
		await Promise.all(channels.flatMap((channel) => Array.from({ length: 30 }, (_, n) => s.server.publish(channel, "n", String(n)))));
		for (const [i, c] of crowd.entries()) {
			const seen = new Set();
			for (let n = 0; n < 30 * (i + 1); n++) {
				const f = await c.next();
				seen.add(`${f.channel} ${f.data}`);
			}
			assert.equal(seen.size, 30 * (i + 1));
			await c.ping();
		}
	});
});

live("a short header_timeout", { http: { header_timeout: "1s" } }, (s) => {
	test("is never cut short", async () => {
		const times = [];
		for (let i = 0; i < 4; i++) {	// begun anywhere within a second
			const start = process.hrtime.bigint();
			const w = await s.server.wire();
			const end = new Promise((resolve) => w.socket.once("close", resolve));
			w.socket.write("GET /up HTTP/1.1\r\nHos");
			w.socket.resume();
			await within(end, "408");
			times.push(Number(process.hrtime.bigint() - start) / 1e6);
			w.close();
		}
		assert.ok(Math.min(...times) > 990, times.join());
	});
});
