// SPDX-License-Identifier: MIT
// Processes that die in the middle of a reload, new binaries that are no good, and
// a master that is killed: under load, at moments that chance chooses.
import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { brief, broken, change, crowded, faults, replace } from "./crowd.mjs";
import { until } from "./harness.mjs";
import { freePort } from "./redis.mjs";

const WORKERS = 3;
const LOAD = brief ?
    { clients: 400, rooms: 50, streams: 50, size: 20, rate: 60, "client-rate": 10, churn: 5 } :
    { clients: 1600, rooms: 200, streams: 200, size: 25, rate: 300, "client-rate": 30, churn: 10 };
const HEARD = brief ? 200 : 2000, ROUNDS = (brief ? 3 : 8) * Number(process.env.PEAL_TEST_SOAK ?? 1);

/** What happens to nobody, whoever dies. */
const NEVER = ["missing", "doubled", "disordered", "strange", "unanswered", "presence_wrong"];

const alive = (pid) => {
	try {
		return !/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1"));
	} catch {
		return false;
	}
};

const running = (define, options = {}) => crowded({ workers: WORKERS, "rooms plain": {}, ...options }, LOAD,
    async (server, crowd) => {
	// Not what a sanitizer says.
	server.allow(/^\S+ (error|warn) (master|worker|router)/);
	await crowd.hears(HEARD);
	await define(server, crowd);
});

let serial = 0;
/** A reload that replaces all processes: the reason if it failed. */
function reload(server) {
	if (++serial % 2)
		replace(server);
	else
		change(server, { router: { publish_window: `${17 + serial}m` } });
	return server.ctl("reload").then(() => null, (error) => error);
}

/** One process of each kind, and no other. */
async function whole(server) {
	let status, there;
	return until(async () => {
		status = await server.ctl("status").catch((error) => ({ state: error.message }));
		there = server.pids("peald: ");
		return status.state === "running" && server.pids("peald: worker").length === WORKERS &&
		    server.pids("peald: router").length === 1 && status;
	}, () => `all processes in order: ${status.state}, ${there}, ${JSON.stringify([status.router, ...status.workers ?? []]
	    .map((c) => [c?.pid, c?.state]))}`);
}

/** The slot of a process, by its title; no number if it has gone. */
function slot_of(pid) {
	try {
		const title = fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim();
		return /^peald: router/.test(title) ? 0 : Number(/^peald: worker (\d+)/.exec(title)?.[1] ?? NaN);
	} catch {
		return undefined;
	}
}

/** Descriptors of a process; none if it has gone. */
function descriptors(pid) {
	try { return fs.readdirSync(`/proc/${pid}/fd`).length; } catch { return 0; }
}

/** Kills one of those that are there at a moment of the reload.  own: what those of
 * its slot had in that moment, whichever of the two a connection was with (when
 * connections are spread anew, a worker may have got many since the reload began). */
async function kill_during(server, title, during) {
	const delay = Math.random() * Math.max(50, during * 1.2);
	await new Promise((resolve) => setTimeout(resolve, delay));
	const [{ pid, slot }] = await until(() => {
		const found = server.pids(title).map((p) => ({ pid: p, slot: slot_of(p), turn: Math.random() }))
		    .filter((p) => p.slot >= 0).sort((x, y) => x.turn - y.turn);
		return found.length > 0 && found;
	}, title);
	const own = server.pids(title).filter((p) => slot_of(p) === slot).reduce((sum, p) => sum + descriptors(p), 0);
	try { process.kill(pid, "SIGKILL"); } catch { /* it has ended by itself */ }
	return { delay, slot, own };
}

/** How long a reload takes here when nobody dies. */
async function measured(server) {
	const began = performance.now();
	assert.equal(await reload(server), null);
	return performance.now() - began;
}

