// The colours of a photo, to which a fill keeps where they are less than all colours, as in grey and toned photos:
// glcic_hub/filling/colours.py for browsers. That file says why the numbers are what they are.
//
// Colours are Float32Arrays, three channels from 0 to 1 one after the other.

const OUTLIERS = 0.01;
const CURVE_TOLERANCE = 15 / 255;
const FLAT_TOLERANCE = 2 / 255;
const PIECES = 64;
const LEAST_PIXELS = 16;
export const MOST_PIXELS = 2 ** 16;
const BRIGHTNESS = [1 / 3, 1 / 3, 1 / 3];
const SQUARINGS = 30; // a matrix to the power of a thousand million: nothing else is left of it

/**
 * The colours of a fill brought to those of its surroundings, where these lie on a curve or in a plane; else null.
 *
 * @param known those of the surroundings, at most `MOST_PIXELS`, evenly spread
 * @param fill those of the fill
 */
export function keptColours(known, fill) {
  if (known.length < 3 * LEAST_PIXELS) return null;
  const { middle, normal, longest } = axesOf(known);
  return (
    onGrey(known, fill) ?? onCurve(known, fill, BRIGHTNESS) ?? onCurve(known, fill, longest) ??
    onPlane(known, fill, middle, normal)
  );
}

/** The fill without colour, if the known pixels have none. */
function onGrey(known, fill) {
  const greys = lengthsAlong(known, BRIGHTNESS);
  if (isFurther(apart(known, inGrey(greys)), FLAT_TOLERANCE)) return null;
  const [darkest, brightest] = rangeOf(greys);
  return inGrey(lengthsAlong(fill, BRIGHTNESS).map((grey) => Math.min(brightest, Math.max(darkest, grey))));
}

function inGrey(greys) {
  const colours = new Float32Array(3 * greys.length);
  for (let number = 0; number < greys.length; number++) colours.fill(greys[number], 3 * number, 3 * number + 3);
  return colours;
}

/** The fill in the known pixels' colours, if these have one colour for each length along a direction. */
function onCurve(known, fill, direction) {
  const off = apart(known, onNodes(nodesOf(known, direction, median), known, direction));
  if (isFurther(off, CURVE_TOLERANCE)) return null;
  const kept = known.filter((_, at) => off[Math.floor(at / 3)] <= CURVE_TOLERANCE);
  return onNodes(nodesOf(kept, direction, mean), fill, direction);
}

/** The middle, length and colour, of the pixels in each piece of their range along a direction: four numbers each. */
function nodesOf(known, direction, middle) {
  const along = lengthsAlong(known, direction);
  const count = Math.max(1, Math.min(PIECES, Math.floor(along.length / LEAST_PIXELS)));
  const [least, most] = rangeOf(along);
  const step = (most - least) / count;
  const pieceAt = new Uint8Array(along.length);
  const sizes = new Int32Array(count);
  for (let number = 0; number < along.length; number++) {
    pieceAt[number] = step ? Math.min(count - 1, Math.floor((along[number] - least) / step)) : 0;
    sizes[pieceAt[number]]++;
  }
  const pieces = Array.from(sizes, (size) => Array.from({ length: 4 }, () => new Float64Array(size)));
  const filled = new Int32Array(count);
  for (let number = 0; number < along.length; number++) {
    const piece = pieces[pieceAt[number]];
    const place = filled[pieceAt[number]]++;
    piece[0][place] = along[number];
    for (let channel = 0; channel < 3; channel++) piece[1 + channel][place] = known[3 * number + channel];
  }
  return Float64Array.from(pieces.filter((piece) => piece[0].length).flatMap((piece) => piece.map(middle)));
}

