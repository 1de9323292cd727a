// SPDX-License-Identifier: MIT
// Everybody comes (back) at once: connections are accepted at a pace, the rest
// waits in the kernel, and nobody is refused.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import tls from "node:tls";
import { LIMIT, Server, frame, patience, until, within } from "./harness.mjs";

const CLIENTS = 3000, RATE = 1000;

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-storm-"));
const key = path.join(dir, "key.pem"), chain = path.join(dir, "chain.pem");
execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", chain], { stdio: "ignore" });
const ca = fs.readFileSync(chain);
after(() => fs.rmSync(dir, { recursive: true, force: true }));

const hello = (app) => Buffer.concat([
	Buffer.from(`GET /app/${app.key}?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n` +
	    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"),
	frame(1, JSON.stringify({ event: "pusher:subscribe", data: { channel: "all" } }))]);

/** A client as small as can be: resolves when it has subscribed; what it was
 * refused with otherwise.  Of the socket, `lost` resolves when it ends. */
function come(server, connect = () => net.connect(server.port, "127.0.0.1"), ready = "connect") {
	const socket = connect();
	let tail = "";
	socket.lost = new Promise((resolve) => {
		socket.on("error", (error) => resolve(error.code));
		socket.on("close", () => resolve(tail.slice(-120) || "closed"));
	});
	socket.on(ready, () => socket.write(hello(server.app)));
	const there = new Promise((resolve) => socket.on("data", (data) => {
		tail = (tail + data.toString("latin1")).slice(-300);
		if (tail.includes("subscription_succeeded"))
			resolve(null);
	}));
	socket.there = Promise.race([there, socket.lost]);
	return socket;
}

/** Who did not get in. */
async function refused(crowd) {
	const answers = await within(Promise.all(crowd.map((c) => c.there)), "all to get in", 2 * LIMIT);
	return answers.filter((why) => why !== null);
}

const held = async (server) => (await server.ctl("status")).totals.accept_held;

/** Puts a line into [listen], in place of the last one. */
function settings(server, line) {
	const text = fs.readFileSync(server.ini, "utf8");
	fs.writeFileSync(server.ini, text.replace(/\[listen\]\n(accept_rate.*\n)?/, `[listen]\n${line}\n`));
}

test("3,000 clients reconnect at once: the rate is held, all get in, the API has a door of its own", async (t) => {
	const server = await Server.start({ workers: 2, listeners: { "listen api": { address: "127.0.0.1:0" } } });
	let crowd = [];
	try {
		crowd = Array.from({ length: CLIENTS }, () => come(server));
		assert.deepEqual(await refused(crowd), []);
		// So slow that most of them wait for as long as the rate stays.
		settings(server, "accept_rate = 1");
		assert.match((await server.ctl("reload")).changed, /accept_rate/);
		server.allow(/worker \d/);
		const lost = crowd.map((c) => c.lost), workers = server.pids("peald: worker");
		for (const pid of workers)
			process.kill(pid, "SIGKILL");
		await within(Promise.all(lost), "all to be lost");
		crowd = Array.from({ length: CLIENTS }, () => come(server));
		const all = refused(crowd);
		let waiting = true;
		all.then(() => { waiting = false; });
		// The new workers are there: calls to the other door do not wait.
		const api = { address: server.addresses[1] };
		const { status } = await server.call("POST", `/apps/${server.app.id}/events`, { name: "e", channel: "all", data: "1" }, api);
		assert.equal(status, 200);
		assert.ok(waiting, "the API was answered after all others");
		const began = performance.now();
		settings(server, `accept_rate = ${RATE}`);
		assert.match((await server.ctl("reload")).changed, /accept_rate/);
		assert.deepEqual(await all, []);
		const took = performance.now() - began;
		t.diagnostic(`${CLIENTS} at ${RATE} a second: all were there after ${Math.round(took)} ms`);
		// Each worker may begin with a tenth of a second's worth, some were let
		// in before, and one may get a little less than half of them.
		assert.ok(took >= (CLIENTS / RATE) * 1000 * 0.7, `all were there after ${Math.round(took)} ms`);
		assert.ok(await until(() => held(server), "accept_held"));
		await until(async () => (await server.call("GET", `/apps/${server.app.id}/channels/all`, undefined,
		    { ...api, query: { info: "subscription_count" } })).json.subscription_count === CLIENTS, "all to be counted");
		// Without the limit they come as fast as they can.
		settings(server, "accept_rate = 0");
		assert.match((await server.ctl("reload")).changed, /accept_rate/);
		assert.equal(await within(come(server).there, "one more"), null);
	} finally {
		for (const c of crowd)
			c.destroy();
		await server.stop();
	}
});

test("a reload in the middle of a storm: who waits in the kernel waits for the next worker", async () => {
	const server = await Server.start({ workers: 3, listen: { accept_rate: 1000 } });
	let crowd = [];
	try {
		crowd = Array.from({ length: CLIENTS }, () => come(server));
		const all = refused(crowd);
		await Promise.race(crowd.slice(CLIENTS / 2).map((c) => c.there));
		for (const workers of [2, 4]) {
			const text = fs.readFileSync(server.ini, "utf8");
			fs.writeFileSync(server.ini, text.replace(/workers = \d/, `workers = ${workers}`));
			assert.match((await server.ctl("reload")).changed, /workers/);
		}
		assert.deepEqual(await all, []);
		await until(async () => (await server.get("/channels/all", { info: "subscription_count" })).json.subscription_count === CLIENTS, "all to be counted");
		assert.deepEqual(await Promise.all(crowd.map((c) => Promise.race([c.lost, null]))), crowd.map(() => null));
	} finally {
		for (const c of crowd)
			c.destroy();
		await server.stop();
	}
});

/** One process has to shake hands for all clients, and may not get to run much. */
const PATIENT = { header_timeout: "2m" };

test("TLS: few handshakes at a time, and all get in", async () => {
	const server = await Server.start({ workers: 2, http: PATIENT,
	    listen: { certificate: chain, certificate_key: key, max_handshakes: 10 } });
	const crowd = Array.from({ length: 400 }, () => come(server,
	    () => tls.connect({ host: "127.0.0.1", port: server.port, ca }), "secureConnect"));
	try {
		assert.deepEqual(await refused(crowd), []);
		assert.ok(await until(() => held(server), "accept_held"));
	} finally {
		for (const c of crowd)
			c.destroy();
		await server.stop();
	}
});

// 300 that never say a word stand in front of a worker that lets in 5 at a time
// and gives each 5 s: one after the other would be minutes.
test("who never sends his request does not shut others out", async () => {
	const server = await Server.start({ listen: { max_handshakes: 5, backlog: 512 }, http: { header_timeout: "5s" } });
	const silent = Array.from({ length: 300 }, () => net.connect(server.port, "127.0.0.1"));
	let others = [];
	try {
		for (const s of silent)
			s.on("error", () => {});
		await within(Promise.all(silent.map((s) => new Promise((resolve) => s.on("connect", resolve)))), "the silent ones");
		others = Array.from({ length: 20 }, () => come(server));
		assert.deepEqual(await refused(others), []);
		assert.ok(await until(() => held(server), "accept_held"));
	} finally {
		for (const c of [...silent, ...others])
			c.destroy();
		await server.stop();
	}
});

/** Milliseconds of processor time that the workers have used. */
function cpu(server) {
	return server.pids("peald: worker").map((pid) => {
		const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
		const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13).map(Number);
		return (user + system) * 10;
	}).reduce((a, b) => a + b);
}

