// src/view/ask.ts
var Questions = class {
  constructor(_model) {
    this._model = _model;
    this._heard = (message) => {
      const open = this._open.get(message.number);
      if (!open) {
        return;
      }
      this._open.delete(message.number);
      if (message.error === void 0) {
        open.resolve(message.answer);
      } else {
        open.reject(new Error(message.error));
      }
    };
    this._open = /* @__PURE__ */ new Map();
    this._lanes = /* @__PURE__ */ new Map();
    this._last = Math.floor(Math.random() * 2 ** 50);
    _model.on("msg:custom", this._heard);
  }
  ask(what, fields = {}) {
    return new Promise((resolve, reject) => {
      this._open.set(++this._last, { resolve, reject });
      this._model.send({ number: this._last, what, ...fields });
    });
  }
  /** Ask one question of a kind at a time; of those that wait, only the last is sent. */
  async askLast(what, fields, take, fail, queue = what) {
    const lane = this._lane(queue);
    if (lane.busy) {
      lane.next = { what, fields, take, fail };
      return;
    }
    lane.busy = true;
    const { dropped } = lane;
    const stands = () => !lane.next && lane.dropped === dropped;
    try {
      const answer = await this.ask(what, fields);
      if (stands()) {
        take(answer);
      }
    } catch (error) {
      if (stands()) {
        fail(error);
      }
    } finally {
      lane.busy = false;
      const { next } = lane;
      lane.next = null;
      if (next) {
        void this.askLast(next.what, next.fields, next.take, next.fail, queue);
      }
    }
  }
  /** Forget the questions of a kind, in flight and waiting. */
  drop(queue) {
    const lane = this._lane(queue);
    lane.dropped += 1;
    lane.next = null;
  }
  close() {
    this._model.off("msg:custom", this._heard);
  }
  _lane(queue) {
    let lane = this._lanes.get(queue);
    if (!lane) {
      lane = { busy: false, next: null, dropped: 0 };
      this._lanes.set(queue, lane);
    }
    return lane;
  }
};

// src/view/dom.ts
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      made.addEventListener(key.slice(2), value);
    } else if (key === "text") {
      made.textContent = String(value);
    } else if (value !== false && value !== null && value !== void 0) {
      made.setAttribute(key, value === true ? "" : String(value));
    }
  }
  made.append(...children);
  return made;
}
var SVG = "http://www.w3.org/2000/svg";
function icon(path, name = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("width", "16");
  svg.setAttribute("height", "16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `icon ${name}`.trim());
  const drawn = document.createElementNS(SVG, "path");
  drawn.setAttribute("d", path);
  svg.append(drawn);
  return svg;
}
var ICONS = {
  refresh: "M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3",
  clear: "M3 4h7M3 8h5M3 12h5M11 9l4 4M15 9l-4 4",
  collapse: "M3 3h10v10H3zM5.5 8h5",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  pin: "M6 2h4l-.5 5L12 9.5H4L6.5 7zM8 9.5V14",
  send: "M8 11V2M4.5 5.5L8 2l3.5 3.5M3 13h10",
  copy: "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7",
  notebook: "M4 2h9v12H4zM4 2v12M2.5 5h2M2.5 8h2M2.5 11h2M7 5h4",
  code: "M6 4L2.5 8 6 12M10 4l3.500 4L10 12",
  prose: "M3 3h10M3 6h10M3 9h10M3 12h6",
  data: "M3 3h10v10H3zM3 6.500h10M3 10h10M7 3v10",
  close: "M4 4l8 8M12 4l-8 8",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4"
};
var plain = (name) => (
  // eslint-disable-next-line no-control-regex
  name.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "�")
);
var number = new Intl.NumberFormat("en").format;
var translator = (catalogue) => (text, ...values) => catalogue ? catalogue.__(text, ...values) : text.replace(/%(\d)/g, (_, n) => String(values[Number(n) - 1]));
var pieces = (segments) => segments.map(([css, marked, text]) => element(marked ? "mark" : "span", { class: css || false, text }));
function themed(root, changed = () => void 0) {
  const draw = () => {
    const light = document.body.dataset.jpThemeLight;
    const dark = light === "false" || light === void 0 && matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "dark" : "light";
    changed();
  };
  const seen = new MutationObserver(draw);
  seen.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  draw();
  return () => seen.disconnect();
}

// src/view/host.ts
var FRAGMENT = "codeintel";
function linkOf(place) {
  const values = { line: String(place.line) };
  if (place.column !== null) {
    values.column = String(place.column);
    values.length = String(place.length);
  }
  if (place.cell !== null) {
    values.cell = String(place.cell);
    if (place.cell_line !== null) {
      values.cell_line = String(place.cell_line);
    }
  }
  const path = place.path.split("/").map(encodeURIComponent).join("/");
  return `${path}#${FRAGMENT}&${new URLSearchParams(values)}`;
}
function linkHost(failed) {
  const follow = (href) => {
    const link = document.createElement("a");
    link.href = href;
    link.target = "_blank";
    link.rel = "noopener";
    document.body.append(link);
    link.click();
    link.remove();
  };
  const config = JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "{}");
  return {
    open: (place) => {
      const page = config.appUrl === "/lab" ? "lab/tree" : place.path.endsWith(".ipynb") ? "notebooks" : "edit";
      if (!config.baseUrl) {
        return failed("This page cannot open files.");
      }
      follow(`${config.baseUrl}${page}/${linkOf(place)}`);
    },
    view: (repo, path, line) => {
      if (!config.baseUrl) {
        return failed("This page cannot open files.");
      }
      follow(`#${FRAGMENT}&${new URLSearchParams({ repo, view: path, line: String(line) })}`);
    }
  };
}

