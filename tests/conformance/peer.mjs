// SPDX-License-Identifier: MIT
//
// The other end of a WebSocket, by hand: writes any octets as frames, reads the
// server's frames strictly, and tells what came as a list of events:
//
//	{ text }  { binary }  { ping }  { pong }  { close, reason }  { gone }
import assert from "node:assert/strict";
import crypto from "node:crypto";
import net from "node:net";
import zlib from "node:zlib";

const LIMIT = 20_000 * Number(process.env.PEAL_TEST_PATIENCE ?? 1);

// ---- frames ---------------------------------------------------------------------

export const OP = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** XORs a copy with the mask. */
function masked(payload, mask) {
	const out = Buffer.from(payload);
	const even = out.length & ~3;
	for (let i = 0; i < even; i += 4) {
		out[i] ^= mask[0];
		out[i + 1] ^= mask[1];
		out[i + 2] ^= mask[2];
		out[i + 3] ^= mask[3];
	}
	for (let i = even; i < out.length; i++)
		out[i] ^= mask[i & 3];
	return out;
}

/** One frame of a client. */
export function frame(opcode, payload = "", { fin = true, rsv = 0 } = {}) {
	const body = Buffer.from(payload), n = body.length;
	const mask = crypto.randomBytes(4);
	const head = Buffer.alloc(n < 126 ? 2 : n < 65536 ? 4 : 10);
	head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode;
	head[1] = 0x80 | (n < 126 ? n : n < 65536 ? 126 : 127);
	if (head.length === 4)
		head.writeUInt16BE(n, 2);
	else if (head.length === 10)
		head.writeBigUInt64BE(BigInt(n), 2);
	return Buffer.concat([head, mask, masked(body, mask)]);
}

/** A message cut into frames of `size` octets. */
export function frames(opcode, payload, size, { rsv = 0 } = {}) {
	const body = Buffer.from(payload), out = [];
	for (let at = 0; at === 0 || at < body.length; at += size)
		out.push(frame(at === 0 ? opcode : OP.more, body.subarray(at, at + size), {
			fin: at + size >= body.length, rsv: at === 0 ? rsv : 0 }));
	return Buffer.concat(out);
}

export const closing = (code, reason = "") => frame(OP.close,
    Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));

// ---- a connection -----------------------------------------------------------------

