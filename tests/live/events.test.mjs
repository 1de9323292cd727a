// SPDX-License-Identifier: MIT
// Client events: who may send what where, and what arrives.
import assert from "node:assert/strict";
import { test } from "node:test";
import { live, unique } from "./harness.mjs";

const OFF = "The app does not have client messaging enabled.";
const STRANGER = "The client is not a member of the specified channel.";

live("client events among members", {}, (s) => {
	test("reach all others, on whichever worker, not the sender; data as it was", async () => {
		const channel = unique("private-w"), crowd = await s.server.crowd(8);
		for (const c of crowd)
			await c.subscribe(channel);
		crowd[0].send(`{"event":"client-typing","channel":"${channel}","data":{"a":1.0,"b":{},"c":[],"d":"\\u00e9/"}}`);
		for (const c of crowd.slice(1)) {
			await c.expectFrame({ event: "client-typing", channel, data: { a: 1, b: {}, c: [], d: "é/" } });
			// The very octets: 1.0 stays 1.0, {} stays {}.
			assert.ok(c.raw.at(-1).includes('{"a":1.0,"b":{},"c":[],"d":"\\u00e9/"}'), c.raw.at(-1));
		}
		await crowd[0].silent(channel);
	});

	test("presence: the receivers see user_id with its type; nobody can forge it", async () => {
		const channel = unique("presence-w"), [a, b, c] = await s.server.crowd(3);
		await b.subscribe(channel, { user_id: "b", user_info: {} });
		await a.subscribe(channel, { user_id: 7, user_info: {} });
		await b.expect("pusher_internal:member_added", channel);
		a.send({ event: "client-x", channel, data: { q: 1 }, user_id: "forged", extra: 1 });
		await b.expectFrame({ event: "client-x", channel, data: { q: 1 }, user_id: 7 });
		await c.subscribe(channel, { user_id: "c\"c", user_info: {} });
		await b.expect("pusher_internal:member_added", channel);
		c.send({ event: "client-y", channel, data: "plain" });
		await b.expectFrame({ event: "client-y", channel, data: "plain", user_id: "c\"c" });
	});

	test("any JSON may be data; none at all is null", async () => {
		const channel = unique("private-d"), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel);
		await b.subscribe(channel);
		for (const data of [{}, [], "text", 5, true, null, '{"json":"in a string"}']) {
			a.send({ event: "client-d", channel, data });
			await b.expectFrame({ event: "client-d", channel, data });
		}
		a.send({ event: "client-d", channel });
		await b.expectFrame({ event: "client-d", channel, data: null });
	});

	test("public channels too, as in Reverb", async () => {
		const channel = unique(), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel);
		await b.subscribe(channel);
		a.send({ event: "client-p", channel, data: {} });
		await b.expectFrame({ event: "client-p", channel, data: {} });
	});

	test("a stranger gets 4009, nobody hears it", async () => {
		const channel = unique("private-s"), [a, b] = await s.server.crowd(2);
		await b.subscribe(channel);
		a.send({ event: "client-s", channel, data: {} });
		await a.expectError(4009, STRANGER);
		await b.silent(channel);
		await a.subscribe(channel);
		await a.unsubscribe(channel);
		a.send({ event: "client-s", channel, data: {} });
		await a.expectError(4009, STRANGER);
		await b.silent(channel);
	});

	test("other events are dropped in silence; protocol events are not forwarded", async () => {
		const channel = unique("private-o"), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel);
		await b.subscribe(channel);
		for (const event of ["foo", "clientx", "pusher_internal:member_added", "pusher_internal:subscription_succeeded"])
			a.send({ event, channel, data: {} });
		await a.ping();
		a.send({ event: "pusher:connection_established", channel, data: {} });
		await a.expectError(4200, "Invalid message format");
		await b.silent(channel);
	});

	test("one sender's events keep their order", async () => {
		const channel = unique("private-order"), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel);
		await b.subscribe(channel);
		for (let i = 0; i < 200; i++)
			a.send({ event: "client-n", channel, data: i });
		for (let i = 0; i < 200; i++)
			await b.expectFrame({ event: "client-n", channel, data: i });
	});

	test("nobody whispers into a user's own channel", async () => {
		const [a, b] = await s.server.crowd(2);
		await b.signin({ id: "target" });
		await b.subscribe("#server-to-user-target");
		a.send({ event: "client-x", channel: "#server-to-user-target", data: {} });
		await a.expectError(4009);
		b.send({ event: "client-x", channel: "#server-to-user-target", data: {} });
		await b.expectError(4009);
		await b.silent("#server-to-user-target");
	});
});

