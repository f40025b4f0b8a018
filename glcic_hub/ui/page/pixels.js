// Pictures in memory: decoding them, measuring them, brightness as alpha.

export const MOST_PIXELS = 16e6; // of one canvas: phones do no larger ones
const STRIP_PIXELS = 2 ** 20; // how much is read back at once

/** A canvas and its 2D context; `isRead` keeps it in main memory, where no graphics card rounds a colour. */
export function contextOf(width, height, isRead = false) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return canvas.getContext("2d", { willReadFrequently: isRead });
}

/** The picture in a file, upright; rejects if the browser cannot decode it. */
export function decoded(file) {
  return createImageBitmap(file);
}

/** The upright size of the picture in a file, { width, height }, read without decoding it where the browser can. */
export async function sizeOf(file) {
  const image = new Image();
  const url = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error("This file is not a picture that the browser can read."));
      image.src = url;
    });
    return { width: image.naturalWidth, height: image.naturalHeight };
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** By which whole number a picture has to be reduced so that it fits into one canvas. */
export function reductionOf(width, height) {
  let factor = 1;
  while (Math.ceil(width / factor) * Math.ceil(height / factor) > MOST_PIXELS) factor++;
  return factor;
}

/** Change the pixels of a context: `visit` gets RGBA bytes and the first row of a strip of rows. */
export function forEachStrip(context, visit, isChanged = false) {
  const { width, height } = context.canvas;
  const rows = Math.max(1, Math.floor(STRIP_PIXELS / width));
  for (let top = 0; top < height; top += rows) {
    const strip = context.getImageData(0, top, width, Math.min(rows, height - top));
    visit(strip.data, top);
    if (isChanged) context.putImageData(strip, 0, top);
  }
}

/** A picture of brightness (white = painted) as ImageBitmap whose alpha says where is painted. */
export function alphaOf(image) {
  const factor = reductionOf(image.width, image.height);
  const context = contextOf(Math.ceil(image.width / factor), Math.ceil(image.height / factor), true);
  context.imageSmoothingEnabled = factor > 1;
  context.drawImage(image, 0, 0, image.width / factor, image.height / factor);
  const whiteToAlpha = (data) => {
    for (let at = 0; at < data.length; at += 4) {
      data[at + 3] = data[at + 1] < 128 ? 0 : data[at + 3];
    }
  };
  forEachStrip(context, whiteToAlpha, true);
  return createImageBitmap(context.canvas);
}

/** A context's picture as a PNG Blob. */
export async function pngOf(context) {
  const blob = await new Promise((done) => context.canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("There is not enough memory for the mask. Close other pages and try again.");
  return blob;
}

/** Give a file to the browser to keep. */
export function keep(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