function within(promise, what) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`timed out: ${what}`)), LIMIT);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export class Peer {
	#chunks = [];
	#have = 0;
	#events = [];
	#wake = null;
	#message = null;	// opcode, compressed and parts of a message
	#upgraded = false;

	/** offer: value of Sec-WebSocket-Extensions. */
	static async open(port, offer) {
		const peer = new Peer();
		peer.socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
		peer.socket.on("data", (data) => peer.#data(data));
		peer.socket.on("error", () => {});	// a cut is an event like others
		peer.socket.on("close", () => peer.#event({ gone: true }));
		const key = crypto.randomBytes(16).toString("base64");
		peer.socket.write("GET /echo HTTP/1.1\r\nHost: localhost\r\n" +
		    "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
		    `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n` +
		    (offer ? `Sec-WebSocket-Extensions: ${offer}\r\n` : "") + "\r\n");
		const { answer } = await peer.next();
		assert.match(answer ?? "cut", /^HTTP\/1\.1 101 /);
		const accept = crypto.createHash("sha1").update(key +
		    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
		assert.equal(/^sec-websocket-accept: (\S+)\r$/im.exec(answer)?.[1], accept);
		peer.extensions = /^sec-websocket-extensions: (.*)\r$/im.exec(answer)?.[1];
		peer.window = Number(/server_max_window_bits=(\d+)/
		    .exec(peer.extensions)?.[1] ?? 15);
		return peer;
	}

	#event(event) {
		this.#events.push(event);
		this.#wake?.();
	}

	/** The next event. */
	async next() {
		if (this.#events.length === 0)
			await within(new Promise((resolve) => { this.#wake = resolve; }),
			    "nothing came");
		return this.#events.shift();
	}

	/** Resolves when the octets are with the kernel, or the socket is gone. */
	write(octets) {
		return new Promise((resolve) => {
			if (this.socket.destroyed)
				resolve();
			else
				this.socket.write(octets, () => resolve());
		});
	}

	/** Writes some octets at a time. */
	async chop(octets, size) {
		for (let at = 0; at < octets.length; at += size)
			await this.write(octets.subarray(at, at + size));
	}

	cut() {
		this.socket.destroy();
	}

	// ---- what comes

	#data(data) {
		this.#chunks.push(data);
		this.#have += data.length;
		try {
			while (this.#upgraded ? this.#frame() : this.#answer())
				;
		} catch (error) {
			this.#event({ broken: error.message });
			this.cut();
		}
	}

	/** The first n octets in one piece, or null. */
	#peek(n) {
		if (this.#have < n)
			return null;
		if (this.#chunks[0].length < n)
			this.#chunks = [Buffer.concat(this.#chunks)];
		return this.#chunks[0];
	}

	#take(n) {
		const octets = this.#peek(n);
		this.#chunks[0] = octets.subarray(n);
		if (this.#chunks[0].length === 0)
			this.#chunks.shift();
		this.#have -= n;
		return octets.subarray(0, n);
	}

	#answer() {
		const all = this.#peek(this.#have);
		const end = all.indexOf("\r\n\r\n");
		if (end < 0)
			return false;
		this.#upgraded = true;
		this.#event({ answer: this.#take(end + 4).toString() });
		return this.#have > 0;
	}

	/** Length of head and payload, or null; a server's rules are checked. */
	#head() {
		const p = this.#peek(2);
		if (!p)
			return null;
		assert.equal(p[1] & 0x80, 0, "the server masked a frame");
		const form = p[1] & 127, n = form === 127 ? 10 : form === 126 ? 4 : 2;
		const head = this.#peek(n);
		if (!head)
			return null;
		const length = n === 2 ? form : n === 4 ? head.readUInt16BE(2) :
		    Number(head.readBigUInt64BE(2));
		assert.ok(n === 2 || length > (n === 4 ? 125 : 65535), "length in a long form");
		return { n, length };
	}

	#frame() {
		const head = this.#head();
		if (!head || this.#have < head.n + head.length)
			return false;
		const octets = this.#take(head.n + head.length);
		const first = octets[0], payload = octets.subarray(head.n);
		this.#collect(first & 15, first >> 4 & 7, (first & 0x80) !== 0, payload);
		return this.#have > 0;
	}

	#collect(opcode, rsv, fin, payload) {
		if (opcode >= 8) {
			assert.ok(fin && rsv === 0 && payload.length < 126, "bad control frame");
			this.#control(opcode, payload);
			return;
		}
		assert.ok((opcode === 0) === (this.#message !== null), "frames out of order");
		assert.ok(rsv === 0 || (rsv === 4 && opcode !== 0 && this.extensions),
		    `RSV ${rsv} was not negotiated`);
		this.#message ??= { opcode, deflated: rsv === 4, parts: [] };
		this.#message.parts.push(payload);
		if (fin)
			this.#whole(this.#message);
	}

	#whole({ opcode, deflated, parts }) {
		let data = Buffer.concat(parts);
		this.#message = null;
		if (deflated)
			data = zlib.inflateRawSync(Buffer.concat([data,
			    Buffer.from([0, 0, 255, 255])]), { windowBits: this.window,
			    finishFlush: zlib.constants.Z_SYNC_FLUSH });
		const more = this.extensions ? { deflated } : {};
		if (opcode === OP.text)
			this.#event({ text: new TextDecoder("utf-8", { fatal: true,
			    ignoreBOM: true }).decode(data), ...more });
		else
			this.#event({ binary: data, ...more });
	}

	#control(opcode, payload) {
		if (opcode === OP.ping || opcode === OP.pong)
			this.#event({ [opcode === OP.ping ? "ping" : "pong"]: payload });
		else if (opcode === OP.close)
			this.#event({ close: payload.length ? payload.readUInt16BE(0) : 1005,
			    reason: payload.subarray(2).toString() });
		else
			assert.fail(`opcode ${opcode}`);
	}
}
