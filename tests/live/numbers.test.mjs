// SPDX-License-Identifier: MIT
// What is counted and told of it (the control socket's report and metrics): by
// application and front door, by reason, durations; and that nothing that only
// grows goes back when processes die, settings change or all of it is replaced.
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { Server, live, patience, peald, pealctl, unique, until, within } from "./harness.mjs";
import { Events, Room } from "./rooms.mjs";

const report = async (server) => (await server.ask({ verb: "report" }))[0];
const metrics = async (server, openmetrics) =>
	(await server.ask({ verb: "metrics", openmetrics }))[0].text;

/** Text of Prometheus's format: name{labels} to number. */
const series = (text) => new Map(text.split("\n").filter((line) => line && line[0] !== "#").map((line) => {
	const at = line.lastIndexOf(" ");
	return [line.slice(0, at), Number(line.slice(at + 1))];
}));
const types = (text) => new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((m) => [m[1], m[2]]));

const fronts = async (server, id = "1001") =>
	(await report(server)).apps.find((app) => app.app === id).fronts;

/** Waits until the report says so; what each process counts is told once a second. */
const reported = (server, probe, what) => until(async () => probe(await report(server)), what);

/** Numbers that only grow, by name, of a report. */
function grown(r) {
	const all = {};
	const gauges = /^(connections|websockets|subscriptions|channels|occupied|cached|users|members|backplane_(up|degraded|topics|backlog|lag_us)|hosts|backlog|hooks_(waiting|octets)|tails|pages|unacknowledged|queued|flights|memory)$/;
	const put = (at, numbers) => {
		for (const [name, n] of Object.entries(numbers))
			if (!gauges.test(name))
				all[`${at}.${name}`] = n;
	};
	put("totals", r.totals);
	put("closes", r.closes);
	for (const app of r.apps)
		for (const [front, numbers] of Object.entries(app.fronts))
			put(`${app.app}.${front}`, numbers);
	for (const w of r.workers.filter((one) => one.crew === "in force"))
		put(`worker ${w.slot}`, w.counters);
	put("router", r.router.counters);
	for (const [name, h] of Object.entries(r.histograms)) {
		all[`${name}.count`] = h.count;
		h.counts.forEach((n, i) => { all[`${name}.${i}`] = n; });
	}
	return all;
}

/** Looks all the time; nothing may go back. */
class Watch {
	constructor(server) {
		Object.assign(this, { server, last: {}, text: new Map(), looks: 0, going: true, faults: [] });
		this.done = this.#run();
	}

	#compare(before, now, how) {
		for (const [name, n] of before)
			if (now.get(name) === undefined || now.get(name) < n)
				this.faults.push(`${how}: ${name} was ${n}, is ${now.get(name)}`);
	}

	async #run() {
		while (this.going) {
			let r, text;
			try {
				r = await report(this.server);
				text = await metrics(this.server, false);
			} catch {
				continue;	// the master becomes another binary
			}
			const now = grown(r), counters = types(text);
			const only = new Map([...series(text)].filter(([name]) => {
				const family = name.replace(/\{.*$/, "");
				return counters.get(family) === "counter" ||
				    counters.get(family.replace(/_(bucket|sum|count)$/, "")) === "histogram";
			}));
			this.#compare(Object.entries(this.last), new Map(Object.entries(now)), "report");
			this.#compare(this.text, only, "metrics");
			this.last = now;
			this.text = only;
			this.looks++;
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
	}

	async end() {
		const looks = this.looks;
		await until(() => this.looks > looks + 2, "two more looks");
		this.going = false;
		await this.done;
		assert.deepEqual(this.faults.slice(0, 5), []);
		assert.ok(this.looks > 10);
	}
}

const promtool = (() => {
	try {
		execFileSync("promtool", ["--version"], { stdio: "ignore" });
		return true;
	} catch {
		return false;
	}
})();

/** What promtool says of a text; empty: nothing is wrong. */
async function checked(text) {
	const tool = spawn("promtool", ["check", "metrics"]);
	let said = "";
	tool.stdout.on("data", (part) => { said += part; });
	tool.stderr.on("data", (part) => { said += part; });
	tool.stdin.end(text);
	const code = await within(new Promise((resolve) => tool.on("close", resolve)), "promtool", 60000 * patience);
	return { code, said };
}

