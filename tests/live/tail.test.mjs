// SPDX-License-Identifier: MIT
// Tails of events by the control socket: what they show, that nothing waits for
// them, and how they end.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import { describe, test } from "node:test";
import { Server, live, patience, unique, until, within } from "./harness.mjs";

/** A tail that remembers its lines, without their times. */
class Tail {
	static running = new Map();	// by server: so many
	lines = [];

	/** Tails of the server, as it counts them itself, each second. */
	static async #counted(server, change, lines = []) {
		const wanted = () => Tail.running.get(server) ?? 0;
		Tail.running.set(server, wanted() + change);
		await until(async () => (await server.ctl("status")).totals.tails === wanted(), () =>
		    `${wanted()} tails; have ${JSON.stringify(lines)}`);
	}

	/** It runs when this is back. */
	static async open(server, question = {}) {
		const tail = new Tail();
		tail.server = server;
		// A router that has not heard all workers yet refuses.
		await until(async () => (await server.ask({ verb: "connections" })).at(-1).ok, "the router");
		tail.socket = net.connect(server.control);
		tail.socket.setEncoding("utf8");
		let rest = "";
		tail.socket.on("data", (part) => {
			const texts = (rest + part).split("\n");
			rest = texts.pop();
			for (const { time, ...line } of texts.map((text) => JSON.parse(text))) {
				assert.ok(time === undefined ? "dropped" in line || "ok" in line : time > 1e12);
				tail.lines.push(line);
			}
			tail.woken?.();
		});
		tail.ended = new Promise((resolve) => tail.socket.on("close", resolve));
		tail.socket.on("error", () => {});
		tail.socket.write(`${JSON.stringify({ verb: "tail", ...question })}\n`);
		await Tail.#counted(server, 1, tail.lines);
		return tail;
	}

	/** The lines, when enough(lines) is true. */
	async until(enough, what) {
		await within(new Promise((resolve) => {
			this.woken = () => enough(this.lines) && resolve();
			this.woken();
		}), () => `${what}; have ${JSON.stringify(this.lines).slice(0, 2000)}`, 60000 * patience);
		this.woken = undefined;
		return this.lines;
	}

	/** Exactly these, in this order. */
	async expect(...lines) {
		await this.until((have) => have.length >= lines.length, `${lines.length} lines`);
		assert.deepEqual(this.lines.splice(0, lines.length), lines);
	}

	/** Seen and left out, all in all. */
	get count() {
		return this.lines.reduce((sum, line) => sum + (line.dropped ?? 1), 0);
	}

	async close() {
		this.socket.destroy();
		await Tail.#counted(this.server, -1);
	}
}

const published = (channel, event, data) => ({ app: "1001", kind: "published", channel, event, data });

