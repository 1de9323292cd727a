// SPDX-License-Identifier: MIT
// What webhooks say, to whom, and how: each event from its cause to a target,
// signatures, filters, batches, hold-back, and settings that change.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { APP, Client, Server, hmac, peald, pealctl, unique, until } from "./harness.mjs";
import { Target, aware, hooked } from "./targets.mjs";

Client.prototype.leave = function (channel) {
	this.send({ event: "pusher:unsubscribe", data: { channel } });
};
const member = (id) => ({ user_id: id, user_info: {} });
const say = (client, channel, data, event = "client-said") =>
	client.send({ event, channel, data });

const reload = (server) => promisify(execFile)(pealctl, ["-s", server.control, "reload"]);
const edit = (server, from, to) => {
	const text = fs.readFileSync(server.ini, "utf8");
	assert.match(text, from);
	fs.writeFileSync(server.ini, text.replace(from, to));
};

for (const workers of [1, 3])
	test(`each event, from its cause to the target (${workers} workers)`, () => hooked({ workers, hook: {
		events: "channel_occupied, channel_vacated, member_added, member_removed, client_event, " +
		    "cache_miss, connection_opened, connection_closed" },
	    app: { client_events: "members" } }, async ({ server, target }) => {
		const a = await server.connect(), b = await server.connect();
		await target.gathered({ name: "connection_opened", socket_id: a.id },
		    { name: "connection_opened", socket_id: b.id });

		const plain = unique("private-room");
		await a.subscribe(plain);
		await target.heard({ name: "channel_occupied", channel: plain });
		await b.subscribe(plain);
		say(a, plain, { text: "ä\u2028\"" });
		await b.expect("client-said", plain);
		await target.heard({ name: "client_event", channel: plain, event: "client-said",
		    data: JSON.stringify({ text: "ä\u2028\"" }), socket_id: a.id });
		await a.unsubscribe(plain);
		await b.unsubscribe(plain);
		await target.heard({ name: "channel_vacated", channel: plain });

		const presence = unique("presence-room"), tab = await server.connect();
		await target.heard({ name: "connection_opened", socket_id: tab.id });
		await a.subscribe(presence, member("ann"));
		await target.heard({ name: "channel_occupied", channel: presence },
		    { name: "member_added", channel: presence, user_id: "ann" });
		await b.subscribe(presence, member("bob"));
		await target.heard({ name: "member_added", channel: presence, user_id: "bob" });
		// Another tab of the same user is no news.
		await tab.subscribe(presence, member("bob"));
		await tab.unsubscribe(presence);
		say(b, presence, "a text");
		await target.heard({ name: "client_event", channel: presence, event: "client-said",
		    data: "a text", socket_id: b.id, user_id: "bob" });
		b.leave(presence);
		await target.heard({ name: "member_removed", channel: presence, user_id: "bob" });
		a.leave(presence);
		await target.gathered({ name: "member_removed", channel: presence, user_id: "ann" },
		    { name: "channel_vacated", channel: presence });

		const cache = unique("cache-room"), late = await server.connect();
		await target.heard({ name: "connection_opened", socket_id: late.id });
		await late.subscribe(cache);
		await late.expect("pusher:cache_miss", cache);
		await target.gathered({ name: "channel_occupied", channel: cache }, { name: "cache_miss", channel: cache });

		await b.socket.close(1000);
		await b.closed();
		await until(() => target.events.length, "the end of a connection");
		const [closed] = target.events.splice(0);
		assert.deepEqual({ ...closed, code: 0, reason: "" },
		    { name: "connection_closed", socket_id: b.id, code: 0, reason: "" });
		for (const r of target.requests) {
			assert.equal(r.method, "POST");
			assert.equal(r.url, "/hook");
			assert.equal(r.headers["content-type"], "application/json");
			assert.equal(r.headers["x-pusher-key"], APP.key);
			assert.equal(r.headers["x-pusher-signature"], hmac(APP.secret, r.raw));
			assert.match(r.headers["user-agent"], /^Peal/i);
			assert.deepEqual(Object.keys(r.body), ["time_ms", "events"]);
			assert.ok(Math.abs(r.body.time_ms - Date.now()) < 120000);
		}
		const ids = target.requests.map((r) => r.headers["x-peal-delivery"]);
		assert.equal(new Set(ids).size, ids.length);
	}));

// As with Pusher: it tells that a user is there, and has gone.
test("the channel of a user who has signed in counts, too", () => hooked({}, async ({ server, target }) => {
	const id = unique("user"), channel = `#server-to-user-${id}`, client = await server.connect();
	await client.signin({ id });
	await client.subscribe(channel);
	await target.heard({ name: "channel_occupied", channel });
	await client.unsubscribe(channel);
	await target.heard({ name: "channel_vacated", channel });
}));

