// Principal components: the few directions in which rows of numbers differ most.

const ITERATIONS = 6; // the directions need not be exact: only their common space is compared in

/**
 * The directions, unit vectors one after the other: Float64Array (count x length).
 *
 * @param rows Float32Array, one row of `length` numbers after the other
 * @param count how many; a multiple of 4
 * @param random a function that gives numbers from 0 to 1
 */
export function principalComponents(rows, length, count, random) {
  const products = productsOf(rows, length);
  let directions = orthogonal(Float64Array.from({ length: count * length }, () => random() - 0.5), length);
  for (let turn = 0; turn < ITERATIONS; turn++) {
    directions = orthogonal(multiplied(directions, products, length), length);
  }
  return directions;
}

/** The sums of products of columns, (length x length). */
function productsOf(rows, length) {
  const count = rows.length / length;
  const columns = new Float64Array((length + 3) * count); // one after the other, and three of zeros
  for (let at = 0; at < rows.length; at++) columns[(at % length) * count + Math.floor(at / length)] = rows[at];
  const result = new Float64Array(length * length);
  for (let i = 0; i < length; i += 4) {
    const [one, two, three, four] = [i, i + 1, i + 2, i + 3].map((column) => column * count);
    for (let j = i; j < length; j++) {
      let a = 0, b = 0, c = 0, d = 0; // four at once: it is memory that takes the time
      for (let step = 0, from = j * count; step < count; step++) {
        const value = columns[from + step];
        a += value * columns[one + step];
        b += value * columns[two + step];
        c += value * columns[three + step];
        d += value * columns[four + step];
      }
      [a, b, c, d].forEach((sum, off) => {
        if (i + off < length) result[(i + off) * length + j] = result[j * length + i + off] = sum;
      });
    }
  }
  return result;
}

function multiplied(vectors, matrix, length) {
  const result = new Float64Array(vectors.length);
  for (let i = 0; i < length; i++) {
    for (let start = 0; start < vectors.length; start += 4 * length) {
      const [one, two, three, four] = [0, 1, 2, 3].map((vector) => start + vector * length);
      let a = 0, b = 0, c = 0, d = 0;
      for (let j = 0, from = i * length; j < length; j++) {
        const value = matrix[from + j];
        a += value * vectors[one + j];
        b += value * vectors[two + j];
        c += value * vectors[three + j];
        d += value * vectors[four + j];
      }
      result[one + i] = a;
      result[two + i] = b;
      result[three + i] = c;
      result[four + i] = d;
    }
  }
  return result;
}

/** Gram and Schmidt's way, in place; a vector of which nothing is left becomes 0. */
function orthogonal(vectors, length) {
  for (let start = 0; start < vectors.length; start += length) {
    const before = norm(vectors, start, length);
    for (let other = 0; other < start; other += length) {
      let share = 0;
      for (let i = 0; i < length; i++) share += vectors[start + i] * vectors[other + i];
      for (let i = 0; i < length; i++) vectors[start + i] -= share * vectors[other + i];
    }
    const left = norm(vectors, start, length);
    const factor = left > 1e-9 * before ? 1 / left : 0;
    for (let i = 0; i < length; i++) vectors[start + i] *= factor;
  }
  return vectors;
}

function norm(vectors, start, length) {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += vectors[start + i] ** 2;
  return Math.sqrt(sum);
}
