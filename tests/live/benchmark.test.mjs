// SPDX-License-Identifier: MIT
// peal-benchmark: against a real peald everything is well and the numbers agree;
// against a server that lies, the lie is counted.  Nothing here looks at a time.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { WebSocketServer } from "ws";
import { APP, LIMIT, Server, live, pealctl, peald, until, within } from "./harness.mjs";

const program = process.env.PEAL_BENCHMARK ?? path.join(path.dirname(peald), "peal-benchmark");
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-benchmark-"));
const key = path.join(dir, "key.pem"), chain = path.join(dir, "chain.pem");
execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-keyout", key, "-out", chain], { stdio: "ignore" });
after(() => fs.rmSync(dir, { recursive: true, force: true }));

const CLEAN = { missing: 0, doubled: 0, disordered: 0, refused: 0, closed: 0, bad: 0 };

/** Starts it; { child, out: promise of { status, signal, stdout, stderr } }. */
function start(args, env = {}) {
	const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env.PATH, ...env } });
	let stdout = "", stderr = "";
	child.stdout.setEncoding("utf8").on("data", (text) => { stdout += text; });
	child.stderr.setEncoding("utf8").on("data", (text) => { stderr += text; });
	const out = within(new Promise((resolve, reject) => {
		child.once("error", reject);
		child.once("close", (status, signal) => resolve({ status, signal, stdout, stderr }));
	}), () => `peal-benchmark ${args.join(" ")}: ${stderr}`, 2 * LIMIT).catch((error) => {
		child.kill("SIGKILL");
		throw error;
	});
	return { child, out };
}

const who = (port, app = APP) => ["--port", String(port), "--app-id", app.id, "--key", app.key, "--secret", app.secret];

/** One scenario; its object. */
async function measure(port, args, { status = 0 } = {}) {
	const got = await start([...who(port), "--json", ...args]).out;
	assert.equal(got.status, status, got.stderr + got.stdout);
	assert.equal(got.stderr, "");
	assert.match(got.stdout, /^\{.*\}\n$/);
	const d = JSON.parse(got.stdout);
	assert.equal(d.tool, "peal-benchmark");
	for (const [name, times] of Object.entries(d).filter(([name]) => name.endsWith("_ms") && typeof d[name] === "object")) {
		const order = [times.p50, times.p90, times.p99, times.p99_9, times.max];
		assert.deepEqual(order, [...order].sort((a, b) => a - b), name);
	}
	return d;
}

