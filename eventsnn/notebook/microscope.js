// The live microscope's page. It draws `picture`, which the kernel makes (view.py), and sends the
// kernel what a hand does. Whatever is written comes from there as text and becomes a text node,
// never markup. Nothing is loaded.

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 52, RIGHT = 8, TOP = 26, BOTTOM = 34; // of a panel, in pixels
const HEIGHTS = { before: 158, after: 206 };
const AT_FIRST = 60; // arrivals in sight
const MARKED = 160; // of more arrivals only lines are drawn
const FEWEST = 6; // arrivals in sight when it is closest
const PATIENCE = 5000; // milliseconds until the kernel is missed
const DRIVE = -1, ITSELF = -2, INPUT = -3; // sources that are no layer

/** An element of HTML, or of SVG where its name begins with "svg:". */
function make(name, attributes = {}, ...children) {
  const svg = name.startsWith("svg:");
  const made = svg ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

/** Numbers with four digits, and with their sign. */
function signed(value) {
  return (value < 0 ? "−" : "+") + digits(Math.abs(value));
}

/** A count, with commas. */
function count(value) {
  return value.toLocaleString("en-GB");
}

function digits(value) {
  return Number(value.toPrecision(4)).toString().replace("-", "−");
}

/** Round numbers between two ends, about so many. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = size * [1, 2, 5, 10].find((factor) => factor * size >= rough);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + 1e-9; at += 1) found.push(at * step);
  return found;
}

/** The marks that can stand in a panel, as paths around a point; r: half their size in pixels. */
const MARKS = {
  excites: (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  inhibits: (x, y, r) => `M${x - 0.9 * r} ${y - 0.9 * r}h${1.8 * r}v${1.8 * r}h${-1.8 * r}Z`,
  drive: (x, y, r) => `M${x} ${y - 1.25 * r}l${1.25 * r} ${1.25 * r}l${-1.25 * r} ${1.25 * r}`
    + `l${-1.25 * r} ${-1.25 * r}Z`,
  itself: (x, y, r) => `M${x - r} ${y - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`,
  fires: (x, y) => `M${x} ${y - 5}l5 9h-10Z`,
  back: (x, y) => `M${x} ${y + 4}l5 -9h-10Z`,
  limit: (x, y) => `M${x - 7} ${y}h5m3 0h5`,
};
const MEANINGS = [
  ["excites", "excites"],
  ["inhibits", "inhibits"],
  ["drive", "drive (bias, image)"],
  ["itself", "looks by itself"],
  ["fires", "fires"],
  ["back", "takes a spike back"],
  ["limit", "threshold"],
];

/** Which mark an arrival of a panel has. */
function kind(panel, at) {
  if (panel.source[at] === DRIVE) return "drive";
  if (panel.source[at] === ITSELF) return "itself";
  return panel.charge[at] < 0 ? "inhibits" : "excites";
}

/** Where an arrival comes from, in words. */
function source(picture, panel, at) {
  const from = panel.source[at];
  if (from === DRIVE) return "drive";
  if (from === ITSELF) return "an evaluation of its own";
  return `${from === INPUT ? "input" : picture.layers[from].name} ${panel.neuron[at]}`;
}

/** An arrival as a sentence. */
function told(picture, panel, at) {
  const when = `step ${panel.step[at]}, tick ${panel.tick[at]}`;
  const spike = panel.recorded[at] >= 0 ? ` (spike ${panel.recorded[at]})` : "";
  const fresh = panel.spike[at] >= 0 && panel.recorded[at] < 0 ? ", there only since an edit" : "";
  const unit = picture.fires ? " thresholds" : "";
  const charge = `${signed(panel.charge[at])}${unit} to ${digits(panel.charged[at])}`;
  const fired = panel.fired[at];
  const did = fired ? `; ${fired > 0 ? "fires" : "takes back"} ${Math.abs(fired)}` : "";
  return `${when}: ${source(picture, panel, at)}${spike}${fresh}, ${charge}${did}`;
}

/** What of both panels is in sight: arrivals from `low` to `high`, or steps. */
class Sight {
  constructor() {
    this.axis = "order";
    this.low = 0;
    this.high = 1;
    this.whole = 1;
  }

  place(panel, at) {
    return this.axis === "order" ? at + 0.5 : panel.time[at];
  }

  /** The end of the picture, of both panels. */
  fit(picture) {
    const { before, after } = picture;
    const ends = [before, after].map((panel) =>
      this.axis === "order" ? panel.step.length : Math.max(panel.end, ...panel.time.slice(-1)));
    this.whole = Math.max(...ends) + (this.axis === "time" ? 0.02 * Math.max(...ends) : 0);
    this.least = Math.min(this.whole, this.axis === "order" ? FEWEST : 8 / picture.ticks);
    this.show(this.low, this.high);
  }

  show(low, high) {
    const width = Math.min(Math.max(high - low, this.least), this.whole);
    this.low = Math.min(Math.max(low, 0), this.whole - width);
    this.high = this.low + width;
  }

  zoom(factor, around) {
    const inside = around >= this.low && around <= this.high;
    const centre = inside ? around : (this.low + this.high) / 2;
    this.show(centre - (centre - this.low) * factor, centre + (this.high - centre) * factor);
  }

  /** Moves as little as needed for a place to be in sight. */
  reveal(place) {
    const width = this.high - this.low, margin = width / 12;
    if (place < this.low + margin) this.show(place - margin, place - margin + width);
    if (place > this.high - margin) this.show(place + margin - width, place + margin);
  }

  /** The numbers [first, end) of the arrivals in sight. */
  span(panel) {
    const count = panel.step.length;
    if (this.axis === "order") {
      return [Math.max(0, Math.floor(this.low)), Math.min(count, Math.ceil(this.high))];
    }
    const first = panel.time.findIndex((time) => time >= this.low);
    const end = panel.time.findIndex((time) => time > this.high);
    return [first < 0 ? count : first, end < 0 ? count : end];
  }
}

/** The lowest and the highest potential in sight of both panels, and thresholds near it, with room. */
function heights(picture, sight) {
  let low = 0, high = Math.max(0, ...picture.thresholds);
  for (const panel of [picture.before, picture.after]) {
    const [first, end] = sight.span(panel);
    for (let at = first; at < end; at += 1) {
      low = Math.min(low, panel.charged[at], panel.after[at], first ? panel.after[first - 1] : low);
      high = Math.max(high, panel.charged[at], panel.after[at]);
    }
  }
  for (const limit of picture.thresholds) if (low < limit / 2) low = Math.min(low, limit);
  const room = 0.08 * (high - low || 1);
  return [low - room, high + room];
}

/** Draws one neuron in one run; returns (place -> x, potential -> y). */
function drawPanel(svg, picture, name, sight, selected, title) {
  const panel = picture[name];
  const width = svg.clientWidth || 640, height = HEIGHTS[name];
  const foot = name === "after" ? BOTTOM : 8;
  const [low, high] = heights(picture, sight);
  const scale = (width - LEFT - RIGHT) / (sight.high - sight.low);
  const x = (place) => LEFT + (place - sight.low) * scale;
  const y = (value) => TOP + 14 + (high - value) / (high - low) * (height - TOP - 14 - foot);
  const round = (value) => Math.round(value * 100) / 100;
  const [first, end] = sight.span(panel);
  const parts = [];
  const line = (kind, d) => d && parts.push(make("svg:path", { class: `eventsnn-${kind}`, d }));
  const text = (kind, at, words, more = {}) => parts.push(
    make("svg:text", { class: `eventsnn-${kind}`, x: round(at[0]), y: round(at[1]), ...more }, words));

  if (selected >= first && selected < end) {
    const at = x(sight.place(panel, selected)), half = Math.max(3, sight.axis === "order" ? scale / 2 : 5);
    parts.push(make("svg:rect", { class: "eventsnn-chosen", x: round(at - half), y: TOP,
      width: round(2 * half), height: height - TOP - foot }));
  }
  for (const value of ticks(low, high, 4)) {
    line("grid", `M${LEFT} ${round(y(value))}H${width - RIGHT}`);
    text("tick", [LEFT - 5, y(value) + 4], digits(value), { "text-anchor": "end" });
  }
  drawSteps(panel, sight, { x, height, foot, end, first, last: name === "after" }, line, text);
  for (const limit of picture.thresholds.filter((each) => each > low)) {
    line("threshold", `M${LEFT} ${round(y(limit))}H${width - RIGHT}`);
  }

  const charges = { excites: "", inhibits: "", drive: "", itself: "" };
  const marks = { excites: "", inhibits: "", drive: "", itself: "", fires: "", back: "", fresh: "" };
  let before = first ? panel.after[first - 1] : panel.start;
  let potential = `M${LEFT} ${round(y(before))}`;
  const marked = end - first <= MARKED;
  const size = round(Math.max(2.2, Math.min(4, (width - LEFT) / (end - first || 1) / 2.2)));
  for (let at = first; at < end; at += 1) {
    const here = round(x(sight.place(panel, at))), what = kind(panel, at);
    const top = round(y(panel.charged[at]));
    potential += `H${here}V${round(y(panel.after[at]))}`;
    charges[what] += `M${here} ${round(y(before))}V${top}`;
    const fresh = panel.spike[at] >= 0 && panel.recorded[at] < 0;
    if (marked) marks[fresh ? "fresh" : what] += MARKS[what](here, top, size);
    if (panel.fired[at]) {
      marks[panel.fired[at] > 0 ? "fires" : "back"] +=
        MARKS[panel.fired[at] > 0 ? "fires" : "back"](here, TOP + 6);
      if (marked && Math.abs(panel.fired[at]) > 1) {
        text("tick", [here + 7, TOP + 10], Math.abs(panel.fired[at]));
      }
    }
    before = panel.after[at];
  }
  line("potential", potential + `H${width - RIGHT}`);
  for (const [what, d] of Object.entries(charges)) line(`charge eventsnn-${what}`, d);
  for (const [what, d] of Object.entries(marks)) line(`mark eventsnn-${what}`, d);
  line("frame", `M${LEFT} ${TOP}V${height - foot}H${width - RIGHT}`);
  text("title", [LEFT, 15], title);
  const middle = (TOP + height - foot) / 2;
  text("label", [12, middle], picture.fires ? "potential (thresholds)" : "charge",
    { "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` });
  if (name === "after") {
    const order = width < 420 ? "arrivals" : "arrivals, in their order";
    const along = `${sight.axis === "order" ? order : "time"} (small numbers: steps)`;
    text("label", [(LEFT + width - RIGHT) / 2, height - 4], along, { "text-anchor": "middle" });
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  svg.replaceChildren(...parts);
  return { x, y, scale };
}

/** Marks where each step in sight begins. */
function drawSteps(panel, sight, { x, height, foot, first, end, last }, line, text) {
  let begins;
  if (sight.axis === "time") {
    begins = panel.begins.map((time, step) => [time, step + 1]);
    begins = begins.filter(([time]) => time >= sight.low && time <= sight.high);
  } else {
    begins = [];
    for (let at = first; at < end; at += 1) {
      if (!at || panel.step[at] !== panel.step[at - 1]) begins.push([at, panel.step[at]]);
    }
    if (!begins.length && end > first) begins.push([first, `in step ${panel.step[first]}`]);
  }
  const every = Math.ceil(begins.length / 12);
  begins.forEach(([place, step], i) => {
    const at = Math.round(x(Math.max(place, sight.low)) * 100) / 100;
    if (typeof step === "number") line("step", `M${at} 20V${height - foot}`);
    if (last && i % every === 0) text("tick", [at + 2, height - foot + 13], step);
  });
}

/** The page of one widget. */
class Page {
  constructor(model, el) {
    this.model = model;
    this.sight = new Sight();
    this.selected = 0;
    this.seen = "";
    this.drag = null;
    this.el = el;
    this.build();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.root);
    this.onPicture = () => this.receive();
    this.onRefusal = () => this.refuse(model.get("refusal").words);
    model.on("change:picture", this.onPicture);
    model.on("change:refusal", this.onRefusal);
    this.receive();
  }

  close() {
    this.observer.disconnect();
    clearTimeout(this.timer);
    this.model.off("change:picture", this.onPicture);
    this.model.off("change:refusal", this.onRefusal);
  }

  /** Asks the kernel for something. */
  ask(what, more = {}) {
    this.refuse("");
    this.root.setAttribute("aria-busy", "true");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refuse("No answer from the kernel: is it running?"), PATIENCE);
    this.model.send({ do: what, of: this.picture.number, ...more });
  }

  answered() {
    clearTimeout(this.timer);
    this.root.setAttribute("aria-busy", "false");
  }

  /** Shows why nothing was done; "": nothing to say. */
  refuse(words) {
    this.answered();
    this.refusal.textContent = words || "";
    this.refusal.hidden = !words;
    if (words && this.picture) this.fillForm();
  }

  receive() {
    this.picture = this.model.get("picture");
    if (!this.picture || !this.picture.after) return;
    const { image, layer, neuron, before, after } = this.picture;
    const now = `${image} ${layer} ${neuron}`;
    if (now !== this.seen) {
      const changed = after.charged.findIndex((value, at) => value !== before.charged[at]);
      const from = Math.max(0, changed - AT_FIRST / 3);
      this.sight.axis = "order";
      [this.sight.low, this.sight.high] = [from, from + AT_FIRST];
      const editable = after.recorded.findIndex((seq, at) => at >= from && seq >= 0);
      this.selected = changed >= 0 ? changed : Math.max(0, editable);
    } else if (this.follow >= 0) {
      const at = after.recorded.indexOf(this.follow);
      this.selected = at >= 0 ? at : Math.min(this.selected, after.step.length - 1);
    }
    this.seen = now;
    this.selected = Math.max(0, Math.min(this.selected, after.step.length - 1));
    this.refuse("");
    this.fillForm();
    this.fillTables();
    this.draw(true);
  }

  build() {
    const field = (words, ...parts) => make("label", {}, make("span", {}, words), ...parts);
    const button = (words, title, click) =>
      make("button", { type: "button", title, click: () => click() }, words);
    const choose = (name) => () => {
      const value = this[name].value;
      if (value === "") return this.fillForm();
      this.ask("choose", { [name]: Number(value) });
    };
    this.image = make("input", { type: "number", min: 0, step: 1, "aria-label": "image", change: choose("image") });
    this.images = make("span", { class: "eventsnn-quiet" });
    this.layer = make("select", { change: choose("layer") });
    this.neuron = make("input", { type: "number", min: 0, step: 1, "aria-label": "neuron", change: choose("neuron") });
    this.where = make("span", { class: "eventsnn-quiet" });
    this.worst = make("select", { change: () => {
      const [layer, neuron] = this.worst.value.split(" ").map(Number);
      if (this.worst.value) this.ask("choose", { layer, neuron });
    } });
    this.axis = make("select", { change: () => {
      this.sight.axis = this.axis.value;
      [this.sight.low, this.sight.high] = [0, Infinity];
      this.draw();
    } }, make("option", { value: "order" }, "order"), make("option", { value: "time" }, "time"));
    this.scroll = make("input", { type: "range", min: 0, max: 1000, "aria-label": "what is in sight",
      input: () => {
        const { low, high, whole } = this.sight;
        const start = (this.scroll.value / 1000) * (whole - (high - low));
        this.sight.show(start, start + high - low);
        this.draw(false, true);
      } });
    this.refusal = make("p", { class: "eventsnn-refusal", role: "alert", hidden: true });
    this.before = make("svg:svg", { class: "eventsnn-panel", role: "img",
      pointerdown: (event) => this.pick(event) });
    this.after = make("svg:svg", { class: "eventsnn-panel eventsnn-hand", tabindex: 0,
      role: "application",
      pointerdown: (event) => this.grab(event), pointermove: (event) => this.pull(event),
      pointerup: (event) => this.release(event), pointercancel: () => this.letGo(),
      keydown: (event) => this.key(event) });
    this.ghost = make("svg:path", { class: "eventsnn-ghost" });
    this.ghostWords = make("svg:text", { class: "eventsnn-title eventsnn-ghost-words" });
    this.detail = make("p", { class: "eventsnn-detail", "aria-live": "polite" });
    this.delay = make("input", { type: "number", min: 0, step: "any", value: 0.25,
      "aria-label": "steps of delay" });
    this.tools = [
      button("◀ swap", "changes places with the spike before (Shift+←)", () => this.swap(-1)),
      button("swap ▶", "changes places with the next spike (Shift+→)", () => this.swap(1)),
      button("delay by", "is delivered so many steps later", () => this.late()),
      button("drop", "is never delivered (Delete)", () => this.drop()),
    ];
    this.undo = button("undo", "takes the last edit back (u)", () => this.ask("undo"));
    this.reset = button("reset", "takes all edits back", () => this.ask("reset"));
    this.layers = make("div", { class: "eventsnn-box" });
    this.outputs = make("div", { class: "eventsnn-box" });
    this.edits = make("ol", { class: "eventsnn-edits" });
    this.notes = make("div", { class: "eventsnn-notes" });
    this.code = make("pre", { tabindex: 0 });
    this.copied = make("span", { class: "eventsnn-quiet", role: "status" });
    const zoom = (factor) => () => {
      this.sight.zoom(factor, this.sight.place(this.picture.after, this.selected));
      this.draw();
    };
    this.root = make("div", { class: "eventsnn-live", "data-lm-suppress-shortcuts": "true" },
      make("div", { class: "eventsnn-row" },
        field("image", this.image, this.images), field("layer", this.layer),
        field("neuron", this.neuron, this.where), field("worst neurons", this.worst)),
      this.refusal, this.before, this.after,
      make("div", { class: "eventsnn-row eventsnn-small" },
        field("along", this.axis),
        make("span", { class: "eventsnn-group" },
          button("−", "shows more (-)", zoom(2)), button("+", "shows less (+)", zoom(0.5)),
          button("all", "shows all (0)", () => this.all())),
        this.scroll, this.legend()),
      this.detail,
      make("div", { class: "eventsnn-row" },
        make("span", { class: "eventsnn-group" }, this.tools[0], this.tools[1]),
        make("span", { class: "eventsnn-group" }, this.tools[2], this.delay, "steps"),
        this.tools[3], make("span", { class: "eventsnn-group" }, this.undo, this.reset,
          button("copy as Python", "puts the edits on the clipboard", () => this.copy()), this.copied)),
      make("div", { class: "eventsnn-row" }, make("span", { class: "eventsnn-quiet" }, "edits"), this.edits),
      make("div", { class: "eventsnn-tables" }, this.layers, this.outputs),
      this.notes, make("details", {}, make("summary", {}, "the edits in Python"), this.code),
      this.help());
    this.details = this.root.querySelector("details");
    this.el.append(this.root);
  }

  legend() {
    const parts = MEANINGS.map(([mark, words]) => make("span", { class: "eventsnn-meaning" },
      make("svg:svg", { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" },
        make("svg:path", { class: `eventsnn-mark eventsnn-${mark}`, d: MARKS[mark](7, 7, 4) })), words));
    return make("span", { class: "eventsnn-legend" }, ...parts);
  }

  help() {
    return make("p", { class: "eventsnn-quiet eventsnn-help" },
      "Drag a spike in the lower picture: along the order it is put there; along time it is delayed, " +
      "or put in front of what arrives earlier. The whole spike moves, for all neurons that hear it. " +
      "Keys there: ← → choose, Shift with them swaps, Delete drops, u undoes, + − 0 zoom.");
  }

  fillForm() {
    const picture = this.picture;
    this.image.value = picture.image;
    this.image.max = picture.images - 1;
    this.image.disabled = picture.images < 2;
    this.images.textContent = [picture.images > 1 ? `of ${count(picture.images)}` : "", picture.label]
      .filter(Boolean).join(", ");
    this.layer.replaceChildren(...picture.layers.map((layer, number) => make("option",
      { value: number, disabled: layer.pools },
      `${layer.name} (${layer.shape}${layer.pools ? ", pools" : ""})`)));
    this.layer.value = picture.layer;
    this.neuron.value = picture.neuron;
    this.neuron.max = picture.layers[picture.layer].size - 1;
    this.where.textContent = picture.where;
    this.worst.replaceChildren(
      make("option", { value: "" }, picture.worst.rows.length ? "choose …" : "none"),
      ...picture.worst.rows.map((row) => make("option", { value: `${row.layer} ${row.neuron}` },
        `${picture.layers[row.layer].name} ${row.neuron}: fired ${row.fired}, ideal ${row.ideal}`)));
    this.worst.value = "";
    this.worst.title = picture.worst.words;
    this.worst.disabled = !picture.worst.rows.length;
    this.undo.disabled = this.reset.disabled = !picture.gestures.length;
    this.axis.value = this.sight.axis;
  }

  fillTables() {
    const { changes, outputs, layers, gestures } = this.picture;
    const cells = (name, ...values) => make("tr", {},
      ...values.map((value, at) => make(at ? name : "th", at ? {} : { scope: "row" }, value)));
    const head = (...words) => make("thead", {}, make("tr", {},
      ...words.map((word) => make("th", { scope: "col" }, word))));
    const rows = changes.rows.map((row) => cells("td", layers[row.layer].name,
      ...[row.before, row.after, row.gained, row.lost, row.moved, row.neurons].map(count)));
    this.layers.replaceChildren(
      make("p", { class: "eventsnn-caption" },
        changes.words || "Spikes of the layers that changed, and of this one"),
      make("table", {}, head("layer", "recorded", "edited", "gained", "lost", "moved", "neurons"),
        make("tbody", {}, ...rows)),
      make("p", { class: "eventsnn-quiet" }, "neurons: those whose net number of spikes changed"));
    this.outputs.replaceChildren(...this.bars(outputs));
    this.edits.replaceChildren(...gestures.map((edits) => make("li", {}, edits.join(", then "))));
    if (!gestures.length) this.edits.append(make("li", {}, "none yet"));
    this.notes.replaceChildren(
      ...this.picture.notes.map((note) => make("p", {}, note)),
      make("p", { class: "eventsnn-quiet" }, this.picture.conditions));
    this.code.textContent = this.picture.code;
    this.copied.textContent = "";
  }

  /** The readout before and after: a bar for each output. */
  bars({ rows, count: outputs, words, predictions }) {
    const values = rows.flatMap((row) => [row.before, row.after, 0]);
    const low = Math.min(...values), span = Math.max(...values) - low || 1;
    const at = (value) => 100 * (value - low) / span;
    const bar = (kind, value, y, height) => make("svg:rect", { class: `eventsnn-bar-${kind}`,
      x: Math.min(at(0), at(value)), width: Math.abs(at(value) - at(0)), y, height });
    const name = (output, own) => own || (predictions.length ? `class ${output}` : `output ${output}`);
    const drawn = rows.map((row) => make("tr",
      { class: predictions[1] === row.output ? "eventsnn-predicted" : "" },
      make("th", { scope: "row" }, name(row.output, row.name)),
      make("td", {}, make("svg:svg", { viewBox: "0 0 100 14", preserveAspectRatio: "none",
        class: "eventsnn-bars", "aria-hidden": "true" },
        bar("before", row.before, 1, 5), bar("after", row.after, 7, 6))),
      make("td", {}, digits(row.before)), make("td", {}, digits(row.after))));
    const [before, after] = predictions.map((output) => {
      const row = rows.find((each) => each.output === output);
      return row ? name(output, row.name) : `class ${output}`;
    });
    const decides = !predictions.length ? ""
      : before === after ? `; the prediction stays ${after}` : `; the prediction: ${before} → ${after}`;
    const some = rows.length < outputs ? ` (${rows.length} of ${count(outputs)} outputs shown)` : "";
    return [make("p", { class: "eventsnn-caption" }, words + decides + some),
      make("table", {}, make("thead", {}, make("tr", {}, make("th", {}, "output"),
        make("th", {}, "above recorded, below edited"), make("th", {}, "recorded"), make("th", {}, "edited"))),
        make("tbody", {}, ...drawn))];
  }

  draw(reveal = false, scrolled = false) {
    if (!this.picture || !this.picture.after) return;
    const { picture, sight } = this;
    sight.fit(picture);
    if (reveal) sight.reveal(sight.place(picture.after, this.selected));
    const seq = picture.after.recorded[this.selected];
    const twin = seq >= 0 ? picture.before.recorded.indexOf(seq)
      : picture.gestures.length ? -1 : this.selected;
    const edited = picture.gestures.length ? "as edited" : "not edited yet";
    drawPanel(this.before, picture, "before", sight, twin, `as recorded: ${picture.before.words}`);
    this.scales = drawPanel(this.after, picture, "after", sight, this.selected,
      `${edited}: ${picture.after.words}`);
    this.after.append(this.ghost, this.ghostWords);
    const named = `${picture.layers[picture.layer].name}, neuron ${picture.neuron}`;
    this.before.setAttribute("aria-label", `${named}, as recorded: ${picture.before.words}`);
    this.after.setAttribute("aria-label", `${named}, ${edited}: ${picture.after.words}`);
    this.detail.textContent = picture.after.step.length
      ? told(picture, picture.after, this.selected) : "Nothing arrives.";
    for (const tool of this.tools) tool.disabled = !(seq >= 0);
    this.delay.disabled = !(seq >= 0);
    const hidden = sight.whole - (sight.high - sight.low);
    this.scroll.disabled = hidden < 1e-9;
    if (!scrolled) this.scroll.value = hidden > 0 ? 1000 * sight.low / hidden : 0;
    this.axis.value = sight.axis;
  }

  all() {
    this.sight.show(0, this.sight.whole);
    this.draw();
  }

  choose(at) {
    this.selected = Math.max(0, Math.min(at, this.picture.after.step.length - 1));
    this.follow = this.picture.after.recorded[this.selected];
    this.draw(true);
  }

  swap(by) {
    this.follow = this.picture.after.recorded[this.selected];
    this.ask("swap", { at: this.selected, by });
  }

  late() {
    this.follow = this.picture.after.recorded[this.selected];
    this.ask("shift", { at: this.selected, steps: Number(this.delay.value) });
  }

  drop() {
    this.follow = -1;
    this.ask("drop", { at: this.selected });
  }

  key(event) {
    const panel = this.picture.after, last = panel.step.length - 1;
    const width = Math.max(1, Math.round((this.sight.span(panel)[1] - this.sight.span(panel)[0]) / 2));
    const zoom = (factor) => {
      this.sight.zoom(factor, this.sight.place(panel, this.selected));
      this.draw();
    };
    const done = {
      ArrowLeft: () => (event.shiftKey ? this.swap(-1) : this.choose(this.selected - 1)),
      ArrowRight: () => (event.shiftKey ? this.swap(1) : this.choose(this.selected + 1)),
      PageUp: () => this.choose(this.selected - width), PageDown: () => this.choose(this.selected + width),
      Home: () => this.choose(0), End: () => this.choose(last),
      Delete: () => this.drop(), Backspace: () => this.drop(),
      u: () => this.picture.gestures.length && this.ask("undo"),
      z: () => (event.ctrlKey || event.metaKey) && this.picture.gestures.length && this.ask("undo"),
      "+": () => zoom(0.5), "-": () => zoom(2), 0: () => this.all(), Escape: () => this.letGo(),
    }[event.key];
    if (!done) return;
    event.preventDefault();
    event.stopPropagation();
    done();
  }

  /** The arrival nearest to the pointer, and where the pointer is. */
  under(event, svg, panel) {
    const box = svg.getBoundingClientRect();
    const { x, y, scale } = this.scales;
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    const place = this.sight.low + (px - LEFT) / scale;
    const [first, end] = this.sight.span(panel);
    let best = first, least = Infinity;
    for (let at = first; at < end; at += 1) {
      const far = Math.hypot(x(this.sight.place(panel, at)) - px,
        this.sight.axis === "time" ? (y(panel.charged[at]) - py) / 4 : 0);
      if (far < least) [best, least] = [at, far];
    }
    return { at: best, place, px };
  }

  pick(event) {
    const { at } = this.under(event, this.before, this.picture.before);
    const seq = this.picture.before.recorded[at];
    const found = seq >= 0 ? this.picture.after.recorded.indexOf(seq) : at;
    if (found >= 0) this.choose(found);
  }

  grab(event) {
    if (event.button) return;
    this.after.focus({ preventScroll: true });
    const { at, place } = this.under(event, this.after, this.picture.after);
    this.choose(at);
    if (!(this.picture.after.recorded[at] >= 0)) return;
    this.drag = { at, from: place, of: this.picture.number };
    this.after.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  /** Where a spike that is pulled would be put. */
  pull(event) {
    if (!this.drag) return;
    const { place } = this.under(event, this.after, this.picture.after);
    const panel = this.picture.after, { at, from } = this.drag;
    let to, words = "";
    if (this.sight.axis === "order") {
      const gap = Math.max(0, Math.min(Math.round(place), panel.step.length));
      this.drag.gap = gap === at || gap === at + 1 ? undefined : gap;
      to = gap;
      if (this.drag.gap !== undefined) {
        words = gap < panel.step.length ? `in front of ${source(this.picture, panel, gap)}`
          : "behind the last";
      }
    } else {
      const tick = 1 / this.picture.ticks;
      this.drag.steps = Math.round((place - from) / tick) * tick;
      to = panel.time[at] + this.drag.steps;
      words = this.drag.steps ? `${signed(this.drag.steps)} steps` : "";
    }
    const x = Math.max(LEFT, this.scales.x(to));
    this.ghost.setAttribute("d", words ? `M${x} ${TOP}V${HEIGHTS.after - BOTTOM}` : "");
    const left = x > (this.after.clientWidth || 640) / 2;
    this.ghostWords.setAttribute("x", x + (left ? -6 : 6));
    this.ghostWords.setAttribute("y", HEIGHTS.after - BOTTOM - 6);
    this.ghostWords.setAttribute("text-anchor", left ? "end" : "start");
    this.ghostWords.textContent = words;
  }

  release() {
    const drag = this.drag;
    this.letGo();
    if (!drag || drag.of !== this.picture.number) return;
    this.follow = this.picture.after.recorded[drag.at];
    if (drag.gap !== undefined) this.ask("place", { at: drag.at, gap: drag.gap });
    else if (drag.steps) this.ask("shift", { at: drag.at, steps: drag.steps });
  }

  letGo() {
    this.drag = null;
    this.ghost.setAttribute("d", "");
    this.ghostWords.textContent = "";
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.picture.code);
      this.copied.textContent = "copied";
    } catch {
      this.details.open = true;
      const range = document.createRange();
      range.selectNodeContents(this.code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      this.copied.textContent = "selected: copy it with Ctrl+C";
    }
  }
}

function render({ model, el }) {
  const page = new Page(model, el);
  return () => page.close();
}

export default { render };
