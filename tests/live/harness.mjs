// SPDX-License-Identifier: MIT
//
// What all live tests stand on: a peald of their own in a temporary directory,
// raw WebSocket clients that remember every frame, signed API calls.  Nothing
// here sleeps: whatever is waited for is an event, with a time limit.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, describe } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import WebSocket from "ws";

const here = path.dirname(fileURLToPath(import.meta.url));
// Absolute: servers run in folders of their own.
export const peald = path.resolve(process.env.PEALD ??
    path.join(here, "../../build/peald"));
export const pealctl = path.resolve(process.env.PEALCTL ??
    path.join(path.dirname(peald), "pealctl"));
// A build with sanitizers is slower: everything gets more time there.
export const patience = Number(process.env.PEAL_TEST_PATIENCE ?? 1);
// It decides no test: who waits so long has seen that nothing comes.
export const LIMIT = 60000 * patience;

/** Rejects when the promise takes too long; what: for the message. */
export async function within(promise, what, ms = LIMIT) {
	let timer;
	const late = new Promise((_, reject) => {
		// After a stall what has arrived meanwhile is looked at first.
		timer = setTimeout(() => setImmediate(() => setImmediate(() => reject(new Error(
		    `timed out: ${typeof what === "function" ? what() : what}`)))), ms);
	});
	try {
		return await Promise.race([promise, late]);
	} finally {
		clearTimeout(timer);
	}
}

