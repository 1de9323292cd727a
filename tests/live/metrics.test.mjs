// SPDX-License-Identifier: MIT
// /metrics: where, for whom, in which form; and what a real Prometheus makes of it,
// also while processes die and are replaced.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import WebSocket from "ws";
import { APP, Server, Wire, live, unique, until, within } from "./harness.mjs";
import { Prometheus, noPrometheus, promtool } from "./prometheus.mjs";

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-metrics-"));
fs.chmodSync(dir, 0o755);
after(() => fs.rmSync(dir, { recursive: true, force: true }));
const TOKEN = "0123456789abcdef0123";
const bearer = { Authorization: `Bearer ${TOKEN}` };

/** The address that is not the clients'. */
const own = (s) => s.addresses.find((a) => a !== s.address && !a.startsWith("unix:"));
/** GET on a connection of its own. */
const get = (s, target = "/metrics", { address = own(s), ...options } = {}) =>
	s.request("GET", target, "", { address, agent: false, ...options });
const edit = (s, from, to) => {
	const text = fs.readFileSync(s.ini, "utf8");
	assert.match(text, from);
	fs.writeFileSync(s.ini, text.replace(from, to));
};

async function running(options, define) {
	const s = await Server.start(options);
	try {
		await define(s);
	} finally {
		await s.stop();
	}
}

/** { name{labels}: number } of a text. */
const numbers = (text) => Object.fromEntries(text.split("\n").filter((line) => line && !line.startsWith("#"))
    .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));

// ---- where and for whom ---------------------------------------------------------

live("an address of their own", { workers: [1, 3], metrics: { address: "127.0.0.1:0" }, rooms: {} }, (s) => {
	test("numbers and health, and nothing else", async () => {
		for (let i = 0; i < 6; i++) {
			assert.equal((await get(s.server)).status, 200);
			assert.equal((await get(s.server, "/up")).status, 200);
			assert.equal((await get(s.server, "/ready")).status, 200);
			for (const target of ["/", "/nothing", "/sse/7", "/peal/", `/apps/${APP.id}/channels`, `/app/${APP.key}`])
				assert.equal((await get(s.server, target)).status, 404, target);
			const socket = new WebSocket(s.server.url({ address: own(s.server) }));
			const [, answer] = await within(once(socket.on("error", () => {}), "unexpected-response"), "a refusal");
			answer.resume();
			assert.equal(answer.statusCode, 404);
			socket.terminate();
		}
	});

	test("not where clients connect", async () => {
		for (let i = 0; i < 6; i++)
			assert.equal((await get(s.server, "/metrics", { address: s.server.address })).status, 404);
	});

	test("methods", async () => {
		const ask = (method, body) => s.server.request(method, "/metrics", body, { address: own(s.server) });
		const head = await ask("HEAD");
		assert.equal(head.status, 200);
		assert.ok(Number(head.headers["content-length"]) > 1000);
		assert.equal(head.text, "");
		const post = await ask("POST", "{}");
		assert.deepEqual([post.status, post.headers.allow], [405, "GET, HEAD, OPTIONS"]);
		assert.equal((await ask("OPTIONS")).status, 200);
	});

	test("two forms", async () => {
		const plain = await get(s.server), open = await get(s.server, "/metrics", { headers: {
			Accept: "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2" } });
		assert.equal(plain.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
		assert.equal(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
		assert.ok(open.text.endsWith("# EOF\n"));
		assert.doesNotMatch(plain.text, /EOF/);
		assert.match(open.headers.vary, /Accept/);
		if (!noPrometheus)
			promtool(["check", "metrics"], plain.text);
	});

	test("many at once, and who does not wait for the answer", async () => {
		const gone = await Promise.all(Array.from({ length: 20 }, () => Wire.open(s.server, { address: own(s.server) })));
		for (const w of gone) {
			w.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3));
			w.close();
		}
		const all = await Promise.all(Array.from({ length: 50 }, () => get(s.server)));
		assert.ok(all.every(({ status, text }) => status === 200 && text.length > 1000));
		const w = await Wire.open(s.server, { address: own(s.server) });
		w.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(5));
		for (let i = 0; i < 5; i++)
			assert.equal((await w.answer()).status, 200);
		w.close();
	});
});

