// SPDX-License-Identifier: MIT
// Webhooks while processes die and are replaced: courier and router killed under
// load, reloads, a service that stops and starts. What was taken is delivered, in
// order; what is told twice is the same request once more.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Server, patience, peald, pealctl, unique, until } from "./harness.mjs";
import { FAILED, Target, aware } from "./targets.mjs";

const run = promisify(execFile);
const reload = (server) => run(pealctl, ["-s", server.control, "reload"], { timeout: 60000 * patience });
const EVENTS = "channel_occupied, channel_vacated, member_added, member_removed, client_event";
const DEATHS = /courier has died|courier keeps dying|killed by signal 9|router has died|router lost|up again/;

/** A directory that the service's user may write to. */
function spool(t) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-spool-"));
	fs.chmodSync(dir, 0o777);
	t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
	return dir;
}

/**
 * Someone who speaks all the time, and others who come and go; what the target
 * must hear of it.
 */
class Load {
	said = 0;
	rounds = 0;
	#stop = false;

	static async start(server, { pace = 5 } = {}) {
		const load = new Load();
		Object.assign(load, { server, pace });
		load.speaker = await server.connect();
		load.room = unique("private-room");
		await load.speaker.subscribe(load.room);
		load.visitor = await server.connect();
		load.done = Promise.all([load.#speak(), load.#visit()]);
		load.done.catch(() => {});
		return load;
	}

	async #speak() {
		while (!this.#stop) {
			this.speaker.send({ event: "client-said", channel: this.room, data: this.said++ });
			await new Promise((go) => setTimeout(go, this.pace));
		}
		await this.speaker.ping();
	}

	/** Each channel is occupied and vacated once. */
	async #visit() {
		while (!this.#stop) {
			const channel = `visited-${this.rounds++}`;
			await this.visitor.subscribe(channel);
			await this.visitor.unsubscribe(channel);
			await new Promise((go) => setTimeout(go, this.pace));
		}
	}

	/** So many more have been said. */
	more(n) {
		const to = this.said + n;
		return Promise.race([until(() => this.said >= to, `${to} words`), this.done]);
	}

	async stop() {
		this.#stop = true;
		await this.done;
	}

	/**
	 * All of it has arrived; gives how often something was heard again.  Whole
	 * visits may be passed over in silence while a router is replaced.
	 */
	async arrived(target, passed = 0) {
		const all = () => [...new Map(target.requests.filter((r) => r.status === 200)
		    .map((r) => [r.headers["x-peal-delivery"], r])).values()].flatMap((r) => r.body.events);
		const words = () => all().filter((e) => e.name === "client_event").map((e) => Number(e.data));
		await until(() => target.ok() || new Set(words()).size === this.said, () => {
			const have = new Set(words());
			const missing = Array.from({ length: this.said }, (_, i) => i).filter((i) => !have.has(i));
			return `${this.said} words; ${missing.length} are missing: ${missing.slice(0, 20)} ...`;
		});
		const seen = new Set(), first = words().filter((n) => !seen.has(n) && seen.add(n));
		assert.deepEqual(first, [...first].sort((a, b) => a - b), "out of order");
		const news = (name) => all().filter((e) => e.name === name && e.channel.startsWith("visited-")).length;
		await until(() => news("channel_vacated") >= this.rounds - passed && news("channel_vacated") === news("channel_occupied"),
		    () => `${this.rounds} channels vacated; have ${news("channel_vacated")} (occupied ${news("channel_occupied")})`);
		// Of each channel the two alternate.
		const last = new Map();
		for (const e of all().filter((one) => /^channel_/.test(one.name))) {
			assert.equal(last.get(e.channel) ?? "channel_vacated",
			    e.name === "channel_occupied" ? "channel_vacated" : "channel_occupied", JSON.stringify(e));
			last.set(e.channel, e.name);
		}
		for (const [channel, state] of last)
			assert.equal(state, channel.startsWith("visited-") ? "channel_vacated" : "channel_occupied", channel);
		assert.equal(target.most, 1, "requests at a time");
		return { words: words().length - this.said, states: news("channel_vacated") - this.rounds,
		    requests: target.requests.length - new Set(target.requests.map((r) => r.headers["x-peal-delivery"])).size };
	}
}

async function loaded(options, define, how) {
	const target = await Target.start(how);
	const server = await Server.start({ app: { client_events: "members" }, ...options,
	    courier: { allow: "127.0.0.1", hold_back: "20ms", ...options.courier },
	    "webhook main": { url: target.url, events: EVENTS, ...options.hook } });
	server.allow(FAILED);
	server.allow(DEATHS);
	try {
		await aware(server, [target]);
		const load = await Load.start(server);
		await define(server, target, load);
	} catch (error) {
		console.error(error);
		throw error;
	} finally {
		await server.stop();
		await target.stop();
	}
}

/** Those are gone behind it: a killed process is there for a moment more, and one
 * that is killed twice has died once. */
