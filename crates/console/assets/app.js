// The dashboard. Plain script, no framework; everything it needs comes from this server.
//
// WebSocket /ws pushes one text frame every 250 ms. Each frame is complete, so a lost one does not matter.
// Prices are decimal numbers in EC per accelerator-hour (AH) unless named otherwise; null means there is none.
//
//   {"t": 1795440000000,                         exchange time, ms since 1970
//    "seq": 48112,                               last sequence number applied
//    "engine": {"scenario": "price-war",         what runs, with its seed
//               "seed": 42,
//               "ack_mode": "durable",           or "memory"
//               "wiring": "inline",              or "threaded"
//               "committed": 48110},             last sequence number that is durable
//    "model": "llama2-70b/server",                the reference model of prices per Mtok, or null
//    "vendors": [{"name": "NVIDIA", "price_per_mtok": 1.7547, "price_per_ah": 27.0,
//                 "share": 0.54, "mtok": 1203.5,       share of 1 and Mtok sold since the start
//                 "share_10s": 0.61, "mtok_10s": 4.2}],   and in the last 10 s
//    "instruments": [{"id": 1, "symbol": "H200S.DE.20261124T1400.H", "bid": 26.9, "ask": 27.0, "last": 27.0,
//                     "phase": "auction",        "pending", "pre-open", "open", "halted" or "auction"
//                     "auction": {"price": 27.0, "volume": 40, "surplus": -3}}],   what it would trade now; else null
//    "book": {"id": 1, "phase": "open", "auction": null,
//             "bids": [[26.9, 12, 3]], "asks": [[27.0, 5, 1]]},   [price, lots, orders], best first; while an instrument
//                                                                 is halted or in an auction bids may stand above asks
//    "tape": [{"t": 1795440000000, "symbol": "…", "price": 27.0, "qty": 2, "side": "buy"}],   newest first, taker's side,
//                                                                                             or "auction"
//    "latency_us": {"p50": 46.1, "p99": 118.0, "p999": 240.0},   null when nothing was answered
//    "latency_note": "Order received to answer sent, last second.",   what these are
//    "counters": {"commands": 1, "trades": 1, "rejects": 1,      since the start
//                 "connections": 1, "sessions": 1, "resting_orders": 1}}   now
//
// The page sends {"book": ID} to choose the instrument of "book".
// GET /api/history answers {"t": [ms], "nvidia": [EC/Mtok], "google": [EC/Mtok]} and may add "nvidia_ah" and
// "google_ah" [EC/AH], all of one length.

const SERIES = [{ name: "NVIDIA", key: "nvidia" }, { name: "Google", key: "google" }];
const UNITS = { mtok: { label: "EC/Mtok", words: "per million tokens", suffix: "", field: "price_per_mtok" },
                ah: { label: "EC/AH", words: "per accelerator-hour", suffix: "_ah", field: "price_per_ah" } };
const POINTS_MAX = 14400;      // One hour of frames.
const LEVELS_MAX = 10;
const STALE_AFTER_MS = 2000;
const RECONNECT_MS = { first: 500, longest: 5000 };

const byId = (id) => document.getElementById(id);
const colour = (key) => getComputedStyle(document.documentElement).getPropertyValue(`--${key}`).trim();

// ---- numbers ----

const formats = new Map();
function number(value, digits = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formats.get(digits).format(value);
}

function duration(us) {
  if (us === null || us === undefined) return ["–", "µs"];
  return us < 1000 ? [number(us, us < 100 ? 1 : 0), "µs"] : [number(us / 1000, 1), "ms"];
}

const percent = (share, digits) => (share === null || share === undefined ? "–" : `${number(share * 100, digits)} %`);
const clock = (ms) => new Date(ms).toISOString().slice(11, 19);

// ---- elements ----

