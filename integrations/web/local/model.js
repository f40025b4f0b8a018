// The model in its worker: loaded once, started again after it was stopped or has failed.

const MODEL = "model.onnx";
const LOADING = 0.5; // of the whole work, where the model is not there yet
const FAILURES = {
  start: "The model could not be started: this browser lacks WebAssembly SIMD, or a file of the page is damaged.",
  network: "This photo could not be completed, probably for lack of memory: try a smaller one.",
  texture: "The photo's texture could not be added, probably for lack of memory: go on without it (“More settings”).",
};

let bytes = null; // promise of the file
let starting = null; // promise of {worker, sizes}: what has the model, and the model's sizes
let isStarted = false;
let loadedShare = 0; // of the file

/** Load the model, if it is not there yet; a promise. */
export function started() {
  starting ??= start().catch((error) => {
    starting = null;
    throw error;
  });
  return starting;
}

async function start() {
  bytes ??= fetched().catch((error) => {
    bytes = null;
    throw error;
  });
  const model = await bytes;
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  try {
    const sizes = await answered(worker, { model });
    isStarted = true;
    return { worker, sizes };
  } catch (error) {
    worker.terminate();
    bytes = null; // the file may have been damaged on its way
    throw error;
  }
}

function stop(worker) {
  worker.terminate();
  starting = null;
  isStarted = false;
}

/**
 * What worker.js makes of a task.
 *
 * @param taskFor a function of the model's {sampleSize, maxHoleSize}: a promise of the task {photo, grow, texture, attempt}; the
 *   arrays of the photo are handed over and cannot be used afterwards
 * @param signal an AbortSignal: the work stops, and the promise is rejected with its reason
 * @param onProgress called with the share of the work that is done
 */
export async function completed(taskFor, { signal, onProgress = () => {} } = {}) {
  const loading = isStarted ? 0 : LOADING;
  const watch = setInterval(() => isStarted || onProgress(loading * loadedShare), 100);
  const { worker, sizes } = await untilAborted(started(), signal).finally(() => clearInterval(watch));
  const task = await taskFor(sizes).catch((error) => fail("network", error));
  const { rgb, mask, hidden } = task.photo;
  const handedOver = [rgb, mask, hidden].filter(Boolean).map(({ buffer }) => buffer);
  try {
    const answer = answered(worker, { task }, handedOver, (share) => onProgress(loading + (1 - loading) * share));
    return await untilAborted(answer, signal);
  } catch (error) {
    stop(worker); // the runtime cannot be interrupted, and after an error it may have no memory left
    if (signal?.aborted) started().catch(() => {}); // so that it is there when it is wanted
    throw error;
  }
}

function answered(worker, message, handedOver = [], onProgress = () => {}) {
  const data = new Promise((resolve) => {
    worker.onmessage = ({ data }) => (data.share === undefined ? resolve(data) : onProgress(data.share));
    worker.onerror = (event) => {
      event.preventDefault(); // it is told here
      resolve({ failed: message.model ? "start" : "network", error: event.message });
    };
  });
  worker.postMessage(message, handedOver);
  return data.then(({ failed, error, result }) => (failed ? fail(failed, error) : result));
}

function fail(what, error) {
  console.error(error);
  throw new Error(FAILURES[what]);
}

function untilAborted(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

async function fetched() {
  loadedShare = 0;
  const response = await fetch(new URL(`../${MODEL}`, import.meta.url)).catch(lost);
  if (!response.ok) {
    throw new Error(`There is no ${MODEL} beside this page: make it with “make web”.`);
  }
  const total = Number(response.headers.get("Content-Length"));
  const chunks = [];
  let received = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read().catch(lost);
    if (done) break;
    chunks.push(value);
    received += value.length;
    if (total) loadedShare = Math.min(1, received / total); // what is sent may be compressed
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

function lost() {
  throw new Error("The model could not be loaded: the connection to this page's address failed. Try again.");
}
