// SPDX-License-Identifier: MIT
// Rooms as server-sent events: the stream octet for octet, coming back with
// Last-Event-ID, and who is refused how.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Server, live, unique, until } from "./harness.mjs";
import { Events, Room, token } from "./rooms.mjs";

const SECRET = "0123456789abcdef0123456789abcdef";
const epoch = (id) => id.split("-")[0];
const offset = (id) => Number(id.split("-")[1]);

live("events of rooms", {
	app: { client_events: "all" },
	rooms: { history: "5", sse_retry: "1500ms", binary: "yes" },
	"rooms b": { path: "/b", sse_path: "/sse/deep/", channel: "b-", event: "said" },
	"rooms p": { path: "/p", sse_path: "/p/", channel: "private-r-", event: "client-said" },
}, (s) => {
	const join = (room, options) => Events.join(s.server, `/sse/${room}`, options);
	const open = (room) => Room.join(s.server, `/?room=${room}`);

	test("head and stream, octet for octet", async () => {
		const room = unique("raw"), wire = await s.server.wire(), ws = await open(room);
		wire.write(`GET /sse/${room} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n`);
		const head = (await wire.wait((text) => /^([^]*?\r\n\r\n)retry: 1500\n\nid: (\d+)-0\n\n/.exec(text), "the beginning"));
		assert.match(head[1], /^HTTP\/1\.1 200 OK\r\n/);
		assert.match(head[1], /\r\nContent-Type: text\/event-stream\r\n/);
		assert.match(head[1], /\r\nCache-Control: no-store, no-transform\r\n/);
		assert.match(head[1], /\r\nX-Accel-Buffering: no\r\n/);
		assert.match(head[1], /\r\nConnection: close\r\n/);
		assert.doesNotMatch(head[1], /Content-Length|Transfer-Encoding|Access-Control/i);
		wire.data = Buffer.alloc(0);
		const cases = [["one", "data: one\n"], ["", "data: \n"], ["a\nb", "data: a\ndata: b\n"],
		    ["a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n"], ["\n\r", "data: \ndata: \ndata: \n"],
		    [" x", "data:  x\n"], ["data: 1\n\nid: 5", "data: data: 1\ndata: \ndata: id: 5\n"],
		    ["é\u0000\u2028", "data: é\u0000\u2028\n"]];
		let want = "", n = 0;
		for (const [text, lines] of cases) {
			ws.send(text);
			want += `id: ${head[2]}-${++n}\n${lines}\n`;
		}
		want = Buffer.from(want).toString("latin1");
		await wire.wait((text) => text.length >= want.length, "all events");
		assert.equal(wire.data.toString("latin1"), want);
		wire.close();
	});

	test("HTTP/1.0 and many at once; binary is left out", async () => {
		const room = unique("many"), ws = await open(room), wire = await s.server.wire();
		wire.write(`GET /sse/${room} HTTP/1.0\r\n\r\n`);
		await wire.wait((text) => /\n\nid: /.test(text), "the first id");
		const all = await Promise.all(Array.from({ length: 6 }, () => join(room)));
		ws.send("a").send(Buffer.from([1])).send("b");
		for (const events of all) {
			await events.expect("a", "b");
			assert.equal(events.retry, 1500);
		}
		await wire.wait((text) => text.endsWith("data: b\n\n"), "the last");
		wire.close();
		await until(async () => (await s.server.get(`/channels/room-${room}`,
		    { info: "subscription_count" })).json.subscription_count === 7, "one fewer");
	});

	test("what others say: texts, and events by their names", async () => {
		const room = unique("n"), events = await join(room), channel = `room-${room}`;
		await s.server.publish(channel, "message", "text\nof two lines");
		await s.server.publish(channel, "other", "{\"a\":1}");
		await s.server.publish(channel, "evil\nid: 7\n\ndata: x", "y");
		assert.equal((await events.next()).data, "text\nof two lines");
		const other = await events.next();
		assert.deepEqual([other.event, other.data], ["other", "{\"a\":1}"]);
		const evil = await events.next();
		assert.deepEqual([evil.event, evil.data, offset(evil.id)], ["evil", "y", 3]);
		const b = await Events.join(s.server, "/sse/deep/x");
		await s.server.publish("b-x", "said", "no name");
		await s.server.publish("b-x", "message", "a name");
		assert.equal((await b.next()).event, undefined);
		assert.equal((await b.next()).event, "message");
		const p = await Events.join(s.server, "/p/x"), pusher = await s.server.connect();
		await pusher.subscribe("private-r-x");
		pusher.send({ event: "client-said", channel: "private-r-x", data: "hi" });
		pusher.send({ event: "client-typing", channel: "private-r-x", data: { on: true } });
		assert.equal((await p.next()).event, undefined);
		assert.deepEqual((({ event, data }) => [event, data])(await p.next()),
		    ["client-typing", "{\"on\":true}"]);
	});

	test("names of rooms are decoded", async () => {
		const events = await join("caf%C3%A9%20a%2Fb+c/d"), ws = await open("caf%C3%A9+a/b%2Bc/d");
		ws.send("same");
		await events.expect("same");
		for (const bad of ["", "%zz", "a%0Ab", "%ff", "x".repeat(101)])
			await Events.open(s.server, `/sse/${bad}`, { status: 400 });
	});

	test("Last-Event-ID: what was missed, in order, then what follows", async () => {
		const room = unique("l"), ws = await open(room), first = await join(room);
		ws.send("1").send("2");
		await first.expect("1", "2");
		const id = first.lastEventId;
		first.close();
		for (const text of ["3", "4\n4", ""])
			ws.send(text);
		await ws.expect("1", "2", "3", "4\n4", "");
		const back = await join(room, { headers: { "Last-Event-ID": id } });
		ws.send("5");
		await back.expect("3", "4\n4", "", "5");
		assert.equal(epoch(back.lastEventId), epoch(id));
		assert.equal(offset(back.lastEventId), offset(id) + 4);
		// Up to date: nothing; by the query, too.
		for (const name of ["last_event_id", "lastEventId"]) {
			const again = await Events.join(s.server, `/sse/${room}?${name}=${back.lastEventId}`);
			const text = unique("fresh");
			ws.send(text);
			await again.expect(text);
			await back.expect(text);
			again.close();
		}
	});

	test("also if nobody was there meanwhile, and nothing had been heard", async () => {
		const room = unique("empty"), first = await join(room), id = first.lastEventId;
		assert.equal(offset(id), 0);
		first.close();
		await until(async () => !(await s.server.get(`/channels/room-${room}`)).json.occupied, "it is empty");
		await s.server.publish(`room-${room}`, "message", "into the void");
		const back = await join(room, { headers: { "Last-Event-ID": id } });
		await back.expect("into the void");
	});

	test("more than is kept: the last ones; another epoch, or none: nothing", async () => {
		const room = unique("old"), ws = await open(room), first = await join(room), id = first.lastEventId;
		for (let i = 1; i <= 8; i++)
			ws.send(`${i}`);
		await first.expect("1", "2", "3", "4", "5", "6", "7", "8");
		const back = await join(room, { headers: { "Last-Event-ID": id } });
		await back.expect("4", "5", "6", "7", "8");
		let n = 0;
		for (const other of [`${Number(epoch(id)) + 1}-0`, "0-0", "", "-", "x-1", `${epoch(id)}`, `${epoch(id)}-x`,
		    `${epoch(id)}-99`, "9".repeat(30) + "-1", `${id}, ${id}`]) {
			const events = await join(room, { headers: { "Last-Event-ID": other } });
			ws.send(`only ${++n}`);
			await events.expect(`only ${n}`);
			events.close();
		}
	});

	test("methods and Origin", async () => {
		for (const method of ["HEAD", "POST", "DELETE"]) {
			const events = await Events.open(s.server, "/sse/x", { method, status: 405 });
			assert.equal(events.response.headers.allow, "GET, OPTIONS");
		}
		const asked = await Events.open(s.server, "/sse/x", { method: "OPTIONS",
		    headers: { Origin: "https://a.example", "Access-Control-Request-Headers": "last-event-id" } });
		assert.equal(asked.response.headers["access-control-allow-origin"], "https://a.example");
		assert.match(asked.response.headers["access-control-allow-headers"], /Last-Event-ID/);
		const events = await join("x", { headers: { Origin: "https://a.example" } });
		assert.equal(events.response.headers["access-control-allow-origin"], "https://a.example");
		assert.equal(events.response.headers.vary, "Origin");
	});

	test("a client that goes is gone", async () => {
		const room = unique("gone"), events = await join(room);
		assert.equal((await s.server.get(`/channels/room-${room}`)).json.occupied, true);
		events.close();
		await until(async () => !(await s.server.get(`/channels/room-${room}`)).json.occupied, "it is empty");
		// A half-closed one, too.
		const wire = await s.server.wire({ allowHalfOpen: true });
		wire.write(`GET /sse/${room} HTTP/1.1\r\nHost: x\r\n\r\n`);
		await wire.wait((text) => /\n\nid: /.test(text), "the first id");
		wire.write("what is this?\r\n\r\n");
		wire.socket.end();
		await wire.rest();
		await until(async () => !(await s.server.get(`/channels/room-${room}`)).json.occupied, "it is empty again");
	});

	test("a new router: streams go on, with a new epoch", async () => {
		s.server.allow(/router/);
		const room = unique("crash"), ws = await open(room), events = await join(room);
		ws.send("before");
		await events.expect("before");
		const id = events.lastEventId, [pid] = s.server.pids("peald: router"), at = s.server.log.length;
		process.kill(pid, "SIGKILL");
		await s.server.logged(/router/, at);
		await until(() => s.server.pids("peald: router").some((p) => p !== pid), "another router");
		ws.send("after");
		await events.expect("after");
		assert.notEqual(epoch(events.lastEventId), epoch(id));
		// It keeps history again, for those who are there.
		const now = events.lastEventId;
		events.close();
		ws.send("meanwhile");
		await ws.expect("before", "after", "meanwhile");
		const back = await join(room, { headers: { "Last-Event-ID": now } });
		await back.expect("meanwhile");
		const old = await join(room, { headers: { "Last-Event-ID": id } });
		ws.send("only this");
		await old.expect("only this");
	});
});

