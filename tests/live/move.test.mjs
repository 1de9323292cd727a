// SPDX-License-Identifier: MIT
// Moving clients from one group of hosts to another (from Reverb's to Peal's, or
// to a new Redis): two groups that share nothing but a Redis, on which they have
// prefixes of their own; each event goes to both, clients move one by one, and
// nobody misses or hears anything twice.
import assert from "node:assert/strict";
import https from "node:https";
import { test } from "node:test";
import Pusher from "pusher";
import { until } from "./harness.mjs";
import { Fleet, subscribed } from "./hosts.mjs";
import { Proxy, ca, noNginx } from "./proxies.mjs";
import { Redis } from "./redis.mjs";

/** Pusher's server library as Laravel has it, towards host:port. */
const backend = ({ id, key, secret }, port, agent) => new Pusher({ appId: id, key, secret, host: "127.0.0.1", port: String(port), useTLS: agent !== undefined, agent });

/** What one connection hears on "room", besides pings: the numbers of events. */
const numbers = (client) => client.raw.map((text) => JSON.parse(text))
    .filter((frame) => frame.event === "tick").map((frame) => JSON.parse(frame.data).n);

/**
 * Clients on the old group, all the time events that `publish` sends to both;
 * open(to): a new connection, which `turn` (between) lets go to the new group.
 */
async function move(old, fresh, { publish, open, turn = async () => {} }) {
	const clients = await Promise.all(Array.from({ length: 8 }, () => open("old")));
	for (const c of clients)
		await subscribed(c, "room");
	await old.agree("/connections", {}, { connections: 8 });
	let n = 0, over = false;
	const publishing = (async () => {
		while (!over)
			await publish({ n: n++ });
	})();
	publishing.catch(() => { over = true; });	// said below
	await until(() => over || n > 20, "some events");
	await turn();
	// One by one: first the new connection, then away with the old one.
	const moved = [];
	for (const c of clients) {
		const next = await open("new");
		await subscribed(next, "room");
		// On the new one since an event that came on both.
		await until(() => numbers(next).some((one) => numbers(c).includes(one)), "an event on both");
		moved.push(next);
		await c.close();
	}
	const atEnd = n;
	await until(() => n > atEnd + 20, "some more events");
	over = true;
	await publishing;
	const last = n - 1;
	for (const c of moved)
		await until(() => numbers(c).includes(last), "the last event");
	for (const [i, c] of clients.entries()) {
		const before = numbers(c), behind = numbers(moved[i]);
		for (const [what, all] of Object.entries({ before, behind }))
			assert.equal(new Set(all).size, all.length, `${what}: twice`);
		const missed = Array.from({ length: n }, (_, k) => k).filter((k) => !before.includes(k) && !behind.includes(k));
		assert.deepEqual(missed, [], `client ${i}`);
	}
	await fresh.agree("/connections", {}, { connections: 8 });
	await old.agree("/connections", {}, { connections: 0 });
}

async function groups(define) {
	const redis = await Redis.start();
	const fleets = [];
	try {
		for (const channel of ["old", "new"])
			fleets.push(await Fleet.start({ redis, backplane: { channel } }));
		for (const one of fleets)
			one.allow(/without the broker/);	// a busy machine may be late
		const [old, fresh] = fleets;
		await define(old, fresh);
		// What is said in one group stays there.
		const [a, b] = [await old.hosts[0].connect(), await fresh.hosts[0].connect()];
		await subscribed(a, "presence-room", { user_id: "a" });
		const roster = await subscribed(b, "presence-room", { user_id: "b" });
		assert.deepEqual(roster.presence.ids, ["b"]);
	} finally {
		for (const one of fleets)
			await one.stop();
		await redis.stop();
	}
}

test("Laravel publishes to both, over two broadcast connections", () => groups(async (old, fresh) => {
	const both = [backend(old.hosts[0].app, old.hosts[0].port), backend(fresh.hosts[1].app, fresh.hosts[1].port)];
	let turns = 0;
	await move(old, fresh, {
		publish: async (data) => {
			for (const one of both)
				assert.equal((await one.trigger("room", "tick", data)).status, 200);
		},
		open: (to) => (to === "old" ? old : fresh).hosts[turns++ % 2].connect(),
	});
}));

test("nginx makes two of each call: contrib/nginx/move.conf", { skip: noNginx }, () => groups(async (old, fresh) => {
	const proxy = await Proxy.nginxMove(old.hosts.map((h) => h.address), fresh.hosts.map((h) => h.address));
	try {
		const agent = new https.Agent({ ca });
		const api = backend(old.hosts[0].app, proxy.ports[0], agent);
		const server = old.hosts[0];
		await move(old, fresh, {
			publish: async (data) => assert.equal((await api.trigger("room", "tick", data)).status, 200),
			open: () => server.connect({ url: server.url({ scheme: "wss", address: proxy.address }), wsOptions: { ca } }),
			turn: async () => {
				await proxy.changed(/\*\s+reverb;/, "* peal;");
				// The next one that connects is on the other side.
				const connections = async (h) => (await h.get("/connections")).json.connections;
				await until(async () => {
					const probe = await server.connect({ url: server.url({ scheme: "wss", address: proxy.address }), wsOptions: { ca } });
					await subscribed(probe, "room");	// or it does not count
					const [before, there] = await until(async () => {
						const all = [await connections(old.hosts[0]), await connections(fresh.hosts[0])];
						return all[0] + all[1] === 9 && all;
					}, "nine");
					await probe.close();
					await old.agree("/connections", {}, { connections: 8 });
					return before === 8 && there === 1;
				}, "new clients on the new side");
			},
		});
	} finally {
		await proxy.stop();
	}
}));
