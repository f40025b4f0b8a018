// What the page calls: the stages of stages.js in a worker.

const FAILURES = {
  prepare: "This photo could not be completed, probably for lack of memory: try a smaller one.",
  finish: "The photo's texture could not be added, probably for lack of memory: go on without it.",
};

/**
 * A promise of {photo, result}: the photo after a stage, and what the stage gives.
 *
 * @param stage "prepare" or "finish"
 * @param args all but `progress`; the photo's `rgb` and `mask` are handed over and cannot be used afterwards
 * @param progress called with the share of the work that is done
 */
export function staged(stage, args, progress = () => {}) {
  const [{ rgb, mask }] = args;
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const done = new Promise((resolve, reject) => {
    worker.addEventListener("message", ({ data }) => (data.photo ? resolve(data) : progress(data.share)));
    worker.addEventListener("error", (event) => {
      event.preventDefault(); // it is told here
      console.error(event.message);
      reject(new Error(FAILURES[stage]));
    });
  });
  worker.postMessage({ stage, args }, [rgb.buffer, mask.buffer]);
  return done.finally(() => worker.terminate());
}