// What one connection costs the workers: let in (and subscribed), let in over
// TLS, refused by the application's limit, refused by the limit of an address.
test("who is refused costs no more than who is let in", async (t) => {
	const N = 2000, costs = {};
	const server = await Server.start({ workers: 2, app: { max_connections: N + 1 }, http: PATIENT,
	    listeners: { "listen secure": { address: "127.0.0.1:0", certificate: chain, certificate_key: key } } });
	let crowd = [];
	const cost = async (name, come_in, n = N) => {
		const before = cpu(server), began = performance.now();
		crowd = Array.from({ length: n }, come_in);
		const answers = await within(Promise.all(crowd.map((c) => c.there)), name, 2 * LIMIT);
		costs[name] = Math.round((cpu(server) - before) * 1000 / n);
		t.diagnostic(`${name}: ${n} in ${Math.round(performance.now() - began)} ms, ${costs[name]} us of a worker each`);
		return answers.filter((why) => why !== null);
	};
	const leave = async () => {
		for (const c of crowd)
			c.destroy();
		await until(async () => (await server.get("/connections")).json.connections === 0, "all to leave");
	};
	const secure = () => tls.connect({ host: "127.0.0.1", port: Number(server.addresses[1].split(":")[1]), ca });
	try {
		assert.deepEqual(await cost("TLS", () => come(server, secure, "secureConnect"), N / 4), []);
		await leave();
		assert.deepEqual(await cost("plain", () => come(server)), []);
		const inside = crowd;
		await server.connect();		// the last place
		const over = await cost("over max_connections", () => come(server));
		assert.equal(over.length, N);
		assert.ok(over.every((why) => why.includes("\x0f\xa4")), over[0]);	// 4004
		// Counted in ticks of 10 ms, on a machine that others use, too.
		assert.ok(costs["over max_connections"] <= costs.plain * 3 + 100, JSON.stringify(costs));
		crowd = inside;
	} finally {
		for (const c of crowd)
			c.destroy();
		await server.stop();
	}
});

test("who is one too many of an address costs next to nothing", async (t) => {
	const N = 2000, server = await Server.start({ workers: 1, http: { max_connections_per_address: 1 } });
	try {
		const c = await server.connect(), before = cpu(server);
		const crowd = Array.from({ length: N }, () => come(server));
		assert.equal((await refused(crowd)).length, N);
		const each = Math.round((cpu(server) - before) * 1000 / N);
		t.diagnostic(`over max_connections_per_address: ${each} us of a worker each`);
		assert.ok(each < 300 * patience, `${each} us`);
		await c.ping();
	} finally {
		await server.stop();
	}
});
