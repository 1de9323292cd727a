// SPDX-License-Identifier: MIT
// Processes that die or stand still at chosen moments of a hand-over: nobody but
// their own clients notices.  The server is tests/live/faults.c.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { LIMIT, Server, decoded, pealctl, peald, until } from "./harness.mjs";

const faulty = process.env.PEALD_FAULTS ?? path.join(path.dirname(peald), "tests/live/peald-faults");
const CLIENTS = 300;		// more than one slice of worker/handover.c
const ROOM = "room", PRESENCE = "presence-all";

// Kinds of packets, worker/parcel.h.
const CHANNEL = 1, OFFERED = 2, TAKE = 3, RECORD = 4, SLICED = 5, TAKEN = 6, OVER = 9;

/** A server with a plan to fail, and clients that hear numbered messages. */
class Scene {
	lost = 0;
	told = [];		// numbers that were answered with 200
	number = 0;

	static async start({ workers = 1, clients = CLIENTS, limit, ...options } = {}) {
		const s = new Scene();
		s.dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-faults-"));
		s.plan = path.join(s.dir, "plan");
		fs.writeFileSync(s.plan, "");
		s.server = await Server.start({ workers, ...options, env: { TMPDIR: s.dir },
		    peal: { watchdog: "30s", ...options.peal },
		    through: ["sh", "-c", `${limit ? `ulimit -n ${limit}; ` : ""}exec ${faulty} "$@"`] });
		s.server.allow(/./);
		s.clients = await s.server.crowd(clients);
		await Promise.all(s.clients.map(async (c, i) => {
			c.user = `u${i}`;
			await c.subscribe(ROOM);
			c.subscribing(PRESENCE, { user_id: c.user, user_info: { name: `the ${i}th` } });
			await c.skipTo("pusher_internal:subscription_succeeded", PRESENCE);
		}));
		await until(async () => (await s.users()).length === clients, "all to be members");
		for (const c of s.clients)
			await c.ping().catch(() => c.skipTo("pusher:pong"));
		for (const c of s.clients) {
			c.raw.length = 0;
			c.members = new Set(s.clients.map((o) => o.user));
		}
		return s;
	}

	async users() {
		const { json } = await this.server.get(`/channels/${PRESENCE}/users`);
		return json.users.map((u) => u.id).sort();
	}

	/** Publishes one after the other until stopped; a call that dies with its
	 * worker has published or not. */
	load() {
		let on = true;
		const done = (async () => {
			while (on) {
				const n = ++this.number;
				await this.server.publish(ROOM, "n", String(n)).then(() => this.told.push(n), () => {});
			}
		})();
		return async () => { on = false; await done; };
	}

	/** Another setting that is not live, or other workers: all are replaced. */
	reload({ workers } = {}) {
		const text = fs.readFileSync(this.server.ini, "utf8");
		this.turn = (this.turn ?? 0) + 1;
		fs.writeFileSync(this.server.ini, workers ? text.replace(/workers = \d+/, `workers = ${workers}`) :
		    text.replace(/watchdog = \d+/, `watchdog = ${30 + this.turn}`));
		return new Promise((resolve) => {
			execFile(pealctl, ["-s", this.server.control, "reload"], { timeout: LIMIT },
			    (error, out, err) => resolve({ code: error ? error.code ?? error.signal : 0, text: out + err }));
		});
	}

