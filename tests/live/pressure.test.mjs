// SPDX-License-Identifier: MIT
// More than can be taken: clients that do not read, publishers that are faster
// than the router or another worker.  Memory stays under its limits, who is
// well hears all, and what was said to be done was done, once.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import { test } from "node:test";
import { LIMIT, Server, unique, until, within } from "./harness.mjs";

const sanitized = process.env.PEAL_TEST_SANITIZED !== undefined;
const MB = 1 << 20;
const LONG = 2 * LIMIT;
// A process that is stopped must not be replaced for it.
const still = { watchdog: "10m" };

/** The most memory that a process ever had. */
const peak = (pid) => 1024 * Number(fs.readFileSync(`/proc/${pid}/status`, "utf8").match(/VmHWM:\s*(\d+)/)[1]);

/** How much each process has grown, at its most, when the function is called. */
function watch(t, pids) {
	const before = pids.map(peak);
	return (what, most) => {
		const grown = pids.map((pid, i) => peak(pid) - before[i]);
		t.diagnostic(`${what}: ${grown.map((n) => (n / MB).toFixed(1)).join(", ")} MB`);
		// Sanitizers keep what was freed.
		if (!sanitized)
			assert.ok(Math.max(...grown) < most, `${what}: ${grown} octets, over ${most}`);
	};
}

const masked = (text) => {
	const body = Buffer.from(text), head = Buffer.from([0x81, 0xfe, 0, 0, 0, 0, 0, 0]);
	head.writeUInt16BE(body.length, 2);
	return Buffer.concat([head, body]);
};
const numbered = (who, n, size) => `${who}-${n}:`.padEnd(size, ".");

/** A Pusher client that keeps of what it hears only the numbers. */
class Ear {
	numbers = [];		// "WHO-N", as they came
	errors = [];		// codes
	pongs = 0;
	#rest = Buffer.alloc(0);

	static async open(server, ...channels) {
		const ear = new Ear();
		ear.socket = net.connect(server.port, "127.0.0.1");
		ear.gone = new Promise((resolve) => ear.socket.on("close", resolve));
		ear.gone.then(() => { ear.ended = true; });
		ear.socket.on("error", () => {});
		ear.socket.write(`GET /app/${server.app.key}?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n` +
		    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
		let joined = 0, head = true;
		await within(new Promise((resolve, reject) => {
			ear.gone.then(() => reject(new Error("closed")));
			ear.joined = () => ++joined === channels.length && resolve();
			ear.socket.on("data", (data) => {
				if (head) {
					head = false;
					data = data.subarray(data.indexOf("\r\n\r\n") + 4);
					if (channels.length === 0)
						resolve();
				}
				ear.#take(data);
			});
			for (const channel of channels)
				ear.say({ event: "pusher:subscribe", data: { channel } });
		}), "a subscriber");
		return ear;
	}

	say(object) {
		this.socket.write(masked(JSON.stringify(object)));
	}

	#take(data) {
		let b = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data;
		for (;;) {
			const short = b.length < 2 ? 0 : b[1] & 127, head = short < 126 ? 2 : short === 126 ? 4 : 10;
			if (b.length < head)
				break;
			const n = short < 126 ? short : short === 126 ? b.readUInt16BE(2) : Number(b.readBigUInt64BE(2));
			if (b.length < head + n)
				break;
			this.#hear(b.latin1Slice(head, head + Math.min(n, 300)));
			b = b.subarray(head + n);
		}
		this.#rest = b;
	}

	#hear(text) {
		const m = text.match(/"data":"(\d+-\d+):/);
		if (m)
			this.numbers.push(m[1]);
		else if (text.includes("pusher:error"))
			this.errors.push(Number(text.match(/code\D*(\d+)/)[1]));
		else if (text.includes("pusher:pong"))
			this.pongs++;
		else if (text.includes("subscription_succeeded"))
			this.joined();
	}

	/** By publisher, in the order in which they came. */
	get heard() {
		const by = {};
		for (const number of this.numbers) {
			const [who, n] = number.split("-").map(Number);
			(by[who] ??= []).push(n);
		}
		return by;
	}
}

/** An API connection; post() gives the status, or its answer's head. */
class Mouth {
	#text = "";

