// SPDX-License-Identifier: MIT
// The clients a Laravel site uses, as they come from npm: Echo with the reverb
// broadcaster on pusher-js in front, Pusher's server library behind (what
// Laravel's broadcaster sends).  Nothing in them is changed for us.
import assert from "node:assert/strict";
import { test } from "node:test";
import Echo from "laravel-echo";
import PusherServer from "pusher";
import Pusher from "pusher-js";
import { live, unique, until, within } from "./harness.mjs";

// The WebSocket inside pusher-js never takes back its timer of 30 s for closing:
// it must not keep this process alive.
const setTimer = globalThis.setTimeout;
globalThis.setTimeout = (run, ms, ...more) => {
	const timer = setTimer(run, ms, ...more);
	return ms === 30000 ? timer.unref() : timer;
};

live("laravel", {}, (s) => {
	const backend = (more = {}) => {
		const { id, key, secret } = s.server.app;
		return new PusherServer({ appId: id, key, secret, host: "127.0.0.1", port: String(s.server.port), useTLS: false, ...more });
	};

	/** A browser tab of this user; Laravel's /broadcasting/auth is the backend library. */
	const tab = async (t, user = { id: "1", name: "Ann" }, options = {}) => {
		const server = backend({ encryptionMasterKeyBase64: Buffer.alloc(32, 7).toString("base64") });
		const echo = new Echo({
			broadcaster: "reverb", Pusher, key: s.server.app.key, wsHost: "127.0.0.1", wsPort: s.server.port, wssPort: s.server.port,
			forceTLS: false, enabledTransports: ["ws", "wss"],
			channelAuthorization: { customHandler: ({ socketId, channelName }, done) => {
				const data = channelName.startsWith("presence-") ? { user_id: String(user.id), user_info: user } : undefined;
				done(null, server.authorizeChannel(socketId, channelName, data));
			} },
			userAuthentication: { customHandler: ({ socketId }, done) =>
				done(null, server.authenticateUser(socketId, { id: String(user.id), user_info: user, ...user.extra })) },
			...options,
		});
		t.after(() => echo.disconnect());
		const { connection } = echo.connector.pusher;
		if (connection.state !== "connected")
			await within(new Promise((resolve) => connection.bind("connected", resolve)), "Echo to connect");
		return echo;
	};
	const subscribed = (channel) => within(new Promise((resolve, reject) => { channel.subscribed(resolve); channel.error(reject); }), `subscription of ${channel.name}`);
	const heard = (channel, event) => within(new Promise((resolve) => channel.listen(event, resolve)), event);

	test("broadcast on a public and a private channel", async (t) => {
		const echo = await tab(t), name = unique();
		const pub = echo.channel(name), priv = echo.private(name);
		await Promise.all([subscribed(pub), subscribed(priv)]);
		const got = [heard(pub, "OrderShipped"), heard(priv, "OrderShipped")];
		const answer = await backend().trigger([name, `private-${name}`], "App\\Events\\OrderShipped", { order: { id: 5 } });
		assert.equal(answer.status, 200);
		for (const one of await Promise.all(got))
			assert.deepEqual(one, { order: { id: 5 } });
	});

	test("toOthers: the sender's socket is left out", async (t) => {
		const [a, b] = [await tab(t), await tab(t)], name = unique(), all = [];
		for (const [who, echo] of Object.entries({ a, b })) {
			const channel = echo.channel(name);
			channel.listen("Said", (e) => all.push([who, e.n]));
			await subscribed(channel);
		}
		await backend().trigger(name, "App\\Events\\Said", { n: 1 }, { socket_id: a.socketId() });
		await backend().trigger(name, "App\\Events\\Said", { n: 2 });
		await until(() => all.length === 3, "three");
		assert.deepEqual(all.filter(([who]) => who === "a"), [["a", 2]]);
		assert.deepEqual(all.filter(([who]) => who === "b"), [["b", 1], ["b", 2]]);
	});

	test("a second user and his second tab: here, joining, leaving, once each", async (t) => {
		const name = unique(), log = [];
		const ann = await tab(t, { id: 1, name: "Ann" });
		const room = ann.join(name).here((users) => log.push(["here", users.map((u) => u.name)]))
		    .joining((u) => log.push(["joining", u.name])).leaving((u) => log.push(["leaving", u.name]));
		await subscribed(room);
		const bob = [await tab(t, { id: 2, name: "Bob" }), await tab(t, { id: 2, name: "Bob" })];
		for (const echo of bob)
			await subscribed(echo.join(name));
		await until(() => log.length === 2, "Bob joining");
		bob[0].disconnect();
		bob[1].leave(name);
		await until(() => log.length === 3, "Bob leaving");
		assert.deepEqual(log, [["here", ["Ann"]], ["joining", "Bob"], ["leaving", "Bob"]]);
		const cy = await tab(t, { id: 3, name: "Cy" });
		const here = within(new Promise((resolve) => cy.join(name).here(resolve)), "here");
		assert.deepEqual((await here).map((u) => u.name), ["Ann", "Cy"]);
	});

	test("whispers on private and presence channels", async (t) => {
		const [a, b] = [await tab(t), await tab(t, { id: "2", name: "Bob" })], name = unique();
		for (const kind of ["private", "join"]) {
			const [x, y] = [a[kind](name), b[kind](name)];
			await Promise.all([subscribed(x), subscribed(y)]);
			const got = within(new Promise((resolve) => y.listenForWhisper("typing", resolve)), "whisper");
			x.whisper("typing", { name: "Ann" });
			assert.deepEqual(await got, { name: "Ann" });
		}
	});

	test("encrypted channels: the server passes what it cannot read", async (t) => {
		const name = unique(), echo = await tab(t), server = backend({ encryptionMasterKeyBase64: Buffer.alloc(32, 7).toString("base64") });
		const channel = echo.encryptedPrivate(name);
		await subscribed(channel);
		const got = heard(channel, "Secret");
		await server.trigger(`private-encrypted-${name}`, "App\\Events\\Secret", { code: 42 });
		assert.deepEqual(await got, { code: 42 });
	});

	test("a refused authorisation reaches channel.error()", async (t) => {
		const echo = await tab(t, undefined, { channelAuthorization: { customHandler: ({ socketId, channelName }, done) =>
			done(null, backend({ secret: "wrong" }).authorizeChannel(socketId, channelName)) } });
		const error = await within(new Promise((resolve) => echo.private(unique()).error(resolve)), "error");
		assert.equal(error.status, 401);
	});

	test("sign-in, sendToUser, terminateUserConnections", async (t) => {
		const id = unique("user"), me = await tab(t, { id, name: "Me" }), other = await tab(t, { id: `${id}x`, name: "Other" });
		const got = [], server = backend();
		for (const [who, echo] of Object.entries({ me, other })) {
			const { pusher } = echo.connector;
			pusher.user.bind("news", (data) => got.push([who, data]));
			pusher.signin();
			await within(pusher.user.signinDonePromise, "sign-in");
			await until(() => pusher.user.serverToUserChannel?.subscribed, "own channel");
		}
		await server.sendToUser(id, "news", { a: 1 });
		await server.sendToUser(`${id}x`, "news", { b: 2 });
		await until(() => got.length === 2, "news for both");
		assert.deepEqual(got, [["me", { a: 1 }], ["other", { b: 2 }]]);
		await server.terminateUserConnections(id);
		await until(() => me.connector.pusher.connection.state === "disconnected", "cut off and staying away");
		assert.equal(other.connector.pusher.connection.state, "connected");
	});

	test("watch list in pusher-js", async (t) => {
		const friend = unique("friend"), echo = await tab(t, { id: unique("w"), extra: { watchlist: [friend] } }), events = [];
		const { pusher } = echo.connector;
		pusher.user.watchlist.bind("online", (e) => events.push(["online", ...e.user_ids]));
		pusher.user.watchlist.bind("offline", (e) => events.push(["offline", ...e.user_ids]));
		pusher.signin();
		await within(pusher.user.signinDonePromise, "sign-in");
		await until(() => events.length === 1, "not there yet");
		const other = await tab(t, { id: friend });
		other.connector.pusher.signin();
		await until(() => events.length === 2, "online");
		other.disconnect();
		await until(() => events.length === 3, "offline");
		assert.deepEqual(events, [["offline", friend], ["online", friend], ["offline", friend]]);
	});

	test("triggerBatch, channels, users", async (t) => {
		const name = unique(), echo = await tab(t), got = [], server = backend();
		const room = echo.join(name);
		for (const n of [1, 2])
			room.listen(`.e${n}`, (e) => got.push(e));
		await subscribed(room);
		const batch = await server.triggerBatch([1, 2].map((n) => ({ channel: `presence-${name}`, name: `e${n}`, data: { n } })));
		assert.equal(batch.status, 200);
		await until(() => got.length === 2, "both");
		assert.deepEqual(got, [{ n: 1 }, { n: 2 }]);
		const get = async (path, params = {}) => (await server.get({ path, params })).json();
		assert.deepEqual((await get("/channels", { filter_by_prefix: `presence-${name}`, info: "user_count" })).channels, { [`presence-${name}`]: { user_count: 1 } });
		assert.deepEqual(await get(`/channels/presence-${name}/users`), { users: [{ id: "1" }] });
		assert.deepEqual((await get("/channels", { filter_by_prefix: "none-such" })).channels, {});
	});

	test("cache channels in pusher-js: event or cache_miss", async (t) => {
		const echo = await tab(t), { pusher } = echo.connector, name = unique("cache-p");
		await within(new Promise((resolve) => pusher.subscribe(name).bind("pusher:cache_miss", resolve)), "cache_miss");
		await backend().trigger(name, "e", { n: 1 });
		const late = (await tab(t)).connector.pusher;
		assert.deepEqual(await within(new Promise((resolve) => late.subscribe(name).bind("e", resolve)), "cached"), { n: 1 });
	});

	test("leave, leaveChannel, and a channel that is empty again", async (t) => {
		const echo = await tab(t), name = unique();
		await subscribed(echo.channel(name));
		echo.leave(name);
		await until(async () => (await s.server.get(`/channels/${name}`)).json.occupied === false, "left");
	});

	test("many tabs of many users, with a broadcast to all", async (t) => {
		const name = unique(), tabs = await Promise.all(Array.from({ length: 12 }, (_, i) => tab(t, { id: i % 4, name: `U${i % 4}` })));
		const rooms = tabs.map((echo) => echo.join(name));
		await Promise.all(rooms.map(subscribed));
		const got = rooms.map((room) => heard(room, "All"));
		await backend().trigger(`presence-${name}`, "App\\Events\\All", { ok: true });
		assert.deepEqual(await Promise.all(got), Array(12).fill({ ok: true }));
	});
});