test("token and address, said in the log, and the token never", () => running({ workers: 1,
	metrics: { address: "127.0.0.1:0", token: TOKEN, allow: "127.0.0.1" }, http: { trusted_proxies: "127.0.0.9" } }, async (s) => {
	assert.equal((await get(s, "/metrics", { headers: bearer })).status, 200);
	const none = await get(s), wrong = await get(s, "/metrics", { headers: { Authorization: `Bearer ${TOKEN}x` } });
	for (const answer of [none, wrong]) {
		assert.equal(answer.status, 401);
		assert.equal(answer.headers["www-authenticate"], 'Bearer realm="metrics"');
	}
	await s.logged(/refused metrics from=127\.0\.0\.1 .*no token/);
	await s.logged(/refused metrics from=127\.0\.0\.1 .*wrong token/);
	// Another address; and a proxy that passes on for somebody, good or not.
	const from = (localAddress, forwarded) => get(s, "/metrics", { tls: { localAddress },
	    headers: { ...bearer, ...(forwarded ? { "X-Forwarded-For": forwarded } : {}) } });
	assert.equal((await from("127.0.0.5")).status, 403);
	assert.equal((await from("127.0.0.5", "127.0.0.1")).status, 403);
	assert.equal((await from("127.0.0.9")).status, 403);
	assert.equal((await from("127.0.0.9", "10.1.1.1")).status, 403);
	assert.equal((await from("127.0.0.9", "127.0.0.1")).status, 200);
	await s.logged(/refused metrics from=127\.0\.0\.5 .*address/);
	await s.logged(/status=403 .*from=10\.1\.1\.1/);	// only so many lines a second say more
	assert.ok(!s.log.includes(TOKEN));
	// Health is for everybody.
	assert.equal((await get(s, "/ready", { tls: { localAddress: "127.0.0.5" } })).status, 200);
}));

test("shared with clients, behind http.path; unix sockets by name", () => {
	const socketPath = path.join(dir, "s");
	return running({ workers: 2, metrics: { shared: "yes", allow: "unix", path: "/numbers" }, http: { path: "/ws" },
		listeners: { "listen local": { address: `unix:${socketPath}`, unix_mode: "0666" } } }, async (s) => {
		assert.equal((await get(s, "/ws/numbers", { socketPath, address: s.address })).status, 200);
		assert.equal((await get(s, "/ws/metrics", { socketPath, address: s.address })).status, 404);
		assert.equal((await get(s, "/numbers", { socketPath, address: s.address })).status, 404);
		assert.equal((await get(s, "/ws/numbers", { address: s.address })).status, 403);
	});
});

test("TLS, as [listen metrics] of its own", () => {
	const key = path.join(dir, "key.pem"), chain = path.join(dir, "chain.pem");
	execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
	    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", chain], { stdio: "ignore" });
	return running({ workers: 1, listeners: { "listen numbers": { address: "127.0.0.1:0", serve: "metrics", certificate: chain, certificate_key: key } } },
	    async (s) => {
		const answer = await get(s, "/metrics", { secure: true, tls: { ca: fs.readFileSync(chain) } });
		assert.equal(answer.status, 200);
		assert.equal((await get(s, `/app/${APP.key}`, { secure: true, tls: { ca: fs.readFileSync(chain) } })).status, 404);
	});
});

