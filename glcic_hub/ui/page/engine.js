// The engine that asks the server it came from. Another file with these exports may compute in the browser instead.

import { Refusal, ask, fileName, lines, upload } from "./http.js";
import { alphaOf, decoded, keep, sizeOf } from "./pixels.js";

const HEAD = 2 ** 17; // bytes of a file: XMP is among the first ones

let host = null;

/** What the page needs to know of its host before a photo is open. */
export async function start() {
  host = await (await ask("host.json")).json();
  return host;
}

/** A photo from a File or Blob. It can be drawn at once; its bytes go to the server meanwhile. */
export async function open(file, { signal, onProgress } = {}) {
  const size = await sizeOf(file).catch(() => null);
  if (size) refuseTooLarge(size.width, size.height);
  const picture = size && (await pictureOf(file, size.width));
  const { width, height } = picture ?? {};
  const photo = new ServerPhoto({ file, name: file.name || "photo.png", width, height }); // what is pasted has no name
  photo.send({ signal, onProgress });
  photo.picture = picture ?? (await photo.preview(signal));
  return photo;
}

/** The picture in a file, so wide as it should be; null if the browser may not show it as the server reads it. */
async function pictureOf(file, width) {
  if (await isTurnedOtherwise(file)) return null;
  const picture = await decoded(file).catch(() => null);
  return picture?.width === width ? picture : null; // old browsers do not turn it upright
}

