// SPDX-License-Identifier: MIT
// Rooms over several hosts; and with wire = raw in one Redis with servers of
// another kind: a small Node chat as there are many, without a trace of Peal.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WebSocketServer } from "ws";
import { unique, until } from "./harness.mjs";
import { Fleet, TROUBLE } from "./hosts.mjs";
import { Redis } from "./redis.mjs";
import { Events, Room } from "./rooms.mjs";

const epoch = (id) => id.split("-")[0];

/** A handshake is answered before the broker has answered: who hears itself is
 * in the room.  Then nothing is on its way any more. */
async function ready(all) {
	const heard = (one, mark) => one.wait(() => one.items.includes(mark) || undefined, mark);
	for (const one of all) {
		const mark = unique("ready");
		one.send(mark);
		await heard(one, mark);
	}
	const last = unique("all ready");
	all[0].send(last);
	for (const one of all) {
		await heard(one, last);
		one.items.splice(0, one.items.indexOf(last) + 1);
	}
}

/** They say fifty texts in turns; all hear each of them once, in one order.
 * Gives the texts. */
async function oneOrder(all) {
	for (let i = 0; i < 50; i++)
		all[i % all.length].send(`${i}`);
	const heard = [];
	for (const one of all) {
		const texts = [];
		for (let i = 0; i < 50; i++)
			texts.push(await one.next());
		heard.push(texts);
	}
	for (const texts of heard)
		assert.deepEqual(texts, heard[0]);
	assert.equal(new Set(heard[0]).size, 50);
	return heard[0];
}

describe("rooms over hosts", () => {
	let fleet, a, b;

	before(async () => {
		fleet = await Fleet.start({ hosts: 2, workers: [2, 1], app: { client_events: "all" },
		    rooms: { binary: "yes" } });
		[a, b] = fleet.hosts;
	});
	after(() => fleet?.stop());

	test("texts and octets go to all, in one order for all", async () => {
		const room = unique(), all = await Promise.all([a, a, b, b, b].map((host) =>
			Room.open(host, `/?room=${room}`)));
		await ready(all);
		const events = await Events.join(b, `/sse/${room}`);
		const texts = await oneOrder(all);
		await events.expect(...texts);
		all[0].send(Buffer.from([0, 1, 255])).send("");
		for (const one of all)
			await one.expect(Buffer.from([0, 1, 255]), "");
		await events.expect("");
		const pusher = await b.connect();
		await pusher.subscribe(`room-${room}`);
		all[0].send("\"hi\"");
		await pusher.expectFrame({ event: "message", channel: `room-${room}`, data: "\"hi\"" });
		await a.publish(`room-${room}`, "message", "from the API");
		for (const one of all)
			await one.expect("\"hi\"", "from the API");
	});

	test("Last-Event-ID: what came from the other host while nobody was here", async () => {
		const room = unique("l"), ws = await Room.open(a, `/?room=${room}`);
		const first = await Events.join(b, `/sse/${room}`);
		ws.send("1");
		await first.expect("1");
		const id = first.lastEventId;
		first.close();
		await until(async () => (await a.get(`/channels/room-${room}`,
		    { info: "subscription_count" })).json.subscription_count === 1, "it has left");
		ws.send("2").send("3");
		await ws.expect("1", "2", "3");
		const back = await Events.join(b, `/sse/${room}`, { headers: { "Last-Event-ID": id } });
		await back.expect("2", "3");
		// The other host has positions of its own.
		const other = await Events.join(a, `/sse/${room}`, { headers: { "Last-Event-ID": id } });
		ws.send("4");
		await other.expect("4");
		await back.expect("4");
		assert.notEqual(epoch(other.lastEventId), epoch(id));
	});
});

/** A chat server of Node, ws and Redis: whatever is said in a room is published
 * to chat:ID as it is, and what comes from there goes to all of the room. */
class Chat {
	rooms = new Map();

	static async start(redis) {
		const chat = new Chat();
		chat.publisher = await redis.open();
		chat.subscriber = await redis.open();
		const { messages } = chat.subscriber;
		messages.push = (...found) => {		// as they come
			for (const [, channel, text] of found)
				for (const socket of chat.rooms.get(channel.slice(5)) ?? [])
					socket.send(text, { binary: false });
			return 0;
		};
		await chat.subscriber.command("PSUBSCRIBE", "chat:*");
		chat.server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
		chat.server.on("connection", (socket, request) => {
			const room = new URL(request.url, "http://x").searchParams.get("room");
			const others = chat.rooms.get(room) ?? new Set();
			chat.rooms.set(room, others.add(socket));
			socket.on("close", () => others.delete(socket));
			socket.on("message", (text) => { chat.publisher.command("PUBLISH", `chat:${room}`, text); });
		});
		await new Promise((resolve) => chat.server.on("listening", resolve));
		chat.address = `127.0.0.1:${chat.server.address().port}`;
		return chat;
	}