function element(tag, { text, className, children = [] } = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const row = (cells, className) => element("tr", { className, children: cells });
const cell = (text, className) => element("td", { text, className });

// A symbol may break after its dots on a narrow screen.
function breakable(symbol) {
  const parts = symbol.split(".").map((part, index, all) => (index + 1 < all.length ? `${part}.` : part));
  return parts.flatMap((part, index) => (index === 0 ? [part] : [document.createElement("wbr"), part]));
}

// What is worth saying of a phase: nothing, while an instrument is simply open.
function phaseWords({ phase, auction }) {
  if (phase === "open") return "";
  if (!auction) return phase;
  if (auction.volume === 0) return `${phase}, nothing would trade`;
  const { price, volume, surplus } = auction;
  const more = surplus === 0 ? "" : `, ${number(Math.abs(surplus))} more to ${surplus > 0 ? "buy" : "sell"}`;
  return `${phase} at ${number(price, 2)}, ${number(volume)} ${volume === 1 ? "lot" : "lots"}${more}`;
}

const symbolCell = (symbol) => element("td", { className: "text", children: breakable(symbol) });

function figure(name, value, unit) {
  const dd = element("dd", { text: value });
  if (unit) dd.append(" ", element("small", { text: unit }));
  return element("div", { children: [element("dt", { text: name }), dd] });
}

// ---- chart ----

const history = { t: [], nvidia: [], google: [], nvidia_ah: [], google_ah: [] };
const chart = { plot: null, unit: "mtok", due: false };

function chartData() {
  const { suffix } = UNITS[chart.unit];
  return [history.t, ...SERIES.map(({ key }) => history[key + suffix])];
}

function buildChart() {
  const box = byId("chart");
  chart.plot?.destroy();
  const { label } = UNITS[chart.unit];
  const shown = (_, value) => (value === null || value === undefined ? "–" : `${number(value, 4)} ${label}`);
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 } };
  const stepped = uPlot.paths.stepped({ align: 1 });
  chart.plot = new uPlot({
    ...chartSize(box),
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: { y: { range: priceRange } },
    cursor: { points: { size: 6 } },
    axes: [
      { ...axis, space: 80, values: (_, ticks) => ticks.map((tick) => clock(tick * 1000)) },
      { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => number(tick, chart.unit === "mtok" ? 2 : 1)), label, labelSize: 18, labelFont: "12px system-ui" },
    ],
    series: [
      { label: "time, UTC", value: (_, seconds) => (seconds === null ? "–" : clock(seconds * 1000)) },
      ...SERIES.map(({ name, key }) => ({ label: name, stroke: colour(key), width: 2, paths: stepped, points: { show: false }, value: shown, spanGaps: false })),
    ],
    hooks: { setCursor: [showLatest] },
  }, chartData(), box);
  sizes.observe(chart.plot.root.querySelector(".u-legend"));
  showLatest();
}

// A little air above and below; a flat line sits in the middle.
function priceRange(_, low, high) {
  if (low === null || high === null) return [0, 1];
  const air = (high - low) * 0.1 || Math.abs(high) * 0.05 || 1;
  return [Math.max(0, low - air), high + air];
}

// The legend takes a second line on a narrow screen.
const sizes = new ResizeObserver(() => chart.plot?.setSize(chartSize(byId("chart"))));

function chartSize(box) {
  const legend = box.querySelector(".u-legend")?.offsetHeight ?? 28;
  return { width: Math.max(260, box.clientWidth), height: Math.max(180, box.clientHeight - legend) };
}

function addPoint(frame) {
  const seconds = frame.t / 1000;
  if (history.t.length > 0 && seconds <= history.t[history.t.length - 1]) return;
  history.t.push(seconds);
  for (const { name, key } of SERIES) {
    const vendor = frame.vendors.find((vendor) => vendor.name === name);
    for (const { suffix, field } of Object.values(UNITS)) history[key + suffix].push(vendor?.[field] ?? null);
  }
  if (history.t.length > POINTS_MAX) for (const values of Object.values(history)) values.splice(0, POINTS_MAX / 10);
  drawSoon();
}

// Frames that arrive together, as after a pause of the tab, are drawn once.
function drawSoon() {
  if (chart.due) return;
  chart.due = true;
  requestAnimationFrame(() => {
    chart.due = false;
    chart.plot?.setData(chartData());
    showLatest();
  });
}

// Without a pointer on the chart its legend reads the newest point.
function showLatest() {
  const { plot } = chart;
  if (plot && history.t.length > 0 && (plot.cursor.left ?? -1) < 0) plot.setLegend({ idx: history.t.length - 1 });
}

// What happened before this page was opened, or while it was away; live points newer than that stay.
async function loadHistory() {
  const response = await fetch("api/history");
  if (!response.ok) throw new Error(`history: status ${response.status}`);
  const loaded = await response.json();
  const seconds = loaded.t.map((ms) => ms / 1000);
  const last = seconds[seconds.length - 1] ?? -Infinity;
  const found = history.t.findIndex((time) => last < time);
  const kept = found < 0 ? history.t.length : found;
  for (const name of Object.keys(history)) {
    const before = name === "t" ? seconds : loaded[name] ?? seconds.map(() => null);
    history[name] = before.concat(history[name].slice(kept));
  }
  drawSoon();
}

// ---- panels ----

