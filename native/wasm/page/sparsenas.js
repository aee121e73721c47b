// Sparse networks in a browser:
//
//   import { SparseNAS } from "./sparsenas.js";
//   const model = await SparseNAS.load("model.snas");
//   const outputs = model.run(image);
//
// sparsenas.d.ts says what there is. The runtimes beside this file are WebAssembly, compressed (gzip): one
// with relaxed SIMD, one with SIMD and one without, of which the engine gets the best that it can run.
import { instantiate } from "./runtime.js";

// Functions that an engine refuses unless it has the instructions in them.
const PROBES = {
  // (v128) -> v128, f32x4.relaxed_madd of the argument.
  wasm_relaxed: [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 0, 32, 0, 253,
    133, 2, 11,
  ],
  // (v128) -> v128, f32x4.add of the argument.
  wasm128: [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 123, 1, 123, 3, 2, 1, 0, 10, 11, 1, 9, 0, 32, 0, 32, 0, 253, 228, 1,
    11,
  ],
};

// The best instruction set that this engine has.
function bestIsa() {
  const found = Object.keys(PROBES).find((isa) => WebAssembly.validate(new Uint8Array(PROBES[isa])));
  return found ?? "scalar";
}

const modules = new Map();

// Compiles a runtime once, while it is downloaded.
function compiled(isa, folder) {
  const address = new URL(`sparsenas_${isa}.wasmz`, folder).href;
  if (!modules.has(address)) {
    const compiling = fetched(address).then(async (answer) => {
      const stream = answer.body.pipeThrough(new DecompressionStream("gzip"));
      return WebAssembly.compileStreaming(new Response(stream, { headers: { "Content-Type": "application/wasm" } }));
    });
    // What failed may be tried again.
    compiling.catch(() => modules.delete(address));
    modules.set(address, compiling);
  }
  return modules.get(address);
}

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`Cannot load ${address}: the server says ${answer.status} ${answer.statusText}.`);
  return answer;
}

// The bytes of a model file, expanded where they are compressed.
async function bytesOf(source) {
  let bytes;
  if (source instanceof Uint8Array) bytes = source;
  else if (source instanceof ArrayBuffer) bytes = new Uint8Array(source);
  else {
    const answer = source instanceof Response ? source : await fetched(new URL(source, document.baseURI).href);
    bytes = new Uint8Array(await answer.arrayBuffer());
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

class Model {
  #model;

  constructor(runtime, model, bytes) {
    this.#model = model;
    this.isa = runtime.isa;
    this.bytes = bytes;
    const { height, width, channels, classes, layers } = model;
    Object.assign(this, { height, width, channels, classes, layers });
  }

  get input() {
    return this.#model.input;
  }

  run(image) {
    return this.#model.run(this.#laidOut(image instanceof Float32Array ? image : this.#pixels(image)));
  }

  classify(image, { top = 5 } = {}) {
    const outputs = this.run(image);
    const largest = Math.max(...outputs);
    const powers = Array.from(outputs, (output) => Math.exp(output - largest));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers
      .map((power, i) => ({ index: i, name: this.classes[i] ?? `${i}`, probability: power / total, output: outputs[i] }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, top);
  }

  measure(repeats = 20) {
    return Float64Array.from(this.#model.measure(repeats), (seconds) => 1e3 * seconds);
  }

  profile(repeats = 20) {
    return Float64Array.from(this.#model.profile(repeats), (seconds) => 1e3 * seconds);
  }

  close() {
    this.#model.close();
  }

  // [H, W, C] from 0 to 1 of whatever a canvas can draw, resized whatever its proportions.
  #pixels(image) {
    const { height, width, channels } = this;
    if (channels !== 3 && channels !== 1)
      throw new Error(`A picture has 3 channels, this model reads ${channels}: give it a Float32Array.`);
    let data = image;
    if (!(image instanceof ImageData) || image.width !== width || image.height !== height) {
      const canvas = new OffscreenCanvas(width, height);
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.imageSmoothingQuality = "high";
      let drawn = image;
      if (image instanceof ImageData) {
        drawn = new OffscreenCanvas(image.width, image.height);
        drawn.getContext("2d").putImageData(image, 0, 0);
      }
      context.drawImage(drawn, 0, 0, width, height);
      data = context.getImageData(0, 0, width, height);
    }
    const pixels = new Float32Array(height * width * channels);
    const { data: bytes } = data;
    for (let i = 0, from = 0, to = 0; i < height * width; ++i, from += 4) {
      const red = bytes[from] / 255;
      const green = bytes[from + 1] / 255;
      const blue = bytes[from + 2] / 255;
      if (channels === 1) pixels[to++] = 0.299 * red + 0.587 * green + 0.114 * blue;
      else {
        pixels[to++] = red;
        pixels[to++] = green;
        pixels[to++] = blue;
      }
    }
    return pixels;
  }

  #laidOut(pixels) {
    const { height, width, channels } = this;
    if (!this.#model.channelsFirst || pixels.length !== height * width * channels) return pixels;
    const planes = new Float32Array(pixels.length);
    for (let i = 0; i < height * width; ++i)
      for (let c = 0; c < channels; ++c) planes[c * height * width + i] = pixels[i * channels + c];
    return planes;
  }
}

export const SparseNAS = {
  isa: bestIsa,

  async load(source, { isa = bestIsa(), runtime = new URL(".", import.meta.url) } = {}) {
    const [module, bytes] = await Promise.all([compiled(isa, runtime), bytesOf(source)]);
    // An instance for each model: one that refused a bad file is of no more use.
    const instance = await instantiate(module);
    return new Model(instance, instance.open(bytes), bytes.length);
  },
};