const kill = async (server, role) => {
	const title = `peald: ${role}`;
	const pids = await until(() => { const found = server.pids(title); return found.length > 0 && found; }, `a ${role}`);
	for (const pid of pids)
		process.kill(pid, "SIGKILL");
	await until(() => !server.pids(title).some((pid) => pids.includes(pid)), `the ${role} to be gone`);
};

for (const kept of ["in memory", "in files"])
	test(`the courier killed again and again, its journal ${kept}: nothing is lost`, (t) => loaded({
		workers: 2, courier: kept === "in files" ? { spool: spool(t) } : {} }, async (server, target, load) => {
		for (let i = 0; i < 6; i++) {
			await load.more(1 + Math.floor(Math.random() * 40));
			await kill(server, "courier");
		}
		await load.stop();
		const again = await load.arrived(target);
		assert.equal(again.words, 0, "words of several requests");
		assert.equal(again.states, 0, "channels");
		assert.ok((await server.ctl("status")).courier.restarts >= 6);
		t.diagnostic(`${load.said} words, ${load.rounds} channels, ${JSON.stringify(again)}`);
	}, { answer: () => new Promise((go) => setTimeout(() => go(200), 15)) }));

test("a courier that hangs is replaced; neither clients nor a reload wait longer than that", () => loaded({
	peal: { watchdog: "10s" } }, async (server, target, load) => {
	server.allow(/courier has not answered for \d+ ms: killed/);
	const [pid] = server.pids("peald: courier"), hearer = await server.connect();
	await hearer.subscribe(load.room);
	process.kill(pid, "SIGSTOP");
	const from = load.said;
	await until(() => hearer.frames.some((f) => f.event === "client-said" && Number(f.data) >= from + 5), "words to be heard");
	const text = fs.readFileSync(server.ini, "utf8");
	fs.writeFileSync(server.ini, text.replace("hold_back = 20ms", "hold_back = 30ms"));
	await reload(server);
	await until(() => server.pids("peald: courier").some((p) => p !== pid), "another courier");
	await load.more(20);
	await load.stop();
	const again = await load.arrived(target);
	assert.deepEqual([again.words, again.states], [0, 0]);
}));

test("the router killed: nobody hears that anybody left, and words go on", () => loaded({ workers: 2 }, async (server, target, load) => {
	for (let i = 0; i < 3; i++) {
		await load.more(40);
		await kill(server, "router");
		await until(async () => { const s = await server.ctl("status"); return s.router.state === "up" && s.router.uptime >= 1; }, "a router");
	}
	// What a router had not told yet is lost with it: words, and what came and went
	// within that moment.
	const mark = load.said;
	await load.more(20);
	await load.stop();
	const heard = () => new Set(target.events.filter((e) => e.name === "client_event").map((e) => Number(e.data)));
	await until(() => Array.from({ length: load.said - mark }, (_, i) => mark + i).every((n) => heard().has(n)), "the last words");
	assert.deepEqual(target.events.filter((e) => e.channel === load.room && e.name !== "client_event"),
	    [{ name: "channel_occupied", channel: load.room }]);
	assert.ok(heard().size > load.said * 0.5, `${heard().size} of ${load.said}`);
	const open = new Set();
	await until(() => {
		open.clear();
		for (const e of target.events.filter((one) => one.channel.startsWith("visited-")))
			open[e.name === "channel_occupied" ? "add" : "delete"](e.channel);
		return open.size === 0;
	}, () => `all to be vacated, but ${[...open]}`);
}));

for (const what of ["settings", "binary"])
	test(`reloads of ${what} under load: each word once, in order`, async (t) => {
		const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-binary-"));
		t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
		const binary = path.join(dir, "peald");
		fs.copyFileSync(peald, binary);
		fs.chmodSync(dir, 0o755);
		fs.chmodSync(binary, 0o755);
		// A wrapper that becomes the copy, which can be replaced.
		const target = await Target.start();
		const server = await Server.start({ workers: 2, app: { client_events: "members" },
		    through: ["sh", "-c", `shift; exec ${binary} "$@"`, "sh"],
		    courier: { allow: "127.0.0.1", hold_back: "20ms" }, "webhook main": { url: target.url, events: EVENTS } });
		try {
			await aware(server, [target]);
			const load = await Load.start(server);
			for (let i = 0; i < 4; i++) {
				await load.more(60);
				const [pid] = server.pids("peald: courier");
				if (what === "binary") {
					fs.copyFileSync(peald, `${binary}.new`);
					fs.renameSync(`${binary}.new`, binary);
				} else {
					const text = fs.readFileSync(server.ini, "utf8");
					fs.writeFileSync(server.ini, text.replace(/workers = \d/, `workers = ${i % 2 + 1}`));
				}
				await reload(server);
				await until(async () => (await server.ctl("status")).phase === "idle", "the old processes to go");
				if (what === "binary")
					await until(async () => server.pids("peald: courier").some((p) => p !== pid) &&
					    (await server.ctl("status")).courier.state === "up", "another courier");
				else
					assert.deepEqual(server.pids("peald: courier"), [pid]);
			}
			await load.more(60);
			await load.stop();
			const { states, ...again } = await load.arrived(target, load.rounds / 4);
			assert.deepEqual(again, { words: 0, requests: 0 });
			t.diagnostic(`${load.said} words, ${load.rounds} channels, ${-states} passed over`);
		} catch (error) {
			console.error(error);
			throw error;
		} finally {
			await server.stop();
			await target.stop();
		}
	});

