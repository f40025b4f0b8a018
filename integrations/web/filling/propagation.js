// Labels for the nodes of a graph that cost little together: glcic_hub/filling/propagation.py for browsers. That file
// says why the numbers are what they are.

const SWEEPS = 8;
const DAMPING = 0.5;
const TURNS = 1;

/**
 * The number of a label for each node, Int32Array.
 *
 * @param costs what each label costs each node, Float32Array: all labels of a node, then of the next
 * @param labels how many there are
 * @param kinds of pairs of neighbours: {first, second, costs}. Numbers of nodes, each of them the first of one pair at
 *     most and the second of one; and what each two labels cost a pair: all labels of its second node with one of the
 *     first, then with the next
 * @param isWhite 1 or 0 for each node; the two of a pair differ in it
 */
export function cheapest(costs, labels, kinds, isWhite) {
  // to the second nodes of pairs, to the first ones
  const messages = kinds.map(() => [new Float32Array(costs.length), new Float32Array(costs.length)]);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    kinds.forEach((kind, number) => pass(kind, messages[number], believed(costs, messages), labels));
  }
  const beliefs = believed(costs, messages);
  const result = Int32Array.from(isWhite, (_, node) => least(beliefs, node * labels, labels));
  settle(result, costs, labels, kinds, isWhite);
  return result;
}

function believed(costs, messages) {
  const beliefs = costs.slice();
  for (const some of messages.flat()) for (let at = 0; at < beliefs.length; at++) beliefs[at] += some[at];
  return beliefs;
}

/** Pass messages between the nodes of one kind of pairs, both ways. */
function pass({ first, second, costs }, [forth, back], beliefs, labels) {
  const [mine, theirs] = [new Float64Array(labels), new Float64Array(labels)];
  const [toSecond, toFirst] = [new Float64Array(labels), new Float64Array(labels)];
  for (let pair = 0, from = 0; pair < first.length; pair++) {
    const one = first[pair] * labels, other = second[pair] * labels;
    for (let label = 0; label < labels; label++) {
      mine[label] = beliefs[one + label] - back[one + label];
      theirs[label] = beliefs[other + label] - forth[other + label];
    }
    toSecond.fill(Infinity);
    for (let label = 0; label < labels; label++) {
      const own = mine[label];
      let lowest = Infinity;
      for (let at = 0; at < labels; at++, from++) {
        const cost = costs[from];
        const sent = own + cost;
        const sentBack = theirs[at] + cost;
        if (sent < toSecond[at]) toSecond[at] = sent;
        if (sentBack < lowest) lowest = sentBack;
      }
      toFirst[label] = lowest;
    }
    keep(forth, other, toSecond);
    keep(back, one, toFirst);
  }
}

/** Bring a message nearer to a new one, whose least number becomes 0. */
function keep(messages, start, message) {
  const lowest = message[least(message, 0, message.length)];
  for (let label = 0; label < message.length; label++) {
    messages[start + label] = DAMPING * messages[start + label] + (1 - DAMPING) * (message[label] - lowest);
  }
}

/** The number of the least of some numbers. */
function least(values, start, count) {
  let found = 0;
  for (let at = 1; at < count; at++) if (values[start + at] < values[start + found]) found = at;
  return found;
}

/** Let each node take the label that is best beside its neighbours. */
function settle(chosen, costs, labels, kinds, isWhite) {
  const pairs = kinds.flatMap(({ first, second }) => [pairOf(first, chosen.length), pairOf(second, chosen.length)]);
  const sums = new Float32Array(labels);
  for (let turn = 0; turn < 2 * TURNS; turn++) {
    for (let node = 0; node < chosen.length; node++) {
      if (isWhite[node] === turn % 2) continue;
      for (let label = 0; label < labels; label++) sums[label] = costs[node * labels + label];
      for (let kind = 0; kind < kinds.length; kind++) {
        const { first, second, costs: together } = kinds[kind];
        const asFirst = pairs[2 * kind][node], asSecond = pairs[2 * kind + 1][node];
        if (asSecond >= 0) {
          const from = asSecond * labels ** 2 + chosen[first[asSecond]] * labels;
          for (let label = 0; label < labels; label++) sums[label] += together[from + label];
        }
        if (asFirst >= 0) {
          const from = asFirst * labels ** 2 + chosen[second[asFirst]];
          for (let label = 0; label < labels; label++) sums[label] += together[from + label * labels];
        }
      }
      chosen[node] = least(sums, 0, labels);
    }
  }
}

/** For each node the pair in whose list it is, -1 where there is none. */
function pairOf(list, nodes) {
  const pairs = new Int32Array(nodes).fill(-1);
  list.forEach((node, pair) => (pairs[node] = pair));
  return pairs;
}
