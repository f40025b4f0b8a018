// The hole as a montage of pieces of the photo: glcic_hub/filling/montage.py for browsers. That file says how it works
// and why the numbers are what they are. The difference: hints of a coarser scale are always read bilinearly.

import { nearest, readAt } from "./grids.js";
import { numbersOf } from "./patches.js";
import { blended, LOOK, Photo } from "./pieces.js";
import { cheapest } from "./propagation.js";

const LABELS = 64;
const CANDIDATES = 256;
const VOTED_SHARE = 0.25;
const BLOCK = 4;
const BLOCKS = 28;
const LARGEST_GRID = 2 ** 13;
const HINTS_WEIGHT = 1;
const [RIM, RIM_WEIGHT] = [4, 12];
const SEAM_WEIGHT = 0.02;
const FLAT = 0.002;
const UNSEEN = 0.02;
const SAMPLES = 4;
const LOST = 1000;

/**
 * The picture with its hole made of pieces of what is known.
 *
 * @param level the picture at its own scale
 * @param hole Uint8Array, 1 where it is so, disjoint from what is known; not empty
 * @param sources what its wanted patches chose
 * @param guess grid like the level's image; used in the hole where no piece reaches
 * @returns a grid like `guess`, another one in the hole
 */
export function assembled(level, hole, sources, guess) {
  const photo = new Photo(level.image, level.known);
  const blocks = new Blocks(photo, level.hints, hole);
  const { displacements, costs } = labelsOf(level, sources, blocks);
  const labels = labelled(costs, blocks, displacements);
  const { y, x, owner } = blocks;
  const moves = new Int32Array(2 * y.length);
  const guessed = new Float32Array(3 * y.length);
  const places = y.map((row, pixel) => row * guess.width + x[pixel]);
  for (let pixel = 0; pixel < places.length; pixel++) {
    const label = labels[owner[pixel]];
    for (let axis = 0; axis < 2; axis++) moves[2 * pixel + axis] = displacements[2 * label + axis];
    for (let channel = 0; channel < 3; channel++) {
      guessed[3 * pixel + channel] = guess.values[3 * places[pixel] + channel];
    }
  }
  const colours = blended(photo, y, x, moves, guessed);
  const values = guess.values.slice();
  for (let at = 0; at < colours.length; at++) values[3 * places[Math.floor(at / 3)] + (at % 3)] = colours[at];
  return { ...guess, values };
}

/** A label for each block, Int32Array. */
export function labelled(costs, blocks, displacements) {
  const [labels, { count, row, column }] = [displacements.length / 2, blocks];
  const own = new Float32Array(costs.length); // all labels of a block, then of the next
  for (let at = 0; at < own.length; at++) own[at] = costs[(at % labels) * count + Math.floor(at / labels)];
  const kinds = [blocks.seams(false, displacements), blocks.seams(true, displacements)];
  return cheapest(own, labels, kinds, row.map((one, block) => Number((one + column[block]) % 2 === 0)));
}

/** The blocks of a hole. */
export class Blocks {
  /**
   * @param photo what may be copied
   * @param hints grid of any size: what else is compared
   * @param hole Uint8Array, 1 where it is so
   */
  constructor(photo, hints, hole) {
    Object.assign(this, { photo, hints });
    const { width } = photo;
    const places = numbersOf(hole);
    this.y = places.map((at) => Math.floor(at / width));
    this.x = places.map((at) => at % width);
    this.top = this.y[0];
    this.left = this.x.reduce((least, x) => Math.min(least, x));
    const [height, across] = [this.y.at(-1) + 1 - this.top, this.x.reduce((most, x) => Math.max(most, x)) + 1 - this.left];
    const sides = [Math.sqrt(places.length) / BLOCKS, Math.sqrt((height * across) / LARGEST_GRID)];
    this.side = Math.max(BLOCK, ...sides.map(Math.round));
    this.#divide(hole, Math.ceil(height / this.side), Math.ceil(across / this.side));
  }

