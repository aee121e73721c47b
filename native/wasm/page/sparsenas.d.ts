/** Instruction sets of WebAssembly, the best first. */
export type Isa = "wasm_relaxed" | "wasm128" | "scalar";

/** Where a model file is, or its bytes; compressed by gzip or not. */
export type Source = string | URL | Response | ArrayBuffer | Uint8Array;

/** Pixels from 0 to 1, [height, width, channels]; or a picture of any size, which is resized. */
export type Picture = Float32Array | ImageData | CanvasImageSource;

export interface Layer {
  readonly name: string;
  /** The kernel that computes it, such as "conv1x1_unstructured_wasm128". */
  readonly kernel: string;
  readonly channelsIn: number;
  readonly channelsOut: number;
  /** Pixels of the input. */
  readonly height: number;
  readonly width: number;
  /** Weights with and without the zeros; 0 for operators without weights. */
  readonly weights: number;
  readonly nonzeros: number;
}

export interface Class {
  readonly index: number;
  readonly name: string;
  readonly probability: number;
  readonly output: number;
}

export interface Model {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Names of the outputs; empty where they have none. */
  readonly classes: readonly string[];
  readonly layers: readonly Layer[];
  readonly isa: Isa;
  /** Size of the model file, expanded. */
  readonly bytes: number;

  /** Memory of the model for an image: `run(model.input)` copies nothing. Ask anew for each image. */
  readonly input: Float32Array;

  /** Returns the outputs of an image; throws where a Float32Array has another length. */
  run(image: Picture): Float32Array;

  /** Returns the most probable classes of an image, the first one first. */
  classify(image: Picture, options?: { top?: number }): Class[];

  /** Returns the milliseconds of each of so many runs, after a few that do not count. */
  measure(repeats?: number): Float64Array;

  /** Returns the milliseconds of every layer, the mean over so many runs. */
  profile(repeats?: number): Float64Array;

  /** Frees the memory of the model, which is of no use after. */
  close(): void;
}

export interface Options {
  /** Which runtime to use; the best that the engine can run where left out. */
  isa?: Isa;
  /** The folder that the runtimes are in; that of this script where left out. */
  runtime?: string | URL;
}

export declare const SparseNAS: {
  /** Returns the best instruction set that this engine has. */
  isa(): Isa;

  /** Loads a model; throws with one line that says what is wrong where it cannot. */
  load(source: Source, options?: Options): Promise<Model>;
};
