// SPDX-License-Identifier: MIT
// Channels of every kind: who gets in, what they hear, in which order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decoded, live, unique, until } from "./harness.mjs";

const KINDS = ["", "private-", "presence-", "private-encrypted-", "cache-",
	"private-cache-", "presence-cache-", "private-encrypted-cache-"];
const member = (kind, id = "1") => kind.startsWith("presence-") ?
	{ user_id: id, user_info: { name: `User ${id}` } } : undefined;

live("channels", {}, (s) => {
	for (const kind of KINDS)
		test(`${kind || "public"}: subscribe, publish, unsubscribe`, async () => {
			const channel = unique(`${kind}all`), clients = await s.server.crowd(6);
			for (const [i, c] of clients.entries()) {
				await s.server.quiet();
				c.subscribing(channel, member(kind, String(i)));
				const frame = await c.expect("pusher_internal:subscription_succeeded", channel);
				assert.equal(typeof frame.data, "string");
				assert.deepEqual(Object.keys(frame).sort(), ["channel", "data", "event"]);
				if (!kind.startsWith("presence-"))
					assert.equal(frame.data, "{}");
				if (kind.includes("cache-"))
					await c.expectFrame({ event: "pusher:cache_miss", channel });
			}
			if (kind.startsWith("presence-"))
				for (const [i, c] of clients.entries())
					for (let n = i + 1; n < clients.length; n++)
						await c.expect("pusher_internal:member_added", channel);
			await s.server.publish(channel, "news", '{"a":[1,"é",{}]}');
			for (const c of clients)
				await c.expectFrame({ event: "news", channel, data: '{"a":[1,"é",{}]}' });
			await clients[0].unsubscribe(channel);
			if (kind.startsWith("presence-"))
				for (const c of clients.slice(1))
					await c.expect("pusher_internal:member_removed", channel, { user_id: "0" });
			await s.server.publish(channel, "more", "text, not JSON");
			for (const c of clients.slice(1))
				await c.expectFrame({ event: "more", channel, data: "text, not JSON" });
			await clients[0].ping();
		});

	test("the order of a channel is the same for all", async () => {
		const channel = unique(), clients = await s.server.crowd(8);
		for (const c of clients)
			await c.subscribe(channel);
		await Promise.all(Array.from({ length: 100 }, (_, i) =>
			s.server.publish(channel, "n", String(i))));
		const orders = [];
		for (const c of clients) {
			const order = [];
			for (let i = 0; i < 100; i++)
				order.push(decoded(await c.expect("n", channel)));
			orders.push(order);
		}
		for (const order of orders)
			assert.deepEqual(order, orders[0]);
		assert.equal(new Set(orders[0]).size, 100);
	});

	test("published after success is never missed", async () => {
		for (let i = 0; i < 20; i++) {
			const channel = unique("race"), c = await s.server.connect();
			await c.subscribe(channel);
			await s.server.publish(channel, "first", String(i));
			await c.expectFrame({ event: "first", channel, data: String(i) });
		}
	});

	test("subscribing twice is answered twice and delivered once", async () => {
		const channel = unique(), c = await s.server.connect();
		await c.subscribe(channel);
		await c.subscribe(channel);
		await s.server.publish(channel, "once", "1");
		await c.expect("once", channel);
		await c.silent(channel);
	});

	test("subscribe and unsubscribe at full speed end as they should", async () => {
		const channel = unique(), c = await s.server.connect();
		for (let i = 0; i < 50; i++) {
			c.send({ event: "pusher:subscribe", data: { channel } });
			c.send({ event: "pusher:unsubscribe", data: { channel } });
		}
		c.send({ event: "pusher:subscribe", data: { channel } });
		c.send({ event: "pusher:ping" });
		await c.skipTo("pusher:pong");
		await s.server.publish(channel, "end", "1");
		await c.skipTo("end", channel);
		await c.silent(channel);
		const { json } = await s.server.get(`/channels/${channel}`, { info: "subscription_count" });
		assert.deepEqual(json, { occupied: true, subscription_count: 1 });
	});

	test("data may come as a string of JSON, as the Java client sends it", async () => {
		const channel = unique("private-java"), c = await s.server.connect();
		c.send({ event: "pusher:subscribe", data: JSON.stringify({ channel, auth: c.auth(channel) }) });
		await c.expect("pusher_internal:subscription_succeeded", channel);
	});

	test("auth: null, empty or odd is fine for a public channel", async () => {
		const c = await s.server.connect();
		for (const auth of [null, "", "x"])
			await c.subscribe(unique(), undefined, { auth });
	});

	test("wrong signatures: 4009, the connection lives on, nothing is heard", async () => {
		const c = await s.server.connect();
		for (const kind of KINDS.filter((k) => /^(private|presence)-/.test(k))) {
			const channel = unique(`${kind}wrong`);
			const data = member(kind) && JSON.stringify(member(kind));
			const good = c.auth(channel, data);
			for (const auth of [null, "", "x", "app-key:", "app-key:" + "0".repeat(64),
			    good.slice(0, -1), good + "0", good.slice(8), good.replace("app-key", "other-key"),
			    c.auth(channel + "x", data)]) {
				c.send({ event: "pusher:subscribe", data: { channel, auth, channel_data: data } });
				await c.expectError(4009, "Connection is unauthorized");
				const error = decoded(await c.expect("pusher:subscription_error", channel));
				assert.deepEqual([error.type, error.status], ["AuthError", 401]);
			}
			assert.deepEqual((await s.server.get(`/channels/${channel}`)).json, { occupied: false });
		}
		await c.ping();
	});

	test("a signature of another connection is no good", async () => {
		const [a, b] = await s.server.crowd(2), channel = unique("private-mine");
		b.send({ event: "pusher:subscribe", data: { channel, auth: a.auth(channel) } });
		await b.expectError(4009);
	});

	test("names: the whole charset, up to 200; anything else is refused", async () => {
		const c = await s.server.connect();
		await c.subscribe("AZaz09_-=@,.;");
		await c.subscribe("x".repeat(200));
		for (const channel of ["x".repeat(201), "a b", "a/b", "a#b", "#x", "é", "a\nb", "a\"b", "", "#server-to-user-", "a:b"]) {
			c.send({ event: "pusher:subscribe", data: { channel, auth: "" } });
			await c.expectError(4009, "Invalid channel name");
			assert.equal((await c.skipTo("pusher:subscription_error")).channel ?? "", channel);
		}
		await c.ping();
	});

	test("prefixes need the dash", async () => {
		const c = await s.server.connect();
		for (const channel of ["privateX", "presenceX", "cachefoo", "private", "Private-x"])
			assert.deepEqual(await c.subscribe(channel), {});
		await s.server.publish("cachefoo", "e", "1");
		await c.expect("e", "cachefoo");
		const late = await s.server.connect();
		await late.subscribe("cachefoo");
		await late.silent("cachefoo");
	});
});

