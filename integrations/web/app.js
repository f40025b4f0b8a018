// Photo in, paint on it, completed photo out. The graph model.onnx (`glcic export onnx --kind pipeline`) says what goes
// where; filling/ says what it is to know, and makes it look like the photo.

import { staged } from "./filling/filling.js";
import { metadataOf } from "./metadata.js";
import * as ort from "./onnxruntime/ort.wasm.min.mjs";

const MODEL = "model.onnx";
const MAX_PIXELS = 32e6; // above it, the runtime's memory may not do
const CANVAS_SIDE = 1400; // of the canvas on the page; the photo itself stays as large as it is
const STRIP_ROWS = 256; // how much of a large photo is copied at once
const PAINT = "rgb(255 0 128)";

ort.env.wasm.wasmPaths = new URL("onnxruntime/", import.meta.url).href;
ort.env.wasm.proxy = true; // in a worker, so that the page stays alive
ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;

const element = (id) => document.getElementById(id);
const canvas = element("canvas");
const canvasContext = canvas.getContext("2d");

// The photo as it was opened and as it is now, in its own size and at the size of the canvas; what is painted on it.
let photoName, photo, original, preview;
let hidden = null; // Uint8Array, 1 where the photo was fully transparent; null if it was nowhere
let strokes = []; // {erase, radius, points}, in pixels of the photo
let history = []; // functions, each of which undoes one step
let stroke = null; // the one that is being painted
let busy = false;

// Pixels

function contextOf(width, height) {
  const unseen = Object.assign(document.createElement("canvas"), { width, height });
  // willReadFrequently keeps it in main memory, where no graphics card rounds a colour.
  return unseen.getContext("2d", { willReadFrequently: true });
}

function smallCopy(context) {
  const scale = Math.min(1, CANVAS_SIDE / Math.max(context.canvas.width, context.canvas.height));
  const scaled = (side) => Math.max(1, Math.round(side * scale));
  const copy = contextOf(scaled(context.canvas.width), scaled(context.canvas.height));
  copy.imageSmoothingQuality = "high";
  copy.drawImage(context.canvas, 0, 0, copy.canvas.width, copy.canvas.height);
  return copy;
}

function forEachPixel(context, visit) {
  const { width, height } = context.canvas;
  for (let top = 0; top < height; top += STRIP_ROWS) {
    const { data } = context.getImageData(0, top, width, Math.min(STRIP_ROWS, height - top));
    for (let at = 0, pixel = top * width; at < data.length; at += 4, pixel++) visit(data, at, pixel);
  }
}

function rgbOf(context) {
  const rgb = new Uint8Array(context.canvas.width * context.canvas.height * 3);
  forEachPixel(context, (data, at, pixel) => rgb.set([data[at], data[at + 1], data[at + 2]], 3 * pixel));
  return rgb;
}

/** The mask, 255 = fill; null if nothing is painted on what can be seen. */
function maskOf(width, height) {
  const context = contextOf(width, height);
  strokes.forEach((each) => drawStroke(context, each, 1));
  const mask = new Uint8Array(width * height);
  let isPainted = false;
  forEachPixel(context, (data, at, pixel) => {
    if (data[at + 3] < 128) return;
    mask[pixel] = 255;
    isPainted ||= !hidden?.[pixel];
  });
  return isPainted ? mask : null;
}

/** The box around the pixels that are marked: [left, top, width, height]. */
function boxOf(marked, width, height) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  marked.forEach((one, pixel) => {
    if (!one) return;
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
  });
  return [left, top, right - left + 1, bottom - top + 1];
}

// Painting

function drawStroke(context, { erase, radius, points }, scale) {
  context.globalCompositeOperation = erase ? "destination-out" : "source-over";
  context.lineWidth = 2 * radius * scale;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = PAINT;
  context.beginPath();
  context.moveTo(points[0][0] * scale, points[0][1] * scale);
  points.forEach(([x, y]) => context.lineTo(x * scale, y * scale));
  context.stroke();
}

function draw(pointer) {
  const showsOriginal = element("compare").ariaPressed === "true";
  canvasContext.drawImage((showsOriginal ? original : preview).canvas, 0, 0);
  if (showsOriginal) return;
  const scale = canvas.width / photo.canvas.width;
  const paint = contextOf(canvas.width, canvas.height);
  for (const each of stroke ? [...strokes, stroke] : strokes) drawStroke(paint, each, scale);
  canvasContext.globalAlpha = 0.6;
  canvasContext.drawImage(paint.canvas, 0, 0);
  canvasContext.globalAlpha = 1;
  if (!pointer) return;
  canvasContext.beginPath();
  canvasContext.arc(pointer[0] * scale, pointer[1] * scale, brushRadius() * scale, 0, 2 * Math.PI);
  canvasContext.lineWidth = 2;
  canvasContext.strokeStyle = "white";
  canvasContext.stroke();
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  const { width, height } = photo.canvas;
  return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
}

