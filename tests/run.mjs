// SPDX-License-Identifier: MIT
//
// node tests/run.mjs FILE.test.mjs ...: runs each file in a process of its own,
// some at a time, shows what failed, and ends with "N passed, N failed".
// (node --test runs one file at a time on a small machine, and its reports
// differ between versions.)
//
// PEAL_TEST_JOBS: files at a time. PEAL_TEST_MINUTES: limit of one file.
import { spawn } from "node:child_process";
import path from "node:path";

const jobs = Number(process.env.PEAL_TEST_JOBS ?? 3);
const limit = Number(process.env.PEAL_TEST_MINUTES ?? 20) * 60000;
const files = process.argv.slice(2);

/** Those that take half a minute and more, the longest first: begun last, one of
 * them would run alone in the end. */
const LONG = ["benchmark", "webhooks", "cluster", "handover-faults", "badinput",
    "webhooks-crash", "metrics", "webhooks-targets", "proxy", "reload-crash", "reload", "pressure"];
const rank = (file) => [...LONG, path.basename(file, ".test.mjs")].indexOf(path.basename(file, ".test.mjs"));
files.sort((a, b) => rank(a) - rank(b));
let passed = 0, failed = 0;

/** Each file is a group of its own, which a terminal does not know. */
const groups = new Set();
const endAll = () => groups.forEach((pid) => { try { process.kill(-pid, "SIGKILL"); } catch { /* gone */ } });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
	process.once(signal, () => { endAll(); process.exit(1); });

function run(file) {
	return new Promise((resolve) => {
		const child = spawn(process.execPath, ["--test-reporter=tap", file],
		    { stdio: ["ignore", "pipe", "pipe"], detached: true });
		const timer = setTimeout(() => {
			out += `\n${file} took too long\n`;
			// All that it has started, too: they hold its pipes.
			try { process.kill(-child.pid, "SIGKILL"); } catch { /* gone */ }
		}, limit);
		let out = "", err = "";
		groups.add(child.pid);
		child.stdout.on("data", (d) => { out += d; });
		child.stderr.on("data", (d) => { err += d; });
		child.on("close", (status) => {
			clearTimeout(timer);
			groups.delete(child.pid);
			resolve({ status, out, err });
		});
	});
}

/** The blocks of failed tests, without what surrounds them, and without those
 * that only failed because something around them did. */
function failures(tap) {
	const lines = tap.split("\n"), kept = [];
	for (let i = 0; i < lines.length; i++) {
		const m = /^( *)not ok \d+/.exec(lines[i]), block = [lines[i]];
		if (!m)
			continue;
		while (lines[i + 1]?.startsWith(m[1] + "  ") && !/^ *(not )?ok /.test(lines[i + 1]))
			block.push(lines[++i]);
		if (!block.some((line) => /failureType: '(cancelledByParent|subtestsFailed)'/.test(line)))
			kept.push(...block);
	}
	return kept.filter((line) => !/^ *(type|duration_ms|location|failureType|code|name):/.test(line)).join("\n");
}

async function worker(queue) {
	for (let file = queue.shift(); file; file = queue.shift()) {
		const start = Date.now(), name = path.basename(file);
		const { status, out, err } = await run(file);
		const count = (word) => Number(new RegExp(`^# ${word} (\\d+)`, "m").exec(out)?.[1] ?? 0);
		const good = count("pass");
		let bad = count("fail") + count("cancelled");
		if (status !== 0 && bad === 0)
			bad = 1;
		passed += good;
		failed += bad;
		console.log(`${bad ? "FAIL" : "ok  "} ${name.padEnd(26)} ${
		    String(good).padStart(4)} passed ${String(bad).padStart(3)} failed ${
		    ((Date.now() - start) / 1000).toFixed(1).padStart(6)} s`);
		if (bad)
			console.log(failures(out) || out, "\n", err);
	}
}

const queue = [...files];
await Promise.all(Array.from({ length: Math.min(jobs, files.length) }, () => worker(queue)));
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed || !passed ? 1 : 0;