  #divide(hole, rows, columns) {
    const { y, x, top, left, side } = this;
    const cellAt = (row, column) => Math.floor((row - top) / side) * columns + Math.floor((column - left) / side);
    const cells = y.map((row, pixel) => cellAt(row, x[pixel]));
    const number = new Int32Array(rows * columns).fill(-1);
    for (const cell of cells) number[cell] = 0;
    this.count = 0;
    for (let cell = 0; cell < number.length; cell++) if (number[cell] >= 0) number[cell] = this.count++;
    this.owner = cells.map((cell) => number[cell]); // of each pixel: its block
    this.row = new Int32Array(this.count);
    this.column = new Int32Array(this.count);
    this.below = new Int32Array(this.count).fill(-1); // -1: none
    this.right = new Int32Array(this.count).fill(-1);
    number.forEach((block, cell) => {
      if (block < 0) return;
      this.row[block] = Math.floor(cell / columns);
      this.column[block] = cell % columns;
      if (cell + columns < number.length) this.below[block] = number[cell + columns];
      if (this.column[block] + 1 < columns) this.right[block] = number[cell + 1];
    });
    this.#findRim(hole, (row, column) => number[cellAt(row, column)]);
  }

  /** Known pixels near the hole; each belongs to the block that is nearest. */
  #findRim(hole, blockAt) {
    const { width, height, known } = this.photo;
    const [ys, xs, owners] = [[], [], []];
    nearest(hole, width, height).forEach((found, at) => {
      if (!known[at]) return;
      const [y, x, besideY, besideX] = [Math.floor(at / width), at % width, Math.floor(found / width), found % width];
      if ((y - besideY) ** 2 + (x - besideX) ** 2 > RIM ** 2) return;
      ys.push(y);
      xs.push(x);
      owners.push(blockAt(besideY, besideX));
    });
    this.rimY = Int32Array.from(ys);
    this.rimX = Int32Array.from(xs);
    this.rimOwner = Int32Array.from(owners);
  }

  /** What displacements cost each block: Float32Array, all blocks with the first one, then with the next. */
  costs(displacements) {
    const { photo, owner, side } = this;
    const result = new Float32Array((displacements.length / 2) * this.count);
    const hints = new Float32Array(this.hints.channels * this.count);
    this.#readHints(0, 0, hints);
    const theirs = new Float32Array(hints.length);
    for (let label = 0; label < displacements.length / 2; label++) {
      const [down, across] = [displacements[2 * label], displacements[2 * label + 1]];
      const costs = result.subarray(label * this.count, (label + 1) * this.count);
      this.#readHints(down, across, theirs);
      for (let at = 0; at < hints.length; at++) {
        costs[Math.floor(at / this.hints.channels)] += HINTS_WEIGHT * (theirs[at] - hints[at]) ** 2;
      }
      for (let pixel = 0; pixel < owner.length; pixel++) {
        const copied = photo.at(this.y[pixel] + down, this.x[pixel] + across);
        if (copied === photo.none) costs[owner[pixel]] += LOST / side ** 2;
      }
      for (let pixel = 0; pixel < this.rimOwner.length; pixel++) {
        const [y, x] = [this.rimY[pixel], this.rimX[pixel]];
        const copied = photo.at(y + down, x + across);
        const wrong = copied === photo.none ? UNSEEN : photo.difference(copied, photo.at(y, x), 3);
        costs[this.rimOwner[pixel]] += (wrong * RIM_WEIGHT) / (RIM * side);
      }
    }
    return result;
  }

  /** The hints at the blocks' middles, displaced. */
  #readHints(down, across, to) {
    const { top, left, side, photo, hints } = this;
    const middle = (side - 1) >> 1;
    for (let block = 0; block < this.count; block++) {
      const y = top + this.row[block] * side + middle + down;
      const x = left + this.column[block] * side + middle + across;
      readAt(hints, y, x, photo, to, block * hints.channels);
    }
  }

  /**
   * The seams between blocks and those below, or to the right: {first, second, costs}, pairs of blocks and what any two
   * labels cost them, as propagation.js has it.
   */
  seams(isBelow, displacements) {
    const neighbour = isBelow ? this.below : this.right;
    const first = numbersOf(neighbour.map((block) => Number(block >= 0)));
    const second = first.map((block) => neighbour[block]);
    const labels = displacements.length / 2;
    const seen = new Seen(labels);
    const costs = new Float32Array(first.length * labels ** 2);
    for (let pair = 0; pair < first.length; pair++) {
      const y = this.top + this.row[second[pair]] * this.side;
      const x = this.left + this.column[second[pair]] * this.side;
      seen.look(this.photo, y, x, this.side, isBelow, displacements);
      seen.compare(costs.subarray(pair * labels ** 2, (pair + 1) * labels ** 2));
    }
    return { first, second, costs };
  }
}

/** What is seen at one seam with each label, and how much labels differ there. */
class Seen {
  #step; // from one number to the next: labels, four by four
  #looks;
  #squares;
  #strengths;

  constructor(labels) {
    this.labels = labels;
    this.#step = 4 * Math.ceil(labels / 4);
    this.#looks = new Float32Array(SAMPLES ** 2 * LOOK * this.#step); // a number of all labels, then the next one
    this.#squares = new Float64Array(labels);
    this.#strengths = new Float64Array(labels);
  }

  /** Take the samples of a seam whose second block begins there. */
  look(photo, top, left, side, isBelow, displacements) {
    const looks = this.#looks;
    for (let label = 0; label < this.labels; label++) {
      let squares = 0, strength = 0, to = label;
      for (let over = 0; over < SAMPLES; over++) {
        for (let step = 0; step < SAMPLES; step++) {
          const along = Math.floor(((2 * step + 1) * side) / (2 * SAMPLES));
          const across = over - (SAMPLES >> 1);
          const y = top + (isBelow ? across : along) + displacements[2 * label];
          const x = left + (isBelow ? along : across) + displacements[2 * label + 1];
          const from = LOOK * photo.at(y, x);
          for (let at = 0; at < LOOK; at++, to += this.#step) {
            const value = photo.looks[from + at];
            looks[to] = value;
            squares += value * value;
            if (at >= 3) strength += value * value;
          }
        }
      }
      this.#squares[label] = squares;
      this.#strengths[label] = strength;
    }
  }

