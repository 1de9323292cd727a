// SPDX-License-Identifier: MIT
//
// Hosts in network namespaces, whose cables to Redis are pulled: no reset, no
// error, just silence.  Their clients reach them by another network.  Needs
// root; elsewhere these tests are skipped.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { decoded, patience, unique, until } from "./harness.mjs";
import { Fleet, Stream, backplane, sound, subscribed } from "./hosts.mjs";
import { Redis } from "./redis.mjs";

const INSIDE = "PEAL_TEST_NAMESPACE";
const who = (user_id) => ({ user_id, user_info: {} });
const since = (begin) => `${Math.round(performance.now() - begin)} ms`;

function possible() {
	return process.getuid() === 0 && spawnSync("unshare", ["-n", "-m", "sh", "-c",
	    "ip link set lo up && ip link add back type bridge && ip link add one type veth peer name two && command -v nsenter"]).status === 0;
}

// All of it runs in a network of its own: this file once more, inside.
if (!process.env[INSIDE] && possible())
	process.exit(spawnSync("unshare", ["-n", "-m", process.execPath, ...process.execArgv, fileURLToPath(import.meta.url)],
	    { stdio: "inherit", env: { ...process.env, [INSIDE]: "yes" } }).status ?? 1);
const inside = Boolean(process.env[INSIDE]);

// ---- cables -----------------------------------------------------------------------

const BACK = "10.78.0.254";	// Redis
const ip = (...args) => execFileSync("ip", args, { stdio: "pipe" });
const holders = [];
process.on("exit", () => holders.forEach((h) => h.kill("SIGKILL")));

if (inside) {
	ip("link", "set", "lo", "up");
	ip("link", "add", "back", "type", "bridge");
	ip("link", "set", "back", "up");
	ip("addr", "add", `${BACK}/24`, "dev", "back");
}

/** A namespace with a cable to its clients (10.77.i) and one to Redis; gives
 * the options of a host that runs there. */
async function place() {
	const i = holders.length + 1;
	const holder = spawn("unshare", ["-n", "sh", "-c", "ip link set lo up; echo up; exec sleep 3600"], { stdio: ["ignore", "pipe", "inherit"] });
	holders.push(holder);
	await new Promise((resolve) => holder.stdout.once("data", resolve));
	const within = ["nsenter", "-t", String(holder.pid), "-n"];
	const there = (...args) => execFileSync(within[0], [...within.slice(1), "ip", ...args]);
	ip("link", "add", `f${i}`, "type", "veth", "peer", "name", "front", "netns", String(holder.pid));
	ip("addr", "add", `10.77.${i}.1/24`, "dev", `f${i}`);
	ip("link", "set", `f${i}`, "up");
	there("addr", "add", `10.77.${i}.2/24`, "dev", "front");
	there("link", "set", "front", "up");
	ip("link", "add", `b${i}`, "type", "veth", "peer", "name", "back", "netns", String(holder.pid));
	ip("link", "set", `b${i}`, "master", "back", "up");
	there("addr", "add", `10.78.0.${i}/24`, "dev", "back");
	there("link", "set", "back", "up");
	return {
		holder,
		options: { through: within, listen: { address: `10.77.${i}.2:0` } },
		pull: () => ip("link", "set", `b${i}`, "nomaster"),
		plug: () => ip("link", "set", `b${i}`, "master", "back"),
	};
}

async function apart(options, define) {
	const places = [await place(), await place()];
	const redis = await Redis.start({ config: { bind: `127.0.0.1 ${BACK}`, "protected-mode": "no" } });
	let fleet;
	try {
		fleet = await Fleet.start({ hosts: 2, workers: [1, 2], redis, ...options,
		    backplane: { url: `redis://${BACK}:${redis.port}`, ...options.backplane }, each: (i) => places[i].options });
		fleet.allow();
		await define(fleet, places);
	} finally {
		// Also if the hosts have something to complain of.
		try {
			await fleet?.stop();
		} finally {
			for (const p of places)
				p.holder.kill("SIGKILL");
			await redis.stop();
		}
	}
}

