// What the page says: one sentence beside the buttons, and how far a task is.

const element = (id) => document.getElementById(id);

/** Say how things are; what was said before goes. */
export function say(sentence) {
  write("error", "");
  write("status", sentence);
}

/** Say what went wrong and what can be done. */
export function complain(sentence) {
  write("status", "");
  write("error", sentence);
}

/** What went wrong counts no longer: the visitor goes on. */
export function forgive() {
  write("error", "");
}

/** Screen readers read out what is written, even if it was there before. */
function write(id, sentence) {
  if (element(id).textContent !== sentence) element(id).textContent = sentence;
}

/** Show the bar: `share` from 0 to 1, null while nobody knows. */
export function showProgress(share) {
  element("running").hidden = false;
  if (share === null) element("progress").removeAttribute("value");
  else element("progress").value = share;
}

export function hideProgress() {
  element("running").hidden = true;
}