/** The colours at the lengths of other colours, on straight lines between nodes; the ends go on. */
function onNodes(nodes, colours, direction) {
  const along = lengthsAlong(colours, direction);
  const result = new Float32Array(colours.length);
  for (let number = 0, to = 0; number < along.length; number++) {
    let [low, high] = [0, nodes.length / 4 - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (nodes[4 * middle] <= along[number]) low = middle;
      else high = middle;
    }
    const gap = nodes[4 * high] - nodes[4 * low];
    const share = gap ? Math.min(1, Math.max(0, (along[number] - nodes[4 * low]) / gap)) : 0;
    for (let channel = 1; channel < 4; channel++) {
      result[to++] = nodes[4 * low + channel] + share * (nodes[4 * high + channel] - nodes[4 * low + channel]);
    }
  }
  return result;
}

/** The fill projected onto the plane through a colour and across a normal, if the known pixels lie in it. */
function onPlane(known, fill, middle, normal) {
  const brought = (colours) => {
    const result = new Float32Array(colours.length);
    for (let at = 0; at < colours.length; at += 3) {
      let height = 0;
      for (let c = 0; c < 3; c++) height += normal[c] * (colours[at + c] - middle[c]);
      for (let c = 0; c < 3; c++) result[at + c] = colours[at + c] - height * normal[c];
    }
    return result;
  };
  if (isFurther(apart(known, brought(known)), FLAT_TOLERANCE)) return null;
  return brought(fill).map((value) => Math.min(1, Math.max(0, value)));
}

function lengthsAlong(colours, direction) {
  const result = new Float64Array(colours.length / 3);
  const [red, green, blue] = direction;
  for (let number = 0, at = 0; number < result.length; number++, at += 3) {
    result[number] = colours[at] * red + colours[at + 1] * green + colours[at + 2] * blue;
  }
  return result;
}

/** The middle colour, and the directions, unit vectors, in which colours differ least and most. */
function axesOf(colours) {
  const middle = [0, 0, 0];
  colours.forEach((value, at) => (middle[at % 3] += value / (colours.length / 3)));
  const products = [0, 1, 2].map(() => [0, 0, 0]);
  for (let at = 0; at < colours.length; at += 3) {
    for (let row = 0; row < 3; row++) {
      const off = colours[at + row] - middle[row];
      for (let column = 0; column < 3; column++) products[row][column] += off * (colours[at + column] - middle[column]);
    }
  }
  const trace = products[0][0] + products[1][1] + products[2][2];
  const turned = products.map((line, row) => line.map((value, column) => (row === column ? trace : 0) - value));
  return { middle, normal: strongestOf(turned), longest: strongestOf(products) };
}

/** The direction that a matrix stretches most: the others vanish beside it as powers are taken. */
function strongestOf(matrix) {
  for (let turn = 0; turn < SQUARINGS; turn++) {
    const largest = Math.max(...matrix.flat().map(Math.abs)) || 1;
    const scaled = matrix.map((line) => line.map((value) => value / largest));
    matrix = scaled.map((line) => [0, 1, 2].map((column) => {
      return line.reduce((sum, value, at) => sum + value * scaled[at][column], 0);
    }));
  }
  const [longest] = [...matrix].sort((one, other) => Math.hypot(...other) - Math.hypot(...one));
  return longest.map((value) => value / (Math.hypot(...longest) || 1));
}

/** How far colours are apart, each in the channel where it is most. */
function apart(colours, others) {
  const result = new Float64Array(colours.length / 3);
  for (let number = 0, at = 0; number < result.length; number++) {
    let most = 0;
    for (const end = at + 3; at < end; at++) {
      const difference = Math.abs(colours[at] - others[at]);
      if (difference > most) most = difference;
    }
    result[number] = most;
  }
  return result;
}

/** Whether more than the outliers exceed a tolerance. */
function isFurther(differences, tolerance) {
  const place = (1 - OUTLIERS) * (differences.length - 1);
  const within = differences.reduce((count, one) => count + Number(one <= tolerance), 0);
  if (within <= Math.floor(place)) return true;
  if (within > Math.ceil(place)) return false;
  const sorted = differences.slice().sort();
  const [before, after] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return before + (place % 1) * (after - before) > tolerance;
}

function rangeOf(values) {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return [least, most];
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function median(values) {
  const sorted = values.slice().sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
