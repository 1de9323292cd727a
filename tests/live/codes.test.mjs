// SPDX-License-Identifier: MIT
// Every refusal: pusher:error first, then the close frame with the same number.
import assert from "node:assert/strict";
import { test } from "node:test";
import { APP, live, until } from "./harness.mjs";

live("codes", { apps: {
	main: APP,
	off: { id: "2", key: "off-key", secret: "s", enabled: "no" },
	small: { id: "3", key: "small-key", secret: "s", max_connections: 2 },
	origin: { id: "4", key: "origin-key", secret: "s", allowed_origins: ["good.example", "*.wild.example", "LOCALHOST"] },
	tiny: { id: "5", key: "tiny-key", secret: "s", max_message_size: 1000 },
} }, (s) => {
	const refused = async (options, ...why) => (await s.server.open(options)).refused(...why);

	test("4001 no such application", async () => {
		await refused({ key: "nobody" }, 4001, "Application does not exist");
		await refused({ key: "%00" }, 4001);
		await refused({ key: APP.secret }, 4001);
	});

	test("4003 application disabled; its API is 403", async () => {
		await refused({ key: "off-key" }, 4003, "Application disabled");
		const { status } = await s.server.get("/channels", {}, { app: { id: "2", key: "off-key", secret: "s" } });
		assert.equal(status, 403);
	});

	test("4004 over the quota, over all workers; room again when one leaves", async () => {
		const app = { id: "3", key: "small-key", secret: "s" };
		const [a, b] = [await s.server.connect({ app }), await s.server.connect({ app })];
		for (let i = 0; i < 6; i++)
			await refused({ app }, 4004, "Application is over connection quota");
		await a.kill();
		const c = await until(async () => {
			const next = await s.server.open({ app });
			const hello = await next.next();
			return hello.event === "pusher:connection_established" && next;
		}, "a free place");
		await refused({ app }, 4004);
		await b.ping();
		await c.ping();
	});

	test("4009 origin: hosts, wildcards with any depth, case, none at all", async () => {
		const app = { id: "4", key: "origin-key", secret: "s" };
		for (const origin of ["http://good.example", "https://good.example:8443", "https://GOOD.example",
		    "https://a.wild.example", "http://a.b.wild.example", "http://localhost:3000"])
			await s.server.connect({ app, origin });
		for (const origin of ["http://bad.example", "http://wild.example", "http://xwild.example", "http://good.example.evil.example",
		    "http://evil.example/good.example", "null", "good.example", "", undefined, "http://good.example@evil.example"])
			await refused({ app, origin }, 4009, "Origin not allowed");
	});

	test("1009 message over the limit; exactly at the limit is served", async () => {
		const app = { id: "5", key: "tiny-key", secret: "s" };
		const text = (n) => { const head = '{"event":"pusher:ping","data":"'; return head + "x".repeat(n - head.length - 2) + '"}'; };
		const c = await s.server.connect({ app });
		c.send(text(1000));
		await c.expect("pusher:pong");
		c.send(text(1001));
		await c.closed(1009, "Maximum message size exceeded");
	});

	test("4301 and 4302 never close; 4200 as an answer does not either", async () => {
		const c = await s.server.connect();
		c.send("garbage");
		await c.expectError(4200, "Invalid message format");
		await c.ping();
	});
});
