// SPDX-License-Identifier: MIT
//
// A Redis that fails under hosts that stream events: what clients see, what is
// lost, how long until it is right again (said in diagnostics, never asserted).
// In all of them: nothing comes twice, each host's events keep their order,
// nobody's connection ends, a host's own clients hear every event that their
// host answered with 200, and counts are exact in the end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decoded, patience, unique, until } from "./harness.mjs";
import { Fleet, Stream, backplane, counted, sound, subscribed } from "./hosts.mjs";
import { Redis, freePort } from "./redis.mjs";

const who = (user_id) => ({ user_id, user_info: {} });

/** Hosts with a member each in a room, streaming; checks what must be so in
 * the end, whatever define() did to their Redis. */
async function failing(t, options, define) {
	const { stream: how, ...settings } = options;
	const fleet = await Fleet.start({ hosts: 2, workers: [2, 1], ...settings });
	fleet.allow();
	try {
		const room = unique("presence-room"), news = unique("news"), members = await fleet.crowd();
		for (const [i, c] of members.entries()) {
			await subscribed(c, room, who(`u${i}`));
			await subscribed(c, news);
		}
		const ids = members.map((_, i) => `u${i}`);
		const right = async () => await fleet.agree(`/channels/${room}`, { info: "user_count" }, { occupied: true, user_count: ids.length }) +
		    await fleet.agree(`/channels/${news}`, { info: "subscription_count" }, { occupied: true, subscription_count: ids.length });
		await right();
		await fleet.settled();
		await fleet.hosts[0].publish(room, "begin", "1");
		for (const c of members)
			await c.skipTo("begin", room);
		const stream = await Stream.start(fleet, how);
		await stream.more(20);
		const say = (text) => t.diagnostic(text);
		await define({ fleet, stream, say, room, members, right });
		say(`everybody hears everybody ${Math.round(await stream.whole())} ms later`);
		const words = sound(await stream.stop(), stream.lossless ? { lossless: () => true } : {});
		say(words);
		say(`counts right ${Math.round(await right())} ms after that`);
		// Nobody was cut, nobody was told that a member went.
		for (const [i, c] of members.entries()) {
			assert.equal(c.ended, undefined, `member ${i} was cut`);
			assert.deepEqual(c.frames.filter((f) => /member_/.test(f.event)), [], "no member came or went");
		}
		// New ones are announced once, on both.
		const late = await fleet.hosts[0].connect();
		assert.equal((await subscribed(late, room, who("late"))).presence.count, ids.length + 1);
		for (const c of members)
			await c.skipTo("pusher_internal:member_added", room);
		await late.kill();
		for (const c of members)
			await c.skipTo("pusher_internal:member_removed", room);
	} finally {
		await fleet.stop();
	}
}

const since = (begin) => `${Math.round(performance.now() - begin)} ms`;

test("Redis killed and started again: lost is what was on its way to the other host, and what is published before that host is back", (t) => failing(t, {}, async ({ fleet, stream, say }) => {
	await fleet.redis.kill();
	await stream.more(40);		// goes on without it
	const begin = performance.now();
	await fleet.redis.again();
	await fleet.joined();
	say(`hosts joined ${since(begin)} after Redis was back`);
}));

test("Redis frozen past the time-out and thawed: local delivery within echo_timeout, nothing twice when all copies come at last", (t) => failing(t, {}, async ({ fleet, stream, say }) => {
	fleet.redis.pause();
	const begin = performance.now();
	await until(async () => (await Promise.all(fleet.hosts.map(backplane))).every((b) => b.degraded || !b.up), "the hosts to notice");
	say(`noticed within ${since(begin)}`);
	await stream.more(40);
	await until(async () => (await Promise.all(fleet.hosts.map(backplane))).every((b) => !b.up), "the links to time out");
	await stream.more(10);
	fleet.redis.resume();
	const back = performance.now();
	await fleet.joined();
	say(`hosts joined ${since(back)} after it went on`);
	const local = stream.report().filter((p) => p.local);
	assert.ok(local.every((p) => p.slowest < 15000 * patience), JSON.stringify(local));
}));

test("Redis frozen for less than the time-out: nothing is lost at all", (t) => failing(t, { backplane: { timeout: "30s" } }, async ({ fleet, stream, say }) => {
	fleet.redis.pause();
	await until(async () => (await Promise.all(fleet.hosts.map(backplane))).every((b) => b.degraded), "both hosts to be degraded");
	await stream.more(40);
	fleet.redis.resume();
	const begin = performance.now();
	await until(async () => (await Promise.all(fleet.hosts.map(backplane))).every((b) => b.up && !b.degraded), "both hosts to be well");
	say(`not degraded ${since(begin)} after it went on`);
	stream.lossless = true;
}));

