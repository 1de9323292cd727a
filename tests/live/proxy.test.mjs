// SPDX-License-Identifier: MIT
// Behind nginx and HAProxy: the very files of contrib, with ports and paths of
// our own; and what a PROXY header or an X-Forwarded-For can do and cannot.
import assert from "node:assert/strict";
import fs from "node:fs";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import Pusher from "pusher";
import PusherJs from "pusher-js";
import { Server, live, patience, unique, until, within } from "./harness.mjs";
import { Proxy, ca, chain, dir, key, noHaproxy, noNginx } from "./proxies.mjs";

/** A WebSocket through a proxy's TLS; from: the client's own address. */
const through = (server, address, { from, headers } = {}) =>
	server.connect({ url: server.url({ scheme: "wss", address }), headers,
	    wsOptions: { ca, ...(from ? { localAddress: from } : {}) } });

/** Its handshake is answered with this status, or (direct) not at all. */
const refused = (promise, status) => assert.rejects(promise,
    status ? new RegExp(`server response: ${status}`) : undefined);

const get = (address, target, options = {}) => within(new Promise((resolve, reject) => {
	const at = address.lastIndexOf(":");
	https.get({ host: address.slice(0, at), port: address.slice(at + 1), path: target, ca, agent: false, ...options }, (res) => {
		res.resume();
		res.on("end", () => resolve(res.statusCode));
	}).on("error", reject);
}), target);

const healthy = (address) => until(() => get(address, "/up").then((status) => status === 200, () => false), "/up through the proxy");

// ---- all of them ---------------------------------------------------------------

/** A pusher-js client and a pusher server library, both through the proxy. */
async function withRealClients(server, address) {
	const port = Number(address.split(":").at(-1));
	// pusher-js for Node finds no certificate of ours: its own WebSocket here.
	const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
	process.removeAllListeners("warning");
	process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
	const client = new PusherJs(server.app.key, { cluster: "", wsHost: "localhost", wssPort: port, wsPort: port, forceTLS: true,
	    enabledTransports: ["ws", "wss"], disableStats: true });
	try {
		const channel = unique("real");
		const heard = new Promise((resolve) => client.subscribe(channel).bind("e", resolve));
		await within(new Promise((resolve, reject) => {
			client.channel(channel).bind("pusher:subscription_succeeded", resolve);
			client.connection.bind("failed", () => reject(new Error("failed")));
		}), "pusher-js subscribed");
		const api = new Pusher({ appId: server.app.id, key: server.app.key, secret: server.app.secret, host: "localhost", port: String(port), useTLS: true });
		assert.equal((await api.trigger(channel, "e", { n: 1 })).status, 200);
		assert.deepEqual(await within(heard, "the event"), { n: 1 });
	} finally {
		client.disconnect();
		if (before === undefined)
			delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
		else
			process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
	}
}

/** What every proxy must do; over: the status of one client too many. */
async function works(server, address, over) {
	await healthy(address);
	// WebSocket, both ways, and signed calls through the proxy.
	const a = await through(server, address, { from: "127.0.0.5" });
	const channel = unique("private-p");
	await a.subscribe(channel);
	const call = await server.call("POST", `/apps/${server.app.id}/events`,
	    { name: "e", channel, data: "x".repeat(5000) }, { secure: true, address, tls: { ca } });
	assert.equal(call.status, 200, call.text);
	await a.expect("e", channel, "x".repeat(5000));
	await withRealClients(server, address);
	// Another address than the proxy's: two clients each.
	const b = await through(server, address, { from: "127.0.0.5" });
	await refused(through(server, address, { from: "127.0.0.5" }), over);
	const c = await through(server, address, { from: "127.0.0.6" });
	// What a client says of itself does not help it, nor hurt another.
	await refused(through(server, address, { from: "127.0.0.5", headers: { "X-Forwarded-For": "192.0.2.77" } }), over);
	const d = await through(server, address, { from: "127.0.0.6", headers: { "X-Forwarded-For": "127.0.0.5" } });
	await refused(through(server, address, { from: "127.0.0.6", headers: { "X-Forwarded-For": "192.0.2.78, 127.0.0.1" } }), over);
	await server.logged(/too many connections of one address from=127\.0\.0\.6 /);
	// A place that is given back can be taken.
	await b.close();
	await until(() => through(server, address, { from: "127.0.0.5" }).then(() => true, () => false), "a place again");
	for (const one of [a, c, d])
		await one.ping();
	await streams(server, address, over);
	// The log names the client.
	a.send({ event: "pusher:subscribe", data: { channel: "private-x", auth: `${server.app.key}:no` } });
	await server.logged(/refused signature of=channel name=private-x from=127\.0\.0\.5 /);
	assert.doesNotMatch(server.log, /from=192\.0\.2/);
}