  /** Write what each two labels cost. */
  compare(costs) {
    const [looks, step] = [this.#looks, this.#step];
    for (let one = 0; one < this.labels; one += 4) {
      for (let other = one; other < this.labels; other += 2) {
        // eight products at once: this is where most of the time goes
        let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
        for (let at = 0; at < looks.length; at += step) {
          const p = looks[at + other], q = looks[at + other + 1];
          const u = looks[at + one], v = looks[at + one + 1], w = looks[at + one + 2], z = looks[at + one + 3];
          a += p * u;
          b += p * v;
          c += p * w;
          d += p * z;
          e += q * u;
          f += q * v;
          g += q * w;
          h += q * z;
        }
        this.#write(costs, one, other, a);
        this.#write(costs, one + 1, other, b);
        this.#write(costs, one + 2, other, c);
        this.#write(costs, one + 3, other, d);
        this.#write(costs, one, other + 1, e);
        this.#write(costs, one + 1, other + 1, f);
        this.#write(costs, one + 2, other + 1, g);
        this.#write(costs, one + 3, other + 1, h);
      }
    }
  }

  #write(costs, one, other, product) {
    if (one >= this.labels || other >= this.labels) return;
    const difference = Math.max(0, this.#squares[one] + this.#squares[other] - 2 * product);
    const strength = (this.#strengths[one] + this.#strengths[other]) / 2;
    // means of channels and samples
    const cost = (SEAM_WEIGHT * difference) / (strength + FLAT * 3 * SAMPLES ** 2);
    costs[one * this.labels + other] = cost;
    costs[other * this.labels + one] = cost;
  }
}

/** Displacements, Int32Array, down and across, and what they cost each block, as `Blocks.costs` has it. */
export function labelsOf(level, sources, blocks) {
  const candidates = candidatesOf(level, sources);
  const costs = blocks.costs(candidates);
  const [most, count] = [Math.min(candidates.length / 2, LABELS), blocks.count];
  const chosen = [];
  const least = new Float32Array(count).fill(Infinity);
  while (chosen.length < most) {
    const isVoted = chosen.length < Math.round(VOTED_SHARE * LABELS);
    const next = isVoted ? chosen.length : mostGaining(costs, least, chosen);
    chosen.push(next);
    for (let block = 0; block < count; block++) least[block] = Math.min(least[block], costs[next * count + block]);
  }
  const kept = { displacements: new Int32Array(2 * most), costs: new Float32Array(most * count) };
  chosen.forEach((candidate, label) => {
    kept.displacements.set(candidates.subarray(2 * candidate, 2 * candidate + 2), 2 * label);
    kept.costs.set(costs.subarray(candidate * count, (candidate + 1) * count), label * count);
  });
  return kept;
}

/** The candidate that lowers the blocks' costs most. */
function mostGaining(costs, least, chosen) {
  const count = least.length;
  let [best, most] = [0, -1];
  for (let candidate = 0; candidate < costs.length / count; candidate++) {
    if (chosen.includes(candidate)) continue;
    let gain = 0;
    for (let block = 0; block < count; block++) gain += Math.max(0, least[block] - costs[candidate * count + block]);
    if (gain > most) [best, most] = [candidate, gain];
  }
  return best;
}

/** The displacements that patches chose most often, Int32Array, down and across. */
function candidatesOf({ rows, columns, targets }, sources) {
  const width = 2 * columns + 1; // of a map of all displacements, with a border
  const slot = new Int32Array((2 * rows + 1) * width).fill(-1); // where in the lists below
  const middle = rows * width + columns;
  const placeOf = (patch) => Math.floor(patch / columns) * width + (patch % columns);
  const moved = Int32Array.from(sources, (source, at) => middle + placeOf(source) - placeOf(targets[at])).sort();
  const places = moved.filter((place, at) => at === 0 || place !== moved[at - 1]);
  places.forEach((place, number) => (slot[place] = number));
  const votes = new Int32Array(places.length);
  for (const place of moved) votes[slot[place]]++;
  const around = (place) => {
    const numbers = [];
    for (let down = -width; down <= width; down += width) {
      for (let across = -1; across <= 1; across++) {
        const number = slot[place + down + across];
        if (number >= 0) numbers.push(number);
      }
    }
    return numbers;
  };
  // what is displaced by a pixel more or less is the same piece
  const worth = Float32Array.from(places, (place, number) => {
    return around(place).reduce((sum, other) => sum + votes[other], 0) / 9 + votes[number] / 1000;
  });
  const peaks = [...places.keys()].filter((number) => around(places[number]).every((at) => worth[at] <= worth[number]));
  peaks.sort((one, other) => worth[other] - worth[one]);
  return Int32Array.from(
    peaks.slice(0, CANDIDATES).flatMap((number) => {
      return [Math.floor(places[number] / width) - rows, (places[number] % width) - columns];
    }),
  );
}
