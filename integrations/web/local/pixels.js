// Pixels as they are stored in files: no colour profile changes them.

import { contextOf } from "../pixels.js"; // of the page

const STRIP_ROWS = 256; // how much of a large picture is looked at once

/** The picture in a file, upright: an ImageBitmap. */
export function decoded(file) {
  return createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => {
    throw new Error(`“${file.name}” cannot be read as a picture: choose a JPEG, PNG or WebP file.`);
  });
}

/** Call `visit` with the bytes, red, green, blue and alpha, of some rows of a picture, and the number of their first. */
export function forEachStrip(picture, visit) {
  const { width, height } = picture;
  for (let top = 0; top < height; top += STRIP_ROWS) {
    const rows = Math.min(STRIP_ROWS, height - top);
    const context = contextOf(width, rows, true);
    context.drawImage(picture, 0, -top);
    visit(context.getImageData(0, 0, width, rows).data, top);
  }
}

/** A canvas as a file; "image/jpeg" gets quality 95. */
export async function encoded(canvas, type = "image/png") {
  const blob = await new Promise((done) => canvas.toBlob(done, type, 0.95));
  if (!blob) throw new Error("The file could not be made, probably for lack of memory.");
  return blob;
}