live("presence", {}, (s) => {
	const who = (user_id, name = `User ${user_id}`) => ({ user_id, user_info: { name } });

	test("roster: join order, one entry per user, JSON types kept", async () => {
		const channel = unique("presence-roster"), [a, b, c, d] = await s.server.crowd(4);
		assert.deepEqual(await a.subscribe(channel, who(1)),
		    { presence: { count: 1, ids: [1], hash: { 1: { name: "User 1" } } } });
		await b.subscribe(channel, who("b"));
		await c.subscribe(channel, who(1, "second tab"));
		assert.deepEqual(await d.subscribe(channel, { user_id: "0", user_info: {} }), { presence: {
			count: 3, ids: [1, "b", "0"],
			hash: { 1: { name: "User 1" }, b: { name: "User b" }, 0: {} } } });
		await a.expectFrame({ event: "pusher_internal:member_added", channel,
			data: '{"user_id":"b","user_info":{"name":"User b"}}' });
		await a.expect("pusher_internal:member_added", channel, { user_id: "0", user_info: {} });
		await a.silent(channel);
	});

	test("added with the first tab, removed with the last, over all workers", async () => {
		const channel = unique("presence-tabs"), watcher = await s.server.connect();
		await watcher.subscribe(channel, who("w"));
		const tabs = await s.server.crowd(8);
		for (const tab of tabs)
			await tab.subscribe(channel, who("t"));
		await watcher.expect("pusher_internal:member_added", channel, who("t"));
		for (const [i, tab] of tabs.entries())
			await (i % 2 ? tab.kill() : tab.unsubscribe(channel));
		await watcher.expect("pusher_internal:member_removed", channel, { user_id: "t" });
		await watcher.silent(channel);
	});

	test("many come and go at once: everybody agrees in the end", async () => {
		const channel = unique("presence-busy"), watcher = await s.server.connect();
		await watcher.subscribe(channel, who("w"));
		const crowd = await s.server.crowd(24);
		await Promise.all(crowd.map((c, i) => { c.subscribing(channel, who(`u${i % 6}`)); return c.skipTo("pusher_internal:subscription_succeeded"); }));
		await Promise.all(crowd.filter((_, i) => i % 6 > 2).map((c) => c.kill()));
		const users = async () => (await s.server.get(`/channels/${channel}/users`)).json.users.map((u) => u.id).sort();
		await until(async () => (await users()).length === 4, "four users");
		assert.deepEqual(await users(), ["u0", "u1", "u2", "w"]);
		const seen = new Set(["w"]);
		await s.server.publish(channel, "end", "1");
		for (;;) {
			const f = await watcher.next();
			if (f.event === "end")
				break;
			const { user_id: id } = decoded(f);
			if (f.event === "pusher_internal:member_added") {
				assert.ok(!seen.has(id), `${id} added twice`);
				seen.add(id);
			} else {
				assert.equal(f.event, "pusher_internal:member_removed");
				assert.ok(seen.delete(id), `${id} removed twice`);
			}
		}
		assert.deepEqual([...seen].sort(), ["u0", "u1", "u2", "w"]);
	});

	test("another user on the same connection: the old one leaves", async () => {
		const channel = unique("presence-switch"), [c, watcher] = await s.server.crowd(2);
		await watcher.subscribe(channel, who("w"));
		await c.subscribe(channel, who("old"));
		await watcher.expect("pusher_internal:member_added", channel, who("old"));
		await c.subscribe(channel, who("new"));
		const two = [await watcher.next(), await watcher.next()];
		assert.deepEqual(two.map((f) => [f.event, decoded(f).user_id]).sort(), [
			["pusher_internal:member_added", "new"], ["pusher_internal:member_removed", "old"]]);
		await watcher.silent(channel);
	});

	test("user_info may be missing, null, a list or empty; {} stays {}", async () => {
		const channel = unique("presence-info"), watcher = await s.server.connect();
		await watcher.subscribe(channel, who("w"));
		for (const [i, info] of [undefined, null, [], {}, "x", { deep: {} }].entries()) {
			const c = await s.server.connect(), id = `u${i}`;
			const data = await c.subscribe(channel, { user_id: id, user_info: info });
			assert.deepEqual(data.presence.hash[id], info ?? null);
			const added = decoded(await watcher.expect("pusher_internal:member_added", channel));
			assert.deepEqual(added, { user_id: id, ...(info === undefined ? {} : { user_info: info }) });
		}
	});

	test("1 and \"1\" are one user; 10 and 1e1 are not", async () => {
		const channel = unique("presence-types"), [a, b, c, d] = await s.server.crowd(4);
		await a.subscribe(channel, { user_id: 1, user_info: {} });
		assert.equal((await b.subscribe(channel, { user_id: "1", user_info: {} })).presence.count, 1);
		await c.subscribe(channel, { user_id: "10", user_info: {} });
		assert.equal((await d.subscribe(channel, { user_id: "1e1", user_info: {} })).presence.count, 3);
	});

	test("ids 0..n-1 still make an object", async () => {
		const channel = unique("presence-zero"), c = await s.server.connect();
		c.subscribing(channel, { user_id: "0", user_info: {} });
		const f = await c.expect("pusher_internal:subscription_succeeded", channel);
		assert.equal(f.data, '{"presence":{"count":1,"ids":["0"],"hash":{"0":{}}}}');
	});

	test("without channel_data and without sign-in: refused", async () => {
		const channel = unique("presence-nobody"), c = await s.server.connect();
		c.subscribing(channel);
		await c.expectError(4009);
		await c.expect("pusher:subscription_error", channel);
		for (const bad of ['{"user_info":{}}', '{"user_id":""}', '{"user_id":null}', '{"user_id":true}', '{"user_id":{}}', "[]",
		    JSON.stringify({ user_id: "x".repeat(129) })]) {
			c.subscribing(channel, bad);
			await c.expectError(4009);
			await c.expect("pusher:subscription_error", channel);
		}
		await c.ping();
	});

	test("the channel is gone with its last member", async () => {
		const channel = unique("presence-last"), c = await s.server.connect();
		await c.subscribe(channel, who("1"));
		await c.unsubscribe(channel);
		await until(async () => (await s.server.get(`/channels/${channel}`)).json.occupied === false, "channel gone");
		assert.equal((await s.server.get(`/channels/${channel}/users`)).status, 404);
	});
});