test("connections keep their place over a reload that replaces all processes; settings are taken live", () => running({ workers: 1,
	metrics: { address: "127.0.0.1:0" } }, async (s) => {
	const numbersWire = await Wire.open(s, { address: own(s) }), clientsWire = await s.wire();
	const ask = async (w, target, more = "") => {
		w.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n${more}\r\n`);
		return (await w.answer()).status;
	};
	const places = async () => [await ask(numbersWire, "/metrics"), await ask(numbersWire, "/apps/1001/channels"),
	    await ask(clientsWire, "/metrics"), await ask(clientsWire, "/apps/1001/channels")];
	assert.deepEqual(await places(), [200, 404, 404, 401]);
	edit(s, /workers = 1/, "workers = 3");
	await s.ctl("reload");
	await until(() => s.pids("peald: worker").length === 3, "the old worker to go");
	assert.deepEqual(await places(), [200, 404, 404, 401]);
	edit(s, /\[metrics\]\n/, `[metrics]\ntoken = ${TOKEN}\nshared = yes\n`);
	await s.ctl("reload");
	assert.deepEqual(await places(), [401, 404, 401, 401]);
	assert.equal(await ask(clientsWire, "/metrics", `Authorization: Bearer ${TOKEN}\r\n`), 200);
	numbersWire.close();
	clientsWire.close();
}));

// ---- Prometheus -----------------------------------------------------------------

async function watched(options, define, { more } = {}) {
	await running({ metrics: { address: "127.0.0.1:0" }, app: { ping_interval: "1h", activity_timeout: "1h" }, ...options }, async (s) => {
		const prom = await Prometheus.start({ targets: [own(s)], more });
		try {
			await define(s, prom);
		} finally {
			await prom.stop();
		}
	});
}

test("Prometheus counts what clients did", { skip: noPrometheus }, () => watched({ workers: 2,
	apps: { main: { ...APP, ping_interval: "1h", client_events: "all" }, other: { id: "7", key: "key-7", secret: "secret-7", ping_interval: "1h" } },
	rooms: { app: "other", ping_interval: "1h" }, metrics: { address: "127.0.0.1:0", token: TOKEN },
}, async (s, prom) => {
	const other = { id: "7", key: "key-7", secret: "secret-7" };
	const main = '{app="1001",front="pusher"}', room = '{app="7",front="rooms"}', api = '{app="1001",front="api"}';
	assert.equal((await get(s)).status, 401);
	await prom.is("up", 1);
	const crowd = await s.crowd(10), sse = await s.wire();
	for (const c of crowd)
		await c.subscribe("news");
	const two = await s.connect({ app: other });
	const inRoom = [];
	for (let i = 0; i < 3; i++) {
		const socket = new WebSocket(`ws://${s.address}/?room=7`);
		await within(once(socket, "open"), "a room");
		inRoom.push(socket);
	}
	sse.write("GET /sse/7 HTTP/1.1\r\nHost: x\r\n\r\n");
	await sse.wait((text) => text.includes("\r\n\r\n"), "a stream");
	await prom.is(`peal_connections${main}`, 10);
	await prom.is('peal_connections{app="7",front="pusher"}', 1);
	await prom.is(`peal_connections${room}`, 3);
	await prom.is('peal_connections{app="7",front="sse"}', 1);
	await prom.is(`peal_connections_opened_total${main}`, 10);
	await prom.is("sum(peal_channels)", 2);
	// What is sent from here on are events alone.
	await s.told();
	await prom.scraped();
	const out = await prom.now(`peal_messages_sent_total${main}`), into = await prom.now(`peal_messages_received_total${main}`);
	const publishes = await prom.now("peal_publish_seconds_count");
	for (let i = 0; i < 25; i++)
		await s.publish("news", "e", `${i}`);
	for (const c of crowd)
		for (let i = 0; i < 25; i++)
			await c.expect("e", "news", i);
	await prom.is(`peal_messages_sent_total${main}`, out + 250);
	await prom.is(`peal_messages_published_total${api}`, 25);
	await prom.is("peal_publish_seconds_count", publishes + 25);
	await prom.is(`peal_messages_received_total${main}`, into);
	// Said by a client, heard by the nine others.
	for (let i = 0; i < 4; i++)
		crowd[0].send({ event: "client-e", channel: "news", data: { i } });
	for (const c of crowd.slice(1))
		for (let i = 0; i < 4; i++)
			await c.expect("client-e", "news");
	await prom.is(`peal_messages_received_total${main}`, into + 4);
	await prom.is(`peal_messages_sent_total${main}`, out + 250 + 36);
	await prom.is(`peal_messages_published_total${main}`, 4);
	// Who goes is counted by reason.
	const frames = async () => await prom.value('sum(peal_connections_closed_total{reason="PEER_FRAME"})') ?? 0;
	const closed = await frames();
	for (const c of crowd.slice(0, 4))
		await c.close();
	await prom.is(`peal_connections${main}`, 6);
	await prom.is(`peal_connections_ended_total${main}`, 4);
	await until(async () => await frames() >= closed + 4, "the reason");
	// Refused signatures.
	await s.call("GET", `/apps/${APP.id}/channels`, undefined, { change: { auth_signature: "0" } });
	await prom.is("peal_signatures_refused_total", 1);
	const { back, n } = await prom.resets();
	assert.deepEqual(back, []);
	assert.ok(n > 150, `${n} series`);
	for (const socket of inRoom)
		socket.terminate();
	sse.close();
	await two.close();
}, { more: `    authorization: {credentials: ${TOKEN}}\n` }));

