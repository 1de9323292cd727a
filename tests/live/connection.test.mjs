// SPDX-License-Identifier: MIT
// Coming, staying alive, going: protocol 7, sections 1.1 and 1.2.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Server, decoded, frame, live, until, within } from "./harness.mjs";

live("connection", {}, (s) => {
	test("greeting: one frame, exact shape", async () => {
		const c = await s.server.open();
		const hello = await c.next();
		assert.deepEqual(Object.keys(hello), ["event", "data"]);
		assert.equal(hello.event, "pusher:connection_established");
		assert.equal(typeof hello.data, "string");
		const data = JSON.parse(hello.data);
		assert.deepEqual(Object.keys(data), ["socket_id", "activity_timeout"]);
		assert.equal(data.activity_timeout, 30);
		const [a, b] = data.socket_id.split(".").map(Number);
		assert.match(data.socket_id, /^\d+\.\d+$/);
		for (const n of [a, b])
			assert.ok(n >= 1 && n <= 1e9, data.socket_id);
		await c.ping();
	});

	test("socket ids are all different", async () => {
		const crowd = await s.server.crowd(40);
		assert.equal(new Set(crowd.map((c) => c.id)).size, 40);
	});

	test("several workers share the clients", async () => {
		await s.server.crowd(24);
		await until(async () => {
			const busy = (await s.server.ctl("status")).workers.filter((w) => w.websockets > 0).length;
			return busy >= Math.min(2, s.workers);
		}, "connections on more than one worker");
	});

	test("handshake answer: what clients look at", async () => {
		const w = await s.server.wire();
		const { head } = await w.upgrade(s.server);
		assert.match(head, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
		assert.match(head, /^Upgrade: websocket\r?$/im);
		assert.match(head, /^Connection: Upgrade\r?$/im);
		assert.match(head, /^Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r?$/im);
		assert.doesNotMatch(head, /^Sec-WebSocket-Protocol/im);
		assert.doesNotMatch(head, /^Sec-WebSocket-Extensions/im);
		w.close();
	});

	test("handshake and first frames in one packet", async () => {
		const w = await s.server.wire();
		w.write(Buffer.concat([
			Buffer.from(`GET /app/${s.server.app.key} HTTP/1.1\r\nHost: x\r\n` +
			    "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n" +
			    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
			    "Sec-WebSocket-Version: 13\r\n\r\n"),
			frame(1, '{"event":"pusher:ping","data":{}}'),
			frame(9, "early")]));
		assert.equal((await w.answer()).status, 101);
		assert.match((await w.frame()).payload.toString(), /connection_established/);
		assert.equal((await w.frame()).payload.toString(), '{"event":"pusher:pong"}');
		const pong = await w.frame();
		assert.deepEqual([pong.opcode, pong.payload.toString()], [10, "early"]);
		w.close();
	});

	test("handshake octet by octet", async () => {
		const w = await s.server.wire();
		const text = `GET /app/${s.server.app.key}?protocol=7 HTTP/1.1\r\nHost: x\r\n` +
		    "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
		for (const letter of text)
			await new Promise((resolve) => w.socket.write(letter, resolve));
		assert.equal((await w.answer()).status, 101);
		w.close();
	});

	test("text ping is answered without data, pong with nothing", async () => {
		const c = await s.server.connect();
		c.send({ event: "pusher:ping", data: {} });
		await c.expectFrame({ event: "pusher:pong" });
		c.send({ event: "pusher:ping" });
		await c.expectFrame({ event: "pusher:pong" });
		c.send({ event: "pusher:pong", data: {} });
		await c.ping();
	});

	test("control ping comes back with its payload", async () => {
		const c = await s.server.connect();
		const pong = new Promise((resolve) => c.socket.once("pong", resolve));
		c.socket.ping("are you there");
		assert.equal((await within(pong, "pong")).toString(), "are you there");
		c.socket.pong("unasked");
		await c.ping();
	});

	test("close frames are echoed", async () => {
		for (const [code, reason] of [[1000, "bye"], [1001, ""], [3999, "x"], [4999, "y"]]) {
			const c = await s.server.connect();
			c.socket.close(code, reason);
			const end = await c.closed();
			assert.ok(end.code === code || end.code === 1000, String(end.code));
		}
		const c = await s.server.connect();
		c.socket.close();
		await c.closed(1005).catch(() => c.closed(1000));
	});

	test("protocol versions: missing, 5, 6, 7 come in; others 4007, words 4006", async () => {
		for (const query of ["", "protocol=5", "protocol=6", "protocol=7&client=js&version=8.6.0&flash=false"]) {
			const c = await s.server.connect({ query });
			await c.ping();
		}
		for (const version of ["99", "1", "8", "4"])
			await (await s.server.open({ query: `protocol=${version}` })).refused(4007, "Unsupported protocol version");
		for (const version of ["seven", "", "7.1"])
			await (await s.server.open({ query: `protocol=${version}` })).refused(4006);
	});

	test("a message in pieces: fragments, and one octet at a time", async () => {
		const w = await s.server.wire();
		await w.upgrade(s.server);
		await w.frame();
		const text = '{"event":"pusher:ping","data":{}}';
		w.write(Buffer.concat([frame(1, text.slice(0, 5), { fin: false }), frame(9, "mid"),
		    frame(0, text.slice(5, 6), { fin: false }), frame(0, text.slice(6))]));
		assert.equal((await w.frame()).opcode, 10);
		assert.equal((await w.frame()).payload.toString(), '{"event":"pusher:pong"}');
		for (const octet of frame(1, text))
			await new Promise((resolve) => w.socket.write(Buffer.from([octet]), resolve));
		assert.equal((await w.frame()).payload.toString(), '{"event":"pusher:pong"}');
		w.close();
	});

	test("binary frames are taken like text", async () => {
		const c = await s.server.connect();
		c.send(Buffer.from('{"event":"pusher:ping"}'));
		await c.expect("pusher:pong");
	});

	test("a client that vanishes leaves its channels", async () => {
		const c = await s.server.connect(), watcher = await s.server.connect();
		await watcher.subscribe("presence-gone", { user_id: "w", user_info: {} });
		await c.subscribe("presence-gone", { user_id: "c", user_info: {} });
		await watcher.expect("pusher_internal:member_added", "presence-gone");
		await c.kill();
		await watcher.expect("pusher_internal:member_removed", "presence-gone", { user_id: "c" });
	});
});

live("liveness", { parallel: true, app: { ping_interval: "2s", activity_timeout: "7s" } }, (s) => {
	test("activity_timeout of the app is announced", async () => {
		const c = await s.server.open();
		assert.equal(decoded(await c.next()).activity_timeout, 7);
	});

	test("silence: pusher:ping, then 4201, and the members hear it", async () => {
		const c = await s.server.connect(), watcher = await s.server.connect();
		const keep = setInterval(() => watcher.socket.ping(), 300);
		try {
			await watcher.subscribe("presence-silence", { user_id: "w", user_info: {} });
			await c.subscribe("presence-silence", { user_id: "c", user_info: {} });
			await watcher.skipTo("pusher_internal:member_added", "presence-silence");
			await c.expectFrame({ event: "pusher:ping" });
			await c.refused(4201, "Pong reply not received in time");
			// Itself it may have been asked whether it lives.
			assert.deepEqual(decoded(await watcher.skipTo("pusher_internal:member_removed", "presence-silence")), { user_id: "c" });
		} finally {
			clearInterval(keep);
		}
	});

	test("any sign of life will do, subscribed or not", async () => {
		const c = await s.server.connect();
		for (let i = 0; i < 2; i++) {
			await c.expectFrame({ event: "pusher:ping" });
			c.send({ event: "pusher:pong", data: {} });
		}
		// Control frames count too, and then the server uses them as well.
		await c.expectFrame({ event: "pusher:ping" });
		c.socket.pong();
		await c.control("ping");
		await c.control("ping");
		assert.equal(c.frames.length, 0);
	});

	test("who has no subscription is pinged and cut off as well", async () => {
		const c = await s.server.connect({ answerPings: false });
		await c.expectFrame({ event: "pusher:ping" });
		await c.refused(4201);
	});
});

live("connections that join nothing", { app: { authorization_timeout: "5s" } }, (s) => {
	test("are closed with 4009; who signs in or joins something non-public stays", async () => {
		const [idle, pub, priv, user] = await s.server.crowd(4);
		await pub.subscribe("open");
		await priv.subscribe("private-x");
		await user.signin({ id: "u1" });
		await idle.refused(4009);
		await pub.refused(4009);
		await priv.ping();
		await user.ping();
	});
});

test("stop: clients are told 4200, the process ends with 0", async () => {
	const server = await Server.start({ workers: 2, peal: { drain_timeout: "1s" } });
	const crowd = await server.crowd(8);
	server.child.kill("SIGTERM");
	for (const c of crowd)
		await c.refused(4200);
	await server.stop();
});

test("stop: INT does the same", async () => {
	const server = await Server.start();
	const c = await server.connect();
	server.child.kill("SIGINT");
	await c.refused(4200);
	await server.stop();
});
