// SPDX-License-Identifier: MIT
// The live page in a real browser: as it is used, on a phone, without a mouse,
// with names that would like to be markup, and while the server changes.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import { after, before, describe, test } from "node:test";
import { patience, pealctl, Server, unique, until } from "../live/harness.mjs";
import { blank, counts, launch } from "./browser.mjs";

const TOKEN = "correct horse battery staple";
const PAGE = { enabled: "yes", token: TOKEN };
const VIEWS = ["overview", "channels", "events", "connections", "hosts", "webhooks", "reloads"];
const EVIL = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>";

/** Raw clients do not answer when they are asked whether they live. */
const PATIENT = { ping_interval: "1h" };

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

/** A tab; what it complains about is in tab.errors, whom it asked in tab.requests. */
async function tab(t, server, { view = "", login = true, play, ...options } = {}) {
	const page = await blank(browser, { viewport: { width: 1200, height: 900 }, ...options });
	t.after(() => page.context().close());
	page.errors = [];
	page.requests = [];
	page.on("request", (r) => page.requests.push(r.url()));
	page.on("console", (m) => ["error", "warning"].includes(m.type()) && page.errors.push(m.text()));
	page.on("pageerror", (e) => page.errors.push(String(e.stack ?? e)));
	if (play)
		await page.routeWebSocket(/\/peal\/ws$/, play);
	await page.goto(`http://${server.address}/peal/${view && `#${view}`}`);
	if (login) {
		await page.fill("#token", TOKEN);
		await page.press("#token", "Enter");
		await inside(page);
	}
	return page;
}
const inside = (page) => page.waitForSelector("#state[data-state=in]");
/** The view is there, and no other. */
const go = async (page, view) => {
	await page.click(`#nav a[href="#${view}"]`);
	await page.waitForSelector(`#view-${view}:not([hidden])`);
	await counts(page.locator(".view:visible"), 1);
};
/** A view is entered when the browser has told its new address, after the click. */
const holds = (page, id, value) => until(async () => await page.inputValue(`#${id}`) === value, `${value} in ${id}`);
/** It is there within a while; what leads to it may have to be done again. */
const shows = (locator) => locator.first().waitFor({ timeout: 2000 * patience }).then(() => true, () => false);
const row = (page, table, text) => page.locator(`#${table} tbody tr`, { hasText: text });
const clean = (page) => assert.deepEqual(page.errors, []);
const wide = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
const edit = (server, from, to) => {
	const text = fs.readFileSync(server.ini, "utf8");
	assert.match(text, from);
	fs.writeFileSync(server.ini, text.replace(from, to));
};
const reload = (server) => new Promise((resolve, reject) => {
	execFile(pealctl, ["-s", server.control, "reload"], { timeout: 120000 * patience },
	    (error, out, err) => (error ? reject(new Error(out + err)) : resolve(out)));
});

// ---- the real thing ------------------------------------------------------------

describe("live page", () => {
	let server;
	before(async () => { server = await Server.start({ workers: 2, page: PAGE, app: PATIENT }); });
	after(() => server?.stop());

	test("a wrong token is refused with words, the right one opens", async (t) => {
		const page = await tab(t, server, { login: false });
		await page.waitForSelector("#token:focus");
		await counts(page.locator("#nav:visible"), 0);
		await page.fill("#token", "wrong");
		await page.click("#login-form button");
		await page.locator("#login-why", { hasText: "Wrong token." }).waitFor();
		await page.fill("#token", TOKEN);
		await page.press("#token", "Enter");
		await inside(page);
		await counts(page.locator("#login:visible"), 0);
		await page.waitForSelector("#view-overview");
		// The tab remembers it, another one does not.
		await page.reload();
		await inside(page);
		const other = await tab(t, server, { login: false });
		await other.waitForSelector("#login");
		// Chromium is in no hurry to tell a tab behind another of a click.
		await page.bringToFront();
		await page.click("#logout");
		await page.waitForSelector("#state[data-state=out]");
		await page.reload();
		await page.waitForSelector("#login:not([hidden])");
		clean(page);
	});

	test("talks to nobody else, and stores nothing but the tab's token", async (t) => {
		const page = await tab(t, server);
		for (const view of VIEWS)
			await go(page, view);
		for (const url of page.requests)
			assert.ok(url.startsWith(`http://${server.address}/peal/`) || url.startsWith("data:"), url);
		assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length, Object.keys(sessionStorage).join()]),
		    ["", 0, "peal-token"]);
		clean(page);
	});

	test("numbers come, and charts move", async (t) => {
		const page = await tab(t, server), c = await server.connect();
		await c.subscribe(unique());
		await page.locator("#tiles .big").first().waitFor();
		await row(page, "workers", "worker 1").locator(".tag", { hasText: "up" }).waitFor();
		await row(page, "workers", "router").waitFor();
		await until(() => page.evaluate(() => window.Chart !== undefined), "Chart.js");
		const picture = () => page.evaluate(() => document.querySelector("#plot-connections canvas").toDataURL());
		await page.locator("#plot-connections .legend li").first().waitFor();
		const first = await picture();
		const more = await server.crowd(20);
		await until(async () => await picture() !== first, "the chart to move");
		await page.check("[name=by][value=app]");
		await page.locator("#plot-connections .legend", { hasText: "main" }).waitFor();
		await page.check("[name=by][value=all]");
		await page.locator("#plot-connections .legend", { hasText: "all" }).waitFor();
		await row(page, "apps", "main").waitFor();
		for (const m of [c, ...more])
			m.socket.close();
		await row(page, "closes", "peer").first().waitFor();
		clean(page);
	});

	test("channels appear, are searched, go; members of a presence channel", async (t) => {
		const page = await tab(t, server, { view: "channels" }), c = await server.connect();
		await c.subscribe("orders.eu");
		await c.subscribe("orders.us");
		await c.subscribe("presence-desk", { user_id: "ada", user_info: { name: "Ada" } });
		for (const name of ["orders.eu", "orders.us", "presence-desk"])
			await row(page, "channels", name).waitFor();
		await page.fill("#channels-match", "rders.e");
		await row(page, "channels", "orders.us").waitFor({ state: "detached" });
		await counts(page.locator("#channels tbody tr"), 1);
		await page.locator("#channels-status", { hasText: /^1 channel$/ }).waitFor();
		await page.fill("#channels-match", "");
		await row(page, "channels", "presence-desk").getByRole("button").click();
		await page.locator("#channel-h", { hasText: "presence-desk" }).waitFor();
		await row(page, "members", "Ada").waitFor();
		const d = await server.connect();
		await d.subscribe("presence-desk", { user_id: "bob", user_info: {} });
		await row(page, "members", "bob").waitFor();
		d.socket.close();
		await row(page, "members", "bob").waitFor({ state: "detached" });
		c.socket.close();
		await row(page, "channels", "orders.eu").waitFor({ state: "detached" });
		clean(page);
	});

	test("events are followed, paused, filtered; what is published arrives", async (t) => {
		const page = await tab(t, server, { view: "events" }), c = await server.connect();
		await c.subscribe("console");
		await page.fill("#tail-channel", "console");
		await page.press("#tail-channel", "Enter");
		await page.locator("#tail-status", { hasText: "Following" }).waitFor();
		await page.fill("#publish-channel", "console");
		await page.fill("#publish-event", "greeting");
		await page.fill("#publish-data", '{"text":"hello"}');
		const line = (text) => page.locator("#tail li", { hasText: text });
		// What the page asks for goes one way: the tail is there before the event.
		await page.click("#publish-form button");
		await line("hello").waitFor();
		await page.locator("#publish-status", { hasText: "Published to console" }).waitFor();
		assert.equal((await c.expect("greeting", "console")).data, '{"text":"hello"}');
		await line("greeting").waitFor();

		await page.click("#tail-pause");
		await page.locator("#tail-status", { hasText: "Paused" }).waitFor();
		await server.publish("console", "later", "paused");
		await page.waitForSelector("#tail-pause[aria-pressed=true]");
		await counts(line("later"), 0);
		await page.click("#tail-pause");
		await line("later").waitFor();

		await page.fill("#tail-filter", "LATER");
		await counts(page.locator("#tail li:visible"), 1);
		await line("later").waitFor();
		await page.fill("#tail-filter", "");
		await page.click("#tail-clear");
		await counts(page.locator("#tail li"), 0);

		await page.fill("#publish-channel", "no such name");
		await page.click("#publish-form button");
		await page.locator("#publish-status.wrong", { hasText: "Not published" }).waitFor();
		await page.click("#tail-start");
		await page.locator("#tail-status", { hasText: /Stopped|Nothing/ }).waitFor();
		c.socket.close();
		clean(page);
	});

	test("of a channel one goes to its events and its connections", async (t) => {
		const page = await tab(t, server, { view: "channels" }), c = await server.connect();
		await c.subscribe("linked");
		await row(page, "channels", "linked").getByRole("button").click();
		await page.click("#channel-tail");
		await holds(page, "tail-channel", "linked");
		await page.locator("#tail-status", { hasText: "Following" }).waitFor();
		await go(page, "channels");
		await page.click("#channel-conns");
		await holds(page, "conns-channel", "linked");
		await row(page, "conns", c.id).waitFor();
		await counts(page.locator("#conns tbody tr"), 1);
		// The address says so: back and forward lead there, too.
		await page.evaluate(() => {
			for (const id of ["tail-channel", "conns-channel"])
				document.getElementById(id).value = "";
		});
		await page.goBack();
		await page.waitForSelector("#view-channels");
		await page.goBack();
		await page.waitForSelector("#view-events");
		await holds(page, "tail-channel", "linked");
		await page.goForward();
		await page.goForward();
		await holds(page, "conns-channel", "linked");
		await row(page, "conns", c.id).waitFor();
		c.socket.close();
		clean(page);
	});

	test("a link of a channel opens in another tab, and leaves this one alone", async (t) => {
		const page = await tab(t, server, { view: "channels" }), c = await server.connect();
		await c.subscribe("a=b;c,d");
		await row(page, "channels", "a=b;c,d").getByRole("button").click();
		const opened = page.context().waitForEvent("page");
		await page.click("#channel-tail", { modifiers: ["Control"] });
		const other = await opened;
		// Whether a tab that is opened so knows the token is the browser's affair.
		await other.waitForSelector("#state[data-state=in], #token:visible");
		if (await other.isVisible("#token")) {
			await other.fill("#token", TOKEN);
			await other.press("#token", "Enter");
		}
		await holds(other, "tail-channel", "a=b;c,d");
		await other.locator("#tail-status", { hasText: "Following" }).waitFor();
		await go(page, "events");
		assert.equal(await page.inputValue("#tail-channel"), "");
		await page.locator("#tail-status", { hasText: "Nothing is followed." }).waitFor();
		c.socket.close();
		clean(page);
	});

	test("a connection is closed, a user ended, after a question", async (t) => {
		const page = await tab(t, server, { view: "connections" }), [a, b] = await server.crowd(2);
		await b.signin({ id: "marked" });
		// It says so, too, if a worker had no time to answer.
		const done = (what) => page.locator("#conns-done", { hasText: new RegExp(`${what.source}|did not answer`) }).waitFor();
		const button = row(page, "conns", a.id).getByRole("button", { name: "Close" });
		await button.click();
		await page.locator("#sure", { hasText: a.id }).waitFor();
		await page.keyboard.press("Escape");
		await page.locator("#sure").waitFor({ state: "hidden" });
		await a.ping();
		await button.click();
		await page.locator("#sure", { hasText: a.id }).waitFor();
		// As if the browser told only now that the first question was closed.
		await page.evaluate(() => document.getElementById("sure").dispatchEvent(new Event("close")));
		await page.click("#sure-yes");
		await a.closed(4009);
		await row(page, "conns", a.id).waitFor({ state: "detached" });
		// The rows were asked for again, and it stands there yet.
		await done(/The connection is closed\./);
		await page.click("#terminate");
		await page.locator("#conns-done.wrong", { hasText: "Name a user" }).waitFor();
		await page.fill("#conns-user", "marked");
		await page.press("#conns-user", "Enter");
		await row(page, "conns", b.id).waitFor();
		await page.click("#terminate");
		await page.click("#sure-yes");
		await b.closed(4009);
		await row(page, "conns", b.id).waitFor({ state: "detached" });
		await done(/The connections of marked are being closed: 1\./);
		await page.click("#terminate");
		await page.click("#sure-yes");
		await done(/There are no connections of marked\./);
		clean(page);
	});

	test("hosts, webhooks and reloads have something to say", async (t) => {
		const page = await tab(t, server, { view: "hosts" });
		await page.locator("#backplane", { hasText: "none" }).waitFor();
		await go(page, "webhooks");
		await page.locator("#hooks", { hasText: "No webhooks are set up." }).waitFor();
		await go(page, "reloads");
		await reload(server);
		await page.locator("#reloads .tag", { hasText: "in force" }).first().waitFor();
		clean(page);
	});

	test("names that would like to be markup are text everywhere", async (t) => {
		const page = await tab(t, server, { view: "events" }), c = await server.connect();
		await page.click("#tail-start");
		await page.locator("#tail-status", { hasText: "Following" }).waitFor();
		const name = "presence-odd=@,.;";
		await c.subscribe(name, { user_id: EVIL, user_info: { name: EVIL } });
		await until(async () => {
			await server.publish(name, EVIL, EVIL);
			return shows(page.locator("#tail li b + *, #tail li", { hasText: "<img src=x" }));
		}, "the event in the tail");
		await go(page, "channels");
		await row(page, "channels", name).getByRole("button").click();
		await row(page, "members", "<script>").waitFor();
		await page.click("#channel-conns");
		await row(page, "conns", "<img src=x").waitFor();
		assert.equal(await page.evaluate(() => document.querySelectorAll("main img, main script").length), 0);
		assert.notEqual(await page.title(), "run");
		c.socket.close();
		clean(page);
	});

	test("without a mouse: from login through every view", async (t) => {
		const page = await tab(t, server, { login: false });
		const focused = () => page.evaluate(() => {
			const e = document.activeElement, s = getComputedStyle(e);
			return { id: e.id, text: e.textContent.trim().slice(0, 40), tag: e.tagName,
				seen: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 };
		});
		await page.keyboard.type(TOKEN);
		await page.keyboard.press("Enter");
		await inside(page);
		await page.waitForSelector("#overview-h:focus");
		// From the top: skip link, log out, views.
		await page.reload();
		await inside(page);
		await page.keyboard.press("Tab");
		assert.equal((await focused()).text, "Skip to content");
		await page.keyboard.press("Tab");
		assert.equal((await focused()).id, "logout");
		for (const view of VIEWS) {
			await page.keyboard.press("Tab");
			const f = await focused();
			assert.equal(f.text.toLowerCase(), view);
			assert.ok(f.seen, `focus is seen on ${view}`);
		}
		await page.keyboard.press("Shift+Tab");
		await page.keyboard.press("Shift+Tab");
		await page.keyboard.press("Shift+Tab");
		await page.keyboard.press("Shift+Tab");
		assert.equal((await focused()).text, "Events");
		await page.keyboard.press("Enter");
		await page.waitForSelector("#events-h:focus");
		const order = [];
		for (let i = 0; i < 30 && order.at(-1) !== "publish-data"; i++) {
			await page.keyboard.press("Tab");
			const f = await focused();
			assert.ok(f.seen, `focus is seen on ${f.id || f.text}`);
			order.push(f.id);
		}
		assert.deepEqual(order.filter(Boolean), ["tail-app", "tail-channel", "tail-start", "tail-clear", "tail-filter", "tail",
		    "publish-app", "publish-channel", "publish-event", "publish-data"]);
		clean(page);
	});

	test("what a screen reader needs: names, headers, no empty buttons", async (t) => {
		const page = await tab(t, server), c = await server.connect();
		await c.subscribe("heard");
		for (const view of VIEWS) {
			await go(page, view);
			const lacking = await page.evaluate(() => {
				const visible = (e) => e.getClientRects().length > 0;
				const bad = [];
				for (const e of document.querySelectorAll("input, select, textarea"))
					if (visible(e) && !e.labels?.length && !e.getAttribute("aria-label"))
						bad.push(`no label: ${e.id}`);
				for (const e of document.querySelectorAll("button, a"))
					if (visible(e) && !e.textContent.trim())
						bad.push(`no name: ${e.outerHTML}`);
				for (const e of document.querySelectorAll("table"))
					if (visible(e) && (!e.caption?.textContent || !e.querySelector("thead th[scope=col]")))
						bad.push(`no caption or headers: ${e.id}`);
				for (const e of document.querySelectorAll("canvas"))
					if (visible(e) && !e.getAttribute("aria-label"))
						bad.push("a picture without words");
				if ([...document.querySelectorAll("h1")].filter(visible).length !== 1)
					bad.push("not one h1");
				return bad;
			});
			assert.deepEqual(lacking, [], view);
		}
		assert.equal(await page.getAttribute("#state", "role"), "status");
		assert.equal(await page.getAttribute("html", "lang"), "en");
		c.socket.close();
		clean(page);
	});

	test("on a phone: nothing is wider than the screen", async (t) => {
		const page = await tab(t, server, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }), c = await server.connect();
		await c.subscribe(`${"long-".repeat(30)}name`);
		for (const view of VIEWS) {
			await go(page, view);
			if (view === "channels")
				await row(page, "channels", "long-").waitFor();
			assert.ok(await wide(page) <= 0, `${view} is ${await wide(page)} too wide`);
			assert.ok(await page.locator(`#view-${view} h1`).isVisible());
		}
		c.socket.close();
		clean(page);
	});

	for (const colorScheme of ["light", "dark"])
		test(`contrast is enough (${colorScheme})`, async (t) => {
			const page = await tab(t, server, { colorScheme }), c = await server.connect();
			await c.subscribe("seen");
			await page.locator("#tiles .big").first().waitFor();
			for (const view of VIEWS) {
				await go(page, view);
				assert.deepEqual(await page.evaluate(tooFaint), [], view);
			}
			const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
			assert.equal(back.every((n) => n < 60), colorScheme === "dark", String(back));
			c.socket.close();
		});
});

