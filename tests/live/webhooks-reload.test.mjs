// SPDX-License-Identifier: MIT
//
// Reloads in quick succession that replace the courier, too, while clients speak:
// each finds the one before in the middle of something.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { Server, unique, until } from "./harness.mjs";
import { hooked } from "./targets.mjs";

const AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";

test("reloads one behind the other that replace the courier lose no event", { skip: !fs.existsSync(AUTHORITIES) }, () => hooked({ workers: 2, hook: { events: "client_event" }, app: { client_events: "members" } }, async ({ server, target }) => {
	const client = await server.connect(), room = unique("private-room");
	await client.subscribe(room);
	const settings = fs.readFileSync(server.ini, "utf8");
	const copy = path.join(server.dir, "authorities.pem");
	fs.copyFileSync(AUTHORITIES, copy);
	let said = 0, speaking = true;
	const speak = (async () => {
		while (speaking) {
			client.send({ event: "client-said", channel: room, data: String(said++) });
			await new Promise((resolve) => setTimeout(resolve, 3));
		}
	})();
	for (let i = 0; i < 8; i++) {
		fs.writeFileSync(server.ini, settings.replace("[courier]", `[courier]\nca_file = ${i % 2 ? AUTHORITIES : copy}`));
		await server.ctl("reload");
	}
	speaking = false;
	await speak;
	const heard = () => new Set(target.events.map((e) => Number(e.data)));
	await until(() => heard().size === said, () => `heard ${heard().size} of ${said}`);
	assert.equal((await server.ctl("status")).totals.hooks_untold, 0);
	// Nobody has died.
	const { restarts } = await until(async () => {
		const { courier } = await server.ctl("status");
		return courier.generation > 1 && courier.state === "up" && courier;
	}, "another courier");
	assert.equal(restarts, 0);
}));

const edit = (server, from, to) => fs.writeFileSync(server.ini, fs.readFileSync(server.ini, "utf8").replace(from, to));
const idle = (server) => until(async () => (await server.ctl("status")).phase === "idle", "the old processes to go");

test("a courier that is to be replaced when the old router is gone is replaced, also if settings are loaded before", { skip: !fs.existsSync(AUTHORITIES) }, () => hooked({ peal: { watchdog: "100s" }, hook: { events: "client_event" }, courier: { hold_back: "20ms", ca_file: AUTHORITIES } }, async ({ server }) => {
	const [pid] = server.pids("peald: courier"), copy = path.join(server.dir, "authorities.pem");
	fs.copyFileSync(AUTHORITIES, copy);
	// The old router stays until the courier has answered.
	process.kill(pid, "SIGSTOP");
	try {
		edit(server, AUTHORITIES, copy);
		await server.ctl("reload");
		assert.equal((await server.ctl("status")).phase, "draining");
		edit(server, "hold_back = 20ms", "hold_back = 30ms");
		const loaded = server.ctl("reload");
		await until(async () => (await server.ask({ verb: "check" }))[0].changed === "", "the settings to be in force");
		process.kill(pid, "SIGCONT");
		await loaded;
	} finally {
		try { process.kill(pid, "SIGCONT"); } catch { /* it has gone */ }
	}
	await until(() => server.pids("peald: courier").some((p) => p !== pid), "another courier");
}));

test("a spool that waits for the courier's end is used, also if the master is replaced before", () => hooked({ hook: { events: "client_event" }, app: { client_events: "members" } }, async ({ server, target }) => {
	const client = await server.connect(), room = unique("private-room");
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-spool-"));
	fs.chmodSync(dir, 0o777);
	try {
		await client.subscribe(room);
		// It is given a moment for the request that is under way.
		target.answer = () => "hold";
		client.send({ event: "client-said", channel: room, data: "0" });
		await until(() => target.held.length === 1, "a request");
		edit(server, "[courier]", `[courier]\nspool = ${dir}`);
		await server.ctl("reload");
		await idle(server);
		edit(server, "[peal]", "[router]\npublish_window = 17m\n[peal]");
		const from = server.log.length, replaced = server.ctl("reload");
		// It ends while new processes are started.
		await server.logged(/goes on in the binary/, from);
		target.answer = () => 200;
		target.release();
		await replaced;
		client.send({ event: "client-said", channel: room, data: "1" });
		const heard = () => new Set(target.events.map((e) => Number(e.data)));
		await until(() => heard().size === 2, () => JSON.stringify(target.events));
		await until(() => fs.statSync(path.join(dir, "peal-0.journal")).size + fs.statSync(path.join(dir, "peal-1.journal")).size > 0,
		    "the journal to be in the spool");
	} finally {
		fs.rmSync(dir, { recursive: true, force: true });
	}
}));

test("a courier that waits to be started is started, also if a reload fails meanwhile", () => hooked({ hook: { events: "client_event" }, allow: [/courier has died|courier keeps dying|reload refused/] }, async ({ server }) => {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-spool-"));
	fs.chmodSync(dir, 0o777);
	// The spool is somebody else's, which is found out behind the exec.
	const other = await Server.start({ courier: { allow: "127.0.0.1", spool: dir }, "webhook main": { url: "http://127.0.0.1:1/" } });
	try {
		for (let dead = false; !dead;) {
			const [pid] = await until(() => { const found = server.pids("peald: courier"); return found.length > 0 && found; }, "a courier");
			process.kill(pid, "SIGKILL");
			await until(() => !server.pids("peald: courier").includes(pid), "it to be gone");
			dead = /keeps dying.* next try in (8|16|32|64|100)00+ ms/.test(server.log);
		}
		edit(server, "[courier]", `[courier]\nspool = ${dir}`);
		await assert.rejects(server.ctl("reload"));
		await until(async () => (await server.ctl("status")).courier.state === "up", "a courier");
	} finally {
		await other.stop();
		fs.rmSync(dir, { recursive: true, force: true });
	}
}));
