// Compiles a module with all that the engine can do.
import { setFlagsFromString } from "node:v8";

// A function that adds a relaxed product to its argument.
const RELAXED = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, // magic, version
  1, 6, 1, 96, 1, 123, 1, 123, // a type: v128 -> v128
  3, 2, 1, 0, // a function of that type
  10, 13, 1, 11, 0, 32, 0, 32, 0, 32, 0, 253, 133, 2, 11, // f32x4.relaxed_madd
]);

// Whether the engine has relaxed SIMD. Where it is still an experiment (node 20), switches it on.
export function hasRelaxedSimd() {
  if (WebAssembly.validate(RELAXED)) return true;
  setFlagsFromString("--experimental-wasm-relaxed-simd");
  return WebAssembly.validate(RELAXED);
}

// Optimised from the start: otherwise the first calls of each function run, and are measured,
// unoptimised.
export async function compile(bytes) {
  setFlagsFromString("--no-liftoff");
  if (!WebAssembly.validate(bytes)) hasRelaxedSimd();
  return WebAssembly.compile(bytes);
}