// src/view/map.ts
var MAP_HEIGHT = 480;
var NEAR = 8;
var MOST_ZOOM = 400;
var HINT = "Hover over a point to see its code; click it to open its file, or a name to search only there. Drag to move, Ctrl and the wheel or + and - to zoom, 0 to show all, Shift and drag to select, N for the next hit, Enter to open it.";
function pixel(colour, towards = colour, share = 0) {
  const part = (text, i) => parseInt(text.slice(1 + 2 * i, 3 + 2 * i), 16);
  const [red, green, blue] = [0, 1, 2].map((i) => Math.round(part(colour, i) * (1 - share) + part(towards, i) * share));
  return (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
}
function disc(diameter, width) {
  const radius = diameter / 2;
  const offsets = [];
  for (let y = -Math.floor(radius); y < radius; y++)
    for (let x = -Math.floor(radius); x < radius; x++)
      if (Math.hypot(x + 0.5, y + 0.5) <= radius + 0.2) offsets.push(y * width + x);
  return Int32Array.from(offsets);
}
function renderMap({ model, el, application }) {
  const questions = new Questions(model);
  const bytes = (name) => {
    const held2 = model.get(name);
    return held2.buffer.slice(held2.byteOffset, held2.byteOffset + held2.byteLength);
  };
  const [xs, ys, group] = [new Float32Array(bytes("x")), new Float32Array(bytes("y")), new Uint8Array(bytes("group"))];
  let hits = model.get("hits");
  const clusters = model.get("clusters") ?? [];
  let labels = [];
  const groups = model.get("groups");
  const hidden = new Uint8Array(groups.length);
  let chosen = null;
  let hovered = -1;
  let read = -1;
  let lasso = null;
  let frame = 0;
  let image;
  let pixels = new Uint32Array();
  const canvas = element("canvas", {
    tabindex: "0",
    role: "application",
    "aria-roledescription": "map",
    "aria-label": model.get("caption"),
    "aria-describedby": `hint-${model.model_id}`
  });
  const context = canvas.getContext("2d");
  const title = element("button", { type: "button", class: "title", hidden: true, onclick: () => open(read) });
  const note = element("span", { role: "status", text: HINT, id: `hint-${model.model_id}` });
  const picked = element("small", { role: "status", class: "picked" });
  const code = element("pre", { class: "highlight" });
  const legend = element("div", { class: "legend", role: "group", "aria-label": "Groups: press a group to hide or show it" });
  for (const [i, [name, colour, points]] of groups.entries()) {
    const key = element(
      "button",
      {
        type: "button",
        class: "key",
        "aria-pressed": "true",
        onclick: () => {
          hidden[i] = 1 - hidden[i];
          key.setAttribute("aria-pressed", String(!hidden[i]));
          dirty();
        }
      },
      element("span", {
        class: `swatch${colour === "#000000" ? " ink" : ""}`,
        style: `background:${colour}`,
        "aria-hidden": "true"
      }),
      `${plain(name)} ${number(points)}`
    );
    legend.append(key);
  }
  const tooltip = element("div", { class: "tooltip", hidden: true, "aria-hidden": "true" });
  const counts = element("small", { class: "counts", text: model.get("caption") });
  const query = element("input", {
    type: "search",
    placeholder: "Search in this map",
    "aria-label": "Search in this map by meaning",
    spellcheck: "false",
    onkeydown: (event) => {
      if (event.key === "Enter" && query.value.trim()) {
        questions.ask("find", { query: query.value.trim() }).then((text) => counts.textContent = text, failed);
      }
      if (!event.ctrlKey && !event.metaKey && !event.altKey) {
        event.stopPropagation();
      }
    }
  });
  const root = element(
    "div",
    { class: "codeintel map", role: "group", "aria-label": "Code map" },
    element("div", { class: "map-head" }, counts, query),
    element("div", { class: "map-canvas" }, canvas, tooltip),
    legend,
    picked,
    title,
    note,
    code
  );
  const highlighted = () => {
    hits = model.get("hits");
    dirty();
  };
  model.on("change:hits", highlighted);
  const opener = application ?? linkHost((message) => note.textContent = message);
  const view = { x: 0, y: 0, scale: 1 };
  const all = { x: 0, y: 0, scale: 1 };
  function fit() {
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < xs.length; i++) {
      left = Math.min(left, xs[i]);
      right = Math.max(right, xs[i]);
      low = Math.min(low, ys[i]);
      high = Math.max(high, ys[i]);
    }
    const scale = 0.94 * Math.min(canvas.width / Math.max(right - left, 1e-3), canvas.height / Math.max(high - low, 1e-3));
    const zoomed = view.scale / all.scale;
    if (view.scale === all.scale) Object.assign(view, { x: (left + right) / 2, y: (low + high) / 2 });
    Object.assign(all, { x: (left + right) / 2, y: (low + high) / 2, scale });
    view.scale = zoomed * scale;
  }
  const across = (x) => (x - view.x) * view.scale + canvas.width / 2;
  const down = (y) => canvas.height / 2 - (y - view.y) * view.scale;
  const ratio = () => canvas.width / Math.max(canvas.clientWidth, 1);
  const placed = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * ratio(), (event.clientY - box.top) * ratio()];
  };
  function dirty() {
    if (!frame) frame = requestAnimationFrame(draw);
  }
  function draw() {
    frame = 0;
    if (!canvas.width || !canvas.height) return;
    const ink = root.dataset.theme === "dark" ? "#ffffff" : "#000000";
    const paper = `#${(getComputedStyle(root).backgroundColor.match(/\d+/g) ?? ["255", "255", "255"]).slice(0, 3).map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`;
    const colours = groups.map(([, colour]) => colour === "#000000" ? ink : colour);
    const [full, pale] = [0, 0.8].map((share) => Uint32Array.from(colours, (colour) => pixel(colour, paper, share)));
    if (image?.width !== canvas.width || image.height !== canvas.height) {
      image = context.createImageData(canvas.width, canvas.height);
      pixels = new Uint32Array(image.data.buffer);
    }
    pixels.fill(pixel(paper));
    const { width, height } = canvas;
    const usual = xs.length > 5e4 ? 2 : xs.length > 5e3 ? 4 : 7;
    const size = Math.round(usual * ratio() * Math.min(4, Math.sqrt(view.scale / all.scale)));
    const offsets = disc(size, width);
    const rim = Math.ceil(size / 2) + 1;
    const layers = chosen ? [
      [0, pale],
      [1, full]
    ] : [[void 0, full]];
    for (const [only, colour] of layers) {
      for (let i = 0; i < xs.length; i++) {
        const of = group[i];
        if (hidden[of] || only !== void 0 && chosen?.[i] !== only) continue;
        const x = across(xs[i]) | 0;
        const y = down(ys[i]) | 0;
        if (x < rim || y < rim || x >= width - rim || y >= height - rim) continue;
        const at = y * width + x;
        for (let k = 0; k < offsets.length; k++) pixels[at + offsets[k]] = colour[of];
      }
    }
    context.putImageData(image, 0, 0);
    hits.forEach((i, rank) => {
      if (!hidden[group[i]]) {
        ring(i, Math.max(4 * ratio(), size * 0.7), colours[group[i]], ink, paper);
        write(String(rank + 1), across(xs[i]) + 8 * ratio(), down(ys[i]) - 6 * ratio(), 10, ink, paper);
      }
    });
    drawLabels(ink, paper);
    if (hovered >= 0) ring(hovered, Math.max(7 * ratio(), size), colours[group[hovered]], ink, paper);
    context.lineWidth = 1.5 * ratio();
    if (lasso) {
      context.beginPath();
      for (const [x, y] of lasso) context.lineTo(across(x), down(y));
      context.closePath();
      context.strokeStyle = ink;
      context.stroke();
    }
  }
  function write(text, x, y, px, ink, paper) {
    context.font = `600 ${px * ratio()}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 3 * ratio();
    context.strokeStyle = paper;
    context.strokeText(text, x, y);
    context.fillStyle = ink;
    context.fillText(text, x, y);
    return context.measureText(text).width;
  }
  function drawLabels(ink, paper) {
    labels = [];
    const half = 8 * ratio();
    clusters.forEach(([cx, cy, name], cluster) => {
      const [x, y] = [across(cx), down(cy)];
      context.font = `600 ${12 * ratio()}px system-ui, sans-serif`;
      const wide = context.measureText(name).width / 2 + 4 * ratio();
      const box = [x - wide, y - half, x + wide, y + half];
      const isCovered = labels.some(({ box: b }) => box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1]);
      if (!isCovered && box[0] > 0 && box[2] < canvas.width && y > half && y < canvas.height - half) {
        write(name, x, y, 12, ink, paper);
        labels.push({ box, cluster });
      }
    });
  }
  const labelAt = ([x, y]) => labels.find(({ box }) => x > box[0] && x < box[2] && y > box[1] && y < box[3]);
  function ring(i, radius, inside, line, halo) {
    context.beginPath();
    context.arc(across(xs[i]), down(ys[i]), radius, 0, 7);
    for (const [width, colour] of [
      [5, halo],
      [2.5, line]
    ]) {
      context.lineWidth = width * ratio();
      context.strokeStyle = colour;
      context.stroke();
    }
    context.fillStyle = inside;
    context.fill();
  }
  function nearest([x, y]) {
    const [at, from] = [view.x + (x - canvas.width / 2) / view.scale, view.y - (y - canvas.height / 2) / view.scale];
    const reach = NEAR * ratio() / view.scale;
    let [best, found] = [reach * reach, -1];
    const look = (i) => {
      const far = (xs[i] - at) ** 2 + (ys[i] - from) ** 2;
      if (far < best && !hidden[group[i]]) [best, found] = [far, i];
    };
    for (const i of hits) look(i);
    if (found < 0) for (let i = 0; i < xs.length; i++) look(i);
    return found;
  }
  const failed = (error) => note.textContent = error.message;
  function hover(i) {
    if (i === hovered) return;
    hovered = i;
    dirty();
    tooltip.hidden = true;
    if (i < 0) return questions.drop("look");
    void questions.askLast(
      "look",
      { row: i },
      (place) => {
        read = i;
        title.textContent = place.title;
        title.hidden = false;
        note.textContent = place.note;
        showTooltip(i, place);
        code.replaceChildren(...pieces(place.segments));
      },
      failed
    );
  }
  function showTooltip(i, place) {
    const text = place.segments.map((part) => part[2]).join("");
    const lines = text.split("\n").filter((line) => line.trim());
    tooltip.replaceChildren(element("b", { text: place.title }), element("pre", { text: lines.slice(0, 3).join("\n") }));
    tooltip.hidden = hovered !== i;
    const [x, y] = [across(xs[i]) / ratio(), down(ys[i]) / ratio()];
    tooltip.style.left = `${Math.max(0, Math.min(x + 12, canvas.clientWidth - tooltip.offsetWidth))}px`;
    tooltip.style.top = `${y + 14 + tooltip.offsetHeight > MAP_HEIGHT ? y - 14 - tooltip.offsetHeight : y + 14}px`;
  }
  function open(i) {
    if (i < 0) {
      return;
    }
    questions.ask("look", { row: i }).then((place) => {
      if (place.place === null) {
        opener.view(place.repo, place.path, place.line);
      } else {
        opener.open({
          path: place.place,
          line: place.line,
          column: place.column ?? null,
          length: 0,
          cell: place.cell ?? null,
          cell_line: place.cell_line ?? null
        });
      }
    }, failed);
  }
  function zoom(by, [x, y] = [canvas.width / 2, canvas.height / 2]) {
    const scale = Math.max(all.scale / 2, Math.min(all.scale * MOST_ZOOM, view.scale * by));
    const kept = 1 / view.scale - 1 / scale;
    view.x += (x - canvas.width / 2) * kept;
    view.y -= (y - canvas.height / 2) * kept;
    view.scale = scale;
    dirty();
  }
  function move(x, y) {
    view.x -= x / view.scale;
    view.y += y / view.scale;
    dirty();
  }
  function choose(corners) {
    const inside = (corners2, x, y) => {
      let within = false;
      for (let i = 0, j = corners2.length - 1; i < corners2.length; j = i++) {
        const [[x1, y1], [x2, y2]] = [corners2[i], corners2[j]];
        if (y1 > y !== y2 > y && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1) within = !within;
      }
      return within;
    };
    const rows = [];
    if (corners) {
      for (let i = 0; i < xs.length; i++) if (!hidden[group[i]] && inside(corners, xs[i], ys[i])) rows.push(i);
    }
    chosen = rows.length ? new Uint8Array(xs.length) : null;
    for (const row of rows) chosen[row] = 1;
    questions.ask("choose", { rows }).then((text) => picked.textContent = text, failed);
    dirty();
  }
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    held = { at: placed(event), moved: 0 };
    if (event.shiftKey) lasso = [];
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = placed(event);
    if (!held) return hover(nearest(at));
    const [x, y] = [at[0] - held.at[0], at[1] - held.at[1]];
    held.moved += Math.hypot(x, y);
    held.at = at;
    if (lasso) {
      lasso.push([view.x + (at[0] - canvas.width / 2) / view.scale, view.y - (at[1] - canvas.height / 2) / view.scale]);
      dirty();
    } else if (held.moved > 3 * ratio()) move(x, y);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!held) return;
    const { moved } = held;
    held = null;
    if (lasso) {
      const drawn = lasso;
      lasso = null;
      choose(drawn.length > 2 ? drawn : null);
    } else if (moved <= 3 * ratio()) {
      const label = labelAt(placed(event));
      const point = nearest(placed(event));
      if (label && !hits.includes(point)) {
        questions.ask("narrow", { cluster: label.cluster }).then((text) => picked.textContent = text, failed);
      } else {
        hover(point);
        open(hovered);
      }
    }
  });
  canvas.addEventListener("mousedown", (event) => event.shiftKey && event.stopPropagation());
  canvas.addEventListener("pointercancel", () => {
    held = lasso = null;
    dirty();
  });
  canvas.addEventListener("pointerleave", () => !held && hover(-1));
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 2e-3)), placed(event));
    },
    { passive: false }
  );
  let next = -1;
  const KEYS = {
    ArrowLeft: () => move(40, 0),
    ArrowRight: () => move(-40, 0),
    ArrowUp: () => move(0, 40),
    ArrowDown: () => move(0, -40),
    "+": () => zoom(1.4),
    "=": () => zoom(1.4),
    "-": () => zoom(1 / 1.4),
    0: () => {
      Object.assign(view, all);
      dirty();
    },
    n: () => hits.length && hover(hits[next = (next + 1) % hits.length]),
    Enter: () => open(hovered),
    Escape: () => chosen && choose(null)
  };
  canvas.addEventListener("keydown", (event) => {
    const act = !event.ctrlKey && !event.metaKey && !event.altKey && KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  });
  const sized = new ResizeObserver(() => {
    const dots = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * dots), Math.round(MAP_HEIGHT * dots)];
    if (!width || canvas.width === width && canvas.height === height) return;
    Object.assign(canvas, { width, height });
    fit();
    dirty();
  });
  canvas.style.height = `${MAP_HEIGHT}px`;
  sized.observe(canvas);
  const endTheme = themed(root, dirty);
  el.append(root);
  return () => {
    sized.disconnect();
    endTheme();
    cancelAnimationFrame(frame);
    model.off("change:hits", highlighted);
    questions.close();
    root.remove();
  };
}

// src/view/searches.ts
var MODES = [
  ["text", "Text", "Lines that contain the text"],
  ["meaning", "Meaning", "Code that does what you describe in plain words"],
  ["symbols", "Symbols", "Definitions by name"],
  ["files", "Files", "Files by name"]
];
var SWITCHES = [
  ["case", "Aa", "Match case"],
  ["word", "ab", "Match whole words"],
  ["regex", ".*", "Use a regular expression"]
];
var HISTORY = "codeintel-nb:history";
var MAX_HISTORY = 30;
var PINS = "codeintel-nb:pins";
var MAX_PINS = 20;
function remembered(key) {
  try {
    const entries = JSON.parse(localStorage.getItem(key) ?? "[]");
    return entries.map(searchOf).filter((one) => one !== null);
  } catch {
    return [];
  }
}
function remember(key, search, maximum) {
  const entries = remembered(key);
  const others = entries.filter((one) => !isSame(one, search));
  localStorage.setItem(key, JSON.stringify([search, ...others].slice(0, maximum)));
  return others.length === entries.length;
}
function forget(key, search) {
  localStorage.setItem(key, JSON.stringify(remembered(key).filter((one) => !isSame(one, search))));
}
function isSame(a, b) {
  return a.text === b.text && a.mode === b.mode && [...a.switches].sort().join() === [...b.switches].sort().join();
}
function searchOf(entry) {
  const [text, mode] = Array.isArray(entry) ? entry : [entry?.text ?? entry, entry?.mode];
  const switches = Array.isArray(entry?.switches) ? entry.switches.map(String) : [];
  const isKnown = MODES.some(([one]) => one === mode);
  return typeof text === "string" ? { text, mode: isKnown ? mode : "text", switches } : null;
}

// src/view/box.ts
var Box = class {
  constructor(id, _t, _changed) {
    this._changed = _changed;
    this.mode = "text";
    this._on = { case: false, word: false, regex: false };
    this._open = "";
    // the text after a word became a chip
    this._at = -1;
    // in the history; -1 for what was typed
    this._typed = { text: "", mode: "text", switches: [] };
    this.input = element("input", {
      type: "search",
      "aria-label": _t("Search in scope"),
      placeholder: _t("Search this project"),
      autocomplete: "off",
      spellcheck: "false",
      role: "combobox",
      "aria-expanded": "false",
      "aria-autocomplete": "none",
      "aria-controls": `results-${id}`,
      "aria-haspopup": "tree"
    });
    this.input.addEventListener("input", () => {
      this._at = -1;
      this.showError("");
      this._changed(true);
    });
    this._switches = SWITCHES.map(
      ([name, text, title]) => element("button", {
        type: "button",
        class: "switch",
        text,
        title: _t(title),
        "aria-label": _t(title),
        "aria-pressed": "false",
        onclick: () => {
          this._on[name] = !this._on[name];
          this._drawSwitches();
          this._changed(false);
        }
      })
    );
    const globs = element("button", {
      type: "button",
      class: "switch",
      text: "…",
      title: _t("Files to include, in place of the scope's, and to exclude"),
      "aria-label": _t("Files to include, in place of the scope's, and to exclude"),
      "aria-expanded": "false",
      onclick: () => {
        fields.hidden = !fields.hidden;
        globs.setAttribute("aria-expanded", String(!fields.hidden));
        if (!fields.hidden) {
          this._include.focus();
        } else if (this._include.value || this._exclude.value) {
          this._include.value = this._exclude.value = "";
          this._changed(false);
        }
      }
    });
    [this._include, this._exclude] = [
      ["files to include", "src/**, *.py"],
      ["files to exclude", "**/tests/**"]
    ].map(
      ([title, example]) => element("input", {
        type: "text",
        placeholder: `${_t(title)}: ${example}`,
        "aria-label": _t(title),
        spellcheck: "false",
        oninput: () => this._changed(true)
      })
    );
    const fields = element("div", { class: "globs", hidden: true }, this._include, this._exclude);
    this._error = element("div", { class: "error", role: "alert" });
    const box = element("div", { class: "box" }, this.input, ...this._switches, globs);
    this.node = element("div", { class: "query" }, box, this._error, fields);
    this._modeButtons = MODES.map(
      ([mode, text, title]) => element("button", {
        type: "button",
        role: "radio",
        text: _t(text),
        title: _t(title),
        "aria-checked": String(mode === this.mode),
        tabindex: mode === this.mode ? "0" : "-1",
        onclick: () => this.setMode(mode)
      })
    );
    this.modes = element("div", { class: "modes", role: "radiogroup", "aria-label": _t("Search by") }, ...this._modeButtons);
    this.modes.addEventListener("keydown", (event) => {
      const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (by) {
        const at = MODES.findIndex(([mode]) => mode === this.mode);
        const next = (at + by + MODES.length) % MODES.length;
        this.setMode(MODES[next][0]);
        this._modeButtons[next].focus();
        event.preventDefault();
        event.stopPropagation();
      }
    });
  }
  /** Replace the text, of which a word became a chip; the blank to go on typing is no part of the query. */
  replace(text) {
    this._open = text ? `${text} ` : "";
    this.input.value = this._open;
  }
  /** Show another query, as if it had been typed with these switches. */
  show(query, mode, switches) {
    this._at = -1;
    this._open = "";
    this.input.value = query.replace(/\s*\n\s*/g, " ");
    for (const [name] of SWITCHES) {
      this._on[name] = switches.includes(name);
    }
    this._drawMode(mode);
  }
  clear() {
    this._at = -1;
    this.input.value = "";
  }
  setMode(mode) {
    if (mode !== this.mode) {
      this._drawMode(mode);
      this.showError("");
      this._changed(false);
    }
  }
  _drawMode(mode) {
    this.mode = mode;
    MODES.forEach(([one], i) => {
      this._modeButtons[i].setAttribute("aria-checked", String(one === mode));
      this._modeButtons[i].tabIndex = one === mode ? 0 : -1;
    });
    this._drawSwitches();
  }
  /** Return the fields of a search. */
  fields() {
    const globs = (input) => (input.value.match(/(?:[^,{]|\{[^}]*\})+/g) ?? []).map((glob) => glob.trim()).filter(Boolean);
    const isText = this.mode === "text";
    return {
      query: this.input.value === this._open ? this._open.trimEnd() : this.input.value,
      mode: this.mode,
      regex: isText && this._on.regex,
      word: isText && this._on.word,
      case: isText && this._on.case ? "sensitive" : "smart",
      include: globs(this._include),
      exclude: globs(this._exclude)
    };
  }
  /** Replace the globs to include; the field cannot hold a literal comma or brace. */
  include(globs) {
    this._include.value = globs.map((glob) => glob.replace(/,|\\[{}]/g, "?")).join(", ");
  }
  showError(message) {
    this._error.textContent = message;
    this.input.setAttribute("aria-invalid", String(Boolean(message)));
  }
  /** Return the search in the box, as it is remembered. */
  get current() {
    const switches = this.mode === "text" ? SWITCHES.map(([name]) => name).filter((name) => this._on[name]) : [];
    return { text: this.input.value.trim(), mode: this.mode, switches };
  }
  /** Remember the search; called when a result is opened, or the box is left. */
  remember() {
    if (this.current.text) {
      remember(HISTORY, this.current, MAX_HISTORY);
    }
  }
  /** Go back or forward in the history; whether there was a search to show. */
  recall(by) {
    if (this._at < 0 && by > 0) {
      this._typed = { ...this.current, text: this.input.value };
      this.remember();
    }
    const history = remembered(HISTORY);
    const typed = { ...this._typed, text: this._typed.text.trim() };
    const first = history.length > 0 && isSame(typed, history[0]) ? 1 : 0;
    const index = this._at < 0 ? first : this._at + by;
    if (index < -1 || index >= history.length) {
      return false;
    }
    const { text, mode, switches } = index < 0 ? this._typed : history[index];
    this.show(text, mode, switches);
    this._at = index;
    this._changed(false);
    return true;
  }
  get isRecalling() {
    return this._at >= 0;
  }
  _drawSwitches() {
    SWITCHES.forEach(([name], i) => {
      this._switches[i].setAttribute("aria-pressed", String(this._on[name]));
      this._switches[i].disabled = this.mode !== "text";
    });
  }
};

// src/view/words.ts
var FIELDS = {
  lang: "languages",
  language: "languages",
  kind: "kinds",
  repo: "repos",
  path: "include_globs",
  "-path": "exclude_globs"
};
var WORD = /(^|\s)(-?(?:lang|language|kind|repo|path)):("[^"]+"|[^\s"]+)\s/;
var LISTS = ["repos", "include_globs", "exclude_globs", "languages", "kinds"];
function taken(query, scope) {
  let rest = query;
  let changed = null;
  for (let match = WORD.exec(rest); match; match = WORD.exec(rest)) {
    const field = FIELDS[match[2]];
    if (!field) {
      break;
    }
    let value = match[3].replace(/^"|"$/g, "");
    if (field.endsWith("globs") && !/[*?[{]/.test(value)) {
      value = `**/${value.replace(/^\/+|\/+$/g, "")}/**`.replace("**/**", "**");
      if (/\.\w+\/\*\*$/.test(value)) {
        value = value.slice(0, -3);
      }
    }
    const base = changed ?? scope;
    changed = field === "repos" && base.repos === scope.repos ? { ...base, repos: [value] } : withValue(base, field, value);
    rest = `${rest.slice(0, match.index)}${match[1]}${rest.slice(match.index + match[0].length)}`;
  }
  return [changed ? rest.trim() : query, changed];
}
function without(scope, field, value) {
  const values = (scope[field] ?? []).filter((one) => one !== value);
  return { ...scope, [field]: values };
}
function withValue(scope, field, value) {
  return { ...scope, [field]: [.../* @__PURE__ */ new Set([...scope[field] ?? [], value])] };
}
var isEverywhere = (scope) => !scope.repos?.length || scope.repos[0] === "*";