// A flood of the tool is as fast as the server, and the tool reads it when it has the
// time: on a busy machine it is a slow reader, and those are closed after max_backlog.
live("benchmark", { app: { client_events: "all" }, peal: { drain_timeout: "5s" },
    websocket: { max_backlog: "1g", max_backlog_total: "4g" },
    listeners: { "listen secure": { address: "127.0.0.1:0", certificate: chain, certificate_key: key } } }, (s) => {
	const run = async (...args) => {
		const d = await measure(s.server.port, args);
		assert.deepEqual(d.faults, CLEAN);
		return d;
	};
	const pid = () => ["--pid", String(s.server.child.pid)];
	/** Those of the test before have gone, for the server, too. */
	const nobody = () => until(async () => (await s.server.get("/connections")).json.connections === 0, "nobody there");

	for (const more of [[], ["--subscribe"], ["--subscribe", "--kind", "presence"]])
		test(`connect ${more.join(" ")}`, async () => {
			const d = await run("connect", "-n", "40", "--inflight", "7", ...more);
			assert.equal(d.scenario, "connect");
			assert.equal(d.connections, 40);
			assert.ok(d.connections_per_s > 0);
			assert.ok(d.latency_ms.max > 0);
		});

	test("connect by TLS, with and without tickets", async () => {
		const port = Number(s.server.addresses[1].split(":").at(-1));
		const args = ["connect", "--tls", "-n", "20", "--inflight", "1", "--subscribe"];
		const full = await measure(port, args);
		assert.deepEqual([full.connections, full.resumed, full.faults], [20, 0, CLEAN]);
		const resumed = await measure(port, [...args, "--resume"]);
		assert.equal(resumed.connections, 20);
		assert.ok(resumed.resumed > 0);
		const fanout = await measure(port, ["fanout", "--tls", "-n", "5", "-M", "20", "--rate", "100", "--size", "9000"]);
		assert.equal(fanout.deliveries, 5 * 20);
	});

	test("idle", async () => {
		const d = await run("idle", "-n", "300", "--hold", "1", ...pid());
		assert.equal(d.connections, 300);
		assert.ok(d.seconds >= 1);
		for (const name of ["cpu_user_s", "cpu_system_s", "memory_before", "memory", "memory_peak"])
			assert.ok(d.server[name] >= 0, name);
		assert.ok(d.server.memory_peak >= d.server.memory);
		assert.equal(typeof d.server.octets_per_connection, "number");
	});

	test("memory that others map, too, is not counted", async () => {
		const bystander = spawn("openssl", ["s_server", "-accept", "127.0.0.1:0", "-nocert"], { stdio: ["pipe", "pipe", "ignore"] });
		try {
			await once(bystander.stdout, "data");		// "ACCEPT ...": it does nothing from here on
			const d = await run("idle", "-n", "4", "--hold", "1", "--pid", String(bystander.pid));
			assert.ok(d.server.memory > 0);
			// A page or two of its own it may touch; libraries that come and go are far more.
			const more = Math.abs(d.server.memory - d.server.memory_before);
			assert.ok(more <= 16384, `${more}`);
		} finally {
			bystander.kill("SIGKILL");
		}
	});

	for (const more of [["--rate", "100"], ["--rate", "0", "--window", "5"], ["--rate", "100", "--client"],
	    ["--rate", "0", "--client", "--window", "8", "--processes", "3"], ["--rate", "50", "--size", "8k", "--kind", "private"]])
		test(`fanout ${more.join(" ")}`, async () => {
			const d = await run("fanout", "-n", "12", "-M", "40", "--warmup", "5", ...more, ...pid());
			const speaks = more.includes("--client") ? 1 : 0;
			assert.deepEqual([d.messages, d.subscribers, d.deliveries, d.connections], [40, 12, 40 * 12, 12 + speaks]);
			assert.ok(d.server.cpu_us_per_delivery > 0);
			assert.ok(Math.abs(d.deliveries_per_s * d.seconds / d.deliveries - 1) < 0.01);
			assert.equal(d.options.size, more.includes("8k") ? 8000 : 100);
		});

	for (const more of [["--publishers", "3"], ["--client"], ["--client", "--rate", "0", "--window", "4"]])
		test(`many ${more.join(" ")}`, async () => {
			const d = await run("many", "-c", "7", "-m", "4", "--rate", "200", "-M", "50", "--warmup", "10", ...more);
			assert.equal(d.subscribers, more.includes("--client") ? 3 : 4);
			assert.deepEqual([d.messages, d.deliveries, d.connections], [50, 50 * d.subscribers, 28]);
		});

	test("presence", async () => {
		const d = await run("presence", "-n", "21", "--inflight", "4", "--processes", "2");
		assert.deepEqual([d.connections, d.seen, d.seen_to_leave], [21, 21 * 21, 10 * 11]);
		assert.deepEqual([d.messages, d.deliveries], [21 + 10, d.seen + d.seen_to_leave]);
	});

	for (const more of [[], ["--pipeline", "5"]])
		test(`publish ${more.join(" ")}`, async () => {
			const d = await run("publish", "-M", "60", "--publishers", "3", "--warmup", "6", ...more);
			assert.deepEqual([d.messages, d.deliveries, d.statuses], [60, 0, { 200: 66 }]);
		});

	test("churn", async () => {
		const d = await run("churn", "--inflight", "5", "-t", "1", "--processes", "2", ...pid());
		assert.ok(d.connections > 5);
		assert.equal(typeof d.memory_left, "number");
		assert.ok(d.server.cpu_us_per_connection > 0);
	});

	test("reload", async () => {
		const d = await run("reload", "-n", "30", "--rate", "50", "-t", "2", "--warmup", "5", "--command",
		    `sed -i 's/^workers = .*/workers = ${s.workers + 1}/' ${s.server.ini} && ${pealctl} -s ${s.server.control} reload >/dev/null`);
		assert.deepEqual([d.command_status, d.cut, d.messages, d.deliveries], [0, 0, 100, 100 * 30]);
		assert.ok(d.longest_pause_ms > 0);
		const failed = await measure(s.server.port, ["reload", "-n", "3", "-t", "1", "--command", "exit 3"], { status: 1 });
		assert.deepEqual([failed.command_status, failed.faults], [3, CLEAN]);
	});

	test("pressure", async () => {
		const d = await run("pressure", "-n", "20", "--publishers", "3", "-t", "1", "--stalled", "10%", "--rate", "100", "--warmup", "5", ...pid());
		assert.deepEqual([d.stalled.subscribers, d.stalled.reading_on], [20, 18]);
		assert.deepEqual([d.stalled.messages, d.stalled.messages_stalled], [100, 100]);
		assert.equal(d.messages, 200 + d.flood.messages);
		assert.equal(d.deliveries, 100 * 20 + 100 * 18 + d.flood.messages * d.flood.subscribers);
		assert.equal(d.statuses[200], d.messages + 5);
		assert.ok(d.flood.memory_peak > 0);
	});

	test("credentials of the environment; a table without --json", async () => {
		const got = await start(["--port", String(s.server.port), "fanout", "-n", "3", "-M", "5"],
		    { REVERB_APP_ID: APP.id, PUSHER_APP_KEY: APP.key, REVERB_APP_SECRET: APP.secret }).out;
		assert.equal(got.status, 0, got.stderr);
		assert.match(got.stdout, /^fanout\n/);
		assert.match(got.stdout, /\n {2}deliveries +15\n/);
		assert.match(got.stdout, /\n {2}faults +missing 0 {2}doubled 0 /);
		assert.equal(got.stderr, "");
	});

	test("SIGINT ends it early, with a report", async () => {
		await nobody();
		const { child, out } = start([...who(s.server.port), "--json", "fanout", "-n", "9", "--rate", "100", "-t", "1000", "--warmup", "0"]);
		await until(async () => (await s.server.get("/connections")).json.connections === 9, "clients");
		await new Promise((resolve) => setTimeout(resolve, 500));
		child.kill("SIGINT");
		const got = await out, d = JSON.parse(got.stdout);
		assert.equal(got.status, 0, got.stdout);
		assert.ok(d.messages < 100000);
		assert.deepEqual([d.deliveries, d.faults], [d.messages * 9, CLEAN]);
	});

	test("SIGINT ends all of them", async () => {
		await nobody();
		const { child, out } = start([...who(s.server.port), "--json", "all", "--hold", "1000", "-n", "9", "--inflight", "9"]);
		await until(async () => (await s.server.get("/connections")).json.connections === 9, "clients");
		child.kill("SIGINT");
		const got = await out, last = got.stdout.trim().split("\n").at(-1);
		assert.ok(["connect", "idle"].includes(JSON.parse(last).scenario), last);
	});
});