live("events of rooms with rules", {
	workers: [2],
	app: { max_connections: 2 },
	rooms: { channel: "private-room-", token_secret: SECRET, allowed_origins: "good.example", sse_keepalive: "1s", history_ttl: "1s" },
}, (s) => {
	const target = (room) => `/sse/${room}?token=${token(SECRET, room)}`;
	/** Whose place is free again. */
	const gone = () => until(async () => (await s.server.get("/connections")).json.connections === 0, "all gone");
	beforeEach(gone);

	test("a token in the query; none is 401, a wrong one 403", async () => {
		await Events.open(s.server, "/sse/7", { status: 401 });
		await Events.open(s.server, "/sse/7?token=x", { status: 403 });
		await Events.open(s.server, `/sse/8?token=${token(SECRET, "7")}`, { status: 403 });
		await Events.open(s.server, `/sse/7?token=${token(SECRET, "7", -1)}`, { status: 403 });
		(await Events.join(s.server, target("7"))).close();
	});

	test("Origin: a good one, or a page of the same site", async () => {
		await Events.open(s.server, target("7"), { status: 403, headers: { Origin: "https://evil.example" } });
		(await Events.join(s.server, target("7"), { headers: { Origin: "https://good.example" } })).close();
	});

	test("a comment when it is silent", async () => {
		const events = await Events.join(s.server, target("quiet"));
		await events.wait(() => events.comments >= 2 || undefined, "two comments");
		assert.match(events.raw, /:\n\n/);
		events.close();
	});

	test("history ends with its time", async () => {
		const events = await Events.join(s.server, target("ttl")), id = events.lastEventId;
		await s.server.publish("private-room-ttl", "message", "old");
		await events.expect("old");
		events.close();
		await gone();
		await until(async () => {
			const text = unique("new");
			const back = await Events.join(s.server, target("ttl"), { headers: { "Last-Event-ID": id } });
			await s.server.publish("private-room-ttl", "message", text);
			const first = await back.next();
			back.close();
			await gone();
			return first.data !== "old";
		}, "what is old is not heard again");
	});

	test("over max_connections it is 429, before the stream", async () => {
		const two = [await Events.join(s.server, target("a")), await Events.join(s.server, target("b"))];
		const over = await Events.open(s.server, target("c"), { status: 429 });
		assert.equal(over.response.headers["retry-after"], "1");
		two[0].close();
		await until(async () => {
			const again = await Events.open(s.server, target("c")).catch(() => null);
			return again !== null;
		}, "room for one more");
	});
});

