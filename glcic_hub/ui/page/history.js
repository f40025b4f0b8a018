// One history for everything: what is painted and what was completed. A step is
//   { kind: "stroke", erase, radius, points }   points [[x, y], ...] and radius in pixels of the photo
//   { kind: "mask", blob, tinted }              a mask file: PNG whose alpha says where, and a canvas in the paint's colour
//   { kind: "invert" }
//   { kind: "clear" }
//   { kind: "version", version }                a completion, which uses the paint up

export class History {
  steps = [];
  at = 0; // how many of the steps are done; the others can be done again
  floor = 0; // steps that a running completion stands on cannot be undone meanwhile

  get canUndo() {
    return this.at > this.floor;
  }

  get canRedo() {
    return this.at < this.steps.length;
  }

  push(step) {
    this.steps.splice(this.at, this.steps.length, step);
    this.at++;
  }

  /**
   * A completion of what was painted when there were `floor` steps. What was painted since then stays; what was undone
   * goes, as with each step, and so do completions that were done again meanwhile: this one does not stand on them.
   */
  insertVersion(version) {
    const since = this.steps.slice(this.floor, this.at).filter(({ kind }) => kind !== "version");
    this.steps.splice(this.floor, this.steps.length, { kind: "version", version }, ...since);
    this.at = this.steps.length;
  }

  undo() {
    if (!this.canUndo) return null;
    return this.steps[--this.at];
  }

  redo() {
    if (!this.canRedo) return null;
    return this.steps[this.at++];
  }

  /** What is painted: the steps since the last one that took all paint away. */
  get paint() {
    const done = this.steps.slice(0, this.at);
    let first = done.length; // findLastIndex is too young for some browsers
    while (first && !takesPaintAway(done[first - 1])) first--;
    return done.slice(first);
  }

  /** The completions of the photo as it is now, the first one first. */
  get versions() {
    const isVersion = ({ kind }) => kind === "version";
    return this.steps.slice(0, this.at).filter(isVersion).map(({ version }) => version);
  }
}

const takesPaintAway = ({ kind }) => kind === "clear" || kind === "version";
