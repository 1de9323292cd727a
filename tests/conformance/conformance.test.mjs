// SPDX-License-Identifier: MIT
//
// RFC 6455 and 7692, 517 cases, numbered as the Autobahn TestSuite numbers them.
// 514 must pass to the letter; 3 are informational: any end of the connection
// is right.
//
//	PEALD_ECHO=build/tests/peald-echo node conformance.test.mjs
//	CASES=6.4 ... only those whose number starts so
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import framing from "./01-framing.mjs";
import fragments from "./05-fragments.mjs";
import utf8 from "./06-utf8.mjs";
import close from "./07-close.mjs";
import large from "./09-large.mjs";
import compressed from "./12-compressed.mjs";
import { play } from "./steps.mjs";

const all = [...framing, ...fragments, ...utf8, ...close, ...large, ...compressed];
const only = process.env.CASES;
const cases = only ? all.filter(({ id }) => `${id}.`.startsWith(`${only}.`)) : all;
const program = process.env.PEALD_ECHO ?? "tests/peald-echo";
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-conformance-"));
let server, port;
const passed = { strict: 0, informational: 0 };

const settings = `[peal]
workers = 1
control = ${dir}/control.sock
drain_timeout = 0
${process.getuid() === 0 ? "user = nobody" : ""}
[listen]
address = 127.0.0.1:0
[websocket]
max_fragments = 100000
max_backlog = 64m
compression_threshold = 0
[app echo]
id = 1
key = key
secret = secret
max_message_size = 17m
`;

/** Starts the server; resolves with its port when it is ready. */
function start() {
	fs.writeFileSync(`${dir}/peal.ini`, settings, { mode: 0o600 });
	server = spawn(program, ["-c", `${dir}/peal.ini`], { cwd: "/", stdio: ["ignore", "pipe", "pipe"] });
	server.log = "";
	server.gone = new Promise((resolve) => server.once("close", (code, signal) => resolve(signal ?? code)));
	return new Promise((resolve, reject) => {
		const read = (data) => {
			server.log += data;
			const at = /listening address=127\.0\.0\.1:(\d+)/.exec(server.log);
			if (at && /master: ready\b/.test(server.log))
				resolve(Number(at[1]));
		};
		server.stdout.on("data", read);
		server.stderr.on("data", read);
		server.on("error", reject);
		server.gone.then((status) => reject(new Error(`${program} ended with ${status}:\n${server.log}`)));
	});
}

before(async () => { port = await start(); });

after(async () => {
	console.log(`# ${passed.strict} strict, ${passed.informational} informational, ` +
	    `${cases.length - passed.strict - passed.informational} failed`);
	server.kill("SIGTERM");
	assert.equal(await server.gone, 0, server.log);
	assert.doesNotMatch(server.log, /Sanitizer|runtime error|died|fatal/);
	fs.rmSync(dir, { recursive: true, force: true });
});

test("the list is complete", () => {
	assert.equal(all.length, 517);
	assert.equal(new Set(all.map(({ id }) => id)).size, 517);
	assert.equal(all.filter((c) => c.informational).length, 3);
});

for (const c of cases)
	test(`${c.id} ${c.what}`, async () => {
		await play(port, c);
		passed[c.informational ? "informational" : "strict"]++;
	});