/** In pixels of the photo; the slider counts in thousandths of its longer side. */
function brushRadius() {
  return Math.max(1, (element("size").value * Math.max(photo.canvas.width, photo.canvas.height)) / 1000);
}

function startStroke(event) {
  if (busy || stroke || !event.isPrimary || event.button !== 0) return;
  showOriginal(false);
  canvas.setPointerCapture(event.pointerId);
  const erase = document.querySelector("[name=tool]:checked").value === "erase";
  stroke = { erase, radius: brushRadius(), points: [place(event)] };
  draw();
}

function moveStroke(event) {
  if (busy || !photo || !event.isPrimary) return;
  const at = place(event);
  stroke?.points.push(at);
  draw(at);
}

function endStroke(event) {
  if (!stroke || !event.isPrimary) return;
  const before = strokes;
  strokes = [...strokes, stroke];
  stroke = null;
  remember(() => (strokes = before));
}

function clearPaint() {
  const before = strokes;
  strokes = [];
  remember(() => (strokes = before));
}

function remember(takeBack) {
  history.push(takeBack);
  update();
}

function undo() {
  if (busy || stroke || !history.length) return;
  history.pop()();
  say("");
  update();
}

// What the page shows

function say(status, error = "") {
  element("status").textContent = status;
  element("error").textContent = error;
}

function showOriginal(yes) {
  element("compare").ariaPressed = String(yes);
  draw();
}

function showGrow() {
  element("grown").textContent = `${element("grow").value} px`;
}

function update() {
  for (const id of ["tools", "canvas"]) element(id).hidden = !photo;
  for (const input of document.querySelectorAll("#tools button, #tools input, #file")) input.disabled = busy;
  element("undo").disabled ||= !history.length;
  element("clear").disabled ||= !strokes.length;
  canvas.ariaBusy = String(busy);
  if (photo) draw();
}

/** Run a task while the page is busy; what it throws is shown. */
async function whileBusy(status, task) {
  if (busy) return;
  busy = true;
  say(status);
  element("progress").removeAttribute("value"); // moves without end
  element("progress").hidden = false;
  update();
  try {
    say(await task());
  } catch (error) {
    say("", error.message);
  } finally {
    busy = false;
    element("progress").hidden = true;
    update();
  }
}

// Tasks

const openPhoto = (file) => whileBusy("Opening …", async () => {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => {
    throw new Error(`“${file.name}” cannot be read as a picture: choose a JPEG, PNG or WebP file.`);
  });
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) {
    const measures = `${width} × ${height}, ${Math.round((width * height) / 1e6)} megapixels`;
    throw new Error(`“${file.name}” is too large (${measures}): the most is ${MAX_PIXELS / 1e6}. Scale it down first.`);
  }
  const opened = contextOf(width, height);
  opened.drawImage(bitmap, 0, 0);
  bitmap.close();
  let [isOpaque, unseen] = [true, null];
  forEachPixel(opened, (data, at, pixel) => {
    isOpaque &&= data[at + 3] === 255;
    if (!data[at + 3]) (unseen ??= new Uint8Array(width * height))[pixel] = 1;
  });
  opened.globalCompositeOperation = "destination-over";
  opened.fillStyle = "white";
  opened.fillRect(0, 0, width, height);
  [photo, photoName, hidden, strokes, history] = [opened, file.name.replace(/\.[^.]*$/, ""), unseen, [], []];
  original = preview = smallCopy(photo);
  [canvas.width, canvas.height] = [preview.canvas.width, preview.canvas.height];
  element("compare").ariaPressed = "false";
  return `${width} × ${height} pixels.${isOpaque ? "" : " Its transparency is not kept: it is put on white."}`;
});

