// SPDX-License-Identifier: MIT
// In Reverb's place: a Laravel site's own .env decides, nothing else is said.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, decoded, until } from "./harness.mjs";
import { Redis, freePort } from "./redis.mjs";

const APP = { id: "384729", key: "k2j4h5g6f7", secret: "s3cr3ts3cr3t" };

/** Starts with this .env; the file only says where to run in a test. */
async function reverb(lines, { args = [], env = {}, workers = 2 } = {}, define) {
	const port = await freePort();
	const text = `APP_NAME="My Site"\nBROADCAST_CONNECTION=reverb\n\nREVERB_APP_ID=${APP.id}\nREVERB_APP_KEY=${APP.key}\nREVERB_APP_SECRET="${APP.secret}"\n` +
	    `REVERB_HOST="localhost"\nREVERB_PORT=8080\nREVERB_SCHEME=http\n\nREVERB_SERVER_HOST=127.0.0.1\nREVERB_SERVER_PORT=${port}\n${lines}\n` +
	    `VITE_REVERB_APP_KEY="\${REVERB_APP_KEY}"\n`;
	const server = await Server.start({ workers, apps: {}, args: ["--env-file", ".env", ...args], env, files: { ".env": text } });
	server.app = APP;
	try {
		await define(server, port);
	} finally {
		await server.stop();
	}
}

test("the address, the credentials, Reverb's defaults", () => reverb("", {}, async (server, port) => {
	assert.deepEqual(server.addresses, [`127.0.0.1:${port}`]);
	const c = await server.open();
	assert.equal(decoded(await c.next()).activity_timeout, 30);
	await server.publish("news", "e", "1");
	assert.equal((await server.get("/connections")).status, 200);
}));

test("every setting of the application", () => reverb(`REVERB_APP_ACTIVITY_TIMEOUT=11
REVERB_APP_PING_INTERVAL=1
REVERB_APP_MAX_CONNECTIONS=2
REVERB_APP_MAX_MESSAGE_SIZE=500
REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=none
REVERB_MAX_REQUEST_SIZE=20000
REVERB_SERVER_PATH=/ws`, {}, async (server) => {
	server.prefix = "/ws";
	const a = await server.open(), hello = decoded(await a.next());
	assert.equal(hello.activity_timeout, 11);
	const b = await server.connect();
	await (await server.open()).refused(4004);
	await b.subscribe("room");
	b.send({ event: "client-x", channel: "room", data: {} });
	await b.expectError(4301);
	await server.publish("room", "e", "x".repeat(15000));
	assert.equal(decoded(await b.skipTo("e")).length, 15000);
	assert.equal((await server.call("POST", `/apps/${APP.id}/events`, { name: "e", channel: "c", data: "x".repeat(20000) })).status, 413);
	b.send({ event: "pusher:ping", data: "x".repeat(500) });
	await b.closed(1009);
	await a.expectFrame({ event: "pusher:ping" });
}));

test("rate limiting", () => reverb(`REVERB_APP_RATE_LIMITING_ENABLED=true
REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS=2
REVERB_APP_RATE_LIMIT_DECAY_SECONDS=600
REVERB_APP_RATE_LIMIT_TERMINATE=true`, {}, async (server) => {
	const c = await server.connect();
	for (let i = 0; i < 3; i++)
		c.send({ event: "pusher:ping" });
	await c.expect("pusher:pong");
	await c.expect("pusher:pong");
	await c.expectError(4301);
	await c.closed();
}));

test("the environment goes before the file, a flag before both", async () => {
	const port = await freePort();
	await reverb("REVERB_SERVER_PATH=/file", { env: { REVERB_APP_ACTIVITY_TIMEOUT: "44", REVERB_SERVER_PATH: "/environment" }, args: ["--port", String(port), "--path", "/flag"] }, async (server) => {
		assert.deepEqual(server.addresses, [`127.0.0.1:${port}`]);
		server.prefix = "/flag";
		const c = await server.open();
		assert.equal(decoded(await c.next()).activity_timeout, 44);
		// Signed without the prefix, as Pusher's library for PHP does, and with.
		await server.publish("x", "e", "1");
		await server.publish("x", "e", "1", { prefix: "/flag" });
	});
});

test("--debug shows connections and messages, secrets never", () => reverb("", { args: ["--debug"] }, async (server) => {
	const c = await server.connect();
	await c.subscribe("private-watched");
	await server.publish("private-watched", "App\\Events\\Seen", '{"n":1}');
	await c.expect("App\\Events\\Seen", "private-watched");
	c.send({ event: "pusher:ping", data: "\u001b[31mred\u0007" });
	await c.expect("pusher:pong");
	await until(() => server.log.includes(c.id), "its socket id");
	await until(() => /pusher:subscribe/.test(server.log) && /pusher:ping/.test(server.log), "the messages");
	assert.ok(!server.log.includes(APP.secret), "no secret");
	assert.ok(!server.log.includes("\u001b[31mred"), "nothing moves a terminal's cursor");
}));

test("two servers that REVERB_SCALING_ENABLED joins", async () => {
	const redis = await Redis.start({ password: "p@ss:w%rd" });
	const scaling = `REVERB_SCALING_ENABLED=true\nREVERB_SCALING_CHANNEL=reverb\nREDIS_CLIENT=phpredis\n`;
	const single = `REDIS_URL=null\nREDIS_HOST=127.0.0.1\nREDIS_PORT=${redis.port}\nREDIS_USERNAME=null\nREDIS_PASSWORD="p@ss:w%rd"\nREDIS_DB=0\nREDIS_TIMEOUT=60`;
	const url = `REDIS_URL=redis://:p%40ss%3Aw%25rd@127.0.0.1:${redis.port}/0\nREDIS_HOST=nowhere.invalid\nREDIS_PASSWORD=other`;
	try {
		await reverb(scaling + single, {}, (one) => reverb(scaling + url, {}, async (two) => {
			const joined = async (s) => {
				const { state, hosts } = await s.ctl("backplane");
				return state === "up" && hosts.filter((h) => h.state === "up").length === 2;
			};
			await until(async () => await joined(one) && await joined(two), "the two to meet");
			const [a, b] = [await one.connect(), await two.connect()];
			for (const c of [a, b])
				await c.subscribe("news");
			await two.publish("news", "from-two", "1");
			await one.publish("news", "from-one", "2");
			for (const c of [a, b]) {
				await c.skipTo("from-two");
				await c.skipTo("from-one");
			}
			for (const s of [one, two])
				assert.ok(!s.log.includes("p@ss"), "no password in the log");
		}));
	} finally {
		await redis.stop();
	}
});
