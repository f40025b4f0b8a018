// The holes of a mask and their surroundings: glcic_hub/filling/holes.py for browsers. The scale is that at which the
// graph (glcic_hub/export/view.py) shows them to the network: one for all.
//
// A photo is {rgb, mask, hidden, size}: Uint8Array of three channels, Uint8Array with 255 where it is to be completed,
// Uint8Array with 1 where its colours are not known or null, [width, height]. Boxes are {left, top, width, height}.

import { distances, grid } from "./grids.js";

const [CONTEXT, LONGEST_SIDE] = [0.25, 512]; // of view.py

/** Side of the squares by which it is told which pixels are one hole, pixels. */
export function blockOf(sampleSize) {
  return Math.max(1, Math.floor(sampleSize / 8));
}

/** Pieces nearer than about a quarter of the sample size are one: a box with {own, area, thickness}; own: 1 in it. */
export function holesOf({ mask, size: [width, height] }, sampleSize) {
  const block = blockOf(sampleSize);
  const blocks = [Math.ceil(width / block), Math.ceil(height / block)];
  const used = new Uint8Array(blocks[0] * blocks[1]);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor(y / block) * blocks[0];
    for (let x = 0; x < width; x++, at++) if (mask[at]) used[row + Math.floor(x / block)] = 1;
  }
  return groupsOf(used, blocks).map((group) => holeOf(mask, [width, height], block, blocks[0], group));
}

/** Marked places that touch, also by a corner: lists of their numbers. */
export function groupsOf(marked, [width, height]) {
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
export function scaleOf(holes, { sampleSize, maxHoleSize }) {
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
export function grown({ left, top, width, height }, margin, size) {
  const [startX, startY] = [Math.max(0, left - margin), Math.max(0, top - margin)];
  const [endX, endY] = [Math.min(size[0], left + width + margin), Math.min(size[1], top + height + margin)];
  return { left: startX, top: startY, width: endX - startX, height: endY - startY };
}

/** The parts of a box, at most `side` wide and high. */
export function tilesOf(box, side) {
  const tiles = [];
  for (let top = 0; top < box.height; top += side) {
    for (let left = 0; left < box.width; left += side) {
      const [width, height] = [Math.min(side, box.width - left), Math.min(side, box.height - top)];
      tiles.push({ left: box.left + left, top: box.top + top, width, height });
    }
  }
  return tiles;
}

/** The pixels of a box: their numbers in the photo and in the box. */
export function forEachIn({ left, top, width, height }, size, visit) {
  for (let y = 0, place = 0; y < height; y++) {
    for (let x = 0; x < width; x++, place++) visit((top + y) * size[0] + left + x, place);
  }
}

/** The pixels of a hole: their numbers in the photo. */
export function forEachOf(hole, size, visit) {
  forEachIn(hole, size, (at, place) => hole.own[place] && visit(at));
}

/** The hole's own place of a pixel of the photo; -1 outside its box. */
export function placeIn(hole, x, y) {
  const [ownX, ownY] = [x - hole.left, y - hole.top];
  return ownX >= 0 && ownX < hole.width && ownY >= 0 && ownY < hole.height ? ownY * hole.width + ownX : -1;
}

/**
 * What a view shows of a photo: the picture (a grid of 3 channels from 0 to 1), where it is of this hole, where it is
 * known (Uint8Array, 1 where it is so). Places of other holes, and hidden ones, are neither.
 *
 * @param filled Uint8Array, like the hole's `own`: which of its pixels are known by now
 */
export function cutOut({ rgb, mask, hidden, size }, hole, view, filled = null) {
  const picture = grid(view.width, view.height, 3);
  const [own, known] = [new Uint8Array(view.width * view.height), new Uint8Array(view.width * view.height)];
  for (let y = view.top, at = 0; y < view.top + view.height; y++) {
    for (let x = view.left; x < view.left + view.width; x++, at++) {
      const from = y * size[0] + x;
      for (let channel = 0; channel < 3; channel++) picture.values[3 * at + channel] = rgb[3 * from + channel] / 255;
      const place = placeIn(hole, x, y);
      const isOwn = place >= 0 && hole.own[place] === 1;
      const isFilled = isOwn && filled?.[place] === 1;
      known[at] = Number(isFilled || !(mask[from] || hidden?.[from]));
      own[at] = Number(isOwn && !isFilled);
    }
  }
  return { picture, own, known };
}
