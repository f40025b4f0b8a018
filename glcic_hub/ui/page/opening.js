// The ways in which a file comes to the page: chosen, from the camera, dropped anywhere, pasted.

const element = (id) => document.getElementById(id);

/** Call `opened(file)` with each photo and `masked(file)` with each mask; `failed()` when what came is no file. */
export function listenForFiles({ opened, masked, failed }) {
  listenToInput("file", opened);
  listenToInput("camera", opened);
  listenToInput("mask", masked);
  document.addEventListener("paste", ({ clipboardData }) => {
    const [file] = clipboardData?.files ?? [];
    if (file) opened(file);
  });
  listenToDrops(opened, failed);
}

function listenToInput(id, chosen) {
  element(id).addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = ""; // so that the same file can be chosen again
    if (file) chosen(file);
  });
}

function listenToDrops(opened, failed) {
  let depth = 0; // how many of the elements on top of each other the file is over
  const show = () => element("app").classList.toggle("dropping", depth > 0);
  document.addEventListener("dragenter", (event) => {
    event.preventDefault();
    depth++;
    show();
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    show();
  });
  document.addEventListener("dragover", (event) => event.preventDefault()); // the browser would show the file itself
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    show();
    const [file] = event.dataTransfer.files;
    if (file) opened(file);
    else failed();
  });
}
