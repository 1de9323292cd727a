// SPDX-License-Identifier: MIT
//
// Hosts for the live tests: some pealds of their own, joined by one Redis, as
// if each were a machine; what can be asked of all of them; a stream of events
// over them that knows what was lost, doubled or out of order.
//
//	const fleet = await Fleet.start({ hosts: 3 });
//	await fleet.agree("/connections", {}, { connections: 0 });
//	await fleet.stop();
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { after, before, describe } from "node:test";
import { Server, settled, unique, until, within } from "./harness.mjs";
import { Redis } from "./redis.mjs";

/** What a host may log when its broker or another host fails, or its machine has
 * too much to do. */
export const TROUBLE = /backplane|broker|redis|host|degraded|stood still/i;

/** [backplane] of hosts that are to have no trouble, however busy the machine is. */
export const STEADY = { timeout: "50s", host_timeout: "50s", echo_timeout: "20s", backlog_age: "60s" };

let fleets = 0;

export class Fleet {
	hosts = [];

	/**
	 * hosts: how many; workers: of each, a number or one per host; redis: a
	 * running one (else one is started, with redisOptions); backplane: its
	 * settings; each(i): more options for one host; joined: false does not
	 * wait for them to find each other; all else as Server.start.
	 */
	static async start({ hosts = 2, workers = 1, redis, redisOptions, backplane,
	    each, joined = true, ...options } = {}) {
		const fleet = new Fleet();
		fleet.own = redis === undefined;
		fleet.redis = redis ?? await Redis.start(redisOptions);
		fleet.prefix = backplane?.channel ?? `peal-test-${process.pid}-${++fleets}`;
		fleet.options = { ...options };
		fleet.workers = [workers].flat();
		fleet.each = each ?? (() => ({}));
		fleet.backplane = { driver: "redis", url: fleet.redis.url, channel: fleet.prefix, ...backplane };
		try {
			await Promise.all(Array.from({ length: hosts }, (_, i) => fleet.add(i)));
			if (joined)
				await fleet.joined();
		} catch (error) {
			await fleet.abandon();
			throw error;
		}
		return fleet;
	}

	/** Starts a host (more). */
	async add(i = this.hosts.length) {
		const { backplane, ...more } = this.each(i);
		this.hosts[i] = await Server.start({ ...this.options,
		    workers: this.workers[i % this.workers.length], ...more,
		    backplane: { ...this.backplane, ...backplane } });
		return this.hosts[i];
	}

	/** Every host sees so many hosts, and the broker. */
	async joined(n = this.hosts.length, hosts = this.hosts) {
		const seen = () => Promise.all(hosts.map((h) => backplane(h)));
		await until(async () => (await seen()).every((b) => b.up && b.hosts === n),
		    async () => `${n} hosts joined: ${JSON.stringify(await seen())}`);
	}

	/** Whatever was told on any host is known on all. */
	settled() {
		return settled(this.hosts.filter(Boolean));
	}

	/** All hosts give this answer in the end; how long that took, in ms. */
	async agree(target, query, expected, { hosts = this.hosts, ms } = {}) {
		const begin = performance.now(), answers = [];
		const ask = async () => {
			for (const [i, h] of hosts.entries())
				answers[i] = (await h.get(target, query)).json;
			return answers.every((a) => isDeepStrictEqual(a, expected));
		};
		await until(ask, () => `${target} on all hosts: ${JSON.stringify(expected)}\nhave ${
		    JSON.stringify(answers)}`, ms);
		return performance.now() - begin;
	}

	/** A client on each host (or n on each), host by host. */
	async crowd(n = 1, options) {
		const all = [];
		for (const h of this.hosts)
			all.push(...await h.crowd(n, options));
		return all;
	}

	/** One client per host, subscribed. */
	async subscribed(channel, member = () => undefined) {
		const all = await this.crowd();
		for (const [i, c] of all.entries())
			await subscribed(c, channel, member(i));
		return all;
	}