test("each link of each host cut, again and again: lost is what came while a subscriber's link was away", (t) => failing(t, {}, async ({ fleet, stream, say }) => {
	for (const type of ["normal", "pubsub", "normal", "pubsub"]) {
		await fleet.redis.cut(type);
		await stream.more(15);
		await stream.whole();
	}
	say(`${(await backplane(fleet.hosts[0])).backplane_connects} connections made by the first host`);
}));

test("cut off for too long an output buffer: that host is back by itself, lost is what was in the buffer", (t) => failing(t, { stream: { publishers: [1] } }, async ({ fleet, stream, say }) => {
	const [a, b] = fleet.hosts, big = unique("big"), c = await a.connect();
	await c.subscribe(big);
	await fleet.redis.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 256k 64k 1");
	const before = (await backplane(a)).backplane_failures;
	// It reads nothing for a moment, while others write a lot.
	const [router] = a.pids("peald: router");
	a.allow(/stood still/);
	const kills = async () => Number((await fleet.redis.info("stats")).client_output_buffer_limit_disconnections ?? NaN);
	const gone = async () => (await fleet.redis.command("CLIENT", "LIST", "TYPE", "pubsub")).trim().split("\n").length;
	const links = await gone();
	process.kill(router, "SIGSTOP");
	try {
		let n = 0;
		await until(async () => {
			for (let i = 0; i < 100; i++)
				await b.publish(big, "flood", "x".repeat(9000));
			return ++n > 0 && (await gone() < links || await kills() > 0);
		}, "Redis to cut the link");
	} finally {
		process.kill(router, "SIGCONT");
	}
	const begin = performance.now();
	await counted(a, "backplane_failures", before + 1);
	await fleet.redis.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60");
	await fleet.joined();
	say(`joined again ${since(begin)} after the cut host went on`);
	assert.deepEqual(a.pids("peald: router"), [router], "its router lives");
}));

test("FLUSHALL: messages and counts do not stand on it; what cache channels kept may be gone", (t) => failing(t, {}, async ({ fleet, stream, say }) => {
	const channel = unique("cache-flush"), [a, b] = await fleet.crowd();
	await a.subscribe(channel);
	await a.expect("pusher:cache_miss", channel);
	await fleet.hosts[0].publish(channel, "kept", "1");
	await a.expect("kept", channel);
	await fleet.redis.command("FLUSHALL");
	await stream.more(20);
	await b.subscribe(channel);
	say(`a newcomer on the other host gets: ${(await b.next()).event}`);
	await fleet.hosts[0].publish(channel, "next", "2");
	await b.skipTo("next", channel);
	await a.skipTo("next", channel);
	const again = await fleet.hosts[1].connect();
	await again.subscribe(channel);
	await again.expect("next", channel);
	stream.lossless = true;
}));

test("no Redis at the start: every host serves alone; when it comes they join, and are told of each other's members", async (t) => {
	const port = await freePort();
	const fleet = await Fleet.start({ hosts: 2, joined: false, redis: { url: `redis://127.0.0.1:${port}` } });
	fleet.allow();
	let redis;
	try {
		const room = unique("presence-alone"), news = unique(), cache = unique("cache-alone"), crowd = await fleet.crowd();
		for (const [i, c] of crowd.entries()) {
			assert.deepEqual((await subscribed(c, room, who(`u${i}`))).presence.ids, [`u${i}`]);
			await c.subscribe(news);
			await c.subscribe(cache);
			await c.expect("pusher:cache_miss", cache);
			await fleet.hosts[i].publish([news, cache], `from-${i}`, "1");
			for (let n = 0; n < 2; n++)
				assert.equal((await c.next()).event, `from-${i}`);
		}
		for (const host of fleet.hosts) {
			assert.equal((await backplane(host)).up, false);
			await counted(host, "backplane_failures", 2);
			assert.deepEqual((await host.get(`/channels/${room}`, { info: "user_count" })).json, { occupied: true, user_count: 1 });
		}
		redis = await Redis.start({ port });
		fleet.redis = redis;
		const begin = performance.now();
		await fleet.joined();
		t.diagnostic(`joined ${since(begin)} after Redis came`);
		for (const [i, c] of crowd.entries()) {
			const added = await c.skipTo("pusher_internal:member_added", room);
			assert.equal(decoded(added).user_id, `u${1 - i}`);
		}
		await fleet.agree(`/channels/${room}`, { info: "user_count" }, { occupied: true, user_count: 2 });
		await fleet.agree(`/channels/${news}`, { info: "subscription_count" }, { occupied: true, subscription_count: 2 });
		for (const host of fleet.hosts)
			await host.publish(news, "joined", "1");
		for (const c of crowd) {
			const seen = [];
			while (seen.length < 2) {
				const f = await c.next();
				if (f.event === "joined")
					seen.push(f);
			}
		}
		await fleet.hosts[0].silence(crowd, news);
	} finally {
		fleet.own = false;
		await fleet.stop();
		await redis?.stop();
	}
});
