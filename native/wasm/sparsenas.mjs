// Runs model files in a browser or in node.
//
//   const runtime = await instantiate(await WebAssembly.compileStreaming(fetch("sparsenas.wasm")));
//   const model = runtime.open(bytes);                // Uint8Array of a .snas file
//   const outputs = model.run(image);                 // Float32Array [H, W, C] -> Float32Array

// Returns a runtime. `module` is sparsenas.wasm or, where the engine has relaxed SIMD,
// sparsenas_relaxed.wasm.
export async function instantiate(module) {
  let said = "";
  let exports;
  const view = () => new DataView(exports.memory.buffer);
  // What the C library asks of its host: a clock, and a place for the last words. No files.
  const host = {
    clock_time_get(clock, precision, time) {
      view().setBigUint64(time, BigInt(Math.round(performance.now() * 1e6)), true);
      return 0;
    },
    environ_sizes_get(count, bytes) {
      view().setUint32(count, 0, true);
      view().setUint32(bytes, 0, true);
      return 0;
    },
    fd_write(file, parts, count, written) {
      let total = 0;
      for (let i = 0; i < count; ++i) {
        const start = view().getUint32(parts + 8 * i, true);
        const size = view().getUint32(parts + 8 * i + 4, true);
        said += new TextDecoder().decode(new Uint8Array(exports.memory.buffer, start, size));
        total += size;
      }
      view().setUint32(written, total, true);
      return 0;
    },
    proc_exit() {
      const message = said.trim();
      said = "";
      throw new Error(message || "The runtime stopped without saying why.");
    },
  };
  const BAD_FILE = 8;
  const wasi = {};
  for (const { name } of WebAssembly.Module.imports(module)) wasi[name] = host[name] ?? (() => BAD_FILE);
  const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi });
  exports = instance.exports;
  exports._initialize();
  return new Runtime(exports);
}

class Runtime {
  constructor(exports) {
    this.exports = exports;
    this.isa = this.text(exports.isa());
    this.buildId = this.text(exports.build_id());
  }

  // Throws an error that says what is wrong with a bad file; the runtime is of no use after that.
  open(bytes) {
    const copy = this.exports.allocate(bytes.length);
    new Uint8Array(this.exports.memory.buffer, copy, bytes.length).set(bytes);
    const model = this.exports.open_model(copy, bytes.length);
    this.exports.release(copy);
    return new Model(this, model);
  }

  // 10^9 operations per second of multiply-adds in registers.
  peakGflops() {
    return this.exports.peak_gflops();
  }

  text(start) {
    const bytes = new Uint8Array(this.exports.memory.buffer);
    return new TextDecoder().decode(bytes.subarray(start, bytes.indexOf(0, start)));
  }
}

class Model {
  constructor(runtime, model) {
    const { exports } = runtime;
    this.exports = exports;
    this.model = model;
    this.image = exports.allocate(4 * exports.image_floats(model));
    this.outputs = exports.allocate(4 * exports.outputs(model));
    this.height = exports.image_height(model);
    this.width = exports.image_width(model);
    this.channels = exports.image_channels(model);
    this.channelsFirst = exports.channels_first(model) === 1;
    this.classes = Array.from({ length: exports.classes(model) }, (_, output) =>
      runtime.text(exports.class_name(model, output)),
    );
    this.layers = Array.from({ length: exports.layers(model) }, (_, layer) => ({
      name: runtime.text(exports.layer_name(model, layer)),
      kernel: runtime.text(exports.kernel_name(model, layer)),
      channelsIn: exports.layer_c_in(model, layer),
      channelsOut: exports.layer_c_out(model, layer),
      height: exports.layer_height(model, layer),
      width: exports.layer_width(model, layer),
      weights: exports.layer_weights(model, layer),
      nonzeros: exports.layer_nonzeros(model, layer),
    }));
    this.kernelNames = this.layers.map(({ kernel }) => kernel);
  }

  // Where an image lies: what is written here needs no copy, `run(model.input)`. Ask anew for each image,
  // as memory that grows moves.
  get input() {
    return new Float32Array(this.exports.memory.buffer, this.image, this.exports.image_floats(this.model));
  }

  run(image) {
    const { exports, model, input } = this;
    if (image.length !== input.length)
      throw new Error(`Expected an image of ${input.length} numbers, found ${image.length}.`);
    if (image.buffer !== input.buffer || image.byteOffset !== input.byteOffset) input.set(image);
    exports.run(model, this.image, this.outputs);
    return new Float32Array(exports.memory.buffer, this.outputs, exports.outputs(model)).slice();
  }

  // Seconds of each of so many runs on one image; `cold` empties the caches before each.
  measure(repeats, { cold = false } = {}) {
    const { exports, model } = this;
    const seconds = exports.allocate(8 * repeats);
    (cold ? exports.measure_cold : exports.measure)(model, repeats, seconds);
    const copy = new Float64Array(exports.memory.buffer, seconds, repeats).slice();
    exports.release(seconds);
    return copy;
  }

  // Seconds of every layer, the mean over so many runs on one image.
  profile(repeats) {
    const { exports, model } = this;
    const count = this.layers.length;
    const seconds = exports.allocate(8 * repeats * count);
    exports.profile(model, repeats, seconds);
    const all = new Float64Array(exports.memory.buffer, seconds, repeats * count);
    const means = Float64Array.from({ length: count }, (_, layer) => {
      let total = 0;
      for (let i = layer; i < all.length; i += count) total += all[i];
      return total / repeats;
    });
    exports.release(seconds);
    return means;
  }

  close() {
    this.exports.release(this.image);
    this.exports.release(this.outputs);
    this.exports.close_model(this.model);
  }
}
