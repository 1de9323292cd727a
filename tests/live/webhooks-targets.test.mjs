// SPDX-License-Identifier: MIT
// Webhooks and targets that fail: errors, silence, resets, redirects, certificates,
// addresses that are nobody's business; queues that are full. What clients hear
// never waits for any of it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import dns from "node:dns/promises";
import fs from "node:fs";
import os from "node:os";
import { test } from "node:test";
import { Server, pealctl, unique, until } from "./harness.mjs";
import { FAILED, Target, certificate, hooked, reported } from "./targets.mjs";

const chatty = { app: { client_events: "members" } };
const say = (client, channel, data) => client.send({ event: "client-said", channel, data });
/** Someone in a private channel, whose words are a webhook. */
async function speaker(server, channel = unique("private-room")) {
	const client = await server.connect();
	await client.subscribe(channel);
	return { client, channel, say: (data) => say(client, channel, data) };
}
const numbers = (events) => events.map((e) => Number(e.data));
const upTo = (n, from = 0) => Array.from({ length: n - from }, (_, i) => from + i);
const totals = async (server) => (await server.ctl("status")).totals;
/** A request has failed, for this reason. */
const why = (server, words) => {
	server.allow(FAILED);
	return server.logged(new RegExp(`did not take a request target=main why=.*(${words.source})`, words.flags));
};

/** What fails is tried again as it was, and the others wait for it. */
const FAILURES = {
	"an error": { answer: () => 500, words: /500/ },
	"a refusal": { answer: () => 404, words: /404/ },
	"a redirect": { answer: () => (res) => res.writeHead(307, { Location: "/elsewhere" }).end(), words: /307/ },
	"a reset": { answer: () => "reset", words: /./ },
	"half a head": { answer: () => (res) => { res.socket.end("HTTP/1.1 200 OK\r\nContent-"); }, words: /./ },
	"no HTTP": { answer: () => (res) => { res.socket.end("SSH-2.0-OpenSSH_9.2\r\n"); }, words: /./ },
	"silence": { answer: () => "hold", words: /./, hook: { timeout: "3s" } },
};
for (const [name, { answer, words, hook }] of Object.entries(FAILURES))
	test(`${name}: tried again, nothing lost, in order`, () => hooked({ ...chatty,
	    hook: { events: "client_event", max_batch: "3", ...hook } }, async ({ server, target }) => {
		const s = await speaker(server);
		target.answer = (r, n) => (n < 2 ? answer(r, n) : 200);
		for (let i = 0; i < 10; i++)
			s.say(i);
		await why(server, words);
		await until(() => target.events.length >= 10, () => `10 of ${JSON.stringify(target.events)}`);
		assert.deepEqual(numbers(target.events), upTo(10));
		assert.ok(target.requests.every((r) => r.url === "/hook"), "a redirect was followed");
		const [first, ...again] = target.requests.slice(0, 3);
		for (const r of again) {
			assert.equal(r.raw, first.raw);
			assert.equal(r.headers["x-peal-delivery"], first.headers["x-peal-delivery"]);
		}
		assert.notEqual(target.requests[3].headers["x-peal-delivery"], first.headers["x-peal-delivery"]);
		await until(async () => (await totals(server)).hooks_delivered === 10, "the counters");
		const t = await totals(server);
		assert.deepEqual([t.hooks_waiting, t.hooks_octets, t.hooks_taken, t.hooks_refused, t.hooks_dropped, t.hooks_expired],
		    [0, 0, 10, 2, 0, 0]);
		const r = await until(async () => { const one = await reported(server); return one?.queued === 0 && one; }, "a report");
		assert.deepEqual({ ...r, last_error: "", last_ok: 0 }, { target: "main", app: server.app.id, url: target.url, state: "ok",
		    queued: 0, octets: 0, delivered: 10, requests: r.requests, refused: 2, dropped: 0, expired: 0,
		    last_status: 200, last_error: "", last_ok: 0, next_try: 0 });
		assert.equal(r.requests, target.requests.length);
		target.held.length = 0;
	}));