	stop() {
		for (const socket of this.server.clients)
			socket.terminate();
		this.server.close();
		this.publisher.close();
		this.subscriber.close();
	}
}

describe("rooms in one Redis with other servers", () => {
	let redis, fleet, chat, a, b;

	before(async () => {
		redis = await Redis.start();
		fleet = await Fleet.start({ hosts: 2, redis, app: { client_events: "all" },
		    rooms: { wire: "raw", max_message_size: "100k" },
		    "rooms own": { path: "/own", sse_path: "", channel: "own-" } });
		[a, b] = fleet.hosts;
		chat = await Chat.start(redis);
	});
	after(async () => {
		chat?.stop();
		await fleet?.stop();
		await redis?.stop();
	});

	const everywhere = (room) => Promise.all([a, a, b, chat, chat].map((host) =>
		Room.open(host, `/?room=${room}`)));
	test("everybody hears everybody, the sender too, once, in one order", async () => {
		const room = unique("c"), all = await everywhere(room);
		await ready(all);
		await oneOrder(all);
		all[0].send("last");
		for (const one of all)
			await one.expect("last");
	});

	test("if all say the same, all hear it as often as it was said", async () => {
		const room = unique("s"), all = await everywhere(room);
		await ready(all);
		for (let i = 0; i < 50; i++)
			all[i % 5].send("the same");
		for (const one of all)
			await one.expect(...Array.from({ length: 50 }, () => "the same"));
		all[4].send("last");
		for (const one of all)
			await one.expect("last");
	});

	test("names and texts as they are", async () => {
		const spy = await redis.open();
		await spy.command("PSUBSCRIBE", "chat:*");
		for (const name of ["a b", "café", "*", "[x]?", "a:b/c", "\\"]) {
			const room = encodeURIComponent(name), all = await everywhere(room);
			await ready(all);
			const texts = ["", "x\r\ny\u0000", "😀", "{\"a\":1 }", "y".repeat(50000)];
			for (const text of texts)
				all[2].send(text);
			for (const one of all)
				await one.expect(...texts);
			const wire = spy.messages.filter(([, channel]) => channel === `chat:${name}`).slice(-5);
			assert.deepEqual(wire.map(([, , text]) => text.toString()), texts);
			for (const one of all)
				await one.close();
		}
		spy.close();
	});

	test("API, Pusher clients and streams of events are in it too", async () => {
		const room = unique("p"), all = await everywhere(room), channel = `room-${room}`;
		await ready(all);
		const pusher = await b.connect(), events = await Events.join(a, `/sse/${room}`);
		await pusher.subscribe(channel);
		all[3].send("from Node");
		await pusher.expectFrame({ event: "message", channel, data: "from Node" });
		await events.expect("from Node");
		await a.publish(channel, "anything", "from the API");
		await pusher.expectFrame({ event: "message", channel, data: "from the API" });
		await events.expect("from the API");
		for (const one of all)
			await one.expect("from Node", "from the API");
	});

	test("what is no text is dropped; rooms of the other kind are not touched", async () => {
		a.allow(TROUBLE);
		b.allow(TROUBLE);
		const room = unique("g"), all = await everywhere(room);
		await ready(all);
		await redis.command("PUBLISH", `chat:${room}`, Buffer.from([0xff, 0xfe]));
		await redis.command("PUBLISH", `chat:${room}`, "good");
		for (const one of all.slice(0, 3))
			await one.expect("good");
		const own = [await Room.open(a, `/own?room=${room}`), await Room.open(b, `/own?room=${room}`)];
		await ready(own);
		own[0].send("in an envelope");
		for (const one of own)
			await one.expect("in an envelope");
	});

	test("Redis away: local clients go on; when it is back, all do", async () => {
		a.allow(TROUBLE);
		b.allow(TROUBLE);
		const room = unique("r"), all = await everywhere(room);
		await ready(all);
		await redis.kill();
		all[0].send("alone");
		await all[0].expect("alone");
		await all[1].expect("alone");
		await redis.again();
		await fleet.joined();
		// The Node servers of this test do not reconnect; the other host does.
		const mark = unique("mark");
		await until(async () => {
			all[2].send(mark);
			await all[2].next();
			return all[0].items.includes(mark);
		}, "they hear each other again");
		assert.equal(all[0].items.filter((text) => text === "alone").length, 0, "said twice");
	});
});