/** Whether a file may say how it is turned where browsers do not look, but the server does: in WebP files, and in XMP. */
async function isTurnedOtherwise(file) {
  const head = new TextDecoder("latin1").decode(await file.slice(0, HEAD).arrayBuffer());
  if (/^RIFF....WEBPVP8X/s.test(head)) return (head.charCodeAt(20) & 0b1100) !== 0; // there are EXIF data or XMP
  return /tiff:Orientation(="|>)[2-8]/.test(head);
}

function refuseTooLarge(width, height) {
  if (!host?.maxPixels || width * height <= host.maxPixels) return;
  const [has, most] = [width * height, host.maxPixels].map((pixels) => Math.round(pixels / 1e6));
  throw new Error(`This photo has ${has} megapixels; up to ${most} work here. Make it smaller and open it again.`);
}

/** A photo that comes with the server, with its mask and what became of it. */
export async function openExample(name, { signal } = {}) {
  const photo = new ServerPhoto({ example: name, name });
  const { first } = await photo.send({ signal });
  const asked = ask(`examples/${encodeURIComponent(name)}/mask`, { signal });
  const [mask, preview] = await Promise.all([asked.then((response) => response.blob()), photo.preview(signal)]);
  photo.picture = preview;
  const settings = Object.fromEntries(host.settings.map(({ name, value }) => [name, value]));
  const request = { mask, box: [0, 0, photo.width, photo.height], settings };
  const version = { id: first.version, box: first.box, seconds: first.seconds, note: "", base: null, request };
  await photo.loadPatch(version, signal);
  photo.first = { mask, version };
  return photo;
}

/** The photo that the server was started with. */
export async function openFirst({ signal } = {}) {
  const photo = new ServerPhoto({ name: host.firstPhoto });
  photo.send({ signal });
  photo.picture = await photo.preview(signal);
  return photo;
}

/** The photo that had this memo, after the page was loaded again. */
export async function reopen(memo, { signal } = {}) {
  const photo = new ServerPhoto(memo);
  if (memo.id) photo.ready = Promise.resolve();
  else photo.send({ signal });
  const picture = memo.file && (await pictureOf(memo.file, memo.width));
  photo.picture = picture ?? (await photo.preview(signal));
  return photo;
}

class ServerPhoto {
  #sending = null; // stops the upload

  /** `memo`: { file | example | neither for the server's first photo, name, width, height, note, id on the server }. */
  constructor(memo) {
    this.memo = { note: "", ...memo };
  }

  get name() {
    return this.memo.name;
  }

  get width() {
    return this.memo.width;
  }

  get height() {
    return this.memo.height;
  }

  get note() {
    return this.memo.note;
  }

  /** Give the photo to the server, again if it has forgotten it: `ready` is when it has it. */
  send({ signal, onProgress } = {}) {
    this.close();
    const sending = (this.#sending = new AbortController());
    signal?.addEventListener("abort", () => sending.abort(), { once: true });
    this.memo.id = null;
    this.ready = this.#sent(sending.signal, onProgress);
    this.ready.catch(() => {}); // whoever waits for it hears of it
    return this.ready;
  }

  async #sent(signal, onProgress) {
    const { file, example, name } = this.memo;
    const post = (path) => ask(path, { method: "POST", signal }).then((response) => response.json());
    let answer;
    if (file) answer = await upload(`photos?name=${encodeURIComponent(name)}`, file, { signal, onProgress });
    else answer = await post(example ? `examples/${encodeURIComponent(example)}` : "first");
    const { id, width, height, note = "" } = answer;
    if (this.width && (this.width !== width || this.height !== height)) {
      throw new Error("This photo is not read the same way everywhere. Save it as JPEG or PNG and open that.");
    }
    Object.assign(this.memo, { id, width, height, note });
    return answer;
  }

  /** The photo as the server shows it, where the browser cannot decode it. */
  async preview(signal) {
    const response = await this.#whileKept(() => this.#ask("preview", { signal }), signal);
    return decoded(await response.blob());
  }

  async readMask(file) {
    const response = await this.#whileKept(() => this.#ask("mask", { method: "POST", body: file }));
    const note = decodeURIComponent(response.headers.get("X-Note") ?? "");
    return { mask: await alphaOf(await decoded(await response.blob())), note };
  }

  async complete({ mask, box, base, settings }, { signal, onProgress, onWaiting } = {}) {
    const version = { base, request: { mask, box, settings } };
    const compute = async () => {
      await this.#compute(version, { signal, onProgress, onWaiting });
      await this.loadPatch(version, signal);
    };
    await this.#whileKept(compute, signal);
    return version;
  }

  /** Let the server compute a version, after those that it goes on from. */
  async #compute(version, { signal, onProgress, onWaiting } = {}) {
    const { base, request } = version;
    if (base) await this.#ensure(base, { signal, onWaiting });
    const [left, top, width, height] = request.box;
    const query = new URLSearchParams({ left, top, width, height });
    if (base) query.set("base", base.id);
    for (const [name, value] of Object.entries(request.settings)) if (value !== null) query.set(name, value);
    for await (const line of lines(this.#path(`versions?${query}`), { body: request.mask, signal })) {
      if ("error" in line) throw new Refusal(line.error, line);
      if ("waiting" in line) onWaiting?.(line.waiting);
      if ("share" in line) onProgress?.(line.share);
      if (!("version" in line)) continue;
      const { version: id, box, seconds, note = "" } = line;
      Object.assign(version, { id, box, seconds, note, sentAs: this.memo.id });
      return;
    }
  }

  /** That the server has a version: it was perhaps made before the server forgot the photo. */
  async #ensure(version, options) {
    if (version.sentAs !== this.memo.id) await this.#compute(version, options);
  }

  async loadPatch(version, signal) {
    const response = await this.#ask(`versions/${version.id}/patch`, { signal });
    Object.assign(version, { patch: await response.blob(), sentAs: this.memo.id });
  }

  async download(version, format) {
    const response = await this.#withVersion(version, `file?format=${format}`);
    keep(await response.blob(), fileName(response));
  }

  async save(version) {
    const { path } = await (await this.#withVersion(version, "save", { method: "POST" })).json();
    return `Saved as ${path}`;
  }

  close() {
    this.#sending?.abort();
  }

  #path(path) {
    return `photos/${this.memo.id}/${path}`;
  }

  #ask(path, options) {
    return ask(this.#path(path), options);
  }

  #withVersion(version, path, options) {
    return this.#whileKept(async () => {
      await this.#ensure(version);
      return this.#ask(`versions/${version.id}/${path}`, options);
    });
  }

  /** Do something with the photo on the server; if it is not there (any more), send it, and do it then. */
  async #whileKept(task, signal) {
    await this.ready.catch((error) => {
      if (!error.isPassing && error.name !== "AbortError") throw error; // what was stopped can be done again
    });
    signal?.throwIfAborted();
    if (!this.memo.id) await this.send({ signal });
    const { id } = this.memo;
    try {
      return await task();
    } catch (error) {
      if (!error.gone) throw error;
      await (this.memo.id === id ? this.send({ signal }) : this.ready); // perhaps somebody else sends it already
      return task();
    }
  }
}