live("numbers", {
	app: { client_events: "all" },
	rooms: { history: "5" },
}, (s) => {
	test("by application and front door", async () => {
		const { server } = s, channel = unique(), room = unique("room");
		const clients = await server.crowd(6);
		for (const c of clients)
			await c.subscribe(channel);
		const ws = await Room.open(server, `/?room=${room}`);
		const events = await Events.join(server, `/sse/${room}`);
		await server.publish(channel, "e", "x");
		await server.publish(channel, "e", "y");
		for (const c of clients) {
			await c.expect("e", channel, "x");
			await c.expect("e", channel, "y");
		}
		ws.send("hello");
		await ws.next();
		await reported(server, (r) => {
			const f = r.apps[0].fronts;
			return f.pusher?.connections === 6 && f.rooms?.connections === 1 &&
			    f.sse?.connections === 1 && f.api?.published === 2 && f.rooms?.messages_out === 1;
		}, "all of it to be told");
		await server.told();
		const now = await report(server), f = now.apps[0].fronts;
		assert.equal(now.apps[0].label, "main");
		assert.deepEqual(f.api, { published: 2, requests: 2 });
		assert.equal(f.pusher.opened, 6);
		assert.equal(f.pusher.closed, 0);
		// greeting, subscribed, two events; a subscribe each
		assert.equal(f.pusher.messages_out, 24);
		assert.equal(f.pusher.messages_in, 6);
		assert.ok(f.pusher.bytes_in > 6 * 50 && f.pusher.bytes_in < 6 * 500);
		assert.ok(f.pusher.bytes_out > 24 * 30 && f.pusher.bytes_out < 24 * 500);
		assert.equal(f.rooms.published, 1);
		assert.equal(f.rooms.messages_in, 1);
		assert.equal(f.rooms.bytes_in, 6 + 5);
		assert.equal(f.sse.messages_out, 1);
		assert.equal(f.sse.published, 0);
		assert.ok(!("requests" in f.pusher) && !("opened" in f.api));

		const text = series(await metrics(server, false));
		assert.equal(text.get('peal_connections{app="1001",front="pusher"}'), 6);
		assert.equal(text.get('peal_messages_published_total{app="1001",front="api"}'), 2);
		assert.equal(text.get('peal_app_info{app="1001",name="main"}'), 1);
		const each = Array.from({ length: server.workers },
		    (_, i) => text.get(`peal_worker_connections{worker="${i + 1}"}`));
		assert.equal(each.reduce((a, b) => a + b), now.totals.connections);
		assert.equal(text.get(`peal_worker_connections{worker="${server.workers + 1}"}`), undefined);

		await clients[0].close();
		await clients[1].kill();
		await reported(server, (r) => r.apps[0].fronts.pusher.connections === 4, "two to be gone");
		await server.told();
		const after = await report(server);
		assert.equal(after.apps[0].fronts.pusher.closed, 2);
		assert.equal(after.closes.PEER_FRAME, 1);
		assert.ok((after.closes.PEER_CLOSED ?? 0) + (after.closes.PEER_RESET ?? 0) >= 1);
		for (const c of clients.slice(2))
			await c.close();
		ws.close();
		events.close();
		await reported(server, (r) => ["pusher", "rooms", "sse"].every((name) => {
			const one = r.apps[0].fronts[name];
			return one.connections === 0 && one.opened === one.closed;
		}), "all to be gone");
	});

	test("durations", async () => {
		const { server } = s, channel = unique(), [c] = await server.crowd(1);
		await c.subscribe(channel);
		const of = async () => {
			const h = (await report(server)).histograms;
			return ["publish_seconds", "fanout_seconds", "route_seconds"].map((name) => h[name]);
		};
		await server.told();
		const before = await of();
		for (let i = 0; i < 10; i++) {
			await server.publish(channel, "e", String(i));
			await c.expect("e", channel);
		}
		await until(async () => (await of()).every((h, i) => h.count >= before[i].count + 10),
		    "ten of each");
		const now = await of();
		for (const [i, h] of now.entries()) {
			assert.equal(h.count, before[i].count + 10);
			assert.equal(h.counts.length, h.bounds.length + 1);
			assert.equal(h.counts.reduce((a, b) => a + b), h.count);
			assert.ok(h.sum > before[i].sum);
			// Each event is at most as long as its bucket's bound says.
			if (h.counts.at(-1) === 0)
				assert.ok(h.sum <= h.counts.slice(0, -1).reduce((sum, n, k) => sum + n * h.bounds[k], 0));
		}
		await c.close();
	});

	test("what the kernel says, and what waits", async () => {
		const { server } = s, r = await report(server);
		for (const one of [...r.workers, r.router])
			assert.ok(one.counters.memory > 1 << 20, `memory ${one.counters.memory}`);
		assert.equal(r.draining, false);
		assert.equal(r.pid, server.child.pid);
		assert.equal(r.courier, null);
		assert.deepEqual(r.hooks, []);
		const text = series(await metrics(server, false));
		for (const name of ["master", "router", ...r.workers.map((w) => `worker/${w.slot}`)])
			assert.ok(text.get(`peal_process_resident_memory_bytes{process="${name}"}`) > 1 << 20, name);
		assert.equal(text.get("peal_workers"), server.workers);
		assert.ok(Math.abs(text.get("peal_start_time_seconds") - Date.now() / 1000) < 3600);
	});

	test("what an API call that waits or fails counts for", async () => {
		const { server } = s;
		await server.told();
		const before = await fronts(server);
		const { status } = await server.request("POST", "/apps/1001/events?auth_key=app-key&auth_signature=x", "{}");
		assert.ok(status >= 400);
		await server.publish(unique(), "e", "x");
		await reported(server, (r) => r.apps[0].fronts.api.requests > before.api.requests, "the call to be told");
		assert.deepEqual(await fronts(server).then((f) => f.api),
		    { published: before.api.published + 1, requests: before.api.requests + 1 });
	});

	test("promtool has nothing to say", { skip: promtool ? false : "no promtool" }, async () => {
		const text = await metrics(s.server, false);
		assert.deepEqual(await checked(text), { code: 0, said: "" });
		// It finds what is wrong.
		assert.notEqual((await checked(text.replace(/^# TYPE (\S+) counter$/m, "# TYPE $1 nonsense"))).code, 0);
		assert.match(await metrics(s.server, true), /\n# EOF\n$/);
	});
});

test("by HTTP, each form as what it is", async () => {
	const server = await Server.start({ workers: 2, metrics: { shared: "yes", allow: "127.0.0.1" } });
	const get = (accept) => server.request("GET", "/metrics", "", { headers: { accept } });
	const open = await get("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
	assert.match(open.headers["content-type"], /^application\/openmetrics-text; version=1\.0\.0/);
	assert.match(open.text, /\n# UNIT [^]*\n# EOF\n$/);
	const plain = await get("text/plain");
	assert.match(plain.headers["content-type"], /^text\/plain; version=0\.0\.4/);
	assert.doesNotMatch(plain.text, /# EOF|# UNIT/);
	assert.match(plain.text, /# TYPE peal_reloads_total counter/);
	if (promtool)
		assert.deepEqual(await checked(plain.text), { code: 0, said: "" });
	await server.stop();
});

test("a worker that is killed: nothing goes back, what it held is closed", async () => {
	const server = await Server.start({ workers: 2 });
	const watch = new Watch(server);
	const clients = await server.crowd(12);
	for (const c of clients)
		await c.subscribe("room");
	await server.publish("room", "e", "1");
	for (const c of clients)
		await c.expect("e", "room");
	await reported(server, (r) => r.apps[0].fronts.pusher?.connections === 12 &&
	    r.apps[0].fronts.pusher.messages_out === 36, "twelve");
	await server.told();
	const before = await report(server);
	server.allow(/has died|router lost|worker has left/);
	const held = before.workers.find((w) => w.slot === 1).counters;
	process.kill(server.pids("peald: worker 1")[0], "SIGKILL");
	await reported(server, (r) => r.workers.find((w) => w.slot === 1).generation === 2 &&
	    r.workers.every((w) => w.state === "up") &&
	    r.apps[0].fronts.pusher.connections === 12 - held.websockets, "another worker");
	const after = await report(server);
	assert.equal(after.apps[0].fronts.pusher.closed, held.websockets);
	assert.equal(after.closes.PROCESS_DIED, held.connections);
	assert.equal(after.workers.find((w) => w.slot === 1).counters.accepted, held.accepted);
	assert.equal(after.workers.find((w) => w.slot === 1).counters.connections, 0);
	assert.equal(after.totals.accepted, before.totals.accepted);
	process.kill(server.pids("peald: router")[0], "SIGKILL");
	await reported(server, (r) => r.router.generation === 2 && r.router.state === "up", "another router");
	const back = await server.crowd(6);
	await reported(server, (r) => r.apps[0].fronts.pusher.opened === 18, "six more");
	assert.equal((await report(server)).workers.reduce((n, w) => n + w.counters.websockets, 0),
	    18 - held.websockets);
	// Who died is counted by place, also behind a reload, whose processes have not died.
	const restarts = async () => Object.fromEntries([...series(await metrics(server, false))]
	    .map(([name, n]) => [/^peal_process_restarts_total\{process="(.*)"\}$/.exec(name)?.[1], n])
	    .filter(([process]) => process));
	assert.deepEqual(await restarts(), { router: 1, "worker/1": 1, "worker/2": 0 });
	fs.writeFileSync(server.ini, fs.readFileSync(server.ini, "utf8").replace(/workers = 2/, "workers = 3"));
	await server.ctl("reload");
	await until(async () => (await server.ctl("status")).phase === "idle", "the old ones to go");
	assert.deepEqual(await restarts(), { router: 1, "worker/1": 1, "worker/2": 0, "worker/3": 0 });
	await watch.end();
	for (const c of [...clients, ...back])
		c.kill();
	await server.stop();
});

test("reloads: nothing goes back, connections are handed over and not opened anew", async () => {
	const dir = fs.mkdtempSync("/tmp/peal-numbers-"), binary = path.join(dir, "peald");
	fs.chmodSync(dir, 0o755);
	fs.copyFileSync(peald, binary);
	const server = await Server.start({ workers: 2, env: { PEAL_TEST: "1" },
		through: ["sh", "-c", `shift; exec ${binary} "$@"`, "sh"] });
	const reload = () => new Promise((resolve) => {
		execFile(pealctl, ["-s", server.control, "reload"], { timeout: 60000 * patience },
		    (error, out, err) => resolve({ code: error ? 1 : 0, text: out + err }));
	});
	const quiet = () => until(async () => (await server.ctl("status")).phase === "idle", "the old ones to go");
	try {
		const watch = new Watch(server), clients = await server.crowd(10);
		for (const c of clients)
			await c.subscribe("room");
		await server.publish("room", "e", "1");
		await reported(server, (r) => r.apps[0].fronts.pusher?.connections === 10 &&
		    r.apps[0].fronts.api?.published === 1 && r.apps[0].fronts.pusher.messages_out === 30, "ten");
		const before = await report(server);
		// Other settings, live; others that replace processes; another binary.
		const edit = (from, to) => fs.writeFileSync(server.ini,
		    fs.readFileSync(server.ini, "utf8").replace(from, to));
		edit(/\[app main\]\n/, "[app main]\nmax_batch = 11\n");
		assert.equal((await reload()).code, 0);
		edit(/workers = 2/, "workers = 3");
		assert.equal((await reload()).code, 0);
		await quiet();
		const diff = (...words) => execFileSync(pealctl, ["-s", server.control, "config", "diff", ...words]).toString();
		assert.doesNotMatch(diff(), /another one/);
		fs.copyFileSync(peald, `${binary}.new`);
		fs.renameSync(`${binary}.new`, binary);
		assert.match(diff(), /are those in force\.\nThe peald on disk is another one: a reload replaces all processes\.\n$/);
		assert.deepEqual(JSON.parse(diff("--json")), { differences: [], ok: true, binary: true });
		assert.equal((await reload()).code, 0);
		await quiet();
		edit(/workers = 3/, "workers = none");
		server.allow(/reload refused/);
		assert.equal((await reload()).code, 1);
		await reported(server, (r) => r.apps[0].fronts.pusher.connections === 10, "ten again");
		for (const c of clients)
			await c.expect("e", "room");
		await server.publish("room", "e", "2");
		for (const c of clients)
			await c.expect("e", "room");
		await reported(server, (r) => r.apps[0].fronts.pusher.messages_out === 40 &&
		    r.apps[0].fronts.api.published === 2, "ten more");
		const after = await report(server), pusher = after.apps[0].fronts.pusher;
		assert.equal(pusher.opened, 10);
		assert.equal(pusher.closed, 0);
		assert.equal(after.apps[0].fronts.api.published, 2);
		assert.equal(after.totals.upgraded, before.totals.upgraded);
		assert.equal(after.totals.websockets, 10);
		assert.equal(after.closes.PROCESS_DIED ?? 0, 0);
		assert.deepEqual(after.reloads.map((one) => [one.ok, one.kind]),
		    [[true, "live"], [true, "processes"], [true, "processes"], [false, "live"]]);
		assert.match(after.reloads[0].changed, /max_batch/);
		assert.match(after.reloads[2].changed, /binary/);
		assert.match(after.reloads[3].why, /workers/);
		const text = series(await metrics(server, false));
		assert.equal(text.get('peal_reloads_total{result="ok"}'), 3);
		assert.equal(text.get('peal_reloads_total{result="refused"}'), 1);
		await watch.end();
		for (const c of clients)
			c.kill();
	} finally {
		await server.stop();
		fs.rmSync(dir, { recursive: true, force: true });
	}
});
