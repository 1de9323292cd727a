// SPDX-License-Identifier: MIT
// Webhooks of several hosts that one Redis joins: each state is told once, by one of
// them; what happens to a connection by its own; and by another if that one dies.
import assert from "node:assert/strict";
import { test } from "node:test";
import { unique, until } from "./harness.mjs";
import { Fleet, TROUBLE } from "./hosts.mjs";
import { Target, aware } from "./targets.mjs";

const EVENTS = "channel_occupied, channel_vacated, member_added, member_removed, client_event, cache_miss, " +
    "subscription_count, connection_opened, connection_closed";
const FAST = { heartbeat: "200ms", host_timeout: "5s" };
const member = (id) => ({ user_id: id, user_info: {} });

/** A target for each host, so that one knows who said what. */
async function joined(hosts, options, define) {
	const targets = await Promise.all(Array.from({ length: hosts }, () => Target.start()));
	const fleet = await Fleet.start({ hosts, app: { client_events: "members", ...options.app },
	    courier: { allow: "127.0.0.1", hold_back: "100ms", ...options.courier }, backplane: options.backplane,
	    each: (i) => ({ "webhook main": { url: targets[i].url, events: options.events ?? EVENTS } }) });
	try {
		for (const h of fleet.hosts)
			await until(async () => (await h.ctl("status")).courier?.state === "up", "a courier");
		await aware(fleet.hosts[0], targets);
		await define(fleet, targets);
	} catch (error) {
		console.error(error);
		throw error;
	} finally {
		await fleet.stop();
		await Promise.all(targets.map((t) => t.stop()));
	}
}

const all = (targets) => targets.flatMap((t) => t.events);
const count = (targets, probe) => all(targets).filter(probe).length;

for (const hosts of [2, 3])
	test(`${hosts} hosts: each state once, the hosts share them`, () => joined(hosts, { events:
	    "channel_occupied, channel_vacated, member_added, member_removed" }, async (fleet, targets) => {
		const clients = await fleet.crowd(2), channels = Array.from({ length: 24 }, () => unique());
		const rooms = Array.from({ length: 12 }, () => unique("presence-room"));
		await Promise.all(clients.map(async (c, i) => {
			for (const name of channels)
				await c.subscribe(name);
			for (const name of rooms)
				c.subscribing(name, member(`user-${i % 3}`));
		}));
		const users = Math.min(3, clients.length);
		const once = async (name, n) => {
			await until(() => count(targets, (e) => e.name === name) >= n, () => `${n} ${name}; have ${count(targets, (e) => e.name === name)}`);
			const seen = all(targets).filter((e) => e.name === name).map((e) => `${e.channel} ${e.user_id ?? ""}`);
			assert.equal(new Set(seen).size, n, name);
			assert.equal(seen.length, n, `${name} twice: ${seen.filter((one, i) => seen.indexOf(one) !== i)}`);
		};
		await once("channel_occupied", channels.length + rooms.length);
		await once("member_added", rooms.length * users);
		// One channel's events come from one host.
		for (const t of targets)
			assert.ok(t.events.length > 0, "a host that says nothing");
		for (const c of clients)
			c.socket.terminate();
		await once("channel_vacated", channels.length + rooms.length);
		await once("member_removed", rooms.length * users);
		await once("channel_occupied", channels.length + rooms.length);
		for (const t of targets) {
			const own = new Set(t.events.filter((e) => e.name === "channel_occupied").map((e) => e.channel));
			for (const e of t.events)
				assert.ok(own.has(e.channel), `${e.name} ${e.channel} from another host`);
		}
	}));

test("who moves to another host within hold_back was never away", () => joined(2, { courier: { hold_back: "60s" } }, async (fleet, targets) => {
	const room = unique("presence-room"), [one, two] = fleet.hosts;
	const open = (h) => h.connect();
	let here = await open(one);
	await here.subscribe(room, member("ann"));
	await until(() => count(targets, (e) => e.name === "member_added") === 1, "ann");
	for (const h of [two, one, two]) {
		here.socket.terminate();
		await fleet.agree(`/channels/${room}`, {}, { occupied: false });
		here = await open(h);
		await here.subscribe(room, member("ann"));
		await fleet.settled();
	}
	// A word of hers comes behind all that would have been said before.
	here.send({ event: "client-said", channel: room, data: 1 });
	await until(() => count(targets, (e) => e.name === "client_event") === 1, "her word");
	assert.deepEqual(all(targets).filter((e) => e.channel === room && /occupied|vacated|member/.test(e.name)).map((e) => e.name).sort(),
	    ["channel_occupied", "member_added"]);
}));

