// SPDX-License-Identifier: MIT
// The live page without a browser: its files, who may log in, what its WebSocket
// answers, and what becomes of it at a reload or a crash.  tests/page/live.test.mjs
// is the page itself.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import WebSocket from "ws";
import { Client, patience, pealctl, Server, unique, until, within } from "./harness.mjs";

const TOKEN = "correct horse battery staple";
const PAGE = { enabled: "yes", token: TOKEN };

/** A viewer that may not be logged in yet. */
const knock = (server, { at = "/peal/ws", address = server.address, ...more } = {}) =>
	Client.open(server, { url: `ws://${address}${server.prefix}${at}`, ...more });

class Viewer {
	#last = 0;

	static async open(server, options) {
		const v = new Viewer();
		v.client = await knock(server, options);
		v.client.send({ do: "login", token: TOKEN });
		v.greeting = await v.client.next("greeting");
		assert.equal(v.greeting.ok, true, JSON.stringify(v.greeting));
		return v;
	}

	/** Sends; gives the id. */
	say(what) {
		this.client.send({ id: ++this.#last, ...what });
		return this.#last;
	}

	/** A verb of the router: { rows, last }. */
	async ask(line) {
		const id = this.say({ do: "ask", line }), rows = [];
		for (;;) {
			const m = await this.client.next(`answer to ${JSON.stringify(line)}`);
			if (m.id !== id)
				continue;
			if (m.end)
				return { rows, last: m };
			rows.push(...m.rows);
		}
	}

	/** The same, asked again while the router is not there yet; it must be good. */
	async good(line) {
		const answer = await until(async () => {
			const one = await this.ask(line);
			return one.last.again ? null : one;
		}, `an answer to ${JSON.stringify(line)}`);
		assert.equal(answer.last.ok, true, JSON.stringify(answer.last));
		return answer;
	}

	close() { this.client.socket.close(); }
}

/** Status of a handshake that is refused. */
const refused = (server, { headers, address = server.address } = {}) => within(new Promise((resolve, reject) => {
	const socket = new WebSocket(`ws://${address}${server.prefix}/peal/ws`, { headers });
	socket.on("unexpected-response", (request, response) => { resolve(response.statusCode); request.destroy(); });
	socket.on("open", () => reject(new Error("it was let in")));
	socket.on("error", () => {});
}), "a refused handshake");

const edit = (server, from, to) => {
	const text = fs.readFileSync(server.ini, "utf8");
	assert.match(text, from);
	fs.writeFileSync(server.ini, text.replace(from, to));
};
const reload = (server) => new Promise((resolve, reject) => {
	execFile(pealctl, ["-s", server.control, "reload"], { timeout: 60000 * patience },
	    (error, out, err) => (error ? reject(new Error(out + err)) : resolve(out)));
});
async function running(options, define) {
	const server = await Server.start({ page: PAGE, ...options });
	try {
		// It is ready when its listeners are; the router may take a moment more.
		await until(async () => (await server.ask({ verb: "hosts" })).at(-1).ok, "the router");
		await define(server);
	} finally {
		await server.stop();
	}
}

describe("files", () => {
	let server;
	before(async () => { server = await Server.start({ page: PAGE }); });
	after(() => server?.stop());

	test("without enabled = yes there is no page", () => running({ page: { token: TOKEN } }, async (off) => {
		for (const name of ["/peal", "/peal/", "/peal/page.js"])
			assert.equal((await off.request("GET", name)).status, 404);
		assert.equal(await refused(off), 404);
	}));

	test("all of them, as they are in the source", async () => {
		const types = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8" };
		const source = new URL("../../src/page/", import.meta.url);
		const names = fs.readdirSync(source).filter((name) => /\.(html|css|js)$/.test(name));
		assert.ok(names.length >= 3);
		for (const name of names) {
			const { status, text, headers } = await server.request("GET", `/peal/${name === "index.html" ? "" : name}`);
			assert.equal(status, 200, name);
			assert.equal(headers["content-type"], types[name.split(".").pop()]);
			assert.equal(text, fs.readFileSync(new URL(name, source), "utf8"));
			assert.ok(!text.includes(TOKEN));
		}
	});

	test("with headers that leave no way for anything but themselves", async () => {
		for (const name of ["", "page.js", "page.css", "nothing"]) {
			const { headers } = await server.request("GET", `/peal/${name}`);
			assert.equal(headers["content-security-policy"], "default-src 'none'; script-src 'self'; style-src 'self'; " +
			    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
			assert.equal(headers["x-content-type-options"], "nosniff");
			assert.equal(headers["referrer-policy"], "no-referrer");
			assert.equal(headers["cache-control"], "no-store");
		}
	});

	test("HEAD, other methods, other names", async () => {
		const head = await server.request("HEAD", "/peal/page.css");
		assert.equal(head.status, 200);
		assert.equal(head.text, "");
		assert.equal((await server.request("POST", "/peal/", "{}")).status, 405);
		for (const name of ["/peal/../peal/", "/peal/page.mjs", "/peal/page.js/", "/peal/index.htm", "/pealx"])
			assert.equal((await server.request("GET", name)).status, 404, name);
	});

	test("the slash that was left out is led to", async () => {
		const { status, headers } = await server.request("GET", "/peal");
		assert.equal(status, 302);
		assert.equal(headers.location, "peal/");
	});

	test("Chart.js from the file in the settings, or not at all", async () => {
		const file = { "charts.js": "window.Chart = 1;" };
		await running({ files: file, page: { ...PAGE, charts: "charts.js" } }, async (s) => {
			const { status, text, headers } = await s.request("GET", "/peal/chart.js");
			assert.equal(status, 200);
			assert.equal(text, file["charts.js"]);
			assert.match(headers["content-type"], /javascript/);
			assert.equal((await Viewer.open(s)).greeting.charts, true);
		});
		for (const charts of ["missing.js", "/dev/zero", ".", "large.js"])
			await running({ files: { "large.js": " ".repeat((2 << 20) + 1) }, page: { ...PAGE, charts } }, async (s) => {
				assert.equal((await s.request("GET", "/peal/chart.js")).status, 404, charts);
				assert.equal((await s.request("GET", "/peal/")).status, 200);
				assert.equal((await Viewer.open(s)).greeting.charts, false);
			});
	});

	test("behind http.path, and at a path of its own", async () => {
		await running({ http: { path: "/live" }, page: { ...PAGE, path: "/look/" } }, async (s) => {
			assert.equal((await s.request("GET", "/live/look/")).status, 200);
			assert.equal((await s.request("GET", "/look/")).status, 404);
			assert.equal((await s.request("GET", "/live/peal/")).status, 404);
			await Viewer.open(s, { at: "/look/ws" });
		});
	});

	test("at addresses of its own it is served there and nowhere else", async () => {
		await running({ page: { ...PAGE, address: "127.0.0.1:0" } }, async (s) => {
			const status = await Promise.all(s.addresses.map(async (address) => {
				const [page, app] = [await s.request("GET", "/peal/", "", { address }),
					await s.request("GET", `/apps/${s.app.id}/channels`, "", { address })];
				return `${page.status} ${app.status}`;
			}));
			assert.deepEqual(status.sort(), ["200 404", "404 401"]);
			const own = s.addresses[status.indexOf("200 404")] ?? s.addresses[1];
			const places = await Promise.all(s.addresses.map((address) =>
				Viewer.open(s, { address }).then(() => "in", () => "out")));
			assert.deepEqual(places.sort(), ["in", "out"]);
			assert.ok(own);
		});
	});
});

describe("who may", () => {
	test("the token opens; the greeting says what there is", () => running({
		apps: { shop: { id: "1", key: "k1", secret: "s1" }, chat: { id: "2", key: "k2", secret: "s2" } },
	}, async (server) => {
		const { greeting } = await Viewer.open(server);
		assert.deepEqual(greeting.apps, [{ id: "1", label: "shop" }, { id: "2", label: "chat" }]);
		assert.equal(greeting.actions, true);
		assert.equal(greeting.worker, 1);
		assert.match(greeting.version, /^\d+\.\d+/);
		await server.logged(/page login/);
	}));

	test("a wrong token does not, is told of in the log, and stands nowhere", () => running({}, async (server) => {
		const v = await knock(server);
		v.send({ do: "login", token: "incorrect horse" });
		const { ok, error } = await v.next();
		assert.equal(ok, false);
		assert.equal(error, "Wrong token.");
		await v.closed(1008);
		await server.logged(/page login refused.*wrong token/);
		assert.ok(!server.log.includes("incorrect horse") && !server.log.includes(TOKEN), server.log);
	}));

	test("before login nothing else is answered", () => running({}, async (server) => {
		for (const first of [{ do: "watch" }, { id: 1, do: "ask", line: { verb: "channels" } }, "{", "", { do: "login" },
		    { do: "login", token: 7 }, { do: "login", token: null }]) {
			const v = await knock(server);
			v.send(first);
			await v.closed(1008);
			assert.deepEqual(v.frames, [], JSON.stringify(first));
		}
		const binary = await knock(server);
		binary.send(Buffer.from([1, 2]));
		await binary.closed(1003);
		const long = await knock(server);
		long.send({ do: "login", token: "x".repeat(5000) });
		await long.closed(1009);
	}));

	test("after three wrong ones an address waits, longer and longer", () => running({}, async (server) => {
		const attempt = async (token) => {
			const v = await knock(server);
			v.send({ do: "login", token });
			return v.next();
		};
		let answers, early, last;
		// Not even the right one is looked at, as long as the wait lasts.  (If it
		// was over, all begins anew.)
		await until(async () => {
			answers = [];
			for (let i = 0; i < 3; i++)
				answers.push(await attempt(`wrong ${i}`));
			assert.ok(!answers[0].wait && !answers[1].wait, JSON.stringify(answers));
			assert.ok(answers[2].wait > 0);
			early = await attempt(TOKEN);
			return !early.ok;
		}, "the right token to be too early");
		assert.match(early.error, /Too many attempts/);
		await until(async () => (last = await attempt("wrong again")).error === "Wrong token.", "the wait to end");
		assert.ok(last.wait > answers[2].wait, JSON.stringify([answers[2], last]));
		await until(async () => (await attempt(TOKEN)).ok, "the right token to be looked at");
		assert.equal((await attempt("wrong after it")).wait, undefined);
	}));

	test("guesses from very many addresses do not keep out who was here before", () => running({
		http: { trusted_proxies: "127.0.0.1" },
	}, async (server) => {
		const attempt = async (from, token) => {
			const v = await knock(server, { headers: { "X-Forwarded-For": from } });
			v.send({ do: "login", token });
			const answer = await v.next();
			v.socket.close();
			return answer;
		};
		const me = "198.51.100.7";
		await until(async () => (await attempt(me, TOKEN)).ok, "the first login");
		for (let round = 0; round < 4; round++) {
			const guesses = await Promise.all(Array.from({ length: 40 }, (_, i) => attempt(`${i + 1}.${round}.0.1`, "a guess")));
			assert.ok(guesses.every((g) => g.ok === false), JSON.stringify(guesses));
			assert.equal((await attempt(me, TOKEN)).ok, true);
		}
	}));

	test("pages of other sites are refused, those of the settings are not", async () => {
		await running({}, async (server) => {
			assert.equal(await refused(server, { headers: { Origin: "https://evil.example" } }), 403);
			assert.equal(await refused(server, { headers: { Origin: "null" } }), 403);
			assert.equal(await refused(server, { headers: { Origin: "http://127.0.0.1.evil.example" } }), 403);
			await Viewer.open(server, { origin: `http://${server.address}` });
			await Viewer.open(server, { origin: "http://127.0.0.1" });
		});
		await running({ page: { ...PAGE, allowed_origins: "admin.example" } }, async (server) => {
			assert.equal(await refused(server, { headers: { Origin: `http://${server.address}` } }), 403);
			assert.equal(await refused(server), 403);
			await Viewer.open(server, { origin: "https://admin.example" });
		});
	});

	test("addresses that are not in allow see nothing", () => running({
		page: { ...PAGE, allow: "192.0.2.0/24" }, http: { trusted_proxies: "127.0.0.1" },
	}, async (server) => {
		assert.equal((await server.request("GET", "/peal/")).status, 403);
		assert.equal(await refused(server), 403);
		const headers = { "X-Forwarded-For": "192.0.2.7" };
		assert.equal((await server.request("GET", "/peal/", "", { headers })).status, 200);
		await Viewer.open(server, { headers });
	}));

	test("no more than max_viewers", () => running({ page: { ...PAGE, max_viewers: 1 } }, async (server) => {
		const first = await Viewer.open(server);
		const second = await knock(server);
		second.send({ do: "login", token: TOKEN });
		assert.match((await second.next()).error, /Too many viewers/);
		await second.closed(1013);
		first.close();
		await until(() => Viewer.open(server).then(() => true, () => false), "the place to be free");
	}));

	test("a viewer is no client of any application", () => running({ app: { max_connections: 1 } }, async (server) => {
		const v = await Viewer.open(server);
		const c = await server.connect();
		await c.subscribe("news");
		assert.deepEqual((await server.get("/connections")).json, { connections: 1 });
		assert.equal((await v.good({ verb: "channels" })).rows.length, 1);
		v.close();
	}));
});

describe("questions", () => {
	let server, v;
	before(async () => {
		server = await Server.start({ page: PAGE, workers: 2 });
		v = await Viewer.open(server);
	});
	after(() => server?.stop());

	test("channels, and a part of the name", async () => {
		const c = await server.connect(), [a, b] = [unique("left"), unique("right")];
		await c.subscribe(a);
		await c.subscribe(b);
		const all = await v.good({ verb: "channels" });
		assert.deepEqual(all.rows.map((r) => r.channel).sort(), [a, b].sort());
		assert.equal(all.last.total, 2);
		const some = await v.good({ verb: "channels", match: "igh" });
		assert.deepEqual(some.rows.map((r) => [r.channel, r.subscriptions]), [[b, 1]]);
		c.socket.close();
	});

	/** Of all workers: one that has no time for two seconds is left out. */
	const whole = (line) => until(async () => {
		const answer = await v.good(line);
		return answer.last.missing ? null : answer;
	}, `an answer to ${JSON.stringify(line)}`);

	test("users of a presence channel, and single connections", async () => {
		const name = unique("presence"), c = await server.connect();
		await c.subscribe(name, { user_id: "u1", user_info: { name: "Ada" } });
		const users = await v.good({ verb: "users", channel: name });
		assert.deepEqual(users.rows.map((r) => r.id), ["u1"]);
		const { rows, last } = await whole({ verb: "inspect", channel: name });
		assert.equal(last.total, 1);
		assert.equal(rows[0].socket_id, c.id);
		assert.deepEqual((await whole({ verb: "inspect", socket: c.id })).rows.map((r) => r.channels), [1]);
		c.socket.close();
	});

	test("hosts and backplane", async () => {
		assert.equal((await v.good({ verb: "backplane" })).last.driver, "none");
		await v.good({ verb: "hosts" });
	});

	test("what is not on the list, or not of its kind, does not reach the router", async () => {
		const bad = { verb: "channels", limit: -1 };
		for (const line of [{ verb: "connections" }, { verb: "status" }, { verb: "stop" }, {}, [], "channels", null, 7, bad,
		    { verb: "channels", limit: "9" }, { verb: "channels", limit: 1e9 }, { verb: "channels", prefix: 7 },
		    { verb: "channels", match: "x".repeat(1001) }, { verb: "users" }, { verb: "tail", kinds: ["all"] },
		    { verb: "tail", kinds: "published" }, { verb: "tail", data: 1e6 }, { verb: "inspect", slow: 1 },
		    { verb: "publish", channel: "c", event: "e" }, { verb: "publish", channel: "no spaces", event: "e", data: "d" },
		    { verb: "publish", channel: "c", event: "", data: "d" }, { verb: "kick", user: "u" }, { verb: "terminate" }]) {
			const { last } = await v.ask(line);
			assert.equal(last.ok, false, JSON.stringify(line));
			assert.equal(typeof last.error, "string");
		}
		const id = v.say({ do: "dance" });
		assert.equal((await v.client.next()).id, id);
		v.client.send("not JSON");
		assert.equal((await v.client.next()).ok, false);
	});

	test("no more than eight at a time; stop ends one", async () => {
		const other = await Viewer.open(server), ids = [];
		for (let i = 0; i < 8; i++)
			ids.push(other.say({ do: "ask", line: { verb: "tail", channel: "nothing-here" } }));
		assert.match((await other.ask({ verb: "channels" })).last.error, /too many/);
		other.client.send({ id: ids[0], do: "stop" });
		assert.deepEqual(await other.client.next(), { id: ids[0], end: true, ok: true });
		await other.good({ verb: "channels" });
		other.client.send({ id: ids[1], do: "ask", line: { verb: "channels" } });
		assert.match((await other.client.next()).error, /in use/);
		other.close();
	});

	test("a tail shows what passes, as it was said", async () => {
		const other = await Viewer.open(server), name = unique("tail");
		const c = await server.connect();
		const id = other.say({ do: "ask", line: { verb: "tail", channel: `${name}*`, kinds: ["published", "occupied"], data: 20 } });
		// The tail is there when what was asked behind it is answered.
		await other.good({ verb: "hosts" });
		await c.subscribe(name);
		const odd = "</script><img src=x onerror=alert(1)>\u2028\u0000";
		await server.publish(name, "an event", odd);
		const rows = [];	// of two workers, in any order
		while (rows.length < 2) {
			const m = await other.client.next("rows of a tail");
			assert.equal(m.id, id);
			rows.push(...m.rows);
		}
		assert.deepEqual(rows.map((r) => r.kind).sort(), ["occupied", "published"]);
		const row = rows.find((r) => r.kind === "published");
		assert.equal(row.channel, name);
		assert.equal(row.event, "an event");
		assert.equal(typeof row.data, "string");
		assert.ok(row.data.length <= 20);
		other.close();
		c.socket.close();
	});

	test("publish arrives; kick and terminate close; each is a line in the log", async () => {
		const name = unique(), [a, b] = await server.crowd(2);
		await a.subscribe(name);
		await b.signin({ id: "marked" });
		await v.good({ verb: "publish", channel: name, event: "test", data: '{"a":1}' });
		assert.equal((await a.expect("test", name)).data, '{"a":1}');
		const { closed, missing } = (await v.good({ verb: "kick", socket: a.id })).last;
		assert.ok(closed === 1 || missing, "the connection is found");
		await a.closed(4009);
		await v.good({ verb: "terminate", user: "marked" });
		await b.closed(4009);
		for (const verb of ["publish", "kick", "terminate"])
			await server.logged(new RegExp(`page action.*${verb}`));
		assert.ok(!/page action[^\n]*"a":1/.test(server.log));
	});

	test("one that says too much goes", async () => {
		const other = await Viewer.open(server);
		for (let i = 0; i < 1000; i++)
			other.client.send({ do: "unwatch" });
		for (let i = 0; i < 1000; i++)
			other.client.send({ do: "nothing" });
		await other.client.closed(1008);
	});

	test("actions = no: nothing is changed", () => running({ page: { ...PAGE, actions: "no" } }, async (quiet) => {
		const w = await Viewer.open(quiet);
		assert.equal(w.greeting.actions, false);
		for (const line of [{ verb: "publish", channel: "c", event: "e", data: "d" }, { verb: "terminate", user: "u" },
		    { verb: "kick", socket: "1.2" }])
			assert.match((await w.ask(line)).last.error, /not allowed/);
		await w.good({ verb: "channels" });
	}));
});

describe("reports", () => {
	test("each second for who watches, one for who asks", () => running({}, async (server) => {
		const v = await Viewer.open(server), id = v.say({ do: "report" });
		const one = await v.client.next("a report");
		assert.equal(one.id, id);
		assert.equal(one.report.workers.length, 1);
		v.client.send({ do: "watch" });
		// At the turn of a second the first may come twice: it is fresh yet.
		const times = [];
		for (let i = 0; i < 10 && new Set(times).size < 3; i++)
			times.push((await v.client.next("reports")).report.time);
		assert.equal(new Set(times).size, 3, String(times));
		assert.deepEqual(times, [...times].sort((a, b) => a - b));
		v.client.send({ do: "unwatch" });
		await v.good({ verb: "hosts" });
		const text = JSON.stringify(one);
		assert.ok(!text.includes(TOKEN) && !text.includes(server.app.secret));
	}));

	test("all viewers of a worker hear the same one", () => running({}, async (server) => {
		const all = await Promise.all([1, 2, 3].map(() => Viewer.open(server)));
		for (const v of all)
			v.client.send({ do: "watch" });
		// One begins to watch after the other, and who asks makes one more.
		const heard = all.map(() => new Set());
		const common = () => [...heard[0]].filter((time) => heard.every((other) => other.has(time)));
		for (let i = 0; i < 10 && common().length < 2; i++)
			for (const [k, v] of all.entries())
				heard[k].add((await v.client.next("reports")).report.time);
		assert.ok(common().length >= 2, JSON.stringify(heard.map((times) => [...times])));
	}));
});

describe("what happens to it", () => {
	test("a reload that replaces the processes sends it away (1012), and it comes back", () => running({ workers: 2 }, async (server) => {
		const all = await Promise.all(Array.from({ length: 6 }, () => Viewer.open(server)));
		const c = await server.connect();
		await c.subscribe("news");
		all[0].say({ do: "ask", line: { verb: "tail" } });
		all[1].client.send({ do: "watch" });
		edit(server, /^workers = 2$/m, "workers = 3");
		await reload(server);
		for (const v of all)
			await v.client.closed(1012);
		await until(async () => (await server.ctl("status")).phase === "idle", "the old processes to go");
		await (await Viewer.open(server)).good({ verb: "channels" });
		await server.publish("news", "still", "1");
		await c.expect("still", "news");
	}));

	test("another token, or none: who had the old one goes", () => running({}, async (server) => {
		const v = await Viewer.open(server);
		edit(server, /^max_connections_per_address.*$|$/m, "\n");
		await reload(server);
		await v.good({ verb: "channels" });	// nothing that concerns it
		edit(server, new RegExp(`^token = ${TOKEN}$`, "m"), "token = another horse for the page");
		await reload(server);
		await v.client.closed(1008);
		const w = await knock(server);
		w.send({ do: "login", token: TOKEN });
		assert.equal((await w.next()).ok, false);
		const x = await knock(server);
		x.send({ do: "login", token: "another horse for the page" });
		assert.equal((await x.next()).ok, true);
		edit(server, /^enabled = yes$/m, "enabled = no");
		await reload(server);
		await x.closed(1012);
		assert.equal(await refused(server), 404);
	}));

	test("its worker dies: another one serves it", () => running({ workers: 2 }, async (server) => {
		const v = await Viewer.open(server);
		server.allow(/worker|child|router/);
		process.kill(server.pids(`peald: worker ${v.greeting.worker}`)[0], "SIGKILL");
		await within(v.client.end, "the connection to break");
		await (await Viewer.open(server)).good({ verb: "hosts" });
	}));

	test("the router dies: what is open ends with words, and can be asked again", () => running({}, async (server) => {
		const v = await Viewer.open(server), id = v.say({ do: "ask", line: { verb: "tail" } });
		await v.good({ verb: "hosts" });
		server.allow(/router|child/);
		process.kill(server.pids("peald: router")[0], "SIGKILL");
		const end = await v.client.next("the end of the tail");
		assert.deepEqual([end.id, end.end, end.ok], [id, true, false]);
		assert.match(end.error, /router/);
		await until(async () => (await v.ask({ verb: "channels" })).last.ok, "the new router");
	}));

	test("one that does not read: reports are left out, others are served", () => running({}, async (server) => {
		const slow = await Viewer.open(server), quick = await Viewer.open(server), c = await server.connect();
		await c.subscribe("flood");
		slow.say({ do: "ask", line: { verb: "tail", data: 10000 } });
		slow.client.send({ do: "watch" });
		await slow.good({ verb: "hosts" });
		slow.client.socket._socket.pause();
		const data = "x".repeat(8000);
		for (let i = 0; i < 600; i++)
			await server.publish("flood", "e", data);
		await quick.good({ verb: "hosts" });
		slow.client.socket._socket.resume();
		let dropped = 0, shown = 0;
		await server.publish("flood", "last", "1");
		const told = (m) => { for (const r of m.rows ?? []) r.dropped ? (dropped += r.dropped) : r.kind === "published" && shown++; };
		while (dropped + shown < 601) {
			told(await slow.client.next("rows"));
			if (dropped + shown < 601 && !slow.client.frames.length)
				await server.publish("flood", "more", "1");
			if (slow.client.frames.length > 5000)
				break;
		}
		assert.ok(dropped > 0, `${shown} shown`);
		assert.equal(slow.client.ended, undefined);
	}));
});
