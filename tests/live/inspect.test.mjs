// SPDX-License-Identifier: MIT
// Single connections as they are seen by the control socket: who they are, what
// they are in, what waits for them; and closing one of them.
import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import { Server, live, unique, until, within } from "./harness.mjs";
import { Events, Room } from "./rooms.mjs";

const rows = (lines) => lines.slice(0, -1);
const ids = (lines) => rows(lines).map((row) => row.socket_id).sort();
/** inspect must succeed, and have heard all workers (but those that are not to). */
async function inspect(server, question = {}, missing) {
	// A router that has not heard all workers yet refuses; and where others run, too,
	// one may not get to answer in time.
	let some;
	const lines = await until(async () => {
		some = await server.ask({ verb: "inspect", ...question });
		return !/starting/.test(some.at(-1).error) && (!some.at(-1).ok || `${some.at(-1).missing}` === `${missing}`) && some;
	}, () => `all to answer; have ${JSON.stringify(some.at(-1))}`);
	const last = lines.at(-1);
	assert.equal(last.ok, true, JSON.stringify(last));
	return lines;
}

live("inspect", { rooms: { sse_retry: "1s" } }, (s) => {
	test("a row says who it is", async () => {
		const c = await s.server.connect(), channel = unique("news");
		await c.subscribe(channel);
		const [row, last] = await inspect(s.server, { socket: c.id });
		assert.deepEqual(Object.keys(row), ["app", "socket_id", "front", "worker", "address", "user",
		    "channels", "names", "backlog", "age", "idle"]);
		assert.ok(row.worker >= 1 && row.worker <= s.workers);
		assert.ok(row.age >= 0 && row.idle >= 0 && row.idle <= row.age + 1);
		assert.deepEqual({ ...row, worker: 0, age: 0, idle: 0 }, { app: "1001", socket_id: c.id, front: "pusher",
		    worker: 0, address: "127.0.0.1", user: null, channels: 1, names: [channel], backlog: 0, age: 0, idle: 0 });
		assert.deepEqual(last, { ok: true, total: 1 });
	});

	test("by channel, by user, and both, over all workers", async () => {
		// So many that no worker has all of them, and not by luck.
		const crowd = await s.server.crowd(50), channel = unique("room"), user = unique("us\"er\n☃");
		for (const c of crowd.slice(0, 40))
			await c.subscribe(channel);
		for (const c of crowd.slice(34, 46))
			await c.signin({ id: user });
		const of = (part) => part.map((c) => c.id).sort();
		assert.deepEqual(ids(await inspect(s.server, { channel })), of(crowd.slice(0, 40)));
		const signed = await inspect(s.server, { user });
		assert.deepEqual(ids(signed), of(crowd.slice(34, 46)));
		assert.ok(rows(signed).every((row) => row.user === user));
		assert.deepEqual(ids(await inspect(s.server, { app: "main", channel, user })), of(crowd.slice(34, 40)));
		assert.deepEqual(await inspect(s.server, { channel: unique("none") }), [{ ok: true, total: 0 }]);
		if (s.workers > 1)
			assert.ok(new Set(rows(await inspect(s.server, { channel })).map((row) => row.worker)).size > 1);
	});

	test("a limit shows some, and how many there are", async () => {
		const crowd = await s.server.crowd(9), channel = unique("room");
		for (const c of crowd)
			await c.subscribe(channel);
		const some = await inspect(s.server, { channel, limit: 4 });
		assert.equal(some.length, 5);
		assert.deepEqual(some.at(-1), { ok: true, total: 9 });
		assert.deepEqual(await inspect(s.server, { channel, limit: 0 }), [{ ok: true, total: 9 }]);
	});

	test("members of a presence channel; the first names of many", async () => {
		const c = await s.server.connect(), room = unique("presence-room"), id = unique("member");
		c.subscribing(room, { user_id: id, user_info: {} });
		await c.skipTo("pusher_internal:subscription_succeeded");
		for (let i = 0; i < 30; i++)
			await c.subscribe(unique("more"));
		const [row] = await inspect(s.server, { user: id });
		assert.equal(row.user, id);
		assert.equal(row.channels, 31);
		assert.equal(row.names.length, 20);
		assert.equal((await s.server.ask({ verb: "kick", user: id }))[0].closed, 1);
		await c.closed(4009);
	});

	test("rooms and event streams are connections, too", async () => {
		const room = unique("plain"), ws = await Room.open(s.server, `/?room=${room}`),
		    events = await Events.join(s.server, `/sse/${room}`);
		const both = await until(async () => {
			const lines = await inspect(s.server, { channel: `room-${room}` });
			return lines.length === 3 && lines;
		}, "both to be there");
		assert.deepEqual(rows(both).map((row) => row.front).sort(), ["rooms", "sse"]);
		for (const row of rows(both))
			assert.deepEqual((await s.server.ask({ verb: "kick", socket: row.socket_id })), [{ ok: true, closed: 1 }]);
		await ws.closed(1008);
		events.close?.();
	});

	test("kick closes one connection, or all of a user", async () => {
		const crowd = await s.server.crowd(8), channel = unique("room"), user = unique("user");
		for (const c of crowd)
			await c.subscribe(channel);
		for (const c of crowd.slice(5))
			await c.signin({ id: user });
		assert.deepEqual(await s.server.ask({ verb: "kick", socket: crowd[0].id }), [{ ok: true, closed: 1 }]);
		await crowd[0].closed(4009, "Connection terminated by the application");
		assert.deepEqual(await s.server.ask({ verb: "kick", socket: crowd[0].id }), [{ ok: true, closed: 0 }]);
		const [kicked] = await s.server.ask({ verb: "kick", user });
		assert.equal(kicked.closed, 3, JSON.stringify(kicked));
		for (const c of crowd.slice(5))
			await c.closed(4009);
		await s.server.silence(crowd.slice(1, 5), channel);
	});

	test("who reads slowly stands on top", async () => {
		const crowd = await s.server.crowd(4), channel = unique("busy"), slow = crowd[2], slower = crowd[1];
		for (const c of crowd)
			await c.subscribe(channel);
		await slower.subscribe(`${channel}-2`);
		for (const c of [slow, slower])
			c.socket._socket.pause();
		const waits = (c) => until(async () => {
			for (const name of [channel, ...(c === slower ? [`${channel}-2`, `${channel}-2`] : [])])
				await s.server.publish(name, "e", "x".repeat(9000));
			return (await inspect(s.server, { socket: c.id }))[0].backlog > 100000;
		}, "octets to wait");
		await waits(slow);
		await waits(slower);
		const lines = await inspect(s.server, { slow: true });
		const [first, second] = rows(lines).filter((row) => [slow.id, slower.id].includes(row.socket_id));
		assert.ok(rows(lines).every((row, i) => row.backlog > 0 && (i === 0 || row.backlog <= lines[i - 1].backlog)));
		assert.deepEqual([first.socket_id, second.socket_id].sort(), [slow.id, slower.id].sort());
		const [top] = rows(await inspect(s.server, { slow: true, limit: 1 }));
		assert.equal(top.socket_id, lines[0].socket_id);
		for (const c of [slow, slower])
			c.socket._socket.resume();
		await until(async () => rows(await inspect(s.server, { slow: true, channel })).length === 0, "all to be read");
	});

	test("channels: a part of the name, a limit, how many", async () => {
		const c = await s.server.connect(), mark = unique("mark");
		for (const name of ["a", "b", "c"])
			await c.subscribe(`${name}-${mark}-x`);
		const all = await s.server.ask({ verb: "channels", match: mark });
		assert.deepEqual(rows(all).map((row) => row.channel).sort(), [`a-${mark}-x`, `b-${mark}-x`, `c-${mark}-x`]);
		assert.deepEqual(all.at(-1), { ok: true, total: 3 });
		const some = await s.server.ask({ verb: "channels", match: `${mark}-x`, limit: 1 });
		assert.equal(some.length, 2);
		assert.deepEqual(some.at(-1), { ok: true, total: 3 });
		assert.deepEqual(await s.server.ask({ verb: "channels", prefix: "b-", match: mark }),
		    [{ channel: `b-${mark}-x`, subscriptions: 1, users: 0 }, { ok: true, total: 1 }]);
	});

	test("hosts: this one, where there is no other", async () => {
		const [own, last, ...more] = await s.server.ask({ verb: "hosts" });
		assert.equal(own.own, true);
		assert.equal(own.state, "up");
		assert.deepEqual([last, ...more], [{ ok: true }]);
	});
});

