// The runtime for JavaScript computes what the golden file says and refuses what is no model:
//
//   node test.mjs sparsenas.wasm MODEL.snas IMAGE.f32 OUTPUTS.f32
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { compile } from "./compile.mjs";
import { instantiate } from "./sparsenas.mjs";

const [program, model, image, outputs] = process.argv.slice(2).map((path) => readFileSync(path));
const floats = (bytes) => new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));

const module = await compile(program);
const runtime = await instantiate(module);
const loaded = runtime.open(model);
const want = floats(outputs);
const got = loaded.run(floats(image));
loaded.input.set(floats(image));
assert.deepEqual(loaded.run(loaded.input), got);
assert.equal(got.length, want.length);
// Sums of a few hundred products, in another order.
got.forEach((value, i) =>
  assert.ok(Math.abs(value - want[i]) <= 1e-5 * (1 + Math.abs(want[i])), `output ${i}: ${value}, not ${want[i]}`),
);

assert.throws(() => loaded.run(new Float32Array(1)), /Expected an image of \d+ numbers, found 1/);
assert.ok(loaded.measure(3).every((seconds) => seconds >= 0));
assert.ok(loaded.kernelNames.some((name) => name.endsWith(runtime.isa)));
assert.ok(runtime.peakGflops() > 0);
loaded.close();

const broken = await instantiate(module);
assert.throws(() => broken.open(model.subarray(1)), /offset 0: magic: expected/);
console.log("ok");
