// SPDX-License-Identifier: MIT
//
// What Laravel Reverb's own tests promise its users, number by number: either
// it is so here, or it stands in FIXED with what is done instead, and the test
// of that number shows it.
import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { APP, Server, decoded, live, unique, until } from "./harness.mjs";

/** Where Reverb has a defect that no client depends on. */
const FIXED = {
	3: "as Reverb, and pusher:subscription_error names the channel",
	17: "a refused origin is also closed (4009)",
	18: "all connections count, and those over the limit are closed (4004)",
	25: "no X-Powered-By: nobody reads it",
	31: "a body that is no JSON object is 400, not 500",
	36: "a body that is no JSON object is 400, not 500",
	42: "closes with 4009, also signed-in users, and never fails for others",
	48: "presence without channel_data is refused unless the connection signed in",
	50: "over the limit with terminate: the error is seen before the close (4100)",
	53: "an empty channel name is refused",
	54: "prefixes need the dash; #server-to-user-ID needs a sign-in",
	57: "the cached event outlives the last subscriber",
	62: "applications come from [app NAME] sections",
};

const ORIGIN = { id: "2", key: "origin-key", secret: "s2", allowed_origins: ["laravel.com", "*.localhost"] };
const FULL = { id: "3", key: "full-key", secret: "s3", max_connections: 1 };
const QUICK = { id: "4", key: "quick-key", secret: "s4", ping_interval: "4s" };
const RATE = { id: "5", key: "rate-key", secret: "s5", rate_limiting: "yes", rate_limit_attempts: 3, rate_limit_window: "1h" };
const CUT = { ...RATE, id: "6", key: "cut-key", rate_limit_terminate: "yes" };
const NONE = { id: "7", key: "none-key", secret: "s7", client_events: "none" };
const ALL = { id: "8", key: "all-key", secret: "s8", client_events: "all" };
const SMALL = { id: "9", key: "small-key", secret: "s9", max_message_size: 200 };

const fetched = (options) => new Promise((resolve, reject) => http.get(options, resolve).once("error", reject));
const who = (user_id, name = "Test") => ({ user_id, user_info: { name } });
const KINDS = ["", "private-", "presence-", "cache-", "private-cache-", "presence-cache-"];
const UNAUTHORIZED = { event: "pusher:error", data: '{"code":4009,"message":"Connection is unauthorized"}' };
const BAD = { event: "pusher:error", data: '{"code":4200,"message":"Invalid message format"}' };

const numbers = new Set();