const complete = () => whileBusy("Completing …", async () => {
  const size = [photo.canvas.width, photo.canvas.height];
  const mask = maskOf(...size);
  if (!mask) throw new Error("Paint over what should go first.");
  const { session, sizes } = await loaded();
  say("Completing …");
  const start = performance.now();
  const given = { rgb: rgbOf(photo), mask, hidden, size };
  let { photo: filled, result: asked } = await staged("prepare", [given, Number(element("grow").value), sizes]);
  if (!asked) throw new Error("All of the photo is painted over: leave something to complete it from.");
  if (filled.mask.includes(255)) {
    filled.rgb = await completedBy(session, filled);
    const isTextured = element("texture").checked;
    if (isTextured) say("Adding the photo's texture …");
    const progress = (share) => (element("progress").value = share);
    ({ photo: filled } = await staged("finish", [filled, sizes, isTextured], progress));
  }
  const box = boxOf(asked, ...size);
  const [before, painted, former] = [photo.getImageData(...box), strokes, preview];
  photo.putImageData(pasted(before, filled.rgb, asked, box, size[0]), box[0], box[1]);
  [strokes, preview] = [[], smallCopy(photo)];
  history.push(() => {
    photo.putImageData(before, box[0], box[1]);
    [strokes, preview] = [painted, former];
  });
  showOriginal(false);
  return `Completed in ${((performance.now() - start) / 1000).toFixed(1)} seconds.`;
});

/** What the graph makes of a photo: Uint8Array. */
async function completedBy(session, { rgb, mask, size: [width, height] }) {
  const result = await session
    .run({
      photo: new ort.Tensor("uint8", rgb, [1, height, width, 3]),
      mask: new ort.Tensor("uint8", mask.slice(), [1, height, width]), // a copy: the runtime takes it away
    })
    .catch((error) => {
      console.error(error);
      throw new Error("This photo could not be completed, probably for lack of memory: try a smaller one.");
    });
  return result.completed.data;
}

/** The box of the photo, as image data, with what was asked for of the result. */
function pasted(before, rgb, asked, [left, top, width, height], stride) {
  const after = new ImageData(new Uint8ClampedArray(before.data), width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (top + y) * stride + left + x;
      if (asked[from]) after.data.set(rgb.subarray(3 * from, 3 * from + 3), 4 * (y * width + x));
    }
  }
  return after;
}

const download = () => whileBusy("Writing …", async () => {
  const blob = await new Promise((done) => photo.canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("The PNG file could not be made, probably for lack of memory.");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${photoName}-completed.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return `${link.download} is saved where your browser puts downloads.`;
});

let loading = null;

/** The session and the model's sizes; they are loaded once, and again after an error. */
function loaded() {
  loading ??= load().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

async function load() {
  const bytes = await fetchModel();
  const { sample_size, max_hole_size, texture } = metadataOf(bytes);
  say("Starting the model …");
  element("progress").removeAttribute("value");
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }).catch((error) => {
    console.error(error);
    throw new Error("The model could not be started: this browser lacks WebAssembly SIMD, or the file is damaged.");
  });
  if (texture === "none") element("texture").checked = false; // of faces, for example, nothing in a photo is like
  return { session, sizes: { sampleSize: Number(sample_size), maxHoleSize: Number(max_hole_size) } };
}

async function fetchModel() {
  const response = await fetch(MODEL).catch(() => null);
  if (!response?.ok) {
    throw new Error(`There is no ${MODEL} beside this page: make it with “glcic export onnx -o ${MODEL}”.`);
  }
  const total = Number(response.headers.get("Content-Length"));
  const chunks = [];
  let received = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    received += value.length;
    say(`Loading the model: ${(received / 1e6).toFixed(0)} MB …`);
    if (total) element("progress").value = received / total;
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

// Events

element("file").addEventListener("change", ({ target }) => {
  if (target.files.length) openPhoto(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // the browser would leave the page and show the file
    element("drop").classList.toggle("over", kind === "dragover");
    const [file] = kind === "drop" ? event.dataTransfer.files : [];
    if (file) openPhoto(file);
  });
}
canvas.addEventListener("pointerdown", startStroke);
canvas.addEventListener("pointermove", moveStroke);
canvas.addEventListener("pointerup", endStroke);
canvas.addEventListener("pointercancel", () => {
  stroke = null; // two fingers: that was no stroke
  draw();
});
canvas.addEventListener("pointerleave", () => draw());
element("grow").addEventListener("input", showGrow);
element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", clearPaint);
element("compare").addEventListener("click", ({ target }) => showOriginal(target.ariaPressed !== "true"));
element("complete").addEventListener("click", complete);
element("download").addEventListener("click", download);
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
    event.preventDefault();
    undo();
  }
});
showGrow(); // the browser may remember another value
update();