	constructor(server, target) {
		this.server = server;
		this.target = target;
		this.socket = net.connect(server.port, "127.0.0.1");
		this.socket.on("error", () => {});
		this.socket.on("data", (data) => {
			this.#text += data.latin1Slice();
			const end = this.#text.indexOf("\r\n\r\n");
			const n = Number(this.#text.match(/Content-Length: (\d+)/)?.[1]);
			if (end >= 0 && this.#text.length >= end + 4 + n) {
				this.head = this.#text.slice(0, end);
				this.#text = this.#text.slice(end + 4 + n);
				this.answered(Number(this.head.slice(9, 12)));
			}
		});
	}

	post(event) {
		const body = JSON.stringify(event);
		return new Promise((resolve) => {
			this.answered = resolve;
			this.socket.write(`POST ${this.target}?${this.server.sign("POST", this.target, body)} HTTP/1.1\r\n` +
			    `Host: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
		});
	}
}

const count = (n) => Array.from({ length: n }, (_, i) => i);
const totals = async (server) => (await server.ctl("status")).totals;

test("20 of 200 subscribers stop reading: the others hear all, in order, and the limit holds", async (t) => {
	const server = await Server.start({ workers: 1, http: { max_request_size: "20k" }, websocket: {
		max_backlog: "1g", max_backlog_total: "16m", backlog_timeout: "1h" } });
	try {
		const [worker] = server.pids("peald: worker"), target = `/apps/${server.app.id}/events`;
		const ears = await Promise.all(count(180).map(() => Ear.open(server, "all")));
		const own = count(20).map((i) => `own-${i}`);
		const deaf = await Promise.all(own.map((name) => Ear.open(server, "all", name)));
		for (const d of deaf)
			d.socket.pause();
		const grown = watch(t, [worker]), N = 1500;
		// What is said to each of the deaf alone is no other's: 54 MB in all.
		const bulk = new Mouth(server, target);
		const fill = (async () => {
			for (let n = 0; n < 300; n++)
				assert.equal(await bulk.post({ name: "e", channels: own, data: numbered(9, n, 9000) }), 200);
		})();
		const said = [0, 1].map(async (who) => {
			const mouth = new Mouth(server, target);
			for (let n = 0; n < N; n++)
				assert.equal(await mouth.post({ name: "e", channel: "all", data: numbered(who, n, 200) }), 200);
			mouth.socket.destroy();
		});
		await Promise.all([fill, ...said]);
		bulk.socket.destroy();
		await until(() => ears.every((e) => e.numbers.length >= 2 * N || e.ended), "all to be heard", LONG);
		assert.equal(ears.filter((e) => e.ended).length, 0);
		for (const e of ears)
			assert.deepEqual(e.heard, { 0: count(N), 1: count(N) });
		// Some were too many together; the others are too slow from here on.
		await until(async () => (await totals(server)).backlog_closed > 0, async () =>
			`some to be closed: ${JSON.stringify(await totals(server))}`, LONG);
		fs.writeFileSync(server.ini, fs.readFileSync(server.ini, "utf8").replace("backlog_timeout = 1h", "backlog_timeout = 1s"));
		assert.match((await server.ctl("reload")).changed, /backlog_timeout/);
		await until(async () => (await totals(server)).slow_readers === 20, async () =>
			`the deaf to be closed: ${JSON.stringify(await totals(server))}`, LONG);
		const { backlog_closed, connections } = await totals(server);
		assert.ok(backlog_closed > 0 && backlog_closed <= 20, `${backlog_closed}`);
		assert.ok(connections >= 180);
		grown("a limit of 16 MB, the worker grew by", 32 * MB);
		await until(async () => (await totals(server)).backlog < MB, "nothing to wait any more", LONG);
		for (const e of [...ears, ...deaf])
			e.socket.destroy();
	} finally {
		await server.stop();
	}
});

test("the router stands still: publishers wait, then get 503; 200 is delivered once, 503 never", async (t) => {
	const server = await Server.start({ workers: 1, peal: still, http: { max_request_size: "200k" },
		router: { publish_window: "1m", publish_wait: "1s" }, websocket: { max_backlog: "1g" } });
	const [router] = server.pids("peald: router"), [worker] = server.pids("peald: worker");
	try {
		const channel = unique(), ear = await Ear.open(server, channel);
		const mouths = count(300).map(() => new Mouth(server, `/apps/${server.app.id}/events`));
		const grown = watch(t, [worker, router]), done = { 200: [], 503: [] };
		process.kill(router, "SIGSTOP");
		const all = mouths.map(async (mouth, who) => {
			for (let n = 0; n < 4; n++) {
				const status = await mouth.post({ name: "e", channel, data: numbered(who, n, 100000) });
				done[status].push(`${who}-${n}`);
				if (status === 503)
					assert.match(mouth.head, /Retry-After: 1/);
			}
		});
		// 120 MB were asked for.  What is left waits for the router; and there are
		// the bodies of which a part has come.
		await until(async () => (await totals(server)).publishers_refused >= 1000, async () =>
			`refusals: ${JSON.stringify(await totals(server))}`, LONG);
		assert.equal(done[200].length, 0);
		assert.ok((await totals(server)).publishers_held > 0);
		grown("a window of 1 MB, worker and router grew by", 40 * MB);
		process.kill(router, "SIGCONT");
		await within(Promise.all(all), "all answers", LONG);
		assert.ok(done[200].length > 0);
		assert.equal(await mouths[0].post({ name: "e", channel, data: numbered(999, 0, 10) }), 200);
		await until(() => ear.numbers.includes("999-0"), "the last", LONG);
		assert.deepEqual(ear.numbers.sort(), [...done[200], "999-0"].sort());
		grown("afterwards", 40 * MB);
		t.diagnostic(`${done[200].length} delivered, ${done[503].length} refused`);
		for (const { socket } of [...mouths, ear])
			socket.destroy();
	} finally {
		process.kill(router, "SIGCONT");
		await server.stop();
	}
});

test("a worker stands still: who sends client events is not read, and what was taken arrives", async (t) => {
	const server = await Server.start({ workers: 2, peal: { ...still, log_level: "debug" },
		app: { client_events: "all" }, router: { publish_window: "16m" },
		websocket: { max_backlog: "1g", max_backlog_total: "1g" } });
	const workers = async () => (await server.ctl("status")).workers;
	let stopped = 0;
	try {
		const [router] = server.pids("peald: router"), channel = "all", N = 2500;
		const ears = [await Ear.open(server, channel)], loud = [];
		const halted = await until(async () => (await workers()).find((w) => w.websockets === 1), "the first client to be seen");
		const there = async () => (await workers()).find((w) => w.pid !== halted.pid).websockets;
		while (await there() < 8) {
			loud.push(...await Promise.all(count(8).map(() => Ear.open(server))));
			await until(async () => (await totals(server)).websockets === 1 + loud.length, "them to be counted");
		}
		const running = (await workers()).find((w) => w.pid !== halted.pid).pid;
		const grown = watch(t, [router, running]);
		process.kill(halted.pid, "SIGSTOP");
		stopped = halted.pid;
		// 80 MB from the worker that runs, at least.
		loud.forEach((l, who) => {
			for (let n = 0; n < N; n++)
				l.say({ event: "client-e", data: numbered(who, n, 4096), channel });
			l.say({ event: "pusher:ping", data: {} });
		});
		await server.logged(/publishing is held back/);
		process.kill(stopped, "SIGCONT");
		await until(() => loud.every((l) => l.pongs === 1 || l.ended), "all to be read", LONG);
		assert.ok(loud.every((l) => l.errors.every((code) => code === 4100)));
		const taken = loud.map((l) => N - l.errors.length), sum = taken.reduce((a, b) => a + b);
		await until(() => ears[0].numbers.length >= sum || ears[0].ended, () =>
			`${sum} events; have ${ears[0].numbers.length}`, LONG);
		await loud[0].say({ event: "pusher:ping", data: {} });
		await until(() => loud[0].pongs === 2, "a pong");
		const { heard } = ears[0];
		loud.forEach((_, who) => {
			assert.equal(heard[who].length, taken[who]);
			assert.ok(heard[who].every((n, i) => i === 0 || n > heard[who][i - 1]), `order of ${who}`);
		});
		t.diagnostic(`${sum} of ${loud.length * N} events were taken`);
		// The worker has up to three windows: two that are told again to a
		// new router, half of it acknowledged, and one on the link.  The
		// router has 8 MB, what was on its way, and as much that is out.
		grown("router and worker grew by", 96 * MB);
		for (const { socket } of [...ears, ...loud])
			socket.destroy();
	} finally {
		if (stopped)
			process.kill(stopped, "SIGCONT");
		await server.stop();
	}
});