/** As browsers do it where a proxy offers it: a WebSocket in HTTP/2 (RFC 8441). */
async function overHttp2(server, address) {
	const session = http2.connect(`https://${address}`, { ca });
	try {
		const settings = await within(new Promise((resolve, reject) => {
			session.on("remoteSettings", resolve);
			session.on("error", reject);
		}), "its settings");
		assert.equal(settings.enableConnectProtocol, true);
		const stream = session.request({ ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":authority": address,
		    ":path": `/app/${server.app.key}?protocol=7`, "sec-websocket-version": "13" });
		const text = await within(new Promise((resolve, reject) => {
			let all = "";
			stream.on("response", (headers) => { if (headers[":status"] !== 200) reject(new Error(`${headers[":status"]}`)); });
			stream.on("data", (part) => { all += part.toString("latin1"); if (all.includes("socket_id")) resolve(all); });
			stream.on("error", reject);
		}), "the greeting");
		assert.match(text, /pusher:connection_established/);
		stream.close();
	} finally {
		session.destroy();
	}
}

/** An event stream of a room: what came so far, and its end. */
const stream = (address, room, { from: localAddress, headers } = {}) => within(new Promise((resolve, reject) => {
	const at = address.lastIndexOf(":");
	const request = https.get({ host: address.slice(0, at), port: address.slice(at + 1), path: `/sse/${room}`, ca, agent: false, localAddress, headers }, (response) => {
		const events = { status: response.statusCode, text: "", close: () => request.destroy() };
		response.on("data", (part) => { events.text += part; });
		response.on("error", () => {});
		resolve(events);
	});
	request.on("error", reject);
}), "a stream");

/** Event streams: each event as it comes, counted for their clients. */
async function streams(server, address, over) {
	const room = unique("r"), from = "127.0.0.7";
	const all = [await stream(address, room, { from }), await stream(address, room, { from, headers: { "X-Forwarded-For": "192.0.2.5" } })];
	for (const one of all)
		await until(() => /^id: /m.test(one.text), "the beginning");
	for (const word of ["one", "two"]) {
		const { status } = await server.call("POST", `/apps/${server.app.id}/events`,
		    { name: "message", channel: `room-${room}`, data: word }, { secure: true, address, tls: { ca } });
		assert.equal(status, 200);
		for (const one of all)
			await until(() => one.text.endsWith(`data: ${word}\n\n`), word);
	}
	const third = stream(address, room, { from });
	if (over)
		assert.equal((await third).status, over);
	else
		await assert.rejects(third);
	for (const one of all)
		one.close();
}

const limits = { rooms: {}, http: { trusted_proxies: "127.0.0.1", max_connections_per_address: 2 } };

test("nginx", { skip: noNginx }, async () => {
	const server = await Server.start(limits);
	const proxy = await Proxy.nginx([server.address]);
	try {
		await works(server, proxy.address, 429);
	} finally {
		await proxy.stop();
		await server.stop();
	}
});

test("HAProxy, X-Forwarded-For", { skip: noHaproxy }, async () => {
	const server = await Server.start(limits);
	const proxy = await Proxy.haproxy([server.address]);
	try {
		await works(server, proxy.address, 429);
		await overHttp2(server, proxy.address);
	} finally {
		await proxy.stop();
		await server.stop();
	}
});