/** Clients that come, listen and go, and calls, until it is over. */
function traffic(s) {
	const t = { over: false, calls: 0, failed: 0 };
	const client = async (i) => {
		while (!t.over) {
			try {
				const c = await s.connect();
				await c.subscribe(`room-${i % 3}`);
				for (let n = 0; n < 3 && !t.over && !c.ended; n++)
					await Promise.race([c.ping().catch(() => {}), c.end]);
				c.socket.close();
				s.clients.delete(c);
			} catch { /* where it was, a process has died */ }
		}
	};
	const publisher = async (i) => {
		while (!t.over) {
			try {
				const { status } = await s.call("POST", `/apps/${s.app.id}/events`, { name: "e", channel: `room-${i}`, data: "1" });
				t.calls++;
				t.failed += status !== 200;
			} catch { t.failed++; }
		}
	};
	t.done = Promise.all([...Array.from({ length: 6 }, (_, i) => client(i)), publisher(0), publisher(1)]);
	return t;
}

test("no counter goes back: workers and routers die, all is replaced, the binary too", { skip: noPrometheus }, () => watched({ workers: 2 }, async (s, prom) => {
	s.allow(/died|router lost|left/);
	const t = traffic(s);
	const killed = async (who) => {
		const [pid] = s.pids(`peald: ${who}`);
		process.kill(pid, "SIGKILL");
		await until(() => { const [now] = s.pids(`peald: ${who}`); return now && now !== pid; }, `another ${who}`);
		await prom.scraped();
	};
	const reloaded = async (workers) => {
		edit(s, /workers = \d/, `workers = ${workers}`);
		await s.ctl("reload");
		await until(async () => (await s.ctl("status")).phase === "idle", "the old processes to go");
		await prom.scraped();
	};
	await until(async () => (await prom.value("sum(peal_messages_sent_total)")) > 100, "traffic");
	await killed("worker 1");
	await killed("router");
	await reloaded(3);
	await killed("worker 3");
	await killed("router");
	await reloaded(1);
	await killed("worker 1");
	await reloaded(2);
	const opened = await prom.now('peal_connections_opened_total{front="pusher"}');
	await until(async () => (await prom.value('peal_connections_opened_total{front="pusher"}')) > opened, "traffic after all that");
	t.over = true;
	await t.done;
	await until(async () => (await prom.value('sum(peal_connections{front="pusher"}) or vector(0)')) === 0, "all to have gone");
	await prom.is('peal_reloads_total{result="ok"}', 3);
	await prom.is('peal_process_restarts_total{process="router"}', 2);
	await prom.is('peal_process_restarts_total{process="worker/1"}', 2);
	await prom.is('sum(peal_process_restarts_total)', 5);
	await s.told();
	await prom.scraped();
	const { back, n } = await prom.resets();
	assert.deepEqual(back, []);
	assert.ok(n > 150, `${n} series`);
	// Prometheus says so, too.
	for (const name of ["peal_messages_sent_total", "peal_connections_opened_total", "peal_publish_seconds_count", "peal_router_messages_total", "peal_worker_connections_accepted_total", "peal_process_cpu_seconds_total"])
		assert.equal(await prom.value(`sum(resets(${name}[1h]))`), 0, name);
	// What was answered with 200 was counted, but for what died untold.
	const api = await prom.now('sum(peal_messages_published_total{front="api"})');
	assert.ok(api <= t.calls && api > 0, `${api} of ${t.calls}`);
	const opens = await prom.now('peal_connections_opened_total{front="pusher"}'), ends = await prom.now('peal_connections_ended_total{front="pusher"}');
	// Nobody saw the end of those that died with their worker.
	assert.ok(ends <= opens && opens - ends <= 3 * 6, `${opens} opened, ${ends} ended`);
	// And from here on every number is exact again.
	const channel = unique(), c = await s.connect();
	await c.subscribe(channel);
	await prom.is('peal_connections_opened_total{front="pusher"}', opens + 1);
	await s.told();
	await prom.scraped();
	const sent = await prom.now('sum(peal_messages_sent_total{front="pusher"})');
	for (let i = 0; i < 7; i++)
		await s.publish(channel, "e", "1");
	await prom.is('sum(peal_messages_sent_total{front="pusher"})', sent + 7);
	await prom.is('sum(peal_messages_published_total{front="api"})', api + 7);
}));

test("a stop is seen: draining, and then down", { skip: noPrometheus }, () => watched({ workers: 1, peal: { stop_delay: "1h", drain_timeout: "1h" } }, async (s, prom) => {
	const c = await s.connect();
	await prom.is("peal_draining", 0);
	s.child.kill("SIGTERM");
	await prom.is("peal_draining", 1);
	s.child.kill("SIGTERM");
	await s.logged(/worker\/1: draining/);
	await prom.scraped();
	await prom.is("peal_draining", 1);
	await c.close();
	await within(s.gone, "the end");
	await prom.is("up", 0);
}));
