// The page: what its buttons and keys do. The engine computes; everything else is in the modules beside this one.

import { Brush } from "./brush.js";
import { Editor } from "./editor.js";
import * as engine from "./engine.js";
import { listenToKeys } from "./keys.js";
import { listenForFiles } from "./opening.js";
import { alphaOf, decoded, sizeOf } from "./pixels.js";
import { Pointers } from "./pointers.js";
import { Remover } from "./remover.js";
import { Settings } from "./settings.js";
import { complain, forgive, say } from "./status.js";
import { Keeper } from "./storage.js";
import { View } from "./view.js";
import { opened, sentenceOf, words, wrongMaskSize } from "./words.js";

const ZOOM_STEP = 1.25;

const element = (id) => document.getElementById(id);
const canvas = element("canvas");
const view = new View({
  stage: element("stage"),
  frame: element("frame"),
  photoCanvas: element("photo"),
  paintCanvas: canvas,
});
const brush = new Brush(view);
const editor = new Editor(view, changed);
const keeper = new Keeper();
const remover = new Remover(editor, changed);
let host = null;
let settings = null;
let opening = null; // AbortController of what is being opened

// What can be done now

function changed(isKept = false) {
  const { photo, history, version } = editor;
  element("app").classList.toggle("no-photo", !photo);
  placeMessages(Boolean(photo));
  element("app").classList.toggle("no-result", !version);
  element("app").classList.toggle("running", remover.isRunning);
  const can = {
    undo: history.canUndo,
    redo: history.canRedo,
    clear: editor.hasPaint,
    invert: photo && !remover.isRunning, // what is running takes the paint away that would be inverted
    "use-mask": photo,
    remove: photo && !remover.isRunning,
  };
  for (const [id, yes] of Object.entries(can)) element(id).setAttribute("aria-disabled", !yes);
  element("remove").textContent = editor.lastResult ? words.tryAgain : words.remove;
  if (isKept) keep();
}

/** Sentences stand beside the buttons, which are elsewhere before a photo is open. */
function placeMessages(isInBar) {
  const messages = element("messages");
  if (isInBar === (messages.parentElement === element("bar"))) return;
  if (isInBar) element("actions").before(messages);
  else element("choose").append(messages);
}

function keep() {
  const [{ values }, atOnce] = [settings, element("at-once").checked];
  keeper.keepSteps(editor.history, { values, size: brush.size, atOnce, first: host.firstPhoto });
}

function fail(error) {
  if (error.name === "AbortError") return;
  complain(sentenceOf(error));
}

// Opening

/** Open what `task(signal)` gives: { photo, steps, at, sentence }. What is open stays if that fails. */
async function openWith(task) {
  opening?.abort();
  const mine = (opening = new AbortController());
  element("spinner").hidden = false;
  say(words.opening);
  try {
    await started();
    const { photo, steps = [], at = steps.length, sentence, isKept } = await task(mine.signal);
    await editor.prepare(steps);
    if (mine.signal.aborted) return photo.close();
    remover.cancel();
    if (!isKept) keeper.keepPhoto(photo.memo);
    await editor.open(photo, steps, at);
    if (!mine.signal.aborted) sayOpened(photo, sentence); // what is said of another file meanwhile stays
    followUpload(photo, sentence);
  } catch (error) {
    if (opening === mine) fail(error);
  } finally {
    if (opening === mine) {
      opening = null;
      element("spinner").hidden = true;
    }
  }
}

function sayOpened({ note }, sentence) {
  say([sentence, note].filter(Boolean).join(" "));
}

/** The server may refuse a photo that the browser shows, or know something about it. */
function followUpload(photo, sentence) {
  const isOpen = () => editor.photo === photo;
  const isSaid = photo.note;
  photo.ready.then(
    () => {
      if (!isOpen()) return;
      remover.showUpload(1);
      keeper.keepMemo(photo.memo);
      if (photo.note !== isSaid && !remover.isRunning) sayOpened(photo, sentence);
    },
    (error) => {
      if (!isOpen()) return;
      remover.showUpload(1); // nothing is on its way any more
      if (!remover.isRunning) fail(error);
    },
  );
}