function showHeader(frame) {
  const { scenario, seed, ack_mode, wiring } = frame.engine;
  byId("scenario").textContent = [scenario, seed === undefined || seed === null ? null : `seed ${seed}`].filter(Boolean).join(" · ");
  byId("seq").textContent = number(frame.seq);
  byId("model").textContent = frame.model ?? "the reference model";
  const behind = Math.max(0, frame.seq - frame.engine.committed);
  const promise = ack_mode === "durable" ? "answers wait for the journal's sync" : "answers do not wait for the disk";
  byId("journal").textContent =
    `Ack mode ${ack_mode}: ${promise}. Durable up to seq ${number(frame.engine.committed)}, ${number(behind)} behind. Wiring ${wiring}.`;
}

function showVendors(vendors) {
  const cards = vendors.map((vendor) => {
    const price = element("div", { className: "price", text: number(vendor.price_per_mtok, 4) });
    price.append(" ", element("small", { text: "EC/Mtok" }));
    const card = element("div", { className: "vendor", children: [
      element("div", { className: "name", text: vendor.name }),
      element("div", { className: "detail end", text: `${number(vendor.mtok)} Mtok sold · ${percent(vendor.share, 1)}` }),
      price,
      element("div", { className: "detail end", text: `${number(vendor.price_per_ah, 2)} EC/AH` }),
    ] });
    card.style.setProperty("--colour", `var(--${vendor.name.toLowerCase()})`);
    return card;
  });
  byId("vendors").replaceChildren(...cards);
  showShares(vendors);
}

function sharesNote(vendors) {
  const recent = vendors.filter(({ share_10s }) => typeof share_10s === "number");
  const lately = recent.map(({ name, share_10s }) => `${name} ${percent(share_10s, 0)}`).join(", ");
  return `Share of the tokens sold since the start${lately ? `; in the last 10 s ${lately}` : ""}.`;
}

// Bars stay in place, so that their width can glide.
function showShares(vendors) {
  const bars = byId("shares");
  while (bars.childElementCount < vendors.length) bars.append(element("div"));
  vendors.forEach((vendor, index) => {
    const percent = (vendor.share ?? 0) * 100;
    const bar = bars.children[index];
    bar.style.setProperty("--colour", `var(--${vendor.name.toLowerCase()})`);
    bar.style.width = `${percent}%`;
    bar.style.padding = percent < 4 ? "0" : "";
    bar.textContent = percent < 14 ? "" : `${vendor.name} ${number(percent, 0)} %`;
  });
  byId("shares-note").textContent = sharesNote(vendors);
  bars.setAttribute("aria-label", vendors.map((vendor) => `${vendor.name} ${number((vendor.share ?? 0) * 100, 1)} percent`).join(", "));
}

const selection = { id: null, known: "" };

function showInstruments(instruments, shownId) {
  const select = byId("instrument");
  const known = instruments.map(({ id, symbol }) => `${id} ${symbol}`).join();
  if (known !== selection.known) {
    selection.known = known;
    select.replaceChildren(...instruments.map(({ id, symbol }) => {
      const option = element("option", { text: symbol });
      option.value = String(id);
      return option;
    }));
  }
  const chosen = selection.id ?? shownId;
  if (chosen !== undefined && document.activeElement !== select) select.value = String(chosen);
  showMarkets(instruments, chosen);
}

// Rows stay in place, so that a click or the keyboard's focus is not lost four times a second.
function showMarkets(instruments, chosen) {
  const body = byId("markets");
  while (body.childElementCount > instruments.length) body.lastElementChild.remove();
  while (body.childElementCount < instruments.length) {
    const name = element("td", { className: "text", children: [element("button"), element("span", { className: "phase" })] });
    name.firstElementChild.type = "button";
    body.append(row([name, cell(""), cell(""), cell("")]));
  }
  instruments.forEach((instrument, index) => {
    const { id, symbol, bid, ask, last } = instrument;
    const line = body.children[index];
    const button = line.firstElementChild.firstElementChild;
    if (button.dataset.symbol !== symbol) {
      button.dataset.symbol = symbol;
      button.replaceChildren(...breakable(symbol));
    }
    line.dataset.id = String(id);
    line.dataset.phase = instrument.phase;
    line.firstElementChild.lastElementChild.textContent = phaseWords(instrument);
    line.setAttribute("aria-selected", String(id === chosen));
    [bid, ask, last].forEach((price, column) => {
      line.children[column + 1].textContent = number(price, 2);
    });
  });
}

function showBook(book) {
  const asks = book.asks.slice(0, LEVELS_MAX);
  const bids = book.bids.slice(0, LEVELS_MAX);
  const total = (levels) => levels.reduce((sum, [, qty]) => sum + qty, 0);
  const deepest = Math.max(1, total(asks), total(bids));
  byId("asks").replaceChildren(...ladderRows(asks, "ask", deepest).reverse());
  byId("bids").replaceChildren(...ladderRows(bids, "bid", deepest));
  byId("spread").textContent = [phaseWords(book), spreadWords(bids, asks)].filter(Boolean).join(" · ");
  byId("spread").parentElement.dataset.phase = book.phase;
}

