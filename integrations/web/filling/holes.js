// The holes of a mask, each with its surroundings: as glcic_hub/filling/holes.py finds them, and at the scale at which
// the graph (glcic_hub/export/view.py) has shown them to the network: one for all.

import { distances, grid } from "./grids.js";
import { synthesised } from "./synthesis.js";

const LEAST_THICKNESS = 3;
const MARGIN = 1;
const LEAST_MARGIN = 48; // pixels
const LEAST_MARGIN_SEEN = 24; // pixels of the first scale: a small hole beside a large one was shown much reduced
const LEAST_THICKNESS_SEEN = 8; // likewise; there it starts at a finer scale than it was shown at
const TILE = 4;
const [LEAST_TILE, LARGEST_TILE] = [256, 1024]; // pixels; the largest and the margin's bound keep to 1 GB of memory
const LARGEST_MARGIN = 512;
const SEED = 0;
const [CONTEXT, LONGEST_SIDE] = [0.25, 512]; // of view.py

/**
 * Make the fill of a completed photo of patches of what is known of it.
 *
 * @param rgb Uint8Array, the completed photo; changed in place, under the mask only
 * @param mask Uint8Array, 255 where it was completed
 * @param size [width, height]
 * @param model {sampleSize, maxHoleSize} in pixels
 * @param progress called with the share of the work that is done
 */
export function addTexture(rgb, mask, size, model, progress) {
  const holes = holesOf(mask, size, Math.max(1, Math.floor(model.sampleSize / 8)));
  const seen = scaleOf(holes, model);
  const whole = holes.reduce((sum, { area }) => sum + area, 0);
  let done = 0;
  for (const hole of holes) {
    if (hole.thickness >= LEAST_THICKNESS) {
      const scale = Math.max(seen, Math.min(1, LEAST_THICKNESS_SEEN / hole.thickness));
      fillHole(rgb, mask, size, hole, scale, (share) => progress((done + share * hole.area) / whole));
    }
    done += hole.area;
  }
}

/** Groups of pieces nearer than about two blocks: {left, top, width, height, own, area, thickness}; own: 1 in it. */
function holesOf(mask, [width, height], block) {
  const blocks = [Math.ceil(width / block), Math.ceil(height / block)];
  const used = new Uint8Array(blocks[0] * blocks[1]);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor(y / block) * blocks[0];
    for (let x = 0; x < width; x++, at++) if (mask[at]) used[row + Math.floor(x / block)] = 1;
  }
  return groupsOf(used, blocks).map((group) => holeOf(mask, [width, height], block, blocks[0], group));
}

/** Marked places that touch, also by a corner: lists of their numbers. */
function groupsOf(marked, [width, height]) {
  const left = marked.slice();
  const groups = [];
  for (let first = 0; first < left.length; first++) {
    if (!left[first]) continue;
    left[first] = 0;
    const group = [first];
    for (const at of group) {
      const [x, y] = [at % width, Math.floor(at / width)];
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          const next = row * width + column;
          if (left[next]) group.push(next);
          left[next] = 0;
        }
      }
    }
    groups.push(group);
  }
  return groups;
}

function holeOf(mask, [width, height], block, blocksAcross, group) {
  const visit = (seen) => {
    for (const number of group) {
      const [firstX, firstY] = [(number % blocksAcross) * block, Math.floor(number / blocksAcross) * block];
      for (let y = firstY; y < Math.min(height, firstY + block); y++) {
        for (let x = firstX; x < Math.min(width, firstX + block); x++) if (mask[y * width + x]) seen(x, y);
      }
    }
  };
  let [left, top, right, bottom] = [width, height, 0, 0];
  visit((x, y) => {
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1)];
  });
  const hole = { left, top, width: right - left, height: bottom - top, area: 0 };
  hole.own = new Uint8Array(hole.width * hole.height);
  visit((x, y) => {
    hole.own[(y - top) * hole.width + x - left] = 1;
    hole.area++;
  });
  return { ...hole, thickness: thicknessOf(mask, [width, height], hole) };
}

/** Side of the largest square in which nothing is known, pixels; at the photo's border a hole counts double. */
function thicknessOf(mask, size, hole) {
  const { left, top, width, height } = grown(hole, 1, size);
  const known = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) known[y * width + x] = Number(!mask[(top + y) * size[0] + left + x]);
  }
  const largest = distances(known, width, height).reduce((most, one) => Math.max(most, one), 0);
  return Math.min(2 * largest - 1, 2 * Math.max(...size));
}