test("--origin", async () => {
	const server = await Server.start({ app: { allowed_origins: "example.com" } });
	try {
		const refused = await measure(server.port, ["connect", "-n", "3"], { status: 1 });
		assert.equal(refused.faults.refused, 3);
		const d = await measure(server.port, ["connect", "-n", "3", "--origin", "https://example.com"]);
		assert.deepEqual([d.connections, d.options.origin], [3, "https://example.com"]);
	} finally {
		await server.stop();
	}
});

test("all --short", async () => {
	const server = await Server.start({ app: { client_events: "all" } });
	try {
		const got = await start([...who(server.port), "all", "--short", "--json", "--pid", String(server.child.pid)]).out;
		assert.equal(got.status, 0, got.stdout + got.stderr);
		const all = got.stdout.trim().split("\n").map((line) => JSON.parse(line));
		assert.deepEqual(all.map((d) => d.scenario), ["connect", "idle", "fanout", "many", "presence", "publish", "churn", "pressure"]);
		for (const d of all)
			assert.deepEqual(d.faults, CLEAN, d.scenario);
	} finally {
		await server.stop();
	}
});

test("nobody listens there", async () => {
	const d = await measure(1, ["fanout", "-n", "4"], { status: 1 });
	assert.deepEqual([d.faults.refused, d.deliveries], [4, 0]);
});

