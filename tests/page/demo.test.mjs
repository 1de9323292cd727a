// SPDX-License-Identifier: MIT
// The demo page in a real browser, as a visitor uses it: two tabs, a keyboard,
// a phone.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Server, until } from "../live/harness.mjs";
import { blank, counts, launch } from "./browser.mjs";

const shots = process.env.PEAL_TEST_SHOTS;	// a folder for pictures, if wanted

test("without demo = yes there is no page", async () => {
	const server = await Server.start();
	assert.equal((await server.request("GET", "/")).status, 404);
	await server.stop();
});

describe("demo page", () => {
	let server, browser;
	before(async () => {
		browser = await launch();
		server = await Server.start({ workers: 2, peal: { demo: "yes" } });
	});
	after(async () => {
		await browser?.close();
		await server?.stop();
	});

	/** A tab; what it asks for and complains about is in tab.requests, .errors. */
	const tab = async (t, { fragment, options = {}, init, base = server } = {}) => {
		const page = await blank(browser, { viewport: { width: 1200, height: 900 }, ...options });
		t.after(() => page.context().close());
		page.requests = [];
		page.errors = [];
		page.on("request", (r) => page.requests.push(r.url()));
		page.on("console", (m) => m.type() === "error" && page.errors.push(m.text()));
		page.on("pageerror", (e) => page.errors.push(String(e)));
		if (init)
			await page.addInitScript(init);
		const { key, secret, id } = base.app;
		await page.goto(`http://${base.address}${base.prefix}/#${fragment ?? new URLSearchParams({ key, secret, id })}`);
		return page;
	};
	const connected = (page) => page.waitForSelector("#state[data-state=connected]");
	const channel = (page, name) => page.locator(`[data-channel="${name}"]`);
	const subscribe = async (page, kind, name) => {
		await page.selectOption("#kind", kind);
		await page.fill("#name", name);
		await page.click("#subscribe");
		await channel(page, kind + name).locator(".tag:not(:text('waiting'))").waitFor();
	};
	const says = (page, name, text) => channel(page, name).locator(".last", { hasText: text }).waitFor();
	const shot = async (page, name) => shots && page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true });

	test("served small, whole, and with no secret in it", async () => {
		const { status, text, headers } = await server.request("GET", "/");
		assert.equal(status, 200);
		assert.match(headers["content-type"], /^text\/html; charset=utf-8/);
		assert.ok(Buffer.byteLength(text) < 40000);
		assert.equal(text, fs.readFileSync(new URL("../../contrib/demo/index.html", import.meta.url), "utf8"));
		assert.ok(!text.includes(server.app.secret));
	});

	test("connects from the fragment; talks to nobody else; no complaint", async (t) => {
		const page = await tab(t);
		await connected(page);
		assert.match(await page.textContent("#facts"), /socket \d+\.\d+/);
		await page.locator("#facts", { hasText: "round trip" }).waitFor();
		for (const url of page.requests)
			assert.ok(url.startsWith(`http://${server.address}/`) || url.startsWith("data:"), url);
		assert.deepEqual(page.errors, []);
	});

	test("members with odd names do not stop the page, nor run in it", async (t) => {
		const page = await tab(t), name = "presence-odd", odd = [5, [], { a: 1 }, "<img src=x onerror=\"document.title='run'\">"];
		await connected(page);
		for (const [i, value] of odd.entries()) {
			const c = await server.connect();
			await c.subscribe(name, { user_id: `odd${i}`, user_info: { name: value } });
			t.after(() => c.close?.());
		}
		await subscribe(page, "presence-", "odd");
		await channel(page, name).locator(".tag", { hasText: `${odd.length + 1} here` }).waitFor();
		await channel(page, name).locator(".members li").nth(odd.length).waitFor();
		assert.notEqual(await page.title(), "run");
		assert.deepEqual(page.errors, []);
	});

	test("typed in by hand; a wrong key is told", async (t) => {
		const page = await tab(t, { fragment: "" });
		assert.equal(await page.getAttribute("#state", "data-state"), "disconnected");
		await page.fill("#key", "wrong");
		await page.click("#connect");
		await page.locator("#state[data-state=refused]", { hasText: "Application does not exist" }).waitFor();
		await page.fill("#key", server.app.key);
		await page.press("#key", "Enter");
		await connected(page);
		await page.click("#disconnect");
		await page.waitForSelector("#state[data-state=disconnected]");
	});

	test("two tabs: presence, whisper, publish, leaving", async (t) => {
		const [a, b] = [await tab(t), await tab(t)], name = "presence-room";
		// A number at random is who one is: it may be the same.
		await a.evaluate(() => { document.getElementById("user").value = "1"; });
		await b.evaluate(() => { document.getElementById("user").value = "2"; });
		for (const page of [a, b]) {
			await connected(page);
			await subscribe(page, "presence-", "room");
		}
		for (const page of [a, b]) {
			await channel(page, name).locator(".members li").nth(1).waitFor();
			assert.equal(await channel(page, name).locator(".tag").textContent(), "2 here");
			assert.equal(await channel(page, name).locator(".members", { hasText: "(you)" }).count(), 1);
		}
		await channel(a, name).getByLabel("Whisper in presence-room").fill("psst, b");
		await channel(a, name).getByRole("button", { name: "Whisper" }).click();
		await says(b, name, "psst, b");
		await b.fill("#to", name);
		await b.fill("#data", '{"text":"to everybody"}');
		await b.click("#publish");
		await b.locator("#answer.good", { hasText: "200" }).waitFor();
		for (const page of [a, b])
			await says(page, name, "to everybody");
		await shot(a, "two-tabs");
		await b.fill("#data", '{"text":"to the others"}');
		await b.check("#others");
		await b.click("#publish");
		await says(a, name, "to the others");
		await says(b, name, "to everybody");
		await channel(b, name).getByRole("button", { name: /Leave/ }).click();
		await channel(a, name).locator(".tag", { hasText: "1 here" }).waitFor();
		await counts(channel(b, name), 0);
		assert.deepEqual([...a.errors, ...b.errors], []);
	});

	test("every kind of channel", async (t) => {
		const page = await tab(t);
		await connected(page);
		const kinds = await page.locator("#kind option").evaluateAll((all) => all.map((o) => o.value));
		assert.equal(kinds.length, 8);
		for (const kind of kinds)
			await subscribe(page, kind, "each");
		await says(page, "cache-each", "nothing cached");
		for (const kind of kinds) {
			await page.fill("#to", `${kind}each`);
			await page.fill("#data", `to ${kind || "public"}`);
			await page.click("#publish");
			await says(page, `${kind}each`, `to ${kind || "public"}`);
		}
		assert.equal(await channel(page, "private-encrypted-each").locator(".whisper").count(), 0);
		await shot(page, "kinds");
	});

	test("signing in, and what the application sends to this user", async (t) => {
		const page = await tab(t);
		await connected(page);
		await page.click("summary:text('Who am I?')");
		await page.fill("#user", "visitor");
		await page.click("#signin");
		await channel(page, "#server-to-user-visitor").locator(".tag", { hasText: "subscribed" }).waitFor();
		await server.get("/connections");	// the router has read all workers
		await server.publish("#server-to-user-visitor", "note", '{"for":"you alone"}');
		await says(page, "#server-to-user-visitor", "you alone");
	});

	test("a wrong secret is told, and does not end the connection", async (t) => {
		const page = await tab(t);
		await connected(page);
		await page.fill("#secret", "wrong");
		await page.selectOption("#kind", "private-");
		await page.click("#subscribe");
		await says(page, "private-room", "unauthorized");
		await page.click("#publish");
		await page.locator("#answer.bad", { hasText: "401" }).waitFor();
		assert.equal(await page.getAttribute("#state", "data-state"), "connected");
	});

	test("the list of frames: directions, filter, pings, details, clear", async (t) => {
		const page = await tab(t);
		await connected(page);
		await subscribe(page, "", "list");
		const rows = (more = "", options) => page.locator(`#frames li:visible${more}`, options);
		await rows(".in", { hasText: "subscription_succeeded" }).first().waitFor();
		await rows(".out", { hasText: "pusher:subscribe" }).first().waitFor();
		// It asks for a sign of life soon after it has connected; that comes.
		await page.locator("#frames li", { hasText: "pusher:pong" }).first().waitFor({ state: "attached" });
		await counts(page.locator("#frames li:visible", { hasText: /pusher:p[io]ng/ }), 0);
		await page.check("#show-ping");
		await page.locator("#frames li:visible", { hasText: "pusher:ping" }).first().waitFor();
		await page.uncheck("#show-out");
		await counts(rows(".out"), 0);
		await page.fill("#search", "connection_established");
		await counts(rows(), 1);
		await rows().locator("summary").click();
		assert.match(await rows().locator("pre").textContent(), /"activity_timeout": 30/);
		await page.fill("#search", "");
		await until(async () => {
			await page.click("#clear");	// one more may have come meanwhile
			return await page.locator("#frames li").count() === 0;
		}, "an empty list");
	});

	test("hostile frames are shown, not run", async (t) => {
		const page = await tab(t);
		await connected(page);
		await subscribe(page, "", "xss");
		await server.publish("xss", "<img src=x onerror=alert(1)>", "<script>alert(1)</script><b>bold</b>");
		await says(page, "xss", "<b>bold</b>");
		assert.equal(await page.locator("#frames img, #channels img, #frames b, .last b").count(), 0);
		await server.publish("xss", "__proto__", "null");
		await says(page, "xss", "__proto__");
		assert.deepEqual(page.errors, []);
	});

	test("only a keyboard", async (t) => {
		const page = await tab(t, { fragment: new URLSearchParams({ secret: server.app.secret, id: server.app.id }) });
		await page.focus("#key");
		await page.keyboard.type(server.app.key);
		await page.keyboard.press("Enter");
		await connected(page);
		await page.focus("#name");
		await page.keyboard.press("Control+A");
		await page.keyboard.type("keys");
		await page.keyboard.press("Enter");
		await channel(page, "presence-keys").locator(".tag", { hasText: "1 here" }).waitFor();
		await page.keyboard.press("Tab");
		const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
		assert.notEqual(outline, "none");
		// Everything that takes input has a name.
		const nameless = await page.evaluate(() => [...document.querySelectorAll("input, select, textarea, button")]
		    .filter((e) => !e.labels?.length && !e.getAttribute("aria-label") && !e.textContent.trim()).map((e) => e.outerHTML));
		assert.deepEqual(nameless, []);
	});

	test("on a phone, dark: nothing wider than the screen", async (t) => {
		for (const colorScheme of ["light", "dark"]) {
			const page = await tab(t, { options: { viewport: { width: 360, height: 740 }, colorScheme, isMobile: true, hasTouch: true } });
			await connected(page);
			await subscribe(page, "presence-", "phone");
			await page.waitForSelector(".members li");
			assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
			await shot(page, `phone-${colorScheme}`);
		}
	});

	test("where the browser gives no WebCrypto (plain http in a LAN)", async (t) => {
		const page = await tab(t, { init: () => Object.defineProperty(globalThis.crypto, "subtle", { value: undefined }) });
		await connected(page);
		await subscribe(page, "presence-", "plain");
		await page.fill("#to", "presence-plain");
		await page.fill("#data", "signed by the page: äöü 😀");
		await page.click("#publish");
		await says(page, "presence-plain", "signed by the page: äöü 😀");
	});

	test("comes back by itself after the connection was lost", async (t) => {
		const page = await tab(t);
		await connected(page);
		await subscribe(page, "presence-", "back");
		const first = await page.textContent("#facts");
		server.allow(/worker|link/);
		for (const pid of server.pids("peald: worker"))
			process.kill(pid, "SIGKILL");
		await until(async () => {
			const id = /socket (\S+)/.exec(await page.textContent("#facts"))?.[1];
			return id && !first.includes(id);
		}, "another socket id");
		await channel(page, "presence-back").locator(".tag", { hasText: "1 here" }).waitFor();
	});
});

test("under a path prefix", async () => {
	const server = await Server.start({ peal: { demo: "yes" }, http: { path: "/ws" } });
	const browser = await launch();
	try {
		const page = await blank(browser);
		await page.goto(`http://${server.address}/ws/#${new URLSearchParams({ key: server.app.key, secret: server.app.secret, id: server.app.id })}`);
		await page.waitForSelector("#state[data-state=connected]");
		await page.click("#publish");
		await page.locator("#answer.good").waitFor();
	} finally {
		await browser.close();
		await server.stop();
	}
});