/** By how much the graph has reduced what it has shown to the network, at most 1. */
function scaleOf(holes, { sampleSize, maxHoleSize }) {
  const thickness = Math.max(...holes.map((hole) => hole.thickness));
  const area = holes.reduce((sum, hole) => sum + hole.area, 0);
  const extent = (start, side) => {
    return Math.max(...holes.map((hole) => hole[start] + hole[side])) - Math.min(...holes.map((hole) => hole[start]));
  };
  const longest = Math.max(extent("left", "width"), extent("top", "height"));
  const most = Math.max(LONGEST_SIDE, 2 * sampleSize) - 2 * CONTEXT * sampleSize;
  return Math.min(1, maxHoleSize / Math.sqrt(thickness * Math.sqrt(area)), most / longest);
}

/** A box with a margin around it, as far as the photo goes. */
function grown({ left, top, width, height }, margin, size) {
  const [startX, startY] = [Math.max(0, left - margin), Math.max(0, top - margin)];
  const [endX, endY] = [Math.min(size[0], left + width + margin), Math.min(size[1], top + height + margin)];
  return { left: startX, top: startY, width: endX - startX, height: endY - startY };
}

/** Tile by tile, which bounds time and memory; what is filled is known to the next. */
function fillHole(rgb, mask, size, hole, scale, progress) {
  const side = Math.min(LARGEST_TILE, Math.max(LEAST_TILE, Math.ceil(TILE * hole.thickness)));
  const area = Math.min(hole.area, Math.ceil(side * hole.thickness));
  const wantedMargin = Math.ceil(Math.max(LEAST_MARGIN, MARGIN * Math.sqrt(area), LEAST_MARGIN_SEEN / scale));
  const margin = Math.min(LARGEST_MARGIN, wantedMargin);
  const filled = new Uint8Array(hole.own.length);
  const tiles = tilesOf(hole, side);
  tiles.forEach((tile, number) => {
    const view = grown(tile, margin, size);
    const { picture, wanted, known } = cutOut(rgb, mask, size, hole, filled, view);
    const share = (part) => progress((number + part) / tiles.length);
    const fill = synthesised(picture, wanted, known, scale, randomFrom(SEED), share);
    for (let y = tile.top; y < tile.top + tile.height; y++) {
      for (let x = tile.left; x < tile.left + tile.width; x++) {
        const own = (y - hole.top) * hole.width + x - hole.left;
        if (!hole.own[own]) continue;
        filled[own] = 1;
        const from = 3 * ((y - view.top) * view.width + x - view.left);
        const to = 3 * (y * size[0] + x);
        if (fill) for (let c = 0; c < 3; c++) rgb[to + c] = Math.round(255 * fill.values[from + c]);
      }
    }
  });
}

function tilesOf(hole, side) {
  const tiles = [];
  for (let top = 0; top < hole.height; top += side) {
    for (let left = 0; left < hole.width; left += side) {
      const [width, height] = [Math.min(side, hole.width - left), Math.min(side, hole.height - top)];
      let isUsed = false;
      for (let y = top; y < top + height && !isUsed; y++) {
        isUsed = hole.own.subarray(y * hole.width + left, y * hole.width + left + width).includes(1);
      }
      if (isUsed) tiles.push({ left: hole.left + left, top: hole.top + top, width, height });
    }
  }
  return tiles;
}

/** What a view shows: the picture, what is still wanted of this hole, and what is known. */
function cutOut(rgb, mask, size, hole, filled, { left, top, width, height }) {
  const picture = grid(width, height, 3);
  const [wanted, known] = [new Uint8Array(width * height), new Uint8Array(width * height)];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const from = (top + y) * size[0] + left + x;
      for (let channel = 0; channel < 3; channel++) picture.values[3 * at + channel] = rgb[3 * from + channel] / 255;
      const [ownX, ownY] = [left + x - hole.left, top + y - hole.top];
      const isInBox = ownX >= 0 && ownX < hole.width && ownY >= 0 && ownY < hole.height;
      const own = ownY * hole.width + ownX;
      known[at] = Number(!mask[from] || (isInBox && filled[own] === 1));
      wanted[at] = Number(!known[at] && isInBox && hole.own[own] === 1);
    }
  }
  return { picture, wanted, known };
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
