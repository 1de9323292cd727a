// SPDX-License-Identifier: MIT
//
// Clients for curves of growth, few octets each: any number of channels on one,
// which no load tool for one channel a client can do.
'use strict';
const net = require('node:net');
const { app } = require('./suite_server.cjs');

const HANDSHAKE = `GET /app/${app.key}?protocol=7 HTTP/1.1\r\nHost: localhost\r\n` +
    'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
const SUCCEEDED = Buffer.from('subscription_succeeded');
const SAID = Buffer.from('"event":"client-x"');

// Masked with zeroes.
function frame(text, opcode = 1) {
	const payload = Buffer.from(text);
	const long = payload.length > 125;
	const head = Buffer.alloc(long ? 8 : 6);
	head[0] = 0x80 | opcode;
	head[1] = 0x80 | (long ? 126 : payload.length);
	if (long)
		head.writeUInt16BE(payload.length, 2);
	return Buffer.concat([head, payload]);
}

const asking = (channel) => frame(
    `{"event":"pusher:subscribe","data":{"channel":"${channel}"}}`);
const saying = (channel, data) => frame(
    `{"event":"client-x","channel":"${channel}","data":"${data}"}`);

function count(octets, what) {
	let n = 0;
	for (let at = octets.indexOf(what); at >= 0;
	    at = octets.indexOf(what, at + what.length))
		n++;
	return n;
}

// Something that changes, and who waits for it.
class Waiting {
	check() {
		if (this.until !== undefined && this.until())
			this.done();
	}

	async when(until) {
		if (!until())
			await new Promise((done) => {
				Object.assign(this, { until, done });
			});
		this.until = undefined;
	}
}

// What all clients of a group have heard others say.
class Group extends Waiting {
	said = 0;
}

class Client extends Waiting {
	constructor(port, group) {
		super();
		this.succeeded = 0;
		this.group = group;
		this.rest = Buffer.alloc(0);
		this.socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
		this.socket.on('data', (octets) => this.heard(octets));
		this.socket.on('error', (e) => { this.error = e; });
		this.ended = new Promise((done) => this.socket.once('close', done));
		this.socket.write(HANDSHAKE);
	}

	heard(octets) {
		let all = this.rest.length === 0 ? octets :
			Buffer.concat([this.rest, octets]);
		this.open ||= all.includes('connection_established');
		this.succeeded += count(all, SUCCEEDED);
		this.group.said += count(all, SAID);
		// A word that is cut in two counts with what follows.
		const last = Math.max(all.lastIndexOf(SUCCEEDED) + SUCCEEDED.length,
		    all.lastIndexOf(SAID) + SAID.length,
		    all.length - SUCCEEDED.length);
		this.rest = Buffer.from(all.subarray(Math.max(last, 0)));
		this.check();
		this.group.check();
	}

	greeted() {
		return this.when(() => this.open);
	}

	async subscribe(channels) {
		const goal = this.succeeded + channels.length;
		for (let i = 0; i < channels.length; i += 500) {
			this.socket.write(Buffer.concat(
			    channels.slice(i, i + 500).map(asking)));
			const soon = Math.min(goal, this.succeeded + 1);
			await this.when(() => this.succeeded >= soon);
		}
		await this.when(() => this.succeeded >= goal);
	}

	say(channels, data) {
		this.socket.write(Buffer.concat(
		    channels.map((channel) => saying(channel, data))));
	}

	// With a close frame, as a browser does.
	leave() {
		this.socket.write(frame('\x03\xe8', 8));
		this.socket.end();
		return this.ended;
	}
}

// n clients, some at a time; channels(i) are those of the i-th.
async function clients(port, n, channels, group = new Group(), at_a_time = 100) {
	const list = [];
	for (let i = 0; i < n; i += at_a_time) {
		const some = [];
		for (let k = i; k < Math.min(n, i + at_a_time); k++)
			some.push(new Client(port, group));
		await Promise.all(some.map(async (c, k) => {
			await c.greeted();
			await c.subscribe(channels(i + k));
		}));
		list.push(...some);
	}
	return list;
}

module.exports = { Group, clients };
