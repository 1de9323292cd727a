// SPDX-License-Identifier: MIT
//
// Webhooks and numbers while chance kills, hangs, reloads and replaces processes
// under load, sometimes two things at once.  Behind each round the load pauses and
// everything must add up: what the target knows of channels and members is the truth,
// states alternate, words are in order and none is lost, no counter has gone back.
//
//	PEAL_TEST_SEED=N	the same things happen as in a failure that printed it; 1
//	PEAL_TEST_SOAK=N	N seeds by lot, one behind the other, of 12 rounds each
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { Server, peald, unique, until } from "./harness.mjs";
import { Target, aware } from "./targets.mjs";

const SOAK = Number(process.env.PEAL_TEST_SOAK ?? 0);
const ROUNDS = SOAK ? 12 : 3;
const EVENTS = "channel_occupied, channel_vacated, member_added, member_removed, client_event";
const pause = (ms) => new Promise((go) => setTimeout(go, ms));

/** Numbers from 0 to n - 1 (mulberry32). */
function chance(seed) {
	return (n) => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) % n;
	};
}

// ---- clients ------------------------------------------------------------------

/**
 * One that comes and goes, or speaks.  What it holds is the truth; when it is cut
 * off it holds nothing, and comes back.
 */
class Guest {
	holds = new Set();	// channels

	constructor(load, number) {
		Object.assign(this, { load, number, server: load.server });
	}

	async #connected() {
		while (!this.client || this.client.ended) {
			this.holds.clear();
			try {
				this.client = await this.server.connect();
			} catch {
				this.load.cuts++;
				await pause(20);
			}
		}
	}

	async #tried(what) {
		await this.#connected();
		const client = this.client;
		try {
			await what(client);
		} catch (error) {
			if (!client.ended)
				throw error;
			this.load.cuts++;
			this.holds.clear();
		}
	}

	toggle(channel) {
		return this.#tried(async (c) => {
			if (this.holds.has(channel)) {
				c.send({ event: "pusher:unsubscribe", data: { channel } });
				c.send({ event: "pusher:ping", data: {} });
				await c.skipTo("pusher:pong");
				this.holds.delete(channel);
			} else {
				c.subscribing(channel, channel.startsWith("presence-") ? { user_id: `u${this.number}` } : undefined);
				await c.skipTo("pusher_internal:subscription_succeeded", channel);
				this.holds.add(channel);
			}
		});
	}

	/** Leaves without a word. */
	async cut() {
		await this.client?.kill();
		this.holds.clear();
	}

	/** Words of one connection are numbered on their own: what it said last may have
	 * been lost with it. */
	speak(room) {
		return this.#tried(async (c) => {
			if (this.speaks !== c) {
				c.subscribing(room);
				await c.skipTo("pusher_internal:subscription_succeeded", room);
				this.holds.add(room);
				this.speaks = c;
				this.speech = { n: 0, from: 0, heard: [], client: c };
				this.load.speeches.set(c.id, this.speech);
			}
			c.send({ event: "client-said", channel: room, data: `${c.id}:${this.speech.n++}` });
			if (this.speech.n % 20 === 0)
				c.frames.length = 0;
		});
	}

	/** All that it has sent has been handled, or it is gone. */
	rest() {
		return this.#tried(async (c) => {
			c.frames.length = 0;
			c.send({ event: "pusher:ping", data: {} });
			await c.skipTo("pusher:pong");
		});
	}
}

class Load {
	cuts = 0;
	speeches = new Map();	// by socket id

	constructor(server, random) {
		Object.assign(this, { server, random });
		this.room = unique("private-room");
		this.guests = Array.from({ length: 8 }, (_, i) => new Guest(this, i));
		this.once = 0;
	}

