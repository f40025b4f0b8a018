// Patches of a picture at one scale: glcic_hub/filling/patches.py for browsers. That file says why the numbers are
// what they are. The difference: patches are described when they are first asked for, not all of them beforehand.

import { principalComponents } from "./components.js";
import { readAt } from "./grids.js";

export const PATCH = 9;
const HALF = PATCH >> 1;
const LENGTH = 3 * PATCH ** 2; // numbers in a patch
const COMPONENTS = 16;
const SAMPLE = 500; // half as many as in Python: as good, and the components take much of the time
const DECAY = 1.6;
const LEAST_CONFIDENCE = 1e-4;
const NEAREST_AMONG = 2 ** 12;
const RADII = [8, 3, 1];
const COHERENCE = 0.5;
const TOLERANCE = 0.2;
const NEIGHBOURS = [[0, 1], [0, -1], [1, 0], [-1, 0]];

/**
 * The picture at one scale: patches that may be copied (`sources`), and patches that are wanted because they touch the
 * hole (`targets`). A patch is the number of its upper left corner, row by row, among all corners.
 *
 * What is chosen is {sources: Int32Array, costs: Float32Array}, in the order of `targets`.
 */
export class Level {
  #random;
  #slots; // of each patch, where its description is kept; -1: nowhere yet
  #kept; // the descriptions
  #keptCount = 0;
  #basisMade;
  #patch = new Float64Array(LENGTH);

  /**
   * @param image grid of 3 channels from 0 to 1: known pixels and a first guess of the others
   * @param known, hole Uint8Array, 1 where it is so; places may be neither
   * @param depth grid: how far each place is from known ones, in its own pixels; of any size
   * @param hints grid: what else is compared, at the middle of a patch; of any size
   * @param stride only every so many corners, down and across, are wanted
   * @param random a function that gives numbers from 0 to 1
   */
  constructor({ image, known, hole, depth, hints, stride, random }) {
    Object.assign(this, { image, known, hints, stride });
    this.#random = random;
    this.rows = image.height - PATCH + 1;
    this.columns = image.width - PATCH + 1;
    this.size = 3 + hints.channels + COMPONENTS; // of a description
    const count = this.rows * this.columns;
    const unusable = anyInPatches(known, 0, image.width, image.height);
    this.usable = unusable.map((one) => 1 - one);
    this.sources = numbersOf(this.usable);
    const wanted = anyInPatches(hole, 1, image.width, image.height);
    wanted.forEach((one, at) => (wanted[at] = one && this.#isOnLattice(at)));
    this.targets = numbersOf(wanted);
    this.number = new Int32Array(count).fill(-1);
    this.targets.forEach((target, number) => (this.number[target] = number));
    this.beside = NEIGHBOURS.map(([dy, dx]) => this.#neighbours(dy * stride, dx * stride));
    this.confidence = this.#confidences(depth);
  }

  /** The number, among `targets`, of each one's neighbour so far away; -1 where there is none. */
  #neighbours(dy, dx) {
    return this.targets.map((target) => {
      const [top, left] = this.split(target);
      return this.#isInside(top + dy, left + dx) ? this.number[target + dy * this.columns + dx] : -1;
    });
  }

  #isOnLattice(patch) {
    const [row, column] = this.split(patch);
    return (
      (row % this.stride === 0 || row === this.rows - 1) && (column % this.stride === 0 || column === this.columns - 1)
    );
  }

  #confidences(depth) {
    const found = new Float32Array(1);
    return Float32Array.from(this.targets, (target) => {
      this.#atMiddle(depth, target, found, 0);
      return Math.max(LEAST_CONFIDENCE, DECAY ** ((-found[0] * this.image.height) / depth.height));
    });
  }

  split(patch) {
    return [Math.floor(patch / this.columns), patch % this.columns];
  }

  /** The number, among `targets`, of the wanted patch at a corner or shortly before it; -1 where there is none. */
  wantedNear(row, column) {
    const before = (place, corners) => {
      const inside = Math.min(corners - 1, Math.max(0, place));
      return inside === corners - 1 ? inside : inside - (inside % this.stride);
    };
    return this.number[before(row, this.rows) * this.columns + before(column, this.columns)];
  }

  /** A known patch, by chance. */
  drawn() {
    return this.sources[Math.floor(this.#random() * this.sources.length)];
  }

  // Describing: mean colours, hints, components; scaled so that squared distances are mean squares of a patch

  /** Of each pixel of a patch its share in each component: four components for all pixels, then the next four. */
  get #basis() {
    if (!this.#basisMade) {
      const rows = new Float32Array(Math.min(SAMPLE, this.sources.length) * LENGTH);
      for (let start = 0; start < rows.length; start += LENGTH) {
        const patch = rows.subarray(start, start + LENGTH);
        this.#copy(this.image.values, this.drawn(), patch);
        for (let channel = 0; channel < 3; channel++) {
          let sum = 0;
          for (let at = channel; at < LENGTH; at += 3) sum += patch[at];
          for (let at = channel; at < LENGTH; at += 3) patch[at] -= sum / PATCH ** 2;
        }
      }
      const directions = principalComponents(rows, LENGTH, COMPONENTS, this.#random);
      this.#basisMade = directions.map((_, at) => {
        const [group, pixel] = [Math.floor(at / (4 * LENGTH)), Math.floor(at / 4) % LENGTH];
        return directions[(4 * group + (at % 4)) * LENGTH + pixel] / Math.sqrt(LENGTH);
      });
    }
    return this.#basisMade;
  }

