// SPDX-License-Identifier: MIT
// A host of three is reloaded, its router replaced, under load: no other host,
// and no client of any, notices.
import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, describe, test } from "node:test";
import { Server, unique, until } from "./harness.mjs";
import { Fleet, STEADY, Stream, TROUBLE, backplane, sound, subscribed } from "./hosts.mjs";
import { Redis } from "./redis.mjs";
import { Events } from "./rooms.mjs";

const ROUNDS = process.env.PEAL_TEST_BRIEF ? 2 : 5;

let serial = 0;

/** Everybody of this host is another process after it. */
async function reload(host) {
	const old = [...host.pids("peald: router"), ...host.pids("peald: worker")];
	const text = fs.readFileSync(host.ini, "utf8").replace(/\npublish_window = .*/, "");
	fs.writeFileSync(host.ini, `${text.replace(/\n\[router\]/, "")}\n[router]\npublish_window = ${17 + ++serial}m\n`);
	const begin = performance.now();
	await host.ctl("reload");
	const took = performance.now() - begin;
	await until(() => {
		const now = [...host.pids("peald: router"), ...host.pids("peald: worker")];
		return now.length === old.length && !now.some((pid) => old.includes(pid));
	}, "the old processes to leave");
	return took;
}

/** Asks again and again; in the end: how often, and all answers that differ. */
class Watch {
	constructor(host, target, query, pick) {
		this.n = 0;
		this.wrong = [];
		this.running = true;
		this.done = (async () => {
			const first = JSON.stringify(pick((await host.get(target, query)).json));
			this.first = first;
			while (this.running) {
				const { status, json } = await host.get(target, query);
				const now = status === 200 ? JSON.stringify(pick(json)) : `status ${status}`;
				this.n++;
				if (now !== first)
					this.wrong.push(now);
				await new Promise((resolve) => setTimeout(resolve, 20));
			}
		})();
	}

	async stop() {
		this.running = false;
		await this.done;
		assert.deepEqual(this.wrong.slice(0, 5), [], `not always ${this.first}`);
		assert.ok(this.n > 10);
	}
}

/** All that it was sent so far. */
async function quiet(client) {
	client.send({ event: "pusher:ping", data: {} });
	await until(() => client.frames.some((f) => f.event === "pusher:pong"), "a pong");
	return client.frames.splice(0).filter((f) => f.event !== "pusher:pong");
}

const TELLING = ["snapshots_sent", "snapshots_taken", "host_gaps", "hosts_lost"];
const told = async (host) => {
	const b = await backplane(host);
	return Object.fromEntries(TELLING.map((name) => [name, b[name]]));
};

