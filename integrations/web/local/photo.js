// An open photo. Its pixels stay as they are: what is completed of it are versions, and each is a patch that is put on
// the version before, its `base`. So nothing needs to be kept for going back to that one.

import { surroundings } from "../filling/view.js";
import { contextOf, keep } from "../pixels.js";
import { readMask } from "./mask.js";
import { completed } from "./model.js";
import { encoded } from "./pixels.js";

export class Photo {
  #file;
  #hidden;

  /**
   * @param file what it was read from
   * @param picture ImageBitmap without transparency
   * @param hidden Uint8Array, 1 where nothing was to be seen; null if it was so nowhere
   * @param note what a visitor should know
   */
  constructor(file, picture, hidden, note) {
    this.#file = file;
    this.#hidden = hidden;
    const { width, height } = picture;
    const name = file.name || "photo.png"; // what is pasted may have none
    Object.assign(this, { name, width, height, picture, note, ready: Promise.resolve(), memo: { file } });
  }

  readMask(file) {
    return readMask(file, this.width, this.height);
  }

  /** A Version, {id, base, request, box, patch, seconds, note}; the patch has the photo's resolution and is without loss. */
  async complete({ mask, box, base, settings }, { signal, onProgress } = {}) {
    const begin = performance.now();
    const grow = Number(settings.grow);
    const attempt = Number(settings.attempt ?? 0);
    const painted = await createImageBitmap(mask);
    const [left, top, width, height] = box;
    let view; // what is looked at
    const taskFor = async (sizes) => {
      view = surroundings({ left, top, width, height }, grow, [this.width, this.height], sizes);
      const rgb = rgbOf(await this.#composed(base, view));
      const hidden = this.#hidden && partOf(this.#hidden, this.width, view);
      const photo = { rgb, mask: maskOf(painted, box, view), hidden, size: [view.width, view.height] };
      return { photo, grow, attempt, texture: settings.texture };
    };
    const { rgb, asked } = await completed(taskFor, { signal, onProgress });
    if (!asked) throw new Error("All of the photo is painted over: leave something to complete it from.");
    const patch = patchOf(rgb, asked, view);
    signal?.throwIfAborted();
    const seconds = (performance.now() - begin) / 1000;
    const request = { mask, box, settings };
    return { id: `${Date.now()}`, base, request, box: patch.box, patch: await encoded(patch.canvas), seconds, note: "" };
  }

  /** Save a version, or the photo as it was (null); "own" is JPEG for a JPEG photo, which is compressed once more. */
  async download(version, format) {
    const isJpeg = format === "own" && this.#file.type === "image/jpeg";
    const { canvas } = await this.#composed(version, { left: 0, top: 0, width: this.width, height: this.height });
    const blob = await encoded(canvas, isJpeg ? "image/jpeg" : "image/png");
    keep(blob, `${this.name.replace(/\.[^.]*$/, "")}-completed.${isJpeg ? "jpg" : "png"}`);
  }

  close() {
    this.picture.close();
  }

  /** A context with a part of the photo as it is in a version. */
  async #composed(version, { left, top, width, height }) {
    const versions = [];
    for (let each = version; each; each = each.base) versions.unshift(each);
    const patches = await Promise.all(versions.map(({ patch }) => createImageBitmap(patch)));
    const context = contextOf(width, height, true);
    context.drawImage(this.picture, -left, -top);
    patches.forEach((patch, number) => {
      const { box } = versions[number];
      context.drawImage(patch, box[0] - left, box[1] - top);
      patch.close();
    });
    return context;
  }
}

function rgbOf(context) {
  const { width, height } = context.canvas;
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  return rgb;
}

/** The values in a box. */
function partOf(values, stride, { left, top, width, height }) {
  const result = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const start = (top + y) * stride + left;
    result.set(values.subarray(start, start + width), y * width);
  }
  return result;
}

/** A view's mask, 255 = fill, of a picture of the painted box, white = fill, whose pixels may stand for squares. */
function maskOf(painted, [left, top, width, height], view) {
  const context = contextOf(width, height, true);
  context.imageSmoothingEnabled = false;
  const side = Math.max(Math.ceil(width / painted.width), Math.ceil(height / painted.height));
  context.drawImage(painted, 0, 0, side * painted.width, side * painted.height);
  painted.close();
  const { data } = context.getImageData(0, 0, width, height);
  const mask = new Uint8Array(view.width * view.height);
  for (let y = 0, from = 0; y < height; y++) {
    const start = (top + y - view.top) * view.width + left - view.left;
    for (let x = 0; x < width; x++, from += 4) if (data[from] >= 128 && data[from + 3] >= 128) mask[start + x] = 255;
  }
  return mask;
}

/** {canvas, box}: what was asked for of a view's colours, with the box around it in the photo; elsewhere transparent. */
function patchOf(rgb, asked, view) {
  const [left, top, width, height] = boxOf(asked, view.width);
  const pixels = new ImageData(width, height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, at = (top + y) * view.width + left; x < width; x++, at++, to += 4) {
      if (!asked[at]) continue;
      for (let channel = 0; channel < 3; channel++) pixels.data[to + channel] = rgb[3 * at + channel];
      pixels.data[to + 3] = 255;
    }
  }
  const context = contextOf(width, height, true);
  context.putImageData(pixels, 0, 0);
  return { canvas: context.canvas, box: [view.left + left, view.top + top, width, height] };
}

/** The box around the pixels that are marked: [left, top, width, height]. */
function boxOf(marked, stride) {
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  for (let at = 0; at < marked.length; at++) {
    if (!marked[at]) continue;
    const [x, y] = [at % stride, Math.floor(at / stride)];
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < top) top = y;
    bottom = y;
  }
  if (bottom < 0) throw new Error("Only what is transparent is painted over: paint over what can be seen.");
  return [left, top, right - left + 1, bottom - top + 1];
}
