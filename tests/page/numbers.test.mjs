// SPDX-License-Identifier: MIT
// src/page/numbers.js: from reports to what is read.  No browser is needed.
import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";

const source = fs.readFileSync(new URL("../../src/page/numbers.js", import.meta.url), "utf8");
const { between, clock, count, date, duration, latency, Meter, octets, ofApp, quantile, rate, words } =
    await import(`data:text/javascript,${encodeURIComponent(source)}`);

const bounds = [0.001, 0.01, 0.1];

test("quantiles within a bucket, of nothing, beyond the last bound", () => {
	assert.ok(Number.isNaN(quantile(bounds, [0, 0, 0, 0], 0.5)));
	assert.equal(quantile(bounds, [100, 0, 0, 0], 0.5), 0.0005);
	assert.ok(Math.abs(quantile(bounds, [0, 10, 0, 0], 1) - 0.01) < 1e-9);
	assert.equal(quantile(bounds, [50, 50, 0, 0], 0.5), 0.001);
	assert.equal(quantile(bounds, [0, 0, 0, 5], 0.99), 0.1);
	assert.equal(quantile(bounds, [1, 0, 0, 0], 0), 0);
	assert.ok(Math.abs(quantile(bounds, [90, 9, 1, 0], 0.95) - (0.001 + 0.009 * 5 / 9)) < 1e-9);
});

test("what fell between two reports", () => {
	assert.deepEqual(between({ bounds, counts: [3, 2, 1, 0] }, { bounds, counts: [1, 2, 0, 0] }).counts, [2, 0, 1, 0]);
	assert.deepEqual(between({ bounds, counts: [3, 2, 1, 0] }, undefined).counts, [3, 2, 1, 0]);
	assert.deepEqual(between({ bounds, counts: [1] }, { counts: [5] }).counts, [0]);
	assert.equal(between(undefined, undefined), null);
	assert.equal(between({ counts: 7 }, null), null);
});

const report = (time, n, more = {}) => ({ time, totals: { messages_in: n, messages_out: 10 * n, published: n, connections: 5 },
	histograms: { publish_seconds: { bounds, counts: [n, 0, 0, 0] } },
	workers: [{ slot: 1, generation: 1, crew: "in force", counters: { messages_in: n, messages_out: 10 * n, connections: 5 } }],
	apps: [{ app: "1", label: "main", fronts: { pusher: { connections: 4, messages_in: n, messages_out: n, published: n },
		rooms: { connections: 1 } } }], closes: { PEER_CLOSED: n }, ...more });

test("rates by the reports' own clock", () => {
	const m = new Meter();
	m.add(report(1000, 0));
	assert.equal(m.samples.length, 0);
	m.add(report(3000, 100));
	const s = m.samples[0];
	assert.deepEqual([s.in, s.out, s.published, s.connections], [50, 500, 50, 5]);
	assert.equal(s.publish[0], 0.0005);
	assert.ok(s.fanout.every(Number.isNaN));
	assert.deepEqual(s.workers.get(1), { connections: 5, in: 50, out: 500 });
	assert.deepEqual(s.apps.get("1"), { label: "main", connections: 5, in: 50, out: 50, published: 50 });
	assert.equal(m.grown("closes", "PEER_CLOSED"), 100);
	assert.equal(m.grown("closes", "NONE"), 0);
});

test("a process that was replaced, and two of a slot at a time", () => {
	const m = new Meter();
	m.add(report(1000, 100));
	m.add(report(2000, 200, { workers: [{ slot: 1, generation: 2, crew: "in force", counters: { messages_in: 5, connections: 1 } }] }));
	assert.deepEqual(m.samples[0].workers.get(1), { connections: 1, in: 0, out: 0 });
	m.add(report(3000, 300, { workers: [{ slot: 1, generation: 2, crew: "leaving", counters: { connections: 9 } },
	    { slot: 1, generation: 3, crew: "in force", counters: { connections: 2 } }] }));
	assert.equal(m.samples[1].workers.get(1).connections, 2);
	m.add(report(4000, 400, { workers: [{ slot: 1, generation: 3, crew: "in force", counters: { connections: 2 } },
	    { slot: 1, generation: 2, crew: "leaving", counters: { connections: 9 } }] }));
	assert.equal(m.samples[2].workers.get(1).connections, 2);
});

test("a report that lacks parts, or has them of another kind", () => {
	const m = new Meter();
	for (const [i, more] of [{}, { totals: null, workers: null, apps: 7, histograms: "x", closes: null }, { workers: [{}], apps: [{}] },
	    { apps: [{ app: "1", fronts: null }], histograms: { publish_seconds: { bounds, counts: [null, "a", 1, 0] } } }].entries())
		m.add({ time: 1000 * (i + 1), ...more });
	assert.equal(m.samples.length, 3);
	assert.ok(m.samples.every((s) => s.in === 0 && s.connections === 0));
	assert.deepEqual(ofApp(undefined), { connections: 0, in: 0, out: 0, published: 0, requests: 0 });
});

test("five minutes are kept; a clock that goes back begins anew", () => {
	const m = new Meter();
	// Of 100 a second, told in steps of their own.
	for (const [i, n] of [0, 100, 100, 300, 400, 400, 600, 700].entries())
		m.add(report(1000 * i, n));
	assert.ok(m.samples.slice(2).every((s) => s.in >= 66 && s.in <= 134), JSON.stringify(m.samples.map((s) => s.in)));
	m.forget();
	for (let i = 1; i <= 400; i++)
		m.add(report(1000 * i, i));
	assert.equal(m.samples.length, 300);
	assert.equal(m.reports.length, 300);
	m.add(report(400001, 401));	// one that another viewer has asked for
	assert.equal(m.reports.length, 300);
	assert.equal(m.samples.at(-1).in, 1);
	m.add(report(5, 1));
	assert.equal(m.samples.length, 0);
	m.add(report(1005, 2));
	assert.equal(m.samples[0].in, 1);
});

test("numbers as text", () => {
	assert.deepEqual([0, 1234567, NaN, undefined].map(count), ["0", "1,234,567", "–", "–"]);
	assert.deepEqual([0, 0.44, 12.34, 950, 12345, 1.234e6, NaN].map(rate), ["0", "0.4", "12.3", "950", "12,345", "1.23 M", "–"]);
	assert.deepEqual([0, 999, 1024, 5e6, 3e9, undefined].map(octets), ["0 B", "999 B", "1 KiB", "4.77 MiB", "2.79 GiB", "–"]);
	assert.deepEqual([0, 0.00005, 0.00042, 0.0121, 1.234, NaN].map(latency), ["0 ms", "0.05 ms", "0.42 ms", "12.1 ms", "1.23 s", "–"]);
	assert.deepEqual([0, 59.9, 61, 3700, 90000, -5].map(duration), ["0 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h", "0 s"]);
	assert.deepEqual([0, NaN, "x", undefined, 1e18].map((t) => [clock(t), date(t)].join()), Array(5).fill("–,–"));
	assert.match(clock(1700000000123, true), /^\d\d:\d\d:\d\d\.123$/);
	assert.match(date(1700000000123), /^2023-11-1\d \d\d:\d\d:\d\d$/);
	assert.equal(words("PEER_CLOSED"), "peer closed");
});