test("what it does not understand", async () => {
	for (const args of [["fanout", "--rate", "x"], ["nothing"], [], ["idle", "--rate", "5"], ["reload"]]) {
		const got = await start([...who(1), ...args]).out;
		assert.equal(got.status, 2, args.join(" "));
		assert.match(got.stderr, /^peal-benchmark: /);
		assert.equal(got.stdout, "");
	}
	for (const [args, why] of [[["--rate", "x"], /--rate: a number from 0 to \d+, not x/], [["--hold", "5"], /--hold: not of this/],
	    [["--size=9"], /--size: a number from 34 to \d+, not 9/], [["--pid"], /--pid: its value is missing/], [["--no=1"], /--no: there is no such/],
	    [["--pid", "2147483646"], /there is no process 2147483646/]])
		assert.match((await start([...who(1), "fanout", ...args]).out).stderr, why);
	const got = await start(["fanout"]).out;
	assert.equal(got.status, 2);
	assert.match(got.stderr, /REVERB_APP_KEY/);
});

// ---- a server that lies -------------------------------------------------------------

const AT = 5;	// the message, the member or the client that it lies about

/** A small Pusher server; lies: functions that replace what it does. */
class Liar {
	members = [];
	published = 0;
	accepted = 0;

	static async start(lies) {
		const liar = Object.assign(new Liar(), lies);
		liar.http = http.createServer((req, res) => liar.call(req, res));
		liar.ws = new WebSocketServer({ server: liar.http, verifyClient: () => !liar.rejects?.(++liar.accepted) });
		liar.ws.on("connection", (socket) => liar.welcome(socket));
		await new Promise((resolve) => liar.http.listen(0, "127.0.0.1", resolve));
		liar.port = liar.http.address().port;
		return liar;
	}

	send(socket, event, channel, data) {
		socket.send(JSON.stringify({ event, channel, data: typeof data === "string" ? data : JSON.stringify(data) }));
	}

	welcome(socket) {
		this.send(socket, "pusher:connection_established", undefined, { socket_id: `1.${++this.accepted}`, activity_timeout: 30 });
		socket.on("message", (text) => {
			const { event, data } = JSON.parse(text);
			if (event === "pusher:subscribe")
				this.subscribe(socket, data);
		});
		socket.on("close", () => this.leave(socket));
		socket.on("error", () => {});
	}

	subscribe(socket, { channel, channel_data }) {
		socket.user = channel_data && JSON.parse(channel_data).user_id;
		const others = this.members.slice();
		this.members.push(socket);
		this.send(socket, "pusher_internal:subscription_succeeded", channel,
		    channel_data ? { presence: { ids: this.members.map((m) => m.user), hash: {}, count: this.members.length } } : {});
		if (channel_data)
			this.tell(others, "pusher_internal:member_added", channel, socket);
	}

	leave(socket) {
		const at = this.members.indexOf(socket);
		if (at < 0)
			return;
		this.members.splice(at, 1);
		if (socket.user)
			this.tell(this.members, "pusher_internal:member_removed", "presence-x", socket);
	}

	tell(them, event, channel, { user }) {
		for (const m of them)
			this.send(m, event, channel, { user_id: user });
	}

	call(req, res) {
		let text = "";
		req.on("data", (part) => { text += part; });
		req.on("end", () => {
			const { name, channel, data } = JSON.parse(text);
			const status = this.publish(name, channel, data, this.published++) ?? 200;
			res.writeHead(status, { "Content-Type": "application/json" }).end("{}");
		});
	}

	publish(name, channel, data, n) {
		for (const m of this.members)
			this.send(m, name, channel, data);
	}

	stop() {
		for (const socket of this.ws.clients)
			socket.terminate();
		this.http.closeAllConnections();
		this.http.close();
	}
}

/** Does to the first subscriber, when message AT is published, what lie says. */
const lying = (lie) => ({
	publish(name, channel, data, n) {
		const status = n === AT ? lie.call(this, this.members[0], name, channel, data) : undefined;
		if (n !== AT || status === undefined)
			Liar.prototype.publish.call({ ...this, send: this.send, members: n === AT ? this.members.slice(1) : this.members }, name, channel, data, n);
		return status;
	},
});

