// Fills that look like the photo: glcic_hub/filling/synthesis.py for browsers. That file says how it works and why the
// numbers are what they are.

import { blurred, distances, grid, nearest, resized } from "./grids.js";
import { assembled } from "./montage.js";
import { Level, mean, PATCH } from "./patches.js";

const RATIO = 1.4;
const ROUNDS = [3, 1];
const [FIRST_STRIDE, STRIDE] = [2, 3];
const WORK = 1.5;
const KNOWN_SHARE = 0.5;
const LEAST_SOURCES = 64;
const LARGEST_SEARCHED = 1_500_000; // less than in Python: browsers have less memory and time
const GUIDE_BLUR = 1.5;
const FIRST_BLUR = 1;
const [TEXTURE_WEIGHT, COARSE_TEXTURE_WEIGHT] = [1.3, 0.3];
const TEXTURE_BLUR = 1.5;
const COARSE_TEXTURES = [1, 3];
const [ALIKE_COLOUR, ALIKE_PLACE] = [0.08, 20];
const LEARNED_FROM = 2 ** 11;
const [RETURN_BLUR, LEAST_RETURN_BLUR, RETURN_DEPTH] = [0.5, 1.3, 6.4];

/** In which attempts take turns: [guideWeight, nearness, firstScale]. */
export const WAYS = [[0.5, 0.03, 1], [0.5, 0.15, 1], [0.1, 0.03, 0.35]];

/**
 * Fill a hole with what looks like its surroundings.
 *
 * @param picture grid of 3 channels from 0 to 1; in the hole it is the network's completion
 * @param hole, known Uint8Array, 1 where it is so; what is neither is not looked at
 * @param scale at most 1: the first scale, in general the one at which the network saw the hole
 * @param way one of `WAYS`
 * @param random a function that gives numbers from 0 to 1
 * @param progress called with the share of the work that is done
 * @returns a grid like `picture`, meant to be used in the hole; null if too little is known
 */
export function synthesised(picture, hole, known, scale, way, random, progress) {
  if (Math.min(picture.width, picture.height) < PATCH + 2 || !hole.includes(1) || !known.includes(1)) return null;
  const scales = scalesFrom(Math.min(scale, Math.sqrt(LARGEST_SEARCHED / (picture.width * picture.height))));
  const frame = new Frame(picture, hole, known, scales[0], way);
  const works = scales.map((at) => at ** WORK);
  const whole = works.reduce((sum, work) => sum + work, works.at(-1)); // what is left after the last one takes as long
  let done = 0;
  let level, chosen;
  for (const [number, at] of scales.entries()) {
    const former = level;
    level = frame.level(at, former ? STRIDE : FIRST_STRIDE, random);
    if (level.sources.length < LEAST_SOURCES || !level.targets.length) return null;
    let rounds;
    if (former) {
      chosen = carried(former, chosen, level);
      rounds = frame.maySearch(at) ? ROUNDS[1] : 0;
    } else {
      const soft = blurred(level.image, FIRST_BLUR);
      const current = level.voted(level.nearest(level.described(soft, level.targets), soft));
      chosen = level.nearest(level.described(current, level.targets), level.image);
      rounds = ROUNDS[0] - 1;
    }
    const shown = (count) => progress((done + (works[number] * count) / (rounds + 1)) / whole);
    shown(1);
    for (let turn = 0; turn < rounds; turn++) {
      const current = level.voted(chosen);
      chosen = level.improved(level.described(current, level.targets), chosen, turn ? [1] : [4, 2, 1]);
      shown(turn + 2);
    }
    done += works[number];
  }
  const finished = frame.finished(assembled(level, hole, chosen.sources));
  progress(1);
  return finished;
}

function scalesFrom(first) {
  const steps = Math.max(0, Math.ceil(Math.log(1 / first) / Math.log(RATIO) - 0.5));
  return [...Array.from({ length: steps }, (_, number) => first ** (1 - number / steps)), 1];
}

/** What was chosen at the scale before, for the patches that are wanted at this one; with the costs from there. */
function carried(old, before, level) {
  const ratios = [level.image.height / old.image.height, level.image.width / old.image.width];
  const sides = [level.rows, level.columns];
  const half = PATCH >> 1;
  const costs = new Float32Array(level.targets.length);
  const lost = [];
  const sources = Int32Array.from(level.targets, (target, at) => {
    const corner = level.split(target);
    const number = old.wantedNear(...corner.map((c, axis) => Math.round((c + half + 0.5) / ratios[axis] - 0.5) - half));
    if (number < 0) return lost.push(at) && 0;
    costs[at] = before.costs[number];
    const [there, here] = [old.split(before.sources[number]), old.split(old.targets[number])];
    const [row, column] = corner.map((c, axis) => {
      const moved = c + Math.round((there[axis] - here[axis]) * ratios[axis]);
      return Math.min(sides[axis] - 1, Math.max(0, moved));
    });
    const source = row * level.columns + column;
    if (!level.usable[source]) lost.push(at);
    return source;
  });
  const dear = 10 * mean(costs);
  for (const at of lost) [sources[at], costs[at]] = [level.drawn(), dear];
  return { sources, costs };
}