test("stop: streams end", async () => {
	const server = await Server.start({ rooms: {}, peal: { drain_timeout: "1s" } });
	const events = await Events.join(server, "/sse/1");
	server.clients.clear();
	server.child.kill("SIGTERM");
	await events.finished();
	await server.stop();
});

test("a slow reader is cut off", async () => {
	const server = await Server.start({ rooms: { max_message_size: "64k" }, websocket: { max_backlog: "65536" } });
	try {
		const events = await Events.join(server, "/sse/1"), ws = await Room.join(server, "/?room=1");
		const text = "x".repeat(60000);
		events.response.pause();
		await until(async () => {
			ws.send(text);
			await ws.expect(text);
			return /"slow_readers":[1-9]/.test(JSON.stringify(await server.ctl("status")));
		}, "a slow reader");
		events.response.resume();
		await events.finished();
	} finally {
		await server.stop();
	}
});

test("more was missed than may wait for a client: in several streams, nothing is left out", async () => {
	const server = await Server.start({ rooms: { history: "100" }, websocket: { max_backlog: "65536" } });
	try {
		const ws = await Room.join(server, "/?room=1"), first = await Events.join(server, "/sse/1");
		const texts = Array.from({ length: 100 }, (_, i) => `${i} ${"x".repeat(9000)}`);
		let id = first.lastEventId, streams = 0;
		first.close();
		for (const text of texts) {
			ws.send(text);
			await ws.expect(text);
		}
		ws.send("the end");
		await ws.expect("the end");
		texts.push("the end");
		texts.shift();		// 100 are kept
		while (texts.length > 0) {
			const events = await Events.open(server, "/sse/1", { headers: { "Last-Event-ID": id } });
			streams++;
			await events.wait(() => events.ended || events.items.at(-1)?.data === "the end" || undefined, "its end");
			assert.ok(events.items.length > 0, "a stream with nothing");
			assert.deepEqual(events.items.map((e) => e.data.slice(0, 4)),
			    texts.splice(0, events.items.length).map((text) => text.slice(0, 4)));
			id = events.lastEventId;
			events.close();
		}
		assert.ok(streams > 1);
		assert.equal((await server.ctl("status")).totals.slow_readers, 0);
	} finally {
		await server.stop();
	}
});
