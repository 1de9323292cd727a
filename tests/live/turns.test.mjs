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

/**
 * Twice it comes soon: who waits for the clock has to wait for most of a second
 * each time, but for the first.  On a busy machine it may take some tries.
 */
async function soon(prepare, run) {
	const times = [];
	for (let quick = 0; quick < 2; ) {
		const it = await prepare(times.length), start = performance.now();
		await run(it);
		times.push(performance.now() - start);
		quick += times.at(-1) < SOON;
		assert.ok(quick === 2 || times.length < 50, `ms: ${times.map(Math.round).join()}`);
	}
}

live("turns", { workers: [1] }, (s) => {
	test("who goes without a word is gone at once", async () => {
		const channel = unique("presence-left");
		const stays = await s.server.connect();
		stays.subscribing(channel, who("stays"));
		await stays.skipTo("pusher_internal:subscription_succeeded");
		await soon(async (i) => {
			const c = await s.server.connect();
			c.subscribing(channel, who(`u${i}`));
			await stays.skipTo("pusher_internal:member_added");
			return c;
		}, async (leaver) => {
			leaver.socket.terminate();
			await stays.skipTo("pusher_internal:member_removed");
		});
	});

	test("requests behind each other do not wait for the clock", async () => {
		const { server } = s, target = `/apps/${server.app.id}/events`;
		const body = JSON.stringify({ name: "e", channel: "c", data: "1" });
		const one = `POST ${target}?${server.sign("POST", target, body)} HTTP/1.1\r\n` +
		    `Host: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
		await soon(() => {}, async () => {
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
