// What the keyboard does. Keys that type or press something keep doing that where the focus is on such a thing.

const TAP_MS = 250; // Tab is held to compare; pressed shortly it moves the focus, as everywhere
const FOCUSABLE = "a[href], button, input:not([tabindex='-1']), select, canvas[tabindex]";

const KEYS = {
  b: "brush",
  e: "eraser",
  "[": "smaller",
  "]": "larger",
  0: "fit",
  "+": "zoomIn",
  "=": "zoomIn",
  "-": "zoomOut",
  o: "open",
  "?": "help",
  Delete: "clear",
  Backspace: "clear",
  Escape: "cancel",
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * `actions`: a function for each name above, undo(), redo(), remove(), showOriginal(yes), holdSpace(yes),
 * moveBrush(right, down, isFine), pressBrush(), hasPhoto().
 */
export function listenToKeys(canvas, actions) {
  let tabbedAt = 0; // when Tab went down; 0: it is up

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const focus = document.activeElement;
    const isFree = focus === canvas || focus === document.body || !focus;
    const isTyping = focus?.matches("input:not([type=range], [type=checkbox]), select");
    if (event.key === "Tab" && isFree && actions.hasPhoto() && !event.ctrlKey && !event.altKey) {
      event.preventDefault();
      tabbedAt ||= performance.now();
      actions.showOriginal(true);
      return;
    }
    if (press(event, isFree, isTyping)) event.preventDefault();
  });

  document.addEventListener("keyup", (event) => {
    if (event.key === " ") actions.holdSpace(false);
    if (event.key === "\\") actions.showOriginal(false);
    if (event.key !== "Tab" || !tabbedAt) return;
    actions.showOriginal(false);
    if (performance.now() - tabbedAt < TAP_MS) moveFocus(canvas, event.shiftKey ? -1 : 1);
    tabbedAt = 0;
  });

  window.addEventListener("blur", () => {
    tabbedAt = 0;
    actions.holdSpace(false);
    actions.showOriginal(false);
  });

  /** Do what a key stands for; whether it stands for something. */
  function press(event, isFree, isTyping) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.altKey) return false;
    if (event.ctrlKey || event.metaKey) return pressWithControl(event, key, isTyping);
    if (isTyping && key !== "Escape") return false;
    if (key === " " && isFree) actions.holdSpace(true);
    else if (key === "\\") actions.showOriginal(true);
    else if (isFree && ARROWS[key]) actions.moveBrush(...ARROWS[key], event.shiftKey);
    else if (isFree && key === "Enter") actions.pressBrush();
    else if (Object.hasOwn(KEYS, key)) actions[KEYS[key]]();
    else return false;
    return true;
  }

  function pressWithControl(event, key, isTyping) {
    if (key === "Enter") actions.remove();
    else if (isTyping) return false;
    else if (key === "z") event.shiftKey ? actions.redo() : actions.undo();
    else if (key === "y") actions.redo();
    else return false;
    return true;
  }
}

function moveFocus(canvas, direction) {
  const all = [...document.querySelectorAll(FOCUSABLE)].filter((each) => each.getClientRects().length);
  const at = document.activeElement === canvas ? all.indexOf(canvas) : direction > 0 ? -1 : 0;
  const next = all[(at + direction + all.length) % all.length];
  next?.focus({ focusVisible: true });
}
