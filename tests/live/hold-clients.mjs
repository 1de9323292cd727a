// SPDX-License-Identifier: MIT
//
// A process full of idle subscribers for hold.test.mjs: plain sockets, the
// smallest handshake, no memory wasted on what came.  Messages from the parent:
// { open: n, port, key, channel }, then { marker }: count who hears it.
import net from "node:net";
import { frame } from "./harness.mjs";

const all = [];
let waiting = null;

function open({ port, key, channel }) {
	return new Promise((resolve, reject) => {
		const socket = net.connect(port, "127.0.0.1");
		const one = { socket, tail: "" };
		all.push(one);
		socket.on("connect", () => socket.write(Buffer.concat([
			Buffer.from(`GET /app/${key}?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n` +
			    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"),
			frame(1, JSON.stringify({ event: "pusher:subscribe", data: { channel } }))])));
		socket.on("data", (data) => {
			one.tail = (one.tail + data.toString("latin1")).slice(-300);
			if (one.tail.includes("subscription_succeeded"))
				resolve();
			waiting?.(one);
		});
		const lost = (error) => { one.lost = true; reject(error ?? new Error("closed")); };
		socket.on("error", lost);
		socket.on("close", () => lost());
	});
}

process.on("message", async (m) => {
	try {
		if (m.open) {
			// Not all at once: a queue of 100 at a time.
			let left = m.open;
			const next = async () => {
				while (left-- > 0)
					await open(m);
			};
			await Promise.all(Array.from({ length: 100 }, next));
			process.send({ opened: all.length });
		} else {
			const heard = new Set();
			waiting = (one) => {
				if (!one.tail.includes(m.marker))
					return;
				heard.add(one);
				if (heard.size === all.length)
					process.send({ heard: heard.size, lost: all.filter((o) => o.lost).length });
			};
			process.send({ armed: true });
		}
	} catch (error) {
		process.send({ error: String(error) });
	}
});
process.on("disconnect", () => process.exit(0));
