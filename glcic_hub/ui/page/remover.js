// One completion at a time: what is painted goes to the engine, what comes back goes into the history.

import { complain, hideProgress, say, showProgress } from "./status.js";
import { done, sentenceOf, waiting, words } from "./words.js";

export class Remover {
  #editor;
  #changed;
  #running = null; // AbortController
  #uploaded = null; // share of the photo that the engine has, while it is on its way

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
    history.floor = history.at;
    this.#changed();
    this.#show(words.removing, null);
    let tell;
    let isDone = false;
    try {
      const version = await this.#version(settings(), signal);
      await this.#editor.addVersion(version, signal);
      isDone = true;
      const sentence = done(performance.now() - clicked);
      tell = () => say([sentence, version.note].filter(Boolean).join(" "));
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") tell = () => say(words.cancelled);
      else tell = () => complain(sentenceOf(error));
    }
    history.floor = 0;
    this.#running = null;
    hideProgress();
    if (this.#editor.history === history) tell(); // else another photo is open, and what is said is about that one
    this.#changed();
    if (isDone && this.#editor.hasPaint && again()) this.run({ settings, again });
  }

  async #version(settings, signal) {
    const { photo, version } = this.#editor;
    const painted = await this.#editor.mask();
    if (!painted) throw new Error(words.nothingPainted);
    signal.throwIfAborted();
    if (this.#uploaded !== null) this.#show(words.sending, this.#uploaded);
    return photo.complete(
      { ...painted, base: version, settings },
      {
        signal,
        onProgress: (share) => this.#show(words.removing, share > 0 && share < 1 ? share : null), // the file comes last
        onWaiting: (people) => this.#show(people ? waiting(people) : words.removing, null),
      },
    );
  }

  #show(sentence, share) {
    say(sentence);
    showProgress(share);
  }
}
