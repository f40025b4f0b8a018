// What a reload must not lose: the photo, what is painted, the completions. Kept in IndexedDB, for each tab its own.
// A browser that keeps nothing (a private window) is no reason for a message: the page works as well without.

const NAME = "completed photos";
const TAB = "tab";
const KEPT_MS = 24 * 3600 * 1000;
const STORES = ["works", "photos", "pieces"]; // work -> history; work -> memo; [work, key] -> blobs of a step

let database = null;

function asPromise(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function openDatabase() {
  const request = indexedDB.open(`${NAME} ${location.pathname}`, 1);
  request.onupgradeneeded = () => STORES.forEach((store) => request.result.createObjectStore(store));
  return asPromise(request);
}

/** Run `task` with the stores of one transaction: all of it is kept, or nothing. */
async function change(task) {
  const transaction = database.transaction(STORES, "readwrite");
  const done = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
  task(Object.fromEntries(STORES.map((store) => [store, transaction.objectStore(store)])));
  await done;
}

function get(store, key) {
  return asPromise(database.transaction(store).objectStore(store).get(key));
}

const piecesOf = (name) => IDBKeyRange.bound([name], [name, []]);

function remove(stores, name) {
  stores.works.delete(name);
  stores.photos.delete(name);
  stores.pieces.delete(piecesOf(name));
}

/** Hold a work until the page goes away; false if another tab has it. */
function taken(name) {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    navigator.locks
      .request(`${NAME} ${location.pathname} ${name}`, { ifAvailable: true }, (lock) => {
        resolve(Boolean(lock));
        return lock && new Promise(() => {});
      })
      .catch(() => resolve(true));
  });
}

/** The work of this tab. `isOld`: the tab had it before it was loaded again. */
async function findName() {
  const own = sessionStorage.getItem(TAB);
  for (let tries = 0; own && tries < 5; tries++) {
    if (await taken(own)) return { name: own, isOld: true };
    await new Promise((done) => setTimeout(done, 100)); // the page before this one is still going
  }
  const works = database.transaction("works").objectStore("works");
  const [names, all] = await Promise.all([asPromise(works.getAllKeys()), asPromise(works.getAll())]);
  const byAge = names.map((name, index) => [name, all[index].saved]).sort((one, other) => other[1] - one[1]);
  for (const [name, saved] of byAge) {
    if (!(await taken(name))) continue;
    if (Date.now() - saved < KEPT_MS) return { name, isOld: false };
    await change((stores) => remove(stores, name));
  }
  const name = `${Date.now()}-${Math.random()}`;
  await taken(name);
  return { name, isOld: false };
}

/** What is kept of the work in this tab. */
export class Keeper {
  isReload = false; // the page was loaded again in its tab

  #name = null; // null: nothing can be kept
  #kept = new Set(); // keys of the pieces that are kept
  #counter = 0;

  async start() {
    try {
      database = await openDatabase();
      const { name, isOld } = await findName();
      [this.#name, this.isReload] = [name, isOld];
      sessionStorage.setItem(TAB, name);
    } catch (error) {
      console.warn("Nothing is kept for a reload:", error);
    }
  }

  /** What was kept: { memo, steps, at, page } as they were given, or null. */
  async load() {
    if (!this.#name) return null;
    try {
      const [work, photo] = await Promise.all([get("works", this.#name), get("photos", this.#name)]);
      if (!work || !photo) return null;
      const steps = await Promise.all(work.steps.map((step) => this.#loadStep(step)));
      let base = null;
      for (const { version } of steps) if (version) [version.base, base] = [base, version];
      return { memo: photo, steps, at: work.at, page: work.page };
    } catch (error) {
      console.warn("What was kept cannot be read:", error);
      return null;
    }
  }

  async #loadStep(step) {
    if (!step.key) return step;
    this.#kept.add(step.key);
    this.#counter = Math.max(this.#counter, step.key);
    return { ...step, ...(await get("pieces", [this.#name, step.key])) };
  }

  /** Another photo: what was kept of the one before goes. */
  keepPhoto(memo) {
    this.#write((stores) => {
      remove(stores, this.#name);
      this.#kept.clear();
      stores.photos.put(memo, this.#name);
    });
  }

  /** The photo has a new memo. */
  keepMemo(memo) {
    this.#write((stores) => stores.photos.put(memo, this.#name));
  }

  /** Keep a history's steps, and what else the page wants to find again. */
  keepSteps({ steps, at }, page) {
    this.#write((stores) => {
      const plain = steps.map((step) => this.#keepStep(stores, step));
      stores.works.put({ steps: plain, at, page, saved: Date.now() }, this.#name);
    });
  }

  #keepStep({ pieces }, step) {
    if (step.kind !== "mask" && step.kind !== "version") return step;
    step.key ??= ++this.#counter;
    if (!this.#kept.has(step.key)) {
      const piece = step.kind === "mask" ? { blob: step.blob } : { version: { ...step.version, base: null } };
      pieces.put(piece, [this.#name, step.key]);
      this.#kept.add(step.key);
    }
    return { kind: step.kind, key: step.key };
  }

  forget() {
    this.#write((stores) => {
      remove(stores, this.#name);
      this.#kept.clear();
    });
  }

  /** Transactions that write run one after the other, in the order in which they were asked for. */
  #write(task) {
    if (!this.#name) return;
    change(task).catch((error) => {
      this.#kept.clear(); // perhaps none of it was written: the next time all is
      console.warn("This is not kept for a reload:", error);
    });
  }
}