	/** Errors that match may be in the logs. */
	allow(regex = TROUBLE) {
		for (const h of this.hosts)
			h?.allow(regex);
	}

	async stop() {
		try {
			for (const h of this.hosts)
				await h?.stop();
		} finally {
			await this.abandon();
		}
	}

	/** Whatever still runs, ends. */
	async abandon() {
		for (const h of this.hosts)
			if (h && h.status === undefined)
				killed(h);
		if (this.own)
			await this.redis.stop();
	}
}

/** Subscribes; other frames may come in between. */
export async function subscribed(client, channel, member) {
	client.subscribing(channel, member);
	return JSON.parse((await client.skipTo("pusher_internal:subscription_succeeded", channel)).data);
}

/** What pealctl backplane says: { state, up, degraded, hosts: how many, rows:
 * of each, ... all counters of the backplane }. */
export async function backplane(host) {
	const lines = await host.ask({ verb: "backplane" });
	const { counters, ...state } = lines.pop();
	return { ...counters, ...state, up: state.state === "up" || state.state === "degraded",
	    degraded: state.state === "degraded", hosts: lines.filter((l) => l.state === "up").length, rows: lines };
}

/** A counter, when it has at least this value. */
export const counted = (host, name, n) => until(async () => {
	const value = (await backplane(host))[name];
	return value >= n && value;
}, `${name} >= ${n}`);

/** describe() with a fleet that is there when the tests run: f.fleet, f.hosts. */
export function fleet(name, options, define) {
	describe(name, () => {
		const f = {};
		before(async () => {
			f.fleet = await Fleet.start(options);
			f.hosts = f.fleet.hosts;
			f.redis = f.fleet.redis;
		});
		after(async () => { await f.fleet?.stop(); });
		define(f);
	});
}

// ---- harm ---------------------------------------------------------------------

const family = (host) => [host.child.pid, ...host.pids("peald: ")];

function signal(pids, name) {
	for (const pid of pids)
		try {
			process.kill(pid, name);
		} catch { /* it ended meanwhile */ }
}

/** Every process of a host ends at once, none has time for a last word. */
export function killed(host) {
	const pids = family(host);
	signal(pids, "SIGSTOP");
	signal(pids, "SIGKILL");
	return within(host.gone, "a killed host to end");
}

/** Like killed(), and forgotten: a later stop() has nothing to say of it. */
export async function lost(fleet, i) {
	const host = fleet.hosts[i];
	await killed(host);
	host.allow(/./);
	await host.stop({ status: "SIGKILL" });
	delete fleet.hosts[i];
}

/** Nothing of a host runs, nothing is cut.  Gives the way back. */
export function frozen(host) {
	const pids = family(host);
	signal(pids, "SIGSTOP");
	return () => signal(pids.reverse(), "SIGCONT");
}

/** The router of a host dies; gives its pid. */
export async function routerKilled(host) {
	const [pid] = await until(() => {
		const found = host.pids("peald: router");
		return found.length > 0 && found;
	}, "a router");
	process.kill(pid, "SIGKILL");
	return pid;
}

// ---- a stream of events ----------------------------------------------------------

/**
 * Publishes on each host, one event after the other, and listens on each.  In
 * the end it knows, for each pair of hosts, what became of the events that were
 * answered with 200.
 */