const CASES = {
	honest: [{}, {}],
	"one message is not delivered": [lying(() => {}), { missing: 1 }],
	"one comes twice": [lying(function (m, ...e) { this.send(m, ...e); this.send(m, ...e); }), { doubled: 1 }],
	"one comes after the next": [{
		publish(name, channel, data, n) {
			const held = n === AT ? [this.members[0]] : [];
			for (const m of this.members.filter((x) => !held.includes(x)))
				this.send(m, name, channel, data);
			if (n === AT)
				this.held = data;
			if (n === AT + 1)
				this.send(this.members[0], name, channel, this.held);
		},
	}, { disordered: 1 }],
	"a client is closed": [lying((m) => m.close(4009, "go")), { closed: 1, missing: 20 - AT }],
	"a client is told why, and closed": [lying(function (m) {
		this.send(m, "pusher:error", undefined, { code: 4200, message: "Server is restarting" });
		m.close(4200);
	}), { closed: 1, missing: 20 - AT }],
	"a connection is cut": [lying((m) => m.terminate()), { closed: 1, missing: 20 - AT }],
	"a connection is refused": [{ rejects: (n) => n === AT }, { refused: 1 }],
	"a publish is refused": [lying(() => 413), { refused: 1 }],
	"a publish is refused, and delivered": [lying(function (...e) { Liar.prototype.publish.call(this, ...e.slice(1)); return 503; }),
	    { refused: 1, doubled: 4 }],
	"a frame that is no event": [lying(function (m, ...e) { this.send(m, ...e); m.send("nonsense"); }), { bad: 1 }],
	"a binary frame": [lying((m) => m.send(Buffer.from("nonsense"), { binary: true })), { bad: 1, closed: 1, missing: 20 - AT }],
	"a message of another channel": [lying(function (m, name, channel, data) {
		this.send(m, name, channel, data);
		this.send(m, name, channel, data.slice(0, 9) + "00000007" + data.slice(17));
	}), { bad: 1 }],
	"an error": [lying(function (m, ...e) { this.send(m, ...e); this.send(m, "pusher:error", undefined, { code: 4301 }); }), { bad: 1 }],
};

describe("against a server that lies", () => {
	for (const [name, [lies, faults]] of Object.entries(CASES))
		test(name, async () => {
			const liar = await Liar.start(lies);
			try {
				const d = await measure(liar.port, ["fanout", "-n", "4", "-M", "20", "--rate", "100", "--warmup", "0", "--wait", "1"],
				    { status: Object.keys(faults).length > 0 ? 1 : 0 });
				assert.deepEqual(d.faults, { ...CLEAN, ...faults }, d.first_fault);
				if (name === "honest")
					assert.deepEqual([d.messages, d.deliveries], [20, 80]);
			} finally {
				liar.stop();
			}
		});

	const presence = {
		honest: [{}, {}],
		"one who comes is not shown to one": [{
			tell(them, event, channel, who) {
				Liar.prototype.tell.call(this, who.user === "m5" && event.endsWith("added") ? them.slice(1) : them, event, channel, who);
			},
		}, { missing: 1 }],
		"one who goes is not shown to one": [{
			tell(them, event, channel, who) {
				const who_stays = them.filter((m) => Number(m.user.slice(1)) % 2 === 0);
				Liar.prototype.tell.call(this, who.user === "m5" && event.endsWith("removed") ? who_stays.slice(1) : them, event, channel, who);
			},
		}, { missing: 1 }],
		"one is shown twice": [{
			tell(them, event, channel, who) {
				Liar.prototype.tell.call(this, them, event, channel, who);
				if (who.user === "m5" && event.endsWith("added"))
					Liar.prototype.tell.call(this, them.slice(0, 1), event, channel, who);
			},
		}, { doubled: 1 }],
	};
	for (const [name, [lies, faults]] of Object.entries(presence))
		test(`presence: ${name}`, async () => {
			const liar = await Liar.start(lies);
			try {
				const d = await measure(liar.port, ["presence", "-n", "8", "--inflight", "1", "--wait", "1"],
				    { status: Object.keys(faults).length > 0 ? 1 : 0 });
				assert.deepEqual(d.faults, { ...CLEAN, ...faults }, d.first_fault);
			} finally {
				liar.stop();
			}
		});
});