/** A hole with its surroundings, at every scale; the arguments are those of `synthesised`. */
class Frame {
  constructor(picture, hole, known, first, way) {
    const { width, height } = picture;
    this.grey = isGrey(picture.values, known);
    this.picture = prepared(picture, hole, known, this.grey);
    Object.assign(this, { hole, known, first, layers: layersOf(this.picture, hole, known) });
    const reduced = this.#reduced(first);
    const size = [reduced.image.width, reduced.image.height];
    this.depth = grid(...size, 1, distances(reduced.known, ...size));
    const colours = blurred(reduced.image, GUIDE_BLUR);
    const texture = expectedTexture(reduced, colours, resized(differencesOf(this.picture, known), ...size));
    this.hints = hintsOf(colours, texture, Math.sqrt(Math.max(1, count(reduced.hole))), way);
  }

  maySearch(scale) {
    return this.picture.width * this.picture.height * scale ** 2 <= LARGEST_SEARCHED;
  }

  level(scale, stride, random) {
    return new Level({ ...this.#reduced(scale), depth: this.depth, hints: this.hints, stride, random });
  }

  /** The fill made to agree with the network's completion near the rim. */
  finished(current) {
    const { width, height, values } = this.picture;
    const missing = grid(width, height, 3, values.map((value, at) => value - current.values[at]));
    const back = blurred(missing, Math.max(LEAST_RETURN_BLUR, RETURN_BLUR / this.first)).values;
    const depth = resized(this.depth, width, height).values;
    const filled = current.values.map((value, at) => {
      const share = Math.exp(-depth[Math.floor(at / 3)] / RETURN_DEPTH);
      return Math.min(1, Math.max(0, value + share * back[at]));
    });
    return grid(width, height, 3, this.grey ? filled.map((_, at) => filled[at - (at % 3)]) : filled);
  }

  /** The picture at a scale, with what is hole and known of it. */
  #reduced(scale) {
    if (scale === 1) return { image: this.picture, hole: this.hole, known: this.known };
    const side = (whole) => Math.max(PATCH + 2, Math.round(whole * scale));
    const [width, height] = [side(this.picture.width), side(this.picture.height)];
    const { channels, values } = resized(this.layers, width, height);
    const image = grid(width, height, 3);
    const [hole, known] = [new Uint8Array(width * height), new Uint8Array(width * height)];
    for (let at = 0; at < known.length; at++) {
      const [all, own, share] = [at * channels, at * channels + 3, values[at * channels + 6]];
      known[at] = Number(share >= KNOWN_SHARE);
      hole[at] = Number(!known[at] && values[at * channels + 7] > 1 - KNOWN_SHARE);
      for (let channel = 0; channel < 3; channel++) {
        image.values[3 * at + channel] = known[at] ? values[own + channel] / share : values[all + channel];
      }
    }
    return { image, hole, known };
  }
}

function count(marked) {
  return marked.reduce((sum, one) => sum + one, 0);
}

function isGrey(values, known) {
  return known.every((one, at) => {
    return !one || (values[3 * at] === values[3 * at + 1] && values[3 * at] === values[3 * at + 2]);
  });
}

/** The picture, grey where all that is known is grey; what is neither hole nor known is like the nearest that is. */
function prepared(picture, hole, known, grey) {
  const { width, height } = picture;
  const values = picture.values.slice();
  const shown = hole.map((one, at) => one | known[at]);
  if (shown.includes(0)) {
    nearest(shown, width, height).forEach((from, at) => {
      if (from !== at) values.set(picture.values.subarray(3 * from, 3 * from + 3), 3 * at);
    });
  }
  if (grey) {
    for (let at = 0; at < values.length; at += 3) {
      values.fill((values[at] + values[at + 1] + values[at + 2]) / 3, at, at + 3);
    }
  }
  return grid(width, height, 3, values);
}

/** All that is reduced: the picture's channels, the same where it is known, what is known, what is hole. */
function layersOf({ width, height, values }, hole, known) {
  const layers = grid(width, height, 8);
  for (let at = 0; at < known.length; at++) {
    for (let channel = 0; channel < 3; channel++) {
      layers.values[8 * at + channel] = values[3 * at + channel];
      layers.values[8 * at + 3 + channel] = known[at] * values[3 * at + channel];
    }
    layers.values[8 * at + 6] = known[at];
    layers.values[8 * at + 7] = hole[at];
  }
  return layers;
}

/** Differences of known neighbours, down and across, and where there are such: 4 channels. */
function differencesOf({ width, height, values }, known) {
  const grey = (at) => (values[3 * at] + values[3 * at + 1] + values[3 * at + 2]) / 3;
  const result = grid(width, height, 4);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const neighbours = [y + 1 < height ? at + width : -1, x + 1 < width ? at + 1 : -1];
      neighbours.forEach((neighbour, axis) => {
        if (neighbour < 0 || !known[at] || !known[neighbour]) return;
        result.values[4 * at + axis] = Math.abs(grey(at) - grey(neighbour));
        result.values[4 * at + 2 + axis] = 1;
      });
    }
  }
  return result;
}

