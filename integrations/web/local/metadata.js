// What an ONNX file says about itself: pairs of names and values, in fields of the format that is called protobuf.

const METADATA = 14; // number of the field, of which there is one for each pair
const [VARINT, EIGHT_BYTES, MEASURED, FOUR_BYTES] = [0, 1, 2, 5]; // how values are stored

/** An object of texts; what cannot be read is left out. */
export function metadataOf(bytes) {
  const text = (field) => new TextDecoder().decode(field);
  const pairs = fieldsOf(bytes).filter(([number]) => number === METADATA);
  return Object.fromEntries(
    pairs.map(([, pair]) => {
      const { 1: name, 2: value } = Object.fromEntries(fieldsOf(pair));
      return [text(name), text(value)];
    }),
  );
}

/** Pairs of a field's number and its bytes; fields of plain numbers are left out. */
function fieldsOf(bytes) {
  let at = 0;
  const varint = () => {
    let [value, factor] = [0, 1];
    for (; at < bytes.length; factor *= 128) {
      const byte = bytes[at++];
      value += (byte % 128) * factor;
      if (byte < 128) break;
    }
    return value;
  };
  const fields = [];
  while (at < bytes.length) {
    const tag = varint();
    const kind = tag % 8;
    if (kind === MEASURED) {
      const length = varint();
      fields.push([Math.floor(tag / 8), bytes.subarray(at, at + length)]);
      at += length;
    } else if (kind === VARINT) varint();
    else if (kind === EIGHT_BYTES) at += 8;
    else if (kind === FOUR_BYTES) at += 4;
    else break; // no such file
  }
  return fields;
}