live("client events from all", { app: { client_events: "all" } }, (s) => {
	test("strangers may, but forged parts do not pass", async () => {
		const channel = unique("private-a"), [a, b] = await s.server.crowd(2);
		await b.subscribe(channel);
		a.send({ event: "client-a", channel, data: { x: 1 }, user_id: "forged", channels: ["other"] });
		await b.expectFrame({ event: "client-a", channel, data: { x: 1 } });
		a.send({ event: "client-a", channel: "#server-to-user-x", data: {} });
		await a.expectError(4009);
	});
});

live("client events from nobody", { app: { client_events: "none" } }, (s) => {
	test("4301 for members too", async () => {
		const channel = unique("private-n"), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel);
		await b.subscribe(channel);
		a.send({ event: "client-n", channel, data: {} });
		await a.expectError(4301, OFF);
		await b.silent(channel);
	});
});

live("rates", { app: { client_event_rate: 5, max_event_name: 30, max_event_size: 100 } }, (s) => {
	test("client events per second: 4301 and dropped, then it goes on", async () => {
		const channel = unique("private-r"), [a, b] = await s.server.crowd(2);
		await a.subscribe(channel);
		await b.subscribe(channel);
		// Twenty within one or two seconds: at most ten can pass.
		for (let i = 0; i < 20; i++)
			a.send({ event: "client-r", channel, data: i });
		a.send({ event: "pusher:ping" });
		let refused = 0;
		for (let f = await a.next(); f.event !== "pusher:pong"; f = await a.next()) {
			assert.equal(JSON.parse(f.data).code, 4301);
			refused++;
		}
		assert.ok(refused >= 10 && refused <= 15, String(refused));
		for (let i = 0; i < 20 - refused; i++)
			await b.expect("client-r", channel);
		await b.silent(channel);
	});

	test("too long a name, too much data", async () => {
		const channel = unique("private-z"), a = await s.server.connect();
		await a.subscribe(channel);
		a.send({ event: "client-" + "x".repeat(24), channel, data: {} });
		await a.expectError(4301);
		a.send({ event: "client-x", channel, data: "x".repeat(100) });
		await a.expectError(4301);
		await a.ping();
	});
});

live("messages per window", { app: { rate_limiting: "yes", rate_limit_attempts: 3, rate_limit_window: "1h" } }, (s) => {
	test("the fourth of three is answered with 4301, the connection stays", async () => {
		const c = await s.server.connect();
		for (let i = 0; i < 3; i++)
			await c.ping();
		for (let i = 0; i < 2; i++) {
			c.send({ event: "pusher:ping" });
			await c.expectError(4301, "Rate limit exceeded");
		}
		c.socket.ping();
		await c.control("pong");
	});
});

live("messages per window, new window", { app: { rate_limiting: "yes", rate_limit_attempts: 1, rate_limit_window: "300ms" } }, (s) => {
	test("after the window it goes on", async () => {
		const c = await s.server.connect();
		for (;;) {
			c.send({ event: "pusher:ping" });
			const f = await c.next();
			if (f.event === "pusher:error")
				break;
		}
		for (;;) {
			c.send({ event: "pusher:ping" });
			if ((await c.next()).event === "pusher:pong")
				break;
		}
	});
});

live("messages per window, cut off", { app: { rate_limiting: "yes", rate_limit_attempts: 3, rate_limit_terminate: "yes" } }, (s) => {
	test("over the limit: told why and closed", async () => {
		const c = await s.server.connect();
		for (let i = 0; i < 4; i++)
			c.send({ event: "pusher:ping" });
		for (let i = 0; i < 3; i++)
			await c.expect("pusher:pong");
		const error = await c.next();
		assert.equal(error.event, "pusher:error");
		assert.equal(JSON.parse(error.data).message, "Rate limit exceeded");
		await c.closed(4100);
	});
});
