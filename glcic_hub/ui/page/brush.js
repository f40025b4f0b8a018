// The brush: its size on the screen, whether it erases, the circle that shows it, and how the keyboard moves it.

const element = (id) => document.getElementById(id);

const SIZES = { least: 4, most: 200, factor: 1.2 }; // pixels of the page across; a press of a key makes it larger by
const KEY_STEP = 0.5; // of the brush's size, for each press of an arrow key

export class Brush {
  erases = false;
  isDown = false; // put down by the keyboard

  #view;
  #place = null; // of the circle, in pixels of the stage

  constructor(view) {
    this.#view = view;
    element("size").addEventListener("input", () => this.#show());
    element("brush").addEventListener("click", () => this.take(false));
    element("eraser").addEventListener("click", () => this.take(true));
  }

  get size() {
    return Number(element("size").value);
  }

  set size(size) {
    element("size").value = Math.min(Math.max(size, SIZES.least), SIZES.most);
    this.#show();
  }

  grow() {
    this.size = Math.max(this.size + 1, Math.round(this.size * SIZES.factor));
  }

  shrink() {
    this.size = Math.min(this.size - 1, Math.round(this.size / SIZES.factor));
  }

  /** In pixels of the photo. */
  get stroke() {
    return { erase: this.erases, radius: Math.round((this.size / 2 / this.#view.scale) * 100) / 100 };
  }

  take(eraser) {
    this.erases = eraser;
    element("brush").setAttribute("aria-pressed", !eraser);
    element("eraser").setAttribute("aria-pressed", eraser);
    element("cursor").classList.toggle("erases", eraser);
  }

  /** Show the circle at a point of the page; null hides it. */
  showAt(client) {
    const { left, top } = element("stage").getBoundingClientRect();
    this.#place = client && [client[0] - left, client[1] - top];
    this.#show();
  }

  /** Move the circle by keyboard: `right` and `down` are -1, 0 or 1. The point of the photo where it is now. */
  move(right, down, isFine) {
    const { clientWidth, clientHeight } = element("stage");
    const step = isFine ? 1 : Math.max(1, this.size * KEY_STEP);
    const [x, y] = this.#place ?? [clientWidth / 2, clientHeight / 2];
    const within = (value, most) => Math.min(Math.max(value, 0), most);
    this.#place = [within(x + right * step, clientWidth), within(y + down * step, clientHeight)];
    this.#show();
    return this.point;
  }

  /** The point of the photo under the circle. */
  get point() {
    const { left, top } = element("stage").getBoundingClientRect();
    const [x, y] = this.#place;
    return this.#view.toPhoto(x + left, y + top);
  }

  setDown(isDown) {
    this.isDown = isDown;
    element("cursor").classList.toggle("down", isDown);
  }

  #show() {
    const cursor = element("cursor");
    cursor.hidden = !this.#place;
    if (!this.#place) return;
    const [x, y] = this.#place.map((place) => place - this.size / 2);
    Object.assign(cursor.style, {
      width: `${this.size}px`,
      height: `${this.size}px`,
      transform: `translate(${x}px, ${y}px)`,
    });
  }
}