live("cache channels", {}, (s) => {
	for (const kind of ["cache-", "private-cache-", "presence-cache-", "private-encrypted-cache-"]) {
		test(`${kind}: the last event greets newcomers`, async () => {
			const channel = unique(`${kind}c`), a = await s.server.connect();
			await a.subscribe(channel, member(kind));
			await a.expectFrame({ event: "pusher:cache_miss", channel });
			await s.server.publish(channel, "one", "1");
			await s.server.publish(channel, "two", '{"x":2}');
			for (const b of await s.server.crowd(4)) {
				await b.subscribe(channel, member(kind, "2"));
				await b.expectFrame({ event: "two", channel, data: '{"x":2}' });
				await b.unsubscribe(channel);
			}
		});

		test(`${kind}: kept while nobody is there, also if nobody ever was`, async () => {
			const channel = unique(`${kind}empty`);
			await s.server.publish(channel, "alone", "kept");
			const a = await s.server.connect();
			await a.subscribe(channel, member(kind));
			await a.expectFrame({ event: "alone", channel, data: "kept" });
		});
	}

	test("client events and members are not cached", async () => {
		const channel = unique("presence-cache-m"), [a, b] = await s.server.crowd(2);
		await s.server.publish(channel, "real", "1");
		await a.subscribe(channel, member("presence-", "a"));
		await a.expect("real", channel);
		a.send({ event: "client-x", channel, data: {} });
		await a.ping();
		await b.subscribe(channel, member("presence-", "b"));
		await b.expectFrame({ event: "real", channel, data: "1" });
		await b.close();
		await a.skipTo("pusher_internal:member_removed");
		const c = await s.server.connect();
		await c.subscribe(channel, member("presence-", "c"));
		await c.expectFrame({ event: "real", channel, data: "1" });
	});

	test("asking again brings the cached event again", async () => {
		const channel = unique("cache-again"), c = await s.server.connect();
		await s.server.publish(channel, "e", "1");
		for (let i = 0; i < 2; i++) {
			await c.subscribe(channel);
			await c.expectFrame({ event: "e", channel, data: "1" });
		}
	});

	test("a member that asks again, too, and nobody sees it go", async () => {
		const channel = unique("presence-cache-again");
		const [a, b] = await s.server.crowd(2);
		await s.server.publish(channel, "e", "1");
		await a.subscribe(channel, member("presence-", "a"));
		await a.expectFrame({ event: "e", channel, data: "1" });
		for (let i = 0; i < 3; i++) {
			await b.subscribe(channel, member("presence-", "b"));
			await b.expectFrame({ event: "e", channel, data: "1" });
		}
		await s.server.publish(channel, "once", "2");
		await b.expectFrame({ event: "once", channel, data: "2" });
		assert.equal((await a.next()).event, "pusher_internal:member_added");
		await a.expectFrame({ event: "once", channel, data: "2" });
		b.send({ event: "pusher:unsubscribe", data: { channel } });
		assert.equal((await a.next()).event, "pusher_internal:member_removed");
	});
});

