// A function that adds a relaxed product to its argument.
const RELAXED = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, // magic, version
  1, 6, 1, 96, 1, 123, 1, 123, // a type: v128 -> v128
  3, 2, 1, 0, // a function of that type
  10, 13, 1, 11, 0, 32, 0, 32, 0, 32, 0, 253, 133, 2, 11, // f32x4.relaxed_madd
]);

// Whether the engine has relaxed SIMD without being asked for it.
export const validatesRelaxedSimd = () => WebAssembly.validate(RELAXED);