function openFile(file) {
  document.querySelector("dialog[open]")?.close(); // it was dropped there
  return openWith(async (signal) => {
    const photo = await engine.open(file, { signal, onProgress: (share) => remover.showUpload(share) });
    return { photo, sentence: opened(photo) };
  });
}

const openExample = (name) =>
  openWith(async (signal) => {
    const photo = await engine.openExample(name, { signal });
    const { mask, version } = photo.first;
    const image = await alphaOf(await decoded(mask));
    const steps = [await editor.maskStep(image), { kind: "version", version }];
    return { photo, steps, sentence: words.example };
  });

const openFirst = () =>
  openWith(async (signal) => {
    const photo = await engine.openFirst({ signal });
    return { photo, sentence: opened(photo) };
  });

const restore = ({ memo, steps, at, page }) =>
  openWith(async (signal) => {
    settings.values = page.values;
    brush.size = page.size;
    element("at-once").checked = page.atOnce;
    return { photo: await engine.reopen(memo, { signal }), steps, at, sentence: words.restored, isKept: true };
  });

function startOver() {
  opening?.abort();
  remover.cancel();
  editor.close();
  keeper.forget();
  say("");
  element("more-dialog").close();
}

async function useMask(file) {
  const { photo } = editor;
  if (!photo) return complain(words.noPhoto);
  element("more-dialog").close();
  say(words.readingMask);
  try {
    const size = await sizeOf(file).catch(() => null); // null: of a kind that only the engine reads
    const isRight = !size || (size.width === photo.width && size.height === photo.height);
    if (!isRight) throw new Error(wrongMaskSize(size, photo));
    const { mask, note } = await photo.readMask(file);
    if (editor.photo !== photo) return;
    await editor.push(await editor.maskStep(mask));
    say(note ?? "");
  } catch (error) {
    fail(error);
  }
}

// Removing, and taking the result home

const remove = () => remover.run({ settings: () => settings.values, again: () => element("at-once").checked });

async function takeHome(task, sentence) {
  if (!editor.version) return;
  say(words.preparing);
  try {
    say((await task(editor.photo, editor.version)) ?? sentence);
  } catch (error) {
    fail(error);
  }
}

// What buttons, keys and pointers do

const actions = {
  hasPhoto: () => Boolean(editor.photo),
  brush: () => brush.take(false),
  eraser: () => brush.take(true),
  smaller: () => brush.shrink(),
  larger: () => brush.grow(),
  fit: () => view.fit(),
  zoomIn: () => view.zoom(ZOOM_STEP),
  zoomOut: () => view.zoom(1 / ZOOM_STEP),
  open: () => element("file").click(),
  help: () => element("help-dialog").showModal(),
  more: () => element("more-dialog").showModal(),
  undo: () => step(() => editor.undo()),
  redo: () => step(() => editor.redo()),
  clear: () => editor.hasPaint && step(() => editor.push({ kind: "clear" })),
  invert() {
    if (!editor.photo) return;
    element("more-dialog").close(); // it hides what becomes of the paint
    step(() => editor.push({ kind: "invert" }));
  },
  cancel: () => remover.cancel(),
  remove: () => editor.photo && remove(),
  download: () => takeHome((photo, version) => photo.download(version, "own"), words.downloaded),
  downloadPng: () => takeHome((photo, version) => photo.download(version, "png"), words.downloaded),
  save: () => takeHome((photo, version) => photo.save(version)),
  showOriginal(yes) {
    if (!editor.photo || view.isOriginal === yes) return;
    element("original").setAttribute("aria-pressed", yes);
    view.update({ isOriginal: yes });
    if (!remover.isRunning) say(yes ? words.original : "");
  },
  holdSpace(yes) {
    pointers.isSpaceDown = yes;
    canvas.classList.toggle("pannable", yes);
    if (yes) brush.showAt(null);
  },
  moveBrush(right, down, isFine) {
    const point = brush.move(right, down, isFine);
    if (brush.isDown) editor.extendStroke([point]);
  },
  pressBrush() {
    if (!editor.photo) return;
    brush.move(0, 0);
    if (!brush.isDown) startStroke(brush.point);
    brush.setDown(!brush.isDown);
    if (!brush.isDown) strokeEnded();
  },
};

function step(change) {
  if (brush.isDown) actions.pressBrush();
  say("");
  change();
}

