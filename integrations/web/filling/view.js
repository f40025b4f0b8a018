// How much of a photo decides what its holes are filled with.

import { blockOf, grown, scaleOf } from "./holes.js";
import { DEPTH } from "./rim.js";
import { LARGEST_MARGIN, LEAST_MARGIN } from "./texture.js";

/**
 * A part of a photo that is enough for prepare, the graph and finish (stages.js), which give the same for it as for the
 * whole photo: a box.
 *
 * @param painted the box around the mask
 * @param grow by how many pixels the mask is going to grow
 * @param size [width, height] of the photo
 * @param model {sampleSize, maxHoleSize} in pixels
 */
export function surroundings(painted, grow, size, model) {
  const hole = grown(painted, grow + DEPTH, size);
  const [right, bottom] = [hole.left + hole.width, hole.top + hole.height];
  const isAtBorder = !hole.left || !hole.top || right === size[0] || bottom === size[1];
  const area = hole.width * hole.height;
  const thickness = Math.min(hole.width, hole.height) * (isAtBorder ? 2 : 1);
  const shown = model.sampleSize / scaleOf([{ ...hole, area, thickness }], model); // at most: a mask is less than its box
  const copied = Math.min(LARGEST_MARGIN, Math.max(LEAST_MARGIN, Math.sqrt(area)));
  const view = grown(hole, Math.ceil(Math.max(shown, copied)), size);
  const block = blockOf(model.sampleSize); // holes are told apart on a grid, of which the view begins at a corner
  const [left, top] = [view.left - (view.left % block), view.top - (view.top % block)];
  return { left, top, width: view.left + view.width - left, height: view.top + view.height - top };
}
