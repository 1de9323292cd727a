// SPDX-License-Identifier: MIT
// Hosts that a Redis joins, as one server: who is there, and how many.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decoded, unique, until } from "./harness.mjs";
import { Fleet, fleet, subscribed } from "./hosts.mjs";

const who = (user_id, name = user_id) => ({ user_id, user_info: { name } });

/** The member events a client has heard of a channel until `end` arrives. */
async function heard(client, channel, end) {
	const seen = [];
	for (;;) {
		const f = await client.next(`${end} on ${channel}`);
		if (f.event === end && f.channel === channel)
			return seen;
		if (/member_/.test(f.event) && f.channel === channel)
			seen.push(`${f.event.slice(23)} ${decoded(f).user_id}`);
	}
}

fleet("census of 3 hosts", { hosts: 3, workers: [2, 1, 2] }, (f) => {
	const users = async (channel, ids) => {
		const begin = performance.now();
		await until(async () => {
			for (const host of f.hosts) {
				const { json } = await host.get(`/channels/${channel}/users`);
				if ((json.users ?? []).map((u) => u.id).sort().join() !== [...ids].sort().join())
					return false;
			}
			return true;
		}, async () => `users ${ids}; have ${JSON.stringify(await Promise.all(f.hosts.map(async (h) => (await h.get(`/channels/${channel}/users`)).json)))}`);
		return performance.now() - begin;
	};

	test("presence: a user over tabs and hosts is one member, announced once", async () => {
		const channel = unique("presence-tabs"), [watch] = await f.hosts[0].crowd(1), crowd = await f.fleet.crowd(4);
		await subscribed(watch, channel, who("watch"));
		await users(channel, ["watch"]);
		for (const c of crowd)
			await subscribed(c, channel, who("u"));
		await users(channel, ["u", "watch"]);
		// All of them but one go, then the last one, on the last host.
		for (const c of crowd.slice(0, -1))
			await c.kill();
		await f.fleet.agree(`/channels/${channel}`, { info: "user_count" }, { occupied: true, user_count: 2 });
		await f.hosts[2].publish(channel, "still", "1");
		assert.deepEqual(await heard(watch, channel, "still"), ["added u"]);
		await crowd.at(-1).kill();
		await users(channel, ["watch"]);
		await f.hosts[2].publish(channel, "end", "1");
		assert.deepEqual(await heard(watch, channel, "end"), ["removed u"]);
	});

	test("presence: the roster in subscription_succeeded is complete on each host", async () => {
		const channel = unique("presence-roster"), ids = [], everybody = [];
		for (let round = 0; round < 3; round++)
			for (const host of f.hosts) {
				const c = await host.connect(), id = `m${ids.length}`;
				ids.push(id);
				const { presence } = await subscribed(c, channel, who(id, `Name of ${id}`));
				everybody.push(c);
				assert.ok(presence.ids.includes(id));
				assert.equal(presence.count, presence.ids.length);
				await users(channel, ids);
			}
		for (const host of f.hosts) {
			const c = await host.connect(), { presence } = await subscribed(c, channel, who("m0", "another name"));
			assert.deepEqual([...presence.ids].sort(), [...ids].sort());
			assert.equal(presence.count, ids.length);
			for (const id of ids)
				assert.deepEqual(presence.hash[id], { name: `Name of ${id}` });
		}
		// Each heard of those who came later: once, whatever host they came to.
		await f.hosts[1].publish(channel, "end", "1");
		for (const [i, c] of everybody.entries())
			assert.deepEqual(await heard(c, channel, "end"), ids.slice(i + 1).map((id) => `added ${id}`));
	});

	test("presence: who joins everywhere at the same moment is one member", async () => {
		for (let round = 0; round < 8; round++) {
			const channel = unique("presence-once"), crowd = await f.fleet.crowd(2);
			for (const [i, c] of crowd.entries())
				c.subscribing(channel, who(`u${i % 3}`));
			for (const c of crowd)
				await c.skipTo("pusher_internal:subscription_succeeded", channel);
			await users(channel, ["u0", "u1", "u2"]);
			await Promise.all(crowd.slice(0, 3).map((c) => c.kill()));
			const left = crowd.slice(3);
			await users(channel, ["u0", "u1", "u2"]);
			const last = await f.hosts[round % 3].connect();
			assert.equal((await subscribed(last, channel, who("last"))).presence.count, 4);
			for (const c of left)
				await c.skipTo("pusher_internal:member_added", channel);
			await Promise.all(crowd.concat(last).map((c) => c.kill()));
			await f.fleet.agree(`/channels/${channel}`, {}, { occupied: false });
		}
	});

	test("presence: leaving and coming back over hosts ends as it is", async () => {
		const channel = unique("presence-hop"), [watch] = await f.hosts[2].crowd(1);
		await subscribed(watch, channel, who("watch"));
		let at = await f.hosts[0].connect();
		await subscribed(at, channel, who("hopper"));
		for (let i = 1; i < 12; i++) {
			const next = await f.hosts[i % 3].connect();
			await subscribed(next, channel, who("hopper"));
			await at.kill();
			at = next;
		}
		await users(channel, ["hopper", "watch"]);
		await at.kill();
		await users(channel, ["watch"]);
		await f.hosts[0].publish(channel, "end", "1");
		// However often he was told to have come and gone, it takes turns.
		const seen = await heard(watch, channel, "end");
		assert.deepEqual(seen.filter((_, i) => i % 2 === 0), seen.filter((_, i) => i % 2 === 0).map(() => "added hopper"));
		assert.deepEqual(seen.filter((_, i) => i % 2 === 1), seen.filter((_, i) => i % 2 === 1).map(() => "removed hopper"));
		assert.equal(seen.length % 2, 0);
	});

	test("counts: channels, a channel, users and connections are the same on every host", async () => {
		const tag = unique("count"), room = `presence-${tag}`, plain = `${tag}-plain`, crowd = await f.fleet.crowd(4);
		for (const [i, c] of crowd.entries()) {
			await subscribed(c, room, who(`u${i % 5}`));
			if (i % 2)
				await subscribed(c, plain);
		}
		await f.fleet.agree("/channels", { filter_by_prefix: "presence-count", info: "user_count" },
		    { channels: { [room]: { user_count: 5 } } });
		await f.fleet.agree(`/channels/${plain}`, { info: "subscription_count" }, { occupied: true, subscription_count: 6 });
		await f.fleet.agree("/channels", { filter_by_prefix: tag }, { channels: { [plain]: {} } });
		await users(room, ["u0", "u1", "u2", "u3", "u4"]);
		for (const c of crowd)
			await c.kill();
		await f.fleet.agree(`/channels/${room}`, {}, { occupied: false });
	});

	test("connections count over hosts, and go", async () => {
		const base = f.hosts.reduce((sum, h) => sum + [...h.clients].filter((c) => !c.ended).length, 0);
		const crowd = await f.fleet.crowd(5), channel = unique();
		for (const c of crowd)
			await subscribed(c, channel);
		await until(async () => {
			const all = await Promise.all(f.hosts.map(async (h) => (await h.get("/connections")).json.connections));
			return all.every((n) => n === all[0] && n >= crowd.length);
		}, `connections over ${base} and ${crowd.length}`);
		for (const h of f.hosts)
			for (const c of h.clients)
				c.socket.terminate();
		await f.fleet.agree("/connections", {}, { connections: 0 });
		await f.fleet.agree("/channels", {}, { channels: {} });
	});

	test("?info in the answer to an event counts all hosts", async () => {
		const channel = unique("presence-info"), crowd = await f.fleet.crowd(2);
		for (const [i, c] of crowd.entries())
			await subscribed(c, channel, who(`u${i}`));
		await users(channel, crowd.map((_, i) => `u${i}`));
		const answer = await f.hosts[1].publish(channel, "e", "1", { body: { info: "user_count" } });
		assert.deepEqual(answer.channels[channel], { user_count: 6 });
	});

	test("watch list: online and offline once per user, over tabs and hosts", async () => {
		const x = unique("x"), y = unique("y"), w = await f.hosts[0].connect();
		const events = async () => decoded(await w.expect("pusher_internal:watchlist_events")).events;
		const away = await f.hosts[1].connect();
		await away.signin({ id: y });
		await f.fleet.settled();
		await w.signin({ id: unique("watcher"), watchlist: [x, y] });
		assert.deepEqual(await events(), [{ name: "online", user_ids: [y] }, { name: "offline", user_ids: [x] }]);
		const tabs = await f.fleet.crowd();
		for (const c of tabs)
			await c.signin({ id: x });
		assert.deepEqual(await events(), [{ name: "online", user_ids: [x] }]);
		await f.fleet.settled();
		await tabs[0].kill();
		await tabs[1].kill();
		await away.kill();
		assert.deepEqual(await events(), [{ name: "offline", user_ids: [y] }]);
		await tabs[2].kill();
		assert.deepEqual(await events(), [{ name: "offline", user_ids: [x] }]);
		await w.ping();
	});
});

