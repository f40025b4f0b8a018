// Pieces of a photo copied beside each other, and blended where they meet: glcic_hub/filling/pieces.py for browsers.
// That file says how it works and why the numbers are what they are.

const DOUBT = 0.1;
const KEPT = 0.01;
const PRECISION = 1e-3;
const STEPS = 1000;
const NEIGHBOURS = [[0, 1], [0, -1], [1, 0], [-1, 0]];
export const LOOK = 9; // numbers in a look: colours, what changes down, what changes across

/** What may be copied: the known pixels by number, row by row. `none` is the number of all that is not known. */
export class Photo {
  /**
   * @param image grid of 3 channels from 0 to 1
   * @param known Uint8Array, 1 where it is so
   */
  constructor({ width, height, values }, known) {
    Object.assign(this, { width, height, known, none: known.length });
    this.looks = new Float32Array(LOOK * (known.length + 1)); // 0 for `none`
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at++) {
        if (!known[at]) continue;
        const isBelow = y + 1 < height && known[at + width];
        const isRight = x + 1 < width && known[at + 1];
        for (let channel = 0; channel < 3; channel++) {
          const [from, to] = [3 * at + channel, LOOK * at + channel];
          this.looks[to] = values[from];
          if (isBelow) this.looks[to + 3] = values[from + 3 * width] - values[from];
          if (isRight) this.looks[to + 6] = values[from + 3] - values[from];
        }
      }
    }
  }

  /** The number of a pixel. */
  at(y, x) {
    if (y < 0 || y >= this.height || x < 0 || x >= this.width) return this.none;
    const number = y * this.width + x;
    return this.known[number] ? number : this.none;
  }

  /** By how much the first so many numbers of two looks differ: their mean square. */
  difference(one, other, numbers) {
    let sum = 0;
    for (let at = 0; at < numbers; at++) {
      const difference = this.looks[LOOK * one + at] - this.looks[LOOK * other + at];
      sum += difference * difference;
    }
    return sum / numbers;
  }
}

/**
 * Colours of a hole whose pixels are copied: Float32Array, 3 of each.
 *
 * @param photo what is copied
 * @param y, x the hole's pixels, Int32Array
 * @param moves from how far below and to the right each of them is copied, Int32Array, 2 of each
 * @param guess colours of those that would come from where nothing is known, Float32Array, 3 of each
 * @param precision of the solution, relative
 */
export function blended(photo, y, x, moves, guess, precision = PRECISION) {
  const now = guess.slice();
  for (let pixel = 0; pixel < y.length; pixel++) {
    const own = photo.at(y[pixel] + moves[2 * pixel], x[pixel] + moves[2 * pixel + 1]);
    if (own === photo.none) continue;
    for (let channel = 0; channel < 3; channel++) now[3 * pixel + channel] = photo.looks[LOOK * own + channel];
  }
  const { wrong, ...system } = systemFor(photo, y, x, moves, now);
  wrong.forEach((values, channel) => {
    const correction = solved(system, values, precision);
    for (let pixel = 0; pixel < correction.length; pixel++) now[3 * pixel + channel] += correction[pixel];
  });
  return now;
}

/** What says by how much colours have to change: the arguments of `solved`, the last one for each channel. */
function systemFor(photo, y, x, moves, now) {
  const { none, looks, width, height } = photo;
  const count = y.length;
  const number = new Int32Array(width * height).fill(-1);
  for (let pixel = 0; pixel < count; pixel++) number[y[pixel] * width + x[pixel]] = pixel;
  const diagonal = new Float64Array(count).fill(KEPT);
  const weights = new Float64Array(4 * count);
  const columns = new Int32Array(4 * count);
  const wrong = [0, 1, 2].map(() => new Float64Array(count));
  for (let at = 0; at < NEIGHBOURS.length; at++) {
    const [down, across] = NEIGHBOURS[at];
    for (let pixel = 0; pixel < count; pixel++) {
      const row = y[pixel] + down, column = x[pixel] + across;
      const isInside = row >= 0 && row < height && column >= 0 && column < width;
      const beside = isInside ? number[row * width + column] : -1;
      const isHole = beside >= 0;
      columns[4 * pixel + at] = isHole ? beside : pixel;
      const known = photo.at(row, column);
      const other = isHole ? beside : pixel; // whose move is the other one
      const own = photo.at(y[pixel] + moves[2 * pixel], x[pixel] + moves[2 * pixel + 1]);
      const nextOwn = photo.at(row + moves[2 * pixel], column + moves[2 * pixel + 1]);
      const theirs = photo.at(y[pixel] + moves[2 * other], x[pixel] + moves[2 * other + 1]);
      const nextTheirs = photo.at(row + moves[2 * other], column + moves[2 * other + 1]);
      const isMine = own < none && nextOwn < none;
      const isOther = theirs < none && nextTheirs < none;
      if (isHole ? !isMine && !isOther : !isMine || known === none) continue;
      let doubt = 0;
      for (let channel = 0; channel < 3; channel++) {
        let doubtful = 0;
        if (!isHole) {
          doubtful = looks[LOOK * known + channel] - looks[LOOK * nextOwn + channel];
        } else if (isMine && isOther) {
          doubtful = looks[LOOK * own + channel] - looks[LOOK * nextOwn + channel];
          doubtful -= looks[LOOK * theirs + channel] - looks[LOOK * nextTheirs + channel];
        }
        doubt += doubtful ** 2 / 3;
      }
      const weight = 1 / (1 + doubt / DOUBT ** 2);
      diagonal[pixel] += weight;
      if (isHole) weights[4 * pixel + at] = weight;
      for (let channel = 0; channel < 3; channel++) {
        const mine = looks[LOOK * own + channel] - looks[LOOK * nextOwn + channel];
        const their = looks[LOOK * theirs + channel] - looks[LOOK * nextTheirs + channel];
        const gradient = ((isMine ? mine : their) + (isOther ? their : mine)) / 2;
        const nextNow = isHole ? now[3 * beside + channel] : looks[LOOK * known + channel];
        wrong[channel][pixel] += weight * (gradient - now[3 * pixel + channel] + nextNow);
      }
    }
  }
  return { diagonal, weights, columns, wrong };
}

/**
 * Solve a system whose rows have at most four entries beside the diagonal, by conjugate gradients.
 *
 * @param diagonal Float64Array
 * @param weights, columns of those entries, four by four; they are negative, which their weights are not
 * @param wanted the right-hand side
 */
function solved({ diagonal, weights, columns }, wanted, precision) {
  const count = wanted.length;
  const [result, rest, direction] = [new Float64Array(count), wanted.slice(), wanted.slice()];
  const image = new Float64Array(count); // of the direction
  let squares = product(rest, rest);
  const enough = precision ** 2 * squares;
  for (let turn = 0; turn < STEPS && squares > enough; turn++) {
    for (let at = 0, from = 0; at < count; at++, from += 4) {
      image[at] =
        diagonal[at] * direction[at] -
        weights[from] * direction[columns[from]] - weights[from + 1] * direction[columns[from + 1]] -
        weights[from + 2] * direction[columns[from + 2]] - weights[from + 3] * direction[columns[from + 3]];
    }
    const step = squares / product(direction, image);
    for (let at = 0; at < count; at++) {
      result[at] += step * direction[at];
      rest[at] -= step * image[at];
    }
    const former = squares;
    squares = product(rest, rest);
    for (let at = 0; at < count; at++) direction[at] = rest[at] + (squares / former) * direction[at];
  }
  return result;
}

function product(one, other) {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += one[at] * other[at];
  return sum;
}