// src/view/chips.ts
var TITLES = {
  repos: "Repositories",
  include_globs: "Folders",
  languages: "Languages",
  kinds: "Kinds"
};
var MAX_CHOICES = 30;
var ScopeChips = class {
  constructor(_t, _actions) {
    this._t = _t;
    this._actions = _actions;
    this._facets = [];
    this._scope = {};
    this._list = element("span", { class: "list-of-chips", role: "group", "aria-label": _t("Scope") });
    this._add = element("button", {
      type: "button",
      class: "chip add",
      "aria-expanded": "false",
      text: _t("+ limit"),
      title: _t("Limit the scope, or use a saved one"),
      onclick: () => this.toggle()
    });
    this._error = element("div", { class: "error", role: "alert" });
    this.node = element("div", { class: "chips" }, this._list, this._add, this._error);
    this.popover = element("div", { class: "popover", hidden: true });
    this.popover.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        this.toggle(false);
        this._add.focus();
      }
      if (!event.ctrlKey && !event.metaKey && !event.altKey) {
        event.stopPropagation();
      }
    });
  }
  showError(message) {
    this._error.textContent = message;
  }
  toggle(open = this.popover.hidden) {
    this.popover.hidden = !open;
    this._add.setAttribute("aria-expanded", String(open));
    if (open) {
      this._drawChoices();
      this.popover.querySelector("button, input")?.focus();
    }
  }
  draw(state, scope) {
    this._state = state;
    this._scope = scope;
    const t = this._t;
    const chips = [];
    if (isEverywhere(scope)) {
      chips.push(element("span", { class: "chip plain", text: t("everything") }));
    }
    for (const field of LISTS) {
      for (const value of scope[field] ?? []) {
        if (field === "repos" && value === "*") {
          continue;
        }
        const text = plain(field === "exclude_globs" ? `−${value}` : value);
        const name = element("span", { class: "value", text, title: value });
        const remove = element("button", {
          type: "button",
          "aria-label": t("Remove %1", text),
          onclick: () => this._actions.set(without(this._scope, field, value))
        });
        remove.append(icon(ICONS.close));
        chips.push(element("span", { class: "chip" }, name, remove));
      }
    }
    this._list.replaceChildren(...chips);
    const empty = Boolean(state.counts && state.counts[0] === 0 && state.counts[1] > 0);
    this.node.classList.toggle("amber", empty);
    this._refresh();
  }
  /** Show the counts of the last search's hits. */
  count(facets) {
    this._facets = facets;
    this._refresh();
  }
  /** Draw the open popover again; what is being typed there stays, and so does the focus. */
  _refresh() {
    const active = document.activeElement;
    const isInside = this.popover.contains(active);
    if (this.popover.hidden || isInside && active?.tagName !== "BUTTON") {
      return;
    }
    this._drawChoices();
    if (isInside) {
      const buttons = [...this.popover.querySelectorAll("button")];
      (buttons.find((button) => button.dataset.choice === active?.dataset.choice) ?? buttons[0]).focus();
    }
  }
  _drawChoices() {
    const t = this._t;
    const { _state: state, _scope: scope } = this;
    const step = (text, run) => element("button", { type: "button", "data-choice": text, text, onclick: run });
    const parts = [
      element(
        "div",
        { role: "group", "aria-label": t("Search in"), class: "choices" },
        step(t("This project"), () => this._actions.change("clear")),
        step(t("+ imported packages"), () => this._actions.change("imports")),
        step(t("Everything"), () => this._actions.change("all"))
      )
    ];
    const hits = /* @__PURE__ */ new Map();
    for (const facet of this._facets) {
      hits.set(facet.field, [...hits.get(facet.field) ?? [], facet]);
    }
    const known = [
      ["languages", this._values(hits.get("languages"), state.languages)],
      ["include_globs", this._values(hits.get("include_globs"), [])],
      ["kinds", this._values(hits.get("kinds"), state.kinds)],
      ["repos", this._values(hits.get("repos"), state.repositories)]
    ];
    for (const [field, values] of known) {
      if (values.length < 2) {
        continue;
      }
      const buttons = values.slice(0, MAX_CHOICES).map(({ name, label, count, values: narrowed }) => {
        const pressed = (scope[field] ?? []).includes(name);
        const choose = () => narrowed?.length ? this._actions.narrow(narrowed) : this._actions.set(withValue(scope, field, name));
        return element("button", {
          type: "button",
          "aria-pressed": String(pressed),
          "data-choice": `${field} ${name}`,
          text: `${plain(label)} ${number(count)}`,
          onclick: () => pressed ? this._actions.set(without(scope, field, name)) : choose()
        });
      });
      const title = hits.has(field) ? t("%1, by results", t(TITLES[field])) : t(TITLES[field]);
      parts.push(
        element("div", { class: "title", text: title }),
        element("div", { role: "group", "aria-label": title, class: "choices" }, ...buttons)
      );
    }
    parts.push(this._globs("include_globs", t("Include"), "src/**"), this._globs("exclude_globs", t("Exclude"), "**/tests/**"));
    parts.push(this._saved(state));
    this.popover.replaceChildren(...parts);
  }
  _values(facets, known) {
    return facets ?? known.map(([name, count]) => ({ name, label: name, count }));
  }
  _globs(field, title, example) {
    const input = element("input", {
      type: "text",
      placeholder: example,
      spellcheck: "false",
      "aria-label": this._t("%1: type a glob, press Enter to add it", title),
      onkeydown: (event) => {
        if (event.key === "Enter" && input.value.trim()) {
          this._actions.set(withValue(this._scope, field, input.value.trim()));
          input.value = "";
        }
      }
    });
    return element("label", { class: "field" }, element("span", { text: title }), input);
  }
  _saved(state) {
    const t = this._t;
    const use = element(
      "select",
      {
        "aria-label": t("Use a saved scope"),
        onchange: () => use.value && this._actions.change("use", { name: use.value })
      },
      element("option", { value: "", text: t("saved scopes…") }),
      ...state.saved.map((name2) => element("option", { value: name2, text: name2 }))
    );
    const error = element("small", { class: "error", role: "alert" });
    const name = element("input", {
      type: "text",
      placeholder: t("save as…"),
      "aria-label": t("Save this scope as: type a name, press Enter to save"),
      oninput: () => error.textContent = "",
      onkeydown: (event) => {
        const text = name.value.trim();
        if (event.key === "Enter" && text) {
          this._actions.save(text).then(
            () => name.value = "",
            (refused) => {
              error.textContent = refused.message;
              name.setAttribute("aria-invalid", "true");
            }
          );
        }
      }
    });
    return element("div", { role: "group", "aria-label": t("Saved"), class: "choices" }, use, name, error);
  }
};

