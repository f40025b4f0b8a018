// Beside the page, which stays alive: the network (model.onnx, which says what goes where) and what surrounds it
// (filling/, which says what the network is to know and makes its fill look like the photo).
//
// Takes {model}, the file's bytes, and then {task}: {photo, grow, texture, attempt}, with a photo as in filling/holes.js,
// a number of pixels, "photo", "none" or "auto", which is the model's choice, and a number from 0. Gives {result}, first
// the model's sizes {sampleSize, maxHoleSize}, then what `complete` gives, and {share} of the work before; or {failed,
// error}: what failed, a key of FAILURES in model.js, and why.

import { finish, prepare } from "../filling/stages.js";
import { metadataOf } from "./metadata.js";
import * as ort from "../onnxruntime/ort.wasm.min.mjs";

const [PREPARED, DRAFTED] = [0.1, 0.4]; // shares of the work, roughly

ort.env.wasm.wasmPaths = new URL("../onnxruntime/", import.meta.url).href;
ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;

let session, sizes, wantsTexture;
let step; // what is being done

self.addEventListener("message", async ({ data: { model, task } }) => {
  try {
    const result = model ? await start(model) : await complete(task);
    self.postMessage({ result });
  } catch (error) {
    self.postMessage({ failed: step, error: String(error) });
  }
});

async function start(model) {
  step = "start";
  const { sample_size, max_hole_size, texture } = metadataOf(model);
  sizes = { sampleSize: Number(sample_size), maxHoleSize: Number(max_hole_size) };
  wantsTexture = texture !== "none"; // of faces, for example, nothing in a photo is like
  session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  return sizes;
}

/**
 * {rgb, asked}: the photo's colours, and 1 where they are to be used; asked is null if nothing was left to complete the
 * photo from.
 */
async function complete({ photo, grow, texture, attempt }) {
  step = "network";
  const asked = prepare(photo, grow, sizes);
  if (asked && photo.mask.includes(255)) {
    self.postMessage({ share: PREPARED });
    await draft(photo);
    self.postMessage({ share: DRAFTED });
    step = "texture";
    const isTextured = texture === "auto" ? wantsTexture : texture === "photo";
    finish(photo, sizes, isTextured, attempt, (share) => self.postMessage({ share: DRAFTED + (1 - DRAFTED) * share }));
  }
  return { rgb: photo.rgb, asked };
}

/** Put the network's own completion into a photo. */
async function draft(photo) {
  const [width, height] = photo.size;
  const { completed } = await session.run({
    photo: new ort.Tensor("uint8", photo.rgb, [1, height, width, 3]),
    mask: new ort.Tensor("uint8", photo.mask, [1, height, width]),
  });
  photo.rgb = completed.data;
}