/** In the page: texts whose contrast (WCAG 2) is below 4.5. */
function tooFaint() {
	const parse = (colour) => { const n = colour.match(/[\d.]+/g).map(Number); return { rgb: n.slice(0, 3), a: n[3] ?? 1 }; };
	const light = (rgb) => {
		const [r, g, b] = rgb.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c.a > 0.99)
				return c.rgb;
		}
		return [255, 255, 255];
	};
	const faint = [];
	for (const e of document.querySelectorAll("body *")) {
		const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
		if (!own || !e.getClientRects().length || e.closest(".skip") || e.matches(":disabled, option"))
			continue;
		const [a, b] = [light(parse(getComputedStyle(e).color).rgb), light(behind(e))].sort((x, y) => y - x);
		if ((a + 0.05) / (b + 0.05) < 4.5)
			faint.push(`${e.tagName} ${e.className} ${e.textContent.slice(0, 30)}: ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
	}
	return faint;
}

// ---- a server that changes ----------------------------------------------------------

describe("live page, and a server that changes", () => {
	test("comes back after a reload and after its worker died, and follows on", async (t) => {
		const server = await Server.start({ workers: 2, page: PAGE });
		t.after(() => server.stop());
		const page = await tab(t, server, { view: "events" });
		const follows = async (text) => {
			await page.locator("#tail-status", { hasText: "Following" }).waitFor();
			await until(async () => {
				await server.publish("c", "e", text);
				return shows(page.locator("#tail li", { hasText: text }));
			}, `${text} in the tail`);
		};
		await page.click("#tail-start");
		await follows("before");

		await page.evaluate(() => {
			window.states = [];
			new MutationObserver(() => window.states.push(document.querySelector("#state").dataset.state))
			    .observe(document.querySelector("#state"), { attributes: true });
		});
		const away = () => until(() => page.evaluate(() => window.states.includes("lost") && window.states.at(-1) === "in"),
		    "the page to come back");
		edit(server, /^workers = 2$/m, "workers = 3");
		await reload(server);
		await away();
		await until(async () => (await server.ctl("status")).phase === "idle", "the old processes to go");
		await follows("after the reload");

		server.allow(/worker|child|router/);
		const slot = /worker (\d+)/.exec(await page.textContent("#about"))[1];
		await page.evaluate(() => { window.states = []; });
		process.kill(server.pids(`peald: worker ${slot}`)[0], "SIGKILL");
		await away();
		await follows("after the death");

		process.kill(server.pids("peald: router")[0], "SIGKILL");
		await follows("after the router's");
		clean(page);
	});

	test("the server is gone: what is known stays, with words; another token: login", async (t) => {
		const server = await Server.start({ page: PAGE });
		const page = await tab(t, server);
		await page.locator("#tiles .big").first().waitFor();
		edit(server, new RegExp(`^token = ${TOKEN}$`, "m"), "token = another horse for the page");
		await reload(server);
		await page.waitForSelector("#login:not([hidden])");
		await page.locator("#login-why", { hasText: "Log in again" }).waitFor();
		await page.fill("#token", "another horse for the page");
		await page.press("#token", "Enter");
		await inside(page);
		await page.locator("#tiles .big").first().waitFor();
		await server.stop();
		await page.locator("#banner", { hasText: /What is shown is what was last known/ }).waitFor();
		await page.waitForSelector("#tiles");
		await page.locator("#state", { hasText: /Reconnecting|Connecting/ }).waitFor();
	});

	test("without Chart.js there are lines and numbers all the same", async (t) => {
		const server = await Server.start({ page: { ...PAGE, charts: "/nonexistent/chart.js" } });
		t.after(() => server.stop());
		const page = await tab(t, server);
		await page.locator("#plot-connections .legend li").first().waitFor();
		const picture = () => page.evaluate(() => document.querySelector("#plot-connections canvas").toDataURL());
		const first = await picture();
		const more = await server.crowd(5);
		await until(async () => await picture() !== first, "the lines to move");
		assert.equal(await page.evaluate(() => typeof window.Chart), "undefined");
		assert.ok(!page.requests.some((url) => url.endsWith("chart.js")));
		for (const m of more)
			m.socket.close();
		clean(page);
	});

	test("actions = no: no form to publish, no button to close", async (t) => {
		const server = await Server.start({ page: { ...PAGE, actions: "no" } });
		t.after(() => server.stop());
		const page = await tab(t, server, { view: "events" }), c = await server.connect();
		await counts(page.locator("#publish:visible"), 0);
		await go(page, "connections");
		await row(page, "conns", c.id).waitFor();
		await counts(row(page, "conns", c.id).locator("button:visible"), 0);
		await counts(page.locator("#terminate:visible"), 0);
		c.socket.close();
		clean(page);
	});
});

// ---- a played one, for what a real one does not do on demand ---------------------------

describe("live page, and a server that is played", () => {
	let server;
	before(async () => { server = await Server.start({ page: PAGE }); });
	after(() => server?.stop());

	/** answers: of verbs, [rows, last]; reports: told one after the other. */
	const played = ({ reports = [], answers = {} }) => (ws) => ws.onMessage((text) => {
		const m = JSON.parse(text), say = (o) => ws.send(JSON.stringify(o));
		if (m.do === "login")
			say({ ok: true, version: EVIL, worker: EVIL, actions: true, charts: false, apps: [{ id: "1", label: EVIL }, { id: "2", label: "2" }] });
		else if (m.do === "watch")
			reports.forEach((report) => say({ report }));
		else if (m.do === "ask") {
			const [rows, last] = answers[m.line.verb] ?? [[], { ok: true }];
			say({ id: m.id, rows });
			say({ id: m.id, end: true, ...last });
		}
	});

	test("reports that lack parts, or are hostile, break nothing", async (t) => {
		const evil = { time: 3000, host: EVIL, uptime: EVIL, totals: { connections: EVIL, backlog: null }, closes: { [EVIL]: 3 },
			workers: [{ slot: EVIL, pid: EVIL, state: EVIL, crew: EVIL, counters: {} }], router: { state: "up" }, courier: null,
			apps: [{ app: EVIL, label: EVIL, fronts: { [EVIL]: { connections: 1 } } }], histograms: null,
			hooks: [{ target: EVIL, url: `javascript:alert(1)${EVIL}`, state: EVIL, last_error: EVIL, last_status: EVIL, next_try: EVIL }],
			reloads: [{ time: EVIL, ok: false, why: EVIL, changed: EVIL, kind: EVIL }] };
		const page = await tab(t, server, { play: played({ reports: [{ time: 1000 }, { time: 2000, workers: null }, {}, evil, { ...evil, time: 4000 }],
			answers: { channels: [[{ channel: EVIL, subscriptions: EVIL }], { ok: true, total: EVIL }],
				backplane: [[{ node: EVIL, name: EVIL, state: EVIL }], { ok: true, driver: EVIL, state: EVIL, counters: { [EVIL]: 1 } }],
				inspect: [[{ socket_id: EVIL, names: [EVIL], user: EVIL, address: EVIL, age: EVIL }], { ok: true, missing: [EVIL] }],
				tail: [[{ kind: EVIL, channel: EVIL, event: EVIL, data: EVIL, time: EVIL }, { dropped: 7 }], { ok: false, error: EVIL }] } }) });
		await row(page, "closes", "<img").waitFor();
		for (const view of VIEWS)
			await go(page, view);
		await row(page, "reloads", "<img").waitFor();
		await go(page, "webhooks");
		await row(page, "hooks", "<img").waitFor();
		await go(page, "hosts");
		await row(page, "hosts", "<img").waitFor();
		await go(page, "connections");
		await row(page, "conns", "<img").waitFor();
		await go(page, "events");
		await page.click("#tail-start");
		await page.locator("#tail-status.wrong", { hasText: "<img" }).waitFor();
		await page.locator("#tail li.dropped", { hasText: "7 more were left out" }).waitFor();
		assert.equal(await page.evaluate(() => document.querySelectorAll("main img, main script, main a[href^=javascript]").length), 0);
		assert.equal(await page.evaluate(() => document.title.includes("run") && !document.title.includes("<")), false);
		clean(page);
	});

	test("a router that restarts, a server that is being stopped, are told", async (t) => {
		const page = await tab(t, server, { play: played({ reports: [{ time: 1000, router: { state: "starting" } }] }) });
		await page.locator("#banner", { hasText: "router restarts" }).waitFor();
		const other = await tab(t, server, { play: played({ reports: [{ time: 1000, draining: true }] }) });
		await other.locator("#banner", { hasText: "is being stopped" }).waitFor();
		const third = await tab(t, server, { view: "channels",
			play: played({ answers: { channels: [[], { ok: false, error: "the router is starting, try again" }] } }) });
		await third.locator("#channels-status.wrong", { hasText: "the router is starting" }).waitFor();
		clean(page);
	});

	test("a login that was good is not given up when the server wants a pause", async (t) => {
		const good = played({}), wait = { ok: false, error: "Too many attempts.", wait: 1 };
		let came = 0, left = null;
		const page = await tab(t, server, { play: (ws) => {
			left = ws;
			if (++came % 2 === 1)
				return good(ws);
			ws.onMessage(() => {
				ws.send(JSON.stringify(wait));
				ws.close({ code: 1008 });
			});
		} });
		// After a reload of processes many come back at once.
		await left.close({ code: 1012 });
		await until(() => came === 3, "another attempt");
		await inside(page);
		// A page that is loaded again has the token from before.
		came = 1;
		await page.reload();
		await until(() => came === 3, "another attempt");
		await inside(page);
		clean(page);
	});

	test("a user is ended although a worker does not answer, and on other hosts", async (t) => {
		const page = await tab(t, server, { view: "connections",
			play: played({ answers: { terminate: [[], { ok: true, closed: 0, elsewhere: 0, missing: [2] }] } }) });
		await page.fill("#conns-user", "u");
		await page.click("#terminate");
		await page.click("#sure-yes");
		await page.locator("#conns-done", { hasText: "being closed: 0 here; the other hosts were told, where 0 signed in. Worker 2 did not" }).waitFor();
		clean(page);
	});

	test("a webhook that fails, hosts that are lost, are seen", async (t) => {
		const page = await tab(t, server, { view: "webhooks", play: played({
			reports: [{ time: 1000, totals: { hooks_waiting: 3 }, hooks: [{ target: "billing", url: "https://b.example/x", state: "failing", queued: 3,
				last_status: 503, last_error: "Service Unavailable", last_ok: 0, next_try: 1700000000000 }] }],
			answers: { backplane: [[{ node: "a", name: "web1", own: true, state: "up" }, { node: "b", name: "web2", state: "lost", heard: 9 }],
				{ ok: true, driver: "redis", state: "degraded", lag_us: 1500 }] } }) });
		await row(page, "hooks", "billing").locator(".tag.warn", { hasText: "failing" }).waitFor();
		await row(page, "hooks", "503 Service Unavailable").waitFor();
		await go(page, "hosts");
		await row(page, "hosts", "web2").locator(".tag.bad", { hasText: "lost" }).waitFor();
		await page.locator("#backplane", { hasText: "1.50 ms" }).waitFor();
		clean(page);
	});
});
