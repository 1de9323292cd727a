// SPDX-License-Identifier: MIT
//
// Real brokers for the live tests: redis-servers with any options, Sentinels
// around a master, clusters.  Each process has a temporary directory and ports
// of its own on loopback, can be killed, frozen, thawed and started again at
// the same place, and ends with the test program whatever happens.
//
//	const redis = await Redis.start();		// one server
//	redis.url, redis.port; await redis.command("PING");
//	await redis.kill(); await redis.again(); redis.pause(); redis.resume();
//	const set = await Sentinels.start();		// master, replica, 3 Sentinels
//	const cluster = await Cluster.start({ masters: 3, replicas: 3 });
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import tls from "node:tls";
import { until, within } from "./harness.mjs";

const processes = new Set();
// A run that is broken off takes them along, too.
for (const name of ["SIGINT", "SIGTERM"])
	process.once(name, () => process.exit(1));
process.on("exit", () => {
	for (const r of processes) {
		r.child?.kill("SIGKILL");
		fs.rmSync(r.dir, { recursive: true, force: true });
	}
});

// ---- ports -------------------------------------------------------------------

const given = new Set();

function bindable(port) {
	return new Promise((resolve) => {
		const probe = net.createServer();
		probe.once("error", () => resolve(false));
		probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
	});
}

// Test programs that start at a time must not find the same port free.
const FIRST = 12000 + process.pid % 40 * 500;

/** A free TCP port below those that the system gives to outgoing connections:
 * nobody takes it while its server is down. */
export async function freePort() {
	for (;;) {
		const port = FIRST + Math.floor(Math.random() * 500);
		if (!given.has(port) && await bindable(port)) {
			given.add(port);
			return port;
		}
	}
}

// ---- the wire ----------------------------------------------------------------

/** Takes one RESP2 value off at `at`: [value, next] or null. */
function value(data, at) {
	const end = data.indexOf("\r\n", at);
	if (end < 0)
		return null;
	const line = data.toString("utf8", at + 1, end);
	const next = end + 2;
	switch (data[at]) {
	case 0x2b: return [line, next];
	case 0x2d: return [new Error(line), next];
	case 0x3a: return [Number(line), next];
	case 0x24: {
		const n = Number(line);
		if (n < 0)
			return [null, next];
		return data.length < next + n + 2 ? null :
		    [data.subarray(next, next + n), next + n + 2];
	}
	case 0x2a: {
		const all = [];
		let from = next;
		for (let i = 0; i < Number(line); i++) {
			const one = value(data, from);
			if (!one)
				return null;
			all.push(one[0]);
			from = one[1];
		}
		return [all, from];
	}
	default: throw new Error(`not RESP: ${data.subarray(at, at + 40)}`);
	}
}

const texts = (v) => Buffer.isBuffer(v) ? v.toString() :
    Array.isArray(v) ? v.map(texts) : v;

/** A connection that speaks RESP2: one answer to a command, in order; what
 * comes on subscribed channels is kept in messages. */
export class Talk {
	messages = [];		// [kind, channel, payload as Buffer]
	#data = Buffer.alloc(0);
	#waiting = [];
	#woken = new Set();

