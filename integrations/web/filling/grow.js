// A mask grown: `dilated` of glcic_hub/filling/grids.py for browsers.

import { distances } from "./grids.js";
import { forEachIn, grown } from "./holes.js";

/** Let the mask of a photo, which is not empty, have every pixel that is at most so many pixels from it. */
export function growMask({ mask, size }, grow) {
  const columns = new Uint8Array(size[0]);
  const rows = new Uint8Array(size[1]);
  mask.forEach((one, at) => {
    if (one) columns[at % size[0]] = rows[Math.floor(at / size[0])] = 1;
  });
  const [left, top] = [columns.indexOf(1), rows.indexOf(1)];
  const painted = { left, top, width: columns.lastIndexOf(1) + 1 - left, height: rows.lastIndexOf(1) + 1 - top };
  const box = grown(painted, grow, size);
  const inBox = new Uint8Array(box.width * box.height);
  forEachIn(box, size, (at, place) => (inBox[place] = mask[at]));
  const distance = distances(inBox, box.width, box.height);
  forEachIn(box, size, (at, place) => {
    if (distance[place] <= grow) mask[at] = 255;
  });
}
