// SPDX-License-Identifier: MIT
// All workers hold about the same number of clients: the fullest has no more than a
// tenth above the mean, after one of them has died, too; and nobody who is passed on
// to another worker is lost.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import { test } from "node:test";
import { Server, frame, until, within } from "./harness.mjs";

const WORKERS = 4, CLIENTS = 2000;

const hello = (app) => Buffer.concat([
	Buffer.from(`GET /app/${app.key}?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n` +
	    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"),
	frame(1, JSON.stringify({ event: "pusher:subscribe", data: { channel: "all" } }))]);

/** Clients as small as can be; there are always those of `all`, and `lost` are those
 * that ended without being asked to. */
class Crowd {
	constructor(server, to) {
		Object.assign(this, { server, to, all: [], lost: 0 });
	}

	async come() {
		const socket = net.connect(this.to ?? { port: this.server.port, host: "127.0.0.1" });
		let text = "";
		await within(new Promise((resolve, reject) => {
			socket.on("connect", () => socket.write(hello(this.server.app)));
			socket.on("data", (data) => {
				text = (text + data.toString("latin1")).slice(-300);
				if (text.includes("subscription_succeeded"))
					resolve();
			});
			socket.on("error", reject);
			socket.on("close", () => reject(new Error(`closed: ${text}`)));
		}), "a client to get in");
		socket.removeAllListeners();
		socket.resume();
		socket.on("error", () => {});
		socket.on("close", () => this.#gone(socket));
		this.all.push(socket);
	}

	#gone(socket) {
		const at = this.all.indexOf(socket);
		if (at < 0)
			return;
		this.all.splice(at, 1);
		this.lost++;
	}

	async fill() {
		while (this.all.length < CLIENTS)
			await Promise.all(Array.from({ length: Math.min(50, CLIENTS - this.all.length) }, () => this.come()));
	}

	/** So many go, by lot, and others come. */
	async replace(n) {
		for (; n > 0; n--) {
			const [socket] = this.all.splice(Math.floor(Math.random() * this.all.length), 1);
			socket.destroy();
			await this.come();
		}
	}

	end() {
		for (const socket of this.all.splice(0))
			socket.destroy();
	}
}

async function holds(server) {
	const { workers } = await server.ctl("status");
	return workers.map((worker) => worker.connections);
}

const sum = (list) => list.reduce((a, b) => a + b, 0);
// What they hold is told once a second, so a few may be missing or counted twice.
const STALE = 20;
/** And those of one worker, when clients have just come and gone. */
const SLACK = 5 * STALE;
const within_percent = (list, most) => Math.abs(sum(list) - CLIENTS) <= STALE &&
    Math.max(...list) * WORKERS * 100 <= (100 + most) * CLIENTS;

/** Only who comes can be passed on, so some come at every look. */
async function levels(server, crowd) {
	let held;
	await until(async () => {
		await crowd.replace(10);
		return within_percent(held = await holds(server), 4);
	}, () => `all workers to hold as many, not ${held} of ${CLIENTS}; ${crowd.lost} lost`);
}

/** At every look, while clients come and go. */
async function stays(server, crowd) {
	for (let i = 0; i < 5; i++) {
		await crowd.replace(100);
		let held;
		await until(async () => within_percent(held = await holds(server), 10),
		    () => `all workers to go on holding as many, not ${held} of ${CLIENTS}; ${crowd.lost} lost`);
	}
}

test("the workers hold equally many, also when one has died", async () => {
	const server = await Server.start({ workers: WORKERS });
	const crowd = new Crowd(server);
	try {
		await crowd.fill();
		await levels(server, crowd);
		await stays(server, crowd);
		const { workers } = await server.ctl("status");
		server.allow(/ worker 2 has died |router: .*worker| worker\/\d /);
		process.kill(workers[1].pid, "SIGKILL");
		await until(() => crowd.lost >= workers[1].connections - SLACK, "its clients to notice");
		// By chance a quarter of them would come to the new one, and all others are
		// with the other three.
		await crowd.fill();
		await levels(server, crowd);
		await stays(server, crowd);
		const status = await server.ctl("status");
		assert.ok(crowd.lost <= workers[1].connections + SLACK, `${crowd.lost} lost`);
		assert.ok(status.totals.passed >= 100, JSON.stringify(status.totals));
		await until(async () => (await server.ctl("status")).fullest.percent <= 110, "nobody to have too many");
	} finally {
		crowd.end();
		await server.stop();
	}
});

test("nobody is lost who is passed on while all processes are replaced", async () => {
	const server = await Server.start({ workers: WORKERS });
	const crowd = new Crowd(server);
	try {
		await crowd.fill();
		let over = false;
		const coming = (async () => {
			while (!over)
				await Promise.all([crowd.replace(5), crowd.replace(5), crowd.replace(5)]);
		})();
		// One more worker is a change that needs new processes.
		for (const workers of [WORKERS + 1, WORKERS, WORKERS + 1, WORKERS]) {
			const text = fs.readFileSync(server.ini, "utf8");
			fs.writeFileSync(server.ini, text.replace(/^workers = \d+$/m, `workers = ${workers}`));
			assert.equal((await server.ctl("reload")).replaced, true);
		}
		over = true;
		await coming;
		assert.equal(crowd.lost, 0);
		await stays(server, crowd);
	} finally {
		crowd.end();
		await server.stop();
	}
});
