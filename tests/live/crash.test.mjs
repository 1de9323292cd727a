// SPDX-License-Identifier: MIT
// What a killed process costs: a worker its own connections, the router
// nothing.
import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { Server, decoded, unique, until } from "./harness.mjs";

const who = (user_id) => ({ user_id, user_info: {} });

async function running(define, options = {}) {
	const server = await Server.start({ workers: 3, ...options });
	server.allow(/worker|router|link/);
	try {
		await define(server);
	} finally {
		await server.stop();
	}
}

/** All processes are up again, and others than these. */
const replaced = (server, title, old) => until(() => {
	const now = server.pids(title);
	return now.length === old.length && !now.some((pid) => old.includes(pid)) && now;
}, `${title} replaced`);

/** So many that each of three workers has some, and not by luck. */
const MANY = 60;

test("a worker killed: its clients are cut, all others stay, presence is right again", () => running(async (server) => {
	const channel = unique("presence-k"), crowd = await server.crowd(MANY);
	for (const [i, c] of crowd.entries()) {
		c.subscribing(channel, who(`u${i}`));
		await c.skipTo("pusher_internal:subscription_succeeded");
	}
	const [victim] = server.pids("peald: worker");
	process.kill(victim, "SIGKILL");
	const lost = [], kept = [];
	const deadline = until(async () => {
		const users = (await server.get(`/channels/${channel}/users`).catch(() => null))?.json?.users;
		return users && users.length < crowd.length && users;
	}, "the census to shrink");
	const users = (await deadline).map((u) => u.id);
	await until(() => crowd.filter((c) => c.ended).length === crowd.length - users.length, "the connections to be cut");
	for (const [i, c] of crowd.entries())
		(c.ended ? lost : kept).push([`u${i}`, c]);
	assert.ok(lost.length > 0 && kept.length > 0, `${lost.length} lost, ${kept.length} kept`);
	assert.deepEqual(kept.map(([id]) => id).sort(), users.sort());
	for (const [, c] of lost)
		assert.equal(c.ended.code, 1006);
	// Everybody who stayed has heard of everybody who went, once.
	await server.publish(channel, "end", "1");
	for (const [, c] of kept) {
		const gone = [];
		for (;;) {
			const f = await c.next();
			if (f.event === "end")
				break;
			if (f.event === "pusher_internal:member_removed")
				gone.push(decoded(f).user_id);
		}
		assert.deepEqual(gone.sort(), lost.map(([id]) => id).sort());
	}
	await until(() => server.pids("peald: worker").length === 3 && !server.pids("peald: worker").includes(victim), "three workers");
	const back = await server.crowd(12);
	for (const [i, c] of back.entries())
		await c.subscribe(channel, who(`u${i}`));
	await server.publish(channel, "again", "1");
	for (const c of [...back, ...kept.map(([, k]) => k)])
		await c.skipTo("again");
}));

test("the router killed: nobody is cut, nothing is announced, counts and order go on", () => running(async (server) => {
	const room = unique("presence-r"), news = unique(), cache = unique("cache-r"), crowd = await server.crowd(12);
	for (const [i, c] of crowd.entries()) {
		await c.subscribe(news);
		c.subscribing(room, who(`u${i % 5}`));
		await c.skipTo("pusher_internal:subscription_succeeded", room);
	}
	await crowd[0].signin({ id: "signed" }, { wait: false });
	await crowd[0].skipTo("pusher:signin_success");
	await server.publish(room, "before", "1");
	for (const c of crowd)
		await c.skipTo("before", room);
	for (let round = 0; round < 3; round++) {
		const old = server.pids("peald: router");
		process.kill(old[0], "SIGKILL");
		// Published into the gap: answered late, or once refused and repeated.
		await until(async () => {
			const { status } = await server.call("POST", `/apps/${server.app.id}/events`, { name: `r${round}`, data: "1", channel: news });
			assert.ok(status === 200 || status === 503, String(status));
			return status === 200;
		}, "publish after the router's death");
		for (const c of crowd)
			await c.expect(`r${round}`, news);
		await replaced(server, "peald: router", old);
		assert.deepEqual((await server.get(`/channels/${room}`, { info: "user_count" })).json, { occupied: true, user_count: 5 });
		assert.equal((await server.get(`/channels/${news}`, { info: "subscription_count" })).json.subscription_count, 12);
	}
	await server.silence(crowd, news);
	assert.equal(crowd.filter((c) => c.ended).length, 0);
	// A new member is announced once, a signed-in user is still known.
	const late = await server.connect();
	assert.equal((await late.subscribe(room, who("late"))).presence.count, 6);
	for (const c of crowd)
		await c.skipTo("pusher_internal:member_added", room);
	assert.equal((await server.call("POST", `/apps/${server.app.id}/users/signed/terminate_connections`, {})).status, 200);
	await crowd[0].refused(4009);
	await late.subscribe(cache);
}));

test("the router killed under a stream: what was answered 200 arrives once and in order", () => running(async (server) => {
	const channel = unique(), crowd = await server.crowd(6);
	for (const c of crowd)
		await c.subscribe(channel);
	let killed = 0;
	const sent = [];
	for (let n = 0; n < 300; n++) {
		if (n % 100 === 50) {
			process.kill(await until(() => server.pids("peald: router")[0], "a router"), "SIGKILL");
			killed++;
		}
		const { status } = await server.call("POST", `/apps/${server.app.id}/events`, { name: "n", data: String(n), channel });
		if (status === 200)
			sent.push(n);
	}
	assert.equal(killed, 3);
	await server.publish(channel, "end", "1");
	for (const c of crowd) {
		const got = [];
		for (let f = await c.next(); f.event !== "end"; f = await c.next())
			got.push(Number(f.data));
		assert.equal(new Set(got).size, got.length, "nothing twice");
		assert.deepEqual(got.filter((n) => sent.includes(n)), sent, "nothing lost, in order");
	}
}));

test("worker and router killed together", () => running(async (server) => {
	const channel = unique("presence-b"), crowd = await server.crowd(MANY);
	for (const [i, c] of crowd.entries()) {
		c.subscribing(channel, who(`u${i}`));
		await c.skipTo("pusher_internal:subscription_succeeded");
	}
	for (const pid of [server.pids("peald: worker")[1], server.pids("peald: router")[0]])
		process.kill(pid, "SIGKILL");
	const alive = await until(async () => {
		const users = (await server.get(`/channels/${channel}/users`).catch(() => null))?.json?.users;
		return users && users.length < MANY && users.map((u) => u.id).sort();
	}, "the census to shrink");
	await until(() => crowd.filter((c) => !c.ended).length === alive.length, "the rest to be cut");
	assert.deepEqual(crowd.map((c, i) => (c.ended ? null : `u${i}`)).filter(Boolean).sort(), alive);
	await until(() => server.pids("peald: worker").length === 3, "three workers");
	const late = await server.connect();
	assert.equal((await late.subscribe(channel, who("late"))).presence.count, alive.length + 1);
}));

test("the master killed: its children end by themselves", async () => {
	const server = await Server.start({ workers: 2 });
	server.allow(/./);
	const c = await server.connect(), children = server.pids("peald: ");
	assert.equal(children.length, 3);
	server.child.kill("SIGKILL");
	await c.closed();
	// Where nobody reaps orphans, a zombie is as good as gone.
	const exists = (pid) => {
		try {
			return !/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1"));
		} catch {
			return false;
		}
	};
	await until(() => !children.some(exists), "the children to end");
	await server.stop({ status: "SIGKILL" });
});
