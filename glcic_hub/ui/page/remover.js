// One completion at a time: what is painted goes to the engine, what comes back goes into the history.

import { complain, hideProgress, say, showProgress } from "./status.js";
import { done, doneAgain, sentenceOf, waiting, words } from "./words.js";

export class Remover {
  #editor;
  #changed;
  #running = null; // AbortController
  #uploaded = null; // share of the photo that the engine has, while it is on its way
  #attempts = new WeakMap(); // mask of a request -> the newest attempt with it, also if it was undone

  constructor(editor, changed) {
    [this.#editor, this.#changed] = [editor, changed];
  }

  get isRunning() {
    return Boolean(this.#running);
  }

  cancel() {
    this.#running?.abort();
  }

  showUpload(share) {
    this.#uploaded = share < 1 ? share : null;
    if (this.isRunning && this.#uploaded !== null) this.#show(words.sending, share);
  }

  /** Remove what is painted. `settings()` are those of the moment; `again()`: what was painted meanwhile goes, too. */
  async run({ settings, again }) {
    if (this.isRunning) return;
    const clicked = performance.now();
    const { signal } = (this.#running = new AbortController());
    const { history } = this.#editor;
    const last = this.#editor.lastResult;
    history.floor = history.at;
    this.#changed();
    this.#show(words.removing, null);
    let tell;
    let isDone = false;
    try {
      const version = await this.#version(settings(), last, signal);
      if (last && (await areSame(last.patch, version.patch))) throw new Error(words.onlyResult);
      await this.#editor.addVersion(version, signal);
      isDone = true;
      const sentence = (last ? doneAgain : done)(performance.now() - clicked);
      tell = () => say([sentence, version.note].filter(Boolean).join(" "));
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") tell = () => say(last ? words.cancelledAgain : words.cancelled);
      else tell = () => complain(sentenceOf(error));
    }
    history.floor = 0;
    this.#running = null;
    hideProgress();
    if (this.#editor.history === history) tell(); // else another photo is open, and what is said is about that one
    this.#changed();
    if (isDone && this.#editor.hasPaint && again()) this.run({ settings, again });
  }

  /** What the engine makes of the paint; where there is a `last` result, of the paint of that one, in another attempt. */
  async #version(settings, last, signal) {
    const { photo, version } = this.#editor;
    const request = last ? this.#again(last.request, settings) : { ...(await this.#painted()), settings };
    signal.throwIfAborted();
    if (this.#uploaded !== null) this.#show(words.sending, this.#uploaded);
    return photo.complete(
      { ...request, base: version },
      {
        signal,
        onProgress: (share) => this.#show(words.removing, share > 0 && share < 1 ? share : null), // the file comes last
        onWaiting: (people) => this.#show(people ? waiting(people) : words.removing, null),
      },
    );
  }

  async #painted() {
    const painted = await this.#editor.mask();
    if (!painted) throw new Error(words.nothingPainted);
    return painted;
  }

  #again({ mask, box, settings: { attempt = 0 } }, settings) {
    const next = (this.#attempts.get(mask) ?? attempt) + 1;
    this.#attempts.set(mask, next);
    return { mask, box, settings: { ...settings, attempt: next } };
  }

  #show(sentence, share) {
    say(sentence);
    showProgress(share);
  }
}

async function areSame(...blobs) {
  const [one, other] = await Promise.all(blobs.map(async (blob) => new Uint8Array(await blob.arrayBuffer())));
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
