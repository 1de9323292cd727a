// SPDX-License-Identifier: MIT
// pealctl against clients: what it shows of them, what it sends them, settings
// and certificates that change under them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import tls from "node:tls";
import { test } from "node:test";
import { Server, live, pealctl, settled, unique, until } from "./harness.mjs";
import { Fleet } from "./hosts.mjs";

live("pealctl", {}, (s) => {
	test("publish reaches every worker's subscribers, the text as it is", async () => {
		const crowd = await s.server.crowd(8), channel = unique("news");
		for (const c of crowd)
			await c.subscribe(channel);
		for (const data of ['{"a":"é"}', "plain words", "5", ""]) {
			assert.equal((await s.server.ctl("publish", channel, "hello", data)).ok, true);
			for (const c of crowd)
				await c.expectFrame({ event: "hello", channel, data });
		}
	});

	test("channels, users and connections count over all workers", async () => {
		const crowd = await s.server.crowd(6), room = unique("presence-room");
		for (const [i, c] of crowd.entries()) {
			c.subscribing(room, { user_id: `u${i >> 1}`, user_info: {} });
			await c.skipTo("pusher_internal:subscription_succeeded");
		}
		assert.deepEqual((await s.server.ctl("channels", room)).channels,
		    [{ channel: room, subscriptions: 6, users: 3 }]);
		const { users } = await s.server.ctl("users", room);
		assert.deepEqual(users.map((u) => u.id), ["u0", "u1", "u2"]);
		const { connections: [now] } = await s.server.ctl("connections");
		assert.ok(now.open >= 6 && now.subscribed >= 6 && now.open >= now.subscribed);
	});

	test("terminate closes a user's connections, wherever they are", async () => {
		const crowd = await s.server.crowd(6), id = unique("user");
		for (const [i, c] of crowd.entries())
			await c.signin({ id: i < 4 ? id : `${id}-other` });
		const { ok, closed } = await s.server.ctl("terminate", id);
		assert.deepEqual({ ok, closed }, { ok: true, closed: 4 });
		for (const c of crowd.slice(0, 4))
			await c.closed(4009);
		for (const c of crowd.slice(4))
			await c.ping();
	});

	test("status sums up what the workers hold", async () => {
		const before = (await s.server.ctl("status")).totals;
		const crowd = await s.server.crowd(5);
		const now = await until(async () => {
			const all = await s.server.ctl("status");
			return all.totals.upgraded >= before.upgraded + crowd.length && all;
		}, "the counters to arrive");
		assert.equal(now.workers.length, s.server.workers);
		for (const name of ["websockets", "upgraded", "connections"])
			assert.equal(now.totals[name], now.workers.reduce((sum, w) => sum + w[name], 0));
		assert.equal(now.state, "running");
	});
});

const certificate = (dir, name) => {
	execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
	    "-subj", `/CN=${name}`, "-keyout", path.join(dir, "new.key"), "-out", path.join(dir, "new.pem")],
	    { stdio: "ignore" });
	for (const part of ["pem", "key"])
		fs.renameSync(path.join(dir, `new.${part}`), path.join(dir, `tls.${part}`));
};

const subject = (port) => new Promise((resolve, reject) => {
	const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
		resolve(socket.getPeerCertificate().subject.CN);
		socket.destroy();
	});
	socket.on("error", reject);
});

test("a renewed certificate and a new app disconnect nobody", async () => {
	const dir = fs.mkdtempSync("/tmp/peal-live-tls-");
	certificate(dir, "first");
	const server = await Server.start({ workers: 2, listeners: { "listen tls": { address: "127.0.0.1:0",
	    certificate: path.join(dir, "tls.pem"), certificate_key: path.join(dir, "tls.key") } } });
	try {
		const port = Number(server.addresses[1].split(":").at(-1));
		const clients = await server.crowd(4);
		assert.equal(await subject(port), "first");
		certificate(dir, "second");
		fs.appendFileSync(server.ini, "[app new]\nid = 77\nkey = new-key\nsecret = new-secret\n");
		const { changed } = await server.ctl("reload");
		assert.match(changed, /app\.new/);
		assert.match(changed, /certificates/);
		for (let i = 0; i < 6; i++)
			assert.equal(await subject(port), "second");
		const c = await server.connect({ app: { id: "77", key: "new-key", secret: "new-secret" } });
		await c.ping();
		for (const old of clients)
			await old.ping();
		// A key that does not fit changes nothing.
		fs.writeFileSync(path.join(dir, "tls.key"), "broken");
		server.allow(/reload refused/);
		await assert.rejects(server.ctl("reload"), /tls\.key/);
		assert.equal(await subject(port), "second");
	} finally {
		await server.stop();
		fs.rmSync(dir, { recursive: true });
	}
});

