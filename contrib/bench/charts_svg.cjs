// SPDX-License-Identifier: MIT
//
// Drawings: lines over a logarithmic axis, and bars.  Text stays text; colours suit
// a light page and a dark one.
'use strict';

const WIDTH = 720, LINE = 16;
const STYLE = `<style>
text{font:13px system-ui,sans-serif;fill:#24292f}
.t{font-size:16px;font-weight:600}.a{fill:#57606a}
.g{stroke:#8c959f;stroke-opacity:.35}.x{stroke:#8c959f}
.b{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.a{fill:#9ea7b3}.b{fill:#0d1117}}
</style>`;

const escape = (s) => String(s).replace(/[&<>"]/g,
    (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
const round = (n) => Math.round(n * 10) / 10;
const text = (x, y, words, more = '') =>
	`<text x="${round(x)}" y="${round(y)}"${more}>${escape(words)}</text>`;
const line = (x1, y1, x2, y2, kind, more = '') => `<line x1="${round(x1)}" ` +
	`y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" class="${kind}"${more}/>`;
const END = ' text-anchor="end"', MIDDLE = ' text-anchor="middle"';

function picture(height, title, description, parts) {
	return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" ` +
	    `height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">\n` +
	    `<title>${escape(title)}</title>\n<desc>${escape(description)}</desc>\n` +
	    `${STYLE}\n<rect width="100%" height="100%" class="b"/>\n` +
	    `${text(16, 26, title, ' class="t"')}\n${parts.join('\n')}\n</svg>\n`;
}

// 1, 2 or 5 times a power of ten, so that there are about n steps.
function step(most, n) {
	const power = 10 ** Math.floor(Math.log10(most / n));
	return [1, 2, 5, 10].map((m) => m * power).find((s) => most / s <= n);
}

function short(n) {
	if (n >= 1e6)
		return `${n / 1e6}M`;
	return n >= 1000 ? `${n / 1000}k` : String(n);
}

// From position and length in pixels to a place on an axis.
function linear(most, from, length) {
	const by = step(most, 6), top = Math.ceil(most / by - 1e-9) * by;
	const ticks = [];
	for (let v = 0; v <= top + by / 2; v += by)
		ticks.push(Number(v.toPrecision(6)));
	return { ticks, at: (v) => from + v / top * length };
}

function logarithmic(least, most, from, length) {
	const low = Math.floor(Math.log10(least) + 1e-9);
	const high = Math.max(low + 1, Math.ceil(Math.log10(most) - 1e-9));
	const ticks = [];
	for (let power = low; power <= high; power++)
		ticks.push(Number((10 ** power).toPrecision(3)));
	return { ticks, at: (v) =>
		from + (Math.log10(v) - low) / (high - low) * length };
}

// Names beside the ends of their lines, none on another.
function labels(ends, x, top, bottom) {
	const places = [...ends].sort((a, b) => a.y - b.y);
	for (let i = 0; i < places.length; i++)
		places[i].at = Math.max(places[i].y + 4, top,
		    i > 0 ? places[i - 1].at + LINE : 0);
	let low = bottom;
	for (const p of [...places].reverse()) {
		p.at = Math.min(p.at, low);
		low = p.at - LINE;
	}
	return places.map((p) => text(x, p.at, p.name, ` style="fill:${p.colour}"`));
}

/*
 * chart: { title, x, y, log_y, series: [{ name, colour, dashed, points }] }; x and
 * y say what the axes show, points are [x, y].
 */
function lines(chart) {
	const height = 380, left = 62, right = WIDTH - 150, top = 66, bottom = 326;
	const all = chart.series.flatMap((s) => s.points);
	const xs = all.map((p) => p[0]), ys = all.map((p) => p[1]);
	const across = logarithmic(Math.min(...xs), Math.max(...xs), left + 12,
	    right - left - 24);
	const up = chart.log_y ? logarithmic(Math.min(...ys), Math.max(...ys),
	    bottom, top - bottom) : linear(Math.max(...ys), bottom, top - bottom);
	const parts = [text(16, 50, chart.y, ' class="a"')];
	for (const v of up.ticks) {
		parts.push(line(left, up.at(v), right, up.at(v), v === 0 ? 'x' : 'g'),
		    text(left - 8, up.at(v) + 4, v, END + ' class="a"'));
	}
	for (const v of across.ticks)
		parts.push(line(across.at(v), bottom, across.at(v), bottom + 5, 'x'),
		    text(across.at(v), bottom + 20, short(v),
			MIDDLE + ' class="a"'));
	if (chart.log_y)
		parts.push(line(left, bottom, right, bottom, 'x'));
	parts.push(text((left + right) / 2, bottom + 42, chart.x,
	    MIDDLE + ' class="a"'));
	const ends = [];
	for (const s of chart.series) {
		const places = s.points.map((p) => [round(across.at(p[0])),
			round(up.at(p[1]))]);
		parts.push(`<polyline points="${places.join(' ')}" fill="none" ` +
		    `stroke="${s.colour}" stroke-width="2"` +
		    `${s.dashed ? ' stroke-dasharray="6 4"' : ''}/>`);
		for (const [x, y] of places)
			parts.push(`<circle cx="${x}" cy="${y}" r="3" ` +
			    `fill="${s.colour}"/>`);
		const [x, y] = places.at(-1);
		ends.push({ ...s, x, y });
	}
	parts.push(...labels(ends, right + 4, top, bottom));
	return picture(height, chart.title, `${chart.y}, over ${chart.x}`, parts);
}

/*
 * chart: { title, x, mark, rows: [{ name, bars: [{ value, words, colour }] }],
 * legend: [{ name, colour }] }; at mark a line stands.
 */
function bars(chart) {
	const left = 150, right = WIDTH - 90, top = 74, thick = 13, gap = 14;
	const values = chart.rows.flatMap((r) => r.bars.map((b) => b.value));
	const across = linear(Math.max(...values, chart.mark ?? 0), left, right - left);
	const parts = [];
	const mark = chart.mark !== undefined ? across.at(chart.mark) : -WIDTH;
	// Words that the mark would cross stand behind it.
	const beside = (end, words) => end + 6 < mark + 4 &&
	    end + 10 + words.length * 8 > mark ? mark + 6 : end + 6;
	let y = top, x = 16;
	for (const l of chart.legend) {
		parts.push(`<rect x="${x}" y="40" width="12" height="12" rx="2" ` +
		    `fill="${l.colour}"/>`, text(x + 18, 51, l.name, ' class="a"'));
		x += 42 + l.name.length * 7;
	}
	const rows = [];
	for (const r of chart.rows) {
		const tall = r.bars.length * (thick + 2);
		rows.push(text(left - 10, y + tall / 2 + 4, r.name, END));
		for (const b of r.bars) {
			rows.push(`<rect x="${left}" y="${y}" width="` +
			    `${round(across.at(b.value) - left)}" height="${thick}" ` +
			    `rx="2" fill="${b.colour}"/>`,
			    text(beside(across.at(b.value), b.words), y + thick - 2, b.words,
				' class="a"'));
			y += thick + 2;
		}
		y += gap;
	}
	for (const v of across.ticks)
		parts.push(line(across.at(v), top - 8, across.at(v), y, 'g'),
		    text(across.at(v), y + 18, v, MIDDLE + ' class="a"'));
	parts.push(...rows);
	if (chart.mark !== undefined)
		parts.push(line(mark, top - 8, mark, y, 'x', ' stroke-width="2"'));
	parts.push(text((left + right) / 2, y + 40, chart.x, MIDDLE + ' class="a"'));
	return picture(y + 56, chart.title, chart.x, parts);
}

module.exports = { bars, lines };
