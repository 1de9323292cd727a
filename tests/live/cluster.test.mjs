// SPDX-License-Identifier: MIT
//
// Hosts joined by a real Redis Cluster: what happens to messages while slots
// move and while nodes die.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, unique, until } from "./harness.mjs";
import { Fleet, Stream, backplane, sound, subscribed } from "./hosts.mjs";
import { Cluster, Redis } from "./redis.mjs";
import { Room } from "./rooms.mjs";

/** What a host may log when its broker fails. */
const TROUBLE = /backplane redis|without the broker|host (lost|silent|gone)/;

const settings = (cluster) => ({ driver: "redis", url: cluster.nodes[0].url, cluster: "yes",
	nodes: cluster.nodes.slice(1).map((n) => n.address) });

const joinedBy = async (cluster, options = {}) => Fleet.start({ redis: cluster.nodes[0], ...options,
	backplane: { ...settings(cluster), ...options.backplane } });

/** An event comes once on each of these channels, in whatever order. */
async function hears(client, event, channels) {
	const left = new Set(channels);
	while (left.size > 0) {
		const f = await client.skipTo(event);
		assert.ok(left.delete(f.channel), `${f.channel} twice, or not asked for`);
	}
}

/** The nodes know that each host listens to each of these channels.  What is
 * published before that may be lost to a host whose slots have just moved. */
async function listening(fleet, cluster, channels) {
	const missing = async () => {
		const left = new Map(channels.map((channel) => [channel, fleet.hosts.length]));
		for (const node of cluster.live) {
			const names = await node.command("PUBSUB", "SHARDCHANNELS");
			const hosts = await node.command("PUBSUB", "SHARDNUMSUB", ...names);
			for (let i = 0; i < hosts.length; i += 2) {
				const channel = hosts[i].split(":").at(-1);
				if (left.has(channel))
					left.set(channel, left.get(channel) - hosts[i + 1]);
			}
		}
		return [...left].filter(([, n]) => n !== 0);
	};
	await until(async () => (await missing()).length === 0,
	    async () => `all listen; missing ${JSON.stringify(await missing())}`);
}

/** Each of these channels, published on each host, reaches all, once. */
async function carries(fleet, cluster, channels) {
	const clients = await fleet.crowd();
	for (const c of clients)
		for (const channel of channels)
			await subscribed(c, channel);
	await listening(fleet, cluster, channels);
	for (const [i, host] of fleet.hosts.entries()) {
		const name = unique("event");
		for (const channel of channels)
			await host.publish(channel, name, { from: i });
		for (const c of clients)
			await hears(c, name, channels);
	}
	for (const c of clients)
		await c.close();
}

// So many names that all masters have some.
const many = (n = 60) => Array.from({ length: n }, () => unique("room"));

/** How many channels of a node are listened to. */
const listened = async (node) => (await node.command("PUBSUB", "SHARDCHANNELS")).length;

describe("cluster", () => {
	let cluster, fleet;
	before(async () => {
		cluster = await Cluster.start({ masters: 3 });
		fleet = await joinedBy(cluster);
	});
	after(async () => {
		await fleet?.stop();
		await cluster?.stop();
	});

	test("every master carries its share, by sharded publish and subscribe", async () => {
		await carries(fleet, cluster, many());
		const client = await fleet.hosts[0].connect();
		const channels = many(90);
		for (const channel of channels)
			await subscribed(client, channel);
		for (const node of cluster.nodes) {
			assert.ok(await listened(node) > 10, `${node.port} carries some`);
			assert.equal((await node.command("PUBSUB", "CHANNELS")).length, 0);
		}
		await client.close();
	});

	test("cache channels are kept where they belong", async () => {
		const channels = Array.from({ length: 12 }, () => unique("cache-room"));
		for (const channel of channels)
			await fleet.hosts[0].publish(channel, "kept", { channel });
		const client = await fleet.hosts[1].connect();
		for (const channel of channels) {
			client.subscribing(channel);
			assert.deepEqual(JSON.parse((await client.skipTo("kept", channel)).data), { channel });
		}
		await client.close();
	});

	test("while slots move, nothing is doubled, and all is right again at once", async () => {
		const channels = many(40);
		const clients = await fleet.crowd();
		for (const c of clients)
			for (const channel of channels)
				await subscribed(c, channel);
		const streams = await Promise.all(channels.slice(0, 4).map((channel) =>
			Stream.start(fleet, { channel: `${channel}-stream` })));
		await Promise.all(streams.map((s) => s.more(20)));
		const [from, to] = cluster.range(0, 3);
		try {
			await cluster.move(from, to, cluster.nodes[1]);
			await Promise.all(streams.map((s) => s.whole()));
			await until(async () => await listened(cluster.nodes[0]) === 0, "nothing is left at the old node");
		} finally {
			await cluster.home(from, to, cluster.nodes[0]);
		}
		await Promise.all(streams.map((s) => s.whole()));
		for (const s of streams)
			console.log(`# move: ${sound(await s.stop())}`);
		await carries(fleet, cluster, channels);
		for (const c of clients)
			await c.close();
	});

	test("a slot that stays halfway stops no message", async () => {
		const [from, to] = cluster.range(0, 3);
		const channels = [...many(20), ...Array.from({ length: 20 }, () => unique("cache-half"))];
		try {
			await cluster.begin(from, to, cluster.nodes[0], cluster.nodes[1]);
			await carries(fleet, cluster, channels);
			await cluster.finish(from, to, cluster.nodes[0], cluster.nodes[1]);
			await carries(fleet, cluster, channels);
		} finally {
			await cluster.home(from, to, cluster.nodes[0]);
		}
		await carries(fleet, cluster, channels);
	});

	test("connections that are cut come back", async () => {
		const stream = await Stream.start(fleet);
		fleet.allow(TROUBLE);
		await stream.more(20);
		for (const node of cluster.nodes) {
			await node.cut("pubsub");
			await node.cut("normal").catch(() => {});	// that is our own one, too
		}
		await stream.whole();
		console.log(`# cut: ${sound(await stream.stop())}`);
		await carries(fleet, cluster, many(30));
	});
});

