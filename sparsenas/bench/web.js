// Runs networks in our module and in LiteRT.js in turns, as sparsenas.bench.web asks for in work.json.
import { SparseNAS } from "./sparsenas.js";

const { names, peers, rounds, visitMs, loads } = await (await fetch("work.json")).json();
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const median = (values) => Array.from(values).sort((a, b) => a - b)[values.length >> 1];
const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
const outputsOf = async (tensor) => Array.from(await tensor.data());

// Each engine is a name and what runs it once.
async function ours(name) {
  const model = await SparseNAS.load(`${name}.snas`);
  const image = new Float32Array((await bytes("image.f32")).buffer);
  const once = () => model.run(image);
  return { name, engine: "sparsenas", isa: model.isa, once, outputs: () => Array.from(once()) };
}

async function theirs(name, { loadAndCompile, Tensor }) {
  const options = { accelerator: "wasm", cpuOptions: { numThreads: 1 } };
  const model = await loadAndCompile(await bytes(`${name}.tflite`), options);
  const shape = Array.from(model.getInputDetails()[0].shape);
  const image = new Tensor(new Float32Array((await bytes("image.f32")).buffer), shape);
  const once = async () => {
    for (const output of await model.run(image)) output.delete();
  };
  return { name, engine: "litert_js", once, outputs: async () => outputsOf((await model.run(image))[0]) };
}

async function visit({ once, runs }) {
  const begin = performance.now();
  for (let i = 0; i < runs; ++i) await once();
  return (performance.now() - begin) / runs;
}

async function firstMs() {
  const frame = document.createElement("iframe");
  frame.src = "index.html";
  document.body.append(frame);
  for (;;) {
    const found = frame.contentDocument?.documentElement?.dataset;
    if (found?.failed) throw new Error("the page failed");
    if (found?.firstMs) {
      frame.remove();
      return Number(found.firstMs);
    }
    await new Promise((later) => setTimeout(later, 5));
  }
}

export async function run() {
  const first = [];
  for (let i = 0; i < loads; ++i) first.push(await firstMs());
  const entrants = [];
  let version = "";
  for (const name of names) entrants.push(await ours(name));
  if (peers) {
    const litert = await import("./litert.js");
    await litert.loadLiteRt(new URL("npm/@litertjs/core/wasm/", document.baseURI).href, { threads: false });
    for (const name of names) entrants.push(await theirs(name, litert));
  }
  for (const entrant of entrants) {
    entrant.result = await entrant.outputs();
    entrant.runs = 3;
    entrant.runs = Math.max(3, Math.ceil(visitMs / Math.max(await visit(entrant), 1e-3)));
    entrant.visits = [];
  }
  for (let round = 0; round < rounds; ++round)
    for (const entrant of entrants) entrant.visits.push(await visit(entrant));
  return JSON.stringify({
    agent: navigator.userAgent,
    first_result_ms: median(first),
    records: entrants.map(({ name, engine, isa, visits, result }) => {
      return { name, engine, isa, ms: median(visits), outputs: result };
    }),
  });
}
