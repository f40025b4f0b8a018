// The controls of "More settings", made from what the host says of them.

let count = 0;

/** Fill `container` with a control for each setting; one that has an element in `own` (by name) uses that. */
export class Settings {
  #inputs = new Map(); // name -> { input, setting }

  constructor(container, settings, own = {}) {
    for (const setting of settings) {
      const input = own[setting.name] ? named(own[setting.name], setting) : this.#add(container, setting);
      if (setting.range) limit(input, setting);
      this.#inputs.set(setting.name, { input, setting });
    }
    this.values = {};
  }

  #add(container, setting) {
    const input = setting.choices ? choiceOf(setting) : make("input", { type: "number" });
    input.id = `setting-${++count}`;
    const label = make("label", { htmlFor: input.id, textContent: setting.label });
    const help = make("p", { id: `${input.id}-help`, textContent: setting.help ?? "" });
    input.setAttribute("aria-describedby", help.id);
    const control = make("span");
    control.append(input, setting.unit ? ` ${setting.unit}` : "");
    const row = make("div", { className: "setting" });
    row.append(label, control, help);
    container.append(row);
    return input;
  }

  /** What is set, by name; null is "automatic". Numbers are whole and in their range. */
  get values() {
    return Object.fromEntries([...this.#inputs].map(([name, { input, setting }]) => [name, valueOf(input, setting)]));
  }

  set values(values) {
    for (const [name, { input, setting }] of this.#inputs) {
      const value = values[name] === undefined ? setting.value : values[name];
      input.value = value ?? "";
    }
  }
}

function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}

/** An input that stands elsewhere on the page, inside its label. */
function named(input, { label, help }) {
  const around = input.closest("label");
  around.querySelector("span").textContent = label;
  around.title = help;
  return input;
}

function choiceOf({ choices }) {
  const select = make("select");
  for (const { value, label } of choices) select.append(new Option(label, value ?? ""));
  return select;
}

function limit(input, { range: [least, most], value }) {
  Object.assign(input, { min: least, max: most, step: 1, inputMode: "numeric" });
  if (value === null) input.placeholder = "automatic";
  input.addEventListener("change", () => (input.value = valueOf(input, { range: [least, most], value }) ?? ""));
}

function valueOf(input, { choices, range, value }) {
  if (choices) return input.value === "" ? null : input.value;
  if (input.value.trim() === "" || Number.isNaN(Number(input.value))) return value;
  return Math.min(Math.max(Math.round(Number(input.value)), range[0]), range[1]);
}
