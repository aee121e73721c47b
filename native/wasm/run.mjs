// Runs a WASI program in node as if it were one of the system, with the same files and arguments:
//
//   node --no-warnings run.mjs PROGRAM.wasm [ARGUMENT...]
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { WASI } from "node:wasi";
import { compile } from "./compile.mjs";

const [program, ...rest] = process.argv.slice(2);
const wasi = new WASI({
  version: "preview1",
  // WASI has no current directory.
  args: [program, ...rest.map((arg) => (/[./]/.test(arg) && existsSync(arg) ? resolve(arg) : arg))],
  env: process.env,
  preopens: { "/": "/" },
  returnOnExit: true,
});
const module = await compile(readFileSync(program));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
