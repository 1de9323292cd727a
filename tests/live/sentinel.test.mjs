// SPDX-License-Identifier: MIT
//
// Hosts whose Redis is watched by real Sentinels: they follow a failover.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, unique, until } from "./harness.mjs";
import { Fleet, Stream, backplane, sound } from "./hosts.mjs";
import { Redis, Sentinels, certificates, freePort } from "./redis.mjs";

/** What a host may log when its broker fails. */
const TROUBLE = /backplane redis|without the broker|host (lost|silent|gone)/;

const joinedBy = async (set, backplane = {}) => {
	const fleet = await Fleet.start({ redis: set.servers[0], backplane: {
		driver: "redis", url: [], sentinels: set.addresses, sentinel_master: set.name,
		...backplane } });
	fleet.allow(TROUBLE);
	return fleet;
};

/** What one host publishes, all hear, once. */
async function carries(fleet) {
	const channel = unique("room");
	const clients = await fleet.crowd();
	for (const c of clients)
		await c.subscribe(channel);
	for (const host of fleet.hosts) {
		const name = unique("event");
		await host.publish(channel, name, {});
		for (const c of clients)
			await c.expect(name, channel);
	}
	await fleet.hosts[0].silence(clients, channel);
	for (const c of clients)
		await c.close();
}

/** All hosts' connections are at this server. */
const at = (fleet, redis) => until(async () => {
	for (const host of fleet.hosts)
		if (!(await backplane(host)).up)
			return false;
	const [, n] = await redis.command("PUBSUB", "NUMSUB", `${fleet.prefix}::hosts`);
	return n === fleet.hosts.length;
}, "all hosts are at the master");

describe("sentinel, a failover by hand", () => {
	let set, fleet;
	before(async () => {
		set = await Sentinels.start();
		fleet = await joinedBy(set);
	});
	after(async () => {
		await fleet?.stop();
		await set?.stop();
	});

	test("hosts find the master, and the Sentinels alone say where", async () => {
		await carries(fleet);
		await at(fleet, await set.master());
	});

	test("a failover: all hosts go over, nothing is doubled", async () => {
		const old = await set.master();
		const stream = await Stream.start(fleet, { pause: 10 });
		await stream.more(20);
		const now = await set.failover();
		assert.notEqual(now, old);
		await at(fleet, now);
		await stream.whole();
		await stream.more(20);
		console.log(`# failover: ${sound(await stream.stop())}`);
		await carries(fleet);
		// The old one is a replica now: whoever stayed there would be alone.
		// Sentinel cuts its connections on the way, ours too.
		const ask = (...args) => old.command(...args).catch(() => []);
		await until(async () => (await ask("ROLE"))[0] === "slave", "the old master follows");
		await until(async () => (await ask("ROLE")).length > 0 &&
		    !(await ask("PUBSUB", "CHANNELS")).some((c) => c.startsWith(fleet.prefix)), "nobody is left there");
	});
});

describe("sentinel, the master dies", () => {
	let set, fleet;
	before(async () => {
		set = await Sentinels.start();
		fleet = await joinedBy(set);
	});
	after(async () => {
		await fleet?.stop();
		await set?.stop();
	});

	test("kill -9: own clients are served meanwhile, then all is right", async () => {
		const stream = await Stream.start(fleet, { pause: 10 });
		await stream.more(20);
		const dead = await set.master();
		await dead.kill();
		await stream.more(10);		// answered while there is no broker
		const now = await set.switched(dead);
		await at(fleet, now);
		await stream.whole();
		console.log(`# killed: ${sound(await stream.stop())}`);
		await carries(fleet);
	});

	test("Sentinels die: the others are asked, and without any the master stays", async () => {
		await set.sentinels[0].kill();
		await carries(fleet);
		const master = await set.master();
		await set.sentinels[1].kill();
		await set.sentinels[2].kill();
		await carries(fleet);
		await master.cut("pubsub");
		await at(fleet, master);
		await carries(fleet);
	});
});

describe("sentinel, settings", () => {
	test("passwords of their own, and TLS", async () => {
		const set = await Sentinels.start({ sentinels: 1,
			redis: { tls: true, password: "for-data" },
			sentinel: { password: "for-sentinels" } });
		let fleet;
		try {
			fleet = await joinedBy(set, { password: "for-data", sentinel_password: "for-sentinels",
				tls: "yes", tls_ca: certificates().ca });
			await carries(fleet);
		} finally {
			await fleet?.stop();
			await set.stop();
		}
	});

	test("a wrong name, a Sentinel that is away and a replica: said clearly", async () => {
		const set = await Sentinels.start({ sentinels: 1 });
		const nobody = `127.0.0.1:${await freePort()}`;
		const server = await Server.start({ backplane: { driver: "redis",
			sentinels: [nobody, ...set.addresses], sentinel_master: "another" } });
		server.allow(TROUBLE);
		try {
			await server.logged(/no Sentinel helps/);
			await server.logged(/does not know backplane.sentinel_master|refused/);
			const client = await server.connect();
			await client.subscribe("room");
			await server.publish("room", "event", {});
			await client.expect("event", "room");
		} finally {
			await server.stop();
			await set.stop();
		}
	});

	test("what the Sentinels call a master and is none is not used", async () => {
		const master = await Redis.start();
		const replica = await Redis.start({ config: { replicaof: `${master.host} ${master.port}` } });
		// A Sentinel that has been told the wrong one.
		const set = await Redis.start({ sentinel: true, config: { sentinel: [
			`monitor mymaster ${replica.host} ${replica.port} 1`,
			"down-after-milliseconds mymaster 60000"] } });
		const server = await Server.start({ backplane: { driver: "redis", sentinels: set.address } });
		server.allow(TROUBLE);
		try {
			await server.logged(/replica|ROLE|master/);
			await replica.command("REPLICAOF", "NO", "ONE");
			await server.logged(/connected broker=/);
		} finally {
			await server.stop();
			for (const r of [set, replica, master])
				await r.stop();
		}
	});
});
