// SPDX-License-Identifier: MIT
// What doc/SCALING says, by its own words: the rights a Redis user needs, how
// many connections a host makes, and what a client costs (as diagnostics).
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Server, unique, until } from "./harness.mjs";
import { Fleet, backplane, subscribed } from "./hosts.mjs";
import { ca, chain, key } from "./proxies.mjs";
import { Cluster, Redis, Sentinels } from "./redis.mjs";

const doc = fs.readFileSync(path.join(path.dirname(fileURLToPath(import.meta.url)), "../../doc/SCALING"), "utf8");

/** The words behind the nth ACL SETUSER of the page. */
function rights(n) {
	const [, rules] = [...doc.matchAll(/^ {4}ACL SETUSER ([^]*?)\n\n/gm)][n];
	return rules.replace(/\\\n/g, " ").trim().split(/\s+/);
}

/** Two hosts as this user: messages, a cache channel, presence; nothing is refused. */
async function enough(nodes, backplane, connections) {
	assert.ok(rights(0).includes(">PASSWORD"));
	const fleet = await Fleet.start({ redis: nodes[0], backplane: { channel: "peal", url: "", port: nodes[0].port, username: "peal", password: "PASSWORD", ...backplane } });
	try {
		for (let i = 0; i < 8; i++) {
			const channel = unique("cache-room");
			await fleet.hosts[0].publish(channel, "kept", "1");
			const c = await fleet.hosts[1].connect();
			await subscribed(c, channel);
			await c.skipTo("kept", channel);
			await fleet.hosts[0].publish(channel, "live", "2");
			await c.skipTo("live", channel);
			await c.close();
		}
		const a = await fleet.hosts[0].connect();
		await subscribed(a, "presence-room", { user_id: "a" });
		await fleet.agree("/channels/presence-room/users", {}, { users: [{ id: "a" }] });
		for (const node of nodes) {
			if (connections !== undefined) {
				const list = String(await node.command("CLIENT", "LIST"));
				assert.equal(list.split("\n").filter((line) => / user=peal /.test(line)).length, connections, list);
			}
			assert.deepEqual(await node.command("ACL", "LOG"), []);
		}
	} finally {
		await fleet.stop();
	}
}

test("the rights of doc/SCALING are enough for one Redis; a host makes two connections", async () => {
	const redis = await Redis.start();
	try {
		await redis.command("ACL", "SETUSER", ...rights(0));
		await enough([redis], { database: 1 }, 4);
	} finally {
		await redis.stop();
	}
});

test("and for a cluster", async () => {
	const cluster = await Cluster.start();
	try {
		for (const node of cluster.nodes)
			for (const n of [0, 1])
				await node.command("ACL", "SETUSER", ...rights(n));
		await enough(cluster.nodes, { cluster: "yes" });
	} finally {
		await cluster.stop();
	}
});

test("and on Sentinels", async () => {
	const set = await Sentinels.start();
	try {
		const [user, ...rules] = rights(2);
		for (const sentinel of set.sentinels)
			await sentinel.command("ACL", "SETUSER", user, ...rules);
		const fleet = await Fleet.start({ redis: await set.master(), backplane: { url: "", sentinels: set.addresses,
		    sentinel_username: user, sentinel_password: "PASSWORD" } });
		try {
			fleet.allow();
			const c = await fleet.hosts[1].connect(), room = unique();
			await subscribed(c, room);
			const now = await set.failover();
			for (const host of fleet.hosts)
				await until(async () => (await backplane(host)).broker.includes(`:${now.port}`), "the new master");
			await fleet.joined();
			await fleet.hosts[0].publish(room, "event", "1");
			await c.skipTo("event", room);
			for (const sentinel of set.sentinels)
				assert.deepEqual(await sentinel.command("ACL", "LOG"), []);
		} finally {
			await fleet.stop();
		}
	} finally {
		await set.stop();
	}
});

test("what a client costs", async (t) => {
	const server = await Server.start({ listeners: { "listen tls": { address: "127.0.0.1:0", certificate: chain, certificate_key: key } } });
	try {
		const worker = server.pids("peald: worker")[0];
		const used = () => 1024 * Number(/^Private_Dirty:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${worker}/smaps_rollup`, "utf8"))[1]);
		const crowd = async (n, options, then = () => {}) => {
			for (let i = 0; i < n; i += 50)
				await Promise.all(Array.from({ length: 50 }, async () => then(await server.connect(options))));
		};
		const tls = { url: server.url({ scheme: "wss", address: server.addresses[1] }), wsOptions: { ca } };
		const each = async (what, n, options, then) => {
			await crowd(400, options, then);		// what is made once
			const before = used();
			await crowd(n, options, then);
			const octets = Math.round((used() - before) / n);
			t.diagnostic(`${what}: ${octets} octets`);
			return octets;
		};
		const limit = process.env.PEAL_TEST_SANITIZED === undefined ? 1 : 1000;
		assert.ok(await each("a client", 4000) < 512 * limit);
		assert.ok(await each("a client in one channel", 4000, {}, (c) => c.subscribe("room")) < 512 * limit);
		assert.ok(await each("a client over TLS", 1000, tls) < 16000 * limit);
		await until(async () => (await server.ctl("status")).totals.websockets === 10200, "all of them");
	} finally {
		await server.stop();
	}
});