function spreadWords(bids, asks) {
  if (!asks.length && !bids.length) return "the book is empty";
  if (!asks.length || !bids.length) return "one side is empty";
  const gap = asks[0][0] - bids[0][0];
  return gap > 0 ? `spread ${number(gap, 2)} EC/AH` : `crossed by ${number(-gap, 2)} EC/AH`;
}

// The bar behind a level shows all lots up to it.
function ladderRows(levels, side, deepest) {
  let lots = 0;
  return levels.map(([price, qty, orders]) => {
    lots += qty;
    const line = row([cell(number(price, 2)), cell(number(qty)), cell(number(orders))], side);
    line.style.setProperty("--depth", `${(lots / deepest) * 100}%`);
    return line;
  });
}

function showTape(tape) {
  byId("tape").replaceChildren(...tape.map((trade) =>
    row([cell(clock(trade.t)), symbolCell(trade.symbol), cell(number(trade.price, 2)), cell(number(trade.qty)), cell(trade.side, trade.side)])));
}

function showLatency(latency, note) {
  if (note) byId("latency-note").textContent = note;
  const of = (name, key) => figure(`latency ${name}`, ...duration(latency?.[key]));
  byId("latency").replaceChildren(of("p50", "p50"), of("p99", "p99"), of("p99.9", "p999"));
}

const earlier = [];

// Rates over about two seconds, from the difference of two frames.
function showCounters(frame) {
  earlier.push({ t: frame.t, ...frame.counters });
  if (earlier.length > 9) earlier.shift();
  const then = earlier[0];
  const seconds = (frame.t - then.t) / 1000;
  const rate = (name) => (seconds > 0 ? (frame.counters[name] - then[name]) / seconds : null);
  const { counters } = frame;
  byId("counters").replaceChildren(
    figure("commands", number(rate("commands")), "/s"),
    figure("trades", number(rate("trades")), "/s"),
    figure("trades so far", number(counters.trades)),
    figure("rejects so far", number(counters.rejects)),
    figure("resting orders", number(counters.resting_orders)),
    figure("sessions", number(counters.sessions), `on ${number(counters.connections)} conn.`),
  );
}

function show(frame) {
  showHeader(frame);
  showVendors(frame.vendors);
  showInstruments(frame.instruments, frame.book?.id);
  if (frame.book) showBook(frame.book);
  showTape(frame.tape);
  showLatency(frame.latency_us, frame.latency_note);
  showCounters(frame);
  addPoint(frame);
}

// ---- connection ----

const link = { socket: null, retryMs: RECONNECT_MS.first, lastFrame: 0 };

function setState(state, words) {
  document.body.dataset.state = state;
  byId("state").textContent = words;
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws`);
  link.socket = socket;
  socket.onopen = () => {
    link.retryMs = RECONNECT_MS.first;
    earlier.length = 0;
    sendSelection();
    loadHistory().catch((error) => console.warn(error.message));
  };
  socket.onmessage = ({ data }) => {
    link.lastFrame = performance.now();
    setState("live", "live");
    show(JSON.parse(data));
  };
  socket.onclose = () => {
    setState("lost", `lost, retry in ${number(link.retryMs / 1000, 1)} s`);
    setTimeout(connect, link.retryMs);
    link.retryMs = Math.min(link.retryMs * 2, RECONNECT_MS.longest);
  };
}

function sendSelection() {
  if (selection.id !== null && link.socket?.readyState === WebSocket.OPEN) {
    link.socket.send(JSON.stringify({ book: selection.id }));
  }
}

function choose(id) {
  selection.id = id;
  byId("instrument").value = String(id);
  sendSelection();
}

function watchForSilence() {
  if (document.body.dataset.state === "live" && performance.now() - link.lastFrame > STALE_AFTER_MS) {
    setState("stale", "no data");
  }
}

byId("instrument").addEventListener("change", (event) => choose(Number(event.target.value)));
byId("markets").addEventListener("click", (event) => {
  const line = event.target.closest("tr");
  if (line) choose(Number(line.dataset.id));
});
for (const button of document.querySelectorAll("[data-unit]")) {
  button.addEventListener("click", () => {
    chart.unit = button.dataset.unit;
    byId("unit-name").textContent = UNITS[chart.unit].words;
    for (const other of document.querySelectorAll("[data-unit]")) other.setAttribute("aria-pressed", String(other === button));
    buildChart();
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", buildChart);
sizes.observe(byId("chart"));
setInterval(watchForSilence, 500);
buildChart();
connect();