test("pealctl hooks shows the last status, and in what time it is tried again", () => hooked({ ...chatty,
    hook: { events: "client_event" }, target: { answer: () => 503 } }, async ({ server }) => {
	(await speaker(server)).say(1);
	await why(server, /503/);
	const { control } = await server.ctl("status");
	const table = () => execFileSync(pealctl, ["-s", control, "hooks"]).toString();
	await until(() => /^main .* 503 +answered with 503 +(now|\d+ \w.*) +http:/m.test(table()), table);
	assert.match(table(), /^TARGET .* STATUS +LAST ERROR +TRIED IN +URL$/m);
}));

test("nobody misses authorities that are not there as long as no target needs them", async () => {
	const server = await Server.start({ courier: { allow: "127.0.0.1", ca_file: "/nowhere/authorities.pem" },
	    "webhook main": { url: "http://127.0.0.1:9/", events: "client_event" } });
	try {
		// It reports only once it has its settings; stop() finds what it warned of.
		await until(() => reported(server), "a report");
	} finally {
		await server.stop();
	}
});

test("who answers slowly is asked once, and then for all that came meanwhile", () => hooked({ ...chatty,
    hook: { events: "client_event", timeout: "30s" } }, async ({ server, target }) => {
	const s = await speaker(server);
	target.answer = () => (res) => {
		res.writeHead(200);
		for (let i = 1; i <= 5; i++)
			setTimeout(() => i < 5 ? res.write(".") : res.end(), i * 100);
	};
	s.say(0);
	await until(() => target.requests.length === 1, "the first request");
	for (let i = 1; i < 10; i++)
		s.say(i);
	await until(async () => (await totals(server)).hooks_delivered === 10, "all of them");
	assert.deepEqual(numbers(target.requests.flatMap((r) => r.body.events)), upTo(10));
	const t = await totals(server);
	assert.deepEqual([t.hooks_requests, t.hooks_refused], [target.requests.length, 0]);
	assert.ok(target.requests.length < 10, "one request for each");
}));

test("nobody listens, then somebody does", () => hooked({ ...chatty, hook: { events: "client_event" } }, async ({ server, target }) => {
	const s = await speaker(server);
	await target.close();
	for (let i = 0; i < 5; i++)
		s.say(i);
	await why(server, /./);
	await until(async () => (await totals(server)).hooks_waiting === 5, "5 to wait");
	await target.open();
	await until(() => target.events.length === 5, "all of them");
	assert.deepEqual(numbers(target.events), upTo(5));
}));

test("a target that hangs, one that is dead and one that floods us keep nobody waiting", async () => {
	const good = await Target.start(), hang = await Target.start({ answer: () => "hold" }), dead = await Target.start();
	let flooding = true;
	const flood = await Target.start({ answer: () => (res) => {
		res.writeHead(200);
		const more = () => { while (flooding && res.write("x".repeat(65536))); };
		res.on("drain", more).on("error", () => {});
		more();
	} });
	await dead.close();
	const hook = (t) => ({ url: t.url, events: "client_event", timeout: "5m" });
	const server = await Server.start({ ...chatty, courier: { allow: "127.0.0.1", max_requests: "2" },
	    "webhook a": hook(hang), "webhook b": hook(dead), "webhook c": hook(flood), "webhook d": hook(good) });
	server.allow(FAILED);
	try {
		const s = await speaker(server), hearer = await server.connect();
		await hearer.subscribe(s.channel);
		// Each comes long before a target's time is over.
		for (let i = 0; i < 200; i++) {
			s.say(i);
			await hearer.expect("client-said", s.channel);
		}
		await until(() => good.events.length === 200, () => `200, not ${good.events.length}`);
		assert.deepEqual(numbers(good.events), upTo(200));
		assert.equal(hang.requests.length, 1);
	} finally {
		flooding = false;
		await server.stop();
		await good.stop();
		await hang.stop();
		await flood.stop();
	}
});