describe("cluster with replicas", () => {
	let cluster, fleet;
	before(async () => {
		cluster = await Cluster.start({ masters: 3, replicas: 3 });
		fleet = await joinedBy(cluster);
		fleet.allow(TROUBLE);
	});
	after(async () => {
		await fleet?.stop();
		await cluster?.stop();
	});

	test("a master is killed: its replica takes over, the others go on", async () => {
		const names = many(30);
		const streams = await Promise.all(names.slice(0, 6).map((channel) => Stream.start(fleet, { channel, pause: 10 })));
		await Promise.all(streams.map((s) => s.more(10)));
		const dead = cluster.nodes[1];
		await dead.kill();
		// Own clients are served all the time.
		await Promise.all(streams.map((s) => s.more(10)));
		await cluster.promoted(dead);
		await Promise.all(streams.map((s) => s.whole()));
		for (const s of streams)
			console.log(`# failover: ${sound(await s.stop())}`);
		await carries(fleet, cluster, names);
		await until(async () => (await backplane(fleet.hosts[0])).up, "up");
		await dead.again();
		await cluster.settled(3);
		await carries(fleet, cluster, names);
	});

	test("a master is frozen past everybody's patience, and thaws", async () => {
		const names = many(30);
		const streams = await Promise.all(names.slice(0, 6).map((channel) => Stream.start(fleet, { channel, pause: 10 })));
		await Promise.all(streams.map((s) => s.more(10)));
		const frozen = await cluster.owner(16383);
		frozen.pause();
		try {
			await cluster.promoted(frozen);
			await Promise.all(streams.map((s) => s.whole()));
		} finally {
			frozen.resume();
		}
		await Promise.all(streams.map((s) => s.more(10)));
		for (const s of streams)
			console.log(`# frozen: ${sound(await s.stop())}`);
		await cluster.settled(3);
		await carries(fleet, cluster, names);
	});

	test("a failover by hand", async () => {
		const names = many(30);
		const streams = await Promise.all(names.slice(0, 4).map((channel) => Stream.start(fleet, { channel, pause: 10 })));
		await Promise.all(streams.map((s) => s.more(10)));
		let replica;
		for (const node of cluster.nodes)
			if ((await node.command("ROLE"))[0] === "slave")
				replica = node;
		await replica.command("CLUSTER", "FAILOVER");
		await until(async () => (await replica.command("ROLE"))[0] === "master", "the replica is a master");
		await Promise.all(streams.map((s) => s.whole()));
		await Promise.all(streams.map((s) => s.more(20)));
		for (const s of streams)
			console.log(`# by hand: ${sound(await s.stop())}`);
		await carries(fleet, cluster, names);
	});
});

