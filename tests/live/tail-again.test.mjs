// SPDX-License-Identifier: MIT
// pealctl tail by applications, and over routers that are replaced or die.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import { test } from "node:test";
import { Server, pealctl, until, within } from "./harness.mjs";

/** Settings that need new processes. */
async function replace(server) {
	fs.writeFileSync(server.ini, fs.readFileSync(server.ini, "utf8").replace("= 16m", "= 17m"));
	await server.ctl("reload");
}

/** pealctl tail --json, and what it has said. */
function follower(server, ...args) {
	const child = spawn(pealctl, ["-s", server.control, "--json", "tail", ...args]);
	const it = { child, lines: [], errors: "", kill: () => child.kill() };
	let rest = "";
	child.stdout.setEncoding("utf8").on("data", (part) => {
		const texts = (rest + part).split("\n");
		rest = texts.pop();
		it.lines.push(...texts.map((text) => JSON.parse(text)));
	});
	child.stderr.setEncoding("utf8").on("data", (part) => { it.errors += part; });
	it.ended = new Promise((resolve) => child.on("close", resolve));
	/** Events of this name are published, now and then, until one is shown: it follows. */
	it.follows = async (event) => {
		let next = 0;
		await until(async () => {
			if (Date.now() >= next) {
				await server.publish("news", event, "x");
				next = Date.now() + 250;
			}
			return it.lines.some((line) => line.event === event);
		}, () => `${event}; have ${JSON.stringify(it.lines).slice(-1000)} ${it.errors}`);
	};
	return it;
}

test("pealctl tail goes on over a reload that replaces processes, and over a router that dies", async () => {
	const server = await Server.start({ workers: 2, router: { publish_window: "16m" } });
	const all = follower(server, "main", "--kind", "published");
	try {
		await all.follows("first");
		await replace(server);
		await all.follows("second");
		const lost = (lines) => lines.filter((line) => line.lost).length;
		const once = lost(all.lines);
		assert.ok(once >= 1);
		assert.ok(all.lines.findIndex((line) => line.lost) > all.lines.findIndex((line) => line.event === "first"));
		server.allow(/worker|router|link/);
		process.kill(server.pids("peald: router")[0], "SIGKILL");
		await all.follows("third");
		assert.ok(lost(all.lines) > once);
		assert.equal(all.errors, "");
	} finally {
		await server.stop();
	}
	assert.equal(await within(all.ended, "the end of pealctl"), 1);
	assert.deepEqual(all.lines.at(-1), { ok: false, error: "peald has ended" });
});

test("what was shown before a reload counts for --limit", async () => {
	const server = await Server.start({ workers: 1, router: { publish_window: "16m" } });
	const some = follower(server, "news", "--limit", "500");
	try {
		await some.follows("first");
		await replace(server);
		await some.follows("second");
		assert.ok(some.lines.some((line) => line.lost));
		let over = false;
		some.ended.then(() => { over = true; });
		while (!over)
			await Promise.all(Array.from({ length: 10 }, () => server.publish("news", "more", "x")));
		assert.equal(await some.ended, 0);
		assert.equal(some.lines.filter((line) => line.event).length, 500);
		assert.ok(some.lines.some((line) => line.event === "first"));
	} finally {
		some.kill();
		await server.stop();
	}
});

test("one argument is the application if there is one of that name or id", async () => {
	const apps = { shop: { id: "1", key: "k1", secret: "s1" }, other: { id: "2", key: "k2", secret: "s2" } };
	const server = await Server.start({ apps, workers: 1 });
	const tails = [follower(server, "shop"), follower(server, "1"), follower(server, "shop", "news"),
	    follower(server, "-a", "shop", "news")];
	const not = follower(server, "news");
	try {
		server.app = apps.shop;
		assert.equal(await within(not.ended, "its end"), 1);
		assert.match(not.lines.at(-1).error, /name one/);
		await Promise.all(tails.map((tail) => tail.follows("e")));
		const c = await server.connect({ app: apps.shop });
		await c.subscribe("shop");
		const names = async (...words) => (await server.ctl("channels", ...words)).channels.map((row) => row.channel);
		assert.deepEqual(await names("shop"), ["shop"]);
		assert.deepEqual(await names("2"), []);
		assert.deepEqual(await names("shop", "sh"), ["shop"]);
		assert.deepEqual(await names("-a", "shop", "sh"), ["shop"]);
		await assert.rejects(server.ctl("channels", "sh"), /name one/);
	} finally {
		for (const tail of tails)
			tail.kill();
		await server.stop();
	}
});

test("a tail that nobody reads any more ends, though nothing happens", async () => {
	const server = await Server.start({ workers: 1 });
	const tail = follower(server, "silence");
	try {
		await until(async () => (await server.ctl("status")).totals.tails === 1, "the tail");
		tail.child.stdout.destroy();
		assert.equal(await within(tail.ended, "its end"), 0);
		// By a pipe of a shell, too.
		const both = spawn("sh", ["-c", '"$0" -s "$1" tail silence | :', pealctl, server.control]);
		const code = new Promise((resolve) => both.on("close", resolve));
		assert.equal(await within(code, "the end of both"), 0);
	} finally {
		tail.kill();
		await server.stop();
	}
});

test("connections of all applications that are tailed, without a webhook", async () => {
	const apps = { shop: { id: "1", key: "k1", secret: "s1" }, other: { id: "2", key: "k2", secret: "s2" } };
	const server = await Server.start({ apps, workers: 2, router: { publish_window: "16m" } });
	const tail = follower(server, "shop", "--kind", "opened,closed");
	const seen = (kind, c) => tail.lines.some((line) => line.kind === kind && line.socket_id === c.id);
	/** The workers know of the tail when a connection is seen. */
	const works = (what) => until(async () => {
		const c = await server.connect({ app: apps.shop });
		await c.kill();
		return until(() => seen("closed", c), "", 500).catch(() => false);
	}, () => `${what}; have ${JSON.stringify(tail.lines).slice(-1000)}`);
	try {
		await works("a connection");
		await replace(server);
		tail.lines.length = 0;
		await works("one after the reload");
		const workers = server.pids("peald: worker");
		server.allow(/worker|link|router/);
		process.kill(workers[0], "SIGKILL");
		await until(() => server.pids("peald: worker").filter((pid) => !workers.includes(pid)).length === 1, "a new worker");
		// By whichever worker, a dozen are seen to open, and none of the other application.
		// The new one accepts before the router has told it of the tail: then once more.
		const not = await server.crowd(12, { app: apps.other });
		const crowd = await until(async () => {
			const some = await server.crowd(12, { app: apps.shop });
			if (await until(() => some.every((c) => seen("opened", c)), "", 2000).catch(() => false))
				return some;
			await Promise.all(some.map((c) => c.kill()));
			return null;
		}, () => `all to open; have ${JSON.stringify(tail.lines).slice(-2000)}`);
		for (const c of [...not, ...crowd])
			await c.kill();
		await until(() => crowd.every((c) => seen("closed", c)), "all to close");
		assert.ok(tail.lines.every((line) => line.lost || line.app === "1"), JSON.stringify(tail.lines));
	} finally {
		tail.kill();
		await server.stop();
	}
});