	static async open(options) {
		const talk = new Talk();
		talk.socket = options.ca ?
		    tls.connect({ rejectUnauthorized: true, ...options }) :
		    net.connect(options);
		talk.socket.on("data", (part) => talk.#took(part));
		talk.ended = new Promise((resolve) => talk.socket.on("close", () => {
			for (const w of talk.#waiting)
				w.reject(new Error("redis: connection closed"));
			talk.#waiting = [];
			resolve();
		}));
		await within(new Promise((resolve, reject) => {
			talk.socket.once(options.ca ? "secureConnect" : "connect", resolve);
			talk.socket.once("error", reject);
		}), "redis connect");
		talk.socket.on("error", () => {});
		return talk;
	}

	#took(part) {
		this.#data = this.#data.length ? Buffer.concat([this.#data, part]) : part;
		let at = 0;
		for (let one; at < this.#data.length && (one = value(this.#data, at)); at = one[1]) {
			const v = one[0];
			if (Array.isArray(v) && /^[sp]?message$/.test(String(v[0])))
				this.messages.push([String(v[0]), String(v.at(-2)), v.at(-1)]);
			else if (v instanceof Error)
				this.#waiting.shift()?.reject(v);
			else
				this.#waiting.shift()?.resolve(texts(v));
		}
		this.#data = this.#data.subarray(at);
		for (const w of [...this.#woken])
			w();
	}

	/** One command; its answer with texts as strings.  Errors are thrown. */
	command(...args) {
		const parts = [Buffer.from(`*${args.length}\r\n`)];
		for (const a of args) {
			const bytes = Buffer.isBuffer(a) ? a : Buffer.from(String(a));
			parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
		}
		return within(new Promise((resolve, reject) => {
			this.#waiting.push({ resolve, reject });
			this.socket.write(Buffer.concat(parts));
		}), `redis ${args[0]}`);
	}

	/** Waits for a message that probe() likes; it stays in messages. */
	async message(probe, what = "a message") {
		let look;
		try {
			return await within(new Promise((resolve) => {
				look = () => {
					const found = this.messages.find(probe);
					if (found)
						resolve(found);
				};
				this.#woken.add(look);
				look();
			}), what);
		} finally {
			this.#woken.delete(look);
		}
	}

	close() {
		this.socket.destroy();
	}
}

// ---- one server ----------------------------------------------------------------

let authority;

/** PEM files { dir, ca, cert, key } for 127.0.0.1 and localhost, signed by a CA
 * that only this test program trusts; the same at each call. */
export function certificates() {
	if (authority)
		return authority;
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-ca-"));
	const at = (name) => path.join(dir, name);
	const openssl = (...args) => execFileSync("openssl", args, { stdio: "pipe" });
	openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
	    "-nodes", "-keyout", at("ca.key"), "-out", at("ca.pem"), "-days", "2",
	    "-subj", "/CN=peal test CA");
	openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
	    "-keyout", at("key.pem"), "-out", at("request.pem"), "-subj", "/CN=localhost");
	fs.writeFileSync(at("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n");
	openssl("x509", "-req", "-in", at("request.pem"), "-CA", at("ca.pem"),
	    "-CAkey", at("ca.key"), "-CAcreateserial", "-out", at("cert.pem"), "-days", "2",
	    "-extfile", at("names"));
	fs.chmodSync(dir, 0o755);
	for (const name of fs.readdirSync(dir))
		fs.chmodSync(at(name), 0o644);
	process.on("exit", () => fs.rmSync(dir, { recursive: true, force: true }));
	authority = { dir, ca: at("ca.pem"), cert: at("cert.pem"), key: at("key.pem") };
	return authority;
}

export class Redis {
	host = "127.0.0.1";

	/**
	 * config: lines of redis.conf as { name: value | [values] }; tls: true
	 * speaks TLS only (clients show a certificate if tls is "clients"); unix:
	 * true adds redis.socket, a unix socket; password; users: lines of an ACL
	 * ("peal on >secret &* +@all"); sentinel: true makes it a Sentinel; port:
	 * a certain one.
	 */
	static async start(options = {}) {
		const redis = new Redis();
		redis.options = options;
		redis.dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-redis-"));
		fs.chmodSync(redis.dir, 0o755);
		redis.port = options.port ?? await freePort();
		if (options.unix)
			redis.socket = path.join(redis.dir, "redis.sock");
		if (options.tls)
			redis.ca = fs.readFileSync(certificates().ca);
		fs.writeFileSync(path.join(redis.dir, "redis.conf"), redis.#conf());
		await redis.again();
		return redis;
	}

	#conf() {
		const { tls: secure, password, users, sentinel, config = {} } = this.options;
		const files = secure && certificates();
		const all = {
			bind: "127.0.0.1",
			port: secure ? 0 : this.port,
			dir: this.dir,
			...(sentinel ? {} : { save: '""', appendonly: "no",
			    "enable-debug-command": "yes", "repl-diskless-sync-delay": 0,
			    "repl-ping-replica-period": 1 }),
			...(secure ? { "tls-port": this.port, "tls-cert-file": files.cert,
			    "tls-key-file": files.key, "tls-ca-cert-file": files.ca,
			    "tls-auth-clients": secure === "clients" ? "yes" : "no" } : {}),
			...(this.socket ? { unixsocket: this.socket, unixsocketperm: 777 } : {}),
			...(password ? { requirepass: JSON.stringify(password) } : {}),
			...(users ? { user: users } : {}),
			...config,
		};
		let text = "";
		for (const [name, values] of Object.entries(all))
			for (const v of [values].flat())
				text += `${name} ${v}\n`;
		return text;
	}

	get url() {
		const { tls: secure, password } = this.options;
		return `${secure ? "rediss" : "redis"}://${
		    password ? `:${password}@` : ""}${this.host}:${this.port}`;
	}

	get address() {
		return `${this.host}:${this.port}`;
	}

	/** Starts the process (again), as it was configured, and waits until it
	 * answers. */
	async again() {
		assert.equal(this.child, undefined, "still running");
		this.log = "";
		const child = spawn("redis-server", [path.join(this.dir, "redis.conf"),
		    ...(this.options.sentinel ? ["--sentinel"] : [])],
		    { cwd: this.dir, stdio: ["ignore", "pipe", "pipe"] });
		this.child = child;
		processes.add(this);
		// A test that fails need not wait for it.
		child.unref();
		for (const stream of [child.stdout, child.stderr]) {
			stream.on("data", (text) => { this.log += text; });
			stream.unref();
		}
		this.gone = new Promise((resolve) => child.once("close", resolve))
		    .then(() => {
			if (this.child === child)
				this.child = undefined;
			this.talk?.close();
			this.talk = undefined;
		});
		await until(async () => {
			if (this.child !== child)
				throw new Error(`redis-server ended:\n${this.log}`);
			try {
				await this.command("PING");
				return true;
			} catch (error) {
				// Somebody who answers, whatever it is.
				return /LOADING/.test(error.message) ? false :
				    /NOAUTH|NOPERM|MASTERDOWN|WRONGPASS/.test(error.message);
			}
		}, `redis-server answers (${this.dir})`);
	}

	/** A connection of its own; unauthenticated: true skips AUTH. */
	async open({ unauthenticated = false } = {}) {
		const files = this.options.tls && certificates();
		const talk = await Talk.open({ host: this.host, port: this.port,
		    ...(files ? { ca: this.ca, cert: fs.readFileSync(files.cert),
		    key: fs.readFileSync(files.key) } : {}) });
		if (this.options.password && !unauthenticated)
			await talk.command("AUTH", this.options.password);
		return talk;
	}

	/** One command over a connection that is kept; errors are thrown. */
	async command(...args) {
		if (!this.talk) {
			const talk = this.talk = await this.open();
			talk.socket.unref();
			talk.ended.then(() => {
				if (this.talk === talk)
					this.talk = undefined;
			});
		}
		return this.talk.command(...args);
	}

	/** INFO as an object of texts. */
	async info(section = "everything") {
		const text = await this.command("INFO", section);
		return Object.fromEntries(text.split("\r\n").filter((l) => /^\w+:/.test(l))
		    .map((l) => [l.slice(0, l.indexOf(":")), l.slice(l.indexOf(":") + 1)]));
	}

	/** Cuts the connections of clients of a type ("pubsub", "normal"). */
	async cut(type) {
		return this.command("CLIENT", "KILL", "TYPE", type);
	}

	/** Ends like a machine that loses power. */
	async kill(signal = "SIGKILL") {
		this.child?.kill(signal);
		await within(this.gone, "redis-server to end");
	}

	/** Frozen: connections stay, nobody answers. */
	pause() {
		this.child.kill("SIGSTOP");
	}

	resume() {
		this.child.kill("SIGCONT");
	}

	/** The end of it. */
	async stop() {
		if (this.child)
			await this.kill();
		processes.delete(this);
		fs.rmSync(this.dir, { recursive: true, force: true });
	}
}

// ---- a master that Sentinels watch -------------------------------------------

/** Redis's own notion of who is who takes a while: no event says it. */
const settled = (probe, what) => until(async () => {
	try { return await probe(); } catch { return false; }
}, what);

export class Sentinels {
	name = "mymaster";

	/**
	 * redis: options of the data servers, sentinel: of the Sentinels; downAfter:
	 * ms after which a silent master is taken for dead.
	 */
	static async start({ replicas = 1, sentinels = 3, downAfter = 500, redis = {},
	    sentinel = {} } = {}) {
		const set = new Sentinels();
		const secure = redis.tls ? { "tls-replication": "yes" } : {};
		const auth = redis.password ? { masterauth: redis.password } : {};
		const data = (more) => Redis.start({ ...redis,
		    config: { ...auth, ...secure, ...redis.config, ...more } });
		const master = await data({});
		set.servers = [master, ...await Promise.all(Array.from({ length: replicas },
		    () => data({ replicaof: `${master.host} ${master.port}` })))];
		set.sentinels = await Promise.all(Array.from({ length: sentinels }, () =>
			Redis.start({ tls: redis.tls, ...sentinel, sentinel: true, config: {
				...secure, ...sentinel.config,
				sentinel: [
					`monitor ${set.name} ${master.host} ${master.port} ${
					    Math.floor(sentinels / 2) + 1}`,
					`down-after-milliseconds ${set.name} ${downAfter}`,
					`failover-timeout ${set.name} 3000`,
					...(redis.password ? [`auth-pass ${set.name} ${redis.password}`] : []),
				],
			} })));
		await set.settled();
		return set;
	}

	/** HOST:PORT of each, for [backplane] sentinels. */
	get addresses() {
		return this.sentinels.map((s) => s.address);
	}

	/** SENTINEL MASTER as an object, of one Sentinel. */
	async view(sentinel = this.sentinels.find((s) => s.child)) {
		const list = await sentinel.command("SENTINEL", "MASTER", this.name);
		const view = {};
		for (let i = 0; i < list.length; i += 2)
			view[list[i]] = list[i + 1];
		return view;
	}

	/** All see each other, and a live replica that could take over. */
	async settled() {
		const live = this.sentinels.filter((s) => s.child);
		for (const s of live)
			await settled(async () => {
				const view = await this.view(s);
				const replicas = await s.command("SENTINEL", "REPLICAS", this.name);
				return view.flags === "master" &&
				    Number(view["num-other-sentinels"]) >= live.length - 1 &&
				    replicas.some((r) => r[r.indexOf("flags") + 1] === "slave" &&
				    r[r.indexOf("master-link-status") + 1] === "ok");
			}, `Sentinel ${s.port} knows all`);
	}

	/** The server that the Sentinels call master. */
	async master() {
		const { port } = await this.view();
		return this.servers.find((s) => s.port === Number(port));
	}

	/** Waits until the Sentinels, and it itself, call another one master. */
	async switched(from) {
		let now;
		for (const s of this.sentinels.filter((one) => one.child))
			await settled(async () => {
				const { port } = await this.view(s);
				now = this.servers.find((one) => one.port === Number(port));
				return now !== from && now.child &&
				    (await now.command("ROLE"))[0] === "master";
			}, "another master");
		return now;
	}

	async failover() {
		const from = await this.master();
		await this.sentinels.find((s) => s.child).command("SENTINEL", "FAILOVER", this.name);
		return this.switched(from);
	}

	async stop() {
		await Promise.all([...this.sentinels, ...this.servers].map((s) => s.stop()));
	}
}

// ---- a cluster ---------------------------------------------------------------

const SLOTS = 16384;

export class Cluster {
	/**
	 * masters share the slots in ranges; the nth replica follows the nth
	 * master; timeout: cluster-node-timeout in ms; redis: options of all.
	 */
	static async start(options) {
		const cluster = new Cluster();
		try {
			await cluster.#start(options);
		} catch (error) {
			await cluster.stop();
			throw error;
		}
		return cluster;
	}

	async #start({ masters = 3, replicas = 0, timeout = 800, redis = {} } = {}) {
		this.nodes = [];
		await Promise.all(Array.from({ length: masters + replicas }, async (_, i) => {
			const bus = await freePort();
			const node = await Redis.start({ ...redis, config: {
				"cluster-enabled": "yes", "cluster-port": bus,
				"cluster-node-timeout": timeout,
				"cluster-replica-validity-factor": 0,
				// A master without slots stays one.
				"cluster-allow-replica-migration": "no",
				...(redis.tls ? { "tls-cluster": "yes", "tls-replication": "yes" } : {}),
				...(redis.password ? { masterauth: redis.password } : {}),
				...redis.config,
			} });
			node.bus = bus;
			node.id = await node.command("CLUSTER", "MYID");
			this.nodes[i] = node;
		}));
		for (const [i, node] of this.nodes.slice(0, masters).entries()) {
			await node.command("CLUSTER", "SET-CONFIG-EPOCH", i + 1);
			await node.command("CLUSTER", "ADDSLOTSRANGE",
			    ...this.range(i, masters));
		}
		// Gossip alone would take longer.
		for (const [i, node] of this.nodes.entries())
			for (const other of this.nodes.slice(i + 1))
				await node.command("CLUSTER", "MEET", other.host, other.port, other.bus);
		await this.known(masters + replicas);
		for (const [i, node] of this.nodes.slice(masters).entries())
			await settled(() => node.command("CLUSTER", "REPLICATE",
			    this.nodes[i % masters].id), "a replica takes its master");
		await this.settled(replicas);
	}

	/** First and last slot of the nth of so many equal parts. */
	range(i, parts) {
		return [Math.ceil(SLOTS * i / parts), Math.ceil(SLOTS * (i + 1) / parts) - 1];
	}

	get live() {
		return this.nodes.filter((node) => node.child);
	}

	async #info(node) {
		return Object.fromEntries((await node.command("CLUSTER", "INFO")).split("\r\n")
		    .map((line) => line.split(":")));
	}

