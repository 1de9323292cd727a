// SPDX-License-Identifier: MIT
// Rooms in a real browser: its WebSocket, and its EventSource, which comes back
// by itself and says what it heard last.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, until } from "../live/harness.mjs";
import { blank, launch } from "./browser.mjs";

describe("rooms in a browser", () => {
	let server, browser, page;
	before(async () => {
		browser = await launch();
		server = await Server.start({ workers: 2, rooms: { sse_retry: "100ms" } });
		page = await blank(browser);
		// Any page of that origin will do.
		await page.goto(`http://${server.address}/up`);
	});
	after(async () => {
		await browser?.close();
		await server?.stop();
	});

	/** An answer of the API comes when the router has read all workers: who is open by
	 * now hears what is said from now on. */
	const entered = () => server.get("/connections");
	const heard = (name) => page.evaluate((n) => window[n].heard, name);
	const stream = (name, room) => page.evaluate(([n, r]) => new Promise((resolve) => {
		const source = window[n] = new EventSource(`/sse/${r}`);
		source.heard = [];
		source.opened = 0;
		source.onopen = () => { source.opened++; resolve(); };
		source.onmessage = (e) => source.heard.push(e.data);
	}), [name, room]);
	const socket = (name, room) => page.evaluate(([n, r]) => new Promise((resolve, reject) => {
		const ws = window[n] = new WebSocket(`ws://${location.host}/?room=${r}`, ["chat", "other"]);
		ws.heard = [];
		ws.onopen = () => resolve(ws.protocol);
		ws.onerror = () => reject(new Error("refused"));
		ws.onmessage = (e) => ws.heard.push(e.data);
	}), [name, room]);
	const say = (name, text) => page.evaluate(([n, t]) => window[n].send(t), [name, text]);

	test("a text goes to a socket and to a stream of the page", async () => {
		assert.equal(await socket("a", "one"), "chat");
		await stream("events", "one");
		await entered();
		const texts = ["hello", "two\nlines", " a blank first", "é😀", ""];
		for (const text of texts)
			await say("a", text);
		await until(async () => (await heard("a")).length === texts.length, "all by WebSocket");
		assert.deepEqual(await heard("a"), texts);
		await until(async () => (await heard("events")).length >= texts.length, "all by EventSource");
		assert.deepEqual(await heard("events"), texts);
	});

	test("a stream that is cut off comes back and has missed nothing", async () => {
		await socket("b", "two");
		await stream("cut", "two");
		await entered();
		let n = 0;
		const more = async () => { await say("b", `text ${n++}`); };
		await more();
		await until(async () => (await heard("cut")).length === 1, "the first");
		// Whose worker dies takes the stream along; the socket's may be the other.
		for (const pid of server.pids("peald: worker"))
			process.kill(pid, "SIGKILL");
		server.allow(/worker/);
		await until(async () => page.evaluate(() => window.b.readyState === 3), "the socket is gone");
		await until(() => server.pids("peald: worker").length === 2, "new workers");
		const other = await until(() => server.publish("room-two", "message", `text ${n}`).catch(() => null), "an API that answers");
		assert.ok(other);
		n++;
		await until(async () => (await heard("cut")).length >= n, "what came while it was away");
		assert.deepEqual(await heard("cut"), Array.from({ length: n }, (_, i) => `text ${i}`));
		assert.ok(await page.evaluate(() => window.cut.opened) >= 2);
	});
});
