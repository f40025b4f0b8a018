// The colours of a photo, to which a fill keeps where they are less than all colours, as in grey and toned photos:
// glcic_hub/filling/colours.py for browsers. That file says why the numbers are what they are.
//
// Colours are Float32Arrays, three channels from 0 to 1 one after the other.

const OUTLIERS = 0.001;
const CURVE_TOLERANCE = 6 / 255;
const PLANE_TOLERANCE = 2 / 255;
const PIECES = 64;
const LEAST_PIXELS = 16;
export const MOST_PIXELS = 2 ** 16;
const SQUARINGS = 30; // the matrix to the power of a thousand million: nothing else is left of it

/**
 * The colours of a fill brought to those of its surroundings, where these lie on a curve or in a plane; else null.
 *
 * @param known those of the surroundings, at most `MOST_PIXELS`, evenly spread
 * @param fill those of the fill
 */
export function keptColours(known, fill) {
  if (known.length < 3 * LEAST_PIXELS) return null;
  return onCurve(known, fill) ?? onPlane(known, fill);
}

/** The fill's brightness in the known pixels' colours, if each brightness has one colour there. */
function onCurve(known, fill) {
  const brightness = brightnessOf(known);
  const count = Math.min(PIECES, Math.floor(brightness.length / LEAST_PIXELS));
  const least = brightness.reduce((one, other) => Math.min(one, other));
  const step = (brightness.reduce((one, other) => Math.max(one, other)) - least) / count;
  const sums = Array.from({ length: count }, () => [0, 0, 0, 0, 0]); // brightness, three channels, pixels
  brightness.forEach((value, at) => {
    const piece = step ? Math.min(count - 1, Math.floor((value - least) / step)) : 0;
    const colour = known.subarray(3 * at, 3 * at + 3);
    [value, ...colour, 1].forEach((one, number) => (sums[piece][number] += one));
  });
  const nodes = sums.filter((sum) => sum[4]).map((sum) => sum.slice(0, 4).map((one) => one / sum[4]));
  const brought = (colours) => {
    const result = new Float32Array(colours.length);
    brightnessOf(colours).forEach((value, at) => result.set(between(nodes, value), 3 * at));
    return result;
  };
  return isNear(known, brought(known), CURVE_TOLERANCE) ? brought(fill) : null;
}

function brightnessOf(colours) {
  return Float32Array.from({ length: colours.length / 3 }, (_, at) => {
    return (colours[3 * at] + colours[3 * at + 1] + colours[3 * at + 2]) / 3;
  });
}

/** The colour at a brightness, on straight lines between nodes [brightness, ...colour]; the ends go on. */
function between(nodes, brightness) {
  let [low, high] = [0, nodes.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (nodes[middle][0] <= brightness) low = middle;
    else high = middle;
  }
  const apart = nodes[high][0] - nodes[low][0];
  const share = apart ? Math.min(1, Math.max(0, (brightness - nodes[low][0]) / apart)) : 0;
  return [1, 2, 3].map((at) => nodes[low][at] + share * (nodes[high][at] - nodes[low][at]));
}

/** The fill projected onto the known pixels' plane of colours, if they have one. */
function onPlane(known, fill) {
  const middle = [0, 1, 2].map((channel) => {
    let sum = 0;
    for (let at = channel; at < known.length; at += 3) sum += known[at];
    return sum / (known.length / 3);
  });
  const normal = normalOf(known, middle);
  const brought = (colours) => {
    const result = new Float32Array(colours.length);
    for (let at = 0; at < colours.length; at += 3) {
      const colour = colours.subarray(at, at + 3);
      const height = normal.reduce((sum, one, channel) => sum + one * (colour[channel] - middle[channel]), 0);
      result.set(colour.map((value, channel) => value - height * normal[channel]), at);
    }
    return result;
  };
  if (!isNear(known, brought(known), PLANE_TOLERANCE)) return null;
  return brought(fill).map((value) => Math.min(1, Math.max(0, value)));
}

/** The direction, a unit vector, in which colours differ least. */
function normalOf(colours, middle) {
  const products = [0, 1, 2].map(() => [0, 0, 0]);
  for (let at = 0; at < colours.length; at += 3) {
    const [red, green, blue] = middle.map((value, channel) => colours[at + channel] - value);
    [red, green, blue].forEach((one, row) => [red, green, blue].forEach((other, column) => {
      products[row][column] += one * other;
    }));
  }
  const trace = products[0][0] + products[1][1] + products[2][2];
  // Of this matrix it is the direction that grows most; the others vanish beside it as powers are taken.
  let matrix = products.map((line, row) => line.map((value, column) => (row === column ? trace : 0) - value));
  for (let turn = 0; turn < SQUARINGS; turn++) {
    const largest = Math.max(...matrix.flat().map(Math.abs));
    const scaled = matrix.map((line) => line.map((value) => value / largest));
    matrix = scaled.map((line) => [0, 1, 2].map((column) => {
      return line.reduce((sum, value, at) => sum + value * scaled[at][column], 0);
    }));
  }
  const [longest] = matrix.sort((one, other) => Math.hypot(...other) - Math.hypot(...one));
  return longest.map((value) => value / Math.hypot(...longest));
}

/** Whether all but a few colours are changed by no more than a tolerance, in any channel. */
function isNear(colours, others, tolerance) {
  const apart = Float64Array.from({ length: colours.length / 3 }, (_, at) => {
    return Math.max(...[0, 1, 2].map((channel) => Math.abs(colours[3 * at + channel] - others[3 * at + channel])));
  }).sort();
  const place = (1 - OUTLIERS) * (apart.length - 1);
  const [before, after] = [apart[Math.floor(place)], apart[Math.ceil(place)]];
  return before + (place % 1) * (after - before) <= tolerance;
}
