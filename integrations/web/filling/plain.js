// Holes in one plain colour need neither network nor patches: glcic_hub/filling/plain.py for browsers.

import { widened } from "./grids.js";
import { cutOut, grown } from "./holes.js";

const SURROUNDINGS = 8;
const TOLERANCE = 4 / 255;
const ROUNDING = 1e-6; // of differences of float32

/**
 * The mean colour of a hole's surroundings, three bytes, if they have one colour; else null.
 *
 * @param photo as in holes.js
 * @param hole one of its holes
 */
export function plainColour(photo, hole) {
  const view = grown(hole, SURROUNDINGS, photo.size);
  const { picture, own, known } = cutOut(photo, hole, view);
  const near = widened(own, SURROUNDINGS, view.width, view.height);
  const [least, most, sum] = [[1, 1, 1], [0, 0, 0], [0, 0, 0]];
  let count = 0;
  for (let at = 0; at < near.length; at++) {
    if (!near[at] || !known[at]) continue;
    count++;
    for (let channel = 0; channel < 3; channel++) {
      const value = picture.values[3 * at + channel];
      least[channel] = Math.min(least[channel], value);
      most[channel] = Math.max(most[channel], value);
      sum[channel] += value;
    }
  }
  const isPlain = count && most.every((value, channel) => value - least[channel] <= TOLERANCE + ROUNDING);
  return isPlain ? sum.map((value) => Math.round((255 * value) / count)) : null;
}