	async #one(guest) {
		while (this.going) {
			if (guest.number < 2)
				await guest.speak(this.room);
			else if (guest.number === 2)
				await guest.toggle([...guest.holds].find((c) => c.startsWith("once-")) ?? `once-${this.once++}`);
			else if (this.random(25) === 0)
				await guest.cut();
			else
				await guest.toggle(this.random(2) ? `presence-${this.random(3)}` : `often-${this.random(4)}`);
			await pause(4);
		}
	}

	run() {
		this.going = true;
		this.done = Promise.all(this.guests.map((g) => this.#one(g)));
		this.done.catch(() => {});
	}

	async rest() {
		this.going = false;
		await this.done;
		await Promise.all(this.guests.map((g) => g.rest()));
		await Promise.all(this.guests.slice(0, 2).map((g) => g.speak(this.room)));
	}

	/** "channel" and "channel user" of all that is there. */
	truth() {
		const all = new Set();
		for (const g of this.guests)
			for (const channel of g.holds) {
				all.add(channel);
				if (channel.startsWith("presence-"))
					all.add(`${channel} u${g.number}`);
			}
		return all;
	}
}

// ---- what the target knows -----------------------------------------------------

class Told {
	known = new Set();
	deliveries = new Set();
	again = 0;		// words that came in two requests
	visited = new Set();	// channels that were occupied once
	faults = [];
	at = 0;

	constructor(target, load) {
		Object.assign(this, { target, load });
	}

	/** The target has forgotten what it was asked. */
	begin() {
		this.at = 0;
	}

	#state(key, there, event) {
		if (this.known.has(key) === there)
			this.faults.push(`twice: ${JSON.stringify(event)}`);
		this.known[there ? "add" : "delete"](key);
		if (there && key.startsWith("once-"))
			this.visited.add(key);
	}

	#word(event) {
		const [id, n] = event.data.split(":"), speech = this.load.speeches.get(id);
		if (speech.heard[n])
			this.again++;
		else if (Number(n) < speech.heard.length)
			this.faults.push(`out of order: ${event.data} behind ${speech.heard.length - 1}`);
		speech.heard[n] = true;
	}

	read() {
		this.target.ok();
		for (; this.at < this.target.requests.length; this.at++) {
			const r = this.target.requests[this.at], id = r.headers["x-peal-delivery"];
			if (r.status !== 200) {
				if (r.status === undefined)
					break;		// it is being answered
				continue;
			}
			if (this.deliveries.has(id))
				continue;
			this.deliveries.add(id);
			for (const e of r.body.events) {
				if (e.channel.startsWith("probe-"))
					continue;
				if (e.name === "client_event")
					this.#word(e);
				else
					this.#state(e.user_id === undefined ? e.channel : `${e.channel} ${e.user_id}`,
					    /occupied|added/.test(e.name), e);
			}
		}
	}

	/** Words that nobody has told: those at the end of a connection that was cut do
	 * not count. */
	missing() {
		const all = [];
		for (const [id, s] of this.load.speeches) {
			const n = s.client.ended ? s.heard.length : s.n;
			for (let i = s.from; i < n; i++)
				if (!s.heard[i])
					all.push(`${id}:${i}`);
		}
		return all;
	}

	/** The last word of each that speaks still: what has not come before is lost. */
	ended() {
		return [...this.load.speeches.values()].every((s) => s.client.ended || s.heard[s.n - 1]);
	}

	/** Channels that came and went, and nobody was told. */
	passed() {
		return Array.from({ length: this.load.once }, (_, i) => `once-${i}`).filter((c) => !this.visited.has(c));
	}

	/** Those were told, or are lost for a good reason. */
	forgive() {
		this.passed().forEach((c) => this.visited.add(c));
		for (const s of this.load.speeches.values())
			s.from = s.n;
	}
}

// ---- numbers --------------------------------------------------------------------

/** What of /metrics only grows. */
class Grown {
	last = new Map();
	faults = [];

	async look(server) {
		let text;
		try {
			[{ text }] = await server.ask({ verb: "metrics", openmetrics: false });
		} catch {
			return;		// the master becomes another binary
		}
		const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((m) => [m[1], m[2]]));
		const now = new Map();
		for (const line of text.split("\n").filter((l) => l && l[0] !== "#")) {
			const at = line.lastIndexOf(" "), name = line.slice(0, at), family = name.replace(/\{.*$/, "");
			if (types.get(family) === "counter" || types.get(family.replace(/_(bucket|sum|count)$/, "")) === "histogram")
				now.set(name, Number(line.slice(at + 1)));
		}
		for (const [name, n] of this.last)
			// A target that is none any more is not told of.
			if (now.has(name) ? now.get(name) < n : !/target=/.test(name))
				this.faults.push(`${name} was ${n}, is ${now.get(name)}`);
		this.last = now;
	}
}