test("the control socket bears anything", async () => {
	const server = await Server.start({ workers: 1 });
	const ask = (text, end = false) => new Promise((resolve) => {
		let answer = "";
		const socket = net.connect(server.control, () => {
			if (end)
				socket.end(text);
			else
				socket.write(text);
		});
		socket.setEncoding("utf8");
		socket.on("data", (d) => { answer += d; });
		socket.on("error", () => {});
		socket.on("close", () => resolve(answer));
	});
	const refused = async (text, words) => {
		const answer = await until(async () => {
			const now = JSON.parse(await ask(text));
			return !now.again && now;	// the router may be starting
		}, "an answer");
		assert.equal(answer.ok, false);
		assert.match(answer.error, words);
	};
	try {
		await refused("hello\n", /JSON/);
		await refused("\n", /JSON/);
		await refused("[]\n", /JSON/);
		await refused('{"verb":5}\n', /JSON/);
		await refused('{"verb":"no\\u0007 such"}\n', /unknown verb/);
		await refused('{"verb":"publish","channel":5}\n', /channel is a string/);
		await refused('{"verb":"publish","channel":"c\\u0000d","event":"e","data":""}\n', /characters/);
		await refused('{"verb":"publish","channel":"c","event":"pusher_internal:x","data":""}\n', /the server's/);
		await refused('{"verb":"channels","app":1001}\n', /app is a string/);
		await refused('{"verb":"log","level":7}\n', /a level is/);
		for (const [verb, flag] of [["stop", "now"], ["config", "diff"], ["metrics", "openmetrics"], ["inspect", "slow"]])
			await refused(`{"verb":"${verb}","${flag}":1}\n`, new RegExp(`${flag} is true or false`));
		await refused(`{"verb":"${"x".repeat(2 << 20)}`, /too long/);
		assert.equal(await ask('{"verb":"status"', true), "");
		assert.equal(await ask("", true), "");
		// In pieces, and with more behind it.
		const half = net.connect(server.control);
		half.write('{"verb":"sta');
		await once(half, "connect");
		const idle = Array.from({ length: 40 }, () => net.connect(server.control).on("error", () => {}));
		await Promise.all(idle.map((s) => once(s, "connect")));
		half.write('tus"}\n{"verb":"stop"}\n');
		const [answer] = await once(half.setEncoding("utf8"), "data");
		assert.equal(JSON.parse(answer).state, "running");
		// Many at once, beside those who say nothing.
		const waiting = Array.from({ length: 300 }, () => ask('{"verb":"status"}\n'));
		for (const socket of idle)
			socket.destroy();
		for (const text of await Promise.all(waiting))
			assert.equal(JSON.parse(text).ok, true);
		// More than there are places for: who has a question does not wait, who
		// was silent longest is told to go.
		const told = [];
		await until(async () => {
			const silent = Array.from({ length: 600 }, () => net.connect(server.control).on("error", () => {}));
			for (const socket of silent)
				socket.setEncoding("utf8").on("data", (d) => told.push(JSON.parse(d).error));
			for (let i = 0; i < 2; i++)
				assert.equal(JSON.parse(await ask('{"verb":"status"}\n')).ok, true);
			for (const socket of silent)
				socket.destroy();
			return told.length > 0;		// or they came so slowly that the first had gone by themselves
		}, "somebody to be told");
		assert.match(told[0], /others wait/);
	} finally {
		await server.stop();
	}
});

test("backplane shows the hosts, and why they are not joined any more", async () => {
	const fleet = await Fleet.start({ hosts: 2 }), [one, two] = fleet.hosts;
	const shown = async (server, verb) => {
		const { control } = await server.ctl("status");
		return execFileSync(pealctl, ["-s", control, verb]).toString();
	};
	try {
		const a = await one.ctl("backplane"), b = await two.ctl("backplane");
		assert.equal(a.driver, "redis");
		assert.equal(a.broker, fleet.redis.url);
		assert.deepEqual(a.hosts.map((h) => h.own), [true, false]);
		assert.deepEqual(a.hosts.map((h) => h.node).sort(), b.hosts.map((h) => h.node).sort());
		assert.notEqual(a.hosts[0].node, b.hosts[0].node);
		assert.equal(a.counters.hosts, 2);
		const room = unique("presence-room"), c = await one.connect();
		c.subscribing(room, { user_id: "u", user_info: {} });
		await until(async () => (await two.ctl("backplane")).hosts[1].rows > b.hosts[1].rows, "its rows to be told");
		await until(async () => (await one.ctl("backplane")).lag_us > 0, "a round trip");
		assert.match(await shown(one, "backplane"), /^Backplane: redis, up for .*\nBroker: redis:.* ms away\n[^]*\n\* /);
		await until(async () => /^Backplane: redis, up, 2 hosts$/m.test(await shown(one, "status")), "the master to hear of it");
		const here = await one.connect(), there = await two.connect();
		await here.signin({ id: "who" });
		await there.signin({ id: "who" });
		await settled(fleet.hosts);
		const kicked = execFileSync(pealctl, ["-s", (await one.ctl("status")).control, "kick", "who"]).toString();
		assert.equal(kicked, "Closed 1 connection here; the other hosts were told, where 1 signed in.\n");
		await here.closed(4009);
		await there.closed(4009);
		fleet.allow(/backplane|broker|host/);
		await fleet.redis.kill();
		const down = await until(async () => {
			const now = await one.ctl("backplane");
			return now.state === "down" && now.failure !== "" && now;
		}, "it to be down");
		assert.ok(down.counters.backplane_failures > 0);
		assert.match(await shown(one, "backplane"), /^Backplane: redis, down for .*\n.*\nLast failure: \S/);
		await fleet.redis.again();
		await until(async () => (await one.ctl("backplane")).state === "up", "it to be up again");
	} finally {
		await fleet.stop();
	}
});
