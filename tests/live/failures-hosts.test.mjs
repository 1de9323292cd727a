// SPDX-License-Identifier: MIT
//
// A host that fails among others: what the others' clients see, what is lost,
// how long until it is right again (said in diagnostics, never asserted).
import assert from "node:assert/strict";
import { test } from "node:test";
import { decoded, patience, unique, until } from "./harness.mjs";
import { Fleet, Stream, backplane, counted, frozen, lost, routerKilled, sound, subscribed } from "./hosts.mjs";

const who = (user_id) => ({ user_id, user_info: {} });
const since = (begin) => `${Math.round(performance.now() - begin)} ms`;

async function running(options, define) {
	const fleet = await Fleet.start(options);
	fleet.allow(/backplane|broker|host|worker|router|link/);
	try {
		await define(fleet);
	} finally {
		await fleet.stop();
	}
}

/** A room with one member per host, and one in both of the first two. */
async function inhabited(fleet) {
	const room = unique("presence-room"), members = await fleet.crowd();
	for (const [i, c] of members.entries()) {
		await subscribed(c, room, who(`u${i}`));
		await subscribed(c, `plain-${room}`);
	}
	const both = [await fleet.hosts[0].connect(), await fleet.hosts[1].connect()];
	for (const c of both)
		await subscribed(c, room, who("both"));
	await counts(fleet, room, members.length + 1, members.length);
	await fleet.settled();
	await fleet.hosts[0].publish(room, "begin", "1");
	for (const c of [...members, ...both])
		await c.skipTo("begin", room);
	return { room, members, both };
}

/** So many users in the room, and subscribers of the channel beside it. */
const counts = async (fleet, room, user_count, subscription_count, hosts = fleet.hosts.filter(Boolean)) => {
	await fleet.agree(`/channels/${room}`, { info: "user_count" }, { occupied: true, user_count }, { hosts });
	await fleet.agree(`/channels/plain-${room}`, { info: "subscription_count" }, { occupied: subscription_count > 0, ...(subscription_count ? { subscription_count } : {}) }, { hosts });
};

/** The member events in what a client has got so far. */
const moves = (c) => c.frames.filter((f) => /member_/.test(f.event)).map((f) => `${f.event.slice(23)} ${decoded(f).user_id}`);

test("a host killed: its members leave elsewhere within host_timeout, once; started again they are not doubled", (t) => running({ hosts: 3, workers: [1, 2, 1] }, async (fleet) => {
	const { room, members } = await inhabited(fleet);
	const stream = await Stream.start({ hosts: [fleet.hosts[0], fleet.hosts[2]] });
	await lost(fleet, 1);
	const begin = performance.now();
	await members[0].skipTo("pusher_internal:member_removed", room);
	const gone = performance.now() - begin;
	t.diagnostic(`its members left ${Math.round(gone)} ms after it was killed`);
	assert.ok(gone > 1000, "not at the first silence");
	await members[2].skipTo("pusher_internal:member_removed", room);
	// "both" stays: he sits on the first host too.
	await counts(fleet, room, 3, 2);
	await fleet.add(1);
	await fleet.joined(3);
	const back = await fleet.hosts[1].connect();
	await subscribed(back, `plain-${room}`);
	assert.deepEqual((await subscribed(back, room, who("u1"))).presence.ids.sort(), ["both", "u0", "u1", "u2"]);
	await counts(fleet, room, 4, 3);
	for (const c of [members[0], members[2]]) {
		assert.equal(decoded(await c.skipTo("pusher_internal:member_added", room)).user_id, "u1");
		assert.deepEqual(moves(c), []);
	}
	const report = await stream.stop();
	t.diagnostic(`between the others: ${sound(report, { lossless: () => true })}`);
}));

test("a host killed and started again before host_timeout: its users do not blink, counts are exact when the old row is gone", (t) => running({ hosts: 2, backplane: { host_timeout: "15s" } }, async (fleet) => {
	const { room, members } = await inhabited(fleet);
	await lost(fleet, 1);
	await fleet.add(1);
	const back = await fleet.hosts[1].connect(), begin = performance.now();
	await subscribed(back, room, who("u1"));
	await subscribed(back, `plain-${room}`);
	const tab = await fleet.hosts[1].connect();
	await subscribed(tab, room, who("both"));
	await fleet.settled();
	await counts(fleet, room, 3, 2);
	t.diagnostic(`exact ${since(begin)} after its clients were back`);
	await fleet.hosts[1].publish(room, "end", "1");
	await until(() => members[0].frames.some((f) => f.event === "end"), "the end");
	assert.deepEqual(moves(members[0]), [], `nobody came or went`);
}));

