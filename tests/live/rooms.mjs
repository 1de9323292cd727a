// SPDX-License-Identifier: MIT
//
// Clients of plain rooms for the live tests: a WebSocket that remembers what it
// was sent, octet for octet, and a reader of server-sent events as the HTML
// standard (9.2.6) describes it.
import assert from "node:assert/strict";
import http from "node:http";
import WebSocket from "ws";
import { hmac, within } from "./harness.mjs";

/** A token for a room, as doc/ROOMS says. */
export const token = (secret, room, seconds = 60) => {
	const expires = Math.floor(Date.now() / 1000) + seconds;
	return `${expires}.${hmac(secret, `${room}:${expires}`)}`;
};

/** Equal; a long text is not shown whole if it is not. */
function same(actual, expected) {
	if (typeof actual === "string" && actual !== expected)
		assert.equal(actual.slice(0, 200), String(expected).slice(0, 200));
	assert.ok(typeof expected !== "string" || actual === expected, "differ behind 200 characters");
	if (typeof expected !== "string")
		assert.deepEqual(actual, expected);
}

/** Something that fills up and is waited for. */
class Inbox {
	items = [];

	put(item) {
		this.items.push(item);
		this.wake();
	}

	/** Once: what a probe takes, it takes for itself. */
	wake() {
		const woken = this.woken;
		this.woken = undefined;
		woken?.();
	}

	/** Waits until probe() gives something other than undefined. */
	async wait(probe, what) {
		return within(new Promise((resolve, reject) => {
			const look = () => {
				const value = probe();
				if (value !== undefined)
					resolve(value);
				else if (this.ended)
					reject(new Error(`ended ${JSON.stringify(this.ended)} while waiting for ${what}`));
				else
					this.woken = look;
			};
			look();
		}), () => `${what}; have ${JSON.stringify(this.items).slice(0, 500)}`);
	}

	next(what = "a message") {
		return this.wait(() => this.items.shift(), what);
	}
}

export class Room extends Inbox {
	/** target: path and query; options: address, ws (of the WebSocket). */
	static async open(server, target, { ws = {}, address = server.address, ...more } = {}) {
		const room = new Room();
		room.socket = new WebSocket(`ws://${address}${server.prefix ?? ""}${target}`,
		    { perMessageDeflate: false, ...ws, ...more });
		room.socket.on("message", (data, binary) =>
			room.put(binary ? Buffer.from(data) : data.toString()));
		room.socket.on("ping", () => { room.pinged = (room.pinged ?? 0) + 1; room.wake(); });
		room.end = new Promise((resolve) => room.socket.on("close", (code, reason) => {
			room.ended = { code, reason: reason.toString() };
			room.wake();
			resolve(room.ended);
		}));
		await within(new Promise((resolve, reject) => {
			room.socket.on("open", resolve);
			room.socket.on("error", reject);
		}), `WebSocket ${target}`);
		room.socket.on("error", () => {});
		server.clients?.add(room);
		return room;
	}

	/** Open and in the room: an answer of the API comes when the router has read all
	 * workers, so what is said from now on is heard. */
	static async join(server, target, options) {
		const room = await Room.open(server, target, options);
		await server.get("/connections");
		return room;
	}

	/** The handshake must be refused with this HTTP status; gives the text. */
	static async refused(server, target, status, { ws = {} } = {}) {
		const socket = new WebSocket(`ws://${server.address}${target}`, ws);
		return within(new Promise((resolve, reject) => {
			socket.on("open", () => reject(new Error(`${target} was let in`)));
			socket.on("error", () => {});
			socket.on("unexpected-response", (request, response) => {
				let text = "";
				response.on("data", (part) => { text += part; });
				response.on("end", () => {
					try {
						assert.equal(response.statusCode, status, text);
						resolve(text);
					} catch (error) { reject(error); }
				});
			});
		}), `${target} refused`);
	}

	send(data) {
		this.socket.send(data);
		return this;
	}

	async expect(...messages) {
		for (const message of messages)
			same(await this.next(JSON.stringify(message).slice(0, 100)), message);
	}

	async closed(code, reason) {
		const end = await within(this.end, `close ${code}`);
		assert.equal(end.code, code, end.reason);
		if (reason !== undefined)
			assert.equal(end.reason, reason);
	}

	close() {
		this.socket.close();
		return within(this.end, "close");
	}
}

/** An EventSource that does not reconnect by itself. */
export class Events extends Inbox {
	lastEventId = "";
	comments = 0;

	/** The answer's head is there (and is good, unless status says so). */
	static async open(server, target, { headers = {}, method = "GET", status = 200,
	    address = server.address } = {}) {
		const events = new Events(), at = address.lastIndexOf(":");
		const decoder = new TextDecoder("utf-8", { fatal: true });
		events.response = await within(new Promise((resolve, reject) => {
			events.request = http.request({ method, headers, path: target, agent: false,
			    host: address.slice(0, at), port: address.slice(at + 1) }, resolve);
			events.request.on("error", reject);
			events.request.end();
		}), target);
		events.raw = "";
		events.response.on("data", (part) => {
			const text = decoder.decode(part, { stream: true });
			events.raw += text;
			events.#read(text);
			events.wake();
		});
		const over = () => { events.ended ??= "the stream"; events.wake(); };
		events.response.on("end", over);
		events.response.on("error", over);
		events.response.on("close", over);
		assert.equal(events.response.statusCode, status);
		if (status === 200 && method === "GET")
			assert.equal(events.response.headers["content-type"], "text/event-stream");
		server.clients?.add({ socket: { terminate: () => events.close() } });
		return events;
	}

	/** Open and in the room: the first id is there. */
	static async join(server, target, options) {
		const events = await Events.open(server, target, options);
		await events.wait(() => events.lastEventId || undefined, "the first id");
		return events;
	}

	#rest = "";
	#data = [];
	#event = "";
	#id = "";

	#read(text) {
		const lines = (this.#rest + text).split(/\r\n|\r|\n/);
		this.#rest = lines.pop();
		for (const line of lines)
			this.#line(line);
	}

	#line(line) {
		if (line === "") {
			this.lastEventId = this.#id;
			if (this.#data.length > 0)
				this.put({ data: this.#data.join("\n"), id: this.#id,
				    ...(this.#event ? { event: this.#event } : {}) });
			this.#data = [];
			this.#event = "";
			return;
		}
		const [, field, value] = /^([^:]*):? ?([^]*)$/.exec(line);
		if (field === "")
			this.comments++;
		else if (field === "data")
			this.#data.push(value);
		else if (field === "event")
			this.#event = value;
		else if (field === "id")
			this.#id = value;
		else if (field === "retry")
			this.retry = Number(value);
		else
			throw new Error(`unknown field ${field}`);
	}

	/** The next events have these texts. */
	async expect(...texts) {
		for (const text of texts)
			assert.equal((await this.next(text.slice(0, 100))).data, text);
	}

	close() {
		this.request.destroy();
		return this;
	}

	/** The server ends it. */
	finished() {
		return this.wait(() => (this.ended ? true : undefined), "the end");
	}
}
