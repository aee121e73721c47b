// Prints whether this node has relaxed SIMD, if need be behind a flag.
import { hasRelaxedSimd } from "./compile.mjs";

console.log(hasRelaxedSimd());