// src/view/rows.ts
var keyOf = (file, row) => JSON.stringify(row ? [file.repo, file.path, row.cell, row.line, row.column] : [file.repo, file.path]);
var Rows = class {
  constructor() {
    this.files = [];
    this.collapsed = /* @__PURE__ */ new Set();
    this.dismissed = /* @__PURE__ */ new Set();
    this.next = null;
  }
  /** Take the rows of a new search. */
  replace(files, next) {
    this.files = files;
    this.next = next;
    this.collapsed.clear();
    this.dismissed.clear();
  }
  /** Add the rows that follow; a file may continue one that is there. */
  append(files, next) {
    const positions = new Map(this.files.map((file, i) => [keyOf(file), i]));
    const joined = [...this.files];
    for (const file of files) {
      const at = positions.get(keyOf(file));
      if (at === void 0) {
        joined.push(file);
      } else {
        joined[at] = { ...joined[at], count: file.count, rows: [...joined[at].rows, ...file.rows] };
      }
    }
    this.files = joined;
    this.next = next;
  }
  items() {
    const items = [];
    for (const file of this.files) {
      const key = keyOf(file);
      if (this.dismissed.has(key)) {
        continue;
      }
      const rows = file.rows.filter((row) => !this.dismissed.has(keyOf(file, row)));
      if (file.rows.length && !rows.length) {
        continue;
      }
      items.push({ kind: "file", file, key });
      if (!this.collapsed.has(key)) {
        for (const row of rows) {
          items.push({ kind: "hit", file, row, key: keyOf(file, row) });
        }
      }
    }
    if (this.next !== null) {
      items.push({ kind: "more", key: "more" });
    }
    return items;
  }
  toggle(key) {
    if (!this.collapsed.delete(key)) {
      this.collapsed.add(key);
    }
  }
  /** Collapse all files, or expand all if none is open. */
  collapseAll() {
    const keys = this.files.map((file) => keyOf(file));
    const allClosed = keys.every((key) => this.collapsed.has(key));
    this.collapsed = new Set(allClosed ? [] : keys);
  }
};
function fitted(text, marks, columns) {
  const start = marks.length ? marks[0][0] : 0;
  let cut = 0;
  if (columns > 8 && start + (marks.length ? Math.min(marks[0][1] - start, columns / 2) : 0) > columns * 0.7) {
    cut = Math.max(0, start - Math.floor(columns * 0.3));
  }
  const out = [];
  if (cut) {
    out.push(["…", false]);
  }
  let at = cut;
  for (const [from, to] of marks) {
    if (to <= at) {
      continue;
    }
    if (from > at) {
      out.push([text.slice(at, from), false]);
    }
    out.push([text.slice(Math.max(at, from), to), true]);
    at = to;
  }
  if (at < text.length) {
    out.push([text.slice(at), false]);
  }
  return out;
}
function asMarkdown(rows, title) {
  const lines = [`# ${title}`];
  for (const file of rows.files) {
    lines.push("", `## ${file.path}`, "");
    for (const row of file.rows) {
      const fence = row.text.includes("`") ? "``" : "`";
      lines.push(`- ${row.where}: ${fence} ${row.text} ${fence}`);
    }
  }
  if (rows.next !== null) {
    lines.push("", `(the first ${rows.next})`);
  }
  return `${lines.join("\n")}
`;
}