test("workers killed during reloads: each costs its own connections", () => running(async (server, crowd) => {
	const during = await measured(server), { disconnects } = await crowd.mark();
	let most = 0;
	for (let round = 0; round < ROUNDS; round++) {
		await crowd.back();
		await whole(server);
		const had = Object.fromEntries(server.pids("peald: worker").map((pid) => [slot_of(pid), descriptors(pid)]));
		const done = reload(server);
		const { delay, slot, own } = await kill_during(server, "peald: worker", during);
		const why = await done;
		const here = `round ${round}: worker ${slot} killed after ${Math.round(delay)} of ${
		    Math.round(during)} ms, reload ${why?.message ?? "done"}`;
		await whole(server);
		const now = await crowd.back();
		// Of all rounds: the crowd may notice a death late.
		most += Math.max(own, had[slot]) + 4 * LOAD.churn;
		assert.ok(now.disconnects - disconnects <= most,
		    `${here}: ${now.disconnects - disconnects} cut, they had ${most}`);
		assert.deepEqual(faults(now, NEVER), {}, here);
		await crowd.hears(HEARD);
	}
	const end = await crowd.end();
	assert.deepEqual(faults(end, NEVER), {});
	assert.equal(end.counts_right, true);
	assert.equal(end.api_failed, end.api_cut, "only calls under way there");
}));

test("routers killed during reloads: nobody notices", () => running(async (server, crowd) => {
	const during = await measured(server);
	for (let round = 0; round < ROUNDS; round++) {
		const done = reload(server);
		const { delay } = await kill_during(server, "peald: router", during);
		const why = await done;
		await whole(server);
		await crowd.hears(HEARD);
		const now = await crowd.mark();
		assert.deepEqual(faults(now, [...NEVER, "presence_again", "disconnects", "refused", "noise", "blinks", "errors", "api_cut"]), {},
		    `round ${round}: killed after ${Math.round(delay)} of ${Math.round(during)} ms, reload ${why?.message ?? "done"}`);
	}
	const end = await crowd.end();
	assert.deepEqual(faults(end, [...NEVER, "presence_again", "disconnects", "refused", "noise", "blinks", "errors", "api_cut"]), {});
	assert.equal(end.counts_right, true);
	assert.deepEqual(Object.keys(end.status).filter((s) => s !== "200" && s !== "503"), []);
}));

const BAD = {
	"is no program": () => Buffer.from("#!/bin/sh\nexit 1\n"),
	...(broken && {
		"has workers that end at once": broken("worker_main", "exit"),
		"has a router that ends at once": broken("router_main", "exit"),
	}),
};

test("a new binary that is no good changes nothing", () => running(async (server, crowd) => {
	const good = fs.readFileSync(server.binary), children = server.pids("peald: ").sort();
	for (const [what, edit] of Object.entries(BAD)) {
		replace(server, () => edit(good));
		await assert.rejects(server.ctl("reload"), what);
		await until(() => server.pids("peald: ").sort().join() === children.join(), `only the old ones, after one that ${what}`);
		await crowd.hears(HEARD);
		assert.deepEqual(faults(await crowd.mark()), {}, what);
	}
	replace(server, () => good);
	assert.equal(await reload(server), null);
	await whole(server);
	assert.equal(server.pids("peald: ").some((pid) => children.includes(pid)), false);
	const end = await crowd.end();
	assert.deepEqual(faults(end), {});
}));

// The next one is to have the same port, and nobody else meanwhile.
const OWN = `127.0.0.1:${await freePort()}`;
test("the master killed under load: its children end in good order, the next start works", () => running(async (server, crowd) => {
	const children = server.pids("peald: ");
	server.child.kill("SIGKILL");
	await server.gone;
	await until(() => !children.some(alive), "the children to end");
	server.status = undefined;
	await server.spawn(["-c", server.ini], {});
	server.allow(/^\S+ (error|warn) (master|worker|router)/);
	await crowd.back();
	await whole(server);
	await crowd.hears(HEARD);
	const end = await crowd.end();
	assert.deepEqual(faults(end, ["missing", "doubled", "disordered", "strange", "presence_wrong"]), {});
	assert.equal(end.counts_right, true);
	assert.equal(end.codes[1006], undefined, `all were told to come back: ${JSON.stringify(end.codes)}`);
}, { peal: { pid_file: "pid" }, listen: { address: OWN } }));