function startStroke(point) {
  forgive();
  editor.startStroke(point, brush.stroke);
}

function strokeEnded() {
  const isPaint = !editor.stroke?.erase;
  editor.endStroke();
  if (isPaint && element("at-once").checked) remove();
}

const pointers = new Pointers(canvas, view, {
  canPaint: () => !brush.isDown,
  startStroke(point) {
    actions.showOriginal(false);
    startStroke(point);
  },
  extendStroke: (points) => editor.extendStroke(points),
  endStroke: strokeEnded,
  dropStroke: () => editor.dropStroke(),
  showBrush: (client) => brush.isDown || brush.showAt(client),
});
listenToKeys(canvas, actions);
listenForFiles({ opened: openFile, masked: useMask, failed: () => complain(words.noFile) });

const buttons = {
  open: actions.open,
  "choose-file": actions.open,
  "choose-camera": () => element("camera").click(),
  "start-over": startOver,
  "use-mask": () => element("mask").click(),
  "download-png": actions.downloadPng,
};
for (const id of ["undo", "redo", "clear", "invert", "fit", "more", "help", "cancel", "remove", "download", "save"]) {
  buttons[id] = actions[id];
}
for (const [id, action] of Object.entries(buttons)) element(id).addEventListener("click", action);

// Buttons that can do nothing now stay where the focus is, and say so to screen readers.
document.addEventListener(
  "click",
  (event) => {
    const button = event.target.closest("button");
    if (button?.getAttribute("aria-disabled") === "true") event.stopImmediatePropagation();
    // After a click the keys are for the photo: Space moves it and does not press the button again.
    else if (button && event.detail && !button.closest("dialog")) button.blur();
  },
  true,
);
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("pointerdown", (event) => isBeside(dialog, event) && dialog.close());
  dialog.addEventListener("close", () => editor.photo && keep());
}
element("tools").addEventListener("change", () => editor.photo && keep());
listenToOriginal(element("original"));

function isBeside(dialog, { clientX, clientY }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}

function listenToOriginal(button) {
  const on = (types, yes, test = () => true) =>
    types.forEach((type) => button.addEventListener(type, (event) => test(event) && actions.showOriginal(yes)));
  const isPress = ({ key }) => key === " " || key === "Enter";
  on(["pointerdown"], true);
  on(["pointerup", "pointercancel", "pointerleave", "blur"], false);
  on(["keydown"], true, isPress);
  on(["keyup"], false, isPress);
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // of a finger that stays
}

// The start

function showHost() {
  element("file").accept = host.accept;
  if (host.introduction) element("introduction").textContent += ` ${host.introduction}`;
  element("download").hidden = !host.canDownloadOwnFormat;
  if (!host.canDownloadOwnFormat) element("download-png").textContent = "Download PNG";
  element("save").hidden = !host.canSave;
  for (const links of document.querySelectorAll(".links")) {
    for (const { label, url } of host.about ?? []) {
      const link = { textContent: label, href: url, target: "_blank", rel: "noopener" };
      links.append(Object.assign(document.createElement("a"), link));
    }
  }
  element("examples").hidden = !host.examples?.length;
  for (const { name, thumbnail } of host.examples ?? []) {
    const image = Object.assign(document.createElement("img"), { src: thumbnail, alt: `Example: ${name}` });
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(image);
    button.addEventListener("click", () => openExample(name));
    const item = document.createElement("li");
    item.append(button);
    element("examples").querySelector("ul").append(item);
  }
}

let starting = null;

/** The host's answer is there; asked for again if the host did not answer. */
function started() {
  starting ??= start().catch((error) => {
    starting = null;
    throw error;
  });
  return starting;
}

async function start() {
  [host] = await Promise.all([engine.start(), keeper.start()]);
  settings = new Settings(element("settings"), host.settings, { grow: element("grow") });
  showHost();
}

async function begin() {
  changed();
  try {
    await started();
  } catch (error) {
    return fail(error);
  }
  const kept = await keeper.load();
  if (opening || editor.photo) return; // somebody was faster
  const isFirstNew = host.firstPhoto && (!keeper.isReload || kept?.page.first !== host.firstPhoto);
  if (isFirstNew) await openFirst();
  else if (kept) await restore(kept);
}

begin();
