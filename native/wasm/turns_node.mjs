// Measures models in node, in turns:
//
//   node turns_node.mjs sparsenas.wasm
//
// Prints a line of JSON about itself. Then reads lines, {"files": [path of a .snas file, ...], "order": [...],
// "rounds": N}, and answers each with a line of kernel names and N lines of microseconds.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { compile } from "./compile.mjs";
import { describe, takeTurns } from "./turns.mjs";

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");

const module = await compile(readFileSync(process.argv[2]));
say(await describe(module));
for await (const line of createInterface({ input: process.stdin })) {
  const work = JSON.parse(line);
  work.files = work.files.map((path) => readFileSync(path));
  await takeTurns(module, work, { kernels: say, round: say });
}
