// SPDX-License-Identifier: MIT
// The ways that lead to a Redis, and who is kept apart on it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { APP, Server, unique, until } from "./harness.mjs";
import { Fleet, backplane, counted } from "./hosts.mjs";
import { Redis, certificates, freePort } from "./redis.mjs";

/** Runs with hosts, stops them whatever happens. */
async function hosts(options, define) {
	const fleet = await Fleet.start({ hosts: 2, ...options });
	try {
		await define(fleet);
	} finally {
		await fleet.stop();
	}
}

/** Each host's event reaches a subscriber on every host. */
async function joined(fleet) {
	const channel = unique(), crowd = await fleet.subscribed(channel);
	for (const [i, host] of fleet.hosts.entries()) {
		await host.publish(channel, `from-${i}`, "1");
		for (const c of crowd)
			await c.expect(`from-${i}`, channel);
	}
}

/** It does not get up, and says why in this way. */
async function refused(fleet, host, why) {
	fleet.allow();
	await host.logged(why);
	assert.equal((await backplane(host)).up, false);
	// Alone it serves all the same.
	const channel = unique(), c = await host.connect();
	await c.subscribe(channel);
	await host.publish(channel, "alone", "1");
	await c.expect("alone", channel);
}

test("a unix socket", async () => {
	const redis = await Redis.start({ unix: true });
	try {
		await hosts({ redis, backplane: { url: `unix://${redis.socket}` } }, joined);
		await hosts({ redis, backplane: { url: "", host: redis.socket } }, joined);
	} finally {
		await redis.stop();
	}
});

test("a user with a password, by URL and by single settings", async () => {
	const prefix = "acl-test", redis = await Redis.start({ users: `peal on >pa%ss:word ~${prefix}* &${prefix}* +@all -@dangerous` });
	try {
		await hosts({ redis, backplane: { channel: prefix, url: `redis://peal:${encodeURIComponent("pa%ss:word")}@${redis.address}/0` } }, joined);
		await hosts({ redis, backplane: { channel: prefix, url: "", port: redis.port, username: "peal", password: "pa%ss:word" } }, async (fleet) => {
			await joined(fleet);
			const channel = unique("cache-acl");
			await fleet.hosts[0].publish(channel, "kept", "1");
			const c = await fleet.hosts[1].connect();
			await c.subscribe(channel);
			await c.expect("kept", channel);
		});
		await hosts({ redis, hosts: 1, joined: false, backplane: { channel: prefix, url: `redis://peal:wrong@${redis.address}` } },
		    (fleet) => refused(fleet, fleet.hosts[0], /WRONGPASS|password/i));
	} finally {
		await redis.stop();
	}
});

test("TLS with a checked certificate; the wrong authority is refused", async () => {
	const redis = await Redis.start({ tls: true }), { ca } = certificates();
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-other-ca-"));
	try {
		execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		    "-subj", "/CN=other", "-keyout", path.join(dir, "key"), "-out", path.join(dir, "ca.pem")], { stdio: "ignore" });
		await hosts({ redis, backplane: { tls_ca: ca } }, joined);
		await hosts({ redis, hosts: 1, joined: false, backplane: { tls_ca: path.join(dir, "ca.pem") } },
		    (fleet) => refused(fleet, fleet.hosts[0], /certificate/i));
		await hosts({ redis, hosts: 1, joined: false, backplane: { tls_ca: ca, tls_name: "elsewhere.example" } },
		    (fleet) => refused(fleet, fleet.hosts[0], /certificate|name/i));
	} finally {
		await redis.stop();
		fs.rmSync(dir, { recursive: true });
	}
});

test("TLS with client certificates", async () => {
	const redis = await Redis.start({ tls: "clients" }), { ca, cert, key } = certificates();
	try {
		await hosts({ redis, backplane: { tls_ca: ca, tls_certificate: cert, tls_certificate_key: key } }, joined);
		await hosts({ redis, hosts: 1, joined: false, backplane: { tls_ca: ca } }, async (fleet) => {
			fleet.allow();
			await counted(fleet.hosts[0], "backplane_failures", 1);
			assert.equal((await backplane(fleet.hosts[0])).up, false);
		});
	} finally {
		await redis.stop();
	}
});