live("cache ttl", { router: { cache_ttl: "1s" } }, (s) => {
	test("an old event is forgotten", async () => {
		const channel = unique("cache-ttl");
		await s.server.publish(channel, "e", "1");
		await until(async () => {
			const c = await s.server.connect();
			await c.subscribe(channel);
			const f = await c.next();
			await c.kill();
			return f.event === "pusher:cache_miss";
		}, "cache miss");
	});
});

live("limits of channels", { app: { max_channels: 3, max_channel_name: 20, max_presence_members: 2, max_presence_member: 100 } }, (s) => {
	test("too many channels on one connection", async () => {
		const c = await s.server.connect();
		for (const name of ["a", "b", "c"])
			await c.subscribe(name);
		c.subscribing("d");
		await c.expectError(4009);
		await c.expect("pusher:subscription_error", "d");
		await c.unsubscribe("a");
		await c.subscribe("d");
	});

	test("too long a name, too large a member, too many members", async () => {
		const c = await s.server.connect();
		c.subscribing("x".repeat(21));
		await c.expectError(4009);
		await c.skipTo("pusher:subscription_error");
		c.subscribing("presence-big", { user_id: "1", user_info: "x".repeat(100) });
		await c.expectError(4009);
		await c.skipTo("pusher:subscription_error");
		const crowd = await s.server.crowd(3);
		await crowd[0].subscribe("presence-full", { user_id: "1" });
		await crowd[1].subscribe("presence-full", { user_id: "2" });
		await s.server.quiet?.();
		crowd[2].subscribing("presence-full", { user_id: "3" });
		await crowd[2].expectError(4004);
		await crowd[2].expect("pusher:subscription_error", "presence-full");
		// A second tab of somebody who is there already is no new member.
		await crowd[2].subscribe("presence-full", { user_id: "2" });
	});
});

live("subscription_count", { app: { subscription_count: "yes" } }, (s) => {
	test("the joiner hears it after success, the others on every change", async () => {
		const channel = unique(), [a, b, c] = await s.server.crowd(3);
		const counts = async (client, n) => {
			for (let f; decoded(f ?? {})?.subscription_count !== n;)
				f = await client.expect("pusher_internal:subscription_count", channel);
		};
		await a.subscribe(channel);
		await counts(a, 1);
		await b.subscribe(channel);
		await counts(a, 2);
		await counts(b, 2);
		await c.subscribe(channel);
		await counts(a, 3);
		await c.kill();
		await counts(a, 2);
	});

	test("not on presence channels", async () => {
		const channel = unique("presence-count"), c = await s.server.connect();
		await c.subscribe(channel, { user_id: "1" });
		await c.silent(channel);
	});
});