test("a service that stops and starts: what waits in the spool is delivered later", async (t) => {
	const target = await Target.start();
	const options = { app: { client_events: "members" }, courier: { allow: "127.0.0.1", hold_back: "0", spool: spool(t) },
	    "webhook main": { url: target.url, events: EVENTS } };
	let server = await Server.start(options);
	server.allow(FAILED);
	const room = unique("private-room");
	const speak = async (from, to) => {
		const c = await server.connect();
		await c.subscribe(room);
		for (let i = from; i < to; i++)
			c.send({ event: "client-said", channel: room, data: i });
		await c.ping();
		await until(async () => (await server.ctl("status")).totals.hooks_taken >= to - from, "all to be taken");
	};
	try {
		await aware(server, [target]);
		await speak(0, 10);
		await until(() => target.events.length === 11, "the first ones");
		await target.close();
		await speak(10, 30);
		await server.stop();
		server = await Server.start(options);
		server.allow(FAILED);
		await speak(30, 40);
		process.kill(server.child.pid, "SIGKILL");
		await server.gone;
		await target.open();
		server = await Server.start(options);
		const words = () => target.events.filter((e) => e.name === "client_event").map((e) => Number(e.data));
		await until(() => words().length >= 40, () => `40 words: ${words()}`);
		assert.deepEqual(words(), Array.from({ length: 40 }, (_, i) => i));
		const states = target.events.filter((e) => e.channel === room && /^channel/.test(e.name)).map((e) => e.name);
		for (const [i, name] of states.entries())
			assert.equal(name, i % 2 === 0 ? "channel_occupied" : "channel_vacated", `${states}`);
		await until(() => target.events.at(-1).name === "channel_vacated", "all to have left");
	} finally {
		await server.stop();
		await target.stop();
	}
});

test("a stop has its time to deliver what waits in memory", async () => {
	const target = await Target.start({ answer: (_, n) => new Promise((go) => setTimeout(() => go(200), n === 0 ? 300 : 0)) });
	const server = await Server.start({ app: { client_events: "members" }, peal: { drain_timeout: "30s" },
	    courier: { allow: "127.0.0.1", hold_back: "5s" }, "webhook main": { url: target.url, events: EVENTS, batching: "no" } });
	await aware(server, [target]);
	const a = await server.connect(), room = unique("private-room");
	await a.subscribe(room);
	for (let i = 0; i < 20; i++)
		a.send({ event: "client-said", channel: room, data: i });
	await a.ping();
	await server.stop();
	assert.deepEqual(target.events.filter((e) => e.name === "client_event").map((e) => Number(e.data)), Array.from({ length: 20 }, (_, i) => i));
	assert.deepEqual(target.events.at(-1), { name: "channel_vacated", channel: room });
	await target.stop();
});

test("a spool that comes, moves and goes takes along what waits", async (t) => {
	const target = await Target.start(), one = spool(t), two = spool(t);
	const server = await Server.start({ app: { client_events: "members" }, courier: { allow: "127.0.0.1", hold_back: "0" },
	    "webhook main": { url: target.url, events: "client_event" } });
	server.allow(FAILED);
	try {
		const a = await server.connect(), room = unique("private-room"), good = fs.readFileSync(server.ini, "utf8");
		let n = 0;
		await a.subscribe(room);
		await target.close();
		for (const dir of [one, two, null, one]) {
			const [pid] = server.pids("peald: courier");
			for (let i = 0; i < 5; i++)
				a.send({ event: "client-said", channel: room, data: n++ });
			await until(async () => (await server.ctl("status")).totals.hooks_waiting === n, `${n} to wait`);
			fs.writeFileSync(server.ini, dir ? good.replace("hold_back = 0", `hold_back = 0\nspool = ${dir}`) : good);
			await reload(server);
			await until(() => server.pids("peald: courier").some((p) => p !== pid), "another courier");
			await until(async () => (await server.ctl("status")).totals.hooks_waiting === n, `${n} to wait still`);
		}
		await target.open();
		await until(() => target.events.length === n, () => `${n} of ${JSON.stringify(target.events)}`);
		assert.deepEqual(target.events.map((e) => Number(e.data)), Array.from({ length: n }, (_, i) => i));
		assert.equal(fs.statSync(path.join(two, "peal-0.journal")).size + fs.statSync(path.join(two, "peal-1.journal")).size, 0);
	} finally {
		await server.stop();
		await target.stop();
	}
});
