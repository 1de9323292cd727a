// SPDX-License-Identifier: MIT
// /up and /ready, and what load balancers see of a stop: stop_delay, drain.
import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import WebSocket from "ws";
import { Server, Wire, patience, until, within } from "./harness.mjs";

/** One request on a connection of its own: { status, head, body }. */
async function get(server, target = "/ready", { method = "GET", more = "", ...where } = {}) {
	const w = await Wire.open(server, where);
	w.write(`${method} ${target} HTTP/1.1\r\nHost: x\r\n${more}\r\n`);
	try {
		return await w.answer({ head: method === "HEAD" });
	} finally {
		w.close();
	}
}

const READY = '{"ready":true}', DRAINING = '{"ready":false,"why":"draining"}';

/** The handshake of a client that comes now: its HTTP status. */
async function handshake(server) {
	const socket = new WebSocket(server.url({ address: server.address }));
	socket.on("error", () => {});
	const [, answer] = await within(once(socket, "unexpected-response"), "the handshake's answer");
	answer.resume();
	socket.terminate();
	return { status: answer.statusCode, headers: answer.headers };
}

/** From as many connections as are likely to reach all workers. */
async function everywhere(server, probe) {
	const answers = await Promise.all(Array.from({ length: 20 }, () => get(server).catch(() => ({}))));
	return answers.every(probe);
}

async function another(server, who) {
	const [pid] = server.pids(`peald: ${who}`);
	process.kill(pid, "SIGKILL");
	await until(() => { const [now] = server.pids(`peald: ${who}`); return now && now !== pid; }, `another ${who}`);
}

test("alive and ready; ready again after the router and a worker were killed", async () => {
	const s = await Server.start({ workers: 2 });
	const up = await get(s, "/up"), ready = await get(s);
	assert.deepEqual([up.status, up.body], [200, '{"health":"OK"}']);
	assert.deepEqual([ready.status, ready.body], [200, READY]);
	assert.match(ready.head, /Cache-Control: no-store/);
	assert.equal((await get(s, "/ready", { method: "HEAD" })).status, 200);
	assert.equal((await get(s, "/ready", { method: "POST", more: "Content-Length: 0\r\n" })).status, 405);
	s.allow(/died|router lost/);
	for (const who of ["router", "worker 1"]) {
		await another(s, who);
		await until(() => everywhere(s, ({ body }) => body === READY), "all ready");
	}
	await s.stop();
});

test("without a router: alive, not ready", async () => {
	const s = await Server.start({ workers: 1, peal: { drain_timeout: "1s" } });
	s.allow(/died|router lost|not answered|killed/);
	const [router] = s.pids("peald: router"), master = s.child.pid;
	// With the master stopped nobody brings another.
	process.kill(master, "SIGSTOP");
	process.kill(router, "SIGKILL");
	await until(async () => (await get(s)).status === 503, "not ready");
	assert.equal((await get(s)).body, '{"ready":false,"why":"router"}');
	assert.equal((await get(s, "/up")).status, 200);
	process.kill(master, "SIGCONT");
	await until(async () => (await get(s)).status === 200, "ready");
	await s.stop();
});

test("with a router that stands still: not ready before it is replaced", async () => {
	const s = await Server.start({ workers: 1, peal: { watchdog: "6s" } });
	s.allow(/died|router lost|not answered|killed|keeps dying/);
	const killed = () => (s.log.match(/router has not answered/g) ?? []).length;
	let stopped;
	// If that moment is missed, the one of the next router is waited for.
	await until(async () => {
		const before = killed();
		[stopped] = s.pids("peald: router");
		if (!stopped)
			return false;
		process.kill(stopped, "SIGSTOP");
		const { status, body } = await get(s);
		return status === 503 && body === '{"ready":false,"why":"router"}' && killed() === before &&
		    s.pids("peald: router")[0] === stopped;
	}, "not ready");
	assert.equal((await get(s, "/up")).status, 200);
	try {
		process.kill(stopped, "SIGCONT");
	} catch { /* it is replaced */ }
	await until(async () => (await get(s)).status === 200, "ready");
	await s.stop();
});

test("while clients are told to go: no new ones, anywhere; who wants an answer gets it", async () => {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-health-")), socketPath = path.join(dir, "s");
	const s = await Server.start({ workers: 2, rooms: {}, peal: { drain_timeout: "1h" }, http: { header_timeout: "4s" }, listeners: {
		"listen local": { address: `unix:${socketPath}`, unix_mode: "0666" } } });
	const crowd = await s.crowd(8);
	for (const c of crowd)
		await c.subscribe("room");
	s.child.kill("SIGTERM");
	await s.logged(/worker\/1: draining/);
	await s.logged(/worker\/2: draining/);
	for (let i = 0; i < 10; i++) {
		const ready = await get(s);
		assert.deepEqual([ready.status, ready.body], [503, DRAINING]);
		assert.match(ready.head, /Connection: close/);
	}
	assert.equal((await get(s, "/ready", { socketPath })).body, DRAINING);
	assert.equal((await get(s, "/up", { socketPath })).status, 200);
	const { status, headers } = await handshake(s);
	assert.equal(status, 503);
	assert.ok(Number(headers["retry-after"]) > 0);
	assert.equal(headers.connection, "close");
	assert.equal((await get(s, "/sse/7")).status, 503);
	// Whose turn has not come hears what is published.
	await s.publish("room", "still", "1");
	const here = crowd.filter((c) => !c.ended);
	assert.ok(here.length > 0);
	for (const c of here)
		await c.expect("still", "room");
	// Who comes now keeps nothing from ending.
	const silent = await s.wire();
	for (const c of crowd)
		c.socket.close();
	await within(s.gone, "the end");
	await assert.rejects(get(s), /ECONNREFUSED/);
	assert.ok(!fs.existsSync(socketPath));
	silent.close();
	await s.stop();
	fs.rmSync(dir, { recursive: true });
});