test("what is too much is dropped and counted, the newest first; what waits too long, too", () =>
	hooked({ ...chatty, hook: { events: "client_event", max_queue: "64k" }, allow: [FAILED] }, async ({ server, target }) => {
		const s = await speaker(server), text = "x".repeat(4000);
		target.answer = () => "hold";
		for (let i = 0; i < 40; i++)
			s.say(`${i} ${text}`);
		await s.client.ping();
		await until(async () => (await totals(server)).hooks_dropped > 0 &&
		    (await totals(server)).hooks_taken >= 40, "some to be dropped");
		target.answer = () => 200;
		target.release();
		await until(async () => (await totals(server)).hooks_waiting === 0, "the rest to be delivered");
		const got = target.events.map((e) => parseInt(e.data, 10)), t = await totals(server);
		assert.deepEqual(got, upTo(got.length));
		assert.ok(got.length >= 8 && got.length < 20, `${got.length} of 64k`);
		assert.equal(t.hooks_delivered + t.hooks_dropped, 40);
		s.say("100");
		await until(() => target.events.at(-1).data === "100", "there is room again");
	}));

test("what nobody takes for retry_for is dropped and counted", () =>
	hooked({ ...chatty, hook: { events: "client_event", retry_for: "1s" }, allow: [FAILED] }, async ({ server, target }) => {
		const s = await speaker(server);
		target.answer = () => 503;
		s.say(1);
		await until(async () => (await totals(server)).hooks_expired === 1, "it to be dropped");
		target.answer = () => 200;
		// The next one, or one behind it: a second is short where others run, too.
		let last = 1;
		await until(async () => {
			s.say(++last);
			return until(() => target.events.length, "", 2000).catch(() => false);
		}, "the next one");
		assert.ok(numbers(target.events).every((n) => n >= 2), JSON.stringify(target.events));
	}));

test("certificates are checked", async () => {
	const target = await Target.start({ tls: true });
	for (const [name, courier, hook, trusted] of [
		["of nobody known", {}, {}, false],
		["of an authority that is known", { ca_file: certificate().file }, {}, true],
		["of another name", { ca_file: certificate().file }, { url: target.url.replace("127.0.0.1", "127.0.0.2") }, false],
		["unchecked", {}, { verify: "no" }, true]]) {
		const server = await Server.start({ courier: { allow: "127.0.0.0/8", ...courier }, "webhook main": { url: target.url, events: "connection_opened", ...hook } });
		try {
			const a = await server.connect();
			if (trusted)
				await target.heard({ name: "connection_opened", socket_id: a.id });
			else
				await why(server, name === "of another name" ? /./ : /certificate|SSL|TLS/i);
			assert.equal(target.requests.some((r) => r.body.events.some((e) => e.socket_id === a.id)), trusted, name);
		} finally {
			await server.stop();
		}
	}
	await target.stop();
});

test("a name that leads to a private address is not followed, unless it may be", async (t) => {
	const found = await dns.lookup(os.hostname()).catch(() => ({ address: "" }));
	if (!/^(127|10|192\.168|172\.(1[6-9]|2\d|3[01]))\./.test(found.address)) {
		t.skip(`${os.hostname()} is ${found.address}`);
		return;
	}
	const target = await Target.start();
	await target.close();
	target.server.listen(target.port, "0.0.0.0");
	const url = `http://${os.hostname()}:${target.port}/hook`;
	const server = await Server.start({ "webhook main": { url, events: "connection_opened" } });
	try {
		const a = await server.connect();
		await why(server, /private|allow/);
		assert.equal(target.requests.length, 0);
		const text = fs.readFileSync(server.ini, "utf8");
		fs.writeFileSync(server.ini, `${text}[courier]\nallow = ${found.address}\n`);
		await server.ctl("reload");
		await target.heard({ name: "connection_opened", socket_id: a.id });
		assert.equal(target.requests[0].headers.host, `${os.hostname()}:${target.port}`);
	} finally {
		await server.stop();
		await target.stop();
	}
});
