// SPDX-License-Identifier: MIT
// Plain rooms over WebSocket, by npm's ws: texts as they are, to all, whoever
// else speaks there; and who is refused how.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, frame, live, unique, until } from "./harness.mjs";
import { Room, token } from "./rooms.mjs";

const SECRET = "0123456789abcdef0123456789abcdef";

live("rooms", {
	app: { client_events: "all", subscription_count: "yes" },
	rooms: { default_room: "lobby" },
	"rooms private": { path: "/p", sse_path: "/p-sse/", channel: "private-room-", event: "client-said" },
	"rooms binary": { path: "/b", sse_path: "", channel: "bin-", binary: "yes" },
}, (s) => {
	const open = (target, options) => Room.join(s.server, target, options);

	test("a text goes to all, the sender too, byte for byte and in order", async () => {
		const room = unique(), all = await Promise.all(Array.from({ length: 8 },
		    () => open(`/?room=${room}`)));
		const other = await open(`/?room=${room}x`);
		const texts = ["hello", "", "{\"a\": 1 }", "a\r\nb\u0000c", "é😀\u2028", " ", "x".repeat(9000)];
		for (const text of texts)
			all[3].send(text);
		for (const one of all)
			await one.expect(...texts);
		other.send("mine");
		await other.expect("mine");
	});

	test("the first message comes back however early it is sent", async () => {
		for (let i = 0; i < 20; i++) {
			const room = await open(`/?room=${unique("early")}`);
			room.send("first").send("second");
			await room.expect("first", "second");
			await room.close();
		}
	});

	test("names: decoded, a plus is a blank, the last one counts; none is the default", async () => {
		const pairs = [["/?room=caf%C3%A9+au%20lait", "/?x=1&room=a&room=caf%c3%a9%20au+lait"],
		    ["/", "/?room=lobby"], ["/?room=", "/?x=y"], ["/?room=a%2Fb%3F", "/?r%6Fom=a/b?"]];
		for (const [one, two] of pairs) {
			const [a, b] = [await open(one), await open(two)];
			const text = unique("text");
			a.send(text);
			await b.expect(text);
			await a.close();
			await b.close();
		}
	});

	test("bad names are 400 before the upgrade", async () => {
		for (const query of ["?room=a%0Ab", "?room=%7f", "?room=%ff", "?room=%zz", "?room=%00",
		    "?room=" + "x".repeat(101)])
			await Room.refused(s.server, `/${query}`, 400);
		await Room.refused(s.server, "/nowhere?room=1", 404);
	});

	test("plain requests for / are not its business", async () => {
		assert.equal((await s.server.request("GET", "/?room=7")).status, 404);
		assert.equal((await s.server.request("GET", "/up")).status, 200);
		assert.equal((await s.server.request("GET", "/", "", { headers: { Upgrade: "h2c" } })).status, 404);
		const pusher = await s.server.connect();
		await pusher.ping();
	});

	test("subprotocols: the first one offered, as ws takes it", async () => {
		const heads = [[undefined, undefined], ["chat", "chat"], ["a , b", "a"], ["a b, c", undefined],
		    [",c", undefined]];
		for (const [offered, taken] of heads) {
			const w = await s.server.wire();
			w.write("GET /?room=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
			    (offered ? `Sec-WebSocket-Protocol: ${offered}\r\n` : "") + "\r\n");
			const { status, head } = await w.answer();
			assert.equal(status, 101);
			assert.equal(head.match(/^Sec-WebSocket-Protocol: (.*?)\r?$/im)?.[1], taken);
			w.close();
		}
	});

	test("binary: refused with 1003, or passed on as it is", async () => {
		const a = await open("/?room=x");
		a.send(Buffer.from([1, 2]));
		await a.closed(1003);
		const [b, c] = [await open("/b?room=x"), await open("/b?room=x")];
		b.send(Buffer.from([0, 255, 10])).send("text").send(Buffer.alloc(0));
		for (const one of [b, c])
			await one.expect(Buffer.from([0, 255, 10]), "text", Buffer.alloc(0));
	});

	test("compression makes no difference", async () => {
		const room = unique(), ws = { perMessageDeflate: { threshold: 0 } };
		const [a, b] = [await open(`/?room=${room}`, { ws }), await open(`/?room=${room}`)];
		const text = "compress me ".repeat(500);
		assert.match(a.socket.extensions, /permessage-deflate/);
		a.send(text);
		await a.expect(text);
		await b.expect(text);
		b.send("small").send(text);
		await a.expect("small", text);
	});

	test("Pusher clients hear a room's texts as JSON strings", async () => {
		const room = unique("p"), channel = `room-${room}`;
		const [a, pusher] = [await open(`/?room=${room}`), await s.server.connect()];
		await pusher.subscribe(channel);
		await pusher.skipTo("pusher_internal:subscription_count");
		a.send("say \"hi\"\n\u0001");
		await pusher.expectFrame({ event: "message", channel, data: "say \"hi\"\n\u0001" });
		a.send("");
		await pusher.expectFrame({ event: "message", channel, data: "" });
		// Nothing of Pusher's own gets into the room.
		await pusher.unsubscribe(channel);
		a.send("after");
		await a.expect("say \"hi\"\n\u0001", "", "after");
	});

	test("binary is not for Pusher clients", async () => {
		const [a, pusher] = [await open("/b?room=y"), await s.server.connect()];
		await pusher.subscribe("bin-y");
		await pusher.skipTo("pusher_internal:subscription_count");
		a.send(Buffer.from([1])).send("text");
		await pusher.expectFrame({ event: "message", channel: "bin-y", data: "text" });
	});

	test("the API speaks to a room, by any event", async () => {
		const room = unique("a"), a = await open(`/?room=${room}`), channel = `room-${room}`;
		await s.server.publish(channel, "message", "plain \u00e9\n");
		await s.server.publish(channel, "other", "{\"json\": 1 }");
		await a.expect("plain \u00e9\n", "{\"json\": 1 }");
	});

	test("and counts it: channels, users of connections", async () => {
		const room = unique("c"), a = await open(`/?room=${room}`), b = await open(`/?room=${room}`);
		a.send("x");
		await b.expect("x");
		const info = await s.server.get(`/channels/room-${room}`, { info: "subscription_count" });
		assert.deepEqual(info.json, { occupied: true, subscription_count: 2 });
		const before = (await s.server.get("/connections")).json.connections;
		await a.close();
		await b.close();
		await until(async () => (await s.server.get("/connections")).json.connections <= before - 2,
		    "two connections fewer");
		assert.equal((await s.server.get(`/channels/room-${room}`)).json.occupied, false);
	});

	test("client events of Pusher clients reach a private room, and back", async () => {
		const room = unique("e"), channel = `private-room-${room}`;
		const [a, one, two] = [await open(`/p?room=${room}`), await s.server.connect(), await s.server.connect()];
		await one.subscribe(channel);
		await two.subscribe(channel);
		one.send({ event: "client-said", channel, data: "typed" });
		one.send(`{"event":"client-other","channel":"${channel}","data":{ "x": 1.0 }}`);
		await a.expect("typed", "{ \"x\": 1.0 }");
		a.send("answer");
		const heard = await one.skipTo("client-said", channel);
		assert.equal(heard.data, "answer");
	});

	test("too large is 1009; a broken frame 1002; bad UTF-8 1007", async () => {
		const a = await open("/?room=big");
		a.send("x".repeat(10001));
		await a.closed(1009);
		const wire = await s.server.wire();
		await wire.upgrade(s.server, "", "/?room=big");
		wire.write(frame(1, "x", { mask: false }));
		assert.equal((await wire.closeFrame()).code, 1002);
		const text = await s.server.wire();
		await text.upgrade(s.server, "", "/?room=big");
		text.write(frame(1, Buffer.from([0xff])));
		assert.equal((await text.closeFrame()).code, 1007);
	});

	test("a handshake with another version is 426", async () => {
		const wire = await s.server.wire();
		wire.write("GET /?room=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n");
		assert.equal((await wire.answer()).status, 426);
	});
});

