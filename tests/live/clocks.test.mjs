// SPDX-License-Identifier: MIT
//
// Hosts whose clocks are a day apart and jump: no host compares another's time
// with its own.  A library that bends the wall clock is put under one of them;
// that needs root (its own view of /etc) and a compiler, else it is skipped.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { unique, until } from "./harness.mjs";
import { Fleet, STEADY, Stream, backplane, sound, subscribed } from "./hosts.mjs";

const who = (user_id) => ({ user_id, user_info: {} });

/** A day ahead, a day behind, right: each for two seconds. */
const BENT = `
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long shift(void) {
	struct timespec m;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &m);
	return (1 - m.tv_sec / 2 % 3) * 86400;
}
int clock_gettime(clockid_t id, struct timespec *t) {
	int r = (int)syscall(SYS_clock_gettime, id, t);
	if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += shift();
	return r;
}
int gettimeofday(struct timeval *t, void *z) {
	struct timespec s;
	(void)z;
	clock_gettime(CLOCK_REALTIME, &s);
	t->tv_sec = s.tv_sec;
	t->tv_usec = s.tv_nsec / 1000;
	return 0;
}
time_t time(time_t *t) {
	struct timespec s;
	clock_gettime(CLOCK_REALTIME, &s);
	if (t)
		*t = s.tv_sec;
	return s.tv_sec;
}
`;

const possible = process.getuid() === 0 && process.env.PEAL_TEST_SANITIZED === undefined &&
	spawnSync("sh", ["-c", "command -v cc && unshare -m true"]).status === 0;

test("clocks a day apart, and jumping", { skip: possible ? false : "needs root and a compiler" }, async (t) => {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-clock-"));
	const so = path.join(dir, "bent.so");
	fs.writeFileSync(path.join(dir, "bent.c"), BENT);
	execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", so, path.join(dir, "bent.c")]);
	execFileSync("cp", ["-a", "/etc", path.join(dir, "etc")]);
	fs.writeFileSync(path.join(dir, "etc/ld.so.preload"), `${so}\n`);
	const through = ["unshare", "-m", "sh", "-c", `mount --bind ${dir}/etc /etc && exec "$@"`, "sh"];
	const fleet = await Fleet.start({ hosts: 2, http: { timestamp_window: "0" }, backplane: STEADY, each: (i) => (i === 1 ? { through } : {}) });
	try {
		const room = unique("presence-clock"), cache = unique("cache-clock"), crowd = await fleet.crowd();
		const [router] = fleet.hosts[1].pids("peald: router");
		assert.match(fs.readFileSync(`/proc/${router}/maps`, "utf8"), /bent\.so/);
		for (const [i, c] of crowd.entries())
			await subscribed(c, room, who(`u${i}`));
		await fleet.hosts[1].publish(cache, "kept", "1");
		const stream = await Stream.start(fleet, { pause: 20 });
		// Answers are dated by that clock: every jump comes by.
		const days = new Set();
		await until(async () => {
			const { headers } = await fleet.hosts[1].request("GET", "/up");
			days.add(new Date(headers.date).toISOString().slice(0, 10));
			return days.size >= 3;
		}, "three days in six seconds");
		t.diagnostic(sound(await stream.stop(), { lossless: () => true }));
		await fleet.agree(`/channels/${room}`, { info: "user_count" }, { occupied: true, user_count: 2 });
		for (const host of fleet.hosts) {
			const b = await backplane(host);
			assert.deepEqual([b.hosts, b.hosts_lost, b.host_gaps, b.backplane_echo_timeouts, b.backplane_failures], [2, 0, 0, 0, 0]);
		}
		for (const c of crowd) {
			assert.deepEqual(c.frames.filter((f) => /member_removed/.test(f.event)), []);
			await subscribed(c, cache);
			await c.skipTo("kept", cache);
		}
		t.diagnostic(`days it believed in: ${[...days].join(" ")}`);
	} finally {
		await fleet.stop();
		fs.rmSync(dir, { recursive: true, force: true });
	}
});
