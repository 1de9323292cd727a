// SPDX-License-Identifier: MIT
// permessage-deflate: compressed once, shared by many; plain clients beside.
import assert from "node:assert/strict";
import { test } from "node:test";
import { frame, live, unique } from "./harness.mjs";
import zlib from "node:zlib";

const deflate = (text) => zlib.deflateRawSync(Buffer.from(text), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
const inflate = (bytes) => zlib.inflateRawSync(Buffer.concat([bytes, Buffer.from([0, 0, 255, 255])]), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).toString();

live("compression", {}, (s) => {
	test("clients with several windows and without share one channel", async () => {
		const channel = unique(), clients = [];
		for (const perMessageDeflate of [false, true, { clientMaxWindowBits: 15, serverMaxWindowBits: 9 }, { serverMaxWindowBits: 12 },
		    { serverNoContextTakeover: true, clientNoContextTakeover: true }, true, true])
			clients.push(await s.server.connect({ wsOptions: { perMessageDeflate } }));
		for (const c of clients)
			await c.subscribe(channel);
		for (const data of ["short", "long ".repeat(1000), JSON.stringify({ a: "é".repeat(3000) })]) {
			await s.server.publish(channel, "e", data);
			for (const c of clients)
				await c.expectFrame({ event: "e", channel, data });
		}
		assert.match(clients[1].upgrade.headers["sec-websocket-extensions"], /permessage-deflate/);
		assert.equal(clients[0].upgrade.headers["sec-websocket-extensions"], undefined);
	});

	test("really compressed on the wire: RSV1, smaller; short ones are not", async () => {
		const channel = unique(), w = await s.server.wire();
		await w.upgrade(s.server, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
		await w.frame();
		w.write(frame(1, JSON.stringify({ event: "pusher:subscribe", data: { channel } })));
		assert.match((await w.frame()).payload.toString(), /subscription_succeeded/);
		const data = "again and ".repeat(500);
		await s.server.publish(channel, "e", data);
		const f = await w.frame();
		assert.equal(f.rsv, 4);
		assert.ok(f.payload.length < 200, String(f.payload.length));
		assert.deepEqual(JSON.parse(inflate(f.payload)), { event: "e", channel, data });
		await s.server.publish(channel, "s", "short");
		assert.equal((await w.frame()).rsv, 0);
		w.close();
	});

	test("compressed messages of clients: whole, in fragments, empty blocks", async () => {
		const w = await s.server.wire(), text = JSON.stringify({ event: "pusher:ping", data: "x".repeat(3000) });
		await w.upgrade(s.server, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
		await w.frame();
		const z = deflate(text);
		w.write(frame(1, z, { rsv: 4 }));
		assert.match((await w.frame()).payload.toString(), /pong/);
		w.write(Buffer.concat([frame(1, z.subarray(0, 5), { rsv: 4, fin: false }), frame(9, ""), frame(0, z.subarray(5))]));
		assert.equal((await w.frame()).opcode, 10);
		assert.match((await w.frame()).payload.toString(), /pong/);
		w.write(frame(1, text));
		assert.match((await w.frame()).payload.toString(), /pong/);
		w.close();
	});

	test("a bomb costs its own connection: 1009", async () => {
		const other = await s.server.connect(), w = await s.server.wire();
		await w.upgrade(s.server, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
		const bomb = deflate(Buffer.alloc(8 << 20));
		assert.ok(bomb.length < 9000);
		w.write(frame(1, bomb, { rsv: 4 }));
		assert.equal((await w.closeFrame()).code, 1009);
		await other.ping();
	});

	test("garbage in place of deflate: 1007; RSV1 without the extension: 1002", async () => {
		const w = await s.server.wire(), x = await s.server.wire();
		await w.upgrade(s.server, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
		w.write(frame(1, Buffer.alloc(50, 0xfe), { rsv: 4 }));
		assert.equal((await w.closeFrame()).code, 1007);
		await x.upgrade(s.server);
		x.write(frame(1, deflate("{}"), { rsv: 4 }));
		assert.equal((await x.closeFrame()).code, 1002);
	});
});

live("no compression", { websocket: { compression: "no" }, workers: [1] }, (s) => {
	test("is not offered", async () => {
		const c = await s.server.connect({ wsOptions: { perMessageDeflate: true } });
		assert.equal(c.upgrade.headers["sec-websocket-extensions"], undefined);
		await c.ping();
	});
});
