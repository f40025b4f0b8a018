// The rim of a hole, which known pixels near it are not to be believed: glcic_hub/filling/rim.py for browsers. That
// file says why, and why the numbers are what they are.

import { distances, widened } from "./grids.js";
import { cutOut, groupsOf, grown, tilesOf } from "./holes.js";

export const DEPTH = 4;
const SURROUNDINGS = 8;
const REACH = 2 * (DEPTH + SURROUNDINGS);
const TOLERANCE = 0.06;
const LEAST_SURROUNDINGS = 165;
const RUN = 25;
const RUN_EXCESS = 0.03;
const RUN_SHARE = 0.15;
const LARGEST_EXCESS = 0.3;
const CONTACT = 0.2;
const LARGEST_SHARE = 0.04;
const TILE = 512;

/**
 * The known pixels that are not to be believed: numbers of pixels, row by row.
 *
 * @param photo as in holes.js
 * @param hole one of its holes
 */
export function doubted(photo, hole) {
  const found = [];
  for (const tile of tilesOf(grown(hole, DEPTH, photo.size), TILE)) {
    const view = grown(tile, REACH, photo.size);
    const { picture, own, known } = cutOut(photo, hole, view);
    if (!own.includes(1)) continue;
    for (const at of doubtful(picture, own, known)) {
      const [x, y] = [view.left + (at % view.width), view.top + Math.floor(at / view.width)];
      const isInTile = x >= tile.left && x < tile.left + tile.width && y >= tile.top && y < tile.top + tile.height;
      if (isInTile) found.push(y * photo.size[0] + x);
    }
  }
  return found;
}

/** The same of a view, by its own places; the arguments are what `cutOut` gives. */
export function doubtful({ width, height, values }, hole, known) {
  const size = [width, height];
  const enclosed = enclosedIn(hole, known, size);
  const distance = distances(hole.map((one, at) => one | enclosed[at]), ...size);
  const near = [...known.keys()].filter((at) => known[at] && distance[at] <= DEPTH);
  const places = near.map((at) => ({ at, ...outOfRange(values, known, distance, at, size) }));
  const excessOfFirst = new Map(); // of the hole's neighbours
  for (const { at, excess } of places) {
    if (!enclosed[at] && distance[at] <= 1) {
      excessOfFirst.set(at, Math.min(LARGEST_EXCESS, Math.max(0, excess)));
    }
  }
  const isRun = ({ at, range }) => {
    let [sum, count] = [0, 0];
    forEachAround(at, RUN >> 1, size, (other) => {
      if (!excessOfFirst.has(other)) return;
      sum += excessOfFirst.get(other);
      count++;
    });
    return sum > (RUN_EXCESS + RUN_SHARE * range) * count;
  };
  return places
    .filter(({ excess }) => excess > TOLERANCE)
    .filter((place) => enclosed[place.at] || (place.behind >= LEAST_SURROUNDINGS && isRun(place)))
    .map(({ at }) => at);
}

/** By how much a colour lies outside the range of those behind it, that range, and how many they are. */
function outOfRange(values, known, distance, at, size) {
  const highest = [-1, -1, -1]; // where nothing is behind every colour is foreign
  const lowest = [2, 2, 2];
  let behind = 0;
  forEachAround(at, DEPTH + SURROUNDINGS, size, (other) => {
    if (!known[other] || distance[other] <= DEPTH || distance[other] > DEPTH + SURROUNDINGS) return;
    behind++;
    for (let channel = 0; channel < 3; channel++) {
      const value = values[3 * other + channel];
      if (value > highest[channel]) highest[channel] = value;
      if (value < lowest[channel]) lowest[channel] = value;
    }
  });
  let [excess, range] = [-Infinity, -Infinity];
  for (let channel = 0; channel < 3; channel++) {
    const value = values[3 * at + channel];
    excess = Math.max(excess, value - highest[channel], lowest[channel] - value);
    range = Math.max(range, highest[channel] - lowest[channel]);
  }
  return { excess, range, behind };
}

/** Known places in pieces of less than three pixels' width that have little but the hole around them: 1 where so. */
function enclosedIn(hole, known, size) {
  const none = new Uint8Array(known.length);
  const deep = widened(known.map((one) => 1 - one), 1, ...size).map((one) => 1 - one);
  const wide = widened(deep, 1, ...size);
  if (!wide.includes(1)) return none;
  const pieceAt = new Int32Array(known.length);
  const pieces = groupsOf(known.map((one, at) => one & (1 - wide[at])), size);
  pieces.forEach((piece, number) => piece.forEach((at) => (pieceAt[at] = number + 1)));
  const [toHole, toWide] = [hole, wide].map((where) => bordersOf(pieceAt, pieces.length, where, size));
  const enclosed = pieces.filter((_, number) => toWide[number + 1] <= CONTACT * toHole[number + 1]).flat();
  if (enclosed.length > LARGEST_SHARE * countOf(hole)) return none;
  enclosed.forEach((at) => (none[at] = 1));
  return none;
}

/** For each piece, from 1 on, how many places of `where` are beside it. */
function bordersOf(pieceAt, count, where, size) {
  const borders = new Int32Array(count + 1);
  where.forEach((one, at) => {
    if (!one) return;
    let piece = 0; // of several the last
    forEachAround(at, 1, size, (other) => (piece = Math.max(piece, pieceAt[other])));
    borders[piece]++;
  });
  return borders;
}

/** The places of a square, as far as there are any; it goes `radius` places each way. */
function forEachAround(at, radius, [width, height], visit) {
  const [x, y] = [at % width, Math.floor(at / width)];
  const [left, right] = [Math.max(0, x - radius), Math.min(width - 1, x + radius)];
  for (let row = Math.max(0, y - radius); row <= Math.min(height - 1, y + radius); row++) {
    for (let other = row * width + left; other <= row * width + right; other++) visit(other);
  }
}

function countOf(marked) {
  return marked.reduce((sum, one) => sum + one, 0);
}