test("how many are subscribed", () => hooked({ hook: { events: "subscription_count" },
    app: { subscription_count: "yes" } }, async ({ server, target }) => {
	const channel = unique(), clients = await server.crowd(4);
	for (const c of clients)
		await c.subscribe(channel);
	const last = () => target.events.at(-1)?.subscription_count;
	await until(() => last() === 4, () => `4 of ${JSON.stringify(target.events)}`);
	clients[0].leave(channel);
	await until(() => last() === 3, () => `3 of ${JSON.stringify(target.events)}`);
	assert.deepEqual(target.events.at(-1), { name: "subscription_count", channel, subscription_count: 3 });
}));

test("nobody is told of counts that the application does not want", () => hooked({}, async ({ server, target }) => {
	const a = await server.connect(), one = unique(), two = unique();
	await a.subscribe(one);
	await a.subscribe(two);
	await target.heard({ name: "channel_occupied", channel: one }, { name: "channel_occupied", channel: two });
	assert.deepEqual(target.events, []);
}));

test("each target has what it asked for, in its own words", async () => {
	const apps = { main: { ...APP, key: ["first-key", "second-key"], client_events: "members" },
	    other: { id: "2", key: "other-key", secret: "other-secret" } };
	const of = (key, secret) => Target.start({ app: { id: "1", key, secret } });
	const all = { every: await of("first-key", APP.secret), vips: await of("second-key", APP.secret),
	    own: await of("first-key", "hook-secret"), other: await of("other-key", "other-secret") };
	const server = await Server.start({ apps, courier: { allow: "127.0.0.0/8", hold_back: "0" },
	    "webhook every": { app: "main", url: all.every.url, events: "channel_occupied, channel_vacated, client_event" },
	    "webhook vips": { app: APP.id, url: `${all.vips.url}?a=b&c=%20`, prefix: "private-vip-, presence-vip-",
	        events: "channel_occupied, client_event", key: "second-key", batching: "no",
	        header: ["Authorization: Bearer a, b", "X-Site: one"] },
	    "webhook own": { app: "main", url: all.own.url, secret: "hook-secret", events: "channel_vacated" },
	    "webhook other": { app: "other", url: all.other.url } });
	try {
		// The one that hears of channels in general; they all go by one roll.
		server.app.key = "first-key";
		await aware(server, [all.every]);
		const app = { ...APP, key: "first-key" };
		const a = await server.connect({ key: app.key }), vip = "private-vip-1", room = "private-room";
		a.app = app;
		const o = await server.connect({ app: apps.other });
		await o.subscribe("theirs");
		await a.subscribe(room);
		await a.subscribe(vip);
		say(a, vip, 1);
		say(a, room, 2);
		await a.unsubscribe(room);
		await a.unsubscribe(vip);
		const said = (channel, data) => ({ name: "client_event", channel, event: "client-said", data, socket_id: a.id });
		const was = (name, channel) => ({ name, channel });
		await all.every.heard(was("channel_occupied", room), was("channel_occupied", vip), said(vip, "1"), said(room, "2"),
		    was("channel_vacated", room), was("channel_vacated", vip));
		await all.vips.heard(was("channel_occupied", vip), said(vip, "1"));
		await all.own.heard(was("channel_vacated", room), was("channel_vacated", vip));
		await all.other.heard(was("channel_occupied", "theirs"));
		const r = all.vips.requests[0];
		assert.equal(all.vips.requests.length, 2, "one event each");
		assert.equal(r.url, "/hook?a=b&c=%20");
		assert.equal(r.headers.authorization, "Bearer a, b");
		assert.equal(r.headers["x-site"], "one");
		assert.equal(all.every.requests[0].headers.authorization, undefined);
		for (const t of Object.values(all)) {
			assert.deepEqual(t.events, []);
			t.ok();
		}
	} finally {
		await server.stop();
		await Promise.all(Object.values(all).map((t) => t.stop()));
	}
});

test("while a request is under way, what comes waits for the next one; no more than max_batch", () =>
	hooked({ hook: { max_batch: "4", events: "client_event" }, app: { client_events: "members" } }, async ({ server, target }) => {
		const a = await server.connect(), channel = unique("private-room");
		target.answer = (_, n) => (n === 0 ? "hold" : 200);
		await a.subscribe(channel);
		say(a, channel, 0);
		await target.asked(1);
		for (let i = 1; i <= 10; i++)
			say(a, channel, i);
		await a.ping();
		await until(async () => (await server.ctl("status")).totals.hooks_taken >= 11, "all of them to be taken");
		target.release();
		await until(() => target.events.length === 11, "all of them");
		assert.deepEqual(target.events.map((e) => Number(e.data)), [...Array(11).keys()]);
		assert.deepEqual(target.requests.map((r) => r.body.events.length), [1, 4, 4, 2]);
		assert.equal(target.most, 1);
	}));