test("what happens once is told by the host where it does, misses and counts by one", () => joined(2, { app: { subscription_count: "yes" } }, async (fleet, targets) => {
	const clients = await fleet.crowd(1), room = unique("private-room"), cache = unique("cache-room");
	for (const [i, c] of clients.entries()) {
		c.subscribing(room);
		await c.skipTo("pusher_internal:subscription_succeeded", room);
		c.send({ event: "client-said", channel: room, data: i });
		await until(() => targets[i].events.some((e) => e.name === "client_event" && e.data === `${i}` && e.socket_id === c.id), `the word of ${i}`);
		await until(() => targets[i].events.some((e) => e.name === "connection_opened" && e.socket_id === c.id), `the connection of ${i}`);
	}
	assert.equal(count(targets, (e) => e.name === "client_event"), 2);
	clients[0].subscribing(cache);
	await until(() => count(targets, (e) => e.name === "cache_miss") === 1, "a miss");
	await until(() => all(targets).some((e) => e.name === "subscription_count" && e.channel === room && e.subscription_count === 2), "both to be counted");
	const speakers = targets.filter((t) => t.events.some((e) => e.name === "subscription_count" && e.channel === room && e.subscription_count === 2));
	assert.equal(speakers.length, 1);
	for (const c of clients)
		c.socket.terminate();
	for (const [i, c] of clients.entries())
		await until(() => targets[i].events.some((e) => e.name === "connection_closed" && e.socket_id === c.id), `the end of ${i}`);
	const ids = all(targets).filter((e) => e.name === "connection_opened").map((e) => e.socket_id);
	assert.equal(ids.filter((id) => clients.some((c) => c.id === id)).length, 2);
	assert.equal(new Set(ids).size, ids.length);
}));

test("a host dies with what it was to say: another says it", () => joined(3, { backplane: FAST, events:
    "channel_occupied, channel_vacated" }, async (fleet, targets) => {
	fleet.allow(TROUBLE);
	fleet.allow(/did not take a request/);
	const channels = Array.from({ length: 30 }, () => unique()), [, , last] = fleet.hosts;
	// The one that dies does not get through to anybody.
	const requests = targets[2].requests.length;
	targets[2].answer = () => "hold";
	const stays = await fleet.hosts[0].connect();
	for (const name of channels)
		stays.subscribing(name);
	for (const name of channels)
		await stays.expect("pusher_internal:subscription_succeeded", name);
	const others = targets.slice(0, 2), heard = () => new Set(all(others).filter((e) => e.name === "channel_occupied").map((e) => e.channel));
	await until(() => targets[2].requests.length > requests, "the last host to speak");
	assert.ok(heard().size < channels.length);
	for (const pid of ["worker", "router", "courier"].flatMap((role) => last.pids(`peald: ${role}`)).concat(last.child.pid))
		process.kill(pid, "SIGKILL");
	await last.gone;
	fleet.hosts.pop();
	await until(() => heard().size === channels.length, () => `${channels.length} channels; have ${heard().size}`);
	stays.socket.terminate();
	const vacated = () => new Set(all(others).filter((e) => e.name === "channel_vacated").map((e) => e.channel));
	await until(() => vacated().size === channels.length, () => `${channels.length} vacated; have ${vacated().size}`);
	// At least once: states of the last ten seconds may be told again, and can be told apart.
	for (const name of channels)
		assert.equal(all(others).filter((e) => e.channel === name && e.name === "channel_vacated").length, 1, name);
}));

test("a host that comes, and goes in good order, changes nothing", () => joined(2, { events: "channel_occupied, channel_vacated" }, async (fleet, targets) => {
	const a = await fleet.hosts[0].connect(), channels = Array.from({ length: 60 }, () => unique());
	for (const name of channels)
		await a.subscribe(name);
	await until(() => count(targets, () => true) === channels.length, "all to be occupied");
	targets.push(await Target.start());
	fleet.each = () => ({ "webhook main": { url: targets[2].url, events: "channel_occupied, channel_vacated" } });
	await fleet.add();
	await fleet.joined();
	await until(async () => (await fleet.hosts[2].ctl("status")).courier?.state === "up", "its courier");
	const before = count(targets, () => true);
	assert.equal(before, channels.length);
	await aware(fleet.hosts[0], [targets[2]]);
	// So many that each host has some, and not by luck.
	const more = Array.from({ length: 60 }, () => unique());
	for (const name of more)
		await a.subscribe(name);
	await until(() => count(targets, () => true) >= channels.length + more.length, () => `the new ones: ${count(targets, () => true)}`);
	assert.ok(targets[2].events.length > 0, "the new host says nothing");
	await fleet.hosts.pop().stop();
	await fleet.joined();
	for (const name of [...channels, ...more])
		a.send({ event: "pusher:unsubscribe", data: { channel: name } });
	const all_of_them = channels.length + more.length;
	await until(() => count(targets, (e) => e.name === "channel_vacated") === all_of_them, () => `${all_of_them} vacated: ${count(targets, (e) => e.name === "channel_vacated")}`);
	assert.equal(count(targets, (e) => e.name === "channel_occupied"), all_of_them);
}));