live("reverb", { parallel: true, apps: { main: APP, origin: ORIGIN, full: FULL, quick: QUICK, rate: RATE, cut: CUT, none: NONE, all: ALL, small: SMALL } }, (s) => {
	const reverb = (n, name, run) => {
		numbers.add(n);
		test(`${n}${FIXED[n] ? " (fixed)" : ""}: ${FIXED[n] ?? name}`, run);
	};
	const events = (body, more) => s.server.call("POST", `/apps/${APP.id}/events`, body, more);
	const batch = (body, more) => s.server.call("POST", `/apps/${APP.id}/batch_events`, body, more);
	const join = async (c, channel, member) => {
		await c.subscribe(channel, channel.startsWith("presence-") ? member ?? who(1) : undefined);
		if (/cache-/.test(channel))
			return c.next();
		return undefined;
	};

	reverb(1, "two apps with different keys accept connections at once", async () => {
		await s.server.connect();
		await s.server.connect({ app: ORIGIN, origin: "http://laravel.com" });
	});
	reverb(2, "subscribe gives the exact success frame for each kind", async () => {
		for (const kind of KINDS) {
			const c = await s.server.connect(), channel = unique(`${kind}two`);
			c.subscribing(channel, kind.startsWith("presence-") ? who(1) : undefined);
			await c.expectFrame({ event: "pusher_internal:subscription_succeeded", channel,
				data: kind.startsWith("presence-") ? '{"presence":{"count":1,"ids":[1],"hash":{"1":{"name":"Test"}}}}' : "{}" });
		}
	});
	const refusedWith = async (auth, kinds) => {
		const c = await s.server.connect();
		for (const kind of kinds) {
			const channel = unique(`${kind}three`);
			c.subscribing(channel, kind.startsWith("presence-") ? who(1) : undefined, { auth });
			await c.expectFrame(UNAUTHORIZED);
			assert.equal((await c.next()).channel, channel);
		}
	};
	reverb(3, "a wrong signature gives 4009", () =>
		refusedWith("app-key:not-a-signature", ["private-", "presence-", "private-cache-", "presence-cache-"]));
	reverb(4, "auth: null gives the same 4009", async () => {
		const c = await s.server.connect();
		for (const channel of [unique("private-four"), unique("presence-four")]) {
			c.send({ event: "pusher:subscribe", data: { channel, auth: null, channel_data: JSON.stringify(who(1)) } });
			await c.expectFrame(UNAUTHORIZED);
			await c.skipTo("pusher:subscription_error");
		}
	});
	reverb(5, "member_added, exact frame", async () => {
		const channel = unique("presence-five"), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel, who(1));
		await b.subscribe(channel, who(2, "Other"));
		await a.expectFrame({ event: "pusher_internal:member_added", data: '{"user_id":2,"user_info":{"name":"Other"}}', channel });
	});
	reverb(6, "member_removed, exact frame", async () => {
		const channel = unique("presence-six"), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel, who(1));
		await b.subscribe(channel, who(2));
		await a.next();
		await b.unsubscribe(channel);
		await a.expectFrame({ event: "pusher_internal:member_removed", data: '{"user_id":2}', channel });
	});
	reverb(7, "a user with two connections is listed once", async () => {
		const channel = unique("presence-seven"), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel, who(1));
		assert.deepEqual((await b.subscribe(channel, who(1))).presence, { count: 1, ids: [1], hash: { 1: { name: "Test" } } });
	});
	reverb(8, "the joiner of a cache channel gets the last event", async () => {
		for (const kind of ["cache-", "private-cache-", "presence-cache-"]) {
			const channel = unique(`${kind}eight`), c = await s.server.connect();
			await s.server.publish(channel, "App\\Events\\TestEvent", '{"foo":"bar"}');
			assert.deepEqual(await join(c, channel), { event: "App\\Events\\TestEvent", data: '{"foo":"bar"}', channel });
		}
	});
	reverb(9, "nothing cached: pusher:cache_miss", async () => {
		for (const kind of ["cache-", "private-cache-", "presence-cache-"]) {
			const channel = unique(`${kind}nine`), c = await s.server.connect();
			assert.deepEqual(await join(c, channel), { event: "pusher:cache_miss", channel });
		}
	});
	reverb(10, "an API event reaches three subscribers, exact frame", async () => {
		for (const channel of [unique("ten"), unique("presence-ten")]) {
			const crowd = await s.server.crowd(3);
			for (const c of crowd)
				await join(c, channel);
			await s.server.publish(channel, "App\\Events\\TestEvent", '{"foo":"bar"}');
			for (const c of crowd)
				await c.expectFrame({ event: "App\\Events\\TestEvent", data: '{"foo":"bar"}', channel });
		}
	});
	reverb(11, "pusher:ping", async () => {
		const c = await s.server.connect();
		c.send({ event: "pusher:ping" });
		await c.expectFrame({ event: "pusher:pong" });
	});
	reverb(12, "a silent subscriber is pinged", async () => {
		const c = await s.server.connect({ app: QUICK });
		await c.subscribe(unique());
		await c.expectFrame({ event: "pusher:ping" });
	});
	reverb(13, "silent and pinged: 4201, removed, its channel disappears", async () => {
		const c = await s.server.connect({ app: QUICK }), channel = unique("thirteen");
		await c.subscribe(channel);
		await c.expectFrame({ event: "pusher:ping" });
		await c.expectFrame({ event: "pusher:error", data: '{"code":4201,"message":"Pong reply not received in time"}' });
		await c.closed(4201);
		await until(async () => !(await s.server.get("/channels", { filter_by_prefix: channel }, { app: QUICK })).json.channels[channel], "channel gone");
	});
	reverb(14, "a whisper reaches the other, not the sender", async () => {
		const channel = unique("private-fourteen"), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel);
		await b.subscribe(channel);
		a.send({ event: "client-start-typing", channel, data: { id: 123, name: "Joe Dixon" } });
		await b.expectFrame({ event: "client-start-typing", channel, data: { id: 123, name: "Joe Dixon" } });
		await a.silent(channel);
	});
	reverb(15, "one connection in four channels of different kinds, two in several", async () => {
		const tag = unique("fifteen"), all = [tag, `private-${tag}`, `presence-${tag}`, `cache-${tag}`], [a, b] = await s.server.crowd(2);
		for (const channel of all)
			await join(a, channel);
		for (const channel of [all[0], all[2]])
			await join(b, channel, who(2));
		await a.expect("pusher_internal:member_added", all[2]);
		await s.server.publish(all, "e", "1");
		for (const channel of all)
			await a.expect("e", channel);
		await b.expect("e", all[0]);
		await b.expect("e", all[2]);
	});
	reverb(16, "unknown key: 4001", async () => {
		const c = await s.server.open({ key: "invalid-key" });
		await c.expectFrame({ event: "pusher:error", data: '{"code":4001,"message":"Application does not exist"}' });
		await c.closed(4001);
	});
	reverb(17, "wrong origin: 4009", async () => {
		const c = await s.server.open({ app: ORIGIN, origin: "http://other.com" });
		await c.expectFrame({ event: "pusher:error", data: '{"code":4009,"message":"Origin not allowed"}' });
		await c.closed(4009);
		await (await s.server.connect({ app: ORIGIN, origin: "https://laravel.com" })).ping();
	});
	reverb(18, "over max_connections: 4004", async () => {
		await s.server.connect({ app: FULL });
		const c = await s.server.open({ app: FULL });
		await c.expectFrame({ event: "pusher:error", data: '{"code":4004,"message":"Application is over connection quota"}' });
		await c.closed(4004);
	});
	reverb(19, "over max_message_size: closed with words; within: served", async () => {
		const c = await s.server.connect({ app: SMALL });
		await c.subscribe("within");
		c.send({ event: "pusher:ping", data: "x".repeat(200) });
		await c.closed(1009, "Maximum message size exceeded");
	});
	reverb(20, "the last unsubscribe removes the channel", async () => {
		const c = await s.server.connect(), channel = unique("twenty");
		await c.subscribe(channel);
		await c.unsubscribe(channel);
		await until(async () => !(await s.server.get("/channels", { filter_by_prefix: channel })).json.channels[channel], "channel gone");
	});
	reverb(23, "control frames: pong for ping; both count as activity", async () => {
		const c = await s.server.connect({ app: QUICK, answerPings: false });
		await c.subscribe(unique());
		const beat = setInterval(() => c.socket.ping(), 500);
		try {
			// For longer than a silent one lives.
			for (const begin = performance.now(); performance.now() - begin < 10000;)
				await c.control("pong");
			assert.ok(!c.ended);
			c.socket.pong();
			c.send({ event: "pusher:ping" });
			await c.skipTo("pusher:pong");
		} finally {
			clearInterval(beat);
		}
	});
	reverb(24, "text pings by default, control pings once the client used one", async () => {
		const c = await s.server.connect({ app: QUICK });
		await c.expectFrame({ event: "pusher:ping" });
		c.socket.pong();
		await c.control("ping");
		await c.control("ping");
	});
	reverb(25, "handshake header", async () => {
		const c = await s.server.connect();
		assert.equal(c.upgrade.headers["x-powered-by"], undefined);
	});
	reverb(26, "events: one and several channels, 200 {} and Content-Length 2", async () => {
		for (const to of [{ channel: unique() }, { channels: [unique(), unique()] }]) {
			const { status, text, headers } = await events({ name: "NewEvent", data: '{"some":["data"]}', ...to });
			assert.deepEqual([status, text, headers["content-length"]], [200, "{}", "2"]);
		}
	});
	reverb(27, "events: info per channel, {} where not applicable", async () => {
		const tag = unique("info"), pres = `presence-${tag}`, c = await s.server.connect();
		await c.subscribe(pres, who(1));
		await c.subscribe(tag);
		assert.deepEqual((await events({ name: "e", data: "{}", channels: [pres, tag], info: "user_count" })).json, { channels: { [pres]: { user_count: 1 }, [tag]: {} } });
		assert.deepEqual((await events({ name: "e", data: "{}", channels: [pres, tag], info: "subscription_count" })).json, { channels: { [pres]: {}, [tag]: { subscription_count: 1 } } });
	});
	reverb(28, "events: socket_id is left out; unknown ones are harmless", async () => {
		const channel = unique("socket"), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel);
		await b.subscribe(channel);
		await s.server.publish(channel, "e", "1", { body: { socket_id: a.id } });
		await b.expect("e", channel);
		await a.silent(channel);
		assert.equal((await events({ name: "e", data: "1", channel, socket_id: "123.456" })).status, 200);
	});
	reverb(29, "events: 422", async () => {
		for (const body of [{ name: "e", channel: "c" }, { name: "e", channels: ["c", "d"] }, { name: "e", data: "{}", channel: "c", socket_id: 1234 }, { name: "e", data: "{}", channel: "c", info: 1234 }])
			assert.equal((await events(body)).status, 422);
	});
	reverb(31, "events: bad body, unknown app 404, unsigned 401", async () => {
		assert.equal((await events("null")).status, 400);
		assert.equal((await s.server.call("POST", "/apps/invalid-app-id/events", {})).status, 404);
		assert.equal((await events({ name: "e", data: "1", channel: "c" }, { unsigned: true })).status, 401);
	});
	reverb(33, "batch: {\"batch\":{}} and Content-Length 12", async () => {
		for (const n of [1, 2]) {
			const { status, text, headers } = await batch({ batch: Array(n).fill({ name: "e", channel: "c", data: "{}" }) });
			assert.deepEqual([status, text, headers["content-length"]], [200, '{"batch":{}}', "12"]);
		}
	});
	reverb(34, "batch: info on all, on some, several in one", async () => {
		const tag = unique("b"), pres = `presence-${tag}`, cache = `cache-${tag}`, c = await s.server.connect();
		await c.subscribe(pres, who(1));
		await c.subscribe(tag);
		await join(c, cache);
		const item = (channel, info) => ({ name: "e", channel, data: "{}", ...(info ? { info } : {}) });
		assert.deepEqual((await batch({ batch: [item(pres, "user_count"), item(tag, "subscription_count")] })).json, { batch: [{ user_count: 1 }, { subscription_count: 1 }] });
		assert.deepEqual((await batch({ batch: [item(pres, "user_count"), item(tag)] })).json, { batch: [{ user_count: 1 }, {}] });
		assert.equal((await batch({ batch: [item(cache, "subscription_count,cache")] })).json.batch[0].subscription_count, 1);
	});
	reverb(35, "batch: socket_id of a subscriber and of nobody", async () => {
		const channel = unique("b35"), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel);
		await b.subscribe(channel);
		assert.equal((await batch({ batch: [{ name: "e", channel, data: "1", socket_id: a.id }, { name: "f", channel, data: "1", socket_id: "1.2" }] })).status, 200);
		await a.expect("f", channel);
		await b.expect("e", channel);
		await b.expect("f", channel);
	});
	reverb(36, "batch: bad body, unsigned 401", async () => {
		assert.equal((await batch("null")).status, 400);
		assert.equal((await batch({ batch: [] }, { unsigned: true })).status, 401);
	});
	reverb(37, "channels: with user_count, without info, only occupied ones, Content-Length", async () => {
		const tag = unique("list"), pres = `presence-${tag}`, c = await s.server.connect();
		await c.subscribe(pres, who(1));
		const get = (info) => s.server.get("/channels", { filter_by_prefix: pres, ...info });
		assert.equal((await get({ info: "user_count" })).text, `{"channels":{"${pres}":{"user_count":1}}}`);
		const plain = await get();
		assert.equal(plain.text, `{"channels":{"${pres}":{}}}`);
		assert.equal(plain.headers["content-length"], String(plain.text.length));
		await c.unsubscribe(pres);
		await until(async () => (await get()).text === '{"channels":{}}', "an empty object, not a list");
	});
	reverb(38, "channel: occupied and what was asked for", async () => {
		const tag = unique("one"), pres = `presence-${tag}`, cache = `cache-${tag}`, c = await s.server.connect();
		await c.subscribe(tag);
		await c.subscribe(pres, who(1));
		const get = async (channel, info) => (await s.server.get(`/channels/${channel}`, info ? { info } : {}));
		const all = "user_count,subscription_count,cache";
		assert.equal((await get(tag, all)).text, '{"occupied":true,"subscription_count":1}');
		assert.equal((await get(pres, all)).text, '{"occupied":true,"user_count":1}');
		assert.equal((await get(tag)).text, '{"occupied":true}');
		const nobody = await get(unique("nobody"), all);
		assert.equal(nobody.text, '{"occupied":false}');
		assert.equal(nobody.headers["content-length"], "18");
		await join(c, cache);
		await s.server.publish(cache, "e", '{"some":"data"}');
		assert.ok((await get(cache, all)).json.cache);
	});
	reverb(39, "users: unique, in join order, 400 and 404", async () => {
		const channel = unique("presence-users"), crowd = await s.server.crowd(3);
		for (const [i, c] of crowd.entries())
			await c.subscribe(channel, who([3, 1, 3][i]));
		const { text, headers } = await s.server.get(`/channels/${channel}/users`);
		assert.equal(text, '{"users":[{"id":3},{"id":1}]}');
		assert.equal(headers["content-length"], String(text.length));
		assert.equal((await s.server.get("/channels/plain/users")).status, 400);
		assert.equal((await s.server.get("/channels/presence-none/users")).status, 404);
	});
	reverb(41, "up", async () => {
		const { text, headers } = await s.server.request("GET", "/up");
		assert.deepEqual([text, headers["content-length"]], ['{"health":"OK"}', "15"]);
		// A port would be another server's by then.
		const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-up-")), socketPath = path.join(dir, "s");
		const stopped = await Server.start({ listen: { address: ["127.0.0.1:0", `unix:${socketPath}`] } });
		await stopped.stop();
		await assert.rejects(fetched({ socketPath, path: "/up" }), /ENOENT|ECONNREFUSED/);
		fs.rmSync(dir, { recursive: true });
	});
	reverb(42, "terminate: only that user, out of all channels", async () => {
		const [a, b, c] = await s.server.crowd(3), channel = unique("presence-term"), id = unique("victim");
		await a.subscribe(channel, who(id));
		await a.subscribe(unique("other"));
		await b.subscribe(channel, who(2));
		await c.subscribe(unique("public-only"));
		const { text, headers } = await s.server.call("POST", `/apps/${APP.id}/users/${id}/terminate_connections`, {});
		assert.deepEqual([text, headers["content-length"]], ["{}", "2"]);
		assert.equal(decoded(await a.skipTo("pusher:error")).code, 4009);
		await a.closed(4009);
		await b.skipTo("pusher_internal:member_removed");
		await b.ping();
		await c.ping();
		assert.equal((await s.server.call("POST", `/apps/${APP.id}/users/terminate_connections`, {})).status, 404);
	});
	reverb(43, "each call unsigned: 401", async () => {
		for (const target of ["/channels", "/channels/c", "/channels/presence-c/users", "/connections"])
			assert.equal((await s.server.get(target, {}, { unsigned: true })).status, 401);
		assert.equal((await s.server.call("POST", `/apps/${APP.id}/users/1/terminate_connections`, {}, { unsigned: true })).status, 401);
	});
	reverb(44, "greeting with 30; closing leaves all channels", async () => {
		const c = await s.server.open(), tag = unique("leave");
		const hello = decoded(await c.next());
		assert.equal(hello.activity_timeout, 30);
		c.id = hello.socket_id;
		for (const channel of [tag, `private-${tag}`, `presence-${tag}`])
			await join(c, channel);
		await c.close();
		for (const channel of [tag, `private-${tag}`, `presence-${tag}`])
			await until(async () => (await s.server.get(`/channels/${channel}`)).text === '{"occupied":false}', `${channel} gone`);
	});
	reverb(45, "garbage 4200 and a wrong signature 4009 on one living connection", async () => {
		const c = await s.server.connect();
		c.send("Hi");
		await c.expectFrame(BAD);
		c.send({ event: "pusher:subscribe", data: { channel: "private-x", auth: "invalid-signature" } });
		await c.expectFrame(UNAUTHORIZED);
		await c.skipTo("pusher:subscription_error");
		await c.ping();
	});
	reverb(46, "shapes: 4200", async () => {
		const c = await s.server.connect(), subscribe = (data) => ({ event: "pusher:subscribe", data });
		for (const message of [{ event: [] }, { event: 1 }, { event: null }, {}, { event: "" }, { event: "pusher:subscribe", data: "sfsfsfs" },
		    { event: "pusher:subscribe" }, subscribe({ channel: [] }), subscribe({ channel: null }), subscribe({}), subscribe({ channel: "private-x", auth: [] }),
		    subscribe({ channel: "presence-x", auth: "", channel_data: [] }), subscribe({ channel: "presence-x", auth: "", channel_data: "not json" }),
		    { event: "client-x", channel: ["c"], data: {} }, { event: "client-x", data: {} }, { event: "pusher:unknown", data: {} }]) {
			c.send(message);
			await c.expectFrame(BAD).catch((error) => { throw new Error(`${JSON.stringify(message)}: ${error.message}`); });
		}
	});
	reverb(47, "origins", async () => {
		for (const origin of ["http://localhost", "http://sub.laravel.com", "http://laravel.com.x"])
			await (await s.server.open({ app: ORIGIN, origin })).refused(4009);
		for (const origin of ["http://laravel.com", "http://sub.localhost", "http://a.b.localhost"])
			await s.server.connect({ app: ORIGIN, origin });
	});
	reverb(48, "presence without channel_data", async () => {
		const c = await s.server.connect(), channel = unique("presence-nodata");
		c.subscribing(channel);
		await c.expectError(4009);
	});
	reverb(49, "cache channel: success and miss, or success and event", async () => {
		const channel = unique("cache-frames"), [a, b] = await s.server.crowd(2);
		assert.equal((await join(a, channel)).event, "pusher:cache_miss");
		await s.server.publish(channel, "e", "1");
		assert.equal((await join(b, channel)).event, "e");
		await b.ping();
	});
	reverb(50, "rate limit", async () => {
		const a = await s.server.connect({ app: RATE }), b = await s.server.connect({ app: CUT });
		for (let i = 0; i < 4; i++)
			for (const c of [a, b])
				c.send({ event: "pusher:ping" });
		for (const c of [a, b])
			for (let i = 0; i < 3; i++)
				await c.expect("pusher:pong");
		await a.expectFrame({ event: "pusher:error", data: '{"code":4301,"message":"Rate limit exceeded"}' });
		await b.expectFrame({ event: "pusher:error", data: '{"code":4301,"message":"Rate limit exceeded"}' });
		await b.closed(4100);
		a.socket.ping();
		await a.control("pong");
		const free = await s.server.connect();
		for (let i = 0; i < 100; i++)
			await free.ping();
	});
	reverb(51, "client event without data: accepted, not echoed", async () => {
		const c = await s.server.connect(), channel = unique("nodata");
		await c.subscribe(channel);
		c.send({ event: "client-test-message", channel });
		await c.silent(channel);
	});
	reverb(52, "client events by mode", async () => {
		const channel = unique("presence-modes"), [a, b, stranger] = await s.server.crowd(3);
		await a.subscribe(channel, who("1"));
		await b.subscribe(channel, who("2"));
		await a.next();
		b.send({ event: "client-m", channel, data: {} });
		await a.expectFrame({ event: "client-m", channel, data: {}, user_id: "2" });
		stranger.send({ event: "client-m", channel, data: {} });
		await stranger.expectFrame({ event: "pusher:error", data: '{"code":4009,"message":"The client is not a member of the specified channel."}' });
		b.send({ event: "other", channel, data: {} });
		await a.silent(channel);
		const [x, y] = await s.server.crowd(2, { app: ALL });
		await x.subscribe("any");
		y.send({ event: "client-m", channel: "any", data: {} });
		await x.expectFrame({ event: "client-m", channel: "any", data: {} });
		const n = await s.server.connect({ app: NONE });
		await n.subscribe("any");
		n.send({ event: "client-m", channel: "any", data: {} });
		await n.expectFrame({ event: "pusher:error", data: '{"code":4301,"message":"The app does not have client messaging enabled."}' });
	});
	reverb(53, "handler", async () => {
		const c = await s.server.connect();
		c.subscribing("");
		await c.expectError(4009);
		await c.skipTo("pusher:subscription_error");
		await c.unsubscribe("never-joined");
	});
	reverb(54, "kind by prefix", async () => {
		const c = await s.server.connect();
		for (const channel of ["privateX", "presenceX", "cacheX"])
			assert.deepEqual(await c.subscribe(channel), {});
		for (const channel of ["private-x", "presence-x", "private-cache-x", "presence-cache-x", "#server-to-user-1"]) {
			c.send({ event: "pusher:subscribe", data: { channel, auth: "" } });
			await c.expectError(4009);
			await c.skipTo("pusher:subscription_error");
		}
	});
	reverb(55, "each kind: broadcast to all, not to the sender, not after unsubscribing", async () => {
		for (const kind of KINDS) {
			const channel = unique(`${kind}fifty`), crowd = await s.server.crowd(3);
			for (const [i, c] of crowd.entries())
				await join(c, channel, who(i));
			await s.server.publish(channel, "all", "1");
			for (const c of crowd)
				await c.skipTo("all", channel);
			await crowd[2].unsubscribe(channel);
			await s.server.publish(channel, "others", "1", { body: { socket_id: crowd[0].id } });
			await crowd[1].skipTo("others", channel);
			await crowd[2].ping();
			await s.server.publish(channel, "end", "1");
			for (let f = await crowd[0].next(); f.event !== "end"; f = await crowd[0].next())
				assert.notEqual(f.event, "others");
		}
	});
	reverb(56, "presence: count, ids, hash; each event once per user with two connections", async () => {
		const channel = unique("presence-data"), [w, a, b] = await s.server.crowd(3);
		await w.subscribe(channel, who("w"));
		await a.subscribe(channel, { user_id: 2 });
		await b.subscribe(channel, { user_id: 2 });
		await w.expectFrame({ event: "pusher_internal:member_added", channel, data: '{"user_id":2}' });
		await a.kill();
		await b.kill();
		await w.expectFrame({ event: "pusher_internal:member_removed", channel, data: '{"user_id":2}' });
		await w.silent(channel);
	});
	reverb(57, "cache kinds store the last event", async () => {
		const channel = unique("cache-kept"), [a, b] = await s.server.crowd(2);
		await join(a, channel);
		await s.server.publish(channel, "e", "1");
		await a.close();
		await until(async () => (await s.server.get(`/channels/${channel}`)).json.occupied === false, "empty");
		assert.equal((await join(b, channel)).event, "e");
	});
	reverb(58, "channels disappear when empty", async () => {
		const tag = unique("empty"), c = await s.server.connect();
		for (let i = 0; i < 20; i++)
			await c.subscribe(`${tag}-${i}`);
		assert.equal(Object.keys((await s.server.get("/channels", { filter_by_prefix: tag })).json.channels).length, 20);
		await c.kill();
		await until(async () => Object.keys((await s.server.get("/channels", { filter_by_prefix: tag })).json.channels).length === 0, "all gone");
	});
	reverb(59, "an event for several channels reaches each", async () => {
		const channels = [unique(), unique(), unique()], c = await s.server.connect();
		for (const channel of channels)
			await c.subscribe(channel);
		await s.server.publish(channels, "e", "1");
		for (const channel of channels)
			await c.expect("e", channel);
	});
	reverb(60, "inactive connections are pinged, stale ones leave their channels", async () => {
		const stale = await s.server.connect({ app: QUICK }), w = await s.server.connect({ app: QUICK }), channel = unique("presence-stale");
		const beat = setInterval(() => w.socket.ping(), 300);
		try {
			await w.subscribe(channel, who("w"));
			await stale.subscribe(channel, who("s"));
			await w.next();
			await stale.expect("pusher:ping");
			assert.deepEqual(decoded(await w.skipTo("pusher_internal:member_removed", channel)), { user_id: "s" });
		} finally {
			clearInterval(beat);
		}
	});
	reverb(61, "hundreds of questions at once are all answered", async () => {
		const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => s.server.get(["/channels", "/connections", "/channels/x"][i % 3])));
		assert.ok(answers.every((a) => a.status === 200));
	});
	reverb(62, "applications", async () => {
		const { apps } = await s.server.ctl("apps");
		assert.equal(apps.length, 9);
	});
});