	/** The process that stands still. */
	stopped() {
		return until(() => this.server.pids("peald: worker").find((pid) =>
		    / T /.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1").replace(/.*\)/, ""))), "a process to stand still");
	}

	idle() {
		return until(async () => (await this.server.ctl("status").catch(() => ({}))).phase === "idle", "the old ones to go");
	}

	/** What the survivors have heard and are counted as.  mayReturn: of a worker
	 * that dies members leave, and those come back that were moved by then. */
	async check(most, least = most, mayReturn = false) {
		await this.server.publish(ROOM, "end", "0");
		const alive = this.clients.filter((c) => !c.ended);
		for (const c of alive)
			await c.skipTo("end", ROOM).catch((error) => { if (!c.ended) throw error; });
		await until(async () => (await this.users()).length === this.clients.filter((c) => !c.ended).length, "members to be right");
		await this.server.publish(ROOM, "end", "1");
		for (const c of this.clients.filter((o) => !o.ended))
			await c.skipTo("end", ROOM);
		const left = this.clients.filter((c) => !c.ended), lost = this.clients.filter((c) => c.ended);
		assert.ok(lost.length >= least && lost.length <= most, `${lost.length} lost, not ${least} to ${most}\n${this.server.log}`);
		for (const c of left) {
			const frames = c.raw.map((text) => JSON.parse(text));
			const heard = frames.filter((f) => f.event === "n").map((f) => Number(f.data));
			assert.ok(heard.every((n, i) => i === 0 || n > heard[i - 1]), `in order, once: ${heard}`);
			const all = new Set(heard);
			assert.deepEqual(this.told.filter((n) => !all.has(n)), [], "all that was published was heard");
			for (const f of frames)
				if (f.event === "pusher_internal:member_removed")
					c.members.delete(decoded(f).user_id);
				else if (f.event === "pusher_internal:member_added" && mayReturn)
					c.members.add(decoded(f).user_id);
				else
					assert.ok(["n", "end", "pusher:ping", "pusher:pong"].includes(f.event), JSON.stringify(f));
			assert.deepEqual([...c.members].sort(), left.map((o) => o.user).sort());
		}
		assert.deepEqual(await this.users(), left.map((c) => c.user).sort());
		const { json } = await this.server.get("/connections");
		assert.equal(json.connections, left.length);
		for (const c of left)
			c.raw.length = 0;
		this.told = [];
		return lost;
	}

	async stop() {
		await this.server.stop();
		fs.rmSync(this.dir, { recursive: true, force: true });
	}
}

async function scene(options, define) {
	const s = await Scene.start(options);
	try {
		await define(s);
	} catch (error) {
		error.message += `\n${s.server.log}`;
		throw error;
	} finally {
		await s.stop();
	}
}

/** A reload with this fault under load, and one without. */
async function fails(s, plan, most, least, { meanwhile = () => {}, mayReturn } = {}) {
	fs.writeFileSync(s.plan, plan);
	const quiet = s.load();
	const answer = s.reload();
	await until(() => fs.readFileSync(s.plan, "utf8").startsWith("!"), "the fault");
	await meanwhile();
	await answer;
	await s.idle();
	await quiet();
	await s.check(typeof most === "function" ? most() : most, least, mayReturn);
	const left = s.clients.filter((c) => !c.ended).length;
	const again = s.load();
	const { code, text } = await s.reload();
	assert.equal(code, 0, text);
	await s.idle();
	await again();
	await s.check(CLIENTS - left);
}

for (const [what, plan, most, least] of [
	["a successor dies at the first channel", `got ${CHANNEL} 1 kill`, 0],
	["a successor dies before it takes", `before ${TAKE} 1 kill`, 0],
	["a successor dies when it has said take", `after ${TAKE} 1 kill`, 0],
	["a successor dies with records that it has not answered", `got ${RECORD} 100 kill`, 99, 0],
	["a successor dies when it has taken ten", `after ${TAKEN} 10 kill`, 10],
	["a successor dies before the second slice", `before ${TAKE} 2 kill`, 256],
	["a worker that leaves dies before it says that all is over", `before ${OVER} 1 kill`, 0],
])
	test(what, () => scene({}, (s) => fails(s, plan, most, least)));

for (const [what, plan] of [
	["before it offers anything", `before ${OFFERED} 1 kill`],
	["at take", `got ${TAKE} 1 kill`],
	["amid its records", `after ${RECORD} 50 kill`],
	["when all records are on their way", `after ${SLICED} 1 kill`],
	["when it reads the answers", `got ${TAKEN} 20 kill`],
])
	test(`a worker that leaves dies ${what}`, () => scene({ workers: 2, clients: CLIENTS }, async (s) => {
		// The API's connections are among them.
		const most = () => Math.max(...[...s.server.log.matchAll(/handing over connections=(\d+)/g)].map((m) => Number(m[1])));
		await fails(s, plan, most, 0, { mayReturn: true });
	}));

test("a successor that stands still is waited for", () => scene({}, (s) => fails(s, `after ${TAKE} 1 stop`, 0, 0, { meanwhile: async () => {
	const pid = await s.stopped();
	await new Promise((resolve) => setTimeout(resolve, 500));
	process.kill(pid, "SIGCONT");
} })));

test("nobody is held for long by a worker that leaves and stands still", () => scene({}, (s) => fails(s, `before ${RECORD} 10 stop`, 0, 0, { meanwhile: async () => {
	const pid = await s.stopped();
	await s.server.logged(/elder is too slow/);
	process.kill(pid, "SIGCONT");
} })));

test("the router dies amid a slice", () => scene({}, (s) => fails(s, `before ${RECORD} 10 stop`, 0, 0, { meanwhile: async () => {
	const pid = await s.stopped(), routers = s.server.pids("peald: router");
	for (const router of routers)
		process.kill(router, "SIGKILL");
	await until(() => s.server.pids("peald: router").some((p) => !routers.includes(p)), "another router");
	process.kill(pid, "SIGCONT");
} })));

test("the router dies before its mark", () => scene({}, (s) => fails(s, `got ${TAKE} 1 stop`, 0, 0, { meanwhile: async () => {
	const pid = await s.stopped(), routers = s.server.pids("peald: router");
	for (const router of routers)
		process.kill(router, "SIGKILL");
	process.kill(pid, "SIGCONT");
} })));

test("a successor without files for all takes what it can", () => scene({ workers: 2, clients: 200, limit: 150,
	peal: { reload_drain: "500ms" } }, async (s) => {
	const quiet = s.load();
	const { code, text } = await s.reload({ workers: 1 });
	assert.equal(code, 0, text);
	assert.match(text, /descriptor was lost|open files/);
	await s.idle();
	await quiet();
	const lost = await s.check(199, 1);
	for (const c of lost)
		assert.equal(c.ended.code, 4200);
}));

test("what could not be sent yet goes along, however much it is", () => scene({ clients: 3,
	websocket: { max_backlog: "64m" }, http: { max_request_size: "200k" }, app: { max_event_size: "200k" } }, async (s) => {
	const [slow] = s.clients, data = "x".repeat(150000), n = 150;
	slow.socket.pause();
	for (let i = 0; i < n; i++)
		await s.server.publish(ROOM, "much", `${i} ${data}`);
	const { code, text } = await s.reload();
	assert.equal(code, 0, text);
	await s.idle();
	slow.socket.resume();
	for (let i = 0; i < n; i++)
		assert.equal((await slow.skipTo("much", ROOM)).data, `${i} ${data}`);
	assert.equal(slow.ended, undefined);
}));
