// The hole as a montage of pieces of the photo: glcic_hub/filling/montage.py for browsers. That file says how it works
// and why the numbers are what they are. The difference: hints of a coarser scale are always read bilinearly.

import { nearest, readAt } from "./grids.js";
import { numbersOf } from "./patches.js";
import { blended, LOOK, Photo } from "./pieces.js";
import { cheapest } from "./propagation.js";

const CANDIDATES = 256;
const LABELS = 12;
const BLOCK = 4;
const BLOCKS = 28;
const LARGEST_GRID = 2 ** 13;
const HINTS_WEIGHT = 1;
const [RIM, RIM_WEIGHT] = [4, 12];
const SEAM_WEIGHT = 0.02;
const FLAT = 0.002;
const UNSEEN = 0.02;
const SAMPLES = 4;
const REUSE_WEIGHT = 0.003;
const REUSE_KEPT = 0.5;
const REVISIONS = 2;
const LOST = 1000;

/**
 * The picture with its hole made of pieces of what is known.
 *
 * @param level the picture at its own scale; its image stays in the hole where no piece reaches
 * @param hole Uint8Array, 1 where it is so, disjoint from what is known; not empty
 * @param sources what its wanted patches chose
 * @returns a grid like the level's image, another one in the hole
 */
export function assembled(level, hole, sources) {
  const photo = new Photo(level.image, level.known);
  const blocks = new Blocks(photo, level.hints, hole);
  const choice = labelsOf(level, sources, blocks);
  const labels = labelled(blocks, choice);
  const { y, x, owner } = blocks;
  const moves = new Int32Array(2 * y.length);
  const guessed = new Float32Array(3 * y.length);
  const places = y.map((row, pixel) => row * level.image.width + x[pixel]);
  for (let pixel = 0; pixel < places.length; pixel++) {
    const label = owner[pixel] * choice.labels + labels[owner[pixel]];
    for (let axis = 0; axis < 2; axis++) moves[2 * pixel + axis] = choice.displacements[2 * label + axis];
    for (let channel = 0; channel < 3; channel++) {
      guessed[3 * pixel + channel] = level.image.values[3 * places[pixel] + channel];
    }
  }
  const colours = blended(photo, y, x, moves, guessed);
  const values = level.image.values.slice();
  for (let at = 0; at < colours.length; at++) values[3 * places[Math.floor(at / 3)] + (at % 3)] = colours[at];
  return { ...level.image, values };
}

