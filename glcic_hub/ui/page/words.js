// The sentences that are made here; the others come from the engine.

export const words = {
  opening: "Opening…",
  sending: "Sending the photo…",
  remove: "Remove",
  tryAgain: "Try again",
  removing: "Removing…",
  preparing: "Preparing the file…",
  readingMask: "Reading the mask…",
  nothingPainted: "First paint over what should go.",
  noPhoto: "Open a photo first.",
  noFile: "That is not a file. Save the photo on this device and drop the file here.",
  onlyResult: "There is no other result for this paint.",
  cancelled: "Cancelled. Your paint is still there.",
  cancelledAgain: "Cancelled. This is the result from before.",
  original: "This is the photo as you opened it.",
  restored: "Welcome back: your photo is as you left it.",
  example: "An example with its result: undo to see what was painted.",
  downloaded: "The file is in your downloads.",
  unknown: "Something went wrong on this page. Your photo and your paint are still here: try again.",
};

/** Those before may be the visitor's own: one that was cancelled ends after its present step. */
export function waiting(before) {
  return `Waiting for ${before} removal${before === 1 ? "" : "s"} before yours…`;
}

/** What a completion took from the click until it was drawn. */
export function done(milliseconds) {
  return `Done in ${(milliseconds / 1000).toFixed(1)} s.`;
}

export function doneAgain(milliseconds) {
  return `Another result, in ${(milliseconds / 1000).toFixed(1)} s. Undo to go back.`;
}

export function opened({ name, width, height }) {
  return `${name}, ${width} × ${height} pixels.`;
}

export function wrongMaskSize(mask, photo) {
  return (
    `This mask is ${mask.width} x ${mask.height} pixels, the photo ${photo.width} x ${photo.height}. ` +
    "Choose the mask made for this photo."
  );
}

/** What to say of an error: its own sentence, unless it is the browser's and no sentence for visitors. */
export function sentenceOf(error) {
  const isOurs = error.constructor === Error || error.name === "Error";
  if (!isOurs) console.error(error);
  return isOurs ? error.message : words.unknown;
}
