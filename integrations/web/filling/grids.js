// Grids: numbers by row and column, with the channels of a place side by side; {width, height, channels, values}.

export function grid(width, height, channels, values = new Float32Array(width * height * channels)) {
  return { width, height, channels, values };
}

/** A new grid of another size: bilinear, and where it gets smaller the mean with weights of a triangle. */
export function resized(from, width, height) {
  if (from.width === width && from.height === height) return from;
  return resizedRows(resizedColumns(from, height), width);
}

/** Which places, and how much of each, make up each place of a line of another length. */
function shares(from, to) {
  const ratio = from / to;
  const reach = Math.max(1, ratio);
  return Array.from({ length: to }, (_, place) => {
    const middle = (place + 0.5) * ratio;
    const first = Math.max(0, Math.floor(middle - reach + 0.5));
    const end = Math.min(from, Math.floor(middle + reach + 0.5));
    const weights = new Float32Array(end - first);
    for (let at = first; at < end; at++) weights[at - first] = Math.max(0, 1 - Math.abs(at - middle + 0.5) / reach);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

function resizedColumns({ width, height: former, channels, values }, height) {
  const row = width * channels;
  const result = grid(width, height, channels);
  shares(former, height).forEach(({ first, weights }, y) => {
    const sum = result.values.subarray(y * row, (y + 1) * row);
    weights.forEach((weight, step) => {
      const start = (first + step) * row;
      for (let at = 0; at < row; at++) sum[at] += weight * values[start + at];
    });
  });
  return result;
}

function resizedRows({ width: former, height, channels, values }, width) {
  const result = grid(width, height, channels);
  shares(former, width).forEach(({ first, weights }, x) => {
    for (let y = 0; y < height; y++) {
      const start = (y * former + first) * channels;
      const to = (y * width + x) * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let step = 0, from = start + channel; step < weights.length; step++, from += channels) {
          sum += weights[step] * values[from];
        }
        result.values[to + channel] = sum;
      }
    }
  });
  return result;
}

/** Read what a grid has at a place of another one that shows the same, bilinear; the border goes on beyond it. */
export function readAt(of, row, column, { width: ownWidth, height: ownHeight }, to, at) {
  const { width, height, channels, values } = of;
  const y = Math.min(height - 1, Math.max(0, ((row + 0.5) * height) / ownHeight - 0.5));
  const x = Math.min(width - 1, Math.max(0, ((column + 0.5) * width) / ownWidth - 0.5));
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const [down, across] = [y - top, x - left];
  const [below, right] = [Math.min(top + 1, height - 1), Math.min(left + 1, width - 1)];
  const [a, b] = [(top * width + left) * channels, (top * width + right) * channels];
  const [c, d] = [(below * width + left) * channels, (below * width + right) * channels];
  for (let channel = 0; channel < channels; channel++) {
    const upper = values[a + channel] * (1 - across) + values[b + channel] * across;
    const lower = values[c + channel] * (1 - across) + values[d + channel] * across;
    to[at + channel] = upper * (1 - down) + lower * down;
  }
}

/** A new grid, blurred by a bell curve of this standard deviation; the border goes on beyond it. */
export function blurred({ width, height, channels, values }, sigma) {
  const radius = Math.max(1, Math.floor(3 * sigma));
  const bell = Float32Array.from({ length: 2 * radius + 1 }, (_, at) => Math.exp(-(((at - radius) / sigma) ** 2) / 2));
  const total = bell.reduce((sum, weight) => sum + weight, 0);
  const kernel = bell.map((weight) => weight / total);
  const row = width * channels;
  const result = grid(width, height, channels);
  const line = new Float32Array(row + 2 * radius * channels); // a row with its border on both sides
  for (let y = 0; y < height; y++) {
    line.fill(0);
    for (let step = -radius; step <= radius; step++) {
      const start = Math.min(height - 1, Math.max(0, y + step)) * row;
      const weight = kernel[step + radius];
      for (let at = 0; at < row; at++) line[radius * channels + at] += weight * values[start + at];
    }
    for (let at = 0; at < radius * channels; at++) {
      line[at] = line[radius * channels + (at % channels)];
      line[radius * channels + row + at] = line[radius * channels + row - channels + (at % channels)];
    }
    for (let at = 0; at < row; at++) {
      let sum = 0;
      for (let step = 0; step < kernel.length; step++) sum += kernel[step] * line[at + step * channels];
      result.values[y * row + at] = sum;
    }
  }
  return result;
}

/** For each place the nearest one that is marked (its number, row by row), -1 where none is: Int32Array. */
export function nearest(marked, width, height) {
  const rows = nearestInColumn(marked, width, height);
  const result = new Int32Array(width * height).fill(-1);
  // Squared distances along a row are parabolas; the lowest ones, from left to right, and where each begins.
  const lowest = new Int32Array(width);
  const begins = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    const squared = (x) => (rows[y * width + x] - y) ** 2;
    let count = 0;
    for (let x = 0; x < width; x++) {
      if (rows[y * width + x] < 0) continue;
      let begin = -Infinity;
      while (count) {
        const other = lowest[count - 1];
        begin = (squared(x) + x * x - squared(other) - other * other) / (2 * (x - other));
        if (begin > begins[count - 1]) break;
        count--;
        begin = -Infinity;
      }
      lowest[count] = x;
      begins[count++] = begin;
    }
    for (let x = 0, at = 0; x < width && count; x++) {
      while (at + 1 < count && begins[at + 1] < x) at++;
      result[y * width + x] = rows[y * width + lowest[at]] * width + lowest[at];
    }
  }
  return result;
}

/** The row of the nearest marked place of the same column, -1 where there is none. */
function nearestInColumn(marked, width, height) {
  const rows = new Int32Array(width * height).fill(-1);
  for (let x = 0; x < width; x++) {
    for (let y = 0, last = -1; y < height; y++) {
      if (marked[y * width + x]) last = y;
      rows[y * width + x] = last;
    }
    for (let y = height - 1, last = -1; y >= 0; y--) {
      const at = y * width + x;
      if (marked[at]) last = y;
      if (last >= 0 && (rows[at] < 0 || last - y < y - rows[at])) rows[at] = last;
    }
  }
  return rows;
}

/** How far each place is from the nearest marked one; endless if none is. Float32Array. */
export function distances(marked, width, height) {
  return Float32Array.from(nearest(marked, width, height), (found, at) => {
    if (found < 0) return Infinity;
    return Math.hypot((found % width) - (at % width), Math.floor(found / width) - Math.floor(at / width));
  });
}

/** Marked places with those at most `radius` from them down and across, which is a square: Uint8Array. */
export function widened(marked, radius, width, height) {
  const across = new Uint8Array(marked.length);
  for (let y = 0; y < height; y++) widenLine(marked, across, radius, y * width, 1, width);
  const result = new Uint8Array(marked.length);
  for (let x = 0; x < width; x++) widenLine(across, result, radius, x, width, height);
  return result;
}

function widenLine(marked, result, radius, start, step, count) {
  for (let place = 0, last = -Infinity; place < count; place++) {
    if (marked[start + place * step]) last = place;
    if (place - last <= radius) result[start + place * step] = 1;
  }
  for (let place = count - 1, last = Infinity; place >= 0; place--) {
    if (marked[start + place * step]) last = place;
    if (last - place <= radius) result[start + place * step] = 1;
  }
}