/** Differences that stay what they are, but when a process is killed: it had not told
 * all. */
async function sums(server) {
	const t = (await server.ctl("status")).totals;
	return { connections: t.accepted - t.closed - t.connections,
	    hooks: t.hooks_taken - t.hooks_delivered - t.hooks_dropped - t.hooks_expired - t.hooks_waiting, waiting: t.hooks_waiting, untold: t.hooks_untold };
}

// ---- what happens ----------------------------------------------------------------

class Fate {
	constructor(server, target, load, told, random, files) {
		Object.assign(this, { server, target, load, told, random, files });
	}

	signal(title, name) {
		const pids = this.server.pids(title);
		if (pids.length === 0)
			return undefined;
		const pid = pids[this.random(pids.length)];
		try { process.kill(pid, name); } catch { /* it has gone */ }
		return pid;
	}

	edit(change) {
		const text = fs.readFileSync(this.server.ini, "utf8");
		fs.writeFileSync(`${this.server.ini}.new`, change(text), { mode: 0o600 });
		fs.renameSync(`${this.server.ini}.new`, this.server.ini);
	}

	/** It may be refused if somebody dies meanwhile. */
	async reload() {
		await this.server.ctl("reload").catch(() => {});
	}

	steps = {
		"kill courier": () => { this.lossy = true; this.signal("peald: courier", "SIGKILL"); },
		"kill router": () => { this.routers = this.replaced = this.lossy = true; this.signal("peald: router", "SIGKILL"); },
		"kill worker": () => { this.replaced = this.lossy = true; this.signal("peald: worker", "SIGKILL"); },
		"hang courier": async () => {
			const pid = this.signal("peald: courier", "SIGSTOP");
			await pause(this.random(700));
			try { process.kill(pid, "SIGCONT"); } catch { /* it was killed */ }
		},
		"reload live": async () => {
			this.edit((text) => text.replace(/hold_back = \d+ms/, `hold_back = ${10 + this.random(40)}ms`));
			await this.reload();
		},
		"reload workers": async () => {
			this.replaced = true;
			this.edit((text) => text.replace(/workers = \d/, `workers = ${1 + this.random(3)}`));
			await this.reload();
		},
		"reload courier": async () => {
			this.replaced = true;
			this.edit((text) => text.replace(/ca_file = .*/, `ca_file = ${this.files[this.random(2)]}`));
			await this.reload();
		},
		"reload binary": async () => {
			this.replaced = true;
			fs.copyFileSync(peald, `${this.server.binary}.new`);
			fs.renameSync(`${this.server.binary}.new`, this.server.binary);
			await this.reload();
		},
	};

	/** Webhooks go and come back, while nobody moves: what is there then is known. */
	async without() {
		const text = fs.readFileSync(this.server.ini, "utf8");
		this.story.push("no webhooks for a while");
		this.edit(() => text.replace(/\[webhook main\][^]*/, ""));
		await this.server.ctl("reload");
		await pause(this.random(2) * this.random(300));
		this.edit(() => text);
		await this.server.ctl("reload");
		this.told.read();
		await aware(this.server, [this.target]);
		this.told.begin();
	}

	async step() {
		const names = Object.keys(this.steps), name = names[this.random(names.length)], delay = this.random(300);
		this.story.push(`${name} after ${delay}`);
		await pause(delay);
		await this.steps[name]();
	}

	/** On a busy machine somebody may die who was not killed by us. */
	look() {
		const log = this.server.log.slice(this.from);
		this.routers ||= /router has died/.test(log);
		this.replaced ||= /(router|worker \d+) has died/.test(log);
		this.lossy ||= / has died/.test(log);
	}

	async round(n) {
		this.from = this.server.log.length;
		Object.assign(this, { story: [], routers: false, replaced: false, lossy: false });
		if (n > 0 && this.random(4) === 0)
			await this.without();
		this.load.run();
		await pause(50 + this.random(300));
		const steps = 1 + this.random(3);
		await Promise.all(Array.from({ length: steps }, () => this.step()));
		await pause(this.random(300));
	}
}

