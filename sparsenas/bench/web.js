// Runs networks in our module and in LiteRT.js in turns, as sparsenas.bench.web asks for in work.json.
import { SparseNAS } from "./sparsenas.js";

const { names, peers, rounds, visitMs } = await (await fetch("work.json")).json();
const median = (values) => Array.from(values).sort((a, b) => a - b)[values.length >> 1];
const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
const outputsOf = async (tensor) => Array.from(await tensor.data());

// Each engine is a name and what runs it once.
async function ours(name) {
  const model = await SparseNAS.load(`${name}.snas`);
  model.input.set(new Float32Array((await bytes("image.f32")).buffer));
  const once = () => model.run(model.input);
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

// Milliseconds of a run, the median over some: what interrupts a few of them does not count.
async function visit({ once, runs }) {
  const times = [];
  for (let i = 0; i < runs; ++i) {
    const begin = performance.now();
    await once();
    times.push(performance.now() - begin);
  }
  return median(times);
}

export async function run(report) {
  const entrants = [];
  const steps = rounds + names.length * (peers ? 2 : 1);
  let done = 0;
  for (const name of names) entrants.push(await ours(name));
  if (peers) {
    await report(done, steps, "LiteRT.js is compiled");
    const litert = await import("./litert.js");
    await litert.loadLiteRt(new URL("npm/@litertjs/core/wasm/", document.baseURI).href, { threads: false });
    for (const name of names) entrants.push(await theirs(name, litert));
  }
  for (const entrant of entrants) {
    entrant.result = await entrant.outputs();
    // The first runs of a function wait until it is compiled.
    entrant.runs = 3;
    await visit(entrant);
    entrant.runs = Math.max(3, Math.ceil(visitMs / Math.max(await visit(entrant), 1e-3)));
    entrant.visits = [];
    await report(++done, steps, `${entrant.engine} has computed ${entrant.name}`);
  }
  for (let round = 0; round < rounds; ++round) {
    for (const entrant of entrants) entrant.visits.push(await visit(entrant));
    await report(++done, steps, `round ${round + 1} of ${rounds}`);
  }
  return JSON.stringify({
    agent: navigator.userAgent,
    records: entrants.map(({ name, engine, isa, visits, result }) => {
      return { name, engine, isa, ms: median(visits), visits, outputs: result };
    }),
  });
}