// src/view/list.ts
var ROW = 21;
var BEYOND = 12;
var LABEL_PX = 62;
var List = class {
  // before the lines
  constructor(_id, _t, _actions) {
    this._id = _id;
    this._t = _t;
    this._actions = _actions;
    this.items = [];
    this.selected = -1;
    this.several = false;
    // repositories: their names are shown
    this.showsSymbols = false;
    this._stuck = -1;
    this._inset = null;
    this._insetPx = 0;
    this._drawn = /* @__PURE__ */ new Map();
    this._width = 0;
    this._space = element("div", { class: "space", role: "presentation" });
    this._sticky = element("div", { class: "sticky", "aria-hidden": "true", onclick: () => this._toggleSticky() });
    this.node = element(
      "div",
      { class: "list", role: "tree", "aria-label": _t("Results"), tabindex: "0", id: `results-${_id}` },
      this._sticky,
      this._space
    );
    this.node.addEventListener("scroll", () => this._draw(), { passive: true });
    this._sized = new ResizeObserver(() => {
      this._width = 0;
      this._draw(true);
    });
    this._sized.observe(this.node);
  }
  /** Show other rows; keep the selected one and the scroll position if ``keep``. */
  set(items, keep) {
    const key = this.items[this.selected]?.key;
    this.items = items;
    this._stuck = -1;
    if (!keep || key === void 0) {
      this.selected = -1;
    } else if (key !== "more") {
      this.selected = items.findIndex((item) => item.key === key);
    } else if (this.selected >= items.length) {
      this.selected = -1;
    }
    if (!keep || this.selected < 0) {
      this.inset(null);
    }
    if (!keep) {
      this.node.scrollTop = 0;
    }
    this._draw(true);
  }
  /** Show a node below the selected row. */
  inset(node) {
    this._inset?.remove();
    this._inset = node;
    this._insetPx = 0;
    if (node) {
      node.style.position = "absolute";
      this._space.append(node);
      this._insetPx = Math.ceil(node.offsetHeight / ROW) * ROW;
    }
    this._draw(true);
  }
  select(index, scroll = true) {
    if (index !== this.selected) {
      this.inset(null);
    }
    this.selected = index;
    if (scroll && index >= 0) {
      this._reveal(index);
    }
    this._draw(true);
  }
  /** Return the next match from the selected row, in a direction; -1 if there is none. */
  hitFrom(by) {
    for (let i = this.selected + by; i >= 0 && i < this.items.length; i += by) {
      const item = this.items[i];
      if (item.kind === "hit" || item.kind === "file" && !this._hasRows(item)) {
        return i;
      }
    }
    return -1;
  }
  get page() {
    return Math.max(1, Math.floor(this.node.clientHeight / ROW) - 1);
  }
  /** Return the id of the element of the selected row. */
  get activeId() {
    return this.selected < 0 ? "" : `${this._id}-${this.selected}`;
  }
  elementOf(index) {
    return this._drawn.get(index);
  }
  dispose() {
    this._sized.disconnect();
  }
  _hasRows(item) {
    return item.kind === "file" && item.file.rows.length > 0;
  }
  _top(index) {
    return index * ROW + (this.selected >= 0 && index > this.selected ? this._insetPx : 0);
  }
  _reveal(index) {
    const head = this.items[index].kind === "hit" ? ROW : 0;
    const top = this._top(index);
    const { scrollTop, clientHeight } = this.node;
    if (top - head < scrollTop) {
      this.node.scrollTop = Math.max(0, top - head);
    } else if (top + ROW + this._insetPx > scrollTop + clientHeight) {
      this.node.scrollTop = top + ROW + this._insetPx - clientHeight;
    }
  }
  /** Draw the rows in view; those that stay are kept, unless their content changed. */
  _draw(all = false) {
    const { items } = this;
    const height = items.length * ROW + this._insetPx;
    this._space.style.height = `${height}px`;
    const top = this.node.scrollTop;
    const first = Math.max(0, Math.floor((top - this._insetPx) / ROW) - BEYOND);
    const last = Math.min(items.length, Math.ceil((top + this.node.clientHeight) / ROW) + BEYOND);
    if (all) {
      for (const row of this._drawn.values()) {
        row.remove();
      }
      this._drawn.clear();
    }
    for (const [index, row] of this._drawn) {
      if (index < first || index >= last) {
        row.remove();
        this._drawn.delete(index);
      }
    }
    const added = document.createDocumentFragment();
    for (let index = first; index < last; index++) {
      if (!this._drawn.has(index)) {
        const row = this._row(items[index], index);
        row.style.top = `${this._top(index)}px`;
        this._drawn.set(index, row);
        added.append(row);
      }
    }
    this._space.append(added);
    if (this._inset) {
      this._inset.style.top = `${(this.selected + 1) * ROW}px`;
    }
    this._drawSticky(top);
    if (this.node.isConnected && last >= items.length && items[items.length - 1]?.kind === "more") {
      this._actions.more();
    }
  }
  /** Keep the file of the first row in view at the top. */
  _drawSticky(top) {
    const at = Math.floor(top / ROW);
    let index = Math.min(at, this.items.length - 1);
    while (index >= 0 && this.items[index].kind !== "file") {
      index--;
    }
    const shown = index >= 0 && top > index * ROW && this.items[at]?.kind !== "file";
    this._sticky.hidden = !shown;
    if (shown && this._stuck !== index) {
      const item = this.items[index];
      if (item.kind === "file") {
        this._sticky.replaceChildren(...this._fileParts(item.file, true));
        this._sticky.title = item.file.path;
      }
    }
    this._stuck = shown ? index : -1;
  }
  _toggleSticky() {
    const item = this.items[this._stuck];
    if (item) {
      this.node.scrollTop = this._stuck * ROW;
      this._actions.toggle(item);
    }
  }
  _columns() {
    if (!this._width) {
      const canvas = document.createElement("canvas").getContext("2d");
      let character = 7.2;
      if (canvas) {
        canvas.font = getComputedStyle(this.node).getPropertyValue("--codeintel-code") || "12px monospace";
        character = canvas.measureText("0000000000").width / 10 || character;
      }
      this._width = Math.floor((this.node.clientWidth - LABEL_PX) / character);
    }
    return this._width;
  }
  _fileParts(file, open) {
    const slash = file.path.lastIndexOf("/");
    const folder = slash < 0 ? "" : file.path.slice(0, slash);
    const parts = [];
    if (file.rows.length) {
      parts.push(icon(open ? ICONS.down : ICONS.right, "twisty"));
    }
    parts.push(
      icon(ICONS[file.icon] ?? ICONS.code, file.icon),
      element("span", { class: "name", text: plain(file.path.slice(slash + 1)) }),
      element("span", { class: "folder", text: plain(this.several ? `${file.repo} ${folder}` : folder) })
    );
    if (file.rows.length) {
      parts.push(element("span", { class: "badge", text: String(file.count) }));
    }
    return parts;
  }
  _row(item, index) {
    const selected = index === this.selected;
    const common = { id: `${this._id}-${index}`, role: "treeitem", "aria-selected": String(selected) };
    if (item.kind === "more") {
      return element("div", { ...common, class: "row more", onclick: () => this._actions.more() }, this._t("Show more"));
    }
    const events = {
      oncontextmenu: (event) => {
        event.preventDefault();
        this._actions.select(index);
        this._actions.menu(item, event);
      },
      onclick: () => {
        this._actions.select(index);
        if (item.kind === "file" && item.file.rows.length) {
          this._actions.toggle(item);
        } else {
          this._actions.open(item);
        }
      }
    };
    const dismiss = element("button", {
      type: "button",
      class: "dismiss",
      tabindex: "-1",
      title: this._t("Dismiss"),
      "aria-label": this._t("Dismiss"),
      onclick: (event) => {
        event.stopPropagation();
        this._actions.dismiss(item);
      }
    });
    dismiss.append(icon(ICONS.close));
    if (item.kind === "file") {
      const open = this.items[index + 1]?.kind === "hit";
      const attributes = {
        ...common,
        ...events,
        class: "row file",
        title: `${this.several ? `${item.file.repo}: ` : ""}${item.file.path}`,
        "aria-level": "1",
        ...item.file.rows.length ? { "aria-expanded": String(open) } : {}
      };
      return element("div", attributes, ...this._fileParts(item.file, open), dismiss);
    }
    const { row } = item;
    const text = element("span", { class: row.is_prose ? "text prose" : "text" });
    if (row.symbol && row.kind !== "markdown" && this.showsSymbols) {
      text.append(element("b", { text: row.symbol }), " ");
    }
    if (row.also.length) {
      text.append(element("small", { class: "also", text: `+${row.also.length}` }), " ");
    }
    for (const [part, marked] of fitted(row.text, row.marks, this._columns())) {
      text.append(marked ? element("mark", { text: part }) : part);
    }
    return element(
      "div",
      {
        ...common,
        ...events,
        class: "row hit",
        "aria-level": "2",
        title: [row.where, row.kind === "file" ? "" : row.symbol, row.also.length ? `also ${row.also.join(", ")}` : ""].filter(Boolean).join(" · ")
      },
      element("span", { class: row.is_prose ? "label prose" : row.is_output ? "label output" : "label", text: row.label }),
      text,
      dismiss
    );
  }
};

