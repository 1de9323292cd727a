// SPDX-License-Identifier: MIT
// Hosts that a Redis joins, as one server: messages.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decoded, unique, until } from "./harness.mjs";
import { STEADY, backplane, fleet, subscribed } from "./hosts.mjs";

const who = (user_id) => ({ user_id, user_info: { name: `N ${user_id}` } });
const KINDS = ["", "private-", "presence-", "private-encrypted-", "cache-", "presence-cache-"];
const member = (kind, id) => kind.startsWith("presence-") ? who(`u${id}`) : undefined;

/** These have no more to hear on a channel, but of members. */
async function quiet(host, clients, channel, more) {
	const marker = unique("marker");
	await host.publish(channel, marker, "{}", more);
	for (const c of clients)
		for (let one = await c.next(); one.event !== marker; one = await c.next())
			assert.match(one.event, /member_/);
}

for (const [hosts, workers] of [[2, [1]], [3, [1, 2, 2]]])
	fleet(`${hosts} hosts, ${workers} workers`, { hosts, workers, app: { client_events: "all" }, backplane: STEADY }, (f) => {
		for (const kind of KINDS)
			test(`${kind || "public"}: an API event on any host reaches all, byte for byte`, async () => {
				const channel = unique(`${kind}all`), crowd = await f.fleet.crowd(3);
				for (const [i, c] of crowd.entries())
					await subscribed(c, channel, member(kind, i));
				for (const [i, host] of f.hosts.entries()) {
					await host.publish(channel, `news-${i}`, '{"a":[1,"é",{}], "b": "x"}');
					for (const c of crowd) {
						const got = await c.skipTo(`news-${i}`, channel);
						assert.deepEqual(got, { event: `news-${i}`, channel, data: '{"a":[1,"é",{}], "b": "x"}' });
					}
				}
				await quiet(f.hosts[0], crowd, channel);
			});

		test("published on a host without a subscriber, it reaches the others", async () => {
			const channel = unique(), c = await f.hosts[0].connect();
			await c.subscribe(channel);
			for (const host of f.hosts) {
				await host.publish(channel, "e", "1");
				await c.expect("e", channel);
			}
			await c.silent(channel);
		});

		test("socket_id leaves out a socket on another host", async () => {
			const channel = unique(), crowd = await f.fleet.subscribed(channel);
			await f.hosts[1].publish(channel, "not-you", "1", { body: { socket_id: crowd[0].id } });
			for (const c of crowd.slice(1))
				await c.expect("not-you", channel);
			await crowd[0].silent(channel);
		});

		test("client events reach members on all hosts, not the sender", async () => {
			for (const kind of ["private-", "presence-"]) {
				const channel = unique(`${kind}client`), crowd = await f.fleet.crowd(2);
				for (const [i, c] of crowd.entries())
					await subscribed(c, channel, member(kind, i));
				for (const [i, sender] of crowd.entries()) {
					sender.send({ event: "client-typing", channel, data: { i } });
					for (const c of crowd.filter((o) => o !== sender)) {
						const got = await c.skipTo("client-typing", channel);
						assert.deepEqual(got.data, { i });
						assert.equal(got.user_id, kind === "presence-" ? `u${i}` : undefined);
					}
				}
				await quiet(f.hosts[0], crowd, channel);
			}
		});

		test("batch events, several channels at once", async () => {
			const [a, b] = [unique("batch-a"), unique("batch-b")], crowd = await f.fleet.subscribed(a);
			for (const c of crowd)
				await c.subscribe(b);
			const { status } = await f.hosts[0].call("POST", `/apps/${f.hosts[0].app.id}/batch_events`, { batch: [
				{ name: "x", channel: a, data: "1" }, { name: "y", channel: b, data: "2", socket_id: crowd[1].id } ] });
			assert.equal(status, 200);
			await f.hosts[1].publish([a, b], "z", "3");
			for (const [i, c] of crowd.entries()) {
				const frames = new Set();
				for (let n = i === 1 ? 3 : 4; n > 0; n--) {
					const one = await c.next();
					frames.add(`${one.channel} ${one.event}`);
				}
				assert.deepEqual([...frames].sort(), [`${a} x`, `${a} z`, ...(i === 1 ? [] : [`${b} y`]), `${b} z`].sort());
			}
		});

		test("the order of a channel is the same on all hosts", async () => {
			const channel = unique(), crowd = await f.fleet.subscribed(channel), each = 60;
			await Promise.all(f.hosts.flatMap((host, h) => Array.from({ length: each }, (_, i) =>
				host.publish(channel, "n", `${h}-${i}`))));
			const orders = [];
			for (const c of crowd) {
				const order = [];
				for (let i = 0; i < each * f.hosts.length; i++)
					order.push(decoded(await c.expect("n", channel)));
				orders.push(order);
			}
			for (const order of orders)
				assert.deepEqual(order, orders[0]);
			assert.equal(new Set(orders[0]).size, each * f.hosts.length);
		});

		test("what is published anywhere right after subscription_succeeded is never missed", async () => {
			const clients = await f.fleet.crowd();
			for (let i = 0; i < 60; i++) {
				const channel = unique("race"), c = clients[i % clients.length];
				const other = f.hosts[(i + 1) % f.hosts.length];
				await c.subscribe(channel);
				await other.publish(channel, "first", String(i));
				await c.expectFrame({ event: "first", channel, data: String(i) });
				if (i % 3 === 0) {
					// Left and joined again at once.
					c.send({ event: "pusher:unsubscribe", data: { channel } });
					await c.subscribe(channel);
					await other.publish(channel, "again", String(i));
					await c.expectFrame({ event: "again", channel, data: String(i) });
				}
			}
		});

		test("subscribe and unsubscribe at full speed end as they should", async () => {
			const channel = unique(), c = await f.hosts[0].connect();
			for (let i = 0; i < 50; i++) {
				c.send({ event: "pusher:subscribe", data: { channel } });
				c.send({ event: "pusher:unsubscribe", data: { channel } });
			}
			c.send({ event: "pusher:subscribe", data: { channel } });
			c.send({ event: "pusher:ping" });
			await c.skipTo("pusher:pong");
			// The last join may be answered after the pong.
			await f.fleet.agree(`/channels/${channel}`, { info: "subscription_count" }, { occupied: true, subscription_count: 1 });
			await until(async () => {
				await f.hosts[1].publish(channel, "end", "1");
				return c.frames.some((one) => one.event === "end");
			}, "a message after all that");
		});

		test("cache channels: a host that never saw the event replays it", async () => {
			for (const kind of ["cache-", "private-cache-", "presence-cache-", "private-encrypted-cache-"]) {
				const channel = unique(`${kind}replay`), [first, second] = await f.fleet.crowd();
				await subscribed(first, channel, member(kind, 1));
				await first.expectFrame({ event: "pusher:cache_miss", channel });
				await f.hosts[0].publish(channel, "kept", '{"v":1}');
				await first.expect("kept", channel);
				await subscribed(second, channel, member(kind, 2));
				await second.expectFrame({ event: "kept", channel, data: '{"v":1}' });
				// Published where nobody listens, asked for somewhere else.
				const lonely = unique(`${kind}lonely`);
				await f.hosts[1].publish(lonely, "old", "0");
				await f.hosts[1].publish(lonely, "kept", "2");
				await subscribed(first, lonely, member(kind, 1));
				await first.skipTo("kept", lonely);
				assert.equal(first.frames.length, 0, "nothing twice");
				await f.hosts[0].publish(lonely, "live", "3");
				await first.expect("live", lonely);
			}
		});

		test("cache channels: ?info=cache on a host without subscribers", async () => {
			const channel = unique("cache-info");
			await f.hosts[0].publish(channel, "kept", '{"v":1}');
			for (const host of f.hosts) {
				const { json } = await host.get(`/channels/${channel}`, { info: "cache" });
				assert.equal(json.cache?.data, '{"v":1}', JSON.stringify(json));
			}
		});

		test("a replay and the live event are never both heard", async () => {
			const clients = await f.fleet.crowd();
			for (let i = 0; i < 20; i++) {
				const channel = unique("cache-both"), c = clients[i % clients.length];
				const publishing = f.hosts[(i + 1) % f.hosts.length].publish(channel, "once", String(i));
				await subscribed(c, channel);
				await publishing;
				await f.hosts[0].publish(channel, "end", "1");
				const heard = [];
				for (let one = await c.next(); one.event !== "end"; one = await c.next())
					heard.push(one.event);
				assert.equal(heard.filter((e) => e === "once").length, 1, heard.join());
			}
		});

		test("send to a user, wherever he is", async () => {
			const id = unique("user"), channel = `#server-to-user-${id}`, crowd = await f.fleet.crowd();
			for (const [i, c] of crowd.entries()) {
				await c.signin({ id: i === 0 ? `${id}-other` : id });
				if (i > 0)
					await c.subscribe(channel);
			}
			await f.hosts[0].publish(channel, "for-you", '{"a":1}');
			for (const c of crowd.slice(1))
				await c.expectFrame({ event: "for-you", channel, data: '{"a":1}' });
			await crowd[0].ping();
		});

		test("terminate_connections reaches all hosts, and nobody else", async () => {
			const id = unique("bad"), crowd = await f.fleet.crowd(3), others = await f.fleet.crowd();
			for (const c of crowd)
				await c.signin({ id });
			for (const c of others)
				await c.signin({ id: `${id}2` });
			const { status } = await f.hosts[1].call("POST", `/apps/${f.hosts[1].app.id}/users/${id}/terminate_connections`, {});
			assert.equal(status, 200);
			for (const c of crowd)
				await c.refused(4009);
			for (const c of others)
				await c.ping();
			// It may come back.
			await (await f.hosts[0].connect()).signin({ id });
		});

		test("large events pass whole", async () => {
			const channel = unique(), crowd = await f.fleet.subscribed(channel), data = "ü".repeat(4500);
			await f.hosts[0].publish(channel, "large", data);
			for (const c of crowd)
				assert.equal((await c.expect("large", channel)).data, data);
		});

		test("nothing was dropped, nothing was wrong", async () => {
			for (const host of f.hosts) {
				const b = await backplane(host);
				for (const name of ["backplane_echo_timeouts", "backplane_dropped", "backplane_expired", "backplane_gaps",
					"backplane_bad_envelope", "backplane_bad_payload", "backplane_failures", "backplane_errors", "hosts_lost", "host_gaps"])
					assert.equal(b[name], 0, `${name} ${b[name]}`);
			}
		});
	});