export class Stream {
	/** publishers: which hosts publish (all); pause: ms between events. */
	static async start(fleet, { channel = unique("stream"), publishers, pause = 4 } = {}) {
		const s = new Stream();
		s.fleet = fleet;
		s.channel = channel;
		s.hosts = fleet.hosts.filter(Boolean);
		s.publishers = (publishers ?? s.hosts.map((_, i) => i))
		    .map((i) => ({ host: s.hosts[i], i, n: 0, sent: [], answered: new Set(), refused: 0 }));
		s.listeners = [];
		for (const [i, host] of s.hosts.entries()) {
			const client = await host.connect();
			await client.subscribe(channel);
			const l = { client, i, got: [], at: [], marks: new Set() };
			client.socket.on("message", (bytes) => s.#heard(l, bytes.toString()));
			s.listeners.push(l);
		}
		s.running = true;
		s.done = Promise.all(s.publishers.map((p) => s.#publish(p, pause)));
		return s;
	}

	#heard(l, text) {
		const f = JSON.parse(text);
		if (f.event === "n") {
			const { from, n } = JSON.parse(f.data);
			l.got.push([from, n]);
			l.at.push(performance.now());
		} else if (f.event === "mark") {
			l.marks.add(f.data);
		}
		l.woken?.();
		l.client.frames.length = 0;
	}

	async #publish(p, pause) {
		while (this.running) {
			const n = p.n++;
			p.sent[n] = performance.now();
			const { status } = await p.host.call("POST", `/apps/${p.host.app.id}/events`,
			    { name: "n", channel: this.channel, data: JSON.stringify({ from: p.i, n }) })
			    .catch((error) => ({ status: error.message }));
			if (status === 200)
				p.answered.add(n);
			else
				p.refused++;
			await new Promise((resolve) => setTimeout(resolve, pause));
		}
	}

	/** So many more events were published by each. */
	async more(n = 50) {
		const goals = this.publishers.map((p) => p.answered.size + n);
		await until(() => this.publishers.every((p, i) => p.answered.size >= goals[i]), `${n} more events`);
	}

	/** Everybody hears everybody again; how long that took, in ms. */
	async whole(listeners = this.listeners) {
		const begin = performance.now();
		const last = listeners.map(() => new Set());
		const from = listeners.map((l) => l.got.length);
		await until(() => listeners.every((l, i) => {
			for (; from[i] < l.got.length; from[i]++)
				last[i].add(l.got[from[i]][0]);
			return this.publishers.every((p) => last[i].has(p.i));
		}), "everybody hears everybody");
		return performance.now() - begin;
	}

	/** No more is published; all that is under way has arrived. */
	async stop() {
		this.running = false;
		await within(this.done, "the publishers");
		const mark = unique("mark");
		await until(async () => {
			for (const p of this.publishers)
				await p.host.publish(this.channel, "mark", `${mark}-${p.i}`);
			return this.listeners.every((l) => this.publishers.every((p) => l.marks.has(`${mark}-${p.i}`)));
		}, "the marks");
		for (const l of this.listeners)
			l.client.socket.terminate();
		return this.report();
	}

	/** Per publisher and listener: what was answered 200 and never came, what
	 * came twice, what came late; all in numbers of events. */
	report() {
		const pairs = [];
		for (const p of this.publishers)
			for (const l of this.listeners) {
				const got = l.got.filter(([from]) => from === p.i).map(([, n]) => n);
				const seen = new Set(got);
				const delays = l.got.flatMap(([from, n], at) => from === p.i ? [l.at[at] - p.sent[n]] : []);
				pairs.push({
					from: p.i, to: l.i, local: p.i === l.i,
					sent: p.answered.size, refused: p.refused, got: got.length,
					lost: [...p.answered].filter((n) => !seen.has(n)).length,
					doubled: got.length - seen.size,
					disordered: got.filter((n, i) => i > 0 && n < got[i - 1]).length,
					slowest: Math.round(Math.max(0, ...delays)),
				});
			}
		return pairs;
	}
}

/** Of a report: nothing doubled, all in order, nothing lost between these
 * pairs; lost elsewhere is only counted.  Gives one line of words. */
export function sound(report, { lossless = (p) => p.local } = {}) {
	for (const p of report) {
		assert.equal(p.doubled, 0, `doubled ${JSON.stringify(p)}`);
		assert.equal(p.disordered, 0, `out of order ${JSON.stringify(p)}`);
		if (lossless(p))
			assert.equal(p.lost, 0, `lost ${JSON.stringify(p)}`);
	}
	return report.map((p) => `${p.from}->${p.to}: ${p.sent} answered 200, ${p.lost} lost, slowest ${p.slowest} ms`).join("; ");
}