test("two installations with different prefixes on one Redis do not hear each other", async () => {
	const redis = await Redis.start();
	try {
		await hosts({ redis, backplane: { channel: "one" } }, (one) => hosts({ redis, backplane: { channel: "two" } }, async (two) => {
			const channel = unique("cache-same"), room = unique("presence-same");
			const a = await one.subscribed(room, (i) => ({ user_id: `u${i}`, user_info: {} }));
			const c = await two.hosts[0].connect();
			await c.subscribe(room, { user_id: "other", user_info: {} });
			await one.hosts[0].publish(channel, "kept", "1");
			await c.subscribe(channel);
			await c.expect("pusher:cache_miss", channel);
			await one.hosts[0].publish(room, "for-one", "1");
			await a[1].skipTo("for-one", room);
			await c.silent(room);
			await one.agree("/connections", {}, { connections: 2 });
			await two.agree("/connections", {}, { connections: 1 });
			for (const h of [...one.hosts, ...two.hosts])
				assert.equal((await backplane(h)).hosts, 2);
		}));
	} finally {
		await redis.stop();
	}
});

test("signing: signed hosts hear each other; the unsigned and those with another key are dropped and counted", async () => {
	const redis = await Redis.start(), key = "k".repeat(32), channel = "signing";
	const signed = { channel, signing: "yes", signing_key: key };
	try {
		await hosts({ redis, backplane: signed }, async (fleet) => {
			await joined(fleet);
			for (const other of [{ channel }, { channel, signing: "yes", signing_key: "x".repeat(32) }])
				await hosts({ redis, hosts: 1, joined: false, backplane: other }, async (strange) => {
					strange.allow();
					fleet.allow();
					const name = unique(), c = await fleet.hosts[0].connect(), s = await strange.hosts[0].connect();
					await until(async () => (await backplane(strange.hosts[0])).up, "the strange host to be up");
					await c.subscribe(name);
					await s.subscribe(name);
					const before = (await backplane(fleet.hosts[0])).backplane_bad_signature;
					await strange.hosts[0].publish(name, "forged", "1");
					await s.expect("forged", name);
					await counted(fleet.hosts[0], "backplane_bad_signature", before + 1);
					await c.silent(name);
					if (other.signing) {
						// A host that checks takes nothing from others either.
						await fleet.hosts[0].publish(name, "signed", "1");
						await counted(strange.hosts[0], "backplane_bad_signature", 1);
						await s.silent(name);
					}
					assert.equal((await backplane(fleet.hosts[0])).hosts, 2);
				});
		});
	} finally {
		await redis.stop();
	}
});

test("REVERB_SCALING_ENABLED=true and REDIS_* in .env, nothing else", async () => {
	const redis = await Redis.start({ password: "secret word" }), servers = [];
	try {
		for (let i = 0; i < 2; i++) {
			const port = await freePort();
			const text = `REVERB_APP_ID=${APP.id}\nREVERB_APP_KEY=${APP.key}\nREVERB_APP_SECRET=${APP.secret}\n` +
			    `REVERB_SERVER_HOST=127.0.0.1\nREVERB_SERVER_PORT=${port}\nREVERB_SCALING_ENABLED=true\n` +
			    `REDIS_HOST=127.0.0.1\nREDIS_PASSWORD="secret word"\nREDIS_PORT=${redis.port}\n`;
			const server = await Server.start({ apps: {}, args: ["--env-file", ".env"], files: { ".env": text } });
			server.app = APP;
			servers.push(server);
		}
		const channel = unique(), crowd = await Promise.all(servers.map((s) => s.connect()));
		await until(async () => (await Promise.all(servers.map(backplane))).every((b) => b.up && b.hosts === 2), "the hosts to join");
		for (const c of crowd)
			await c.subscribe(channel);
		await servers[0].publish(channel, "e", "1");
		for (const c of crowd)
			await c.expect("e", channel);
		const topics = await redis.command("PUBSUB", "CHANNELS", "*");
		assert.ok(topics.length > 0, "topics on the Redis");
	} finally {
		for (const s of servers)
			await s.stop();
		await redis.stop();
	}
});