fleet("topics", { hosts: 2, workers: [2, 1] }, (f) => {
	/** What Redis is asked to listen to under our prefix, by name. */
	const topics = async () => (await f.redis.command("PUBSUB", "CHANNELS", `${f.fleet.prefix}*`)).sort();
	const of = async (name) => (await topics()).filter((t) => t.includes(name));

	test("a host joins only what its own clients listen to", async () => {
		const name = unique("mine"), [a, b] = await f.fleet.crowd();
		const before = (await topics()).length;
		await f.hosts[0].publish(name, "e", "1");
		assert.deepEqual(await of(name), []);
		await a.subscribe(name);
		const [topic, ...rest] = await of(name);
		assert.deepEqual(rest, []);
		assert.ok(topic.startsWith(f.fleet.prefix), topic);
		const count = async () => (await f.redis.command("PUBSUB", "NUMSUB", topic))[1];
		assert.equal(await count(), 1);
		await b.subscribe(name);
		assert.equal(await count(), 2);
		await a.unsubscribe(name);
		await until(async () => await count() === 1, "the first host to leave");
		await b.kill();
		await until(async () => (await of(name)).length === 0, "the second host to leave");
		assert.equal((await topics()).length, before);
	});

	test("joins and leaves are batched: 1,000 take far fewer commands", async () => {
		const name = unique("batched"), [a] = await f.fleet.crowd();
		const calls = async () => {
			const info = await f.redis.info("commandstats");
			const of = (c) => Number(/calls=(\d+)/.exec(info[`cmdstat_${c}`] ?? "")?.[1] ?? 0);
			return of("subscribe") + of("ssubscribe") + of("unsubscribe") + of("sunsubscribe");
		};
		const begin = await calls();
		for (let i = 0; i < 1000; i++)
			a.subscribing(`${name}-${i}`);
		for (let i = 0; i < 1000; i++)
			assert.equal((await a.next()).event, "pusher_internal:subscription_succeeded");
		const joins = await calls() - begin;
		await a.kill();
		await until(async () => (await of(name)).length === 0, "everything to be left");
		const leaves = await calls() - begin - joins;
		assert.ok(joins <= 200, `${joins} commands to join`);
		assert.ok(leaves <= 200, `${leaves} commands to leave`);
	});
});

fleet("two apps", { hosts: 2, apps: {
	one: { id: "1", key: "key-1", secret: "secret-1" },
	two: { id: "2", key: "key-2", secret: "secret-2" },
} }, (f) => {
	const APPS = [1, 2].map((n) => ({ id: String(n), key: `key-${n}`, secret: `secret-${n}` }));

	test("do not hear each other", async () => {
		const channel = unique("same"), clients = [];
		for (const app of APPS)
			for (const host of f.hosts)
				clients.push(await host.connect({ app }));
		for (const c of clients.slice(0, 2))
			await c.subscribe(channel);
		await f.hosts[0].publish(channel, "for-one", "1", { app: APPS[0] });
		for (const c of clients.slice(0, 2))
			await c.expect("for-one", channel);
		for (const c of clients.slice(2))
			await c.subscribe(channel);
		await f.hosts[1].publish(channel, "for-two", "2", { app: APPS[1] });
		for (const c of clients.slice(2))
			await c.skipTo("for-two", channel);
		await quiet(f.hosts[0], clients.slice(0, 2), channel, { app: APPS[0] });
	});
});
