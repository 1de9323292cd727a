// SPDX-License-Identifier: MIT
// What a reload changes, seen from outside: settings, workers, addresses and the
// binary; what is refused; who waits; stops in the middle of it.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import tls from "node:tls";
import { Server, patience, peald, pealctl, unique, until, within } from "./harness.mjs";
import { freePort } from "./redis.mjs";

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-reload-"));
const key = path.join(dir, "key.pem"), chain = path.join(dir, "chain.pem");
execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", chain], { stdio: "ignore" });
const ca = fs.readFileSync(chain);
after(() => fs.rmSync(dir, { recursive: true, force: true }));

async function running(options, define) {
	const server = await Server.start(options);
	try {
		await define(server);
	} finally {
		await server.stop();
	}
}

/** pealctl reload: { code, text }. */
const reload = (server) => new Promise((resolve) => {
	execFile(pealctl, ["-s", server.control, "reload"], { timeout: 60000 * patience },
	    (error, out, err) => resolve({ code: error ? error.code ?? error.signal : 0, text: out + err }));
});

const edit = (server, from, to) => {
	const text = fs.readFileSync(server.ini, "utf8");
	assert.match(text, from);
	fs.writeFileSync(server.ini, text.replace(from, to));
};

const status = (server) => server.ctl("status");
const quiet = (server) => until(async () => (await status(server)).phase === "idle", "the old processes to go");

/** All of them hear what is published, once, and nothing else. */
async function alive(server, clients, channel, more) {
	await server.publish(channel, "alive", "1", more);
	for (const c of clients)
		await c.expect("alive", channel);
	for (const c of clients)
		await c.ping();
	assert.equal(clients.filter((c) => c.ended).length, 0);
}

async function audience(server, n, channel) {
	const clients = await server.crowd(n);
	for (const c of clients)
		await c.subscribe(channel);
	return clients;
}

test("workers 1, 4, 2: clients stay, new ones come, the process is the same", () => running({ workers: 1 }, async (server) => {
	const channel = unique(), clients = await audience(server, 20, channel), pid = (await status(server)).pid;
	for (const [n, from] of [[4, 1], [2, 4], [2, 2], [3, 2]]) {
		const router = server.pids("peald: router");
		edit(server, /workers = \d+/, `workers = ${n}`);
		const { code, text } = await reload(server);
		assert.equal(code, 0, text);
		if (n === from) {
			assert.match(text, /^reloaded: nothing has changed\n$/);
			assert.deepEqual(server.pids("peald: router"), router);
		} else {
			assert.match(text, /^reloaded: peal\.workers; \d+ connections? moved\n$/);
		}
		await alive(server, clients, channel);
		await quiet(server);
		assert.equal(server.pids("peald: worker").length, n);
		assert.equal(server.pids("peald: router").length, 1);
		clients.push(...await audience(server, 6, channel));
		await alive(server, clients, channel);
	}
	const s = await status(server);
	assert.equal(s.pid, pid);
	assert.equal(pid, server.child.pid);
	await until(async () => (await status(server)).totals.websockets === clients.length, "all to be counted");
	assert.equal(s.generations.length, 1);
	assert.equal(s.generations[0].generation, 4);
	assert.equal(s.reload.ok, true);
}));