live("rooms with rules", {
	workers: [2],
	http: { path: "/ws" },
	app: { max_connections: 3 },
	rooms: { path: "/t", sse_path: "", channel: "private-t-", token_secret: SECRET, token_timeout: "4s" },
	"rooms read": { path: "/r", sse_path: "", publish: "no", allowed_origins: "good.example" },
	"rooms rate": { path: "/rate", sse_path: "", message_rate: "3", max_message_size: "100",
	    ping_interval: "1s", max_room_name: "5" },
}, (s) => {
	const open = (target, options) => Room.join(s.server, target, options);
	const refused = (target, status, options) => Room.refused(s.server, `/ws${target}`, status, options);

	test("a token opens its own room until it expires", async () => {
		const good = token(SECRET, "7"), a = await open(`/t?room=7&token=${good}`);
		a.send("hi");
		await a.expect("hi");
		await a.close();
		for (const wrong of [token(SECRET, "8"), token(SECRET, "7", -1), token(SECRET.replace("0", "1"), "7"),
		    good.slice(0, -1), good + "0", "x", ".", `${good}&room=8`, "%zz"])
			await refused(`/t?room=7&token=${wrong}`, 403);
		assert.ok(!s.server.log.includes(good.split(".")[1]), "a token in the log");
	});

	test("or as the first message, which nobody hears", async () => {
		const a = await open(`/t?room=9&token=${token(SECRET, "9")}`), b = await open("/t?room=9");
		b.send(token(SECRET, "9")).send("after it");
		await a.expect("after it");
		await b.expect("after it");
		const c = await open("/t?room=9");
		c.send("no token");
		await c.closed(1008, "Token refused");
		const d = await open("/t?room=9");
		await d.closed(1008, "No token in time");
		await a.close();
		await b.close();
	});

	test("Origin as the section says", async () => {
		await refused("/r?room=1", 403);
		await refused("/r?room=1", 403, { ws: { origin: "https://evil.example" } });
		const a = await open("/r?room=1", { ws: { origin: "https://good.example" } });
		await until(async () => (await s.server.get("/channels/room-1")).json.occupied, "in the room");
		await s.server.publish("room-1", "message", "listen");
		await a.expect("listen");
		a.send("talk");
		await a.closed(1008, "Publishing is not allowed here");
	});

	test("over the rate, over the size, over the name", async () => {
		const a = await open("/rate?room=a");
		for (let i = 0; i < 9; i++)
			a.send("x");
		await a.closed(1008, "Rate limit exceeded");
		const b = await open("/rate?room=a");
		b.send("x".repeat(101));
		await b.closed(1009);
		await refused("/rate?room=abcdef", 400);
	});

	test("silent clients are pinged, and closed if they do not answer", async () => {
		const a = await open("/rate?room=a"), b = await open("/rate?room=a", { ws: { autoPong: false } });
		await b.closed(1008, "Pong reply not received in time");
		assert.ok(b.pinged === 1 && a.pinged >= 1);
		a.send("alive");
		await a.expect("alive");
		await a.close();
	});

	test("max_connections counts rooms too", async () => {
		await until(async () => (await s.server.get("/connections")).json.connections === 0, "all gone");
		const three = [await open("/rate?room=1"), await open("/rate?room=1"), await open("/rate?room=1")];
		for (const one of three) {
			one.send("in");
			await one.next();
		}
		const over = await open("/rate?room=1");
		await over.closed(1013, "Application is over connection quota");
		await three[0].close();
		await until(async () => {
			const again = await open("/rate?room=1");
			again.send("in again");
			return again.next().then(() => true, () => false);
		}, "room for one more");
	});
});

