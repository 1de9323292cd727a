// SPDX-License-Identifier: MIT
// Several applications in one server never see each other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { live, until } from "./harness.mjs";

const ONE = { id: "1", key: "key-one", secret: "secret-one" };
const TWO = { id: "2", key: "key-two", secret: "secret-two" };

live("two apps", { apps: { one: { ...ONE, key: ["key-one", "key-one-b"] }, two: TWO } }, (s) => {
	test("the same channel name is two channels", async () => {
		const a = await s.server.connect({ app: ONE }), b = await s.server.connect({ app: TWO });
		await a.subscribe("room");
		await b.subscribe("room");
		await s.server.publish("room", "for-one", "1", { app: ONE });
		await a.expect("for-one", "room");
		await b.silent("room");
		await s.server.publish("room", "for-two", "2", { app: TWO });
		await b.expect("for-two", "room");
		await a.silent("room");
	});

	test("presence, cache, whispers, counts: apart", async () => {
		const a = await s.server.connect({ app: ONE }), b = await s.server.connect({ app: TWO });
		await a.subscribe("presence-p", { user_id: "a", user_info: {} });
		assert.equal((await b.subscribe("presence-p", { user_id: "b", user_info: {} })).presence.count, 1);
		a.send({ event: "client-x", channel: "presence-p", data: {} });
		await b.silent("presence-p");
		await s.server.publish("cache-c", "e", "1", { app: ONE });
		await b.subscribe("cache-c");
		await b.expectFrame({ event: "pusher:cache_miss", channel: "cache-c" });
		const users = (app) => s.server.get("/channels/presence-p/users", {}, { app });
		assert.deepEqual((await users(ONE)).json, { users: [{ id: "a" }] });
		assert.deepEqual((await users(TWO)).json, { users: [{ id: "b" }] });
		await until(async () => (await s.server.get("/connections", {}, { app: TWO })).json.connections >= 1, "connections");
	});

	test("one's keys and signatures are worth nothing at the other's", async () => {
		const a = await s.server.connect({ app: ONE });
		a.send({ event: "pusher:subscribe", data: { channel: "private-x", auth: a.auth("private-x", undefined, TWO) } });
		await a.expectError(4009);
		await a.skipTo("pusher:subscription_error");
		a.send({ event: "pusher:subscribe", data: { channel: "private-x", auth: a.auth("private-x", undefined, { key: ONE.key, secret: TWO.secret }) } });
		await a.expectError(4009);
		for (const app of [{ ...ONE, key: TWO.key }, { ...ONE, secret: TWO.secret }, { ...TWO, id: ONE.id }])
			assert.equal((await s.server.get("/channels", {}, { app })).status, 401);
	});

	test("terminate and sign-in stay inside", async () => {
		const a = await s.server.connect({ app: ONE }), b = await s.server.connect({ app: TWO });
		await a.signin({ id: "u" });
		await b.signin({ id: "u" });
		assert.equal((await s.server.call("POST", "/apps/1/users/u/terminate_connections", {}, { app: ONE })).status, 200);
		await a.refused(4009);
		await b.ping();
	});

	test("several keys of one app share everything", async () => {
		const second = { ...ONE, key: "key-one-b" };
		const a = await s.server.connect({ app: ONE }), b = await s.server.connect({ app: second });
		await a.subscribe("private-k");
		await b.subscribe("private-k");
		await s.server.publish("private-k", "e", "1", { app: second });
		await a.expect("e", "private-k");
		await b.expect("e", "private-k");
	});
});