live("reverb, alone", {}, (s) => {
	numbers.add(40);
	test("40: connections: two are 2, one in two channels is 1, Content-Length", async () => {
		const [a, b] = await s.server.crowd(2);
		await a.subscribe("one");
		await a.subscribe("two");
		await until(async () => (await s.server.get("/connections")).json.connections === 1, "1");
		await b.subscribe("one");
		await until(async () => (await s.server.get("/connections")).json.connections === 2, "2");
		const { text, headers } = await s.server.get("/connections");
		assert.deepEqual([text, headers["content-length"]], ['{"connections":2}', "17"]);
	});
});

live("reverb, larger requests", { workers: [1], http: { max_request_size: "200k" } }, (s) => {
	for (const n of [21, 30])
		numbers.add(n);
	test("21: a 150 kB event that arrives in many reads", async () => {
		const c = await s.server.connect();
		await c.subscribe("large");
		const body = JSON.stringify({ name: "e", channel: "large", data: "x".repeat(150000) });
		const target = `/apps/${APP.id}/events`, w = await s.server.wire();
		w.write(`POST ${target}?${s.server.sign("POST", target, body)} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`);
		for (let i = 0; i < body.length; i += 4096)
			await new Promise((resolve) => w.socket.write(body.slice(i, i + 4096), resolve));
		assert.equal((await w.answer()).status, 200);
		await c.expect("e", "large", "x".repeat(150000));
		w.close();
	});
	test("30: over the limit 413, within the raised one 200", async () => {
		const send = (n) => s.server.call("POST", `/apps/${APP.id}/events`, { name: "e", channel: "c", data: "x".repeat(n) });
		assert.equal((await send(150000)).status, 200);
		assert.equal((await send(210000)).status, 413);
	});
});

live("reverb, path", { workers: [1], http: { path: "ws" } }, (s) => {
	for (const n of [22, 32])
		numbers.add(n);
	test("22: under the prefix; without it 404", async () => {
		s.server.prefix = "/ws";
		assert.equal((await s.server.get("/channels")).status, 200);
		assert.equal((await s.server.get("/channels", {}, { sendPrefix: "" })).status, 404);
		await s.server.connect();
	});
	test("32: a signature without the prefix is accepted", async () => {
		s.server.prefix = "/ws";
		assert.equal((await s.server.get("/channels", {}, { prefix: "" })).status, 200);
		assert.equal((await s.server.get("/channels", {}, { prefix: "/ws" })).status, 200);
	});
});

test("every number of the list is here", () => {
	const missing = Array.from({ length: 62 }, (_, i) => i + 1).filter((n) => !numbers.has(n));
	assert.deepEqual(missing, []);
	assert.deepEqual(Object.keys(FIXED).map(Number).filter((n) => !numbers.has(n)), []);
});