for (const version of ["send-proxy", "send-proxy-v2"])
	for (const where of ["HAProxy", "Peal"])
		test(`HAProxy, ${version}, TLS ends at ${where}`, { skip: noHaproxy }, async () => {
			const server = await Server.start({ ...limits, listen: { proxy_protocol: "yes" },
			    listeners: { "listen tls": { address: "127.0.0.1:0", proxy_protocol: "yes", certificate: chain, certificate_key: key } } });
			const proxy = await Proxy.haproxyTcp([server.addresses[0]], [server.addresses[1]],
			    version === "send-proxy" ? "send-proxy" : "send-proxy-v2");
			try {
				const address = where === "HAProxy" ? proxy.address : `127.0.0.1:${proxy.ports[1]}`;
				await works(server, address, undefined);
				assert.doesNotMatch(server.log, /refused PROXY/);
			} finally {
				await proxy.stop();
				await server.stop();
			}
		});

// ---- several hosts -------------------------------------------------------------

async function kill(server) {
	server.allow(/./);
	const all = [...server.pids("peald"), server.child.pid];
	for (const pid of all)
		process.kill(pid, "SIGKILL");
	await within(server.gone, "its end");
}

for (const [name, how, skip] of [["nginx", "nginx", noNginx], ["HAProxy", "haproxy", noHaproxy]])
	for (const end of ["killed", "stopped", "drained"])
		test(`${name} with two hosts, one is ${end}: its clients come back on the other`, { skip }, async () => {
			const options = { http: { trusted_proxies: "127.0.0.1" }, peal: end === "drained" ? { drain_timeout: `${3 * patience}s` } : {} };
			const hosts = await Promise.all([Server.start(options), Server.start(options)]);
			const proxy = await Proxy[how](hosts.map((h) => h.address));
			try {
				await healthy(proxy.address);
				// Who is cut off comes back like any client: at once or soon after.
				let cut = 0;
				const clients = Array.from({ length: 8 }, () => {
					const client = { events: 0 };
					const join = async () => {
						const c = client.ws = await through(hosts[0], proxy.address);
						await c.subscribe("room");
						client.in = true;
						c.end.then(() => { client.in = false; cut++; if (!client.over) again(); });
					};
					const again = () => join().catch(() => { if (!client.over) setTimeout(again, 50); });
					client.ready = join();
					return client;
				});
				await Promise.all(clients.map((c) => c.ready));
				const on = async (h) => (await h.get("/connections")).json.connections;
				const first = await on(hosts[0]);
				// leastconn spreads them.
				assert.ok(first >= 1 && first <= 7, `${first} of 8`);
				if (end === "killed")
					await kill(hosts[0]);
				else if (end === "stopped")
					await hosts[0].stop();
				else {
					hosts[0].child.kill("SIGTERM");
					await hosts[0].logged(/draining/);
					// Nobody who comes meanwhile sees anything of it.
					for (let i = 0; i < 6; i++) {
						const late = await through(hosts[0], proxy.address);
						await late.close();
						const call = await hosts[1].call("POST", `/apps/${hosts[1].app.id}/events`,
						    { name: "e", channel: "nobody", data: "1" }, { secure: true, address: proxy.address, tls: { ca } });
						assert.equal(call.status, 200, call.text);
					}
					await within(hosts[0].gone, "its end");
					await hosts[0].stop();
				}
				await until(async () => cut >= first && clients.every((c) => c.in) && await on(hosts[1]) === 8, async () => `all on the other: ${cut} of ${first} cut, ${await on(hosts[1])} there`);
				// Signed calls through the proxy find it too, every one.
				for (let i = 0; i < 4; i++) {
					const call = await hosts[1].call("POST", `/apps/${hosts[1].app.id}/events`,
					    { name: "e", channel: "room", data: `${i}` }, { secure: true, address: proxy.address, tls: { ca } });
					assert.equal(call.status, 200, call.text);
				}
				for (const c of clients)
					for (let i = 0; i < 4; i++)
						await c.ws.expect("e", "room", i);
				for (const c of clients)
					c.over = true;
			} finally {
				await proxy.stop();
				for (const [i, h] of hosts.entries())
					if (i > 0 || h.status === undefined)
						await h.stop();
					else
						fs.rmSync(h.dir, { recursive: true, force: true });
			}
		});