	async known(n) {
		for (const node of this.live)
			await settled(async () =>
				Number((await this.#info(node)).cluster_known_nodes) >= n,
			    `cluster node ${node.port} knows ${n}`);
	}

	/** All live nodes call the cluster well, and so many replicas follow. */
	async settled(replicas = 0) {
		for (const node of this.live)
			await settled(async () => {
				const slots = await node.command("CLUSTER", "SLOTS");
				const followers = new Set(slots.flatMap((s) => s.slice(3).map((n) => n[2])));
				return (await this.#info(node)).cluster_state === "ok" &&
				    followers.size >= replicas;
			}, `cluster node ${node.port} is well`);
		for (const node of this.live)
			await settled(async () => {
				const role = await node.command("ROLE");
				return role[0] === "master" || role[3] === "connected";
			}, "replicas follow");
	}

	/** The live node that serves a slot, as a live node sees it. */
	async owner(slot) {
		const slots = await this.live[0].command("CLUSTER", "SLOTS");
		const found = slots.find(([from, to]) => from <= slot && slot <= to);
		return this.nodes.find((node) => node.port === found?.[2][1]);
	}

	/** One half of a move: both know that the slots from..to are on their way. */
	async begin(from, to, source, target) {
		await Promise.all(this.#each(from, to, (slot) => [
			target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id),
			source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)]));
	}

	/** The other: keys go, then the ownership. */
	async finish(from, to, source, target) {
		const keys = (await Promise.all(this.#each(from, to, (slot) =>
			[source.command("CLUSTER", "GETKEYSINSLOT", slot, 1000)]))).flat();
		const auth = source.options.password ? ["AUTH", source.options.password] : [];
		for (const key of keys)
			await source.command("MIGRATE", target.host, target.port, key, 0, 5000, ...auth);
		for (const node of [target, source, ...this.live.filter((n) => n !== target &&
		    n !== source)])
			await Promise.all(this.#each(from, to, (slot) => [this.#give(node, slot, target)]));
		await this.#agreed(from, to, target);
	}

	#give(node, slot, target) {
		return node.command("CLUSTER", "SETSLOT", slot, "NODE", target.id)
		    .catch(() => {});	// a replica learns it by itself
	}

	/** All words that the nodes have for each other are spoken and heard. */
	async #quiet() {
		await settled(async () => {
			for (const node of this.live)
				for (const link of await node.command("CLUSTER", "LINKS"))
					if (link[link.indexOf("send-buffer-used") + 1] !== 0)
						return false;
			return true;
		}, "the cluster bus is quiet");
		// In one turn a node may answer us before it reads the others.
		for (let turn = 0; turn < 2; turn++)
			await Promise.all(this.live.map((node) => node.command("PING")));
	}

	/** The slots of from..to that are not the target's in the eyes of a node. */
	async #astray(node, from, to, target) {
		const own = new Set();
		for (const [first, last, [, port]] of await node.command("CLUSTER", "SLOTS"))
			for (let slot = Math.max(first, from); port === target.port && slot <= Math.min(last, to); slot++)
				own.add(slot);
		return this.#each(from, to, (slot) => own.has(slot) ? [] : [slot]);
	}

	/**
	 * All nodes say that from..to are the target's.  Before 7.2.4 a node that
	 * hears the others' words in the wrong order may give a slot that it took
	 * over back to its old owner, who has forgotten it: they send clients to
	 * each other for ever (redis/redis#12564).  Who operates such a cluster sets
	 * the slot again, and so do we.
	 */
	async #agreed(from, to, target) {
		await settled(async () => {
			let all = true;
			await this.#quiet();
			for (const node of this.live)
				for (const slot of await this.#astray(node, from, to, target)) {
					all = false;
					await this.#give(node, slot, target);
				}
			return all;
		}, `all nodes say that ${target.port} has ${from}-${to}`);
	}

	#each(from, to, commands) {
		return Array.from({ length: to - from + 1 }, (_, i) => commands(from + i)).flat();
	}

	/** Slots from..to, all of one node, go to another one. */
	async move(from, to, target) {
		const source = await this.owner(from);
		await this.begin(from, to, source, target);
		await this.finish(from, to, source, target);
	}

	/** Slots from..to are at home, however far a move came. */
	async home(from, to, target) {
		await Promise.all(this.live.flatMap((node) => this.#each(from, to, (slot) =>
			[node.command("CLUSTER", "SETSLOT", slot, "STABLE")])));
		if (await this.owner(from) !== target)
			await this.move(from, to, target);
	}

	/** The replica of a dead node is promoted, and all others know it. */
	async promoted(dead) {
		for (const node of this.live.filter((n) => n !== dead))
			await settled(async () => {
				const slots = await node.command("CLUSTER", "SLOTS");
				return slots.every((s) => s[2][1] !== dead.port) &&
				    (await this.#info(node)).cluster_state === "ok";
			}, `node ${node.port} sees the new master`);
	}

	async stop() {
		await Promise.all(this.nodes.map((node) => node?.stop()));
	}
}
