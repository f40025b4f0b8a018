// Where the photo is on the screen, and what is drawn there: photo and completions below, paint above.

import { drawPaint, extendStroke } from "./paint.js";
import { contextOf } from "./pixels.js";

const MOST_DENSITY = 2; // device pixels per pixel of the page: more cost time and are not seen
const LARGEST_ZOOM = 32; // pixels of the page for one of the photo
const PIXELS_SEEN_FROM = 4; // from this zoom on, pixels are shown as squares
const MARGIN = 0.25; // how much of the stage an enlarged photo may leave free at its edge
const SMALL_SIDE = 2048; // of the copy of a large photo that is drawn while it is shown small

export class View {
  photo = null;
  scale = 1; // pixels of the page for one of the photo
  left = 0; // where the photo begins on the stage, in pixels of the page
  top = 0;
  isOriginal = false; // show the photo as it was opened

  #stage;
  #frame;
  #below;
  #above;
  #density = 1;
  #small = null;
  #patches = []; // [{ box, image }]
  #steps = []; // what is painted
  #isFitted = true;
  #waiting = null; // promise of the next drawing

  /** `frame` is an element that is kept around the photo. */
  constructor({ stage, frame, photoCanvas, paintCanvas }) {
    [this.#stage, this.#frame] = [stage, frame];
    [this.#below, this.#above] = [photoCanvas.getContext("2d"), paintCanvas.getContext("2d")];
    new ResizeObserver(() => this.#resize()).observe(stage);
    this.#resize();
  }

  /** Show a photo, all of it; null for none. */
  show(photo) {
    this.photo = photo;
    this.#small = photo && smallCopy(photo.picture);
    [this.#patches, this.#steps, this.isOriginal] = [[], [], false];
    return this.fit();
  }

  /** Show completions (patches, the first one first) and paint; resolves when they are on the screen. */
  update({ patches = this.#patches, steps = this.#steps, isOriginal = this.isOriginal }) {
    Object.assign(this, { isOriginal });
    [this.#patches, this.#steps] = [patches, steps];
    return this.draw();
  }

  /** Draw what came to a stroke since it had `from` points, on top of what is drawn. */
  addToStroke(stroke, from) {
    if (this.isOriginal || this.#waiting) return; // the next drawing has it
    this.#transform(this.#above);
    extendStroke(this.#above, stroke, from, this.photo);
  }

  toPhoto(clientX, clientY) {
    const { left, top } = this.#stage.getBoundingClientRect();
    return [(clientX - left - this.left) / this.scale, (clientY - top - this.top) / this.scale];
  }

  fit() {
    if (!this.photo) return this.draw();
    const { clientWidth, clientHeight } = this.#stage;
    this.scale = this.#fittingScale();
    this.left = (clientWidth - this.photo.width * this.scale) / 2;
    this.top = (clientHeight - this.photo.height * this.scale) / 2;
    this.#isFitted = true;
    return this.draw();
  }

  /** Zoom by a factor; the point of the page stays where it is, without one the middle of the stage. */
  zoom(factor, ...client) {
    if (!this.photo) return;
    const { left, top, width, height } = this.#stage.getBoundingClientRect();
    const at = client.length ? client : [left + width / 2, top + height / 2];
    this.put(this.toPhoto(...at), at, this.scale * factor);
  }

  /** Put a point of the photo to a point of the page, at a scale that is kept in its limits. */
  put([x, y], [clientX, clientY], scale) {
    const { left, top } = this.#stage.getBoundingClientRect();
    const least = this.#fittingScale();
    this.scale = Math.min(Math.max(scale, least), Math.max(LARGEST_ZOOM, least));
    this.left = clientX - left - x * this.scale;
    this.top = clientY - top - y * this.scale;
    this.pan(0, 0);
  }

  pan(right, down) {
    if (!this.photo) return;
    const { clientWidth, clientHeight } = this.#stage;
    this.left = kept(this.left + right, this.photo.width * this.scale, clientWidth);
    this.top = kept(this.top + down, this.photo.height * this.scale, clientHeight);
    this.#isFitted = this.scale <= this.#fittingScale();
    this.draw();
  }

  /** Draw all with the next frame; resolves when that is done. */
  draw() {
    this.#waiting ??= new Promise((done) =>
      requestAnimationFrame(() => {
        this.#waiting = null;
        this.#drawBelow();
        this.#drawAbove();
        done();
      }),
    );
    return this.#waiting;
  }

  #fittingScale() {
    const { clientWidth, clientHeight } = this.#stage;
    return Math.min(clientWidth / this.photo.width, clientHeight / this.photo.height) || 1;
  }

  #resize() {
    this.#density = Math.min(window.devicePixelRatio || 1, MOST_DENSITY);
    for (const { canvas } of [this.#below, this.#above]) {
      canvas.width = Math.max(1, Math.round(this.#stage.clientWidth * this.#density));
      canvas.height = Math.max(1, Math.round(this.#stage.clientHeight * this.#density));
    }
    if (this.#isFitted) this.fit();
    else this.pan(0, 0);
  }

  #transform(context) {
    const scale = this.scale * this.#density;
    context.setTransform(scale, 0, 0, scale, this.left * this.#density, this.top * this.#density);
  }

  #clear(context) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  }

  #drawBelow() {
    this.#clear(this.#below);
    this.#frame.hidden = !this.photo;
    if (!this.photo) return;
    const { width, height } = this.photo;
    Object.assign(this.#frame.style, {
      left: `${this.left}px`,
      top: `${this.top}px`,
      width: `${width * this.scale}px`,
      height: `${height * this.scale}px`,
    });
    const context = this.#below;
    this.#transform(context);
    context.imageSmoothingEnabled = this.scale < PIXELS_SEEN_FROM;
    context.imageSmoothingQuality = "high";
    const isSmallEnough = this.#small && this.scale * this.#density <= this.#small.width / width;
    context.drawImage(isSmallEnough ? this.#small : this.photo.picture, 0, 0, width, height);
    if (this.isOriginal) return;
    context.globalCompositeOperation = "source-atop"; // a patch does not know where the photo is transparent
    for (const { box, image } of this.#patches) context.drawImage(image, ...box);
    context.globalCompositeOperation = "source-over";
  }

  #drawAbove() {
    this.#clear(this.#above);
    if (!this.photo || this.isOriginal) return;
    this.#transform(this.#above);
    this.#above.imageSmoothingEnabled = this.scale < PIXELS_SEEN_FROM;
    drawPaint(this.#above, this.#steps, this.photo);
  }
}

/** Where something of a `length` may begin in a `space`: in its middle, or nearly filling it. */
function kept(start, length, space) {
  if (length <= space) return (space - length) / 2;
  return Math.min(Math.max(start, space * (1 - MARGIN) - length), space * MARGIN);
}

function smallCopy(picture) {
  const factor = SMALL_SIDE / Math.max(picture.width, picture.height);
  if (factor > 0.75) return null;
  const context = contextOf(Math.round(picture.width * factor), Math.round(picture.height * factor));
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, context.canvas.width, context.canvas.height);
  return context.canvas;
}