test("a host frozen and thawed: its members leave and come back; its own clients keep their connections", (t) => running({ hosts: 2, workers: [1, 2] }, async (fleet) => {
	const { room, members, both } = await inhabited(fleet);
	const thaw = frozen(fleet.hosts[1]);
	const begin = performance.now();
	await members[0].skipTo("pusher_internal:member_removed", room);
	t.diagnostic(`its members left ${since(begin)} after it froze`);
	await counts(fleet, room, 2, 1, [fleet.hosts[0]]);
	// What is said meanwhile, it finds in its socket.
	await fleet.hosts[0].publish(room, "meanwhile", "1");
	const late = await fleet.hosts[0].connect();
	await subscribed(late, room, who("late"));
	thaw();
	const thawed = performance.now();
	await until(() => moves(members[0]).includes("added u1"), () => `u1 to be back: ${moves(members[0])}`);
	await counts(fleet, room, 4, 2);
	t.diagnostic(`counts exact ${since(thawed)} after it was thawed`);
	await members[1].skipTo("meanwhile", room);
	await until(() => moves(members[1]).length > 0, "it hears who came");
	assert.deepEqual(moves(members[1]), ["added late"]);
	assert.deepEqual(moves(members[0]).filter((m) => m !== "added late"), ["added u1"]);
	for (const c of [...members, ...both])
		assert.equal(c.ended, undefined);
	await fleet.hosts[0].publish(room, "end", "1");
	for (const c of members)
		await c.skipTo("end", room);
}));

test("a router killed under load: what its host answered with 200 comes once and in order on it; nobody blinks elsewhere", (t) => running({ hosts: 2, workers: [2, 2], backplane: { host_timeout: "30s" } }, async (fleet) => {
	const { room, members, both } = await inhabited(fleet);
	const stream = await Stream.start(fleet, { pause: 1 });
	for (let round = 0; round < 3; round++) {
		await stream.more(60);
		const pid = await routerKilled(fleet.hosts[0]);
		const begin = performance.now();
		await stream.more(30);
		await until(() => fleet.hosts[0].pids("peald: router").some((p) => p !== pid), "a new router");
		t.diagnostic(`everybody hears everybody ${Math.round(await stream.whole())} ms later, ${since(begin)} after it was killed`);
	}
	const report = await stream.stop();
	t.diagnostic(sound(report));
	await counts(fleet, room, 3, 2);
	for (const c of [...members, ...both]) {
		assert.equal(c.ended, undefined);
		assert.deepEqual(moves(c).filter((m) => !/both/.test(m) || c.frames.length < 0), [], "nobody came or went");
	}
	assert.equal((await backplane(fleet.hosts[1])).hosts_lost, 0);
	const late = await fleet.hosts[0].connect();
	assert.deepEqual((await subscribed(late, room, who("late"))).presence.ids.sort(), ["both", "late", "u0", "u1"]);
	assert.equal(decoded(await members[1].skipTo("pusher_internal:member_added", room)).user_id, "late");
}));

test("a worker killed: its members leave on every host", () => running({ hosts: 2, workers: [2, 1] }, async (fleet) => {
	// So many that neither worker is without any, and not by luck.
	const MANY = 40, room = unique("presence-w"), crowd = await fleet.hosts[0].crowd(MANY), watch = await fleet.hosts[1].connect();
	for (const [i, c] of crowd.entries()) {
		await subscribed(c, room, who(`u${i}`));
		await subscribed(c, `plain-${room}`);
	}
	await subscribed(watch, room, who("watch"));
	await counts(fleet, room, MANY + 1, MANY);
	process.kill(fleet.hosts[0].pids("peald: worker")[0], "SIGKILL");
	const alive = () => crowd.map((c, i) => (c.ended ? null : `u${i}`)).filter(Boolean);
	await until(async () => {
		// Whoever was to answer may be the one that was killed.
		const users = (await fleet.hosts[0].get(`/channels/${room}/users`).catch(() => null))?.json?.users ?? [];
		return users.length <= MANY && users.map((u) => u.id).sort().join() === [...alive(), "watch"].sort().join();
	}, "who is left to be the same for the host and its clients");
	await until(() => fleet.hosts[0].pids("peald: worker").length === 2, "two workers");
	const left = alive();
	await counts(fleet, room, left.length + 1, left.length);
	const gone = crowd.map((c, i) => (c.ended ? `removed u${i}` : null)).filter(Boolean);
	await until(() => moves(watch).filter((m) => m.startsWith("removed ")).length >= gone.length, "who went");
	assert.deepEqual(moves(watch).filter((m) => m.startsWith("removed ")).sort(), gone.sort());
}));