test("the last worker answers for all, and then nobody", async () => {
	const s = await Server.start({ workers: 2, peal: { drain_timeout: "1h" } });
	const one = await s.connect();
	s.child.kill("SIGTERM");
	await s.logged(/worker\/1: draining/);
	await s.logged(/worker\/2: draining/);
	// One of them had nobody to tell, and is gone.
	await until(() => s.pids("peald: worker").length === 1, "one worker to end");
	for (let i = 0; i < 20; i++)
		assert.equal((await get(s)).body, DRAINING);
	assert.equal(one.ended, undefined);
	await one.close();
	await within(s.gone, "the end");
	await s.stop();
});

test("drain_timeout = 0: who comes is refused at once", async () => {
	const s = await Server.start({ workers: 1 });
	const one = await s.connect();
	s.child.kill("SIGTERM");
	await one.refused(4200);
	await within(s.gone, "the end");
	const socket = net.connect(s.port, "127.0.0.1");
	const [error] = await within(once(socket, "error"), "to be refused");
	assert.equal(error.code, "ECONNREFUSED");
	await s.stop();
});

test("stop_delay: not ready, and nothing else changes; then clients are told", async () => {
	const s = await Server.start({ workers: 2, peal: { stop_delay: "1h", drain_timeout: `${patience}s` } });
	const one = await s.connect();
	await one.subscribe("room");
	s.child.kill("SIGTERM");
	await s.logged(/not ready any more, stopping in 3600000 ms/);
	await until(async () => (await get(s)).status === 503, "not ready");
	for (let i = 0; i < 10; i++)
		assert.equal((await get(s)).body, DRAINING);
	assert.equal((await get(s, "/up")).status, 200);
	assert.equal((await s.ctl("status")).state, "ending");
	// It still takes clients, serves them, and is repaired.
	const two = await s.connect();
	await two.subscribe("room");
	await s.publish("room", "still", "1");
	await one.expect("still", "room");
	await two.expect("still", "room");
	s.allow(/died/);
	await another(s, "worker 1");
	await until(() => everywhere(s, ({ body }) => body === DRAINING), "all of them not to be ready");
	await assert.rejects(s.ctl("reload"), ({ stdout, stderr }) => /stopping/.test(stdout + stderr));
	// A second signal ends the wait; clients that are left are told.
	const three = await s.connect();
	s.child.kill("SIGTERM");
	await three.refused(4200);
	await within(s.gone, "the end");
	await s.stop();
});

test("stop_delay passes by itself; INT and pealctl stop --now do not wait for it", async () => {
	for (const how of ["TERM", "stop", "INT", "now"]) {
		const s = await Server.start({ workers: 1, peal: { stop_delay: how === "TERM" || how === "stop" ? "300ms" : "1h", drain_timeout: "10ms" } });
		const one = await s.connect();
		const done = how === "stop" ? s.ctl("stop") : how === "now" ? s.ctl("stop", "--now") : s.child.kill(`SIG${how}`);
		await one.refused(4200);
		await within(s.gone, "the end");
		await done;
		assert.equal(/not ready any more/.test(s.log), how === "TERM" || how === "stop");
		await s.stop();
	}
});

test("a reload that runs is finished, and the time goes on after its exec", async () => {
	// Where others run, too, the signal may come when the exec is over: then again.
	let s, one;
	await until(async () => {
		s = await Server.start({ workers: 1, peal: { stop_delay: "1h", drain_timeout: "10ms" } });
		one = await s.connect();
		fs.writeFileSync(s.ini, fs.readFileSync(s.ini, "utf8").replace("workers = 1", "workers = 2"));
		const reload = s.ctl("reload").catch((error) => error);
		await s.logged(/all processes are to be replaced/);	// preflight
		s.child.kill("SIGTERM");
		await s.logged(/not ready any more/);
		await reload;
		if (await until(() => /goes on in the binary/.test(s.log), "", 5000).catch(() => false))
			return true;
		s.child.kill("SIGTERM");
		await s.stop();
		return false;
	}, "a signal before the exec");
	await until(() => s.pids("peald: worker").length === 2, "the new workers alone");
	await until(() => everywhere(s, ({ body }) => body === DRAINING), "all of them not to be ready");
	await one.ping();
	s.child.kill("SIGTERM");
	await one.refused(4200);
	await within(s.gone, "the end");
	await s.stop();
});