test("HAProxy, TCP: a host that will stop gets no new clients, and keeps those it has until they are told", { skip: noHaproxy }, async () => {
	const options = { http: { trusted_proxies: "127.0.0.1" }, peal: { stop_delay: "1h", drain_timeout: "200ms" }, listen: { proxy_protocol: "yes" } };
	const hosts = await Promise.all([Server.start(options), Server.start(options)]);
	const proxy = await Proxy.haproxyTcp(hosts.map((h) => h.address), hosts.map((h) => h.address), "send-proxy-v2");
	try {
		await healthy(proxy.address);
		const clients = [];
		for (let i = 0; i < 8; i++)
			clients.push(await through(hosts[0], proxy.address));
		hosts[0].child.kill("SIGTERM");
		await until(() => /Server peal\/\w+ is stopping/.test(proxy.log), () => `HAProxy to see it: ${proxy.log}`);
		const late = [];
		for (let i = 0; i < 12; i++)
			late.push(await through(hosts[0], proxy.address));
		for (const c of [...clients, ...late])
			await c.ping();
		hosts[0].child.kill("SIGTERM");
		await within(hosts[0].gone, "its end");
		for (const c of late)
			await c.ping();
		const told = await until(() => { const some = clients.filter((c) => c.ended); return some.length && some; }, "those of the host to be told");
		assert.ok(told.length <= 7, `${told.length} of 8`);
		for (const c of told)
			assert.equal(c.ended.code, 4200);
	} finally {
		await proxy.stop();
		for (const h of hosts)
			await h.stop({ signal: "SIGINT" });
	}
});

// ---- who is believed -----------------------------------------------------------

live("X-Forwarded-For of somebody", { workers: [1], http: { trusted_proxies: ["127.0.0.9", "10.0.0.0/8"], max_connections_per_address: 2 } }, (s) => {
	const from = (localAddress, forwarded) => s.server.connect({ wsOptions: { localAddress },
	    headers: forwarded === undefined ? {} : { "X-Forwarded-For": forwarded } });

	test("who is not trusted is himself, whatever he says", async () => {
		const a = await from("127.0.0.2", "192.0.2.1"), b = await from("127.0.0.2", "192.0.2.2");
		await refused(from("127.0.0.2", "192.0.2.3"));
		const c = await from("127.0.0.3", "127.0.0.2");
		await c.ping();
		await a.close();
		await b.close();
		await c.close();
	});

	test("the last address that is not trusted counts", async () => {
		const a = await from("127.0.0.9", "192.0.2.1"), b = await from("127.0.0.9", "198.51.100.1, 192.0.2.1, 10.0.0.1");
		await refused(from("127.0.0.9", "192.0.2.1, 10.1.1.1,10.2.2.2"), 429);
		const c = await from("127.0.0.9", "192.0.2.1, 192.0.2.2");
		for (const one of [a, b, c])
			await one.close();
	});

	test("a proxy that names nobody is not limited, nor are API calls through it", async () => {
		const crowd = await Promise.all(Array.from({ length: 5 }, () => from("127.0.0.9")));
		crowd.push(...await Promise.all(Array.from({ length: 5 }, () => from("127.0.0.9", "unknown"))));
		for (let i = 0; i < 5; i++)
			assert.equal((await s.server.get("/channels", {}, { headers: { "X-Forwarded-For": "192.0.2.50" } })).status, 200);
		for (const c of crowd)
			await c.ping();
	});
});

