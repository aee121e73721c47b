// Compiles a module with all that the engine can do.
import { setFlagsFromString } from "node:v8";
import { validatesRelaxedSimd } from "./relaxed.mjs";

// Whether the engine has relaxed SIMD. Where it is still an experiment (node 20), switches it on.
export function hasRelaxedSimd() {
  if (validatesRelaxedSimd()) return true;
  setFlagsFromString("--experimental-wasm-relaxed-simd");
  return validatesRelaxedSimd();
}

// Optimised from the start: otherwise the first calls of each function run, and are measured,
// unoptimised.
export async function compile(bytes) {
  setFlagsFromString("--no-liftoff");
  if (!WebAssembly.validate(bytes)) hasRelaxedSimd();
  return WebAssembly.compile(bytes);
}