// src/view/menu.ts
function showMenu(root, actions, x, y, back) {
  root.querySelector(".menu")?.remove();
  const items = actions.map(
    (action) => element("button", {
      type: "button",
      role: "menuitem",
      tabindex: "-1",
      class: action.isSeparate ? "separate" : false,
      text: action.label,
      onclick: () => {
        close();
        action.run();
      }
    })
  );
  const menu = element("div", { class: "menu", role: "menu" }, ...items);
  const box = root.getBoundingClientRect();
  root.append(menu);
  const left = Math.max(0, Math.min(x - box.left, box.width - menu.offsetWidth - 4));
  const top = Math.max(0, Math.min(y - box.top, box.height - menu.offsetHeight - 4));
  menu.style.left = `${left}px`;
  menu.style.top = `${top}px`;
  let at = 0;
  const focus = (index) => {
    at = (index + items.length) % items.length;
    items[at].focus();
  };
  const outside = (event) => {
    if (!menu.contains(event.target)) {
      close(false);
    }
  };
  function close(refocus = true) {
    menu.remove();
    document.removeEventListener("pointerdown", outside, true);
    if (refocus) {
      back.focus();
    }
  }
  menu.addEventListener("keydown", (event) => {
    const moves = {
      ArrowDown: () => focus(at + 1),
      ArrowUp: () => focus(at - 1),
      Home: () => focus(0),
      End: () => focus(items.length - 1),
      Escape: () => close(),
      Tab: () => close()
    };
    const move = moves[event.key];
    if (move) {
      move();
      event.preventDefault();
    }
    event.stopPropagation();
  });
  document.addEventListener("pointerdown", outside, true);
  focus(0);
}

// src/view/messages.ts
var ROWS = 500;

