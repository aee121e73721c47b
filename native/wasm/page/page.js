// The page that shows a model: draw or drop a picture, see the classes and where the time goes.
import { SparseNAS } from "./sparsenas.js";

const $ = (id) => document.getElementById(id);
const canvas = $("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });

// How long everything is measured for, in milliseconds: clocks of browsers are coarse.
const MEASURE_MS = 250;
const ROUNDS = 5;
// The data set of handwritten digits has 8 x 8 pixels, bright on dark, that the digit fills.
const DIGIT_SIDE = 8;

const format = (ms) => `${ms >= 10 ? ms.toFixed(1) : ms >= 0.1 ? ms.toFixed(2) : ms.toFixed(4)} ms`;
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e6 ? 3 : 2)} MB`;

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function bar(share, className = "") {
  const made = element("span", undefined, `bar ${className}`);
  made.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
  return made;
}

function say(message) {
  $("lead").textContent = message;
}

const ENGINES = {
  wasm_relaxed: "WebAssembly with relaxed SIMD",
  wasm128: "WebAssembly with SIMD",
  scalar: "WebAssembly without SIMD",
};

// Digits are drawn, other classes come as pictures.
const areDigits = (classes) => classes.length === 10 && classes.every((name, i) => name === `${i}`);

let model;
let dense;
let drawsDigits = false;
let drawn = false; // What is on the canvas is a drawing, not a picture.

// What is drawn as the data set would have it: cut out, as high as the image, few pixels.
function digit() {
  const { width, height } = canvas;
  const { data } = context.getImageData(0, 0, width, height);
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; ++y)
    for (let x = 0; x < width; ++x)
      if (data[4 * (y * width + x)] > 40) {
        left = Math.min(left, x);
        right = Math.max(right, x);
        top = Math.min(top, y);
        bottom = Math.max(bottom, y);
      }
  const small = new OffscreenCanvas(DIGIT_SIDE, DIGIT_SIDE);
  const target = small.getContext("2d");
  target.fillRect(0, 0, DIGIT_SIDE, DIGIT_SIDE);
  if (right >= left) {
    const side = Math.max(bottom - top, right - left) + 1;
    const across = (left + right) / 2 - side / 2;
    const down = (top + bottom) / 2 - side / 2;
    target.imageSmoothingQuality = "high";
    target.drawImage(canvas, across, down, side, side, 0, 0, DIGIT_SIDE, DIGIT_SIDE);
  }
  return small;
}

function classify() {
  if (!model) return;
  const image = drawsDigits && drawn ? digit() : canvas;
  const begin = performance.now();
  const classes = model.classify(image);
  const took = performance.now() - begin;
  $("classes").replaceChildren(
    ...classes.map(({ name, probability }) => {
      const line = element("li");
      line.append(element("b", name), bar(probability), element("span", `${(100 * probability).toFixed(1)} %`));
      return line;
    }),
  );
  $("took").textContent = `${format(took)} for this picture, resizing it included.`;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const median = (values) => Array.from(values).sort((a, b) => a - b)[values.length >> 1];

// Both take turns, so that what disturbs one disturbs the other.
function timesOf(models) {
  const runs = models.map((one) => {
    const once = Math.max(mean(one.measure(5)), 1e-4);
    return Math.max(3, Math.min(5000, Math.ceil(MEASURE_MS / ROUNDS / models.length / once)));
  });
  const rounds = Array.from({ length: ROUNDS }, () => models.map((one, i) => mean(one.measure(runs[i]))));
  return models.map((_, i) => median(rounds.map((round) => round[i])));
}

function showLayers() {
  const repeats = (one) => Math.max(3, Math.ceil(MEASURE_MS / Math.max(mean(one.measure(5)), 1e-3)));
  const times = model.profile(repeats(model));
  const others = dense?.profile(repeats(dense));
  const longest = Math.max(...times, ...(others ?? []));
  $("layers").replaceChildren(
    ...model.layers.map((layer, i) => {
      const { name, channelsIn, channelsOut, height, width, weights, nonzeros, kernel } = layer;
      const row = element("tr");
      const bars = element("td", undefined, "wide");
      bars.append(bar(times[i] / longest, "sparse"));
      if (others) bars.append(bar(others[i] / longest));
      const zeros = weights && weights > nonzeros ? `${(100 * (1 - nonzeros / weights)).toFixed(0)} %` : "";
      row.append(
        element("td", name),
        element("td", `${channelsIn} → ${channelsOut}, ${height} × ${width}`),
        element("td", zeros),
        bars,
        element("td", format(times[i])),
        element("td", others ? format(others[i]) : ""),
      );
      row.title = kernel;
      return row;
    }),
  );
}

function measure() {
  const [time, other] = timesOf(dense ? [model, dense] : [model]);
  const lines = [element("span", "sparse"), bar(other ? time / Math.max(time, other) : 1, "sparse"), element("strong", format(time))];
  if (other) lines.push(element("span", "dense"), bar(other / Math.max(time, other)), element("strong", format(other)));
  $("pair").replaceChildren(...lines);
  if (other) {
    $("speed").textContent = `${(other / time).toFixed(1)}x`;
    $("claim").textContent = other > time ? "faster than dense, in your browser" : "of dense, in your browser";
  }
  showLayers();
  document.documentElement.dataset.measured = other ? "both" : "one";
}

// What blocks the page comes after it has been drawn.
const shown = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

async function measureAgain() {
  $("again").disabled = true;
  $("again").textContent = "Measuring";
  await shown();
  measure();
  $("again").disabled = false;
  $("again").textContent = "Measure again";
}

function clear() {
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  $("hint").textContent = drawsDigits ? "Draw a digit" : "Drop a picture here";
  $("classes").replaceChildren();
  $("took").textContent = "";
}

async function show(file) {
  try {
    const picture = await createImageBitmap(file);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    $("hint").textContent = "";
    drawn = false;
    classify();
  } catch {
    $("hint").textContent = "That is no picture";
  }
}

function draws() {
  let last;
  const at = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    return [((clientX - box.left) * canvas.width) / box.width, ((clientY - box.top) * canvas.height) / box.height];
  };
  const line = (event) => {
    const next = at(event);
    context.strokeStyle = "#fff";
    context.lineWidth = canvas.width / 9;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...next);
    context.stroke();
    last = next;
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (!drawsDigits) return;
    if (!drawn) clear();
    canvas.setPointerCapture(event.pointerId);
    drawn = true;
    $("hint").textContent = "";
    last = at(event);
    line(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    line(event);
    classify();
  });
  for (const kind of ["pointerup", "pointercancel"])
    canvas.addEventListener(kind, () => {
      if (last) classify();
      last = undefined;
    });
}

function takesPictures() {
  const stage = $("stage");
  for (const kind of ["dragenter", "dragover"])
    stage.addEventListener(kind, (event) => {
      event.preventDefault();
      stage.classList.add("over");
    });
  stage.addEventListener("dragleave", () => stage.classList.remove("over"));
  stage.addEventListener("drop", (event) => {
    event.preventDefault();
    stage.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) show(file);
  });
  $("file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    if (file) show(file);
    target.value = "";
  });
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) show(file);
  });
}

async function start() {
  model = await SparseNAS.load("model.snas");
  drawsDigits = areDigits(model.classes);
  $("give").textContent = drawsDigits ? "Draw a digit" : "Give it a picture";
  clear();
  // The first run of a model is part of what a visitor waits for.
  model.run(canvas);
  const first = performance.now();
  document.documentElement.dataset.firstMs = first.toFixed(1);
  const weights = model.layers.reduce((sum, { weights }) => sum + weights, 0);
  const nonzeros = model.layers.reduce((sum, { nonzeros }) => sum + nonzeros, 0);
  $("about").textContent = `${model.height} × ${model.width} pixels, ${ENGINES[model.isa]}`;
  say(
    `${megabytes(model.bytes)}, ${(100 * (1 - nonzeros / weights)).toFixed(0)} % of ${(weights / 1e6).toFixed(2)} million ` +
      `weights are zeros. The first result was there ${first.toFixed(0)} ms after this page began to load.`,
  );
  draws();
  takesPictures();
  $("clear").addEventListener("click", () => {
    drawn = false;
    clear();
  });
  $("again").addEventListener("click", measureAgain);
  document.documentElement.dataset.ready = "1";
  try {
    dense = await SparseNAS.load("dense.snas");
  } catch {
    $("beside").textContent = "There is no dense twin in this folder to compare with.";
  }
  await measureAgain();
}

start().catch((error) => {
  $("speed").textContent = "";
  say(`${error.message ?? error}`);
  document.documentElement.dataset.failed = "1";
});
