"use strict";
// Everything that is shown comes in as text and stays text: nodes are made, markup is never read.
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const STATUS = ["awaiting invoice", "pending", "fulfilled", "abandoned", "failed", "remembered", "forgotten"];
const PART = ["in_flight", "claimed", "finalized", "failed", "withdrawn"];
const SIGN = { in_flight: "…", claimed: "+", finalized: "✓", failed: "✗", withdrawn: "○" };
const PAGE = 100;

function make(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  for (const child of children) node.append(child);
  return node;
}
function draw(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  for (const child of children) node.append(child);
  return node;
}
const moment = (ms) => {
  const date = new Date(ms);
  return isNaN(date) ? ms + " ms" : date.toISOString().replace("T", " ").replace(/\.\d+Z$/, "Z");
};
function sat(msat) {
  if (msat === null) return "unknown";
  const whole = Math.floor(msat / 1000).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  return whole + "." + String(msat % 1000).padStart(3, "0");
}
function span(ms) {
  if (ms < 1000) return ms + " ms";
  const s = Math.floor(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  return d ? `${d} d ${h % 24} h` : h ? `${h} h ${m % 60} min` : m ? `${m} min ${s % 60} s` : s + " s";
}
function sums(deltas) {
  let sum = 0;
  return deltas.map((delta) => (sum += delta));
}

let data, entries, shown = [], page = 0, at = 0;

async function load() {
  const text = atob($("data").textContent.trim());
  const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  data = JSON.parse(await new Response(stream).text());
  entries = {};
  for (const [name, deltas] of Object.entries(data.entries)) entries[name] = sums(deltas);
  data.ticks = sums(data.ticks);
  for (const payment of data.payments) {
    payment.text = [payment.id, payment.hash || "", payment.metadata || ""].join(" ").toLowerCase();
    payment.text += " " + payment.parts.map((part) => part[0]).join(" ");
  }
  charts();
  const slider = $("seq");
  slider.min = $("seq-number").min = data.base_seq;
  slider.max = $("seq-number").max = data.head_seq;
  slider.addEventListener("input", () => move(Number(slider.value)));
  $("seq-number").addEventListener("change", () => move(Number($("seq-number").value)));
  $("newest").addEventListener("click", () => move(data.head_seq));
  $("search").addEventListener("input", () => filter());
  $("status").addEventListener("change", () => filter());
  $("sort").addEventListener("change", () => filter());
  $("previous").addEventListener("click", () => { page -= 1; rows(); });
  $("next").addEventListener("click", () => { page += 1; rows(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  move(data.head_seq);
  document.body.dataset.ready = "yes";
}

// The last entry that begins at or before a seq: an entry is one step.
function entryAt(seq) {
  let low = 0, high = entries.first.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries.first[middle] <= seq) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function move(seq) {
  seq = Math.min(Math.max(Math.round(seq) || 0, data.base_seq), data.head_seq);
  const nth = entryAt(seq);
  at = nth < 0 ? data.base_seq : (nth + 1 < entries.first.length ? entries.first[nth + 1] - 1 : data.head_seq);
  $("seq").value = $("seq-number").value = seq;
  $("seq").setAttribute("aria-valuetext", "seq " + seq);
  $("seq-time").textContent = nth < 0 ? "before the first entry" : moment(entries.at[nth]);
  for (const name of ["awaiting_invoice", "pending", "fulfilled", "abandoned", "failed", "remembered", "unresolved_parts", "outbox"]) {
    $("count-" + name).textContent = nth < 0 ? data.base_counts[name] : entries[name][nth];
  }
  filter();
}

// The status of a payment at the slider; -1 before it began.
function statusOf(payment) {
  let status = -1;
  for (const [seq, , now] of payment.statuses) { if (seq > at) break; status = now; }
  return status;
}

function filter() {
  const wanted = $("search").value.trim().toLowerCase(), status = $("status").value, sort = $("sort").value;
  shown = [];
  for (const payment of data.payments) {
    payment.now = statusOf(payment);
    if (payment.now < 0) continue;
    if (wanted && !payment.text.includes(wanted)) continue;
    if (status && STATUS[payment.now] !== status && !(status === payment.outcome && payment.now >= 5)) continue;
    shown.push(payment);
  }
  const by = { newest: (a, b) => b.seq - a.seq, oldest: (a, b) => a.seq - b.seq,
    amount: (a, b) => (b.amount || 0) - (a.amount || 0), fee: (a, b) => (b.fee || 0) - (a.fee || 0),
    attempts: (a, b) => b.attempts - a.attempts };
  shown.sort(by[sort]);
  page = 0;
  rows();
}

function rows() {
  const pages = Math.max(1, Math.ceil(shown.length / PAGE));
  page = Math.min(Math.max(page, 0), pages - 1);
  const body = make("tbody");
  for (const payment of shown.slice(page * PAGE, (page + 1) * PAGE)) {
    const open = make("button", { type: "button", class: "mono" }, payment.id.slice(0, 16));
    open.addEventListener("click", () => detail(payment));
    const name = STATUS[payment.now], outcome = payment.now >= 5 ? `${payment.outcome}, ${name}` : name;
    const kind = (payment.now >= 5 ? payment.outcome : name).replace(" ", "_");
    body.append(make("tr", {}, make("td", {}, open),
      make("td", {}, make("span", { class: "badge " + kind }, outcome)),
      make("td", { class: "number" }, sat(payment.amount)), make("td", { class: "number" }, sat(payment.fee)),
      make("td", { class: "number" }, String(payment.attempts)),
      make("td", { class: "number" }, String(payment.parts.length)),
      make("td", {}, payment.accepted === null ? "-" : moment(payment.accepted)),
      make("td", { class: "text" }, make("bdi", {}, payment.metadata || ""))));
  }
  $("payments").replaceChild(body, $("payments").tBodies[0]);
  $("found").textContent = `${shown.length} payments, page ${page + 1} of ${pages}`;
  $("previous").disabled = page === 0;
  $("next").disabled = page + 1 >= pages;
}

function entry(list, name, ...values) {
  list.append(make("dt", {}, name), make("dd", {}, ...values));
}

function detail(payment) {
  const list = make("dl");
  entry(list, "payment", make("code", {}, payment.id));
  entry(list, "hash", make("code", {}, payment.hash || "not known"));
  entry(list, "status", payment.status);
  entry(list, "amount", sat(payment.amount) + " sat" + (payment.amount === null ? "" : ` (${payment.amount} msat)`));
  entry(list, "fee", sat(payment.fee) + " sat" + (payment.fee === null ? "" : ` (${payment.fee} msat)`));
  if (payment.metadata) entry(list, "metadata", make("bdi", {}, payment.metadata));
  if (payment.preimage) entry(list, "preimage", make("code", {}, payment.preimage));
  const answer = payment.retry ? make("span", { class: "yes" }, "YES") : make("span", { class: "no" }, "NO");
  entry(list, "may it be sent again?", answer, ": " + payment.why);
  entry(list, "next", payment.next);
  $("facts").replaceChildren(list);
  $("events").replaceChildren(...payment.events.map(([seq, time, words]) =>
    make("li", { "data-seq": seq }, make("span", { class: "soft mono" }, `${seq}  ${moment(time)}  `), make("bdi", {}, words))));
  $("timeline").replaceChildren(timeline(payment));
  $("about").textContent = payment.parts.length ? "Choose a part: Tab and the arrow keys, or the mouse." : "It has no parts.";
  $("detail").hidden = false;
  $("detail-heading").focus();
  $("detail").scrollIntoView({ block: "nearest" });
}

function close() {
  if (!$("detail").hidden) { $("detail").hidden = true; $("search").focus(); }
}

function timeline(payment) {
  const width = 640, left = 92, right = 12, row = 22;
  const last = payment.events.length ? payment.events[payment.events.length - 1][1] : 0;
  const open = payment.parts.some((part) => part[7] === null);
  const ends = payment.parts.map((part) => part[7] === null ? (data.last_at || last) : part[7]);
  const first = Math.min(...payment.events.map((event) => event[1]), ...payment.parts.map((part) => part[5]));
  // What is read days later would leave nothing to be seen of the seconds that matter.
  const end = Math.max(first + 1, ...(payment.parts.length ? ends : [last]));
  const x = (time) => left + (Math.min(Math.max(time, first), end) - first) / (end - first) * (width - left - right);
  const height = Math.max(1, payment.parts.length) * row + 46;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Parts over time" });
  const low = data.ticks.findIndex((tick) => tick >= first);
  if (low >= 0) for (const tick of data.ticks.slice(low, low + 400)) {
    if (tick > end) break;
    svg.append(draw("line", { class: "tick", x1: x(tick), x2: x(tick), y1: height - 32, y2: height - 26 }));
  }
  payment.parts.forEach((part, nth) => svg.append(...bar(payment, part, nth, x, row, ends[nth])));
  for (const [seq, time, words, kind] of payment.events) if (kind === 1 && time <= end) {
    svg.append(draw("circle", { class: "mark", cx: x(time), cy: height - 29, r: 4 }, draw("title", {}, `${seq}: ${words}`)));
  }
  svg.append(draw("line", { class: "axis", x1: left, x2: width - right, y1: height - 24, y2: height - 24 }),
    draw("text", { x: left, y: height - 8 }, moment(first)),
    draw("text", { x: width - right, y: height - 8, "text-anchor": "end" }, span(end - first) + (open ? ", still out" : "")));
  return svg;
}

function bar(payment, part, nth, x, row, to) {
  const [id, attempt, ofTry, amount, fee, from, claimed, , state] = part, kind = PART[state], y = nth * row + 4;
  const starts = nth === 0 || payment.parts[nth - 1][1] !== attempt || payment.parts[nth - 1][2] !== ofTry;
  const label = (attempt ? "attempt " + attempt : "from the node") + (ofTry > 1 ? `, try ${ofTry}` : "");
  const about = `part ${id}: ${kind.replace("_", " ")}, ${sat(amount)} sat + ${sat(fee)} sat fee, ${label}, from ${moment(from)}`
    + (claimed === null ? "" : `, claimed ${moment(claimed)}`) + (part[7] === null ? ", still out" : `, over after ${span(to - from)}`);
  const rect = draw("rect", { class: "bar " + kind, x: x(from), y, width: Math.max(6, x(to) - x(from)), height: row - 6, rx: 2,
    tabindex: nth === 0 ? 0 : -1, role: "button", "aria-label": about, "data-part": id }, draw("title", {}, about));
  const tell = () => {
    $("about").textContent = about;
    let near = null;
    for (const item of $("events").children) {
      const event = payment.events.find((event) => String(event[0]) === item.dataset.seq);
      const own = event[4] && event[4].includes(nth);
      item.classList.toggle("near", Boolean(own));
      if (own && !near) near = item;
    }
    if (near) near.scrollIntoView({ block: "nearest" });
  };
  rect.addEventListener("focus", tell);
  rect.addEventListener("mouseenter", tell);
  rect.addEventListener("click", () => rect.focus());
  rect.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const bars = [...rect.ownerSVGElement.querySelectorAll(".bar")];
    const next = bars[bars.indexOf(rect) + step];
    if (next) { rect.setAttribute("tabindex", -1); next.setAttribute("tabindex", 0); next.focus(); }
  });
  const sign = draw("text", { x: x(from) + 2, y: y + 12, "pointer-events": "none", "aria-hidden": "true" }, SIGN[kind]);
  const named = starts ? [draw("text", { x: 0, y: y + 12 }, label)] : [];
  return [...named, rect, sign];
}

// ---- charts ---------------------------------------------------------------------------------------

function chart(id, groups, unit) {
  const width = 420, height = 170, left = 34, low = 34, top = 8;
  const most = Math.max(1, ...groups.map((group) => group.parts.reduce((sum, part) => sum + part.count, 0)));
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const step = (width - left - 4) / Math.max(1, groups.length), y = (count) => (height - low - top) * count / most;
  const said = [];
  groups.forEach((group, nth) => {
    let base = height - low;
    for (const part of group.parts) {
      if (!part.count) continue;
      const tall = y(part.count);
      base -= tall;
      const title = `${group.name}: ${part.count} ${part.name}`;
      said.push(title);
      svg.append(draw("rect", { class: part.kind, x: left + nth * step + 1, y: base, width: Math.max(1, step - 2), height: tall },
        draw("title", {}, title)));
    }
    const every = Math.ceil(groups.length / 7);
    if (nth % every === 0) {
      svg.append(draw("text", { x: left + nth * step + step / 2, y: height - 18, "text-anchor": "middle" }, group.short || group.name));
    }
  });
  svg.append(draw("line", { class: "axis", x1: left, x2: width, y1: height - low, y2: height - low }),
    draw("text", { x: left - 4, y: top + 8, "text-anchor": "end" }, String(most)),
    draw("text", { x: left - 4, y: height - low, "text-anchor": "end" }, "0"),
    draw("text", { x: width / 2, y: height - 3, "text-anchor": "middle" }, unit));
  svg.setAttribute("aria-label", said.slice(0, 60).join("; ") || "nothing yet");
  $(id).prepend(svg);
}

function histogram(values, limits, names) {
  const counts = limits.map(() => 0);
  for (const value of values) counts[limits.findIndex((limit) => value < limit)] += 1;
  return counts.map((count, nth) => ({ name: names[nth], parts: [{ name: "payments", kind: "pending", count }] }));
}

function charts() {
  const days = new Map(), settle = [], rates = [], attempts = [];
  for (const payment of data.payments) {
    if (payment.accepted !== null) {
      const day = moment(payment.accepted).slice(0, 10);
      const counts = days.get(day) || { fulfilled: 0, failed: 0, pending: 0 };
      counts[payment.outcome === "fulfilled" || payment.outcome === "failed" ? payment.outcome : "pending"] += 1;
      days.set(day, counts);
      const paid = payment.statuses.find((status) => status[2] === 2);
      if (paid) settle.push(paid[1] - payment.accepted);
    }
    if (payment.outcome === "fulfilled" && payment.amount && payment.fee !== null) rates.push(payment.fee / payment.amount * 1e6);
    attempts.push(Math.min(payment.attempts, 6));
  }
  chart("chart-days", [...days].sort().map(([day, counts]) => ({ name: day, short: day.slice(5), parts: [
    { name: "paid", kind: "fulfilled", count: counts.fulfilled }, { name: "failed", kind: "failed", count: counts.failed },
    { name: "open", kind: "pending", count: counts.pending }] })), "day accepted (UTC)");
  chart("chart-settle", histogram(settle, [1e3, 2e3, 5e3, 1e4, 6e4, 6e5, 3.6e6, Infinity],
    ["<1 s", "<2 s", "<5 s", "<10 s", "<1 min", "<10 min", "<1 h", "longer"]), "from accepted to paid");
  chart("chart-rate", histogram(rates, [500, 1000, 2000, 2500, 3000, 5000, 10000, Infinity],
    ["<500", "<1000", "<2000", "<2500", "<3000", "<5000", "<1%", "more"]), "fee in millionths of the amount");
  chart("chart-attempts", histogram(attempts, [1, 2, 3, 4, 5, 6, Infinity], ["0", "1", "2", "3", "4", "5", "more"]), "attempts");
}

load().catch((error) => {
  $("found").textContent = "This browser cannot show the report: " + error.message;
  document.body.dataset.ready = "failed";
  throw error;
});