async function inhabited(fleet) {
	const room = unique("presence-room"), members = await fleet.crowd();
	for (const [i, c] of members.entries())
		await subscribed(c, room, who(`u${i}`));
	await counts(fleet, room, 2);
	await fleet.settled();
	await fleet.hosts[0].publish(room, "begin", "1");
	for (const c of members)
		await c.skipTo("begin", room);
	return { room, members };
}

const counts = (fleet, room, n, hosts = fleet.hosts) =>
	fleet.agree(`/channels/${room}`, { info: "user_count" }, { occupied: true, user_count: n }, { hosts });
const moves = (c) => c.frames.filter((f) => /member_/.test(f.event)).map((f) => `${f.event.slice(23)} ${decoded(f).user_id}`);

// ---- tests ------------------------------------------------------------------------

const skip = inside ? false : "needs root and network namespaces";

test("a host without its cable to Redis: it serves on and keeps what it knows, the others lose its members after host_timeout; plugged in, all is right", { skip }, (t) => apart({}, async (fleet, places) => {
	const { room, members } = await inhabited(fleet), [far] = fleet.hosts;
	const stream = await Stream.start(fleet);
	await stream.more(30);
	places[0].pull();
	const begin = performance.now();
	await until(async () => (await backplane(far)).degraded || !(await backplane(far)).up, "the host to notice");
	t.diagnostic(`noticed after ${since(begin)}`);
	await stream.more(30);
	await until(() => moves(members[1]).length > 0, "its member to leave");
	t.diagnostic(`its members left the others after ${since(begin)}`);
	assert.deepEqual(moves(members[1]), ["removed u0"]);
	await counts(fleet, room, 1, [fleet.hosts[1]]);
	await counts(fleet, room, 2, [far]);
	assert.deepEqual(moves(members[0]), [], "nobody left the lonely host");
	places[0].plug();
	const back = performance.now();
	await fleet.joined();
	t.diagnostic(`joined ${since(back)} after it was plugged in`);
	await stream.whole();
	t.diagnostic(`everybody hears everybody ${since(back)} after it was plugged in`);
	await counts(fleet, room, 2);
	t.diagnostic(`counts exact ${since(back)} after it was plugged in`);
	t.diagnostic(sound(await stream.stop()));
	assert.deepEqual(moves(members[1]), ["removed u0", "added u0"]);
	assert.deepEqual(moves(members[0]), []);
	for (const c of members)
		assert.equal(c.ended, undefined);
}));

test("longer than partition_timeout: each side goes on with its own members, and takes the other's back", { skip }, (t) => apart({ backplane: { timeout: "2s", heartbeat: "200ms", host_timeout: "4s", partition_timeout: "8s" } }, async (fleet, places) => {
	const { room, members } = await inhabited(fleet);
	places[0].pull();
	const begin = performance.now();
	await Promise.all(members.map((c, i) => until(() => moves(c).includes(`removed u${1 - i}`), "the other to be gone")));
	t.diagnostic(`both sides without the other after ${since(begin)}`);
	for (const host of fleet.hosts)
		await counts(fleet, room, 1, [host]);
	places[0].plug();
	const back = performance.now();
	await counts(fleet, room, 2);
	t.diagnostic(`counts exact ${since(back)} after it was plugged in`);
	await Promise.all(members.map((c, i) => until(() => moves(c).length === 2, "the other to be back")));
	for (const [i, c] of members.entries())
		assert.deepEqual(moves(c), [`removed u${1 - i}`, `added u${1 - i}`]);
}));

test("a cable out for less than the time-outs: nothing is lost, nothing is doubled, nobody blinks", { skip }, (t) => apart({ backplane: { timeout: "60s", host_timeout: "60s" } }, async (fleet, places) => {
	const { room, members } = await inhabited(fleet);
	const stream = await Stream.start(fleet);
	await stream.more(20);
	places[0].pull();
	const begin = performance.now();
	await until(async () => (await backplane(fleet.hosts[0])).degraded, "the host to notice");
	await stream.more(20);
	places[0].plug();
	t.diagnostic(`out for ${since(begin)}`);
	await stream.whole();
	t.diagnostic(sound(await stream.stop(), { lossless: () => true }));
	await counts(fleet, room, 2);
	for (const c of members)
		assert.deepEqual(moves(c), []);
	assert.ok(patience);
}));