/**
 * How strongly neighbouring pixels differ, at the first scale: 4 channels, with their weights in comparisons.
 *
 * Where it cannot be seen it is the mean over known pixels, weighted by how near they are and how much alike in
 * `colours`, the blurred completion.
 */
function expectedTexture({ image, known }, colours, differences) {
  const { width, height } = image;
  const grey = grid(width, height, 1);
  for (let at = 0; at < known.length; at++) {
    grey.values[at] = (image.values[3 * at] + image.values[3 * at + 1] + image.values[3 * at + 2]) / 3;
  }
  const softer = COARSE_TEXTURES.map((sigma) => blurred(grey, sigma).values);
  const seen = grid(width, height, 8);
  for (let at = 0; at < known.length; at++) {
    if (!known[at]) continue;
    const fine = differences.values.subarray(4 * at, 4 * at + 4);
    const coarse = softer.map((values) => Math.abs(grey.values[at] - values[at]));
    seen.values.set([fine[0], fine[1], ...coarse, fine[2], fine[3], 1, 1], 8 * at);
  }
  const sums = blurred(seen, TEXTURE_BLUR).values;
  const texture = grid(width, height, 4);
  for (let at = 0; at < known.length; at++) {
    for (let kind = 0; kind < 4; kind++) {
      texture.values[4 * at + kind] = sums[8 * at + kind] / Math.max(1e-6, sums[8 * at + 4 + kind]);
    }
  }
  teach(texture, known, colours);
  const weights = [TEXTURE_WEIGHT, TEXTURE_WEIGHT, COARSE_TEXTURE_WEIGHT, COARSE_TEXTURE_WEIGHT].map(Math.sqrt);
  return grid(width, height, 4, texture.values.map((value, at) => value * weights[at % 4]));
}

/** Give unknown places the texture of known ones that are like them. */
function teach(texture, known, colours) {
  const { width } = texture;
  const places = [...known.keys()].filter((at) => known[at]);
  const step = Math.max(1, Math.ceil(places.length / LEARNED_FROM));
  const teachers = Int32Array.from(places.filter((_, number) => number % step === 0));
  const code = (at) => [
    ...colours.values.subarray(3 * at, 3 * at + 3).map((value) => value / ALIKE_COLOUR),
    Math.floor(at / width) / ALIKE_PLACE,
    (at % width) / ALIKE_PLACE,
  ];
  const codes = new Float32Array(5 * teachers.length);
  teachers.forEach((teacher, number) => codes.set(code(teacher), 5 * number));
  const apart = new Float32Array(teachers.length);
  for (let at = 0; at < known.length; at++) {
    if (known[at]) continue;
    const [a, b, c, d, e] = code(at);
    let least = Infinity;
    for (let number = 0, from = 0; number < apart.length; number++, from += 5) {
      const squares =
        (codes[from] - a) ** 2 + (codes[from + 1] - b) ** 2 + (codes[from + 2] - c) ** 2 +
        (codes[from + 3] - d) ** 2 + (codes[from + 4] - e) ** 2;
      apart[number] = squares / 2;
      if (apart[number] < least) least = apart[number];
    }
    const sums = [0, 0, 0, 0];
    let total = 0;
    for (let number = 0; number < apart.length; number++) {
      if (apart[number] - least > 20) continue; // counts for nothing
      const share = Math.exp(least - apart[number]);
      total += share;
      for (let kind = 0; kind < 4; kind++) sums[kind] += share * texture.values[4 * teachers[number] + kind];
    }
    for (let kind = 0; kind < 4; kind++) texture.values[4 * at + kind] = sums[kind] / total;
  }
}

/** What is compared besides colours: the guide, the texture, and the place, so that distant patches are dearer. */
function hintsOf(colours, texture, side, [guideWeight, nearness]) {
  const { width, height } = colours;
  const hints = grid(width, height, 9);
  const weight = Math.sqrt(guideWeight / 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      for (let channel = 0; channel < 3; channel++) {
        hints.values[9 * at + channel] = weight * colours.values[3 * at + channel];
      }
      hints.values.set(texture.values.subarray(4 * at, 4 * at + 4), 9 * at + 3);
      hints.values[9 * at + 7] = (y * nearness) / side;
      hints.values[9 * at + 8] = (x * nearness) / side;
    }
  }
  return hints;
}