// src/view/panel.ts
var QUIET_MS = 80;
var PAUSE_MS = 400;
var EXAMPLES = [
  { text: "read_csv", mode: "text", switches: [] },
  { text: "split rows into groups and average", mode: "meaning", switches: [] },
  { text: "load_*", mode: "symbols", switches: [] }
];
var Panel = class {
  constructor({ model, el, trans, application }) {
    this._redraw = () => {
      const state = this._state;
      if (state.session !== this._session) {
        this._wanted = null;
        this._questions.drop("scope");
      }
      this._session = state.session;
      this._chips.draw(state, this._scope);
      this._drawOffer();
      this._drawEmpty();
      const now = JSON.stringify([state.scope, state.session]);
      if (this._shown && this._shown !== now && state.session && this._box.input.value.trim()) {
        this._search(0);
      }
      this._shown = now;
    };
    this._drawOffer = () => {
      const t = this._t;
      const state = this._state;
      const parts = [];
      const button = (text, run) => element("button", { type: "button", text, onclick: run });
      const waiting = this._model.get("waiting") ?? "";
      if (waiting) {
        parts.push(
          t("%1 is active now.", plain(waiting)),
          " ",
          button(t("Search in its scope"), () => this._host.accept?.())
        );
      }
      if (state.expired) {
        parts.push(t("The scope that you set has expired."));
      }
      if (state.offered) {
        const [text, scope] = state.offered;
        parts.push(
          t("Your previous kernel searched %1", text),
          " ",
          button(t("Restore"), () => this._setScope(scope))
        );
      }
      if (state.counts && state.counts[0] === 0 && state.counts[1] > 0) {
        parts.push(
          element("span", { class: "amber", text: state.note || t("No file is in scope.") }),
          " ",
          button(t("Clear"), () => this._change("clear"))
        );
      }
      this._offer.replaceChildren(...parts);
    };
    this._drawJob = () => {
      const job = this._model.get("job") ?? {};
      const busy = job.state === "waiting" || job.state === "running";
      this._job.hidden = !busy && !job.line;
      this._jobLine.textContent = job.line ?? "";
      this._jobLine.classList.toggle("error", job.state === "failed");
      if (job.share) {
        this._bar.setAttribute("value", String(job.share));
      } else {
        this._bar.removeAttribute("value");
      }
      this._bar.hidden = this._cancel.hidden = !busy;
      this._drawEmpty();
    };
    this._failed = (error) => {
      this._isPending = this._opensFirst = false;
      this._box.showError(error.message);
    };
    this._scopeFailed = (error) => this._chips.showError(error.message);
    // keys
    this._keys = (event) => {
      if (event.isComposing) {
        return event.stopPropagation();
      }
      const inBox = event.target === this._box.input;
      const inList = event.target === this._list.node;
      const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
      if (isPlain && (inBox || inList) && this._plainKey(event, inBox)) {
        event.preventDefault();
        event.stopPropagation();
        return;
      }
      if (isPlain && !/^F\d+$/.test(event.key)) {
        event.stopPropagation();
      }
    };
    /** Read the state again when another part of the page has changed this session's scope. */
    this._elsewhere = (event) => {
      if (!this._model.get("narrow") && event.data?.session === this._state.session) {
        this._questions.ask("state").catch(() => void 0);
      }
    };
    this._rows = new Rows();
    this._found = null;
    this._asked = null;
    this._wanted = null;
    // being set: a second click builds on the first
    this._shown = "";
    this._timer = 0;
    this._lastKey = 0;
    this._early = 0;
    // searches sent while the reader goes on typing
    this._loading = false;
    this._isPending = false;
    // the rows are of an earlier query
    this._opensFirst = false;
    // Enter was pressed meanwhile
    this._emptyKey = "";
    this._channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("codeintel-nb");
    this._model = model;
    this._t = translator(trans);
    this._questions = new Questions(model);
    this._host = application ?? linkHost((message) => this._say(message));
    const id = `codeintel-${Math.random().toString(36).slice(2)}`;
    const t = this._t;
    this._box = new Box(id, t, (isTyped) => this._typed(isTyped));
    this._chips = new ScopeChips(t, {
      set: (scope) => this._setScope(scope),
      narrow: (globs) => this._narrow(globs),
      change: (what, fields) => this._change(what, fields),
      save: (name) => this._questions.ask("save", { name })
    });
    this._list = new List(id, t, {
      open: (item) => this._open(item),
      select: (index) => this._select(index, false),
      toggle: (item) => this._toggle(item),
      menu: (item, event) => this._menu(item, event),
      dismiss: (item) => this._dismiss(item),
      more: () => this._more()
    });
    const tool = (name, title, run) => {
      const made = element("button", { type: "button", class: "tool", title: t(title), "aria-label": t(title), onclick: run });
      made.append(icon(ICONS[name]));
      return made;
    };
    this._summary = element("span", { class: "summary", role: "status", "aria-live": "polite" });
    this._note = element("div", { class: "note" });
    this._offer = element("div", { class: "offer" });
    this._empty = element("div", { class: "empty" });
    this._bar = element("progress", { max: "1", "aria-label": t("indexing") });
    this._jobLine = element("span", { class: "line", role: "status" });
    const cancel = element("button", {
      type: "button",
      text: t("Cancel"),
      "aria-label": t("Cancel indexing"),
      onclick: () => this._questions.ask("cancel").catch(this._failed)
    });
    this._job = element("div", { class: "job", hidden: true }, this._bar, this._jobLine, cancel);
    this._cancel = cancel;
    this._sends = element(
      "span",
      { class: "sends", hidden: true },
      tool("send", "Send to notebook", (event) => this._sendMenu(event)),
      tool("copy", "Copy as Markdown", () => this._copy(asMarkdown(this._rows, this._title())))
    );
    const head = element(
      "div",
      { class: "head" },
      element("h2", { text: t("Code search") }),
      tool("refresh", "Search again", () => this.refresh()),
      tool("clear", "Clear", () => this.clear()),
      tool("collapse", "Collapse all", () => this.collapseAll()),
      tool("pin", "Pin this search", () => this._pin()),
      tool("more", "More actions", (event) => this._moreMenu(event))
    );
    this._top = element(
      "div",
      { class: "top" },
      head,
      this._job,
      this._box.node,
      this._box.modes,
      this._chips.node,
      this._chips.popover,
      this._offer,
      element("div", { class: "summary-line" }, this._summary, this._sends),
      this._note
    );
    const isSide = Boolean(model.get("narrow"));
    this.root = element(
      "div",
      {
        class: isSide ? "codeintel panel side" : "codeintel panel",
        role: isSide ? "region" : "group",
        "aria-label": t("Code search")
      },
      this._top,
      this._empty,
      this._list.node
    );
    this._list.node.hidden = true;
    this.root.addEventListener("keydown", this._keys);
    this._endTheme = themed(this.root);
    el.append(this.root);
    this._channel?.addEventListener("message", this._elsewhere);
    model.on("change:state", this._redraw);
    model.on("change:job", this._drawJob);
    model.on("change:waiting", this._drawOffer);
    this._redraw();
    this._drawJob();
  }
  focus() {
    this._box.input.focus();
    this._box.input.select();
  }
  search(query, mode = "text", switches = []) {
    this._box.show(query, mode, switches);
    this._box.showError("");
    this._search(0);
    this.focus();
  }
  step(by) {
    const index = this._list.hitFrom(by);
    if (index >= 0) {
      this._select(index, true);
      this._open(this._list.items[index]);
    }
  }
  openSelected() {
    if (this._isPending) {
      return this._search(0, true);
    }
    const index = this._list.selected >= 0 ? this._list.selected : this._list.hitFrom(1);
    const item = this._list.items[index];
    if (item) {
      this._select(index, true);
      this._open(item);
    }
  }
  clear() {
    this._box.remember();
    this._box.clear();
    this._search(0);
    this.focus();
  }
  collapseAll() {
    this._rows.collapseAll();
    this._drawRows(true);
  }
  refresh() {
    this._questions.ask("state").catch(() => void 0);
    this._search(0);
  }
  send(asFrame) {
    const code = this._found?.code;
    if (code && this._host.send) {
      this._box.remember();
      this._host.send(asFrame ? this._frame(code) : code);
    }
  }
  dispose() {
    window.clearTimeout(this._timer);
    this._endTheme();
    this._list.dispose();
    this._channel?.removeEventListener("message", this._elsewhere);
    this._channel?.close();
    this._model.off("change:state", this._redraw);
    this._model.off("change:job", this._drawJob);
    this._model.off("change:waiting", this._drawOffer);
    this._questions.close();
    this.root.remove();
  }
  // scope
  get _state() {
    return this._model.get("state");
  }
  /** The scope as shown: the one being set, else the session's. */
  get _scope() {
    const { repos = [], ...others } = this._wanted ?? this._state.scope ?? {};
    return repos.length && repos[0] !== "*" ? { ...others, repos } : others;
  }
  _setScope(scope) {
    const changed = scope.repos?.length ? scope : { ...scope, repos: ["*"] };
    this._wanted = changed;
    this._chips.showError("");
    this._chips.draw(this._state, this._scope);
    const done = () => this._wanted = null;
    void this._questions.askLast("scope", { scope: changed }, done, (error) => {
      done();
      this._redraw();
      this._scopeFailed(error);
    });
  }
  /** Narrow what is included: in the box where its globs apply, else in the scope. */
  _narrow(globs) {
    if (this._box.fields().include?.length) {
      this._box.include(globs);
      this._search(0);
    } else {
      this._setScope({ ...this._scope, include_globs: globs });
    }
  }
  /** Narrow the scope to a folder of a repository, or exclude a file or folder. */
  _setFolder(fields) {
    const { session } = this._state;
    const take = (scope) => {
      if (session !== this._state.session) {
        return;
      }
      if (!fields.exclude) {
        this._box.include([]);
      }
      this._setScope(scope);
    };
    this._questions.ask("folder", fields).then(take, this._scopeFailed);
  }
  _change(what, fields = {}) {
    if (what === "all") {
      return this._setScope({});
    }
    this._wanted = null;
    this._chips.showError("");
    void this._questions.askLast(what, fields, () => void 0, this._scopeFailed, "scope");
  }
  /** Draw what to do first: index the project, examples, pinned and recent searches. */
  _drawEmpty() {
    const t = this._t;
    const state = this._state;
    const empty = !this._box.input.value.trim();
    this._empty.hidden = !empty && Boolean(this._found?.files.length || !this._found);
    if (!empty) {
      this._emptyKey = "";
      this._empty.replaceChildren();
      return;
    }
    const { project, counts, note, session } = state;
    const key = JSON.stringify([
      project,
      counts,
      note,
      session,
      this._model.get("job")?.state,
      remembered(PINS),
      remembered(HISTORY)
    ]);
    if (key === this._emptyKey && this._empty.childElementCount) {
      return;
    }
    this._emptyKey = key;
    const parts = [];
    const entry = ({ text, mode, switches }) => {
      const settings = [
        ...MODES.filter(([one]) => one === mode && one !== "text").map(([, name]) => t(name)),
        ...SWITCHES.filter(([name]) => switches.includes(name)).map(([, sign]) => sign)
      ];
      return element(
        "button",
        { type: "button", class: "entry", onclick: () => this.search(text, mode, switches) },
        element("span", { text }),
        settings.length ? element("small", { text: settings.join(" ") }) : ""
      );
    };
    const isBusy = ["waiting", "running"].includes((this._model.get("job") ?? {}).state ?? "");
    if (state.session && !state.counts && !isBusy) {
      const name = state.project;
      const folder = element("input", {
        type: "text",
        placeholder: t("another folder…"),
        "aria-label": t("A folder to index; press Enter"),
        spellcheck: "false",
        onkeydown: (event) => {
          if (event.key === "Enter" && folder.value.trim()) {
            this._index(folder.value.trim());
          }
        }
      });
      parts.push(
        element("strong", { text: name ? t("This project is not indexed yet") : t("Nothing is indexed yet") }),
        element("p", {
          text: t(
            "Text search works now: it reads files directly. An index adds search by meaning, symbols and the map. It stays on this machine."
          )
        }),
        element(
          "p",
          {},
          element("button", {
            type: "button",
            class: "primary",
            text: name ? t('Index "%1"', name) : t("Index this folder"),
            onclick: () => this._index("")
          }),
          " ",
          folder
        )
      );
    } else if (state.note && !state.counts) {
      parts.push(element("p", { text: state.note }));
    }
    const pins = remembered(PINS);
    if (pins.length) {
      parts.push(element("strong", { text: t("Pinned") }), ...pins.map(entry));
    }
    const recent = remembered(HISTORY).slice(0, 5);
    parts.push(
      element("strong", { text: t("Try") }),
      ...EXAMPLES.map(entry),
      element("strong", { text: t("Recent") }),
      ...recent.length ? recent.map(entry) : [element("p", { text: t("None yet. ↑ in the box brings back the last query.") })]
    );
    this._empty.replaceChildren(...parts);
  }
  _index(path) {
    this._questions.ask("index", { path }).catch(this._failed);
  }
  // searching
  _typed(isTyped) {
    if (!isTyped) {
      return this._search(0);
    }
    const [rest, scope] = taken(this._box.input.value, this._scope);
    if (scope) {
      this._box.replace(rest);
      this._setScope(scope);
    }
    const now = performance.now();
    if (now - this._lastKey > PAUSE_MS) {
      this._early = 0;
    }
    this._lastKey = now;
    this._search(QUIET_MS * (1 + Math.min(this._early, 2)));
  }
  _search(wait, opensFirst = false) {
    window.clearTimeout(this._timer);
    this._isPending = Boolean(this._box.input.value.trim());
    this._opensFirst = opensFirst;
    if (!this._isPending) {
      return this._showNothing();
    }
    this._timer = window.setTimeout(() => {
      this._early += 1;
      const asked = this._box.fields();
      this._host.hold?.(true);
      void this._questions.askLast(
        "search",
        asked,
        (found) => this._take({ what: "search", ...asked }, found),
        this._failed
      );
    }, wait);
  }
  _showNothing() {
    this._questions.drop("search");
    this._host.hold?.(false);
    this._found = null;
    this._asked = null;
    this._chips.count([]);
    this._rows.replace([], null);
    this._say("");
    this._note.replaceChildren();
    this._drawRows(false);
    this._drawEmpty();
  }
  _take(asked, found) {
    const start = performance.now();
    this._asked = asked;
    this._found = found;
    this._box.showError("");
    this._chips.count(found.facets);
    this._rows.replace(found.files, found.next);
    this._list.several = found.has_several;
    this._list.showsSymbols = asked.mode === "meaning";
    this._summary.textContent = found.summary;
    this._summary.title = found.detail;
    this._drawNote();
    this._drawRows(false);
    this._drawEmpty();
    this._isPending = false;
    if (this._opensFirst) {
      this._opensFirst = false;
      this.openSelected();
    }
    performance.measure("codeintel:rows", { start });
  }
  _drawNote() {
    const t = this._t;
    const parts = [];
    if (this._found?.note) {
      parts.push(element("div", { text: this._found.note }));
    }
    const literal = this._asked?.mode === "text" && !this._asked.regex ? this._asked.query : "";
    const unsaved = this._found && this._host.unsaved?.(literal) || [];
    if (this._found && unsaved.length) {
      const names = unsaved.map((path) => path.split("/").pop() ?? path).join(", ");
      parts.push(
        element(
          "div",
          {},
          t("Not saved, so searched as on disk: %1", plain(names)),
          " ",
          element("button", {
            type: "button",
            text: t("Save all"),
            onclick: () => {
              this._host.saveAll?.();
              window.setTimeout(() => this.refresh(), 500);
            }
          })
        )
      );
    }
    this._note.replaceChildren(...parts);
  }
  _drawRows(keep) {
    const items = this._rows.items();
    this._list.set(items, keep);
    this._list.node.hidden = !items.length;
    this._sends.hidden = !this._found || !items.length;
    this._box.input.setAttribute("aria-expanded", String(items.length > 0));
    this._markActive();
  }
  _more() {
    const { _asked: asked } = this;
    if (!asked || this._rows.next === null || this._loading) {
      return;
    }
    this._loading = true;
    const offset = this._rows.next;
    this._questions.ask("search", { ...asked, offset, rows: 2 * ROWS }).then(
      (found) => {
        this._loading = false;
        if (asked === this._asked && offset === this._rows.next) {
          this._rows.append(found.files, found.next);
          this._summary.textContent = found.summary;
          this._summary.title = found.detail;
          this._drawRows(true);
        }
      },
      (error) => {
        this._loading = false;
        this._failed(error);
      }
    );
  }
  _say(message) {
    this._summary.textContent = message;
    this._summary.title = "";
  }
  // rows
  _select(index, scroll) {
    this._list.select(index, scroll);
    this._markActive();
    const item = this._list.items[index];
    if (item?.kind === "hit") {
      this._preview(item.file, item.row, index);
    }
  }
  _markActive() {
    for (const node of [this._list.node, this._box.input]) {
      if (this._list.activeId) {
        node.setAttribute("aria-activedescendant", this._list.activeId);
      } else {
        node.removeAttribute("aria-activedescendant");
      }
    }
  }
  _preview(file, row, index) {
    const { _asked: search } = this;
    const { line, end_line, cell } = row;
    const take = (preview) => {
      if (this._list.selected !== index || this._asked !== search) {
        return;
      }
      const code = element("pre", { class: preview.is_prose ? "code prose highlight" : "code highlight" });
      preview.lines.forEach(([at, parts], i) => {
        code.append(
          element("span", { class: at === line ? "match" : false }, ...pieces(parts)),
          i + 1 < preview.lines.length ? "\n" : ""
        );
      });
      const title = element(
        "div",
        { class: "where" },
        element("span", { text: preview.title }),
        element("kbd", { text: "Enter ↵" })
      );
      this._list.inset(element("div", { class: "preview", role: "presentation" }, title, code));
    };
    void this._questions.askLast(
      "preview",
      { search, repo: file.repo, path: file.path, line, end_line, cell },
      take,
      () => void 0
    );
  }
  _open(item) {
    if (!item || item.kind === "more") {
      return this._more();
    }
    this._box.remember();
    const row = item.kind === "hit" ? item.row : null;
    const { repo, path, place } = item.file;
    if (place === null) {
      return this._host.view(repo, path, row?.line ?? 1);
    }
    this._host.open(placeOf(place, row));
  }
  _toggle(item) {
    this._rows.toggle(item.key);
    this._drawRows(true);
  }
  _dismiss(item) {
    this._rows.dismissed.add(item.key);
    this._drawRows(true);
  }
  _menu(item, event) {
    if (item.kind === "more") {
      return;
    }
    const t = this._t;
    const { file } = item;
    const folder = file.path.includes("/") ? file.path.slice(0, file.path.lastIndexOf("/")) : "";
    const row = item.kind === "hit" ? item.row : null;
    const within = (path, exclude) => this._setFolder({ repo: file.repo, path, exclude });
    const actions = [
      { label: t("Open"), run: () => this._open(item) },
      { label: t("Copy path"), run: () => this._copy(file.path) },
      { label: t("Copy link"), run: () => this._copy(this._link(file, row)) }
    ];
    if (row) {
      actions.push({ label: t("Copy line"), run: () => this._copy(row.text) });
      actions.push({ label: t("Find similar"), isSeparate: true, run: () => this.search(row.text.slice(0, 500), "meaning") });
    }
    actions.push({ label: t("Exclude this file"), isSeparate: true, run: () => within(file.path, true) });
    if (folder) {
      actions.push({ label: t("Exclude this folder"), run: () => within(`${folder}/`, true) });
      actions.push({ label: t("Search in this folder"), run: () => within(`${folder}/`, false) });
    }
    actions.push({ label: t("Dismiss"), isSeparate: true, run: () => this._dismiss(item) });
    const box = this._list.elementOf(this._list.selected)?.getBoundingClientRect();
    const [x, y] = event instanceof MouseEvent ? [event.clientX, event.clientY] : [(box?.left ?? 0) + 30, box?.bottom ?? 0];
    showMenu(this.root, actions, x, y, this._list.node);
  }
  _moreMenu(event) {
    const t = this._t;
    const actions = [{ label: t("Copy as Markdown"), run: () => this._copy(asMarkdown(this._rows, this._title())) }];
    if (this._host.document) {
      actions.push({
        label: t("Open all as a document"),
        run: () => this._host.document?.(this._title(), asMarkdown(this._rows, this._title()))
      });
    }
    if (this._host.send) {
      actions.push({ label: t("Send to notebook"), isSeparate: true, run: () => this.send(false) });
      actions.push({ label: t("Send to notebook as a DataFrame"), run: () => this.send(true) });
    }
    for (const { text, mode, switches } of remembered(PINS)) {
      actions.push({ label: t("Pinned: %1", text), run: () => this.search(text, mode, switches) });
    }
    showMenu(this.root, actions, event.clientX, event.clientY, this._box.input);
  }
  _sendMenu(event) {
    const t = this._t;
    const code = this._found?.code ?? "";
    const actions = this._host.send ? [
      { label: t("As results"), run: () => this.send(false) },
      { label: t("As a DataFrame"), run: () => this.send(true) }
    ] : [
      { label: t("Copy the magic"), run: () => this._copy(code) },
      { label: t("Copy the magic for a DataFrame"), run: () => this._copy(this._frame(code)) }
    ];
    showMenu(this.root, actions, event.clientX, event.clientY, this._box.input);
  }
  _frame(code) {
    const [first, ...rest] = code.split("\n");
    return rest.length ? [`${first} --out hits`, ...rest].join("\n") : `hits = ${first}
hits.to_df()`;
  }
  _title() {
    return `${this._box.input.value.trim()}: ${this._found?.summary ?? ""}`;
  }
  _link(file, row) {
    return row ? `${file.path}:${row.cell_line && row.cell !== null ? `cell ${row.cell + 1}:${row.cell_line}` : row.line}` : file.path;
  }
  _copy(text) {
    navigator.clipboard?.writeText(text).then(
      () => this._say(this._t("Copied.")),
      () => this._say(this._t("The clipboard cannot be used here."))
    );
  }
  _pin() {
    const search = this._box.current;
    if (!search.text) {
      return;
    }
    const isNew = remember(PINS, search, MAX_PINS);
    if (!isNew) {
      forget(PINS, search);
    }
    this._say(isNew ? this._t("Pinned.") : this._t("No longer pinned."));
  }
  _plainKey(event, inBox) {
    const list = this._list;
    const item = list.items[list.selected];
    const move = (index) => {
      if (list.items.length) {
        this._select(Math.max(0, Math.min(list.items.length - 1, index)), true);
      }
    };
    switch (event.key) {
      case "F4":
        this.step(event.shiftKey ? -1 : 1);
        return true;
      case "Enter":
        this.openSelected();
        return true;
      case "ArrowDown":
        if (inBox && this._box.isRecalling) {
          this._box.recall(-1);
        } else {
          move(list.selected + 1);
        }
        return true;
      case "ArrowUp":
        if (inBox && list.selected < 0) {
          this._box.recall(1);
        } else if (inBox && list.selected === 0) {
          this._list.select(-1);
          this._markActive();
        } else {
          move(list.selected - 1);
        }
        return true;
      case "PageDown":
        move(list.selected + list.page);
        return true;
      case "PageUp":
        move(list.selected - list.page);
        return true;
      case "Escape":
        if (inBox) {
          this.clear();
        } else {
          this.focus();
        }
        return true;
    }
    if (inBox) {
      return false;
    }
    if (event.key === "F10" && event.shiftKey && item) {
      this._menu(item, event);
      return true;
    }
    switch (event.key) {
      case "Home":
        move(0);
        return true;
      case "End":
        move(list.items.length - 1);
        return true;
      case "ArrowLeft":
        if (item?.kind === "hit") {
          move(list.items.findIndex((one) => one.kind === "file" && one.file === item.file));
        } else if (item?.kind === "file" && !this._rows.collapsed.has(item.key)) {
          this._toggle(item);
        }
        return true;
      case "ArrowRight":
        if (item?.kind === "file" && this._rows.collapsed.has(item.key)) {
          this._toggle(item);
        }
        return true;
      case "Delete":
        if (item) {
          this._dismiss(item);
        }
        return true;
      case "ContextMenu":
        if (item) {
          this._menu(item, event);
        }
        return true;
      case " ":
        if (item?.kind === "file") {
          this._toggle(item);
        }
        return true;
    }
    return false;
  }
};
function placeOf(path, row) {
  const mark = row?.marks[0];
  return {
    path,
    line: row?.line ?? 1,
    column: row?.column ?? null,
    length: mark ? mark[1] - mark[0] : 0,
    cell: row?.cell ?? null,
    cell_line: row?.is_output ? null : row?.cell_line ?? null
  };
}

// src/view/index.ts
function render(given) {
  if (given.model.get("groups") !== void 0) {
    return renderMap(given);
  }
  const panel = new Panel(given);
  return () => panel.dispose();
}
var panelOf = (given) => new Panel(given);
var index_default = { render, panelOf };
export {
  index_default as default
};
