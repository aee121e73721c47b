"use strict";
// Lists runs and follows those that go on: asks every other second what there is.
const EVERY_MS = 2000;
const NAMESPACE = "http://www.w3.org/2000/svg";
const place = document.getElementById("runs");
const state = document.getElementById("state");

const element = (name, text, className) => {
  const made = Object.assign(document.createElement(name), { textContent: text ?? "" });
  if (className) made.className = className;
  return made;
};
const drawn = (name, attributes, text) => {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text ?? "";
  return made;
};
const percent = value => `${(100 * value).toFixed(1)}%`;
const time = ms => ms < 1 ? `${+(1e3 * ms).toPrecision(3)} µs` : `${+ms.toPrecision(3)} ms`;

// Accuracy over latency of the trials so far, with their Pareto front.
function chart({ points, target_ms: target }) {
  const [width, height, left, bottom] = [280, 160, 46, 140];
  const times = points.map(([ms]) => ms).concat(target ?? []), scores = points.map(([, accuracy]) => accuracy);
  const [slow, low, high] = [1.05 * Math.max(...times), Math.min(...scores), Math.max(...scores)];
  const spread = Math.max(high - low, 0.02);
  const x = ms => left + ms / slow * (width - left - 6);
  const y = accuracy => bottom - (accuracy - low + 0.05 * spread) / (1.15 * spread) * (bottom - 8);
  const front = [];
  for (const point of [...points].sort((a, b) => a[0] - b[0] || b[1] - a[1]))
    if (!front.length || point[1] > front.at(-1)[1]) front.push(point);
  const at = ([ms, accuracy]) => `${x(ms).toFixed(1)} ${y(accuracy).toFixed(1)}`;
  const svg = drawn("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Accuracy over latency of the trials" });
  svg.append(drawn("path", { class: "trials", d: points.map(point => `M${at(point)}h0`).join("") }));
  const steps = front.slice(1).map(([ms, accuracy]) => `H${x(ms).toFixed(1)}V${y(accuracy).toFixed(1)}`).join("");
  svg.append(drawn("path", { class: "front", d: `M${at(front[0])}${steps}` }));
  if (target) svg.append(drawn("path", { class: "target", d: `M${x(target).toFixed(1)} 4V${bottom}` }));
  svg.append(
    drawn("text", { x: left - 4, y: y(high) + 4, "text-anchor": "end" }, percent(high)),
    drawn("text", { x: left - 4, y: y(low) + 4, "text-anchor": "end" }, percent(low)),
    drawn("text", { x: width - 6, y: height - 4, "text-anchor": "end" }, time(slow)));
  return svg;
}

// The loss of a training over its steps.
function curve({ name, losses }) {
  const [width, height, left, bottom] = [280, 96, 46, 76];
  const values = losses.map(([, loss]) => loss), [low, high] = [Math.min(...values), Math.max(...values)];
  const last = losses.at(-1)[0], spread = Math.max(high - low, 1e-6);
  const at = ([step, loss]) =>
    `${(left + step / last * (width - left - 6)).toFixed(1)} ${(8 + (high - loss) / spread * (bottom - 14)).toFixed(1)}`;
  const svg = drawn("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Loss of ${name}` });
  svg.append(
    drawn("path", { class: "front", d: `M${losses.map(at).join("L")}` }),
    drawn("text", { x: left - 4, y: 12, "text-anchor": "end" }, high.toPrecision(3)),
    drawn("text", { x: left - 4, y: bottom, "text-anchor": "end" }, low.toPrecision(3)),
    drawn("text", { x: width - 6, y: height - 4, "text-anchor": "end" }, `loss of ${name}, ${last} steps`));
  return svg;
}

// Candidates by node, as the log of a run has them that trains candidates alone.
function nodes({ nodes: listed }) {
  const made = document.createElement("table");
  const row = (cells, kind) => {
    const line = document.createElement("tr");
    line.append(...cells.map(cell => element(kind, cell)));
    return line;
  };
  made.append(row(["node", "running", "done", "lost"], "th"));
  for (const node of listed) made.append(row([node.name, node.running, node.done, node.lost], "td"));
  return made;
}

function article(run) {
  const made = document.createElement("section"), text = element("div", "", "text"), pictures = element("div", "", "drawn");
  const title = element("h2", run.name);
  title.append(element("span", run.state, run.state));
  text.append(title);
  const about = [run.space, run.dataset && `on ${run.dataset}`, run.strategy?.replaceAll("_", " "), run.device, run.seed !== null && `seed ${run.seed}`];
  text.append(element("p", about.filter(Boolean).join(", ")));
  const shared = run.trainings.find(training => training.name === "supernet");
  if (shared && run.steps && shared.step < run.steps)
    text.append(Object.assign(document.createElement("progress"), { max: run.steps, value: shared.step }),
      element("p", `Supernet: step ${shared.step} of ${run.steps}`));
  if (run.wanted) {
    const bar = Object.assign(document.createElement("progress"), { max: run.wanted, value: run.done });
    const more = run.candidates ? `, ${run.candidates} candidates trained` : "";
    text.append(bar, element("p", `${run.done} of ${run.wanted} trials${more}`));
  }
  if (run.cluster) {
    const { waiting, running, done, failed } = run.cluster;
    text.append(element("p", `Candidates: ${waiting} waiting, ${running} running, ${done} done, ${failed} given up`), nodes(run.cluster));
  }
  if (run.accuracy !== null) {
    const speed = run.speedup ? `, ${run.speedup.toFixed(2)} times as fast as dense` : "";
    const took = run.latency_ms ? `, ${time(run.latency_ms)}` : "";
    text.append(element("p", `${percent(run.accuracy)} accurate${took}${speed}`, "found"));
  }
  if (run.report) {
    const link = element("a", "Report");
    link.href = `${encodeURIComponent(run.name)}/report.html`;
    const line = element("p");
    line.append(link);
    text.append(line);
  }
  if (run.points.length) pictures.append(chart(run));
  if (shared && shared.losses.length > 1) pictures.append(curve(shared));
  made.append(text, pictures);
  return made;
}

let last = "";
async function follow() {
  try {
    const text = await (await fetch("runs.json")).text();
    // What has not changed stays, so that a selection or a focused link stays too.
    if (text !== last) {
      const runs = JSON.parse(text);
      place.replaceChildren(...runs.map(article));
      if (!runs.length) place.append(element("p", "There are no runs in this folder yet."));
      const going = runs.filter(run => run.state === "running").length;
      state.textContent = `${runs.length} runs, ${going} going on`;
      last = text;
    }
  } catch {
    state.textContent = "The server does not answer: sparsenas ui has ended.";
    last = "";
  }
  setTimeout(follow, EVERY_MS);
}
follow();
