// SPDX-License-Identifier: MIT
// Reloads in a row under load: nobody notices.  The longest pause is shown and not
// asserted: it is the machine's as well.
import assert from "node:assert/strict";
import { test } from "node:test";
import { brief, change, crowded, faults, replace } from "./crowd.mjs";
import { until } from "./harness.mjs";

const LOAD = brief ?
    { clients: 800, rooms: 100, streams: 100, size: 20, rate: 100, "client-rate": 10, churn: 5 } :
    { clients: 4400, rooms: 400, streams: 200, size: 50, rate: 500, "client-rate": 50, churn: 20 };
const HEARD = brief ? 300 : 5000;	// between reloads

let serial = 0;

/** What is changed before a reload; what: is new after it. */
const kinds = {
	live: (s) => change(s, { http: { keepalive_timeout: `${100 + ++serial}s` } }),
	settings: (s) => change(s, { router: { publish_window: `${17 + ++serial}m` } }),
	binary: (s) => replace(s),
	"1 worker": (s) => change(s, { peal: { workers: 1 } }),
	"2 workers": (s) => change(s, { peal: { workers: 2 } }),
	"4 workers": (s) => change(s, { peal: { workers: 4 } }),
	all: (s) => {
		replace(s);
		change(s, { peal: { workers: 3 }, router: { publish_window: `${17 + ++serial}m` } });
	},
};
const PLAN = brief ?
    ["live", "settings", "binary", "1 worker", "4 workers", "2 workers"] :
    ["live", "settings", "binary", "1 worker", "4 workers", "2 workers", "binary", "binary",
    "live", "settings", "1 worker", "binary", "4 workers", "binary", "live", "2 workers",
    "all", "settings", "binary", "2 workers"];

// PEAL_TEST_SOAK: so many times all of it (PEAL_TEST_MINUTES for run.mjs, too).
const ALL = Array.from({ length: Number(process.env.PEAL_TEST_SOAK ?? 1) }, () => PLAN).flat();

const pids = (server) => ({ workers: server.pids("peald: worker"), router: server.pids("peald: router") });
const workers_after = (kind, before) => Number(/^\d/.exec(kind)?.[0] ?? (kind === "all" ? 3 : before));

/** One reload; everybody is another process after it, or nobody. */
async function reload(server, kind) {
	const before = pids(server), began = performance.now();
	kinds[kind](server);
	await server.ctl("reload");
	const took = performance.now() - began;
	if (kind === "live") {
		assert.deepEqual(pids(server), before);
		return took;
	}
	const left = await until(() => {
		const now = pids(server);
		return !before.workers.some((pid) => now.workers.includes(pid)) &&
		    !before.router.some((pid) => now.router.includes(pid)) && now;
	}, "the old processes to leave");
	assert.equal(left.workers.length, workers_after(kind, before.workers.length));
	assert.equal(left.router.length, 1);
	return took;
}

test(`${ALL.length} reloads in a row under load: nobody notices`, (t) => crowded({ workers: 2, "rooms plain": {} }, LOAD,
    async (server, crowd) => {
	const took = [], calm = await crowd.hears(HEARD);
	assert.deepEqual(faults(calm), {}, "before any reload");
	for (const kind of ALL) {
		took.push(`${kind}: ${Math.round(await reload(server, kind))} ms`);
		const now = await crowd.hears(HEARD);
		assert.deepEqual(faults(now), {}, `after ${kind}: ${JSON.stringify(faults(now))}`);
	}
	const end = await crowd.end();
	assert.deepEqual(faults(end), {});
	assert.equal(end.counts_right, true);
	t.diagnostic(took.join(", "));
	t.diagnostic(`longest pause of any client ${end.longest_pause_ms} ms (without reloads ${
	    calm.longest_pause_ms} ms), of half of them ${end.pause_ms.p50} ms at most; ${end.received} messages`);
}));