async function whole(server) {
	let s;
	await until(async () => {
		s = await server.ctl("status").catch((error) => ({ state: error.message }));
		return s.state === "running" && s.phase === "idle" && s.router.state === "up" &&
		    s.workers.every((w) => w.state === "up") && (!s.courier || s.courier.state === "up");
	}, () => `all processes: ${JSON.stringify(s)}`);
}

async function settle(server, told, load, fate, before) {
	await whole(server);
	await load.rest();
	const truth = [...load.truth()].sort().join();
	fate.look();
	// An old router waits for the courier for some seconds, and counts what it had to
	// keep for itself.
	const untold = (await sums(server)).untold - before.untold;
	const same = () => { told.read(); return [...told.known].sort().join() === truth; };
	await until(() => same() && told.ended() && (fate.routers || told.missing().length <= untold), () => {
		const known = [...told.known].sort();
		return `the target to know all:\n  truth ${truth}\n  known ${known}\n  missing ${told.missing().slice(0, 20)}`;
	});
	assert.deepEqual(told.faults.slice(0, 5), [], "what the target was told");
	if (!fate.routers)
		assert.equal(told.again, 0, "words told twice");
	// Within the moment in which a router is replaced a channel may come and go.
	if (!fate.replaced)
		assert.deepEqual(told.passed(), [], "channels of which nobody was told");
	told.again = 0;
	told.forgive();
	let now;
	await until(async () => {
		// All processes tell what they have counted before they answer.
		await server.ctl("reload");
		now = await sums(server);
		return now.waiting === 0 && (fate.lossy || (now.connections === before.connections && now.hooks === before.hooks));
	}, () => `sums: ${JSON.stringify(before)}, now ${JSON.stringify(now)}`);
	return now;
}

async function chaos(t, seed) {
	const random = chance(seed), dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-chaos-"));
	t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
	fs.chmodSync(dir, 0o777);
	const binary = path.join(dir, "peald"), files = [0, 1].map((i) => path.join(dir, `ca-${i}.pem`));
	fs.copyFileSync(peald, binary);
	files.forEach((f) => fs.writeFileSync(f, "", { mode: 0o644 }));
	const spool = random(2) ? { spool: dir } : {};
	const target = await Target.start({ answer: () => 200 });
	const server = await Server.start({ workers: 1 + random(3), peal: { watchdog: "60s" }, app: { client_events: "members" },
	    through: ["sh", "-c", `shift; exec ${binary} "$@"`, "sh"],
	    courier: { allow: "127.0.0.1", hold_back: "20ms", ca_file: files[0], ...spool },
	    "webhook main": { url: target.url, events: EVENTS } });
	server.binary = binary;
	// Whoever dies, a reload may be refused.
	server.allow(/^\S+ (error|warn) (master|worker|router|courier)/);
	let fate;
	try {
		await aware(server, [target]);
		const load = new Load(server, random), told = new Told(target, load), grown = new Grown();
		fate = new Fate(server, target, load, told, random, files);
		let before = await sums(server), looking = true;
		const looks = (async () => {
			while (looking) {
				await grown.look(server);
				await pause(100);
			}
		})();
		try {
			for (let n = 0; n < ROUNDS; n++) {
				await fate.round(n);
				const now = await settle(server, told, load, fate, before);
				if (SOAK)
					console.log(`seed ${seed} round ${n}: ${fate.story.join(", ")}; ${JSON.stringify(now)}`);
				before = now;
			}
		} finally {
			looking = false;
			load.going = false;
			await looks;
			await load.done.catch(() => {});
		}
		assert.deepEqual(grown.faults.slice(0, 5), [], "what only grows");
		t.diagnostic(`seed ${seed}: ${target.requests.length} requests, ${load.cuts} cut, ${load.once} channels`);
	} catch (error) {
		console.error(`PEAL_TEST_SEED=${seed}: ${fate?.story?.join(", ")}\n${server.log}`);
		console.error(error);
		throw error;
	} finally {
		await server.stop();
		await target.stop();
	}
}

for (let i = 0; i < Math.max(1, SOAK); i++)
	test("chance kills, hangs, reloads and replaces: the target knows the truth", (t) =>
		chaos(t, Number(process.env.PEAL_TEST_SEED ?? (SOAK ? Math.floor(Math.random() * 1e9) : 1))));
