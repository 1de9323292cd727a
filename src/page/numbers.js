// SPDX-License-Identifier: MIT
//
// From reports (see master/report.h) to numbers that people read.  Pure: no
// document, no clock but that of the reports.

const KEEP = 300;	// reports, one a second
const LATENCY = 10;	// seconds that quantiles look back
const STEADY = 3;	// and rates: processes tell their numbers once a second, in no step with reports
const SOON = 500;	// ms: a report that somebody else has asked for

/** What is not a number is 0: a part may be missing in a report. */
const num = (value) => (Number.isFinite(value) ? value : 0);
const list = (value) => (Array.isArray(value) ? value : []);
const object = (value) => (value && typeof value === "object" && !Array.isArray(value) ? value : {});

/** counts: of the buckets, one more than bounds; NaN if they are empty. */
export function quantile(bounds, counts, q) {
	const total = counts.reduce((sum, n) => sum + n, 0);
	let seen = 0;
	if (!(total > 0))
		return NaN;
	for (let i = 0; i < counts.length; i++) {
		if (seen + counts[i] >= q * total && counts[i] > 0) {
			const low = i > 0 ? bounds[i - 1] : 0;
			const high = i < bounds.length ? bounds[i] : bounds.at(-1);
			return low + (high - low) * Math.min(1, Math.max(0, (q * total - seen) / counts[i]));
		}
		seen += counts[i];
	}
	return bounds.at(-1);
}

/** What fell into a histogram between two reports, or null. */
export function between(now, then) {
	if (!now || !Array.isArray(now.counts) || !Array.isArray(now.bounds))
		return null;
	const before = list(then?.counts);
	return { bounds: now.bounds, counts: now.counts.map((n, i) => Math.max(0, num(n) - num(before[i]))) };
}

/** Sums of an application's front doors. */
export function ofApp(app) {
	const sum = { connections: 0, in: 0, out: 0, published: 0, requests: 0 };
	for (const front of Object.values(object(app?.fronts))) {
		sum.connections += num(front?.connections);
		sum.in += num(front?.messages_in);
		sum.out += num(front?.messages_out);
		sum.published += num(front?.published);
		sum.requests += num(front?.requests);
	}
	return sum;
}

/** The last five minutes of reports, as samples { t, ... } of what happened. */
export class Meter {
	reports = [];
	samples = [];

	get last() { return this.reports.at(-1); }

	add(report) {
		const then = this.last;
		if (then && !(report.time >= then.time))
			this.forget();
		else if (then && report.time < then.time + SOON)
			return;
		this.reports.push(report);
		if (this.reports.length > KEEP)
			this.reports.shift();
		if (this.reports.length > 1)
			this.samples.push(this.#sample(report, this.#before(report.time, STEADY)));
		if (this.samples.length > KEEP)
			this.samples.shift();
	}

	/** Another server, or a clock that was set back. */
	forget() {
		this.reports = [];
		this.samples = [];
	}

	/** The newest report that is so many seconds old, or the oldest there is. */
	#before(time, seconds) {
		return this.reports.findLast((r) => r.time <= time - seconds * 1000 + SOON) ?? this.reports[0];
	}

	#sample(now, then) {
		const seconds = (now.time - then.time) / 1000;
		const rate = (a, b) => (num(a) >= num(b) ? (num(a) - num(b)) / seconds : 0);
		const total = (key) => rate(now.totals?.[key], then.totals?.[key]);
		const past = this.#before(now.time, LATENCY);
		const quantiles = (name) => {
			const h = between(now.histograms?.[name], past.histograms?.[name]);
			return [0.5, 0.95, 0.99].map((q) => (h ? quantile(h.bounds, h.counts, q) : NaN));
		};
		const sample = {
			t: now.time,
			connections: num(now.totals?.connections),
			in: total("messages_in"), out: total("messages_out"), published: total("published"),
			bytesIn: total("bytes_in"), bytesOut: total("bytes_out"),
			accepted: total("accepted"), requests: total("requests"),
			publish: quantiles("publish_seconds"), fanout: quantiles("fanout_seconds"),
			workers: new Map(), apps: new Map(),
		};
		for (const w of list(now.workers)) {
			const was = list(then.workers).find((o) => o.slot === w.slot && o.generation === w.generation);
			// While one follows another there are two of a slot.
			if (w.crew !== "leaving" || !sample.workers.has(w.slot))
				sample.workers.set(w.slot, {
					connections: num(w.counters?.connections),
					in: was ? rate(w.counters?.messages_in, was.counters?.messages_in) : 0,
					out: was ? rate(w.counters?.messages_out, was.counters?.messages_out) : 0,
				});
		}
		for (const a of list(now.apps)) {
			const is = ofApp(a), was = ofApp(list(then.apps).find((o) => o.app === a.app) ?? a);
			sample.apps.set(a.app, {
				label: a.label || a.app, connections: is.connections,
				in: rate(is.in, was.in), out: rate(is.out, was.out), published: rate(is.published, was.published),
			});
		}
		return sample;
	}

	/** How much a number of the totals, or of the reasons, grew while we looked. */
	grown(group, key) {
		return Math.max(0, num(this.last?.[group]?.[key]) - num(this.reports[0]?.[group]?.[key]));
	}
}

// ---- as text ------------------------------------------------------------------

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const count = (n) => (Number.isFinite(n) ? whole.format(n) : "–");

/** 0, 0.4, 12.3, 950, 12,300, 1.23 M */
export function rate(n) {
	if (!Number.isFinite(n))
		return "–";
	if (n < 1e6)
		return n < 100 ? three.format(Math.round(n * 10) / 10) : whole.format(n);
	return `${three.format(n / 1e6)} M`;
}

export function octets(n) {
	if (!Number.isFinite(n))
		return "–";
	for (const unit of ["B", "KiB", "MiB", "GiB"]) {
		if (n < 1000)
			return `${unit === "B" ? whole.format(n) : three.format(n)} ${unit}`;
		n /= 1024;
	}
	return `${three.format(n)} TiB`;
}

/** A time of a histogram, which is in seconds: 0.42 ms, 12.1 ms, 1.2 s */
export function latency(s) {
	if (!Number.isFinite(s))
		return "–";
	if (s >= 1)
		return `${s.toPrecision(3)} s`;
	return `${s * 1000 >= 0.1 || s === 0 ? Number((s * 1000).toPrecision(3)) : (s * 1000).toFixed(2)} ms`;
}

/** 42 s, 12 min 5 s, 3 h 12 min, 5 d 3 h */
export function duration(s) {
	if (!Number.isFinite(s))
		return "–";
	s = Math.max(0, Math.floor(s));
	if (s < 60)
		return `${s} s`;
	if (s < 3600)
		return `${Math.floor(s / 60)} min ${s % 60} s`;
	if (s < 86400)
		return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
	return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

const pad = (n, width = 2) => String(n).padStart(width, "0");

/** Of the day, in the viewer's own zone. */
export function clock(ms, fine = false) {
	const d = new Date(ms);
	if (!Number.isFinite(ms) || ms <= 0 || Number.isNaN(d.getTime()))
		return "–";
	return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}${fine ? `.${pad(d.getMilliseconds(), 3)}` : ""}`;
}

export function date(ms) {
	const d = new Date(ms);
	if (!Number.isFinite(ms) || ms <= 0 || Number.isNaN(d.getTime()))
		return "–";
	return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock(ms)}`;
}

/** PEER_CLOSED: what names in a table look like in a sentence. */
export const words = (name) => String(name).toLowerCase().replaceAll("_", " ");