test("the binary is replaced; HUP does it, too", () => {
	const copy = path.join(dir, "peald");
	const install = () => {
		fs.copyFileSync(peald, `${copy}.new`);
		fs.renameSync(`${copy}.new`, copy);
	};

	install();
	return running({ workers: 2, through: ["sh", "-c", `exec "${copy}" "$@"`] }, async (server) => {
		const channel = unique("presence-b"), clients = await server.crowd(10);
		for (const [i, c] of clients.entries()) {
			c.subscribing(channel, { user_id: `u${i % 4}`, user_info: {} });
			await c.skipTo("pusher_internal:subscription_succeeded");
		}
		await server.publish(channel, "start", "1");
		for (const c of clients)
			await c.skipTo("start");
		install();
		const { code, text } = await reload(server);
		assert.equal(code, 0, text);
		assert.match(text, /^reloaded: binary; \d+ connections moved\n$/);
		await alive(server, clients, channel);
		assert.equal(fs.readlinkSync(`/proc/${server.child.pid}/exe`), copy);
		await quiet(server);
		for (const pid of server.pids("peald: "))
			assert.equal(fs.readlinkSync(`/proc/${pid}/exe`), copy);
		const from = server.log.length;
		install();
		server.child.kill("SIGHUP");
		await server.logged(/settings reloaded changed=binary /, from);
		await alive(server, clients, channel);
		// A file that is no peald changes nothing.
		await quiet(server);
		const before = server.pids("peald: ");
		server.allow(/reload refused/);
		fs.writeFileSync(`${copy}.new`, "#!/bin/sh\nexit 3\n", { mode: 0o755 });
		fs.renameSync(`${copy}.new`, copy);
		const bad = await reload(server);
		assert.equal(bad.code, 1, bad.text);
		assert.match(bad.text, /peald/);
		assert.deepEqual(server.pids("peald: "), before);
		await alive(server, clients, channel);
		install();
		assert.equal((await reload(server)).code, 0);
		await alive(server, clients, channel);
		await quiet(server);
		// A binary that came with bad settings comes when these are good again.
		const good = fs.readFileSync(server.ini), old = server.pids("peald: ");
		install();
		edit(server, /workers = 2/, `workers = 3\nlog = ${dir}`);
		assert.match((await reload(server)).text, /log/);
		fs.writeFileSync(server.ini, good);
		await quiet(server);
		assert.deepEqual(server.pids("peald: "), old);
		assert.match((await reload(server)).text, /^reloaded: binary; \d+ connections moved\n$/);
		await alive(server, clients, channel);
		await quiet(server);
		assert.deepEqual(server.pids("peald: ").filter((pid) => old.includes(pid)), []);
		assert.match((await reload(server)).text, /nothing has changed/);
		// Settings that are live need no binary on disk.
		fs.renameSync(copy, `${copy}.away`);
		edit(server, /\[app main\]/, "$&\nclient_events = all");
		assert.match((await reload(server)).text, /^reloaded: app\.main\.client_events\n$/);
		fs.renameSync(`${copy}.away`, copy);
	});
});

test("addresses come and go", () => running({ workers: 2 }, async (server) => {
	const channel = unique(), clients = await audience(server, 8, channel);
	const added = `127.0.0.1:${await freePort()}`, local = path.join(server.dir, "listen.sock");
	edit(server, /address = .*/, `address = ${server.address}\naddress = ${added}\naddress = unix:${local}`);
	assert.match((await reload(server)).text, /^reloaded: listen\.address; \d+ connections moved/);
	clients.push(await server.connect({ address: added }),
	    await server.connect({ url: `ws+unix://${local}:/app/${server.app.key}?protocol=7` }));
	for (const c of clients.slice(8))
		await c.subscribe(channel);
	await alive(server, clients, channel);
	await quiet(server);
	// The first address goes; who came over it stays.
	const old = server.address;
	edit(server, new RegExp(`address = ${old}\n`), "");
	assert.match((await reload(server)).text, /^reloaded: listen\.address; \d+ connections moved/);
	server.address = added;
	await alive(server, clients, channel);
	await quiet(server);
	await assert.rejects(server.connect({ address: old }));
	edit(server, new RegExp(`address = unix:${local}\n`), "");
	assert.equal((await reload(server)).code, 0);
	await quiet(server);
	assert.equal(fs.existsSync(local), false);
	await alive(server, clients, channel);
}));

