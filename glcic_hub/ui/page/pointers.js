// Mouse, pen and fingers on the stage: one paints; two fingers, the wheel, the middle button or Space move the photo.

const STILL_A_TAP = 24; // pixels: a stroke that is shorter when a second finger comes was none
const WHEEL_SPEED = 0.0018; // of the zoom, for each pixel of the wheel
const PINCH_SPEED = 0.01; // of a trackpad's pinch, which comes as a wheel
const LINE_HEIGHT = 16; // some mice count in lines

/**
 * Listen on `canvas`. `view` is moved; of `actions`: canPaint(), startStroke(point), extendStroke(points), endStroke(),
 * dropStroke(), showBrush([clientX, clientY] or null). Points are in pixels of the photo.
 */
export class Pointers {
  isSpaceDown = false;

  #canvas;
  #view;
  #actions;
  #fingers = new Map(); // pointerId -> [clientX, clientY], of those that touch
  #mode = null; // "stroke" or "pan"
  #painter = null; // the pointerId that paints
  #start = [0, 0];
  #pinch = null; // { distance, scale, point of the photo } when the second finger came

  constructor(canvas, view, actions) {
    [this.#canvas, this.#view, this.#actions] = [canvas, view, actions];
    const listen = (type, handler) => canvas.addEventListener(type, handler, { passive: false });
    listen("pointerdown", (event) => this.#down(event));
    listen("pointermove", (event) => this.#move(event));
    listen("pointerup", (event) => this.#up(event));
    listen("pointercancel", (event) => this.#up(event, true));
    listen("pointerleave", () => actions.showBrush(null));
    listen("wheel", (event) => this.#wheel(event));
    listen("contextmenu", (event) => event.preventDefault());
    listen("touchstart", (event) => event.preventDefault()); // a quick stroke is no fling, which would eat the next tap
    this.#listenToGestures();
  }

  #down(event) {
    if (!this.#view.photo) return;
    event.preventDefault(); // no selection, no scrolling with the middle button
    document.activeElement?.blur(); // keys are for the photo now, and not for the field where a number was typed
    if (event.pointerType !== "mouse" && event.button > 0) return;
    if (event.button > 1 || this.#fingers.size > 1) return;
    const at = [event.clientX, event.clientY];
    this.#canvas.setPointerCapture(event.pointerId);
    this.#fingers.set(event.pointerId, at);
    if (this.#fingers.size === 2) {
      this.#stopPainting();
      this.#mode = "pan";
      const { distance, middle } = this.#twoFingers();
      this.#pinch = { distance, scale: this.#view.scale, point: this.#view.toPhoto(...middle) };
    } else if (event.button === 1 || this.isSpaceDown) {
      this.#mode = "pan";
    } else if (this.#actions.canPaint()) {
      [this.#mode, this.#painter, this.#start] = ["stroke", event.pointerId, at];
      this.#actions.startStroke(this.#view.toPhoto(...at));
    }
    this.#showBrush(event);
  }

  /** A second finger came: a stroke that has hardly begun was the first finger of the two. */
  #stopPainting() {
    if (this.#mode !== "stroke") return;
    const [x, y] = this.#fingers.get(this.#painter);
    const isTap = Math.hypot(x - this.#start[0], y - this.#start[1]) < STILL_A_TAP;
    if (isTap) this.#actions.dropStroke();
    else this.#actions.endStroke();
    this.#painter = null;
  }

  #move(event) {
    this.#showBrush(event);
    if (!this.#fingers.has(event.pointerId)) return;
    const at = [event.clientX, event.clientY];
    const before = this.#fingers.get(event.pointerId);
    this.#fingers.set(event.pointerId, at);
    if (this.#mode === "pan") this.#drag(at[0] - before[0], at[1] - before[1]);
    else if (event.pointerId === this.#painter) {
      const coalesced = event.getCoalescedEvents?.() ?? [];
      const events = coalesced.length ? coalesced : [event];
      this.#actions.extendStroke(events.map((each) => this.#view.toPhoto(each.clientX, each.clientY)));
    }
  }

  /** Move the photo; with two fingers what was between them stays there, and grows with their distance. */
  #drag(right, down) {
    if (this.#fingers.size < 2) return this.#view.pan(right, down);
    const { distance, middle } = this.#twoFingers();
    this.#view.put(this.#pinch.point, middle, (this.#pinch.scale * distance) / this.#pinch.distance);
  }

  #twoFingers() {
    const [[x, y], [otherX, otherY]] = this.#fingers.values();
    return { distance: Math.max(1, Math.hypot(x - otherX, y - otherY)), middle: [(x + otherX) / 2, (y + otherY) / 2] };
  }

  #up(event, isCancelled = false) {
    if (!this.#fingers.delete(event.pointerId)) return;
    if (event.pointerId === this.#painter) {
      this.#painter = null;
      if (isCancelled) this.#actions.dropStroke();
      else this.#actions.endStroke();
    }
    if (!this.#fingers.size) this.#mode = null;
    this.#showBrush(event);
  }

  #showBrush(event) {
    const isHidden = event.pointerType === "touch" || this.#mode === "pan" || this.isSpaceDown || !this.#view.photo;
    this.#canvas.classList.toggle("panning", this.#mode === "pan");
    this.#actions.showBrush(isHidden ? null : [event.clientX, event.clientY]);
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaMode === 1 ? event.deltaY * LINE_HEIGHT : event.deltaY;
    const speed = event.ctrlKey ? PINCH_SPEED : WHEEL_SPEED;
    this.#view.zoom(Math.exp(-pixels * speed), event.clientX, event.clientY);
    this.#showBrush(event);
  }

  /** Safari on a Mac tells of a trackpad's pinch in its own way. */
  #listenToGestures() {
    let before = 1;
    this.#canvas.addEventListener("gesturestart", (event) => {
      event.preventDefault();
      before = 1;
    });
    this.#canvas.addEventListener("gesturechange", (event) => {
      event.preventDefault();
      if (this.#fingers.size) return; // fingers on the screen are pointers as well
      this.#view.zoom(event.scale / before, event.clientX, event.clientY);
      before = event.scale;
    });
  }
}
