// SPDX-License-Identifier: MIT
//
// node tests/page/screenshots.mjs FOLDER: the pictures of the live page in
// doc/PAGE.md, of a server with some traffic that is watched for five minutes, or
// for WATCH seconds.
import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";
import { Server, until } from "../live/harness.mjs";
import { shrink } from "./shrink.mjs";

const TOKEN = "only for pictures", folder = path.resolve(process.argv[2] ?? ".");
const seconds = Number(process.env.WATCH ?? 300);
const browserPath = process.env.CHROMIUM ?? ["chromium", "chromium-browser", "google-chrome"]
    .flatMap((name) => (process.env.PATH ?? "").split(":").map((dir) => path.join(dir, name))).find((file) => fs.existsSync(file));

const apps = { shop: { id: "1001", key: "shop-key", secret: "shop-secret" }, chat: { id: "1002", key: "chat-key", secret: "chat-secret" } };
const server = await Server.start({ workers: 4, apps, page: { enabled: "yes", token: TOKEN } });
const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-gpu"] });
const clients = [];
let going = true;

const MARKETS = ["EURUSD", "EURGBP", "USDJPY", "XAUUSD"];
const NAMES = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Leslie"];

async function crowd() {
	for (let i = 0; i < 160; i++) {
		const app = i % 4 === 3 ? apps.chat : apps.shop, c = await server.connect({ app });
		clients.push(c);
		if (app === apps.chat) {
			await c.subscribe("presence-lobby", { user_id: String(100 + i), user_info: { name: NAMES[i % NAMES.length] } });
			c.talks = true;
		} else {
			await c.subscribe(`prices.${MARKETS[i % MARKETS.length]}`);
			await c.subscribe(`private-orders.${1800 + i % 40}`);
		}
	}
}

/** More and less, as a day has it. */
async function traffic() {
	for (let tick = 0; going; tick++) {
		const busy = 0.6 + 0.4 * Math.sin(tick / 90);
		for (let i = 0; i < 8 * busy; i++) {
			const market = MARKETS[Math.floor(Math.random() * MARKETS.length)], bid = 1 + Math.random() / 10;
			await server.publish(`prices.${market}`, "tick", { bid: Number(bid.toFixed(4)), ask: Number((bid + 0.0002).toFixed(4)) }, { app: apps.shop });
		}
		if (tick % 3 === 0)
			await server.publish(`private-orders.${1800 + tick % 40}`, "App\\Events\\OrderShipped", { order: 1800 + tick % 40, carrier: "DHL" }, { app: apps.shop });
		const talker = clients.filter((c) => c.talks)[tick % 40];
		if (Math.random() < busy)
			talker?.send({ event: "client-typing", channel: "presence-lobby", data: { who: NAMES[tick % NAMES.length] } });
		for (const [i, c] of clients.entries()) {
			c.frames.length = c.raw.length = 0;
			// A sign of life in time, as libraries give it.
			if (tick % 200 === i)
				c.send({ event: "pusher:ping", data: {} });
		}
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
}

/** A tab that has logged in.  The machine's name is nobody's business. */
async function tab(view, options) {
	const page = await (await browser.newContext({ viewport: { width: 1280, height: 1010 }, ...options })).newPage();
	await page.routeWebSocket(/\/ws$/, (ws) => {
		const up = ws.connectToServer();
		up.onMessage((text) => ws.send(String(text).replace(/"host":"[^"]*"/, '"host":"web1.example.com"')));
	});
	await page.goto(`http://${server.address}/peal/#${view}`);
	await page.fill("#token", TOKEN);
	await page.press("#token", "Enter");
	await page.waitForSelector("#state[data-state=in]");
	return page;
}

await crowd();
const busy = traffic();
const light = await tab("overview"), dark = await tab("overview", { colorScheme: "dark" });
const phone = await tab("overview", { viewport: { width: 360, height: 780 }, deviceScaleFactor: 2, isMobile: true });
const events = await tab("events");
await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
await events.selectOption("#tail-app", "1001");
await events.fill("#publish-channel", "prices.EURUSD");
await events.click("#tail-start");
await until(() => events.locator("#tail li").count().then((n) => n > 30), "events");
await events.click("#tail-pause");
for (const [name, page] of Object.entries({ page: light, "page-dark": dark, "page-phone": phone, "page-events": events })) {
	await page.bringToFront();
	await page.waitForTimeout(1500);
	fs.writeFileSync(path.join(folder, `${name}.png`), shrink(await page.screenshot()));
}
going = false;
await busy;
await browser.close();
await server.stop();
