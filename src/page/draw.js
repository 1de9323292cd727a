// SPDX-License-Identifier: MIT
//
// Lines that move, in a <figure class="plot">: by Chart.js if the server has it,
// by a few strokes on a canvas if not.  The numbers stand above either.

const SPAN = 300;	// seconds
const SERIES = 8;	// colours; more lines share them

const plots = new Set();

function element(tag, className, ...children) {
	const e = document.createElement(tag);
	e.className = className;
	e.append(...children);
	return e;
}

export class Plot {
	#legend = element("ul", "legend");
	#canvas = document.createElement("canvas");
	#chart = null;
	#items = new Map();
	#times = [];
	#series = [];

	/** format: of a value, as text. */
	constructor(figure, format) {
		this.format = format;
		this.name = figure.querySelector("figcaption").textContent;
		this.#canvas.setAttribute("role", "img");
		this.#canvas.setAttribute("aria-label", `${this.name}, the last five minutes`);
		figure.append(this.#legend, element("div", "space", this.#canvas));
		plots.add(this);
	}

	/** times: ms; series: [{ key, name, values }], values as many as times. */
	set(times, series) {
		this.#times = times;
		this.#series = series;
		this.#label();
		this.draw();
	}

	#label() {
		const gone = new Set(this.#items.keys());
		this.#series.forEach((s, i) => {
			gone.delete(s.key);
			let item = this.#items.get(s.key);
			if (!item) {
				item = { name: element("span", ""), value: element("b", "") };
				item.li = element("li", "", element("i", ""), item.name, item.value);
				this.#items.set(s.key, item);
				this.#legend.append(item.li);
			}
			item.li.className = `s${i % SERIES}`;
			const value = this.format(s.values.at(-1));
			if (item.name.textContent !== s.name)
				item.name.textContent = s.name;
			if (item.value.textContent !== value)
				item.value.textContent = value;
		});
		for (const key of gone) {
			this.#items.get(key).li.remove();
			this.#items.delete(key);
		}
	}

	/** Nobody sees it, or nothing to see: nothing is done. */
	draw(restyle = false) {
		if (document.hidden || !this.#canvas.clientWidth || !this.#times.length)
			return;
		if (window.Chart)
			this.#drawChart(restyle);
		else
			this.#drawLines();
	}

	#colour(name) {
		return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
	}

	#drawChart(restyle) {
		if (restyle) {
			this.#chart?.destroy();
			this.#chart = null;
		}
		this.#chart ??= new window.Chart(this.#canvas, this.#options());
		const end = this.#times.at(-1);
		const sets = this.#chart.data.datasets;
		sets.length = Math.min(sets.length, this.#series.length);
		this.#series.forEach((s, i) => {
			sets[i] ??= { borderColor: this.#colour(`--c${i % SERIES}`), borderWidth: 1.6, pointRadius: 0, pointHitRadius: 4 };
			sets[i].label = s.name;
			sets[i].data = s.values.map((y, k) => ({ x: (this.#times[k] - end) / 1000, y }));
		});
		this.#chart.update("none");
	}

	#options() {
		const text = this.#colour("--quiet"), line = this.#colour("--line");
		const ticks = { color: text, font: { size: 11, family: "inherit" }, maxRotation: 0 };
		return {
			type: "line", data: { datasets: [] },
			options: {
				animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
				interaction: { mode: "index", intersect: false },
				scales: {
					x: { type: "linear", min: -SPAN, max: 0, grid: { display: false, borderColor: line },
						ticks: { ...ticks, stepSize: 60, callback: (v) => (v ? `${v / 60} min`.replace("-", "−") : "now") } },
					y: { beginAtZero: true, grid: { color: line, borderColor: line, drawTicks: false },
						ticks: { ...ticks, maxTicksLimit: 5, padding: 6, callback: (v) => this.format(v) } },
				},
				plugins: { legend: { display: false }, tooltip: { animation: false, callbacks: {
					title: (items) => (items[0] ? `${Math.round(-items[0].parsed.x)} s ago` : ""),
					label: (item) => `${item.dataset.label}: ${this.format(item.parsed.y)}`,
				} } },
			},
		};
	}

	#drawLines() {
		const c = this.#canvas, ratio = window.devicePixelRatio || 1;
		const w = c.clientWidth, h = c.clientHeight, pen = c.getContext("2d");
		c.width = w * ratio;
		c.height = h * ratio;
		pen.scale(ratio, ratio);
		const top = Math.max(...this.#series.flatMap((s) => s.values.filter(Number.isFinite)), 1e-9);
		const end = this.#times.at(-1);
		pen.fillStyle = pen.strokeStyle = this.#colour("--line");
		for (const y of [0.5, h / 2, h - 0.5]) {
			pen.beginPath();
			pen.moveTo(0, y);
			pen.lineTo(w, y);
			pen.stroke();
		}
		this.#series.forEach((s, i) => {
			let down = false;
			pen.strokeStyle = this.#colour(`--c${i % SERIES}`);
			pen.lineWidth = 1.6;
			pen.beginPath();
			s.values.forEach((v, k) => {
				const x = w * (1 + (this.#times[k] - end) / 1000 / SPAN), y = 2 + (h - 4) * (1 - v / top);
				if (!Number.isFinite(v))
					down = false;
				else if (down)
					pen.lineTo(x, y);
				else
					pen.moveTo(x, y), down = true;
			});
			pen.stroke();
		});
		pen.fillStyle = this.#colour("--quiet");
		pen.font = "11px system-ui, sans-serif";
		pen.fillText(this.format(top), 4, 13);
	}
}

function restyle() {
	for (const plot of plots)
		plot.draw(true);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
document.addEventListener("visibilitychange", () => plots.forEach((plot) => plot.draw()));

/** Once, after the server has said that it has it. */
export function loadCharts() {
	if (window.Chart || document.getElementById("charts"))
		return;
	const script = document.createElement("script");
	script.id = "charts";
	script.src = "chart.js";
	script.onload = restyle;
	document.head.append(script);
}
