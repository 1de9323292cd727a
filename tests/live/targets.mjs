// SPDX-License-Identifier: MIT
//
// Targets of webhooks: HTTP servers that remember what they were sent, check each
// signature with Pusher's own library, and answer as a test wants: 200, slowly, not
// at all, with a reset, with a certificate nobody trusts.
//
//	const target = await Target.start();
//	const server = await Server.start({ courier: { allow: "127.0.0.1" },
//	    "webhook a": { url: target.url } });
//	await target.heard({ name: "channel_occupied", channel });
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import os from "node:os";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import Pusher from "pusher";
import { APP, patience, until } from "./harness.mjs";
import { freePort } from "./redis.mjs";

/** Key and certificate of 127.0.0.1, signed by itself: { key, cert, file }. */
let made;
export function certificate() {
	if (made)
		return made;
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-target-"));
	const key = path.join(dir, "key.pem"), file = path.join(dir, "chain.pem");
	execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
	    "-nodes", "-days", "2", "-subj", "/CN=target", "-addext", "subjectAltName=IP:127.0.0.1",
	    "-keyout", key, "-out", file], { stdio: "ignore" });
	process.once("exit", () => fs.rmSync(dir, { recursive: true, force: true }));
	return made = { key: fs.readFileSync(key), cert: fs.readFileSync(file), file };
}

export class Target {
	requests = [];		// all: { headers, raw, body, url, status }
	events = [];		// of those that were answered with 2xx, in order
	sockets = new Set();
	probers = new Set();
	held = [];		// answers that were not given
	under = 0;		// requests now, and the most at a time
	most = 0;

	/**
	 * answer(request, n): a status, a promise of one, "hold" (no answer until
	 * release()), "reset", or a function (res); else 200.  tls: with the
	 * certificate above.
	 */
	static async start({ answer = () => 200, tls = false, app = APP, port } = {}) {
		const target = new Target();
		Object.assign(target, { answer, tls });
		target.library = new Pusher({ appId: app.id, key: app.key, secret: app.secret, host: "localhost" });
		target.server = (tls ? https : http).createServer(tls ? certificate() : {},
		    (req, res) => target.#take(req, res).catch((error) => { target.broken = error; }));
		target.server.on("connection", (s) => {
			target.sockets.add(s);
			s.on("close", () => target.sockets.delete(s));
			s.on("error", () => {});
		});
		// Nobody else's clients come while it is closed.
		await target.open(port ?? await freePort());
		return target;
	}

	/** Listens (again). */
	async open(port = this.port) {
		this.server.listen(port, "127.0.0.1");
		await once(this.server, "listening");
		this.port = this.server.address().port;
		this.url = `${this.tls ? "https" : "http"}://127.0.0.1:${this.port}/hook`;
	}

	/** Nobody is there any more. */
	async close() {
		const gone = once(this.server, "close");
		this.server.close();
		for (const s of this.sockets)
			s.destroy();
		await gone;
	}

	/** What aware() has brought about. */
	#ignores(event) {
		if (event.name === "channel_occupied" && event.channel.startsWith("probe-"))
			this.probed = event.channel;
		return event.channel?.startsWith("probe-") || this.probers.has(event.socket_id);
	}

	async #take(req, res) {
		const parts = [];
		this.most = Math.max(this.most, ++this.under);
		req.on("close", () => { this.under--; });
		for await (const part of req)
			parts.push(part);
		const raw = Buffer.concat(parts).toString();
		const request = { method: req.method, url: req.url, headers: req.headers, raw,
		    rawHeaders: req.rawHeaders, body: JSON.parse(raw), at: Date.now() };
		this.requests.push(request);
		if (!this.library.webhook({ headers: req.headers, rawBody: raw }).isValid() && !this.unsigned)
			throw new Error(`not valid: ${JSON.stringify(req.headers)} ${raw}`);
		let answer = await this.answer(request, this.requests.length - 1);
		if (answer === "hold")
			answer = await new Promise((resolve) => this.held.push(resolve));
		if (answer === "reset") {
			req.socket.resetAndDestroy();
			return;
		}
		request.status = typeof answer === "number" ? answer : undefined;
		if (answer >= 200 && answer < 300)
			this.events.push(...request.body.events.filter((e) => !this.#ignores(e)));
		if (typeof answer === "function")
			answer(res);
		else
			res.writeHead(answer).end();
	}

	/** Those that were held are answered. */
	release(status = 200) {
		for (const go of this.held.splice(0))
			go(status);
	}

	ok() {
		if (this.broken)
			throw this.broken;
	}

	/** Waits until so many requests have come; gives them. */
	async asked(n) {
		await until(() => this.ok() || this.requests.length >= n,
		    () => `${n} requests; have ${JSON.stringify(this.requests.map((r) => r.body))}`);
		return this.requests;
	}

	/** The next events must be these, in this order. */
	async heard(...expected) {
		await until(() => this.ok() || this.events.length >= expected.length,
		    () => `${JSON.stringify(expected)}; have ${JSON.stringify(this.events)}`);
		assert.deepEqual(this.events.splice(0, expected.length), expected);
	}

	/** These will be heard, in any order, among others; they are taken out. */
	async gathered(...expected) {
		for (const e of expected) {
			const at = () => this.events.findIndex((have) => isDeepStrictEqual(have, e));
			await until(() => this.ok() || at() >= 0,
			    () => `${JSON.stringify(e)}; have ${JSON.stringify(this.events)}`);
			this.events.splice(at(), 1);
		}
	}

	async stop() {
		this.release();
		await this.close();
		this.ok();
	}
}

let probes = 0;

/**
 * A courier that begins with nothing takes what is there for known, so a test waits
 * until it knows.  Who asks stays, so that it is no news later that he goes; what he
 * caused is in no list.
 */
export async function aware(server, targets) {
	const prober = await server.connect();
	for (const t of targets)
		t.probers.add(prober.id);
	for (;;) {
		const channel = `probe-${++probes}`;
		prober.subscribing(channel);
		const heard = () => targets.some((t) => t.ok() || t.probed === channel);
		if (await until(heard, "a probe", 200 * patience).catch(() => false) && targets.every((t) => t.probed))
			break;
	}
	for (const t of targets)
		t.requests.length = t.events.length = 0;
}

/** define({ server, target }) with a peald whose one webhook is the target. */
export async function hooked(options, define) {
	const { hook = {}, courier = {}, target: how = {}, allow = [], ...more } = options;
	const target = await Target.start(how);
	const { Server } = await import("./harness.mjs");
	const server = await Server.start({
		courier: { allow: "127.0.0.1", hold_back: "0", ...courier },
		"webhook main": { url: target.url, ...hook }, ...more });
	for (const regex of allow)
		server.allow(regex);
	try {
		if (/occupied/.test(hook.events ?? "occupied"))
			await aware(server, [target]);
		await define({ server, target });
	} catch (error) {
		console.error(error);	// what follows may hide it
		throw error;
	} finally {
		await server.stop();
		await target.stop();
	}
}

/** What a target may make the courier say. */
export const FAILED = /did not take a request|takes nothing|queue|dropped/;

/** The report of a target as the master has it. */
export async function reported(server, name = "main") {
	const [report] = await server.ask({ verb: "report" });
	return report.hooks.find((one) => one.target === name);
}
