// What people have as a mask -> where to fill: `read` of glcic_hub/masks.py for browsers, which says why.

import { contextOf } from "../pixels.js";
import { wrongMaskSize } from "../words.js";
import { decoded, forEachStrip } from "./pixels.js";

const WHITE = 128;
const SAMPLED_ROWS = 256;

/**
 * Read a mask of a photo: {mask, note}, an ImageBitmap that is opaque where to fill and transparent elsewhere, and a
 * sentence if it is doubtful. Errors are sentences for visitors.
 */
export async function readMask(file, width, height) {
  const picture = await decoded(file);
  if (picture.width !== width || picture.height !== height) {
    throw new Error(wrongMaskSize(picture, { width, height }));
  }
  const [shown, alpha] = [new Uint8Array(width * height), new Uint8Array(width * height)];
  forEachStrip(picture, (data, top) => {
    for (let from = 0, at = top * width; from < data.length; from += 4, at++) {
      const luminance = 0.299 * data[from] + 0.587 * data[from + 1] + 0.114 * data[from + 2];
      alpha[at] = data[from + 3];
      shown[at] = Math.round((luminance * data[from + 3]) / 255); // on black
    }
  });
  picture.close();
  const { isFilled, note } = understood(shown, alpha, width);
  const mask = contextOf(width, height, true);
  const pixels = new ImageData(width, height);
  for (let at = 0; at < shown.length; at++) if (isFilled(at)) pixels.data.fill(255, 4 * at, 4 * at + 4);
  mask.putImageData(pixels, 0, 0);
  return { mask: await createImageBitmap(mask.canvas), note };
}

/** What luminances on black, and opacities, mean: {isFilled, note}, the former a function of a pixel's number. */
function understood(shown, alpha, width) {
  const [low, high] = rangeOf(shown);
  const opaque = rangeOf(alpha)[1];
  const isTransparent = (at) => 2 * alpha[at] < opaque;
  const hasTransparent = alpha.some((_, at) => isTransparent(at));
  const isPhoto = looksLikePhoto(shown, alpha, width);
  if (hasTransparent && (isPhoto || !high)) {
    const share = shareOf(alpha, isTransparent);
    const note = share > 0.5 ? `${percent(share)} would be filled, the transparent parts of this mask.` : "";
    return { isFilled: isTransparent, note };
  }
  const isWhite = (at) => shown[at] >= WHITE;
  if (isPhoto) return { isFilled: isWhite, note: "This mask looks like a photo: a mask is white where to fill." };
  if (high >= WHITE || !high) return { isFilled: isWhite, note: "" };
  const isPaint = (at) => 2 * shown[at] >= high; // of one colour, with soft rims
  const [painted, strong] = [(one) => one > 0, (one) => one > 0.9 * high].map((test) => shown.filter(test).length);
  if (high === 1 || (!low && 2 * strong >= painted)) return { isFilled: isPaint, note: "" };
  return { isFilled: isWhite, note: "No pixel of this mask is white: paint white where to fill." };
}

/** Most of a photo is neither black nor white, and it is not smooth there; soft masks are smooth, or grey at rims alone. */
function looksLikePhoto(shown, alpha, width) {
  const height = shown.length / width;
  let [seen, greys, coarse] = [0, 0, 0];
  const isGrey = (at) => shown[at] > 25.5 && shown[at] < 229.5 && alpha[at] > 0;
  for (let y = 0; y < height; y += Math.ceil(height / SAMPLED_ROWS)) {
    for (let x = 0, at = y * width; x < width; x++, at++) {
      if (!alpha[at]) continue;
      seen++;
      if (!isGrey(at)) continue;
      greys++;
      const isInside = x > 0 && x < width - 1 && alpha[at - 1] && alpha[at + 1];
      if (isInside && Math.abs(shown[at] - (shown[at - 1] + shown[at + 1]) / 2) > 2) coarse++;
    }
  }
  return 2 * greys > seen && 20 * coarse > seen;
}

function rangeOf(levels) {
  let [low, high] = [255, 0];
  for (const level of levels) {
    if (level < low) low = level;
    if (level > high) high = level;
  }
  return [low, high];
}

function shareOf(levels, test) {
  let count = 0;
  for (let at = 0; at < levels.length; at++) if (test(at)) count++;
  return count / levels.length;
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}