live("laravel, disabled application", { workers: [1], app: { enabled: "no" } }, (s) => {
	test("pusher-js gives up", async () => {
		const pusher = new Pusher(s.server.app.key, { cluster: "", wsHost: "127.0.0.1", wsPort: s.server.port, forceTLS: false, enabledTransports: ["ws"] });
		await within(new Promise((resolve) => pusher.connection.bind("disconnected", resolve)), "disconnected");
		pusher.disconnect();
	});
});

live("laravel, restart", { workers: [2] }, (s) => {
	test("pusher-js comes back by itself after the server was replaced", async (t) => {
		const pusher = new Pusher(s.server.app.key, { cluster: "", wsHost: "127.0.0.1", wsPort: s.server.port, forceTLS: false, enabledTransports: ["ws"] });
		t.after(() => pusher.disconnect());
		const channel = pusher.subscribe("news");
		await within(new Promise((resolve) => channel.bind("pusher:subscription_succeeded", resolve)), "subscribed");
		const again = new Promise((resolve) => channel.bind("pusher:subscription_succeeded", resolve));
		for (const pid of s.server.pids("peald: worker"))
			process.kill(pid, "SIGKILL");
		s.server.allow(/worker|router|link/);
		await within(again, "subscribed again");
		const got = new Promise((resolve) => channel.bind("e", resolve));
		await s.server.publish("news", "e", "1");
		await within(got, "event");
	});
});
