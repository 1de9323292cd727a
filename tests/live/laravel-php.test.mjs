// SPDX-License-Identifier: MIT
// contrib/laravel in PHP: the recorder for Pulse reads the API and the metrics of a
// real peald, the controller takes what a real courier sends.  Of Laravel there are
// stand-ins (tests/laravel/stand_ins.php).
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { APP, Server, hmac, patience, unique, until } from "./harness.mjs";

const top = fileURLToPath(new URL("../..", import.meta.url));
const scripts = path.join(top, "tests/laravel"), classes = path.join(top, "contrib/laravel");

const php = (() => {
	try {
		execFileSync("php", ["-r", "exit(extension_loaded('curl') ? 0 : 1);"], { stdio: "ignore" });
		return true;
	} catch {
		return false;
	}
})();
const skip = php ? false : "there is no php with curl: apt-get install php-cli php-curl";
if (skip)
	console.error(`contrib/laravel is NOT tested: ${skip}`);

/** A script that prints TAP; all of it must be ok. */
async function tap(script, ...args) {
	const { stdout, stderr, code } = await promisify(execFile)("php", [path.join(scripts, script), ...args],
	    { timeout: 120000 * patience }).catch((error) => error);
	assert.equal(code, undefined, `${stdout}\n${stderr}`);
	const plan = /^1\.\.(\d+)$/m.exec(stdout);
	assert.ok(plan && stdout.match(/^ok /gm).length === Number(plan[1]) && !/^not ok/m.test(stdout), stdout);
	assert.equal(stderr, "");
}

test("every file is PHP", { skip }, async () => {
	for (const dir of [classes, scripts])
		for (const name of fs.readdirSync(dir).filter((n) => n.endsWith(".php")))
			await promisify(execFile)("php", ["-l", path.join(dir, name)]);
});

test("the controller: what is no good webhook", { skip }, () => tap("controller.php"));

/** Answers each GET with the body of the last PUT. */
async function echo(t) {
	let text = "";
	const server = http.createServer(async (req, res) => {
		if (req.method === "PUT") {
			text = "";
			for await (const part of req)
				text += part.toString("latin1");
		}
		res.end(Buffer.from(text, "latin1"));
	});
	t.after(() => server.close());
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	return `http://127.0.0.1:${server.address().port}/`;
}

for (const workers of [1, 3])
	test(`the recorder for Pulse (${workers} workers)`, { skip }, async (t) => {
		const token = "a token of metrics";
		const server = await Server.start({ workers, app: { ping_interval: "1h" }, metrics: { address: "127.0.0.1:0", token } });
		try {
			// One that is not subscribed does not count, as with Reverb.
			await server.connect();
			const channel = unique(), subscribers = 5;
			for (const c of await server.crowd(subscribers))
				await c.subscribe(channel);
			await until(async () => (await server.get("/connections")).json.connections === subscribers, "the subscribers");
			const address = server.addresses.find((a) => a !== server.address), metrics = `http://${address}/metrics`;
			// Each has been told of its connection, most of their subscription.
			const told = async () => (await server.request("GET", "/metrics", "", { address, headers: { Authorization: `Bearer ${token}` } })).text
			    .match(/^peal_messages_sent_total\{app="1001",front="pusher"\} (\d+)$/m)?.[1];
			await until(async () => Number(await told()) === subscribers * 2 + 1, async () => `the first messages; have ${await told()}`);
			server.allow(/ refused /);
			await tap("recorder.php", JSON.stringify({ app: APP, port: server.port, metrics, token,
			    connections: subscribers, channel, subscribers, fake: await echo(t) }));
		} finally {
			await server.stop();
		}
	});

/** A site that takes webhooks, by PHP's own server. */
async function site(t) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-site-"));
	fs.writeFileSync(path.join(dir, "app.json"), JSON.stringify(APP));
	const child = spawn("php", ["-S", "127.0.0.1:0", path.join(scripts, "hook_server.php")],
	    { env: { PATH: process.env.PATH, HOOK_DIR: dir }, stdio: ["ignore", "ignore", "pipe"] });
	let log = "";
	child.stderr.setEncoding("utf8").on("data", (text) => { log += text; });
	t.after(async () => {
		const gone = new Promise((resolve) => child.once("close", resolve));
		child.kill("SIGKILL");
		await gone;
		fs.rmSync(dir, { recursive: true, force: true });
	});
	const port = await until(() => /http:\/\/127\.0\.0\.1:(\d+)\) started/.exec(log)?.[1], () => `PHP's server: ${log}`);
	const lines = (name) => {
		try {
			// What has no end yet is being written.
			return fs.readFileSync(path.join(dir, name), "utf8").split("\n").slice(0, -1);
		} catch {
			return [];
		}
	};
	return { dir, url: `http://127.0.0.1:${port}/peal/webhook`, address: `127.0.0.1:${port}`, said: () => log,
	    heard: () => lines("heard").map((l) => JSON.parse(l)), answered: () => lines("answered") };
}

test("webhooks: what the courier sends is taken, what is forged is not", { skip }, async (t) => {
	const place = await site(t);
	const server = await Server.start({ app: { client_events: "members" },
	    courier: { allow: "127.0.0.1", hold_back: "0" }, "webhook site": { url: place.url } });
	try {
		const a = await server.connect(), channel = unique("presence-room");
		const names = () => place.heard().map((h) => h.event.name);
		const have = () => `${JSON.stringify(place.heard())} ${place.answered()} ${place.said()}`;
		await a.subscribe(channel, { user_id: "ann", user_info: { name: "Ann" } });
		a.send({ event: "client-said", channel, data: { text: "ä / \u2028 \"q\" 😀" } });
		await until(() => names().includes("client_event"), have);
		const said = place.heard().find((h) => h.event.name === "client_event");
		assert.deepEqual(said.event, { name: "client_event", channel, event: "client-said",
		    data: JSON.stringify({ text: "ä / \u2028 \"q\" 😀" }), socket_id: a.id, user_id: "ann" });
		assert.equal(said.app, APP.id);
		assert.deepEqual(names(), ["channel_occupied", "member_added", "client_event"]);
		assert.ok(place.heard().every((h) => h.library), "Pusher's library takes them, too");

		// A listener that throws: it comes again, and once.
		server.allow(/did not take a request/);
		fs.writeFileSync(path.join(place.dir, "refuse"), "");
		await a.unsubscribe(channel);
		await until(() => place.answered().includes("500"), have);
		fs.rmSync(path.join(place.dir, "refuse"));
		await until(() => names().length >= 5, have);
		assert.deepEqual(names().slice(3).sort(), ["channel_vacated", "member_removed"]);

		// Forged: without the secret, or with a body that was changed.
		const before = place.heard().length;
		const body = JSON.stringify({ time_ms: Date.now(), events: [{ name: "channel_occupied", channel: "forged" }] });
		const post = (signature, text = body) => server.request("POST", "/peal/webhook", text, { address: place.address,
		    agent: false, headers: { "X-Pusher-Key": APP.key, "X-Pusher-Signature": signature, "X-Peal-Delivery": unique() } });
		assert.equal((await post(hmac("guessed", body))).status, 401);
		assert.equal((await post("")).status, 401);
		assert.equal((await post(hmac(APP.secret, body), body.replace("forged", "forgery"))).status, 401);
		assert.equal(place.heard().length, before);
		assert.equal((await post(hmac(APP.secret, body))).status, 204);
		assert.equal(place.heard().at(-1).event.channel, "forged");
	} finally {
		await server.stop();
	}
});
