// SPDX-License-Identifier: MIT
// What signals do to a server with clients: TERM, INT, QUIT, a second one, USR1.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { Server, patience, until, within } from "./harness.mjs";

const DRAIN = 2 + 2 * patience;		// seconds

/** A server with clients; when[i]: ms after go() at which client i was told. */
async function crowded(n, drain = DRAIN, more = {}) {
	const server = await Server.start({ workers: 2, peal: { drain_timeout: `${drain}s`, ...more } });
	const crowd = await server.crowd(n), when = [];
	let began;
	for (const [i, c] of crowd.entries())
		c.end.then(() => { when[i] = performance.now() - began; });
	return { server, crowd, when, go: (signal) => { began = performance.now(); server.child.kill(signal); } };
}

async function all_told(crowd) {
	for (const c of crowd)
		await c.refused(4200);
}

/** The loop of this process has had a turn, so all that came is known. */
const turned = () => new Promise(setImmediate);

test("TERM: everybody is told 4200, spread over drain_timeout, in no order", async () => {
	const { server, crowd, when, go } = await crowded(100);
	go("SIGTERM");
	await all_told(crowd);
	await turned();
	const sorted = [...when].sort((a, b) => a - b), spread = sorted.at(-1) - sorted[0];
	// What came while this process did not run looks as if it came at once.
	assert.ok(spread > DRAIN * 250, `all within ${Math.round(spread)} ms`);
	assert.notDeepEqual(when, sorted);
	await within(server.gone, "the end");
	assert.equal(server.status, 0);
	await server.stop();
});

test("TERM: who comes now as a client is refused; calls are answered", async () => {
	const { server, crowd, go } = await crowded(2, 60);
	const body = JSON.stringify({ name: "e", channel: "c", data: "1" });
	const w = await server.wire();
	w.write(`POST /apps/${server.app.id}/events?${server.sign("POST", `/apps/${server.app.id}/events`, body)} HTTP/1.1\r\n` +
	    `Host: x\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 9)}`);
	await crowd[0].ping();		// its worker, or the other, has read on
	go("SIGTERM");
	await server.logged(/worker\/1: draining/);
	await server.logged(/worker\/2: draining/);
	await assert.rejects(server.open(), /503/);
	const { status } = await server.call("POST", `/apps/${server.app.id}/events`, { name: "e", channel: "c", data: "1" });
	assert.equal(status, 200);
	w.write(body.slice(9));
	const answer = await w.rest();
	assert.match(answer, /^HTTP\/1.1 200 /);
	assert.match(answer, /\r\nConnection: close\r\n/);
	server.child.kill("SIGTERM");
	await all_told(crowd);
	await server.stop();
});

test("INT is faster", async () => {
	const { server, crowd, when, go } = await crowded(40, 40);
	go("SIGINT");
	await server.logged(/stopping grace_ms=10000/);
	// A second signal hurries.
	await until(() => when.filter(() => true).length > 0, "the first one to go");
	assert.ok(crowd.some((c) => !c.ended), "all in one burst");
	go("SIGTERM");
	await server.logged(/stopping grace_ms=0/);
	await all_told(crowd);
	await within(server.gone, "the end");
	assert.equal(server.status, 0);
	await server.stop();
});

for (const [first, second] of [["SIGTERM", "SIGINT"], ["SIGTERM", "SIGQUIT"], ["SIGINT", "SIGINT"]])
	test(`${first}, and ${second} hurries`, async () => {
		const { server, crowd, go } = await crowded(20, 3600);
		go(first);
		await server.logged(/worker\/1: draining .*grace_ms=\d{4}/);
		go(second);
		await all_told(crowd);
		await within(server.gone, "the end");
		assert.equal(server.status, 0);
		await server.stop();
	});

test("QUIT: at once, and even then everybody hears why", async () => {
	const { server, crowd, go } = await crowded(50, 3600);
	go("SIGQUIT");
	await all_told(crowd);
	await within(server.gone, "the end");
	assert.equal(server.status, 0);
	await server.stop();
});

test("USR1: all processes write to the new log file", async () => {
	const server = await Server.start({ workers: 2 });
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-log-"));
	const file = path.join(dir, "peal.log"), old = `${file}.1`;
	const text = (name) => fs.readFileSync(name, "utf8");
	// Each of them has something to say.
	const busy = async () => {
		for (const c of await server.crowd(4)) {
			c.socket.terminate();
			server.clients.delete(c);
		}
		return ["master", "router", "worker/1", "worker/2"].every((who) => text(file).includes(` ${who}: `));
	};
	const replaced = async () => {
		const [one] = server.pids("peald: worker 1");
		process.kill(one, "SIGKILL");
		await until(() => server.pids("peald: worker 1").some((pid) => pid !== one), "another worker");
	};
	try {
		fs.writeFileSync(server.ini, text(server.ini).replace("[peal]\n", `[peal]\nlog = ${file}\nlog_level = debug\n`));
		await server.ctl("reload");
		await replaced();	// the router speaks of workers that go
		await until(busy, "all to write to the file");
		fs.renameSync(file, old);
		server.child.kill("SIGUSR1");
		await until(() => fs.existsSync(file) && text(file).includes("log reopened"), "a new file");
		await replaced();
		await until(busy, "all to write to the new file");
		const before = text(old);
		await replaced();
		await busy();
		await until(() => text(file).match(/ router: .*left/g)?.length > 1, "the router's word");
		assert.equal(text(old), before);
	} finally {
		await server.stop();
		fs.rmSync(dir, { recursive: true, force: true });
	}
});