test("what cannot be changes nothing", () => running({ workers: 2 }, async (server) => {
	const channel = unique(), clients = await audience(server, 6, channel), good = fs.readFileSync(server.ini);
	const before = server.pids("peald: "), taken = net.createServer();
	const port = await new Promise((resolve) => taken.listen(0, "127.0.0.1", () => resolve(taken.address().port)));
	server.allow(/reload refused/);
	for (const [change, why] of [
		[() => edit(server, /workers = 2/, "workers = many"), /workers = many/],
		[() => edit(server, /address = .*/, `$&\naddress = 127.0.0.1:${port}`), /already in use/],
		[() => edit(server, /workers = 2/, `workers = 3\nlog = ${dir}`), /log/],
		[() => edit(server, /workers = 2/, `workers = 2\npid_file = ${dir}/none/pid`), /none\/pid: No such file/],
		[() => edit(server, /address = .*/, `$&\ncertificate = ${dir}/no.pem\ncertificate_key = ${key}`), /no\.pem/],
	]) {
		change();
		const { code, text } = await reload(server);
		assert.equal(code, 1, text);
		assert.match(text, why);
		fs.writeFileSync(server.ini, good);
		await quiet(server);
		assert.deepEqual(server.pids("peald: "), before);
		assert.equal((await status(server)).reload.ok, false);
		await alive(server, clients, channel);
	}
	taken.close();
	assert.equal((await reload(server)).code, 0);
	assert.deepEqual(server.pids("peald: "), before);
}));

const secure = { listeners: { "listen secure": { address: "127.0.0.1:0", certificate: chain, certificate_key: key } } };
const overTls = (server) => server.connect({ url: server.url({ scheme: "wss", address: server.addresses[1] }), wsOptions: { ca } });

test("TLS stays until it is closed; live settings reach it; a third reload waits", () =>
    running({ workers: 1, peal: { reload_drain: "1h" }, app: { client_events: "none" }, ...secure }, async (server) => {
	const channel = unique("private-w"), clients = await audience(server, 4, channel), kept = await overTls(server);
	await kept.subscribe(channel);
	edit(server, /workers = 1/, "workers = 2");
	const { code, text } = await reload(server);
	assert.equal(code, 0, text);
	assert.match(text, /^reloaded: peal\.workers; \d+ connections moved, 1 stays until closed \(TLS: 1\)\n$/);
	await alive(server, [...clients, kept], channel);
	let s = await status(server);
	assert.equal(s.phase, "draining");
	assert.equal(s.kept, 1);
	assert.deepEqual(s.reasons, { TLS: 1 });
	assert.deepEqual(s.generations[1].workers.map((w) => [w.slot, w.kept, w.refused, w.settled, w.why]), [[1, 1, 0, true, "TLS"]]);
	assert.deepEqual(s.generations.map((g) => [g.generation, g.state]), [[2, "in force"], [1, "leaving"]]);
	// Live ones go through at once, to both generations.
	edit(server, /client_events = none/, "client_events = all");
	assert.match((await reload(server)).text, /^reloaded: app\.main\.client_events\n$/);
	kept.send({ event: "client-x", channel, data: {} });
	for (const c of clients)
		await c.expect("client-x", channel);
	// Another replacement waits, and so do all who ask for it.
	const from = server.log.length;
	edit(server, /workers = 2/, "workers = 3");
	const waiting = [reload(server), reload(server)];
	await server.logged(/a reload waits/, from);
	s = await status(server);
	assert.equal(s.reload.waiting, true);
	assert.equal(server.pids("peald: worker").length, 3);
	await alive(server, [...clients, kept], channel);
	kept.socket.close();
	await kept.closed();
	for (const answer of await Promise.all(waiting)) {
		assert.equal(answer.code, 0, answer.text);
		assert.match(answer.text, /^reloaded: peal\.workers; \d+ connections moved\n$/);
	}
	await alive(server, clients, channel);
	await quiet(server);
	assert.equal(server.pids("peald: worker").length, 3);
	assert.equal((await status(server)).generations[0].generation, 3);
}));

test("TLS is drained with 4200 in time", () => running({ workers: 2, peal: { reload_drain: "200ms" }, ...secure }, async (server) => {
	const clients = await Promise.all(Array.from({ length: 6 }, () => overTls(server)));
	edit(server, /workers = 2/, "workers = 1");
	assert.equal((await reload(server)).code, 0);
	for (const c of clients)
		assert.equal((await c.closed()).code, 4200);
	await quiet(server);
	await (await overTls(server)).ping();
}));

