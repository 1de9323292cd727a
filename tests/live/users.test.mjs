// SPDX-License-Identifier: MIT
// Signing in, and what hangs on it: events for one user, presence without
// channel_data, watch lists, being thrown out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decoded, live, unique, until } from "./harness.mjs";

live("users", {}, (s) => {
	const terminate = async (id) => {
		const { status, json } = await s.server.call("POST",
		    `/apps/${s.server.app.id}/users/${id}/terminate_connections`, {});
		assert.deepEqual([status, json], [200, {}]);
	};

	test("sign-in is answered with the user_data as it was", async () => {
		const c = await s.server.connect(), data = '{"id":"12345", "user_info":{"a":"é"}}';
		assert.deepEqual(await c.signin(data), { user_data: data });
		// The same user again is fine, another one is not.
		await c.signin(data);
		await c.signin({ id: "other" }, { wait: false });
		await c.expectError(4009);
		await c.ping();
	});

	test("wrong signatures and shapes", async () => {
		for (const auth of ["", "x", `${s.server.app.key}:${"0".repeat(64)}`, `other:${"0".repeat(64)}`]) {
			const refused = await s.server.connect();
			await refused.signin({ id: "1" }, { auth, wait: false });
			await refused.refused(4009, "Connection is unauthorized");
		}
		const c = await s.server.connect();
		for (const data of ["{}", '{"id":""}', '{"id":5}', '{"id":null}', "[]", "not json", JSON.stringify({ id: "x".repeat(129) })]) {
			await c.signin(data, { wait: false });
			await c.expectError(4009);
		}
		for (const data of [{}, { auth: "x" }, { user_data: "{}" }, { auth: 1, user_data: "{}" }, { auth: "x", user_data: {} }]) {
			c.send({ event: "pusher:signin", data });
			await c.expectError(4200);
		}
		await c.ping();
	});

	test("#server-to-user-ID only for who signed in as exactly that", async () => {
		const [me, other, nobody] = await s.server.crowd(3), id = unique("me");
		const channel = `#server-to-user-${id}`;
		await me.signin({ id });
		await other.signin({ id: `${id}x` });
		await me.subscribe(channel);
		for (const c of [other, nobody]) {
			c.subscribing(channel);
			await c.expectError(4009);
			await c.expect("pusher:subscription_error", channel);
		}
		await s.server.publish(channel, "for-you", '{"a":1}');
		await me.expectFrame({ event: "for-you", channel, data: '{"a":1}' });
		await other.ping();
		await nobody.ping();
		assert.equal(other.frames.length + nobody.frames.length, 0);
	});

	test("presence by sign-in; channel_data wins if given", async () => {
		const channel = unique("presence-si"), [a, b, c] = await s.server.crowd(3);
		await c.subscribe(channel, { user_id: "c", user_info: {} });
		await a.signin({ id: "sa", user_info: { name: "A" } });
		const { presence } = await a.subscribe(channel);
		assert.deepEqual(presence, { count: 2, ids: ["c", "sa"], hash: { c: {}, sa: { name: "A" } } });
		await c.expect("pusher_internal:member_added", channel, { user_id: "sa", user_info: { name: "A" } });
		await b.signin({ id: "sb" });
		await b.subscribe(channel, { user_id: "given", user_info: {} });
		await c.expect("pusher_internal:member_added", channel, { user_id: "given", user_info: {} });
	});

	test("terminate: all connections of that user, on every worker, with 4009; nobody else", async () => {
		const id = unique("bad"), crowd = await s.server.crowd(8), others = await s.server.crowd(4);
		await Promise.all(crowd.map((c) => c.signin({ id })));
		await others[0].signin({ id: `${id}2` });
		await others[1].subscribe("open");
		await terminate(id);
		for (const c of crowd)
			await c.refused(4009);
		for (const c of others)
			await c.ping();
		// It may come back.
		await (await s.server.connect()).signin({ id });
		await terminate("nobody-there");
	});

	test("terminate reaches members of presence channels too, as Reverb's", async () => {
		const id = unique("member"), [a, b] = await s.server.crowd(2), channel = unique("presence-t");
		await b.subscribe(channel, { user_id: "b", user_info: {} });
		await a.subscribe(channel, { user_id: id, user_info: {} });
		await b.expect("pusher_internal:member_added", channel);
		await terminate(id);
		await a.refused(4009);
		await b.expect("pusher_internal:member_removed", channel, { user_id: id });
		await b.ping();
	});

	test("watch list: who is there at once, then who comes and goes, once per user", async () => {
		const x = unique("x"), y = unique("y"), [w, a, b, c] = await s.server.crowd(4);
		const events = async () => decoded(await w.expect("pusher_internal:watchlist_events")).events;
		await a.signin({ id: x });
		await s.server.get("/connections");	// the router has read all workers
		await w.signin({ id: unique("watcher"), watchlist: [x, y] });
		assert.deepEqual(await events(), [{ name: "online", user_ids: [x] }, { name: "offline", user_ids: [y] }]);
		await b.signin({ id: y });
		assert.deepEqual(await events(), [{ name: "online", user_ids: [y] }]);
		await c.signin({ id: x });
		await a.kill();
		await b.kill();
		assert.deepEqual(await events(), [{ name: "offline", user_ids: [y] }]);
		await c.kill();
		assert.deepEqual(await events(), [{ name: "offline", user_ids: [x] }]);
		await w.ping();
	});

	test("watch list over 100: the first 100 count, and 4302 says so", async () => {
		const id = unique("many"), w = await s.server.connect(), [in100, out100] = await s.server.crowd(2);
		const list = Array.from({ length: 101 }, (_, i) => `${id}-${i}`);
		await w.signin({ id, watchlist: list }, { wait: false });
		assert.equal((await w.skipTo("pusher:signin_success")).event, "pusher:signin_success");
		assert.equal(decoded(await w.skipTo("pusher:error")).code, 4302);
		assert.equal(decoded(await w.skipTo("pusher_internal:watchlist_events")).events[0].user_ids.length, 100);
		await out100.signin({ id: list[100] });
		await in100.signin({ id: list[99] });
		assert.deepEqual(decoded(await w.expect("pusher_internal:watchlist_events")).events, [{ name: "online", user_ids: [list[99]] }]);
	});

	test("connections of a user count in nothing public", async () => {
		const c = await s.server.connect(), id = unique("quiet");
		await c.signin({ id });
		await c.subscribe(`#server-to-user-${id}`);
		const { json } = await s.server.get(`/channels/%23server-to-user-${id}`);
		assert.equal(typeof json.occupied, "boolean");
		await until(async () => (await s.server.get("/connections")).status === 200, "connections");
	});
});