test("who comes back within hold_back was never away; LIVE settings need no other process", () =>
	hooked({ courier: { hold_back: "60s" }, app: { client_events: "members" } }, async ({ server, target }) => {
		const presence = unique("presence-room"), room = unique("private-room");
		const watcher = await server.connect();
		await watcher.subscribe(room);
		await target.heard({ name: "channel_occupied", channel: room });
		for (let page = 0; page < 3; page++) {
			const c = await server.connect();
			await c.subscribe(presence, member("ann"));
			if (page === 0)
				await target.heard({ name: "channel_occupied", channel: presence },
				    { name: "member_added", channel: presence, user_id: "ann" });
			c.socket.terminate();
			await until(async () => (await server.get(`/channels/${presence}`)).json.occupied === false, "the page to go");
		}
		say(watcher, room, "marker");
		await target.heard({ name: "client_event", channel: room, event: "client-said", data: "marker", socket_id: watcher.id });
		const [pid] = server.pids("peald: courier");
		edit(server, /hold_back = 60s/, "hold_back = 50ms");
		await reload(server);
		await target.gathered({ name: "member_removed", channel: presence, user_id: "ann" },
		    { name: "channel_vacated", channel: presence });
		assert.deepEqual(server.pids("peald: courier"), [pid]);
		assert.deepEqual(target.events, []);
	}));

test("the first webhook brings a courier, the last one takes it along; who was there is no news", async () => {
	const target = await Target.start();
	const server = await Server.start({ courier: { allow: "127.0.0.1", hold_back: "0" } });
	try {
		const a = await server.connect(), old = unique(), one = unique(), two = unique();
		await a.subscribe(old);
		assert.deepEqual(server.pids("peald: courier"), []);
		assert.equal((await server.ctl("status")).courier, null);
		const text = fs.readFileSync(server.ini, "utf8");
		fs.writeFileSync(server.ini, `${text}[webhook a]\nurl = ${target.url}\n`);
		await reload(server);
		await until(async () => (await server.ctl("status")).courier?.state === "up", "a courier");
		await aware(server, [target]);
		await a.subscribe(one);
		await target.gathered({ name: "channel_occupied", channel: one });
		assert.equal(target.requests.flatMap((r) => r.body.events).filter((e) => e.channel === old).length, 0);
		await a.unsubscribe(old);
		await target.gathered({ name: "channel_vacated", channel: old });
		fs.writeFileSync(server.ini, text);
		await reload(server);
		await until(async () => (await server.ctl("status")).courier === null, "the courier to go");
		assert.deepEqual(server.pids("peald: courier"), []);
		const before = target.requests.length;
		await a.subscribe(two);
		await a.ping();
		assert.equal(target.requests.length, before);
	} finally {
		await server.stop();
		await target.stop();
	}
});

test("what cannot be is refused, at the start, by --check and by a reload", () => hooked({}, async ({ server, target }) => {
	server.allow(/reload refused/);
	const good = fs.readFileSync(server.ini, "utf8");
	const refused = async (text, words) => {
		fs.writeFileSync(server.ini, text);
		const check = await promisify(execFile)(peald, ["--check", "-c", server.ini]).catch((error) => error);
		assert.match(check.stderr, words);
		assert.equal(check.code, 1);
		const again = await reload(server).catch((error) => error);
		assert.match(again.stderr + again.stdout, words);
	};
	await refused(good.replace("allow = 127.0.0.1", ""), /url: 127\.0\.0\.1 is this machine or in a private network: name its address .* \[courier\] allow/);
	await refused(good.replace("hold_back = 0", "spool = /nowhere/at/all"), /\[courier\] spool: \/nowhere\/at\/all: No such file or directory/);
	for (const [file, words] of [["/nowhere.pem", "No such file"], ["/", "Is a directory"], ["/dev/null", "there is no certificate in it"]])
		await refused(good.replace("http://127", "https://127").replace("hold_back = 0", `ca_file = ${file}`),
		    new RegExp(`\\[courier\\] ca_file: ${file}: ${words}`));
	await refused(`${good}events = chanel_occupied\n`, /did you mean channel_occupied\?/);
	fs.writeFileSync(server.ini, good);
	const a = await server.connect(), channel = unique();
	await a.subscribe(channel);
	await target.heard({ name: "channel_occupied", channel });
}));

test("a spool is one service's", async () => {
	const target = await Target.start(), { dir, done } = await spool();
	const options = { courier: { allow: "127.0.0.1", spool: dir }, "webhook a": { url: target.url } };
	const server = await Server.start(options);
	try {
		assert.equal(fs.statSync(path.join(dir, "peal-0.journal")).mode & 0o777, 0o600);
		await assert.rejects(Server.start(options), /spool: .*another peald has it open/);
	} finally {
		await server.stop();
		await target.stop();
		done();
	}
});

/** A directory that the service's user may write to. */
async function spool() {
	const dir = fs.mkdtempSync("/tmp/peal-spool-");
	fs.chmodSync(dir, 0o777);
	return { dir, done: () => fs.rmSync(dir, { recursive: true, force: true }) };
}

