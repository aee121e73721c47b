// Measures models in node, each group of them in turns:
//
//   node measure.mjs sparsenas.wasm ROUNDS
//
// Reads groups, a line of JSON each, [path of a .snas file, ...], and answers each with a line:
// {"isa", "peak_gflops", "us": [medians], "kernel_names": [of each first layer]}.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { compile } from "./compile.mjs";
import { instantiate } from "./sparsenas.mjs";

// How long a model runs at each visit, so that the median is over many runs of a small one.
const VISIT_SECONDS = 1e-3;

function median(values) {
  const sorted = Array.from(values).sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

const [program, rounds] = process.argv.slice(2);
const runtime = await instantiate(await compile(readFileSync(program)));
for await (const line of createInterface({ input: process.stdin })) {
  const timed = JSON.parse(line).map((path) => {
    const model = runtime.open(readFileSync(path));
    const runs = Math.max(5, Math.round(VISIT_SECONDS / median(model.measure(5))));
    return { model, runs, visits: [] };
  });
  const peaks = [];
  for (let round = 0; round < Number(rounds); ++round) {
    peaks.push(runtime.peakGflops());
    for (const { model, runs, visits } of timed) visits.push(median(model.measure(runs)));
  }
  const result = {
    isa: runtime.isa,
    peak_gflops: median(peaks),
    us: timed.map(({ visits }) => 1e6 * median(visits)),
    kernel_names: timed.map(({ model }) => model.kernelNames[0]),
  };
  process.stdout.write(JSON.stringify(result) + "\n");
  for (const { model } of timed) model.close();
}
