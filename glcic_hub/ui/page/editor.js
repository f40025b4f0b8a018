// The open photo with its history, and the stroke that is being painted.

import { History } from "./history.js";
import { hasPaint, maskOf, tinted } from "./paint.js";
import { contextOf, decoded, pngOf } from "./pixels.js";

export class Editor {
  photo = null;
  history = new History();
  stroke = null;

  #view;
  #changed;
  #patches = new WeakMap(); // Version -> ImageBitmap

  /** `changed(isKept)` is called after whatever changes; `isKept`: the history is another one now. */
  constructor(view, changed) {
    [this.#view, this.#changed] = [view, changed];
  }

  get version() {
    return this.history.versions.at(-1) ?? null;
  }

  get hasPaint() {
    return hasPaint(this.history.paint);
  }

  /** The newest version, if nothing is painted on it: there may be another result for its paint. */
  get lastResult() {
    return this.hasPaint ? null : this.version;
  }

  /** Decode what the steps of a history need to be drawn. */
  prepare(steps) {
    return Promise.all(steps.map((step) => this.#prepare(step)));
  }

  /** Show another photo, with a history of which all is prepared; resolves when it is on the screen. */
  open(photo, steps, at) {
    this.photo?.close();
    [this.photo, this.stroke, this.history] = [photo, null, Object.assign(new History(), { steps, at })];
    this.#view.show(photo);
    const drawn = this.draw();
    this.#changed(true);
    return drawn;
  }

  async #prepare(step) {
    if (step.kind === "mask") step.tinted ??= tinted(await decoded(step.blob));
    if (step.kind === "version") this.#patches.set(step.version, await decoded(step.version.patch));
  }

  close() {
    this.photo?.close();
    [this.photo, this.stroke, this.history] = [null, null, new History()];
    this.#view.show(null);
    this.#changed(false);
  }

  draw() {
    if (!this.photo) return this.#view.draw();
    const { versions, paint } = this.history;
    const patches = versions.map((version) => ({ box: version.box, image: this.#patches.get(version) }));
    return this.#view.update({ patches, steps: this.stroke ? [...paint, this.stroke] : paint });
  }

  /** Add a step to the history; resolves when it is on the screen. */
  push(step) {
    this.history.push(step);
    const drawn = this.draw();
    this.#changed(true);
    return drawn;
  }

  /** The step that puts a mask (ImageBitmap whose alpha says where) over what is painted. */
  async maskStep(image) {
    const context = contextOf(image.width, image.height);
    context.drawImage(image, 0, 0);
    return { kind: "mask", blob: await pngOf(context), tinted: tinted(image) };
  }

  /**
   * A completion of what was painted at the history's floor is there; resolves when it is on the screen. `signal` is
   * aborted where nobody wants it any more, as when another photo is open.
   */
  async addVersion(version, signal) {
    await this.#prepare({ kind: "version", version });
    signal.throwIfAborted();
    this.history.insertVersion(version);
    const drawn = this.draw();
    this.#changed(true);
    return drawn;
  }

  undo() {
    if (!this.stroke && this.history.undo()) this.#moved();
  }

  redo() {
    if (!this.stroke && this.history.redo()) this.#moved();
  }

  #moved() {
    this.draw();
    this.#changed(true);
  }

  mask() {
    return maskOf(this.history.paint, this.photo);
  }

  startStroke(point, { erase, radius }) {
    this.stroke = { kind: "stroke", erase, radius, points: [rounded(point)] };
    this.draw();
  }

  extendStroke(points) {
    if (!this.stroke) return;
    const from = this.stroke.points.length;
    this.stroke.points.push(...points.map(rounded));
    this.#view.addToStroke(this.stroke, from);
  }

  endStroke() {
    const { stroke } = this;
    this.stroke = null;
    if (stroke) this.push(stroke);
  }

  dropStroke() {
    this.stroke = null;
    this.draw();
  }
}

/** To a hundredth of a pixel: nobody paints finer, and it is kept shorter. */
function rounded(point) {
  return point.map((place) => Math.round(place * 100) / 100);
}
