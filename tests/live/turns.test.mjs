// SPDX-License-Identifier: MIT
// The end of a worker's turn: what a client's end and kept input cause must
// leave at once, not with the next event.  And what a reload leaves behind.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import { test } from "node:test";
import { live, patience, unique, within } from "./harness.mjs";

const SOON = 400 * patience;	// ms; a quiet worker wakes each second anyway
const who = (user_id) => ({ user_id, user_info: {} });

/** The median of n tries. */
async function median(n, run) {
	const times = [];
	for (let i = 0; i < n; i++) {
		const start = performance.now();
		await run(i);
		times.push(performance.now() - start);
	}
	return times.sort((a, b) => a - b)[n >> 1];
}

live("turns", { workers: [1] }, (s) => {
	test("who goes without a word is gone at once", async () => {
		const channel = unique("presence-left");
		const stays = await s.server.connect();
		stays.subscribing(channel, who("stays"));
		await stays.skipTo("pusher_internal:subscription_succeeded");
		const leavers = [];
		for (let i = 0; i < 7; i++) {
			const c = await s.server.connect();
			c.subscribing(channel, who(`u${i}`));
			await stays.skipTo("pusher_internal:member_added");
			leavers.push(c);
		}
		const ms = await median(leavers.length, async (i) => {
			leavers[i].socket.terminate();
			await stays.skipTo("pusher_internal:member_removed");
		});
		assert.ok(ms < SOON, `${ms} ms`);
	});

	test("requests behind each other do not wait for the clock", async () => {
		const { server } = s, target = `/apps/${server.app.id}/events`;
		const body = JSON.stringify({ name: "e", channel: "c", data: "1" });
		const one = `POST ${target}?${server.sign("POST", target, body)} HTTP/1.1\r\n` +
		    `Host: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
		const ms = await median(7, async () => {
			const socket = net.connect(server.port, "127.0.0.1");
			let got = "";
			socket.write(one.repeat(4));
			await within(new Promise((resolve) => socket.on("data", (data) => {
				got += data;
				if (got.split("HTTP/1.1 200").length > 4)
					resolve();
			})), () => `four answers; have ${got}`);
			socket.destroy();
		});
		assert.ok(ms < SOON, `${ms} ms`);
	});
});

live("an app that is taken out of the settings", {
	apps: {
		main: { id: "1001", key: "app-key", secret: "app-secret" },
		second: { id: "1002", key: "second-key", secret: "x" },
	},
}, (s) => {
	test("loses its clients; the others stay", async () => {
		const { server } = s;
		const kept = await server.connect({ key: "app-key" });
		const lost = await server.connect({ key: "second-key" });
		const text = fs.readFileSync(server.ini, "utf8");
		fs.writeFileSync(server.ini,
		    text.replace(/\[app second\][^[]*/, ""));
		process.kill(server.child.pid, "SIGHUP");
		await lost.refused(4001, "Application does not exist");
		kept.send({ event: "pusher:ping", data: {} });
		await kept.expect("pusher:pong");
		const late = await server.open({ key: "second-key" });
		await late.refused(4001, "Application does not exist");
	});
});