describe("cluster, a master lost for good", () => {
	let cluster, fleet;
	before(async () => {
		cluster = await Cluster.start({ masters: 3 });
		fleet = await joinedBy(cluster);
		fleet.allow(TROUBLE);
	});
	after(async () => {
		await fleet?.stop();
		await cluster?.stop();
	});

	test("what the others serve goes on, cache channels too; the rest comes back with it", async () => {
		const channels = [...many(30), ...Array.from({ length: 30 }, () => unique("cache-lost"))];
		const clients = await fleet.crowd();
		for (const c of clients)
			for (const channel of channels)
				await subscribed(c, channel);
		const dead = cluster.nodes[2];
		const alive = new Set((await Promise.all(cluster.nodes.slice(0, 2).map((n) =>
			n.command("PUBSUB", "SHARDCHANNELS")))).flat().map((name) => name.split(":").at(-1)));
		const gone = channels.filter((c) => !alive.has(c));
		assert.ok(alive.size > 20 && gone.length > 5);
		await dead.kill();
		await until(async () => (await cluster.nodes[0].command("CLUSTER", "INFO"))
		    .includes("cluster_state:fail"), "the cluster says so");
		for (const channel of channels)
			await fleet.hosts[0].publish(channel, "while", {});
		await hears(clients[0], "while", channels);
		await hears(clients[1], "while", channels.filter((c) => alive.has(c)));
		assert.ok((await backplane(fleet.hosts[0])).up);
		await dead.again();
		// What waited for it arrives; each once.
		await hears(clients[1], "while", gone);
		await carries(fleet, cluster, channels);
	});
});

describe("cluster, raw rooms", () => {
	let cluster, fleet;
	before(async () => {
		cluster = await Cluster.start({ masters: 2 });
		fleet = await joinedBy(cluster, { app: { client_events: "all" }, rooms: { wire: "raw" } });
	});
	after(async () => {
		await fleet?.stop();
		await cluster?.stop();
	});

	test("they go the classic way, by whatever node", async () => {
		const rooms = await Promise.all(Array.from({ length: 8 }, async () => {
			const id = unique("raw");
			return { id, all: await Promise.all(fleet.hosts.map((h) => Room.open(h, `/?room=${id}`))) };
		}));
		const subscribers = async (id) => (await Promise.all(cluster.nodes.map((n) =>
			n.command("PUBSUB", "NUMSUB", `chat:${id}`)))).reduce((sum, [, n]) => sum + n, 0);
		const passes = async (words) => {
			for (const { id, all } of rooms) {
				await until(async () => await subscribers(id) === 2, "both hosts listen, once");
				await cluster.nodes[0].command("PUBLISH", `chat:${id}`, `${words} from a`);
				for (const one of all)
					await one.expect(`${words} from a`);
				await cluster.nodes[1].command("PUBLISH", `chat:${id}`, `${words} from b`);
				for (const one of all)
					await one.expect(`${words} from b`);
				all[0].send(`${words} ${id}`);
				for (const one of all)
					await one.expect(`${words} ${id}`);
			}
		};
		await passes("hello");
		// Their lanes move with the slots.
		const [from, to] = cluster.range(0, 2);
		await cluster.move(from, to, cluster.nodes[1]);
		await until(async () => (await listened(cluster.nodes[0])) === 0, "the lanes have moved");
		await passes("again");
	});
});

describe("cluster, settings", () => {
	test("with password and TLS", async () => {
		const { certificates } = await import("./redis.mjs");
		const cluster = await Cluster.start({ masters: 2, redis: { tls: true, password: "cluster-secret" } });
		let fleet;
		try {
			fleet = await joinedBy(cluster, { backplane: {
				url: [], host: cluster.nodes[0].host, port: cluster.nodes[0].port,
				tls: "yes", tls_ca: certificates().ca, password: "cluster-secret" } });
			await carries(fleet, cluster, many(20));
			const [from, to] = cluster.range(0, 2);
			await cluster.move(from, to, cluster.nodes[1]);
			await carries(fleet, cluster, many(20));
		} finally {
			await fleet?.stop();
			await cluster.stop();
		}
	});

	for (const [what, config] of [
		["by name", { "cluster-announce-hostname": "localhost", "cluster-preferred-endpoint-type": "hostname" }],
		["without any", { "cluster-preferred-endpoint-type": "unknown-endpoint" }]])
		test(`nodes announced ${what}`, async () => {
			const cluster = await Cluster.start({ masters: 2, redis: { config } });
			let fleet;
			try {
				fleet = await joinedBy(cluster);
				await carries(fleet, cluster, many(20));
				const [from, to] = cluster.range(0, 2);
				await cluster.move(from, to, cluster.nodes[1]);
				await carries(fleet, cluster, many(20));
			} finally {
				await fleet?.stop();
				await cluster.stop();
			}
		});

	test("a Redis that is no cluster: said clearly, and own clients are served", async () => {
		const redis = await Redis.start();
		const server = await Server.start({ backplane: { driver: "redis", url: redis.url, cluster: "yes" } });
		server.allow(TROUBLE);
		try {
			await server.logged(/no answer to CLUSTER SLOTS.*cluster support disabled/);
			const client = await server.connect();
			await client.subscribe("room");
			await server.publish("room", "event", {});
			await client.expect("event", "room");
		} finally {
			await server.stop();
			await redis.stop();
		}
	});
});