// A server tells once a second how many tails it has, so most of the time they wait.
describe("tails", { concurrency: 3 }, () => {
	live("tail", { parallel: false, app: { client_events: "all" } }, (s) => {
		test("messages, client events, channels and members, each once, in their order", async () => {
			const room = unique("presence-room"), tail = await Tail.open(s.server, { channel: room });
			const [a, b] = await s.server.crowd(2);
			for (const c of [a, b]) {
				c.subscribing(room, { user_id: "u1", user_info: { name: "é" } });
				await c.skipTo("pusher_internal:subscription_succeeded");
			}
			await s.server.publish(room, "hello", { a: 1 });
			await a.skipTo("hello");
			a.send({ event: "client-e", channel: room, data: { b: [2] } });
			await b.skipTo("client-e");
			await s.server.publish(room, "bye", "text");
			await a.kill();
			await b.kill();
			const member = { app: "1001", channel: room, user: "u1" };
			const lines = [...await tail.until((have) => have.length >= 7, "all of it")];
			assert.deepEqual(lines.splice(0, 2).map((line) => line.kind).sort(), ["member_added", "occupied"]);
			assert.deepEqual(lines.slice(0, 3), [published(room, "hello", '{"a":1}'),
			    { app: "1001", kind: "client_event", channel: room, event: "client-e", data: '{"b":[2]}', user: "u1", socket_id: a.id },
			    published(room, "bye", "text")]);
			assert.deepEqual(lines.slice(3).map((line) => line.kind).sort(), ["member_removed", "vacated"]);
			for (const line of tail.lines.filter(({ kind }) => kind.startsWith("member_")))
				assert.deepEqual(line, { ...member, kind: line.kind, data: line.data });
			await tail.close();
		});

		test("several at once, each with what it asked for", async () => {
			const name = unique("news");
			const [one, all, states] = await Promise.all([{ channel: name, data: 4 },
			    { channel: `${name}*`, kinds: ["published"] }, { channel: `${name}*`, kinds: ["occupied", "vacated"] },
			].map((question) => Tail.open(s.server, question)));
			const c = await s.server.connect();
			await c.subscribe(`${name}-b`);
			await s.server.publish(name, "e", "12345");
			await s.server.publish(`${name}-b`, "e", "☃☃");
			await c.kill();
			await one.expect({ ...published(name, "e", "1234"), length: 7 });
			await all.expect(published(name, "e", "12345"), published(`${name}-b`, "e", "☃☃"));
			await states.expect({ app: "1001", kind: "occupied", channel: `${name}-b` },
			    { app: "1001", kind: "vacated", channel: `${name}-b` });
			assert.deepEqual([one, all, states].map((tail) => tail.lines), [[], [], []]);
			await Promise.all([one, all, states].map((tail) => tail.close()));
		});

		test("one that reads nothing holds up nobody, and learns what it has missed", async () => {
			const channel = unique("busy"), crowd = await s.server.crowd(6);
			for (const c of crowd)
				await c.subscribe(channel);
			const [tail, fast] = await Promise.all([65536, 0].map((data) =>
			    Tail.open(s.server, { channel, kinds: ["published"], data })));
			tail.socket.pause();
			const data = "x".repeat(9000), all = 500;
			for (let i = 0; i < all; i++)
				await s.server.publish(channel, `e${i}`, data);
			for (const c of crowd)
				for (let i = 0; i < all; i++)
					await c.expect(`e${i}`, channel, data);
			await fast.until(() => fast.count >= all, "the one that reads");
			assert.equal(fast.count, all);
			// It hears the number when it reads again, at the latest with the next event.
			tail.socket.resume();
			await tail.until((lines) => lines.some((line) => line.dropped), "what was left out");
			await tail.until(() => tail.count >= all, "all of it");
			assert.equal(tail.count, all);
			const dropped = tail.lines.reduce((sum, line) => sum + (line.dropped ?? 0), 0);
			assert.ok(dropped > 0 && dropped < all, `${dropped}`);
			const seen = tail.lines.filter((line) => line.event).map((line) => Number(line.event.slice(1)));
			assert.deepEqual(seen, [...seen].sort((x, y) => x - y));
			await s.server.publish(channel, "last", "x");
			await tail.until((lines) => lines.at(-1).event === "last", "the next event");
			await Promise.all([tail.close(), fast.close()]);
			assert.ok((await s.server.ctl("status")).totals.tails_dropped >= dropped);
		});

		test("sixteen, and no more; who goes makes room", async () => {
			const tails = await Promise.all(Array.from({ length: 16 }, () => Tail.open(s.server)));
			assert.deepEqual(await s.server.ask({ verb: "tail" }), [{ ok: false, error: "there are too many tails" }]);
			await tails.pop().close();
			tails.push(await Tail.open(s.server));
			await Promise.all(tails.map((tail) => tail.close()));
		});

		test("an unknown kind is refused, and which there are is said", async () => {
			assert.deepEqual(await s.server.ask({ verb: "tail", kinds: ["published", "nothing"] }),
			    [{ ok: false, error: "there is no such kind of event; there are published, client_event, occupied, " +
			    "vacated, member_added, member_removed, opened, closed" }]);
		});
	});

	test("a reload ends tails with a line that says so, and new ones run", async () => {
		const server = await Server.start({ workers: 2, router: { publish_window: "16m" } });
		try {
			const c = await server.connect(), tail = await Tail.open(server, { channel: "news" });
			await c.subscribe("news");
			fs.writeFileSync(server.ini, fs.readFileSync(server.ini, "utf8").replace("= 16m", "= 17m"));
			const routers = server.pids("peald: router");
			await server.ctl("reload");
			await within(tail.ended, "the end of the tail");
			assert.deepEqual(tail.lines, [{ app: "1001", kind: "occupied", channel: "news" },
			    { ok: false, error: "the router was replaced: ask again", again: true }]);
			await until(() => server.pids("peald: router").every((pid) => !routers.includes(pid)), "the old router to leave");
			Tail.running.set(server, 0);
			const next = await Tail.open(server, { channel: "news" });
			await server.publish("news", "e", "x");
			await next.expect(published("news", "e", "x"));
			await next.close();
			await c.expect("e", "news");
		} finally {
			await server.stop();
		}
	});
});
