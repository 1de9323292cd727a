// SPDX-License-Identifier: MIT
//
// A PNG as small as zlib makes it, without a change of any pixel: browsers write
// them in haste.
import zlib from "node:zlib";

const TABLE = Array.from({ length: 256 }, (_, n) => {
	for (let k = 0; k < 8; k++)
		n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
	return n >>> 0;
});

function chunk(type, data) {
	const out = Buffer.alloc(12 + data.length);
	let crc = 0xffffffff;
	out.writeUInt32BE(data.length, 0);
	out.write(type, 4, "latin1");
	data.copy(out, 8);
	for (const octet of out.subarray(4, 8 + data.length))
		crc = TABLE[(crc ^ octet) & 255] ^ (crc >>> 8);
	out.writeUInt32BE((crc ^ 0xffffffff) >>> 0, 8 + data.length);
	return out;
}

/** Rows as they are, without the filters that stand before each (PNG 9). */
function unfilter(raw, height, stride, bpp) {
	const out = Buffer.alloc(height * stride);
	const at = (y, x) => (y >= 0 && x >= 0 ? out[y * stride + x] : 0);
	for (let y = 0; y < height; y++) {
		const filter = raw[y * (stride + 1)];
		for (let x = 0; x < stride; x++) {
			const a = at(y, x - bpp), b = at(y - 1, x), c = x >= bpp ? at(y - 1, x - bpp) : 0, p = a + b - c;
			const paeth = Math.abs(p - a) <= Math.abs(p - b) && Math.abs(p - a) <= Math.abs(p - c) ? a :
			    Math.abs(p - b) <= Math.abs(p - c) ? b : c;
			out[y * stride + x] = raw[y * (stride + 1) + 1 + x] + [0, a, b, (a + b) >> 1, paeth][filter];
		}
	}
	return out;
}

export function shrink(png) {
	const chunks = [];
	for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at))
		chunks.push([png.toString("latin1", at + 4, at + 8), png.subarray(at + 8, at + 8 + png.readUInt32BE(at))]);
	const head = chunks.find(([type]) => type === "IHDR")[1];
	const [width, height, depth, kind] = [head.readUInt32BE(0), head.readUInt32BE(4), head[8], head[9]];
	const bpp = { 2: 3, 6: 4 }[kind];
	if (depth !== 8 || !bpp || head[12] !== 0)
		return png;
	const raw = zlib.inflateSync(Buffer.concat(chunks.filter(([type]) => type === "IDAT").map(([, data]) => data)));
	const stride = width * bpp, pixels = unfilter(raw, height, stride, bpp);
	const plain = Buffer.alloc(raw.length);
	for (let y = 0; y < height; y++)
		pixels.copy(plain, y * (stride + 1) + 1, y * stride, (y + 1) * stride);
	const best = [raw, plain].map((rows) => zlib.deflateSync(rows, { level: 9, memLevel: 9 })).sort((a, b) => a.length - b.length)[0];
	return Buffer.concat([png.subarray(0, 8), chunk("IHDR", head), chunk("IDAT", best), chunk("IEND", Buffer.alloc(0))]);
}