/** Asks again and again (with a breath in between) until probe() is truthy. */
export async function until(probe, what, ms = LIMIT) {
	const end = Date.now() + ms;
	for (;;) {
		const value = await probe();
		if (value)
			return value;
		if (Date.now() > end)
			throw new Error(`never happened: ${typeof what === "function" ? await what() : what}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

export const hmac = (secret, text) =>
	crypto.createHmac("sha256", secret).update(text).digest("hex");

// ---- settings ---------------------------------------------------------------

export const APP = { id: "1001", key: "app-key", secret: "app-secret" };

/** { section: { key: value | [values] } } as an INI file. */
export function ini(sections) {
	let text = "";
	for (const [name, keys] of Object.entries(sections)) {
		text += `[${name}]\n`;
		for (const [key, value] of Object.entries(keys ?? {}))
			for (const one of [value].flat())
				text += `${key} = ${one}\n`;
		text += "\n";
	}
	return text;
}

function settings(dir, { workers, peal, listen, listeners, app, apps, ...rest }) {
	const all = {
		peal: {
			workers,
			jail: process.env.PEAL_TEST_JAIL ?? "on",
			control: path.join(dir, "control.sock"),
			drain_timeout: "0",
			// Beside others a process may not get to run for seconds.
			watchdog: "60s",
			...(process.getuid() === 0 ? { user: "nobody" } : {}),
			...peal,
		},
		listen: { address: "127.0.0.1:0", ...listen },
		...listeners,
	};
	// Who is silent for half a minute on a busy machine must not be asked whether
	// he lives: tests look at each frame.
	for (const [name, keys] of Object.entries(apps ?? { main: app }))
		all[`app ${name}`] = { ...(apps ? {} : APP), ping_interval: "10m", ...keys };
	return { ...all, ...rest };
}

// ---- the server --------------------------------------------------------------

const SANITIZER = /AddressSanitizer|LeakSanitizer|UndefinedBehavior|runtime error:/;

export class Server {
	/**
	 * options: workers, peal, listen, listeners (more sections by name), app
	 * (changes to the one app) or apps (by name), http, websocket, router:
	 * settings; args, env: of the process; file: false starts without -c;
	 * descriptors: its soft limit of open files; through: a command that runs
	 * it (["nsenter", ...]) and becomes it.
	 */
	static async start(options = {}) {
		const server = new Server();
		options = await server.#joined(options);
		const { args = [], env = {}, file = true, files = {}, parallel,
		    workers = 1, descriptors, through = [], ...rest } = options;
		server.descriptors = descriptors;
		server.through = through;
		server.dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-live-"));
		for (const [name, text] of Object.entries(files))
			fs.writeFileSync(path.join(server.dir, name), text);
		const all = settings(server.dir, { workers, ...rest });
		server.workers = workers;
		server.prefix = all.http?.path ?? "";
		server.app = { ...APP, ...all["app main"] };
		if (Array.isArray(server.app.key))
			server.app.key = server.app.key[0];
		server.ini = path.join(server.dir, "peal.ini");
		server.control = all.peal.control;
		fs.writeFileSync(server.ini, ini(all), { mode: 0o600 });
		await server.spawn([...(file ? ["-c", server.ini] : []), ...args], env);
		return server;
	}

	/**
	 * PEAL_TEST_BACKPLANE=redis gives each server a Redis of its own, so that
	 * what is told by a test alone is told with a backplane too; redis2 also
	 * a second host, and clients and calls go to both in turn.
	 */
	async #joined(options) {
		const mode = process.env.PEAL_TEST_BACKPLANE;
		if (!mode || options.backplane || options.file === false || options.args)
			return options;
		const { Redis } = await import("./redis.mjs");
		this.redis = await Redis.start();
		options = { ...options, backplane: { driver: "redis", url: this.redis.url } };
		// A limit of the one server is one of both.
		for (const app of [options.app ?? {}, ...Object.values(options.apps ?? {})])
			if (app.max_connections)
				app.max_connections_of = "cluster";
		if (mode === "redis2" && !options.listeners && !options.listen)
			this.partner = await Server.start(options);
		return options;
	}

	/** With a second host: it knows what this one knows, and the other way. */
	async quiet() {
		if (this.partner)
			await settled([this, this.partner]);
	}

	/** Where the next client or call goes. */
	#place() {
		this.turn = !this.turn;
		return this.turn && this.partner ? this.partner.address : this.address;
	}

	async spawn(args, env) {
		this.log = "";
		this.addresses = [];
		this.allowed = [];
		this.waiters = new Set();
		const command = [...this.through, ...(this.descriptors ? ["sh", "-c",
		    `ulimit -Sn ${this.descriptors}; exec "$0" "$@"`] : []), peald];
		this.child = spawn(command[0], [...command.slice(1), ...args], {
			cwd: this.dir,
			env: { PATH: process.env.PATH, HOME: this.dir,
			    ASAN_OPTIONS: "abort_on_error=0:detect_leaks=1",
			    UBSAN_OPTIONS: "print_stacktrace=1", ...env },
			stdio: ["ignore", "pipe", "pipe"],
		});
		this.gone = new Promise((resolve) => {
			this.child.once("close", (code, signal) => resolve(signal ?? code));
			this.child.once("error", (error) => resolve(`${error.message}`));
		}).then((status) => { this.status = status; return status; });
		for (const stream of [this.child.stdout, this.child.stderr]) {
			stream.setEncoding("utf8");
			stream.on("data", (text) => this.#logged(text));
		}
		const dead = this.gone.then((status) => {
			throw new Error(`peald ended with ${status}:\n${this.log}`);
		});
		dead.catch(() => {});
		const ready = this.#matched(/ master: ready\b/);
		await within(Promise.race([dead, ready.promise]),
		    () => `peald ready:\n${this.log}`, 2 * LIMIT).finally(ready.end);
		for (const m of this.log.matchAll(/ listening address=(\S+)/g))
			this.addresses.push(m[1]);
		this.address = this.addresses.find((a) => !a.startsWith("unix:"));
		this.port = this.address &&
		    Number(this.address.slice(this.address.lastIndexOf(":") + 1));
	}

	#logged(text) {
		this.log += text;
		for (const w of [...this.waiters])
			w();
	}

	/** promise: the match, as soon as the log has it; end() when nobody waits. */
	#matched(regex, from = 0) {
		let check;
		const promise = new Promise((resolve) => {
			check = () => {
				const m = this.log.slice(from).match(regex);
				if (m)
					resolve(m);
			};
		});
		this.waiters.add(check);
		check();
		return { promise, end: () => this.waiters.delete(check) };
	}

	/** Waits until the log matches; gives the match. */
	async logged(regex, from = 0) {
		const { promise, end } = this.#matched(regex, from);
		return within(promise, () => `log ${regex}:\n${this.log}`).finally(end);
	}

	/** Error lines that match may be in the log (a test provokes them). */
	allow(regex) {
		this.allowed.push(regex);
	}

	/** Errors, sanitizer reports and dead children that nobody asked for. */
	complaints() {
		return this.log.split("\n").filter((line) =>
			(SANITIZER.test(line) ||
			/^\S+ (error|warn) |\bfatal\b|\bdied\b/.test(line)) &&
			!this.allowed.some((regex) => regex.test(line)));
	}

	async stop({ signal = "SIGTERM", status = 0 } = {}) {
		for (const c of this.clients)
			c.socket.terminate();
		this.clients.clear();
		this.agent?.destroy();
		await this.partner?.stop();
		if (this.status === undefined)
			this.child.kill(signal);
		await within(this.gone, () => `peald to end:\n${this.log}`, 2 * LIMIT)
		    .catch((error) => { this.child.kill("SIGKILL"); throw error; })
		    .finally(() => this.redis?.stop());
		fs.rmSync(this.dir, { recursive: true, force: true });
		assert.equal(this.status, status, this.log);
		assert.deepEqual(this.complaints(), [], this.log);
	}

	// ---- clients

	clients = new Set();

	/** ws:// URL of an app; options as Client.open. */
	url({ key = this.app.key, query = "protocol=7&client=test&version=1.0",
	    prefix = this.prefix, scheme = "ws", address = this.#place() } = {}) {
		return `${scheme}://${address}${prefix}/app/${key}${query && "?" + query}`;
	}

	/** A raw client whose handshake is done; no frame is read yet. */
	async open(options) {
		await this.quiet();
		return Client.open(this, options);
	}

	/** A client that has its connection_established behind it. */
	async connect(options) {
		await this.quiet();
		const client = await Client.open(this, options);
		const frame = await client.next();
		assert.equal(frame.event, "pusher:connection_established",
		    JSON.stringify(frame));
		client.id = JSON.parse(frame.data).socket_id;
		return client;
	}

	/** So many that (with several workers) they sit on more than one. */
	crowd(n = 12, options = {}) {
		return Promise.all(Array.from({ length: n }, () => this.connect(options)));
	}

	// ---- the HTTP API

	/** Query string with a good signature; change: parts to add or to forge. */
	sign(method, target, body = "", { app = this.app, query = {}, change = {},
	    prefix = "" } = {}) {
		const all = {
			auth_key: app.key,
			auth_timestamp: String(Math.floor(Date.now() / 1000)),
			auth_version: "1.0",
			...(body ? { body_md5: md5(body) } : {}),
			...query, ...change,
		};
		for (const [k, v] of Object.entries(all))
			if (v === undefined)
				delete all[k];
		const text = Object.keys(all).map((k) => [k.toLowerCase(), all[k]])
		    .sort(([a], [b]) => (a < b ? -1 : 1))
		    .map(([k, v]) => `${k}=${v}`).join("&");
		const signature = change.auth_signature ??
		    hmac(app.secret, `${method}\n${prefix}${target}\n${text}`);
		return new URLSearchParams({ ...all, auth_signature: signature }).toString();
	}

	/**
	 * A signed call: { status, headers, text, json }.  target without prefix;
	 * body: a string, or an object that becomes JSON.
	 */
	async call(method, target, body, options = {}) {
		await this.quiet();
		const text = body === undefined ? "" :
		    typeof body === "string" ? body : JSON.stringify(body);
		const query = options.unsigned ? "" :
		    "?" + this.sign(method, target, text, options);
		return this.request(method,
		    `${options.sendPrefix ?? this.prefix}${target}${query}`, text, options);
	}

	/** An unsigned request as given. */
	async request(method, target, body = "", { headers = {}, agent, secure,
	    address = this.#place(), socketPath, tls = {} } = {}) {
		this.agent ??= new http.Agent({ keepAlive: true, maxSockets: 8 });
		const at = address.lastIndexOf(":");
		const options = {
			method, path: target, ...tls,
			...(socketPath ? { socketPath } : {
				host: address.slice(0, at).replace(/[[\]]/g, ""),
				port: address.slice(at + 1) }),
			agent: agent ?? (secure || socketPath ? false : this.agent),
			headers: {
				...(body ? { "Content-Type": "application/json",
				    "Content-Length": Buffer.byteLength(body) } : {}),
				...headers,
			},
		};
		return within(new Promise((resolve, reject) => {
			const req = (secure ? https : http).request(options, (res) => {
				const parts = [];
				res.on("data", (part) => parts.push(part));
				res.on("error", reject);
				res.on("end", () => {
					const text = Buffer.concat(parts).toString();
					let json;
					try { json = JSON.parse(text); } catch { /* plain text */ }
					resolve({ status: res.statusCode, headers: res.headers, text, json });
				});
			});
			req.on("error", reject);
			req.end(body);
		}), `${method} ${target}`);
	}

	/** POST .../events with { name, channel(s), data, ... }; must succeed. */
	async publish(channel, name, data, more = {}) {
		const answer = await this.call("POST", `/apps/${(more.app ?? this.app).id}/events`, {
			name, data: typeof data === "string" ? data : JSON.stringify(data),
			...(Array.isArray(channel) ? { channels: channel } : { channel }),
			...more.body,
		}, more);
		assert.equal(answer.status, 200, answer.text);
		return answer.json;
	}

	async get(target, query = {}, more = {}) {
		return this.call("GET", `/apps/${(more.app ?? this.app).id}${target}`,
		    undefined, { query, ...more });
	}

	/** None of these subscribers of a channel has anything more to hear. */
	async silence(clients, channel) {
		const marker = `marker-${crypto.randomBytes(8).toString("hex")}`;
		await this.publish(channel, marker, "{}");
		for (const c of clients)
			await c.expect(marker, channel);
	}

	/** Bytes in, bytes out: a plain TCP connection. */
	wire(options) {
		return Wire.open(this, options);
	}

	/** What pealctl would be told: the lines of the answer as objects. */
	async ask(request) {
		const socket = net.connect(this.control);
		let text = "";
		socket.setEncoding("utf8");
		socket.on("data", (part) => { text += part; });
		socket.end(`${JSON.stringify(request)}\n`);
		await within(new Promise((resolve, reject) => {
			socket.on("close", resolve);
			socket.on("error", reject);
		}), `control ${request.verb}`);
		return text.trim().split("\n").map((line) => JSON.parse(line));
	}

	/** `pealctl VERB --json` as an object. */
	async ctl(...args) {
		const { stdout } = await promisify(execFile)(pealctl,
		    ["-s", this.control, "--json", ...args], { timeout: LIMIT });
		return JSON.parse(stdout);
	}

	/**
	 * What was counted up to now is in the report, which otherwise hears once a
	 * second: a reload, of nothing, asks all processes, and they tell it before
	 * they answer.
	 */
	async told() {
		await this.ctl("reload");
	}

	/** Process ids of the children whose title starts so ("peald: router"). */
	pids(title) {
		const found = [];
		for (const pid of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
			try {
				const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
				const parent = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
				const line = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8");
				if (Number(parent) === this.child.pid && line.startsWith(title))
					found.push(Number(pid));
			} catch { /* it ended meanwhile */ }
		return found;
	}
}

/** Waits until hosts that a backplane joins know all that each of them knows. */
export function settled(hosts) {
	return until(async () => {
		// An answer of the API comes when the router has read all workers.
		await Promise.all(hosts.map((h) => h.request("GET", `/apps/${h.app.id}/connections?${
		    h.sign("GET", `/apps/${h.app.id}/connections`)}`, "", { address: h.address })));
		const views = await Promise.all(hosts.map((h) => h.ask({ verb: "backplane" })));
		const own = views.map((rows) => rows.find((row) => row.own));
		return views.every((rows) => own.every((o) => rows.some((row) => row.node === o.node && row.changes >= o.changes)));
	}, "the hosts to hear each other");
}

export const md5 = (text) => crypto.createHash("md5").update(text).digest("hex");

/**
 * describe() once with 1 and once with 3 workers, each with a server of its
 * own.  define(s): s.server is there when the tests run.  options are those of
 * Server.start; parallel: the tests do not mind each other.
 */
export function live(name, options, define) {
	for (const workers of options.workers ?? [1, 3]) {
		describe(`${name} (${workers} worker${workers > 1 ? "s" : ""})`, { concurrency: options.parallel }, () => {
			const s = { workers };
			before(async () => { s.server = await Server.start({ ...options, workers }); });
			after(async () => { await s.server?.stop(); });
			define(s);
		});
	}
}

let serial = 0;
/** A name that no other test of this file uses. */
export const unique = (prefix = "room") => `${prefix}-${++serial}`;

// ---- WebSocket clients ----------------------------------------------------------

export class Client {
	frames = [];		// received and not asked for yet
	raw = [];		// every text, as it came
	controls = [];		// "ping" and "pong" frames

	static async open(server, { wsOptions = {}, headers = {}, origin, url,
	    answerPings = true, ...where } = {}) {
		const client = new Client();
		client.server = server;
		client.app = where.app ?? server.app;
		if (where.app)
			where.key = where.app.key;
		client.socket = new WebSocket(url ?? server.url(where), {
			perMessageDeflate: false, autoPong: answerPings,
			...wsOptions, headers: { ...headers, ...wsOptions.headers },
			...(origin === undefined ? {} : { origin }),
		});
		const s = client.socket;
		client.end = new Promise((resolve) => s.on("close", (code, reason) => {
			client.ended = { code, reason: reason.toString() };
			client.#woken?.();
			resolve(client.ended);
		}));
		s.on("message", (data, binary) => {
			const text = data.toString();
			client.raw.push(text);
			let frame = { binary, text };
			try { frame = JSON.parse(text); } catch { /* shown as it is */ }
			client.frames.push(frame);
			client.#woken?.();
		});
		s.on("ping", () => { client.controls.push("ping"); client.#woken?.(); });
		s.on("pong", () => { client.controls.push("pong"); client.#woken?.(); });
		await within(new Promise((resolve, reject) => {
			s.on("upgrade", (response) => { client.upgrade = response; });
			s.on("open", resolve);
			s.on("error", reject);
		}), "WebSocket handshake");
		s.on("error", () => {});
		server.clients?.add(client);
		return client;
	}

	#woken = null;

	/** Waits until probe() gives something other than undefined. */
	async #wait(probe, what) {
		return within(new Promise((resolve, reject) => {
			const look = () => {
				this.#woken = null;	// what a probe took is taken
				const value = probe();
				if (value !== undefined)
					resolve(value);
				else if (this.ended)
					reject(new Error(`closed ${this.ended.code} ${
					    this.ended.reason} while waiting for ${what}`));
				else
					this.#woken = look;
			};
			look();
		}), () => `${what}; have ${JSON.stringify(this.frames)}`)
		    .finally(() => { this.#woken = null; });
	}

	/** The next frame, whatever it is. */
	next(what = "a frame") {
		return this.#wait(() => this.frames.shift(), what);
	}

	/** The next frame, which stays; nothing if the connection ended. */
	peek() {
		return this.#wait(() => this.frames[0], "a frame").catch((error) => {
			if (!this.ended)
				throw error;
		});
	}

	/** The next frame must equal this in the keys given (data decoded). */
	async expect(event, channel, data) {
		const frame = await this.next(`${event} ${channel ?? ""}`);
		assert.equal(frame.event, event, JSON.stringify(frame));
		assert.equal(frame.channel, channel, JSON.stringify(frame));
		if (data !== undefined)
			assert.deepEqual(decoded(frame), data);
		return frame;
	}

	/** The next frame must be exactly this object (key order does not count). */
	async expectFrame(object) {
		assert.deepEqual(await this.next(JSON.stringify(object)), object);
	}

	/** pusher:error with this code (and words); the connection may live on. */
	async expectError(code, message) {
		const frame = await this.next(`pusher:error ${code}`);
		assert.equal(frame.event, "pusher:error", JSON.stringify(frame));
		const data = decoded(frame);
		assert.equal(data.code, code, JSON.stringify(frame));
		if (message !== undefined)
			assert.equal(data.message, message);
		return data;
	}

	/** Skips frames until one with this event (and channel). */
	async skipTo(event, channel) {
		for (;;) {
			const frame = await this.next(`${event} (skipping)`);
			if (frame.event === event &&
			    (channel === undefined || frame.channel === channel))
				return frame;
		}
	}

	/** A control frame of this kind has come (and is taken off the list). */
	control(kind) {
		return this.#wait(() => {
			const at = this.controls.indexOf(kind);
			return at < 0 ? undefined : this.controls.splice(at, 1)[0];
		}, `a ${kind} control frame`);
	}

	/** It must be closed with this code (and words). */
	async closed(code, reason) {
		const end = await within(this.end,
		    () => `close ${code}; have ${JSON.stringify(this.frames)}`);
		if (code !== undefined)
			assert.equal(end.code, code, `${end.code} ${end.reason}`);
		if (reason !== undefined)
			assert.equal(end.reason, reason);
		return end;
	}

	/** Both ways of saying why: the frame, then the close code. */
	async refused(code, message) {
		await this.expectError(code, message);
		await this.closed(code);
	}

	send(object) {
		this.socket.send(typeof object === "string" || Buffer.isBuffer(object) ?
		    object : JSON.stringify(object));
	}

	/** KEY:HMAC for a channel. */
	auth(channel, channelData, app = this.app) {
		return `${app.key}:${hmac(app.secret, [this.id, channel,
		    ...(channelData === undefined ? [] : [channelData])].join(":"))}`;
	}

	/** Sends pusher:subscribe, signed where the name asks for it. */
	subscribing(channel, member, more = {}) {
		const data = { channel, ...more };
		if (member !== undefined)
			data.channel_data = typeof member === "string" ? member :
			    JSON.stringify(member);
		if (/^(private|presence)-/.test(channel))
			data.auth ??= this.auth(channel, data.channel_data);
		this.send({ event: "pusher:subscribe", data });
	}

	/** Subscribes and waits for the answer; gives its data, decoded. On a busy
	 * machine the server may ask in between whether the client lives. */
	async subscribe(channel, member, more) {
		await this.server.quiet?.();
		this.subscribing(channel, member, more);
		while ((await this.peek())?.event === "pusher:ping")
			this.frames.shift();
		return decoded(await this.expect("pusher_internal:subscription_succeeded", channel));
	}

	async unsubscribe(channel) {
		this.send({ event: "pusher:unsubscribe", data: { channel } });
		await this.ping();
	}

	/** pusher:ping and its pong: all sent before has been handled. */
	async ping() {
		this.send({ event: "pusher:ping", data: {} });
		await this.expect("pusher:pong");
	}

	/** Sends pusher:signin; gives the signin_success frame's data. */
	async signin(user, more = {}) {
		await this.server.quiet?.();
		const user_data = typeof user === "string" ? user : JSON.stringify(user);
		const auth = more.auth ?? `${this.app.key}:${
		    hmac(this.app.secret, `${this.id}::user::${user_data}`)}`;
		this.send({ event: "pusher:signin", data: { auth, user_data } });
		if (more.wait === false)
			return undefined;
		return decoded(await this.expect("pusher:signin_success"));
	}

	/**
	 * Nothing has come and nothing is on its way: a marker published on a
	 * channel (that this client is in) must be the very next frame.
	 */
	async silent(channel) {
		const marker = `marker-${crypto.randomBytes(8).toString("hex")}`;
		await this.server.publish(channel, marker, "{}", { app: this.app });
		await this.expect(marker, channel);
	}

	async close(code = 1000) {
		this.socket.close(code);
		await this.closed();
	}

	/** Dies like a phone in a tunnel entrance: no close frame. */
	async kill() {
		this.socket.terminate();
		await this.closed();
	}
}

/** data of a frame: JSON in a string is read, all else is as it is. */
export function decoded(frame) {
	if (typeof frame.data !== "string")
		return frame.data;
	try { return JSON.parse(frame.data); } catch { return frame.data; }
}

// ---- bytes ----------------------------------------------------------------------

/** A TCP connection that remembers what came. */
export class Wire {
	ended = false;
	#parts = [];

	/** What came and was not taken off yet, in one piece. */
	get data() {
		if (this.#parts.length !== 1)
			this.#parts = [Buffer.concat(this.#parts)];
		return this.#parts[0];
	}

	set data(bytes) {
		this.#parts = [bytes];
	}

	static async open(server, { address = server.address, socketPath, allowHalfOpen = false } = {}) {
		const wire = new Wire();
		const at = address?.lastIndexOf(":");
		wire.socket = net.connect(socketPath ? { path: socketPath } : {
			host: address.slice(0, at).replace(/[[\]]/g, ""),
			port: Number(address.slice(at + 1)), allowHalfOpen });
		wire.socket.setNoDelay(true);
		wire.socket.on("data", (part) => {
			wire.#parts.push(part);
			wire.woken?.();
		});
		const over = () => { wire.ended = true; wire.woken?.(); };
		wire.socket.on("end", over);
		wire.socket.on("close", over);
		wire.socket.on("error", over);
		await within(new Promise((resolve, reject) => {
			wire.socket.once("connect", resolve);
			wire.socket.once("error", reject);
		}), "TCP connect");
		return wire;
	}

	write(bytes) {
		this.socket.write(bytes);
		return this;
	}

	/** Waits until probe(text so far) is truthy. */
	async wait(probe, what) {
		return within(new Promise((resolve, reject) => {
			const look = () => {
				const value = probe(this.data.toString("latin1"));
				if (value)
					resolve(value);
				else if (this.ended)
					reject(new Error(`ended while waiting for ${what}; have ${
					    this.data.toString("latin1")}`));
				else
					this.woken = look;
			};
			look();
		}), () => `${what}; have ${this.data.toString("latin1")}`);
	}

	/** One HTTP answer, taken off the front: { status, head, body }. */
	async answer({ head: headOnly = false } = {}) {
		const found = await this.wait((text) => {
			const at = text.indexOf("\r\n\r\n");
			if (at < 0)
				return null;
			const head = text.slice(0, at);
			const status = Number(head.slice(9, 12));
			const length = headOnly || status < 200 || status === 204 ? 0 :
			    Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
			return text.length >= at + 4 + length &&
			    { status, head, body: text.slice(at + 4, at + 4 + length),
			    length: at + 4 + length };
		}, "an HTTP answer");
		this.data = this.data.subarray(found.length);
		return found;
	}

	/** Until the other side closes: everything, as text. */
	async rest() {
		await within(new Promise((resolve) => {
			if (this.ended)
				resolve();
			else
				this.woken = () => this.ended && resolve();
		}), () => `the end; have ${this.data.toString("latin1").slice(0, 500)}`);
		return this.data.toString("latin1");
	}

	close() {
		this.socket.destroy();
	}

	/** A WebSocket handshake by hand; frames follow in data. */
	async upgrade(server, extra = "", target = `/app/${server.app.key}?protocol=7`) {
		this.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n` +
		    "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		    `Sec-WebSocket-Version: 13\r\n${extra}\r\n`);
		const answer = await this.answer();
		assert.equal(answer.status, 101, answer.head);
		return answer;
	}

	/** One frame of a server, taken off: { opcode, fin, rsv, payload }. */
	async frame() {
		const found = await this.wait(() => {
			const d = this.data;
			if (d.length < 2)
				return null;
			let n = d[1] & 127, at = 2;
			if (n === 126) {
				if (d.length < 4)
					return null;
				n = d.readUInt16BE(2);
				at = 4;
			} else if (n === 127) {
				if (d.length < 10)
					return null;
				n = Number(d.readBigUInt64BE(2));
				at = 10;
			}
			return d.length >= at + n && { fin: d[0] >> 7, rsv: (d[0] >> 4) & 7,
			    opcode: d[0] & 15, payload: d.subarray(at, at + n), length: at + n };
		}, "a frame");
		this.data = this.data.subarray(found.length);
		return found;
	}

	/** The close frame (others are skipped): { code, reason }. */
	async closeFrame() {
		for (;;) {
			const f = await this.frame();
			if (f.opcode === 8)
				return { code: f.payload.length > 1 ? f.payload.readUInt16BE(0) : 1005,
				    reason: f.payload.subarray(2).toString() };
		}
	}
}

/** A client's frame, masked; options for wrong ones. */
export function frame(opcode, payload, { fin = true, rsv = 0, mask = true, length } = {}) {
	const body = Buffer.from(payload);
	const n = length ?? body.length;
	const head = [((fin ? 8 : 0) | rsv) << 4 | opcode];
	const bit = mask ? 0x80 : 0;
	if (n < 126)
		head.push(bit | n);
	else if (n < 65536)
		head.push(bit | 126, n >> 8, n & 255);
	else {
		const size = Buffer.alloc(8);
		size.writeBigUInt64BE(BigInt(n));
		head.push(bit | 127, ...size);
	}
	if (!mask)
		return Buffer.concat([Buffer.from(head), body]);
	const key = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);
	return Buffer.concat([Buffer.from(head), key, body.map((b, i) => b ^ key[i & 3])]);
}
