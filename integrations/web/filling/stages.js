// The way of a photo as glcic_hub/filling/fill.py has it, before and after the graph, which is the network and the
// seam. Photos are those of holes.js, with something in the mask; they are changed in place.

import { keptColours, MOST_PIXELS } from "./colours.js";
import { nearest } from "./grids.js";
import { growMask } from "./grow.js";
import { forEachIn, forEachOf, grown, holesOf, scaleOf } from "./holes.js";
import { plainColour } from "./plain.js";
import { doubted } from "./rim.js";
import { addTexture } from "./texture.js";

/**
 * Make a photo ready for the graph: the mask grows, by so many pixels and by known ones that are not to be believed;
 * holes in one plain colour are filled and leave the mask; hidden pixels get the colour of the nearest that is known.
 *
 * @param model {sampleSize, maxHoleSize} in pixels
 * @returns Uint8Array, 1 where the photo is to change in the end; null if nothing is left to complete it from
 */
export function prepare(photo, grow, { sampleSize }) {
  const { rgb, mask, hidden, size } = photo;
  if (grow) growMask(photo, grow);
  const isKnown = (_, at) => !mask[at] && !hidden?.[at];
  if (!mask.some(isKnown)) return null;
  const asked = mask.map((one, at) => Number(one && !hidden?.[at]));
  holesOf(photo, sampleSize)
    .map((hole) => doubted(photo, hole)) // all of them, before any is changed
    .forEach((found) => found.forEach((at) => (mask[at] = 255)));
  for (const hole of holesOf(photo, sampleSize)) {
    const colour = plainColour(photo, hole);
    if (!colour) continue;
    forEachOf(hole, size, (at) => {
      rgb.set(colour, 3 * at);
      mask[at] = 0;
    });
  }
  // As a part of the mask a background cut away would decide at which scale the network is shown the photo.
  if (hidden) {
    nearest(mask.map(isKnown), ...size).forEach((from, at) => {
      if (hidden[at]) rgb.copyWithin(3 * at, 3 * from, 3 * from + 3);
    });
  }
  return asked;
}

/**
 * Work on what the graph has completed: patches of the photo, if they are wanted, and the photo's colours.
 *
 * @param isTextured whether they are
 * @param attempt which of many possible fills
 * @param progress called with the share of the work that is done
 */
export function finish(photo, model, isTextured, attempt, progress) {
  const holes = holesOf(photo, model.sampleSize);
  const seen = scaleOf(holes, model);
  const whole = holes.reduce((sum, { area }) => sum + area, 0);
  let done = 0;
  for (const hole of holes) {
    if (isTextured) addTexture(photo, hole, seen, attempt, (share) => progress((done + share * hole.area) / whole));
    keepColours(photo, hole, Math.ceil(model.sampleSize / 2 / seen));
    done += hole.area;
  }
}

/** Bring a hole to the colours of its surroundings, as far as `margin`, where these are less than all colours. */
function keepColours({ rgb, mask, hidden, size }, hole, margin) {
  const view = grown(hole, margin, size);
  const places = [];
  forEachIn(view, size, (at) => mask[at] || hidden?.[at] || places.push(at));
  const step = Math.max(1, Math.ceil(places.length / MOST_PIXELS));
  const own = [];
  forEachOf(hole, size, (at) => own.push(at));
  const coloursOf = (pixels) => {
    const colours = new Float32Array(3 * pixels.length);
    pixels.forEach((at, number) => colours.set(rgb.subarray(3 * at, 3 * at + 3), 3 * number));
    return colours.map((value) => value / 255);
  };
  const kept = keptColours(coloursOf(places.filter((_, number) => number % step === 0)), coloursOf(own));
  if (!kept) return;
  const bytes = Uint8Array.from(kept, (value) => Math.round(255 * value));
  own.forEach((at, number) => rgb.set(bytes.subarray(3 * number, 3 * number + 3), 3 * at));
}