live("PROXY headers", { workers: [1, 3], listen: { proxy_protocol: "yes" }, http: { trusted_proxies: "127.0.0.1", header_timeout: "4s" },
    listeners: { "listen plain": { address: "127.0.0.1:0" } } }, (s) => {
	const request = "GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	const signature = "\r\n\r\n\x00\r\nQUIT\n";
	/** All that comes back for these pieces. */
	const answer = (pieces, localAddress = "127.0.0.1") => within(new Promise((resolve) => {
		const at = s.server.address.split(":");
		const socket = net.connect({ port: at[1], host: at[0], localAddress, noDelay: true });
		let text = "", next = 0;
		socket.on("data", (part) => { text += part; });
		socket.on("error", () => {});
		socket.on("close", () => resolve(text));
		const send = () => {
			if (next < pieces.length && !socket.destroyed)
				socket.write(pieces[next++], "latin1", () => setImmediate(send));
		};
		socket.on("connect", send);
	}), "answer");

	test("whole, in pieces, with the request behind it", async () => {
		for (const head of ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY UNKNOWN\r\n", "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n",
			`${signature}\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02`, `${signature}\x20\x00\x00\x00`, `${signature}\x21\x31\x00\xd8${"\x00".repeat(216)}`]) {
			assert.match(await answer([head + request]), /^HTTP\/1.1 200 /);
			assert.match(await answer([...(head + request)]), /^HTTP\/1.1 200 /);
			assert.match(await answer([head.slice(0, 9), head.slice(9), request]), /^HTTP\/1.1 200 /);
		}
	});

	test("no header, a bad one, a slow one, one from a stranger", async () => {
		const count = async () => (await s.server.ctl("status")).totals.proxy_refused;
		assert.equal(await count(), 0);
		assert.equal(await answer([request]), "");
		assert.equal(await answer([`PROXY TCP4 x y 1 2\r\n${request}`]), "");
		assert.equal(await answer([`${signature}\x21\x11\xff\xff`]), "");
		assert.equal(await answer(["PROXY UNK"]), "");
		assert.equal(await answer([`PROXY UNKNOWN\r\n${request}`], "127.0.0.4"), "");
		await s.server.logged(/refused PROXY connection from=127\.0\.0\.4 .*not one of http\.trusted_proxies/);
		await until(async () => await count() === 5, "five are counted");
	});

	test("other addresses take none", async () => {
		const w = await s.server.wire({ address: s.server.addresses[1] });
		w.write(`PROXY UNKNOWN\r\n${request}`);
		assert.match(await w.rest(), /^HTTP\/1.1 400 /);
	});
});

test("proxies of a unix socket", async () => {
	const socketPath = path.join(dir, "peal.sock"), proxied = path.join(dir, "proxied.sock");
	const server = await Server.start({ listen: { address: ["127.0.0.1:0", `unix:${socketPath}`] },
	    listeners: { "listen p": { address: `unix:${proxied}`, proxy_protocol: "yes" } }, http: { trusted_proxies: "unix", max_connections_per_address: 1 } });
	const from = (forwarded) => server.connect({ url: `ws+unix://${socketPath}:/app/${server.app.key}?protocol=7`, headers: { "X-Forwarded-For": forwarded } });
	try {
		const a = await from("192.0.2.1");
		await refused(from("192.0.2.1"), 429);
		const b = await from("192.0.2.2");
		const text = await within(new Promise((resolve) => {
			const socket = net.connect(proxied, () => socket.write("PROXY TCP4 192.0.2.2 192.0.2.9 1 2\r\nGET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
			let all = "";
			socket.on("data", (part) => { all += part; });
			socket.on("close", () => resolve(all));
			socket.on("error", () => {});
		}), "its end");
		assert.equal(text, "");		// one too many of 192.0.2.2
		await a.ping();
		await b.ping();
	} finally {
		await server.stop();
	}
});

test("a client that a proxy names costs less than 512 octets of a worker", async (t) => {
	const server = await Server.start({ http: { trusted_proxies: "127.0.0.1" } });
	try {
		const worker = server.pids("peald: worker")[0];
		const used = () => 1024 * Number(/^Private_Dirty:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${worker}/smaps_rollup`, "utf8"))[1]);
		// Each from an address of its own.
		const add = async (from, n) => {
			for (let i = from; i < from + n; i += 100)
				await Promise.all(Array.from({ length: 100 }, (_, j) =>
					server.connect({ headers: { "X-Forwarded-For": `192.0.${i + j >> 8}.${i + j & 255}` } })));
		};
		await add(0, 1000);		// what is made once
		const before = used();
		await add(1000, 4000);
		const each = (used() - before) / 4000;
		t.diagnostic(`a client with an address of its own: ${each} octets`);
		assert.ok(process.env.PEAL_TEST_SANITIZED !== undefined || each < 512, `${each} octets`);
	} finally {
		await server.stop();
	}
});
