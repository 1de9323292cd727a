// SPDX-License-Identifier: MIT
// Settings that doc/LARAVEL, doc/WEBHOOKS, doc/RUNNING and README show are good ones;
// variables, options and verbs of doc/LARAVEL are those of the programs; what it shows
// of Echo works.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { APP, Server, patience, peald, pealctl } from "./harness.mjs";
import { certificate } from "./targets.mjs";

const text = (name) => fs.readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), "utf8");
const doc = text("doc/LARAVEL");
const run = (file, ...args) => promisify(execFile)(file, args, { env: { ...process.env, AUDIT_TOKEN: "token", AUDIT_SECRET: "secret" } })
    .catch((error) => error);
const SECTIONS = /^ {4}\[(peal|listen|http|websocket|router|metrics|page|courier|webhook|backplane|rooms|app)( [a-z]+)?\]$/;

test("each piece of peal.ini is good beside a site's .env", async (t) => {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-doc-")), { file } = certificate();
	t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
	fs.writeFileSync(path.join(dir, ".env"),
	    "REVERB_APP_ID=1\nREVERB_APP_KEY=site-key\nREVERB_APP_SECRET=site-secret\nREVERB_SERVER_PORT=8080\n");
	const pieces = ["doc/LARAVEL", "doc/WEBHOOKS", "doc/RUNNING", "README"].flatMap((name) => text(name).split(/\n\n+/))
	    .filter((p) => SECTIONS.test(p.split("\n")[0]));
	assert.ok(pieces.length >= 24, `${pieces.length} pieces`);
	for (const [i, piece] of pieces.entries()) {
		const ini = path.join(dir, `${i}.ini`);
		// Words beside a line explain it; what a site has to put in is put in.
		const lines = piece.split("\n").filter((line) => /^ {4}\S/.test(line)).map((line) => line.slice(4).replace(/ {3,}.*/, ""));
		fs.writeFileSync(ini, lines.join("\n").replace(/^token = \.\.\.$/m, "token = 0123456789abcdef").replace(/^app = shop$/m, "app = reverb")
		    .replace(/^key = second-key$/m, "key = site-key")
		    .replace(/^(?=\[listen metrics\])/, "[listen]\naddress = 127.0.0.1:8080\n\n")
		    .replace(/^certificate = .*/m, `certificate = ${file}`)
		    .replace(/^certificate_key = .*/m, `certificate_key = ${path.join(path.dirname(file), "key.pem")}`));
		const { stdout, stderr, code } = await run(peald, "-c", ini, "--env-file", path.join(dir, ".env"), "--check");
		assert.equal(code, undefined, `${piece}\n${stderr}`);
		assert.match(stdout, /settings are good/);
	}
});

test("variables: all of the manual's, and no others", async () => {
	const names = (text) => new Set(text.match(/\b(REVERB|REDIS)_[A-Z_]*[A-Z]\b/g));
	const manual = names((await run(peald, "--manual")).stdout);
	const have = names(doc.slice(doc.indexOf("\n5. .env"), doc.indexOf("\n6. TLS")));
	// Laravel's own, which Peal does not read.
	for (const other of ["REVERB_PORT", "REVERB_SCHEME"])
		assert.ok(have.delete(other));
	assert.deepEqual([...have].sort(), [...manual].sort());
	// VITE_ and PULSE_ begin other words, so that they are not seen here.
	for (const name of names(doc))
		assert.ok(manual.has(name) || ["REVERB_PORT", "REVERB_SCHEME"].includes(name), name);
});

test("options and verbs", async () => {
	const [server, control] = await Promise.all([run(peald, "--help"), run(pealctl, "help")]);
	for (const [, line] of doc.matchAll(/^ .*\bpeald ((?:-[^\n]*)+)/gm))
		for (const option of line.split(/ {3,}/)[0].match(/--[a-z][a-z-]*/g) ?? [])
			assert.ok(server.stdout.includes(option), `peald ${option}`);
	const verbs = [...doc.matchAll(/pealctl (?:--json )?([a-z]+)/g)].map((m) => m[1]);
	assert.ok(verbs.length > 10);
	for (const verb of new Set(verbs))
		assert.match(control.stdout, new RegExp(`^ +${verb}\\b`, "m"), `pealctl ${verb}`);
});

/** In a process that trusts the certificate: a page and a site, as they are written. */
const page = (echo) => `
	import Echo from "laravel-echo";
	import Pusher from "pusher-js";
	import PusherServer from "pusher";
	globalThis.window = globalThis;
	window.Pusher = Pusher;
${echo.replaceAll("import.meta.env", "process.env")}
	const { REVERB_APP_ID, REVERB_APP_KEY, REVERB_APP_SECRET, REVERB_HOST, REVERB_PORT } = process.env;
	const site = new PusherServer({ appId: REVERB_APP_ID, key: REVERB_APP_KEY, secret: REVERB_APP_SECRET,
		host: REVERB_HOST, port: REVERB_PORT, useTLS: true });
	const channel = window.Echo.channel("orders");
	channel.listen(".shipped", (data) => {
		console.log(JSON.stringify({ data, url: window.Echo.connector.pusher.connection.connection.transport.socket.url }));
		process.exit();
	});
	channel.error((error) => { throw new Error(JSON.stringify(error)); });
	channel.subscribed(() => site.trigger("orders", "shipped", { id: 5 }));
`;

test("Echo as it is shown, by TLS with a certificate's path", async () => {
	const { file } = certificate();
	const env = `REVERB_APP_ID=${APP.id}\nREVERB_APP_KEY=${APP.key}\nREVERB_APP_SECRET=${APP.secret}\n`;
	const server = await Server.start({ apps: {}, args: ["--env-file", ".env"], files: { ".env": env },
		listen: { certificate: file, certificate_key: path.join(path.dirname(file), "key.pem") } });
	try {
		const [echo] = doc.match(/^ {4}window\.Echo = [^]*?^ {4}\}\);/m);
		const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", page(echo)], {
			cwd: fileURLToPath(new URL("..", import.meta.url)), timeout: 60000 * patience,
			env: { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: file, ...Object.fromEntries(env.trim().split("\n").map((l) => l.split("="))),
				REVERB_HOST: "127.0.0.1", REVERB_PORT: `${server.port}`, VITE_REVERB_APP_KEY: APP.key,
				VITE_REVERB_HOST: "127.0.0.1", VITE_REVERB_PORT: `${server.port}` } });
		const { data, url } = JSON.parse(stdout.trim().split("\n").at(-1));
		assert.deepEqual(data, { id: 5 });
		assert.ok(url.startsWith(`wss://127.0.0.1:${server.port}/app/`), url);
	} finally {
		await server.stop();
	}
});
