// SPDX-License-Identifier: MIT
// Where clients connect: TLS, unix sockets, IPv6, several at once; the prefix.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import tls from "node:tls";
import { Server, Wire, ini, live, patience, pealctl, unique, until, within } from "./harness.mjs";

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-tls-"));
const key = path.join(dir, "key.pem"), chain = path.join(dir, "chain.pem");
execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", chain], { stdio: "ignore" });
const ca = fs.readFileSync(chain);
after(() => fs.rmSync(dir, { recursive: true, force: true }));

live("tls", { listeners: { "listen secure": { address: "127.0.0.1:0", certificate: chain, certificate_key: key } } }, (s) => {
	const secure = () => s.server.addresses[1];

	test("wss and https beside plain, one set of channels", async () => {
		const channel = unique("presence-tls");
		const a = await s.server.connect({ url: s.server.url({ scheme: "wss", address: secure() }), wsOptions: { ca } });
		const b = await s.server.connect();
		await a.subscribe(channel, { user_id: "a", user_info: {} });
		await b.subscribe(channel, { user_id: "b", user_info: {} });
		await a.expect("pusher_internal:member_added", channel);
		const { status } = await s.server.call("POST", `/apps/${s.server.app.id}/events`,
		    { name: "e", data: "x".repeat(8000), channel }, { secure: true, address: secure(), tls: { ca } });
		assert.equal(status, 200);
		await a.expect("e", channel, "x".repeat(8000));
		await b.expect("e", channel, "x".repeat(8000));
		a.send({ event: "client-x", channel, data: {} });
		await b.expect("client-x", channel);
	});

	test("large messages both ways", async () => {
		const a = await s.server.connect({ url: s.server.url({ scheme: "wss", address: secure() }), wsOptions: { ca } });
		const text = JSON.stringify({ event: "pusher:ping", data: "x".repeat(9900) });
		for (let i = 0; i < 50; i++)
			a.send(text);
		for (let i = 0; i < 50; i++)
			await a.expect("pusher:pong");
	});

	test("sessions are resumed, whichever worker answers", async () => {
		const connect = (session) => within(new Promise((resolve, reject) => {
			const at = secure().lastIndexOf(":");
			const socket = tls.connect({ host: secure().slice(0, at), port: Number(secure().slice(at + 1)), ca, session, servername: "localhost" }, () => {
				const reused = socket.isSessionReused();
				socket.write("GET /up HTTP/1.1\r\nHost: x\r\n\r\n");
				let ticket;
				socket.on("session", (t) => { ticket = t; });
				socket.on("data", () => { socket.end(); });
				socket.on("close", () => resolve({ reused, ticket }));
			});
			socket.on("error", reject);
		}), "TLS handshake");
		const { ticket } = await connect();
		assert.ok(ticket);
		for (let i = 0; i < 6; i++)
			assert.equal((await connect(ticket)).reused, true);
	});

	test("old TLS versions and plain HTTP are refused, others notice nothing", async () => {
		const a = await s.server.connect({ url: s.server.url({ scheme: "wss", address: secure() }), wsOptions: { ca } });
		const at = secure().lastIndexOf(":");
		await within(new Promise((resolve, reject) => {
			const socket = tls.connect({ host: "127.0.0.1", port: Number(secure().slice(at + 1)), ca, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL@SECLEVEL=0" }, () => reject(new Error("TLS 1.1 was accepted")));
			socket.on("error", resolve);
		}), "refusal");
		const w = await s.server.wire({ address: secure() });
		w.write("GET /up HTTP/1.1\r\nHost: x\r\n\r\n");
		assert.doesNotMatch(await w.rest(), /health/);
		await a.ping();
	});
});

live("tls 1.3 only", { workers: [1], listeners: { "listen secure": { address: "127.0.0.1:0", certificate: chain, certificate_key: key, tls_min_version: "1.3" } } }, (s) => {
	test("1.2 is refused, 1.3 is taken", async () => {
		const port = Number(s.server.addresses[1].split(":").at(-1));
		const attempt = (maxVersion) => within(new Promise((resolve) => {
			const socket = tls.connect({ host: "127.0.0.1", port, ca, maxVersion }, () => { resolve(socket.getProtocol()); socket.destroy(); });
			socket.on("error", () => resolve("refused"));
		}), "TLS");
		assert.equal(await attempt("TLSv1.2"), "refused");
		assert.equal(await attempt("TLSv1.3"), "TLSv1.3");
	});
});

const socketDir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-unix-"));
after(() => fs.rmSync(socketDir, { recursive: true, force: true }));
const noIPv6 = !Object.values(os.networkInterfaces()).flat().some((i) => i.address === "::1") && "no IPv6 here";
for (const workers of [1, 3])
	test(`unix socket, IPv6 and several addresses (${workers})`, { skip: noIPv6 }, async () => {
		const socketPath = path.join(socketDir, `peal-${workers}.sock`);
		const server = await Server.start({ workers, listen: { address: ["127.0.0.1:0", "[::1]:0", `unix:${socketPath}`], unix_mode: "0600" } });
		try {
			assert.equal(server.addresses.length, 3, server.log);
			const six = server.addresses.find((a) => a.startsWith("["));
			assert.equal(fs.statSync(socketPath).mode & 0o777, 0o600);
			const a = await server.connect();
			const b = await server.connect({ address: six });
			const c = await server.connect({ url: `ws+unix://${socketPath}:/app/${server.app.key}?protocol=7` });
			for (const one of [a, b, c])
				await one.subscribe("room");
			for (const more of [{ address: six }, { socketPath }, {}])
				await server.publish("room", "e", "1", more);
			for (const one of [a, b, c])
				for (let i = 0; i < 3; i++)
					await one.expect("e", "room");
			assert.equal((await server.request("GET", "/up", "", { socketPath })).text, '{"health":"OK"}');
		} finally {
			await server.stop();
		}
	});

live("path prefix", { http: { path: "/ws/peal" } }, (s) => {
	test("everything lies under it, nothing beside it", async () => {
		const c = await s.server.connect();
		await c.subscribe("room");
		assert.equal((await s.server.request("GET", "/ws/peal/up")).status, 200);
		assert.equal((await s.server.request("GET", "/up")).status, 404);
		assert.equal((await s.server.request("GET", "/ws/pealup")).status, 404);
		await assert.rejects(s.server.open({ prefix: "" }));
		// pusher-http-php signs without the prefix, others with it.
		for (const prefix of ["", "/ws/peal"]) {
			await s.server.publish("room", "e", "1", { prefix });
			await c.expect("e", "room");
		}
		assert.equal((await s.server.get("/channels", {}, { prefix: "/other" })).status, 401);
		assert.equal((await s.server.get("/channels", {}, { sendPrefix: "" })).status, 404);
	});
});

live("many from one address", { workers: [1], http: { max_connections_per_address: 5 } }, (s) => {
	test("the sixth is turned away, a place that is given back counts", async () => {
		const crowd = await s.server.crowd(5);
		await assert.rejects(s.server.open());
		await crowd[0].ping();
		await crowd[1].kill();
		for (let i = 0; ; i++)
			try {
				await (await s.server.connect()).ping();
				break;
			} catch (error) {
				if (i > 100)
					throw error;
			}
	});
});

// ---- over reloads that replace all processes -------------------------------------

/** Writes the settings anew: { section: { key: value } }, as Server.start makes
 * them but for what is given here. */
function rewrite(server, sections, order = Object.keys(sections)) {
	let text = fs.readFileSync(server.ini, "utf8");
	for (const name of order) {
		text = text.replace(new RegExp(`^\\[${name}\\]\\n([^[]*\\n)?`, "m"), "");
		if (sections[name])
			text += `\n${ini({ [name]: sections[name] })}`;
	}
	fs.writeFileSync(server.ini, text);
}

const peal = (server, changes) => ({ workers: server.workers, control: server.control, jail: process.env.PEAL_TEST_JAIL ?? "on",
    drain_timeout: "0", ...(process.getuid() === 0 ? { user: "nobody" } : {}), ...changes });

/** Where it listens now. */
const addresses = async (server) => (await server.ctl("status")).addresses.map((l) => l.address);

/** New clients all the time; stop() gives what went wrong and how many came. */
function stream(server, address = server.address) {
	const wrong = [];
	let on = true, n = 0;
	const one = async () => {
		while (on)
			try {
				const c = await server.connect({ address });
				await c.ping();
				c.socket.terminate();
				server.clients.delete(c);
				n++;
			} catch (error) {
				wrong.push(error.message);
			}
	};
	const all = Promise.all(Array.from({ length: 8 }, one));
	return { stop: async () => { on = false; await all; return { wrong, n }; }, get n() { return n; } };
}

const refused = (address) => within(new Promise((resolve) => {
	const at = address.lastIndexOf(":");
	const socket = net.connect(Number(address.slice(at + 1)), address.slice(0, at));
	socket.on("connect", () => { resolve(false); socket.destroy(); });
	socket.on("error", (error) => resolve(error.code === "ECONNREFUSED"));
}), "a connection or none");

test("4, 2, 4 and 5 workers: the port stays, nobody who comes is refused, all workers get some", async () => {
	const server = await Server.start({ workers: 4 });
	try {
		const crowd = await server.crowd(20), before = await addresses(server);
		for (const workers of [2, 4, 5]) {
			const coming = stream(server);
			rewrite(server, { peal: peal(server, { workers }) });
			await server.ctl("reload");
			const came = coming.n;
			await until(() => coming.n > came + 50, "more to come");
			const { wrong } = await coming.stop();
			assert.deepEqual(wrong, []);
			assert.deepEqual(await addresses(server), before);
			const all = await Promise.all(Array.from({ length: 40 * workers }, () => server.connect()));
			const status = await until(async () => {
				const now = await server.ctl("status");
				return now.workers.every((w) => w.accepted > 0) && now;
			}, "all workers to have some");
			assert.equal(status.workers.length, workers);
			for (const c of all)
				c.socket.terminate();
		}
		for (const c of crowd)
			await c.ping();
	} finally {
		await server.stop();
	}
});

test("addresses come and go; what stays keeps its port, and nobody is disconnected", async () => {
	const server = await Server.start({ workers: 2, listen: { address: ["127.0.0.1:0", "127.0.0.1:0"] }, listeners: { "listen b": { address: "127.0.0.1:0" } } });
	const file = path.join(socketDir, "reload.sock"), unix = `unix:${file}`;
	try {
		const [first, second, b] = server.addresses;
		const clients = await Promise.all([first, second, b].map((address) => server.connect({ address })));
		const coming = stream(server, first);
		// A section more, before those that stay: their numbers change.
		rewrite(server, { listen: null, "listen b": null, "listen new": { address: ["127.0.0.1:0", unix], unix_mode: "0600" } });
		fs.appendFileSync(server.ini, ini({ listen: { address: ["127.0.0.1:0", "127.0.0.1:0"] }, "listen b": { address: b } }));
		await server.ctl("reload");
		const [fresh, ...rest] = await addresses(server);
		assert.deepEqual(rest, [unix, first, second, b]);
		assert.equal(fs.statSync(file).mode & 0o777, 0o600);
		await (await server.connect({ address: fresh })).ping();
		const w = await server.connect({ url: `ws+unix:${file}:/app/${server.app.key}?protocol=7` });
		// One goes, one is written another way, the unix socket's mode changes.
		rewrite(server, { listen: { address: second }, "listen new": { address: unix, unix_mode: "0640" } });
		const { wrong } = await coming.stop();
		assert.deepEqual(wrong, []);
		await server.ctl("reload");
		assert.deepEqual((await addresses(server)).sort(), [second, b, unix].sort());
		assert.ok(await refused(first));
		assert.ok(await refused(fresh));
		assert.equal(fs.statSync(file).mode & 0o777, 0o640);
		await (await server.connect({ address: second })).ping();
		rewrite(server, { "listen new": null });
		await server.ctl("reload");
		assert.equal(fs.existsSync(file), false);
		for (const c of [...clients, w])
			await c.ping();
	} finally {
		await server.stop();
	}
});

test("an address that goes: who was let in is served, who comes later is refused, nobody is reset", async () => {
	const server = await Server.start({ workers: 2, listeners: { "listen b": { address: "127.0.0.1:0" } } });
	try {
		const [, b] = server.addresses, port = Number(b.slice(b.lastIndexOf(":") + 1));
		let served = 0;
		const ask = () => new Promise((resolve) => {
			const socket = net.connect(port, "127.0.0.1", () => socket.write("GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
			let text = "";
			socket.on("data", (data) => { text += data; });
			socket.on("error", (error) => resolve(error.code));
			socket.on("close", () => resolve(text.includes('{"health":"OK"}') ? null : `"${text}"`));
		});
		const each = Array.from({ length: 16 }, async () => {
			for (;;) {
				const why = await within(ask(), "an answer");
				if (why !== null)
					return why;
				served++;
			}
		});
		await until(() => served > 100, "some to be served");
		rewrite(server, { "listen b": null });
		await server.ctl("reload");
		assert.deepEqual(await Promise.all(each), each.map(() => "ECONNREFUSED"));
	} finally {
		await server.stop();
	}
});

test("an address that cannot be had: the reload says which, and nothing has changed", async () => {
	const server = await Server.start({ workers: 2 }), other = net.createServer();
	try {
		const before = await addresses(server), c = await server.connect();
		await within(new Promise((resolve) => other.listen(0, "127.0.0.1", resolve)), "a port");
		const taken = `127.0.0.1:${other.address().port}`, file = path.join(socketDir, "never.sock");
		rewrite(server, { "listen b": { address: [`unix:${file}`, taken] }, peal: peal(server, { workers: 3 }) });
		server.allow(/reload refused|already in use/);
		await assert.rejects(server.ctl("reload"), new RegExp(`${taken}: already in use`));
		assert.deepEqual(await addresses(server), before);
		assert.equal(fs.existsSync(file), false);
		await c.ping();
		await (await server.connect()).ping();
	} finally {
		other.close();
		await server.stop();
	}
});

test("after a reload TLS clients are told 4200, spread over reload_drain; others stay", async () => {
	const DRAIN = 3 * patience;
	const server = await Server.start({ workers: 2, peal: { reload_drain: `${DRAIN}s` },
	    listeners: { "listen secure": { address: "127.0.0.1:0", certificate: chain, certificate_key: key } } });
	try {
		const where = { url: server.url({ scheme: "wss", address: server.addresses[1] }), wsOptions: { ca } };
		const plain = await server.crowd(10), secure = await server.crowd(60, where);
		const when = [];
		for (const c of secure)
			c.end.then(() => when.push(performance.now()));
		// The TLS section gets another number.
		rewrite(server, { peal: peal(server, { reload_drain: `${DRAIN}s` }), "listen secure": null, listen: null });
		fs.appendFileSync(server.ini, ini({ "listen secure": { address: "127.0.0.1:0", certificate: chain, certificate_key: key }, listen: { address: "127.0.0.1:0", backlog: 1000 } }));
		await server.ctl("reload");
		assert.deepEqual((await addresses(server)).sort(), [...server.addresses].sort());
		assert.ok(when.length < secure.length / 2, `${when.length} were told at once`);
		await (await server.connect(where)).ping();
		for (const c of secure)
			await c.refused(4200);
		await until(() => when.length === secure.length, "the last one's end");
		assert.ok(when.at(-1) - when[0] > DRAIN * 500, `all within ${Math.round(when.at(-1) - when[0])} ms`);
		for (const c of plain)
			await c.ping();
	} finally {
		await server.stop();
	}
});

test("who serves what is kept for connections that are moved to other workers", async () => {
	// The section of the numbers stands in front: one that is not kept is its.
	const s = await Server.start({ workers: 1, listen: { serve: "metrics" }, listeners: { "listen public": { address: "127.0.0.1:0" } } });
	const [numbers, open] = s.addresses;
	const a = await Wire.open(s, { address: numbers }), b = await Wire.open(s, { address: open });
	const get = async (wire) => {
		wire.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
		return (await wire.answer()).status;
	};
	for (const workers of [1, 2, 1]) {
		const text = fs.readFileSync(s.ini, "utf8");
		fs.writeFileSync(s.ini, text.replace(/workers = \d+/, `workers = ${workers}`));
		const said = execFileSync(pealctl, ["-s", s.control, "reload"], { encoding: "utf8" });
		assert.match(said, workers === 1 && !text.includes("workers = 2") ? /nothing has changed/ : /; 2 connections moved/);
		assert.equal(await get(a), 200);
		assert.equal(await get(b), 404);
	}
	a.close();
	b.close();
	await s.stop();
});