fleet("pushed counts", { hosts: 2, workers: [2, 1], app: { subscription_count: "yes" } }, (f) => {
	test("subscribers on every host hear how many there are", async () => {
		const channel = unique("pushed"), [a, b] = await f.fleet.crowd(), more = await f.fleet.crowd(2);
		const hears = (c, n) => until(() => {
			const last = c.frames.filter((one) => one.event === "pusher_internal:subscription_count").at(-1);
			return last && decoded(last).subscription_count === n;
		}, () => `count ${n}: ${JSON.stringify(c.frames)}`);
		// The first subscriber of a host hears it too.
		await subscribed(a, channel);
		await hears(a, 1);
		await f.fleet.settled();
		await subscribed(b, channel);
		await hears(b, 2);
		for (const c of more)
			await subscribed(c, channel);
		await hears(a, 6);
		await hears(b, 6);
		for (const c of more)
			await c.kill();
		await hears(a, 2);
		await hears(b, 2);
	});
});

fleet("a limit of the cluster", { hosts: 2, workers: [2, 1], apps: {
	all: { id: "1", key: "all-key", secret: "s1", max_connections: 4, max_connections_of: "cluster" },
	each: { id: "2", key: "each-key", secret: "s2", max_connections: 2 },
} }, (f) => {
	const ALL = { id: "1", key: "all-key", secret: "s1" }, EACH = { id: "2", key: "each-key", secret: "s2" };

	test("max_connections of the cluster counts all hosts", async () => {
		const [a, b] = f.hosts, kept = [];
		const seen = (n) => Promise.all(f.hosts.map((h) => until(async () =>
			(await h.ctl("connections", "--app", "all")).connections?.[0]?.open === n, `${n} connections`)));
		for (const h of [a, a, b, b])
			kept.push(await h.connect({ app: ALL }));
		await seen(4);
		for (const h of f.hosts)
			await (await h.open({ app: ALL })).refused(4004);
		await kept[0].kill();
		await until(async () => {
			const c = await b.open({ app: ALL });
			return (await c.next()).event === "pusher:connection_established";
		}, "a place that became free on the other host");
	});

	test("max_connections of a host counts that host", async () => {
		for (const h of f.hosts) {
			await h.connect({ app: EACH });
			await h.connect({ app: EACH });
			await (await h.open({ app: EACH })).refused(4004);
		}
	});
});

test("a host that stops says so: its members leave at once, not after host_timeout", async () => {
	const all = await Fleet.start({ hosts: 2, backplane: { host_timeout: "1h", partition_timeout: "2h" } });
	try {
		const channel = unique("presence-bye"), [a, b] = await all.crowd();
		await subscribed(a, channel, who("stays"));
		await subscribed(b, channel, who("goes"));
		await a.skipTo("pusher_internal:member_added", channel);
		await all.hosts[1].stop();
		delete all.hosts[1];
		assert.equal(decoded(await a.skipTo("pusher_internal:member_removed", channel)).user_id, "goes");
		assert.deepEqual((await all.hosts[0].get(`/channels/${channel}`, { info: "user_count" })).json, { occupied: true, user_count: 1 });
		// Another one in its place.
		await all.add(1);
		const c = await all.hosts[1].connect();
		assert.equal((await subscribed(c, channel, who("new"))).presence.count, 2);
		assert.equal(decoded(await a.skipTo("pusher_internal:member_added", channel)).user_id, "new");
	} finally {
		await all.stop();
	}
});