  #copy(values, patch, to) {
    const start = 3 * (Math.floor(patch / this.columns) * this.image.width + (patch % this.columns));
    for (let row = 0, at = 0; row < PATCH; row++) {
      const from = start + 3 * row * this.image.width;
      for (let step = 0; step < 3 * PATCH; step++) to[at++] = values[from + step];
    }
  }

  /** What a grid of any size has at the middle of a patch. */
  #atMiddle(of, patch, to, at) {
    readAt(of, Math.floor(patch / this.columns) + HALF, (patch % this.columns) + HALF, this.image, to, at);
  }

  #describe(values, patch, to, start) {
    const basis = this.#basis;
    const pixels = this.#patch;
    this.#copy(values, patch, pixels);
    let [red, green, blue] = [0, 0, 0];
    for (let at = 0; at < LENGTH; at += 3) {
      red += pixels[at];
      green += pixels[at + 1];
      blue += pixels[at + 2];
    }
    const share = 1 / (Math.sqrt(3) * PATCH ** 2);
    to[start] = red * share;
    to[start + 1] = green * share;
    to[start + 2] = blue * share;
    this.#atMiddle(this.hints, patch, to, start + 3);
    let at = start + 3 + this.hints.channels;
    for (let from = 0; from < basis.length; at += 4) {
      let a = 0, b = 0, c = 0, d = 0; // four at once: this is where most of the time goes
      for (let step = 0; step < LENGTH; step++, from += 4) {
        const pixel = pixels[step];
        a += basis[from] * pixel;
        b += basis[from + 1] * pixel;
        c += basis[from + 2] * pixel;
        d += basis[from + 3] * pixel;
      }
      to[at] = a;
      to[at + 1] = b;
      to[at + 2] = c;
      to[at + 3] = d;
    }
  }

  /** Descriptions of some patches of a picture like `image`, one after the other. */
  described(image, patches) {
    const result = new Float32Array(patches.length * this.size);
    patches.forEach((patch, number) => this.#describe(image.values, patch, result, number * this.size));
    return result;
  }

  /** Where the description of a known patch is kept. */
  #keptAt(patch) {
    if (this.#slots === undefined) {
      this.#slots = new Int32Array(this.rows * this.columns).fill(-1);
      this.#kept = new Float32Array(1024 * this.size);
    }
    if (this.#slots[patch] < 0) {
      if ((this.#keptCount + 1) * this.size > this.#kept.length) {
        const larger = new Float32Array(2 * this.#kept.length);
        larger.set(this.#kept);
        this.#kept = larger;
      }
      this.#describe(this.image.values, patch, this.#kept, this.#keptCount * this.size);
      this.#slots[patch] = this.#keptCount++;
    }
    return this.#slots[patch] * this.size;
  }

  /** The squared distance to a known patch, or something larger than `most` as soon as it is more than that. */
  #cost(wanted, start, patch, most) {
    const from = this.#keptAt(patch);
    return squaredDistance(wanted, start, this.#kept, from, this.size, most);
  }

  // Searching

  /** For each wanted patch the most similar of the known ones of a picture like `image`, by exhaustive search. */
  nearest(wanted, image) {
    const step = Math.ceil(this.sources.length / NEAREST_AMONG);
    const offered = this.sources.filter((_, at) => at % step === 0);
    const descriptions = this.described(image, offered);
    const sources = new Int32Array(this.targets.length);
    const costs = new Float32Array(this.targets.length);
    let best = 0; // the former one's is a good guess, which ends most comparisons early
    for (let target = 0; target < sources.length; target++) {
      const start = target * this.size;
      let least = squaredDistance(wanted, start, descriptions, best * this.size, this.size, Infinity);
      for (let at = 0; at < offered.length; at++) {
        const cost = squaredDistance(wanted, start, descriptions, at * this.size, this.size, least);
        if (cost < least) [least, best] = [cost, at];
      }
      sources[target] = offered[best];
      costs[target] = least;
    }
    return { sources, costs };
  }

  /**
   * Better choices for wanted patches; each neighbour that continues the same piece makes a choice cheaper.
   * `reaches`: from how far, in wanted patches, neighbours' choices are tried.
   */
  improved(wanted, { sources }, reaches) {
    const chosen = { sources: sources.slice(), costs: new Float32Array(sources.length) };
    sources.forEach((source, at) => (chosen.costs[at] = this.#cost(wanted, at * this.size, source, Infinity)));
    const worth = COHERENCE * mean(chosen.costs);
    for (const radius of RADII) this.#searchAround(wanted, chosen, radius, worth);
    for (const reach of reaches) {
      for (const [dy, dx] of NEIGHBOURS) {
        this.#askNeighbours(wanted, chosen, dy * reach * this.stride, dx * reach * this.stride, worth);
      }
    }
    return chosen;
  }

  #searchAround(wanted, chosen, radius, worth) {
    const off = () => Math.floor(this.#random() * (2 * radius + 1)) - radius;
    for (let at = 0; at < chosen.sources.length; at++) {
      const [row, column] = this.split(chosen.sources[at]);
      this.#try(wanted, chosen, at, row + off(), column + off(), worth);
    }
  }

  #askNeighbours(wanted, chosen, dy, dx, worth) {
    const neighbours = this.#neighbours(dy, dx);
    for (const white of [true, false]) { // as on a chessboard: whom a choice is to agree with keeps still
      const before = chosen.sources.slice(); // no choice is handed on along a whole row
      for (let at = 0; at < neighbours.length; at++) {
        const [top, left] = this.split(this.targets[at]);
        const isWhite = (Math.floor(top / this.stride) + Math.floor(left / this.stride)) % 2 === 0;
        if (neighbours[at] < 0 || isWhite !== white) continue;
        const [row, column] = this.split(before[neighbours[at]]);
        this.#try(wanted, chosen, at, row - dy, column - dx, worth);
      }
    }
  }

  /** How many neighbours' choices are displaced from them by as much as a patch: the same piece goes on. */
  #agreeing(sources, at, patch) {
    const displacement = patch - this.targets[at];
    let count = 0;
    for (const numbers of this.beside) {
      const number = numbers[at];
      if (number >= 0 && sources[number] - this.targets[number] === displacement) count++;
    }
    return count;
  }

  #isInside(row, column) {
    return row >= 0 && row < this.rows && column >= 0 && column < this.columns;
  }

  #try(wanted, chosen, at, row, column, worth) {
    const patch = row * this.columns + column;
    const { sources, costs } = chosen;
    if (!this.#isInside(row, column) || !this.usable[patch] || patch === sources[at]) return;
    const most = costs[at] + worth * (this.#agreeing(sources, at, patch) - this.#agreeing(sources, at, sources[at]));
    if (most <= 0) return;
    const cost = this.#cost(wanted, at * this.size, patch, most);
    if (cost >= most) return;
    sources[at] = patch;
    costs[at] = cost;
  }

  // Voting

  /** The picture, like `image`, in which the chosen patches have said what the hole looks like. */
  voted({ sources, costs }) {
    const { width } = this.image;
    const colours = this.image.values;
    const scale = -1 / (TOLERANCE * Math.max(1e-8, mean(costs)));
    const sums = new Float64Array(colours.length); // double precision: weights go down to 1e-300
    const totals = new Float64Array(colours.length / 3);
    sources.forEach((source, at) => {
      const weight = Math.max(1e-300, Math.exp(costs[at] * scale) * this.confidence[at]);
      const [top, left] = this.split(source);
      const [toTop, toLeft] = this.split(this.targets[at]);
      for (let row = 0; row < PATCH; row++) {
        let from = 3 * ((top + row) * width + left);
        let to = (toTop + row) * width + toLeft;
        for (let step = 0; step < PATCH; step++, from += 3, to++) {
          totals[to] += weight;
          sums[3 * to] += weight * colours[from];
          sums[3 * to + 1] += weight * colours[from + 1];
          sums[3 * to + 2] += weight * colours[from + 2];
        }
      }
    });
    const values = colours.slice();
    totals.forEach((total, at) => {
      if (this.known[at] || !total) return;
      for (let channel = 3 * at; channel < 3 * at + 3; channel++) values[channel] = sums[channel] / total;
    });
    return { ...this.image, values };
  }
}

export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function squaredDistance(one, start, other, from, size, most) {
  let sum = 0;
  for (let at = 0; at < size; ) {
    for (const end = Math.min(size, at + 7); at < end; at++) {
      const difference = one[start + at] - other[from + at];
      sum += difference * difference;
    }
    if (sum > most) break;
  }
  return sum;
}

/** The numbers of what is marked with 1, among zeros: Int32Array. */
export function numbersOf(marked) {
  const result = new Int32Array(marked.reduce((sum, one) => sum + one, 0));
  for (let at = 0, count = 0; at < marked.length; at++) if (marked[at]) result[count++] = at;
  return result;
}

/** Whether a patch has a pixel of this value: Uint8Array, by the patch's upper left corner. */
function anyInPatches(where, value, width, height) {
  const [rows, columns] = [height - PATCH + 1, width - PATCH + 1];
  const across = new Uint8Array(height * columns);
  for (let y = 0; y < height; y++) {
    for (let x = 0, last = -PATCH; x < width; x++) {
      if (where[y * width + x] === value) last = x;
      if (x >= PATCH - 1) across[y * columns + x - PATCH + 1] = Number(x - last < PATCH);
    }
  }
  const result = new Uint8Array(rows * columns);
  for (let x = 0; x < columns; x++) {
    for (let y = 0, last = -PATCH; y < height; y++) {
      if (across[y * columns + x]) last = y;
      if (y >= PATCH - 1) result[(y - PATCH + 1) * columns + x] = Number(y - last < PATCH);
    }
  }
  return result;
}