describe("a reload among hosts", () => {
	let fleet, hosts;

	before(async () => {
		fleet = await Fleet.start({ hosts: 3, workers: 2, rooms: {}, backplane: STEADY,
		    app: { subscription_count: "yes", client_events: "all" } });
		hosts = fleet.hosts;
	});
	after(() => fleet?.stop());

	test("members, users, counts, events: nothing is lost, doubled or noticed", async (t) => {
		const room = `presence-${unique()}`, plain = unique(), cache = `cache-${unique()}`;
		const members = [], watchers = [], audience = [];
		for (const [i, host] of hosts.entries()) {
			const m = await host.connect();
			await subscribed(m, room, { user_id: `m${i}`, user_info: { i } });
			members.push(m);
			const a = await host.connect();
			await subscribed(a, plain);
			audience.push(a);
		}
		for (const [i, host] of hosts.entries()) {
			const w = await host.connect();
			await w.signin({ id: `w${i}`, watchlist: hosts.map((_, k) => `w${k}`) });
			watchers.push(w);
		}
		await hosts[1].publish(cache, "last", "kept");
		await fleet.settled();
		// What they are told of each other has come when nothing comes any more.
		await until(async () => {
			await new Promise((resolve) => setTimeout(resolve, 500));
			const heard = await Promise.all([...members, ...watchers, ...audience].map(quiet));
			return heard.every((frames) => frames.length === 0);
		}, "silence");
		const before = await Promise.all(hosts.slice(1).map(told));
		assert.equal(before[0].hosts_lost, 0);
		const stream = await Stream.start(fleet);
		const watches = hosts.flatMap((host) => [
			new Watch(host, `/channels/${room}/users`, {}, (j) => j.users.map((u) => u.id).sort()),
			new Watch(host, `/channels/${plain}`, { info: "subscription_count" }, (j) => j),
			new Watch(host, `/channels/${cache}`, { info: "cache" }, (j) => j.cache?.data),
		]);
		const took = [];
		for (let i = 0; i < ROUNDS; i++) {
			await stream.more();
			took.push(Math.round(await reload(hosts[0])));
		}
		await stream.more();
		for (const w of watches)
			await w.stop();
		t.diagnostic(sound(await stream.stop(), { lossless: () => true }));
		t.diagnostic(`${took.join(", ")} ms`);
		for (const c of [...members, ...watchers, ...audience])
			assert.deepEqual(await quiet(c), []);
		assert.deepEqual(await Promise.all(hosts.slice(1).map(told)), before);
		const late = await hosts[0].connect();
		await subscribed(late, cache);
		await late.expect("last", cache, "kept");
		for (const c of [...members, ...watchers, ...audience, late])
			await c.close();
	});

	test("who comes and goes meanwhile is told of once", async () => {
		const room = `presence-${unique()}`;
		const seen = hosts.map(() => []);
		for (const [i, host] of hosts.entries()) {
			const c = await host.connect();
			await subscribed(c, room, { user_id: `s${i}` });
			c.socket.on("message", (bytes) => {
				const f = JSON.parse(bytes.toString());
				if (/member_/.test(f.event))
					seen[i].push(`${f.event.slice(16)} ${JSON.parse(f.data).user_id}`);
			});
		}
		await fleet.settled();
		for (const s of seen)
			s.length = 0;
		let running = true, n = 0;
		const churn = (async () => {
			for (; running; n++) {
				const c = await hosts[n % 3].connect();
				await subscribed(c, room, { user_id: `c${n}` });
				await c.close();
			}
		})();
		for (let i = 0; i < ROUNDS; i++)
			await reload(hosts[i % 2]);
		running = false;
		await churn;
		await until(async () => {
			for (const host of hosts)
				if ((await host.get(`/channels/${room}/users`)).json.users.length !== 3)
					return false;
			return true;
		}, "those who came to be gone");
		await fleet.settled();
		for (const s of seen) {
			const here = new Set();
			for (const line of s) {
				const [what, id] = line.split(" ");
				assert.equal(here.has(id), what === "removed", line);
				if (what === "added")
					here.add(id);
				else
					here.delete(id);
			}
			assert.equal(here.size, 0);
		}
	});

	test("Last-Event-ID goes on behind a reload", async () => {
		const room = unique();
		const events = await Events.join(hosts[0], `/sse/${room}`);
		await hosts[1].publish(`room-${room}`, "message", "one");
		await events.expect("one");
		const id = events.lastEventId;
		events.close();
		await hosts[1].publish(`room-${room}`, "message", "two");
		await reload(hosts[0]);
		await hosts[2].publish(`room-${room}`, "message", "three");
		const back = await Events.join(hosts[0], `/sse/${room}`, { headers: { "Last-Event-ID": id } });
		await back.expect("two", "three");
		back.close();
	});

	test("while the broker is away a reload goes through; what waited for it waits on", async () => {
		const channel = unique(), c = await hosts[0].connect(), far = await hosts[1].connect();
		await subscribed(c, channel);
		await subscribed(far, channel);
		for (const host of hosts)
			host.allow(TROUBLE);
		await fleet.redis.kill();
		await until(async () => !(await backplane(hosts[0])).up, "the broker to be missed");
		await hosts[0].publish(channel, "before", "1");
		await c.skipTo("before", channel);
		await reload(hosts[0]);
		await hosts[0].publish(channel, "alone", "1");
		await c.skipTo("alone", channel);
		await fleet.redis.again();
		await fleet.joined();
		await hosts[2].publish(channel, "again", "1");
		await c.skipTo("again", channel);
		// The order of two hosts is not that in which they said it.
		const heard = () => far.frames.map((f) => f.event).filter((name) => /^(before|alone|again)$/.test(name));
		await until(() => heard().length >= 3, () => `all three: ${heard()}`);
		assert.deepEqual(heard().filter((name) => name !== "again"), ["before", "alone"]);
		await c.close();
		await far.close();
	});
});

test("a broker comes and another one, by name and by path: each new router finds its own", async () => {
	const redis = await Redis.start({ unix: true }), channel = unique();
	const server = await Server.start({ workers: 1, backplane: { driver: "none" } });
	const drivers = [`redis\nurl = redis://localhost:${redis.port}`, `redis\nurl = unix://${redis.socket}`, "none"];
	try {
		const c = await server.connect();
		await c.subscribe(channel);
		for (const driver of drivers) {
			const text = fs.readFileSync(server.ini, "utf8").replace(/(driver = ).*(\nurl = .*)?/, `$1${driver}`);
			fs.writeFileSync(server.ini, text);
			await server.ctl("reload");
			if (driver !== "none")
				await until(async () => (await backplane(server)).up, driver);
			await server.publish(channel, "e", driver);
			await c.skipTo("e", channel);
			await until(async () => (await server.ctl("status")).phase === "idle", "the old processes to go");
		}
	} finally {
		await server.stop();
		await redis.stop();
	}
});