test("behind a trusted proxy it is the client's address that is shown", async () => {
	const server = await Server.start({ http: { trusted_proxies: "127.0.0.1" } });
	try {
		const c = await server.connect({ headers: { "X-Forwarded-For": "203.0.113.9" } });
		const [row] = await inspect(server, { socket: c.id });
		assert.equal(row.address, "203.0.113.9");
	} finally {
		await server.stop();
	}
});

test("several applications: inspect shows all of them, or one", async () => {
	const apps = { one: { id: "1", key: "k1", secret: "s1" }, two: { id: "2", key: "k2", secret: "s2" } };
	const server = await Server.start({ apps, workers: 2 });
	try {
		const a = await server.connect({ app: apps.one }), b = await server.connect({ app: apps.two });
		assert.deepEqual(ids(await inspect(server)), [a.id, b.id].sort());
		assert.deepEqual(ids(await inspect(server, { app: "two" })), [b.id]);
		assert.deepEqual(await server.ask({ verb: "kick", socket: a.id }),
		    [{ ok: false, error: "there are several applications: name one" }]);
		assert.deepEqual(await server.ask({ verb: "kick", app: "2", socket: a.id }), [{ ok: true, closed: 0 }]);
		await a.ping();
		assert.deepEqual(await server.ask({ verb: "kick", app: "1", socket: a.id }), [{ ok: true, closed: 1 }]);
		await a.closed(4009);
		await b.ping();
	} finally {
		await server.stop();
	}
});

