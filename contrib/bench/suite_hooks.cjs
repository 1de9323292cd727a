// SPDX-License-Identifier: MIT
//
// Targets of webhooks that answer at once and look at nothing but what they count,
// and what it costs to tell them.  Each fact is a client event that nobody else is
// subscribed to.
'use strict';
const fs = require('node:fs');
const net = require('node:net');
const { Group, clients } = require('./suite_clients.cjs');
const { sleep } = require('./suite_server.cjs');

const WAITING = 2000;	// facts that a target has not heard of yet
const TOGETHER = 100;	// said at a time
const EVENT = Buffer.from('"name":"');
const END = Buffer.from('\r\n\r\n');
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

const now_us = () => Number(process.hrtime.bigint() / 1000n);

function count(octets, what) {
	let n = 0;
	for (let at = octets.indexOf(what); at >= 0;
	    at = octets.indexOf(what, at + what.length))
		n++;
	return n;
}

// how: n targets, batching, spool, mute (they never answer)
class Targets {
	constructor(how) {
		Object.assign(this, { n: 1, batching: true, spool: false, mute: false },
		    how);
		this.requests = 0;
		this.heard = new Array(this.n).fill(0);
		this.sockets = new Set();
	}

	async start() {
		this.server = net.createServer({ noDelay: true }, (s) => this.meet(s));
		await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
		return this;
	}

	sections(dir) {
		if (this.n === 0)
			return '';
		const spool = `${dir}/spool`;
		if (this.spool)
			fs.mkdirSync(spool);
		return `[courier]\nallow = 127.0.0.1\nhold_back = 0\n` +
		    (this.spool ? `spool = ${spool}\n` : '') +
		    this.heard.map((_, i) => `[webhook t${i}]\nurl = ` +
			`http://127.0.0.1:${this.server.address().port}/${i}\n` +
			`events = client_event\ntimeout = 5m\n` +
			`batching = ${this.batching ? 'yes' : 'no'}\n`).join('');
	}

	meet(socket) {
		let all = Buffer.alloc(0);
		this.sockets.add(socket);
		socket.on('close', () => this.sockets.delete(socket));
		socket.on('error', () => {});
		socket.on('data', (some) => {
			all = all.length === 0 ? some : Buffer.concat([all, some]);
			for (let head; (head = all.indexOf(END)) >= 0;) {
				const words = all.latin1Slice(0, head);
				const whole = head + END.length +
				    Number(/^Content-Length: (\d+)/im.exec(words)[1]);
				if (all.length < whole)
					return;
				this.took(Number(/^POST \/(\d+)/.exec(words)[1]),
				    all.subarray(head + END.length, whole));
				if (!this.mute)
					socket.write(ANSWER);
				all = all.subarray(whole);
			}
		});
	}

	took(i, body) {
		this.requests++;
		this.heard[i] += count(body, EVENT);
		this.last = { at: now_us(), body };
		this.wake?.();
	}

	async when(until) {
		while (!until())
			await new Promise((done) => { this.wake = done; });
	}

	// All of them have heard so many.
	all_heard(n) {
		return this.when(() => this.heard.every((some) => some >= n));
	}

	stop() {
		const gone = new Promise((done) => this.server.close(done));
		for (const s of this.sockets)
			s.destroy();
		return gone;
	}
}

// What n facts cost, each told to each target.
async function tell(server, targets, n) {
	const [client] = await clients(server.port, 1, () => ['room'], new Group());
	const data = 'x'.repeat(60), some = new Array(TOGETHER).fill('room');
	let said = 0;
	const go = async (to) => {
		while (said < to) {
			client.say(some, data);
			said += TOGETHER;
			await targets.all_heard(said - WAITING);
		}
		await targets.all_heard(to);
	};
	await go(WAITING);
	const before = server.cpu(), requests = targets.requests, began = now_us();
	await go(said + n);
	const s = (now_us() - began) / 1e6, after = server.cpu();
	const events = n * targets.n, us = {};
	for (const role of ['worker', 'router', 'courier'])
		us[role] = Number(((after[role] - before[role]) * 1e6 / events).toFixed(3));
	await client.leave();
	return { targets: targets.n, facts: n, events, seconds: Number(s.toFixed(3)),
		events_per_s: Math.round(events / s),
		requests_per_s: Math.round((targets.requests - requests) / s),
		cpu_us_per_event: us,
		cpu_us_per_request: Number((us.courier * events /
		    (targets.requests - requests)).toFixed(2)) };
}

// From when a client event is sent until its request has come, one at a time.
async function wait(server, targets, n) {
	const [client] = await clients(server.port, 1, () => ['room'], new Group());
	const list = [];
	for (let i = 0; i <= n; i++) {
		const began = now_us();
		client.say(['room'], 'x');
		await targets.all_heard(i + 1);
		if (i > 0)	// the first makes the connection
			list.push((targets.last.at - began) / 1000);
		await sleep(10);
	}
	list.sort((a, b) => a - b);
	const at = (part) => Number(list[Math.floor(part * (n - 1))].toFixed(3));
	await client.leave();
	return { latency_ms: { p50: at(0.5), p99: at(0.99), max: at(1) } };
}

// Octets of the journal: files of the spool, or of memory that is in no process.
function journal(server, targets) {
	const files = targets.spool ? `${server.dir}/spool` :
	    `/proc/${server.child.pid}/fd`;
	return fs.readdirSync(files).map((name) => `${files}/${name}`)
	    .filter((file) => targets.spool || fs.readlinkSync(file).includes('/memfd:'))
	    .map((file) => fs.statSync(file).blocks * 512)
	    .reduce((sum, n) => sum + n, 0);
}

// A queue that is full, of a target that does not answer: what it takes.
async function fill(server, targets, n) {
	const [client] = await clients(server.port, 1, () => ['room'], new Group());
	const before = server.memory().courier, kept = journal(server, targets);
	const data = 'x'.repeat(60), some = new Array(TOGETHER).fill('room');
	for (let i = 0; i < n; i += TOGETHER) {
		client.say(some, data);
		if (i % WAITING === 0)
			await sleep(5);
	}
	let target, untold;
	do {	// reports are new each second
		await sleep(100);
		const [report] = server.ask('report');
		[target] = report.hooks;
		untold = report.totals.hooks_untold;
	} while (target === undefined || target.queued + target.dropped + untold < n);
	await client.leave();
	return { facts: n, queued: target.queued, dropped: target.dropped, untold,
		octets: target.octets, courier: server.memory().courier - before,
		journal: journal(server, targets) - kept };
}

const WAYS = {
	'one target': {},
	'one target, spool': { spool: true },
	'one event each': { batching: false },
	'one event each, spool': { batching: false, spool: true },
	'20 targets': { n: 20 },
	'20 targets, one event each': { n: 20, batching: false },
};

const measures = (brief) => ({
	'hooks cost': { over: WAYS, take: (server, targets) => tell(server, targets,
		TOGETHER * Math.round((brief ? 20 : 1000) / (targets.batching ? 1 : 5) /
		    Math.sqrt(targets.n))) },
	'hooks wait': { over: { 'in memory': {}, 'with a spool': { spool: true } },
		take: (server, targets) => wait(server, targets, brief ? 20 : 300) },
	'hooks queue': { over: { 'in memory': { mute: true },
	    'with a spool': { mute: true, spool: true } },
		take: (server, targets) => fill(server, targets, 150000) },
});

module.exports = { measures, tell, targets: (how) => new Targets(how).start() };