live("rooms of slow readers", {
	workers: [1],
	websocket: { max_backlog: "65536" },
	rooms: { max_message_size: "64k" },
}, (s) => {
	test("one that does not read is cut off, the others hear all", async () => {
		const [talker, good] = [await Room.join(s.server, "/?room=1"), await Room.join(s.server, "/?room=1")];
		const bad = await Room.join(s.server, "/?room=1");
		bad.socket.pause();
		const text = "x".repeat(60000);
		let n = 0;
		await until(async () => {
			talker.send(text);
			n++;
			await talker.expect(text);
			await good.expect(text);
			return (await s.server.ctl("status")).counters?.slow_readers > 0 ||
			    JSON.stringify(await s.server.ctl("status")).match(/"slow_readers":[1-9]/);
		}, "a slow reader");
		assert.ok(n > 1);
		bad.socket.resume();
		await bad.closed(1006);
	});
});

test("who is told that it is open is in the room: nothing comes while the router stands still", async () => {
	const server = await Server.start({ workers: 1, rooms: {}, peal: { watchdog: "10m" } });
	const [router] = server.pids("peald: router");
	process.kill(router, "SIGSTOP");
	try {
		const socket = await server.wire(), stream = await server.wire();
		socket.write("GET /?room=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
		stream.write("GET /sse/1 HTTP/1.1\r\nHost: x\r\n\r\n");
		// The same worker has seen to others since.
		for (let i = 0; i < 10; i++)
			assert.equal((await server.request("GET", "/up")).status, 200);
		assert.deepEqual([socket.data.length, stream.data.length], [0, 0]);
		process.kill(router, "SIGCONT");
		assert.equal((await socket.answer()).status, 101);
		await until(() => /^HTTP\/1.1 200 [^]*\n\r\n(retry: \d+\n\n)?id: \d+-\d+\n\n$/.test(stream.data.toString()),
		    () => `a stream: ${stream.data}`);
	} finally {
		process.kill(router, "SIGCONT");
		await server.stop();
	}
});

test("settings: a section that goes takes its clients along, others stay", async () => {
	const server = await Server.start({ rooms: {}, "rooms b": { path: "/b", sse_path: "", channel: "b-" } });
	try {
		const fs = await import("node:fs");
		const [a, b] = [await Room.join(server, "/?room=1"), await Room.join(server, "/b?room=1")];
		const text = fs.readFileSync(server.ini, "utf8");
		fs.writeFileSync(server.ini, text.replace("channel = b-", "channel = c-\nmax_message_size = 5"));
		await server.ctl("reload");
		await b.closed(1008, "Room closed");
		const c = await Room.join(server, "/b?room=1");
		c.send("12345");
		await c.expect("12345");
		c.send("123456");
		await c.closed(1009);
		a.send("still");
		await a.expect("still");
	} finally {
		await server.stop();
	}
});

test("stop: clients are told to come again (1012)", async () => {
	const server = await Server.start({ rooms: {} });
	const a = await Room.join(server, "/?room=1");
	server.clients.clear();
	server.child.kill("SIGTERM");
	await a.closed(1012, "Server is restarting");
	await server.stop();
});