/** A TLS connection for HTTP, kept; session: resumes that one. */
async function httpsKept(server, session) {
	const at = server.addresses[1].lastIndexOf(":"), kept = { text: "" };
	kept.socket = tls.connect({ host: "127.0.0.1", port: Number(server.addresses[1].slice(at + 1)), ca, session, servername: "localhost" });
	kept.socket.on("session", (ticket) => { kept.ticket = ticket; });
	kept.socket.on("data", (data) => { kept.text += data; });
	kept.socket.on("error", () => {});
	kept.socket.on("close", () => { kept.closed = true; });
	kept.ask = async () => {
		kept.text = "";
		kept.socket.write("GET /up HTTP/1.1\r\nHost: x\r\n\r\n");
		await until(() => kept.text.endsWith('{"health":"OK"}'), "an answer");
		return /^connection: close/im.test(kept.text);
	};
	await until(() => kept.socket.authorized, "TLS");
	return kept;
}

test("HTTP goes on: half a request, kept connections, what cache channels keep; over TLS the next answer is the last, and sessions stay good",
    () => running({ workers: 2, peal: { reload_drain: "1h" }, ...secure }, async (server) => {
	const channel = unique("cache-h"), target = `/apps/${server.app.id}/events`;
	const body = JSON.stringify({ name: "last", data: "kept", channel });
	const request = `POST ${target}?${server.sign("POST", target, body)} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
	const cuts = [10, request.length - body.length, request.length - 5];
	const wires = await Promise.all(cuts.map(() => server.wire())), kept = await httpsKept(server);
	assert.equal(await kept.ask(), false);
	for (const [i, w] of wires.entries()) {
		w.write(request);
		assert.equal((await w.answer()).status, 200);
		w.write(request.slice(0, cuts[i]));
	}
	edit(server, /workers = 2/, "workers = 3");
	const { code, text } = await reload(server);
	assert.equal(code, 0, text);
	const late = await server.connect();
	await late.subscribe(channel);
	await late.expect("last", channel, "kept");
	for (const [i, w] of wires.entries()) {
		w.write(request.slice(cuts[i]));
		const { status, head } = await w.answer();
		assert.equal(status, 200, head);
		assert.doesNotMatch(head, /^connection: close/im);
		await late.expect("last", channel, "kept");
		w.close();
	}
	const again = await httpsKept(server, kept.ticket);
	assert.equal(again.socket.isSessionReused(), true);
	assert.equal(await again.ask(), false);
	again.socket.destroy();
	assert.equal(await kept.ask(), true);
	await until(() => kept.closed, "the end");
	await quiet(server);
}));

test("sections of rooms, apps and listeners go", () => running({ workers: 2,
    apps: { one: { id: "1", key: "k1", secret: "s1" }, two: { id: "2", key: "k2", secret: "s2" } },
    "rooms r": { app: "one", path: "/room", channel: "room-" }, listeners: { "listen more": { address: "127.0.0.1:0" } } }, async (server) => {
	const app = { id: "1", key: "k1", secret: "s1" }, client = await server.connect({ app }), channel = unique();
	await client.subscribe(channel);
	for (const [from, said] of [[/\[rooms r\][^[]*/, /rooms\.r/], [/\[app two\][^[]*/, /app\.two/], [/\[listen more\][^[]*/, /listen\.more/]]) {
		edit(server, from, "");
		const { code, text } = await reload(server);
		assert.equal(code, 0, text);
		assert.match(text, said);
		await alive(server, [client], channel, { app });
	}
}));

test("an app goes together with a worker: its clients hear so at once", () => running({ workers: 2, peal: { reload_drain: "1h" },
    apps: { one: { id: "1", key: "k1", secret: "s1" }, two: { id: "2", key: "k2", secret: "s2" } } }, async (server) => {
	const app = { id: "1", key: "k1", secret: "s1" }, stays = await server.connect({ app }), goes = [], channel = unique();
	await stays.subscribe(channel);
	for (let i = 0; i < 6; i++)
		goes.push(await server.connect({ app: { id: "2", key: "k2", secret: "s2" } }));
	edit(server, /\[app two\][^[]*/, "");
	edit(server, /workers = 2/, "workers = 3");
	const { code, text } = await reload(server);
	assert.equal(code, 0, text);
	assert.match(text, /6 stay until closed \(its application is gone: 6\)/);
	for (const c of goes)
		await c.refused(4001);
	await alive(server, [stays], channel, { app });
	await quiet(server);
}));

test("a stop at any moment of a reload ends all in good order", async () => {
	for (const [i, signal] of ["SIGTERM", "SIGINT", "SIGQUIT", "SIGTERM", "SIGTERM", "SIGTERM"].entries()) {
		const server = await Server.start({ workers: 2, ...secure });
		const clients = await server.crowd(6), tls = await overTls(server), from = server.log.length;
		const moments = [/all processes are to be replaced/, /becoming the binary/, /goes on in the binary/, /new processes are started/, /new processes are in force/, /settings reloaded/];
		server.allow(/reload refused|elder lost|heir lost/);
		edit(server, /workers = 2/, "workers = 3");
		const answer = reload(server);
		await server.logged(moments[i], from);
		const children = server.pids("peald: ");
		server.child.kill(signal);
		await server.gone;
		assert.equal(server.status, 0, server.log);
		await answer;
		for (const c of [...clients, tls])
			await c.closed();
		// One that was only tried is killed, and init's to bury.
		await until(() => !children.some((pid) => fs.existsSync(`/proc/${pid}`)), "all to be gone");
		await server.stop();
	}
});

test("USR1 opens the log again for all generations", () => running({ workers: 1, peal: { reload_drain: "1h" }, ...secure }, async (server) => {
	const kept = await overTls(server), log = path.join(server.dir, "peal.log");
	edit(server, /workers = 1/, `workers = 2\nlog = ${log}\nlog_level = debug`);
	assert.equal((await reload(server)).code, 0);
	await until(() => fs.existsSync(log), "the log");
	fs.renameSync(log, `${log}.1`);
	server.child.kill("SIGUSR1");
	await until(() => fs.existsSync(log) && /log reopened/.test(fs.readFileSync(log, "utf8")), "the new log");
	const size = fs.statSync(`${log}.1`).size;
	kept.socket.close();
	await kept.closed();
	await quiet(server);
	assert.match(fs.readFileSync(log, "utf8"), /old processes are gone/);
	assert.equal(fs.statSync(`${log}.1`).size, size);
}));

/** A reload whose new processes are started, while the old router, which does not
 * run, can tell its heir nothing: ctx.fresh are the new ones. */
async function raising(server, define) {
	const old = server.pids("peald: "), [router] = server.pids("peald: router"), from = server.log.length;
	server.allow(/killed|has died|reload refused|router lost|old router|has not answered|heir|elder|predecessor/);
	edit(server, /workers = 2/, "workers = 3");
	process.kill(router, "SIGSTOP");
	const answer = reload(server);
	await server.logged(/new processes are started/, from);
	await until(() => server.pids("peald: ").length === old.length + 4, "the new ones");
	await define({ old, router, answer, fresh: (title) => server.pids(title).filter((pid) => !old.includes(pid)) });
}

const slow = { workers: 2, peal: { watchdog: "6s" } };

test("a new process that dies before it is ready: nothing has changed", () => running({ ...slow, peal: { watchdog: "60s" } }, async (server) => {
	const channel = unique(), clients = await audience(server, 8, channel);
	for (const title of ["peald: worker", "peald: router"]) {
		await raising(server, async ({ old, router, answer, fresh }) => {
			process.kill(fresh(title)[0], "SIGKILL");
			const { code, text } = await answer;
			assert.equal(code, 1, text);
			assert.match(text, /the new (worker \d|router) has died/);
			process.kill(router, "SIGCONT");
			await quiet(server);
			assert.deepEqual(server.pids("peald: "), old);
			await alive(server, clients, channel);
		});
		edit(server, /workers = 3/, "workers = 2");
	}
	// Meanwhile nothing was hurt: the next one does it.
	edit(server, /workers = 2/, "workers = 1");
	assert.equal((await reload(server)).code, 0);
	await alive(server, clients, channel);
}));

test("a router that dies before it can yield: it is as after a crash", () => running(slow, async (server) => {
	const channel = unique(), clients = await audience(server, 8, channel);
	await raising(server, async ({ router, answer, old }) => {
		process.kill(router, "SIGKILL");
		const { code, text } = await answer;
		assert.equal(code, 0, text);
		await alive(server, clients, channel);
		await quiet(server);
		assert.deepEqual(server.pids("peald: ").filter((pid) => old.includes(pid)), []);
	});
}));

test("a router that hangs is not waited for", () => running(slow, async (server) => {
	const channel = unique(), clients = await audience(server, 8, channel);
	await raising(server, async ({ answer }) => {
		const { code, text } = await answer;
		assert.equal(code, 0, text);
		await alive(server, clients, channel);
	});
}));

test("new processes that are not ready in time: nothing has changed", () => running({ ...slow, peal: { watchdog: "60s" } }, async (server) => {
	const channel = unique(), clients = await audience(server, 8, channel);
	await raising(server, async ({ router, answer, fresh, old }) => {
		const workers = server.pids("peald: worker").filter((pid) => old.includes(pid));
		for (const pid of fresh("peald: "))
			process.kill(pid, "SIGSTOP");
		process.kill(router, "SIGKILL");
		const { code, text } = await answer;
		assert.equal(code, 1, text);
		assert.match(text, /not ready in time: .*router/);
		await quiet(server);
		assert.deepEqual(server.pids("peald: worker"), workers);
		await until(() => server.pids("peald: router").length === 1, "a router");
		await alive(server, clients, channel);
	});
}));

test("a worker in force that dies meanwhile comes back after a failure", () => running({ ...slow, peal: { watchdog: "60s" } }, async (server) => {
	await raising(server, async ({ router, answer, fresh, old }) => {
		const victim = server.pids("peald: worker").find((pid) => old.includes(pid));
		process.kill(victim, "SIGKILL");
		await server.logged(/worker \d has died pid/);
		process.kill(fresh("peald: worker")[0], "SIGKILL");
		assert.equal((await answer).code, 1);
		process.kill(router, "SIGCONT");
		await quiet(server);
		await until(() => server.pids("peald: worker").length === 2, "two workers");
		const clients = await audience(server, 6, "room");
		await alive(server, clients, "room");
	});
}));

test("an old worker that hangs costs its own connections", () => running(slow, async (server) => {
	// So many that neither worker is without any, and not by luck.
	const channel = unique(), clients = await audience(server, 40, channel);
	const [victim] = server.pids("peald: worker");
	server.allow(/killed|has died|has not answered|elder|heir|worker/);
	process.kill(victim, "SIGSTOP");
	edit(server, /workers = 2/, "workers = 3");
	assert.equal((await reload(server)).code, 0);
	await quiet(server);
	const rest = clients.filter((c) => !c.ended);
	assert.ok(rest.length > 0 && rest.length < clients.length, `${rest.length} of ${clients.length}`);
	await alive(server, rest, channel);
}));

test("who asks during a reload has the next one", () => running({ workers: 1 }, async (server) => {
	const answers = [], clients = await audience(server, 4, "room");
	edit(server, /workers = 1/, "workers = 2");
	for (let i = 0; i < 5; i++)
		answers.push(reload(server));
	const texts = (await Promise.all(answers)).map(({ code, text }) => (assert.equal(code, 0, text), text));
	assert.ok(texts.some((t) => /^reloaded: peal\.workers; /.test(t)), texts.join(""));
	assert.equal(texts.filter((t) => !/^reloaded: (peal\.workers; |nothing has changed)/.test(t)).length, 0, texts.join(""));
	await quiet(server);
	assert.equal((await status(server)).generations[0].generation, 2);
	await alive(server, clients, "room");
}));

test("who hangs up while he waits makes room; who only has closed his side is answered", () =>
    running({ workers: 1, peal: { reload_drain: "1h" }, ...secure }, async (server) => {
	const kept = await overTls(server), line = `${JSON.stringify({ verb: "reload" })}\n`;
	edit(server, /workers = 1/, "workers = 2");
	assert.equal((await reload(server)).code, 0);
	edit(server, /workers = 2/, "workers = 3");
	const half = net.connect({ path: server.control, allowHalfOpen: true });
	half.end(line);
	for (let i = 0; i < 40; i++) {
		const s = net.connect(server.control);
		await new Promise((resolve) => s.write(line, resolve));
		s.destroy();
	}
	assert.equal((await status(server)).reload.waiting, true);
	kept.socket.close();
	await kept.closed();
	const [answer] = await within(once(half, "data"), "the answer");
	assert.equal(JSON.parse(answer).changed, "peal.workers");
	await quiet(server);
}));

test("a master that is short of descriptors: all are handed over", () => running({ workers: 2 }, async (server) => {
	const channel = unique(), clients = await audience(server, 20, channel);
	// Enough for the processes, and not for all that they are sent at once.
	const { length } = fs.readdirSync(`/proc/${server.child.pid}/fd`);
	execFileSync("prlimit", ["--pid", server.child.pid, `--nofile=${length + 44}`]);
	edit(server, /workers = 2/, "workers = 8");
	assert.match((await reload(server)).text, /^reloaded: peal.workers; 20 connections moved\n$/);
	await alive(server, clients, channel);
	await quiet(server);
}));

test("a second signal hurries, both generations", () => running({ workers: 1, peal: { reload_drain: "1h", drain_timeout: "1h" }, ...secure }, async (server) => {
	const kept = await overTls(server), clients = await server.crowd(3);
	edit(server, /workers = 1/, "workers = 2");
	assert.equal((await reload(server)).code, 0);
	// Who hears of it first may be gone before others have heard.
	server.allow(/elder lost/);
	server.child.kill("SIGTERM");
	await server.logged(/stopping grace_ms=3600000/);
	server.child.kill("SIGTERM");
	await server.gone;
	assert.equal(server.status, 0);
	for (const c of [kept, ...clients])
		assert.equal((await c.closed()).code, 4200);
}));

test("a stop drains both generations in its time", () => running({ workers: 1, peal: { reload_drain: "1h", drain_timeout: "300ms" }, ...secure }, async (server) => {
	const kept = await overTls(server), clients = await server.crowd(3);
	edit(server, /workers = 1/, "workers = 2");
	assert.equal((await reload(server)).code, 0);
	server.child.kill("SIGTERM");
	for (const c of [kept, ...clients])
		assert.equal((await c.closed()).code, 4200);
	await server.gone;
	assert.equal(server.status, 0);
}));

test("the master killed at any moment of a reload: its children end, the next start works", async () => {
	const moments = [/becoming the binary/, /goes on in the binary/, /new processes are started/, /new processes are in force/, /settings reloaded/];
	const local = path.join(dir, "killed.sock"), pidFile = path.join(dir, "killed.pid");
	const options = { workers: 2, peal: { reload_drain: "1h", pid_file: pidFile }, listen: { address: ["127.0.0.1:0", `unix:${local}`] }, ...secure };
	for (const moment of moments) {
		const server = await Server.start(options);
		server.allow(/./);
		const clients = await server.crowd(6), from = server.log.length;
		clients.push(await server.connect({ url: server.url({ scheme: "wss", address: server.addresses[2] }), wsOptions: { ca } }));
		edit(server, /workers = 2/, "workers = 3");
		const answer = reload(server);
		await server.logged(moment, from);
		const children = server.pids("peald: ");
		server.child.kill("SIGKILL");
		await answer;
		for (const c of clients)
			await c.closed();
		// Where nobody reaps orphans, a zombie is as good as gone.
		await until(() => !children.some((pid) => {
			try {
				return !/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1"));
			} catch {
				return false;
			}
		}), "the children to end");
		await server.stop({ status: "SIGKILL" });
	}
	const next = await Server.start(options);
	await (await next.connect()).ping();
	await next.stop();
});
