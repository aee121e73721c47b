// Visits models in turns, in node or in a browser.
import { instantiate } from "./sparsenas.mjs";

// How long a model runs at each visit, so that the time is over many runs of a small one; longer where
// the clock is coarse, as browsers make it.
const VISIT_SECONDS = 1e-3;
const COARSE_VISIT_SECONDS = 4e-3;
const LEAST_RUNS = 3;
const COARSE_SECONDS = 1e-6;
const PARTS = 9;
const ENOUGH_STEPS = 40;
const MOST_RUNS = 100000;
const ESTIMATES = 3;

// Seconds between two readings of the clock that differ, the smallest of a few.
export function clockStep() {
  let least = Infinity;
  for (let i = 0; i < 20; ++i) {
    const begin = performance.now();
    let end = begin;
    while (end === begin) end = performance.now();
    least = Math.min(least, end - begin);
  }
  return least / 1e3;
}

function median(values) {
  const sorted = Array.from(values).sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// Where the clock is coarse, a single run says little, but what is rounded up and down evens out over
// many; a part that was interrupted does not count.
function medianOfParts(values) {
  const size = Math.ceil(values.length / PARTS);
  const parts = [];
  for (let i = 0; i < values.length; i += size) parts.push(mean(values.slice(i, i + size)));
  return median(parts) || mean(values);
}

// Seconds of a run, from as many as the clock can tell.
function estimateOnce(model, step) {
  for (let runs = LEAST_RUNS; ; runs *= 4) {
    const total = runs * mean(model.measure(runs));
    if (total >= ENOUGH_STEPS * step || runs >= MOST_RUNS) return Math.max(total / runs, 1e-8);
  }
}

// The least of a few: one that was interrupted would leave visits too short for the clock.
function estimate(model, step) {
  return Math.min(...Array.from({ length: ESTIMATES }, () => estimateOnce(model, step)));
}

// Calls `kernels` with the kernel of each model's last layer, then `round` with the microseconds of a
// run of each, `rounds` times. `files` are bytes, `order` says in which order they are visited.
export async function takeTurns(module, { files, order, rounds }, { kernels, round }) {
  const runtime = await instantiate(module);
  const step = clockStep();
  const coarse = step > COARSE_SECONDS;
  const typical = coarse ? medianOfParts : median;
  const visit = coarse ? COARSE_VISIT_SECONDS : VISIT_SECONDS;
  const timed = files.map((bytes) => {
    const model = runtime.open(bytes);
    return { model, runs: Math.max(LEAST_RUNS, Math.round(visit / estimate(model, step))) };
  });
  await kernels(order.map((i) => timed[i].model.kernelNames.at(-1)));
  for (let done = 0; done < rounds; ++done) {
    await round(order.map((i) => 1e6 * typical(timed[i].model.measure(timed[i].runs))));
  }
  for (const { model } of timed) model.close();
}

export async function describe(module) {
  const runtime = await instantiate(module);
  return { isa: runtime.isa, build: runtime.buildId, clock_us: 1e6 * clockStep() };
}