test("a worker that hangs is named, and the others have answered", async () => {
	const server = await Server.start({ workers: 3, peal: { watchdog: "10m" } });
	let hung;
	try {
		const crowd = await server.crowd(12);
		for (const c of crowd.slice(1, 4))
			await c.signin({ id: "7" });
		const lines = await inspect(server);
		const where = new Map(rows(lines).map((row) => [row.socket_id, row.worker]));
		const slot = where.get(crowd[0].id);
		hung = server.pids(`peald: worker ${slot}`)[0];
		process.kill(hung, "SIGSTOP");
		const some = await inspect(server, {}, [slot]);
		assert.equal(some.at(-1).total, rows(some).length);
		assert.deepEqual(ids(some), [...where].filter(([, at]) => at !== slot).map(([id]) => id).sort());
		const [kick] = await within(server.ask({ verb: "kick", socket: crowd[0].id }), "an answer");
		assert.deepEqual(kick, { ok: true, closed: 0, missing: [slot] });
		// Who does not wait for the answer has what it asked for, too.
		const hasty = net.connect(server.control);
		await within(new Promise((resolve) => hasty.end(`${JSON.stringify({ verb: "kick", user: "7" })}\n`, resolve)), "the question to be written");
		hasty.destroy();
		for (const c of crowd.slice(1, 4))
			if (where.get(c.id) !== slot)
				await c.closed(4009);
		process.kill(hung, "SIGCONT");
		// It was asked, and does as it was told.
		await crowd[0].closed(4009);
		for (const c of crowd.slice(1, 4))
			if (where.get(c.id) === slot)
				await c.closed(4009);
		assert.equal((await inspect(server)).at(-1).total, 8);
	} finally {
		process.kill(hung, "SIGCONT");
		await server.stop();
	}
});

test("thousands: all are counted, and none waits for that", async () => {
	const server = await Server.start({ workers: 1, descriptors: 8192 });
	try {
		const channel = unique("many"), crowd = [];
		while (crowd.length < 2500)
			crowd.push(...await server.crowd(100));
		await Promise.all(crowd.map((c) => c.subscribe(channel)));
		const answers = await Promise.all([inspect(server), inspect(server, { channel }), inspect(server, { limit: 9999 }),
		    inspect(server, { slow: true }), inspect(server, { socket: crowd.at(-1).id }),
		    ...crowd.slice(0, 20).map((c) => c.ping())]);
		assert.deepEqual(answers.slice(0, 5).map((lines) => [lines.length - 1, lines.at(-1).total]),
		    [[100, 2500], [100, 2500], [1000, 2500], [0, 0], [1, 1]]);
		assert.equal(new Set(ids(answers[2])).size, 1000);
	} finally {
		await server.stop();
	}
});