/** A label for each block, Int32Array: a number among those of `labelsOf` that it may take. */
export function labelled(blocks, { labels, displacements, costs }) {
  const { row, column } = blocks;
  const kinds = [false, true].map((isBelow) => blocks.seams(isBelow, displacements, labels));
  const isWhite = row.map((one, block) => Number((one + column[block]) % 2 === 0));
  let chosen = cheapest(costs, labels, kinds, isWhite);
  const dearer = new Float32Array(costs.length);
  for (let revision = 0; revision < REVISIONS; revision++) {
    const reuse = blocks.reuse(displacements, labels, chosen);
    for (let at = 0; at < dearer.length; at++) dearer[at] = REUSE_KEPT * dearer[at] + REUSE_WEIGHT * reuse[at];
    chosen = cheapest(costs.map((cost, at) => cost + dearer[at]), labels, kinds, isWhite);
  }
  return chosen;
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
    this.side = Math.max(BLOCK, ...sides.map((side) => Math.ceil(side - 0.5)));
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
    this.#bound();
    this.unknown = this.#sums((at) => 1 - this.photo.known[at]);
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

  /** Where each block's pixels begin, and how many rows and columns they take. */
  #bound() {
    const [firstY, firstX] = [new Int32Array(this.count).fill(1e9), new Int32Array(this.count).fill(1e9)];
    Object.assign(this, { firstY, firstX, rows: new Int32Array(this.count), columns: new Int32Array(this.count) });
    for (const grow of [false, true]) {
      this.owner.forEach((block, pixel) => {
        const [y, x] = [this.y[pixel], this.x[pixel]];
        if (grow) {
          this.rows[block] = Math.max(this.rows[block], y + 1 - firstY[block]);
          this.columns[block] = Math.max(this.columns[block], x + 1 - firstX[block]);
        } else {
          firstY[block] = Math.min(firstY[block], y);
          firstX[block] = Math.min(firstX[block], x);
        }
      });
    }
  }

  /** Of a map of the photo's pixels: what is above and to the left of each corner in all. */
  #sums(valueAt) {
    const { width, height } = this.photo;
    const sums = new Int32Array((width + 1) * (height + 1));
    for (let y = 0; y < height; y++) {
      for (let x = 0, row = 0; x < width; x++) {
        row += valueAt(y * width + x);
        sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
      }
    }
    return sums;
  }

  /** The mean of a map, which is `outside` beyond the photo, over what a block, as a rectangle, copies. */
  #meanAt(sums, block, down, across, outside) {
    const { photo: { width, height }, rows, columns } = this;
    const y = this.firstY[block] + down, x = this.firstX[block] + across;
    const top = Math.min(Math.max(y, 0), height) * (width + 1);
    const bottom = Math.min(Math.max(y + rows[block], 0), height) * (width + 1);
    const left = Math.min(Math.max(x, 0), width);
    const right = Math.min(Math.max(x + columns[block], 0), width);
    const inside = sums[bottom + right] - sums[top + right] - sums[bottom + left] + sums[top + left];
    const pixels = ((bottom - top) / (width + 1)) * (right - left);
    return outside + (inside - outside * pixels) / (rows[block] * columns[block]);
  }

  /**
   * About how many other blocks copy what a block, as a rectangle, would, with each displacement that it may take:
   * Float32Array, all of a block and then of the next.
   */
  reuse(displacements, labels, chosen) {
    const { photo, owner, rows, columns } = this;
    const uses = new Int32Array(photo.none + 1);
    const pixels = new Int32Array(this.count);
    for (let pixel = 0; pixel < owner.length; pixel++) {
      const label = owner[pixel] * labels + chosen[owner[pixel]];
      uses[photo.at(this.y[pixel] + displacements[2 * label], this.x[pixel] + displacements[2 * label + 1])]++;
      pixels[owner[pixel]]++;
    }
    const sums = this.#sums((at) => uses[at]);
    const result = new Float32Array(this.count * labels);
    for (let at = 0; at < result.length; at++) {
      const block = Math.floor(at / labels);
      const taken = 2 * (block * labels + chosen[block]);
      const [down, across] = [displacements[2 * at], displacements[2 * at + 1]];
      const offY = Math.abs(down - displacements[taken]), offX = Math.abs(across - displacements[taken + 1]);
      const overlap = Math.max(0, rows[block] - offY) * Math.max(0, columns[block] - offX);
      const own = (pixels[block] * overlap) / (rows[block] * columns[block]) ** 2;
      result[at] = Math.max(0, this.#meanAt(sums, block, down, across, 0) - own);
    }
    return result;
  }

  /** What displacements cost each block: Float32Array, all blocks with the first one, then with the next. */
  costs(displacements) {
    const { photo, side } = this;
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
      for (let block = 0; block < this.count; block++) {
        costs[block] += LOST * this.#meanAt(this.unknown, block, down, across, 1);
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
   * of the displacements that they may take cost them, as propagation.js has it.
   */
  seams(isBelow, displacements, labels) {
    const neighbour = isBelow ? this.below : this.right;
    const first = numbersOf(neighbour.map((block) => Number(block >= 0)));
    const second = first.map((block) => neighbour[block]);
    const costs = new Float32Array(first.length * labels ** 2);
    const [one, other] = [new Seen(labels), new Seen(labels)];
    for (let pair = 0, to = 0; pair < first.length; pair++) {
      const y = this.top + this.row[second[pair]] * this.side;
      const x = this.left + this.column[second[pair]] * this.side;
      one.look(this.photo, y, x, this.side, isBelow, displacements, first[pair]);
      other.look(this.photo, y, x, this.side, isBelow, displacements, second[pair]);
      for (let label = 0; label < labels; label++) {
        for (let beside = 0; beside < labels; beside++) costs[to++] = one.difference(label, other, beside);
      }
    }
    return { first, second, costs };
  }
}

/** What is seen at one seam with each displacement that a block may take. */
class Seen {
  constructor(labels) {
    this.looks = new Float32Array(labels * SAMPLES ** 2 * LOOK);
    this.strengths = new Float64Array(labels);
  }

  /** Take the samples of a seam whose second block begins there. */
  look(photo, top, left, side, isBelow, displacements, block) {
    const labels = this.strengths.length;
    for (let label = 0, to = 0; label < labels; label++) {
      const move = 2 * (block * labels + label);
      let strength = 0;
      for (let over = 0; over < SAMPLES; over++) {
        for (let step = 0; step < SAMPLES; step++) {
          const along = Math.floor(((2 * step + 1) * side) / (2 * SAMPLES));
          const across = over - (SAMPLES >> 1);
          const y = top + (isBelow ? across : along) + displacements[move];
          const x = left + (isBelow ? along : across) + displacements[move + 1];
          const from = LOOK * photo.at(y, x);
          for (let at = 0; at < LOOK; at++, to++) {
            const value = photo.looks[from + at];
            this.looks[to] = value;
            if (at >= 3) strength += value * value;
          }
        }
      }
      this.strengths[label] = strength;
    }
  }

  /** What a displacement here and one of another block cost. */
  difference(label, other, beside) {
    const numbers = SAMPLES ** 2 * LOOK;
    let squares = 0;
    for (let at = 0, here = label * numbers, there = beside * numbers; at < numbers; at++) {
      squares += (this.looks[here + at] - other.looks[there + at]) ** 2;
    }
    const strength = (this.strengths[label] + other.strengths[beside]) / 2;
    return (SEAM_WEIGHT * squares) / (strength + FLAT * 3 * SAMPLES ** 2); // means of channels and samples
  }
}

/**
 * The displacements each block may take: {labels, displacements, costs}. How many; Int32Array, down and across, all of
 * a block and then of the next; Float32Array, what they cost it.
 */
export function labelsOf(level, sources, blocks) {
  const candidates = candidatesOf(level, sources);
  const all = blocks.costs(candidates);
  const [offered, { count }] = [candidates.length / 2, blocks];
  const labels = Math.min(offered, LABELS);
  const displacements = new Int32Array(2 * labels * count);
  const costs = new Float32Array(labels * count);
  const numbers = [...Array(offered).keys()];
  for (let block = 0, to = 0; block < count; block++) {
    const own = numbers.map((candidate) => all[candidate * count + block]);
    for (const candidate of numbers.slice().sort((one, other) => own[one] - own[other]).slice(0, labels)) {
      displacements.set(candidates.subarray(2 * candidate, 2 * candidate + 2), 2 * to);
      costs[to++] = own[candidate];
    }
  }
  return { labels, displacements, costs };
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
