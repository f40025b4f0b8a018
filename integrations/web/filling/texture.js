// A hole made of patches of its surroundings, tile by tile: `synthesise_frame` of glcic_hub/filling/synthesis.py.

import { cutOut, grown, placeIn, tilesOf } from "./holes.js";
import { synthesised, WAYS } from "./synthesis.js";

const LEAST_THICKNESS = 3;
const MARGIN = 1;
export const LEAST_MARGIN = 48; // pixels
const LEAST_MARGIN_SEEN = 24; // pixels of the first scale: a small hole beside a large one was shown much reduced
const LEAST_SEEN = 8; // likewise; there it starts at a finer scale than it was shown at
const TILE = 4;
const [LEAST_TILE, LARGEST_TILE] = [256, 1024]; // pixels; the largest and the margin's bound keep to 1 GB of memory
export const LARGEST_MARGIN = 512;

/**
 * Make the fill of a hole look like the photo; one thinner than `LEAST_THICKNESS` stays as it is.
 *
 * @param photo the completed one, as in holes.js; changed in place, in the hole only
 * @param hole one of its holes
 * @param seen the scale at which the network was shown the photo
 * @param attempt which of many possible fills
 * @param progress called with the share of the work that is done
 */
export function addTexture(photo, hole, seen, attempt, progress) {
  if (hole.thickness < LEAST_THICKNESS) return;
  const way = WAYS[attempt % WAYS.length];
  const [, , firstScale] = way;
  const least = LEAST_SEEN / hole.thickness;
  const scale = Math.min(Math.max(seen, Math.min(1, least)), Math.max(firstScale, least));
  const { rgb, size } = photo;
  const side = Math.min(LARGEST_TILE, Math.max(LEAST_TILE, Math.ceil(TILE * hole.thickness)));
  const area = Math.min(hole.area, Math.ceil(side * hole.thickness));
  const wantedMargin = Math.ceil(Math.max(LEAST_MARGIN, MARGIN * Math.sqrt(area), LEAST_MARGIN_SEEN / scale));
  const margin = Math.min(LARGEST_MARGIN, wantedMargin);
  const filled = new Uint8Array(hole.own.length);
  const tiles = tilesOf(hole, side).filter((tile) => isUsed(hole, tile));
  tiles.forEach((tile, number) => {
    const view = grown(tile, margin, size);
    const { picture, own: wanted, known } = cutOut(photo, hole, view, filled);
    const share = (part) => progress((number + part) / tiles.length);
    const fill = synthesised(picture, wanted, known, scale, way, randomFrom(attempt), share);
    for (let y = tile.top; y < tile.top + tile.height; y++) {
      for (let x = tile.left; x < tile.left + tile.width; x++) {
        const place = placeIn(hole, x, y);
        if (!hole.own[place]) continue;
        filled[place] = 1; // known to the next tile
        const from = 3 * ((y - view.top) * view.width + x - view.left);
        const to = 3 * (y * size[0] + x);
        if (fill) for (let c = 0; c < 3; c++) rgb[to + c] = Math.round(255 * fill.values[from + c]);
      }
    }
  });
}

function isUsed(hole, { left, top, width, height }) {
  for (let y = top; y < top + height; y++) {
    const start = placeIn(hole, left, y);
    if (hole.own.subarray(start, start + width).includes(1)) return true;
  }
  return false;
}

/** Numbers from 0 to 1, the same again for the same seed: the generator mulberry32. */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
