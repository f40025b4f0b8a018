// What the page calls: `addTexture` of holes.js in a worker.

/**
 * The completed photo with a fill of patches of the photo: a promise of a Uint8Array.
 *
 * The arguments are those of `addTexture`; `rgb` and `mask` are handed over and cannot be used afterwards.
 */
export function textured(rgb, mask, size, model, progress) {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const done = new Promise((resolve, reject) => {
    worker.addEventListener("message", ({ data }) => (data.rgb ? resolve(data.rgb) : progress(data.share)));
    worker.addEventListener("error", (event) => {
      event.preventDefault(); // it is told here
      console.error(event.message);
      reject(new Error("The photo's texture could not be added, probably for lack of memory: go on without it."));
    });
  });
  worker.postMessage({ rgb, mask, size, model }, [rgb.buffer, mask.buffer]);
  return done.finally(() => worker.terminate());
}
