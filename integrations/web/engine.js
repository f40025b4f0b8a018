// The page's engine that computes in this browser: no photo leaves it. Instead of this one, pages with a server have that
// of glcic_hub/ui/page/engine.js, with the same exports.

import { started } from "./local/model.js";
import { Photo } from "./local/photo.js";
import { decoded, forEachStrip } from "./local/pixels.js";
import { contextOf, sizeOf } from "./pixels.js";

const MAX_PIXELS = 32e6; // above it, the browser's memory may not do

let examples = []; // of host.json, which build.py writes

/** What the page needs to know before a photo is open. */
export async function start() {
  const host = await (await fetched("host.json")).json();
  examples = host.examples;
  return {
    maxPixels: MAX_PIXELS,
    accept: "image/*",
    settings: host.settings,
    examples: examples.map(({ name, thumbnail }) => ({ name, thumbnail: addressOf(thumbnail) })),
    canSave: false,
    canDownloadOwnFormat: true,
    firstPhoto: null,
  };
}

/** A Photo of a File, or of a Blob with a name. */
export async function open(file, { signal } = {}) {
  const size = await sizeOf(file).catch(() => null); // decoding says what is wrong with the file
  if (size) refuseTooLarge(size);
  const bitmap = await decoded(file);
  refuseTooLarge(bitmap);
  const { isOpaque, hidden } = transparencyOf(bitmap);
  const picture = isOpaque ? bitmap : await onWhite(bitmap);
  signal?.throwIfAborted();
  started().catch(() => {}); // while people paint; who completes the photo then is told what is wrong
  return new Photo(file, picture, hidden, isOpaque ? "" : "Its transparency is not kept: the photo is put on white.");
}

/** A Photo with what was completed of it when the page was built. */
export async function openExample(name, options) {
  const { photo, mask, patch, box, seconds } = examples.find((each) => each.name === name);
  const [file, ...layers] = await Promise.all([photo, mask, patch].map(async (path) => (await fetched(path)).blob()));
  const opened = await open(new File([file], photo.split("/").pop(), { type: file.type }), options);
  const request = { mask: layers[0], box: [0, 0, opened.width, opened.height], settings: {} };
  const version = { id: `example-${name}`, base: null, request, box, patch: layers[1], seconds, note: "" };
  return Object.assign(opened, { first: { mask: layers[0], version } });
}

/** The Photo that had this memo, after the page was loaded again. */
export function reopen({ file }, options) {
  return open(file, options);
}

/** Opens nothing: `host.firstPhoto` is null. */
export async function openFirst() {
  throw new Error("There is no first photo: choose one.");
}

function refuseTooLarge({ width, height }) {
  if (width * height <= MAX_PIXELS) return;
  const [has, most] = [width * height, MAX_PIXELS].map((pixels) => (pixels / 1e6).toFixed());
  throw new Error(`This photo has ${has} megapixels; up to ${most} work here. Make it smaller and open it again.`);
}

function addressOf(path) {
  return new URL(path, import.meta.url).href;
}

async function fetched(path) {
  const response = await fetch(addressOf(path)).catch(() => null);
  if (!response?.ok) throw new Error(`“${path}” could not be loaded from this page's address: try again.`);
  return response;
}

/** {isOpaque, hidden}: Uint8Array with 1 where nothing is to be seen, null if it is so nowhere. */
function transparencyOf(picture) {
  let [isOpaque, hidden] = [true, null];
  forEachStrip(picture, (data, top) => {
    for (let from = 3, pixel = top * picture.width; from < data.length; from += 4, pixel++) {
      if (data[from] === 255) continue;
      isOpaque = false;
      if (!data[from]) (hidden ??= new Uint8Array(picture.width * picture.height))[pixel] = 1;
    }
  });
  return { isOpaque, hidden };
}

async function onWhite(picture) {
  const context = contextOf(picture.width, picture.height, true);
  context.fillStyle = "white";
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(picture, 0, 0);
  picture.close();
  return createImageBitmap(context.canvas);
}
