// Requests to the server that the page came from. Whatever fails is an Error with a sentence for the visitor.

const LOST = "The connection to the server was lost. Your photo and your paint are still here: try again.";
const SILENT_MS = 30_000; // the server says something each second: after this long, nobody is there

/** An answer that is no success. `gone`: the server has forgotten the photo; `isPassing`: the next try may succeed. */
export class Refusal extends Error {
  constructor(message, { gone = false, isPassing = false } = {}) {
    super(message);
    Object.assign(this, { gone, isPassing });
  }
}

const lost = () => new Refusal(LOST, { isPassing: true });

function refusalOf(status, text) {
  try {
    const { error, gone } = JSON.parse(text);
    if (error) return new Refusal(error, { gone, isPassing: status >= 500 });
  } catch {
    // a proxy in between answers in its own way
  }
  if (status === 413) return new Refusal("This file is too large for this page. Make the photo smaller.");
  return new Refusal(`The server could not do this (error ${status}). Try again in a minute.`, { isPassing: true });
}

/** `fetch`, whose response is a success. */
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw options.signal?.aborted ? error : lost();
  }
  if (!response.ok) throw refusalOf(response.status, await response.text().catch(() => ""));
  return response;
}

/** POST a file; `onProgress` gets the share that is sent, which `fetch` does not tell. Resolves to the JSON answer. */
export function upload(path, file, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const aborted = () => reject(new DOMException("The upload was stopped.", "AbortError"));
    request.open("POST", path);
    request.upload.onprogress = ({ loaded, total }) => onProgress?.(total ? loaded / total : 0);
    request.onload = () => {
      if (request.status >= 400) return reject(refusalOf(request.status, request.responseText));
      try {
        resolve(JSON.parse(request.responseText));
      } catch {
        reject(refusalOf(request.status, ""));
      }
    };
    request.onerror = () => reject(lost());
    request.onabort = aborted;
    if (signal?.aborted) return aborted();
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
}

/** POST, and the JSON lines of the answer as they come. The server stops working when nobody reads them. */
export async function* lines(path, { body, signal }) {
  const stopped = new AbortController();
  const stop = () => stopped.abort();
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  let timer = setTimeout(stop, SILENT_MS);
  try {
    const response = await ask(path, { method: "POST", body, signal: stopped.signal });
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    for (let rest = "", isDone = false; !isDone; ) {
      const { done, value } = await reader.read();
      isDone = done;
      clearTimeout(timer);
      timer = setTimeout(stop, SILENT_MS);
      const parts = (rest + decoder.decode(value, { stream: !done })).split("\n");
      rest = parts.pop();
      for (const line of parts) if (line.trim()) yield JSON.parse(line);
    }
    throw lost(); // the last line is a result, after which nobody reads on
  } catch (error) {
    if (signal?.aborted) throw new DOMException("This was stopped.", "AbortError");
    throw error instanceof Refusal ? error : lost();
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    stop();
  }
}

/** The file name that a response's Content-Disposition gives. */
export function fileName(response) {
  const header = response.headers.get("Content-Disposition") ?? "";
  const encoded = /filename\*=(?:utf-8|UTF-8)''([^;]+)/.exec(header)?.[1];
  return encoded ? decodeURIComponent(encoded) : (/filename="?([^";]+)"?/.exec(header)?.[1] ?? "photo-completed");
}
