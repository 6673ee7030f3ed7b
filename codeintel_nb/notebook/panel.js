// The panel's view: what the kernel sends is shown as text, never as HTML; what a person does is asked of the kernel.

const QUIET_MS = 80; // without a key before a search is sent; twice and three times as much once some were, for who types slowly
const PAUSE_MS = 400; // after which a reader begins anew
const FIELDS = [
  ["repos", "Repositories", "repositories"],
  ["languages", "Languages", "languages"],
  ["kinds", "Kinds", "kinds"],
];
const GLOBS = [
  ["include_globs", "Include", "src/**"],
  ["exclude_globs", "Exclude", "**/tests/**"],
];
const COLOURS = 6; // of languages in the chart; the others share the last
const MODES = [
  ["meaning", "Meaning", "Search by what the code does, in plain words"],
  ["regex", ".*", "Use a regular expression"],
  ["word", "Word", "Match whole words"],
  ["case", "Aa", "Match case"],
];

function element(name, given = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "text") made.textContent = value;
    else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const MOST_CHOICES = 50; // buttons of a kind

// A name without what would turn or hide the text around it.
const plain = (name) => name.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

const number = new Intl.NumberFormat("en").format;

// Questions to the kernel, each answered once; one of a kind is under way at a time, and only the last that waits is sent.
function questions(model) {
  const open = new Map();
  let last = Math.floor(Math.random() * 2 ** 50); // two views of a widget hear each other's answers
  const heard = (message) => {
    const held = open.get(message.number);
    if (!held) return;
    open.delete(message.number);
    message.error === undefined ? held.resolve(message.answer) : held.reject(new Error(message.error));
  };
  model.on("msg:custom", heard);
  const ask = (what, given = {}) =>
    new Promise((resolve, reject) => {
      open.set(++last, { resolve, reject });
      model.send({ number: last, what, ...given });
    });
  const lanes = new Map();
  const lane = (what) => {
    if (!lanes.has(what)) lanes.set(what, { busy: false, next: null, dropped: 0 });
    return lanes.get(what);
  };
  const askLast = async (what, given, take, fail, queue = what) => {
    const held = lane(queue);
    if (held.busy) return void (held.next = [what, given, take, fail]);
    held.busy = true;
    const { dropped } = held;
    const stands = () => !held.next && held.dropped === dropped;
    try {
      const answer = await ask(what, given);
      if (stands()) take(answer);
    } catch (error) {
      if (stands()) fail(error);
    } finally {
      held.busy = false;
      const next = held.next;
      held.next = null;
      if (next) askLast(...next, queue);
    }
  };
  // what is under way of a kind is not wanted any more
  const drop = (what) => {
    lane(what).dropped += 1;
    lane(what).next = null;
  };
  return { ask, askLast, drop, close: () => model.off("msg:custom", heard) };
}

const OUTSIDE = "Jupyter cannot open this file because it is outside the server's root folder.";

// Who listens opens the file at its line, or the notebook at its cell; else the server shows it in a tab of its own.
function openPlace(hit, outside) {
  const event = new CustomEvent("codeintel:open", { detail: { path: hit.place, line: hit.line, column: hit.column, cell: hit.cell }, cancelable: true });
  if (!document.dispatchEvent(event)) return;
  const config = JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "{}");
  if (!hit.place || !config.baseUrl) return void outside();
  window.open(`${config.baseUrl}${config.appUrl === "/lab" ? "lab/tree" : "edit"}/${hit.place.split("/").map(encodeURIComponent).join("/")}`, "_blank", "noopener");
}

// Code in coloured and marked pieces, as texts.
const pieces = (segments) => segments.map(([css, marked, text]) => element(marked ? "mark" : "span", { class: css || false, text }));

// The theme of the page, followed as it changes; the call that ends it.
function themed(root, changed = () => undefined) {
  const draw = () => {
    const light = document.body.dataset.jpThemeLight;
    root.dataset.theme = light === "false" || (light === undefined && matchMedia("(prefers-color-scheme: dark)").matches) ? "dark" : "light";
    changed();
  };
  const seen = new MutationObserver(draw);
  seen.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  draw();
  return () => seen.disconnect();
}

const MAP_HEIGHT = 480;
const NEAR = 8; // pixels around the pointer in which a point is met
const MOST_ZOOM = 400; // times the whole map
const HINT = "Hover over a point to see its code; click it to open its file. Drag to move, Ctrl and the wheel or + and - to zoom, 0 to show all, Shift and drag to select, N for the next hit, Enter to open it.";

// A colour "#rrggbb" as a pixel, paler towards another.
function pixel(colour, towards = colour, share = 0) {
  const part = (text, i) => parseInt(text.slice(1 + 2 * i, 3 + 2 * i), 16);
  const [red, green, blue] = [0, 1, 2].map((i) => Math.round(part(colour, i) * (1 - share) + part(towards, i) * share));
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// Where the pixels of a disc lie from its middle, in an image of so many pixels a row.
function disc(diameter, width) {
  const radius = diameter / 2;
  const offsets = [];
  for (let y = -Math.floor(radius); y < radius; y++) for (let x = -Math.floor(radius); x < radius; x++) if (Math.hypot(x + 0.5, y + 0.5) <= radius + 0.2) offsets.push(y * width + x);
  return Int32Array.from(offsets);
}

// A map of points drawn pixel by pixel, which stays quick where there is no graphics card: a click, a hover and what is
// chosen are asked of the kernel.
function renderMap({ model, el }) {
  const { ask, askLast, drop, close } = questions(model);
  const bytes = (name) => {
    const held = model.get(name);
    return held.buffer.slice(held.byteOffset, held.byteOffset + held.byteLength);
  };
  const [xs, ys, group] = [new Float32Array(bytes("x")), new Float32Array(bytes("y")), new Uint8Array(bytes("group"))];
  const hits = model.get("hits");
  const groups = model.get("groups"); // [name, colour, points]
  const hidden = new Uint8Array(groups.length);
  let chosen = null; // a byte a point, 1 where it is chosen
  let hovered = -1;
  let read = -1; // whose code is shown
  let lasso = null; // the corners of what is drawn around points
  let frame = 0;
  let image, pixels;

  const canvas = element("canvas", { tabindex: "0", role: "application", "aria-roledescription": "map", "aria-label": model.get("caption"), "aria-describedby": `hint-${model.model_id}` });
  const context = canvas.getContext("2d");
  const title = element("button", { type: "button", class: "title", hidden: true, onclick: () => open(read) });
  const note = element("span", { role: "status", text: HINT, id: `hint-${model.model_id}` });
  const picked = element("small", { role: "status", class: "picked" });
  const code = element("pre", { class: "highlight" });
  const legend = element("div", { class: "legend", role: "group", "aria-label": "Groups: press a group to hide or show it" });
  for (const [i, [name, colour, points]] of groups.entries()) {
    const key = element("button", { type: "button", class: "key", "aria-pressed": "true", onclick: () => {
      hidden[i] = 1 - hidden[i];
      key.setAttribute("aria-pressed", String(!hidden[i]));
      dirty();
    } }, element("span", { class: `swatch${colour === "#000000" ? " ink" : ""}`, style: `background:${colour}`, "aria-hidden": "true" }), `${plain(name)} ${number(points)}`);
    legend.append(key);
  }
  const root = element("section", { class: "codeintel map", "aria-label": "Code map" }, element("small", { class: "counts", text: model.get("caption") }), canvas, legend, picked, title, note, code);

  // what is seen: the point in the middle, and pixels a unit
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
    const paper = `#${getComputedStyle(root).backgroundColor.match(/\d+/g).slice(0, 3).map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`;
    const colours = groups.map(([, colour]) => (colour === "#000000" ? ink : colour));
    const [full, pale] = [0, 0.8].map((share) => Uint32Array.from(colours, (colour) => pixel(colour, paper, share)));
    if (image?.width !== canvas.width || image.height !== canvas.height) {
      image = context.createImageData(canvas.width, canvas.height);
      pixels = new Uint32Array(image.data.buffer);
    }
    pixels.fill(pixel(paper));
    const { width, height } = canvas;
    const usual = xs.length > 50_000 ? 2 : xs.length > 5_000 ? 4 : 7;
    const size = Math.round(usual * ratio() * Math.min(4, Math.sqrt(view.scale / all.scale)));
    const offsets = disc(size, width);
    const rim = Math.ceil(size / 2) + 1;
    for (const [only, colour] of chosen ? [[0, pale], [1, full]] : [[undefined, full]]) {
      for (let i = 0; i < xs.length; i++) {
        const of = group[i];
        if (hidden[of] || (only !== undefined && chosen[i] !== only)) continue;
        const x = across(xs[i]) | 0;
        const y = down(ys[i]) | 0;
        if (x < rim || y < rim || x >= width - rim || y >= height - rim) continue;
        const at = y * width + x;
        for (let k = 0; k < offsets.length; k++) pixels[at + offsets[k]] = colour[of];
      }
    }
    context.putImageData(image, 0, 0);
    for (const i of hits) if (!hidden[group[i]]) ring(i, Math.max(4 * ratio(), size * 0.7), colours[group[i]], ink, paper);
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

  function ring(i, radius, inside, line, halo) {
    context.beginPath();
    context.arc(across(xs[i]), down(ys[i]), radius, 0, 7);
    for (const [width, colour] of [[5, halo], [2.5, line]]) {
      context.lineWidth = width * ratio();
      context.strokeStyle = colour;
      context.stroke();
    }
    context.fillStyle = inside;
    context.fill();
  }

  // The point that is seen closest to a place, a hit before others; -1 where none is near.
  function nearest([x, y]) {
    const [at, from] = [view.x + (x - canvas.width / 2) / view.scale, view.y - (y - canvas.height / 2) / view.scale];
    const reach = (NEAR * ratio()) / view.scale;
    let [best, found] = [reach * reach, -1];
    const look = (i) => {
      const far = (xs[i] - at) ** 2 + (ys[i] - from) ** 2;
      if (far < best && !hidden[group[i]]) [best, found] = [far, i];
    };
    for (const i of hits) look(i);
    if (found < 0) for (let i = 0; i < xs.length; i++) look(i);
    return found;
  }

  const said = (error) => (note.textContent = error.message);
  function hover(i) {
    if (i === hovered) return;
    hovered = i;
    dirty();
    if (i < 0) return void drop("look"); // what was read stays
    askLast("look", { row: i }, (place) => {
      read = i;
      title.textContent = place.title;
      title.hidden = false;
      note.textContent = place.note;
      code.replaceChildren(...pieces(place.segments));
    }, said);
  }
  function open(i) {
    if (i >= 0) ask("look", { row: i }).then((place) => openPlace(place, () => (note.textContent = OUTSIDE)), said);
  }

  function zoom(by, [x, y] = [canvas.width / 2, canvas.height / 2]) {
    const scale = Math.max(all.scale / 2, Math.min(all.scale * MOST_ZOOM, view.scale * by));
    const kept = 1 / view.scale - 1 / scale; // what is below the pointer stays there
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
    const inside = (x, y) => {
      let within = false;
      for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
        const [[x1, y1], [x2, y2]] = [corners[i], corners[j]];
        if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) within = !within;
      }
      return within;
    };
    const rows = [];
    if (corners) for (let i = 0; i < xs.length; i++) if (!hidden[group[i]] && inside(xs[i], ys[i])) rows.push(i);
    chosen = rows.length ? new Uint8Array(xs.length) : null;
    for (const row of rows) chosen[row] = 1;
    ask("choose", { rows }).then((text) => (picked.textContent = text), said);
    dirty();
  }

  let held = null; // where the pointer went down, and how far it has moved
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
      hover(nearest(placed(event)));
      open(hovered);
    }
  });
  canvas.addEventListener("mousedown", (event) => event.shiftKey && event.stopPropagation()); // Lab would choose cells
  canvas.addEventListener("pointercancel", () => {
    held = lasso = null;
    dirty();
  });
  canvas.addEventListener("pointerleave", () => !held && hover(-1));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // else the page is scrolled
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), placed(event));
  }, { passive: false });
  let next = -1; // of the hits
  const KEYS = {
    ArrowLeft: () => move(40, 0), ArrowRight: () => move(-40, 0), ArrowUp: () => move(0, 40), ArrowDown: () => move(0, -40),
    "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4),
    0: () => {
      Object.assign(view, all);
      dirty();
    },
    n: () => hits.length && hover(hits[(next = (next + 1) % hits.length)]),
    Enter: () => open(hovered),
    Escape: () => chosen && choose(null),
  };
  canvas.addEventListener("keydown", (event) => {
    const act = !event.ctrlKey && !event.metaKey && !event.altKey && KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    act();
    event.preventDefault();
    event.stopPropagation(); // Lab's own keys
  });

  const sized = new ResizeObserver(() => {
    const dots = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * dots), Math.round(MAP_HEIGHT * dots)];
    if (!width || (canvas.width === width && canvas.height === height)) return;
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
    close();
  };
}

// A text in the reader's language, where the page has a catalogue: %1 and so on stand for values.
const translator = (trans) => (text, ...values) => (trans ? trans.__(text, ...values) : text.replace(/%(\d)/g, (_, n) => values[n - 1]));

function renderPanel({ model, el, trans }) {
  const t = translator(trans);
  const described = ([files, allFiles, chunks, allChunks]) => t("%1 of %2 chunks in %3 of %4 files", number(chunks), number(allChunks), number(files), number(allFiles));
  const { ask, askLast, drop, close } = questions(model);
  const id = Math.random().toString(36).slice(2);
  const counts = element("span", { class: "counts", role: "status", "aria-live": "polite" });
  const where = element("small");
  const limits = element("div", { class: "grid" });
  const said = element("p", { class: "said", role: "status", "aria-live": "polite" });
  const results = element("div", { class: "results", role: "listbox", "aria-label": t("Results"), tabindex: "0", id: `results-${id}` });
  const offer = element("div", { class: "offer" });
  const chart = element("div", { class: "chart", role: "group", "aria-label": t("Code in scope, by folder") });
  const indexing = element("div", { class: "indexing" });
  const query = element("input", { type: "search", "aria-label": t("Search in scope"), placeholder: t("Search in scope"), autocomplete: "off", spellcheck: "false", "aria-controls": `results-${id}`, role: "combobox", "aria-expanded": "false", "aria-autocomplete": "none" });
  const on = { meaning: false, regex: false, word: false, case: false };
  const summary = element("summary");
  const narrow = model.get("narrow"); // a side bar: there the results come first
  const fold = `codeintel-nb:limits-${narrow ? "side" : "cell"}`; // whether a reader folded them away, kept by the browser
  const kept = localStorage.getItem(fold);
  let timer = 0;
  let lastKey = 0;
  let early = 0; // searches sent while the reader goes on typing
  let hits = [];
  let selected = -1;

  const failed = (error) => {
    said.className = "said error";
    said.textContent = error.message;
  };
  let wanted = null; // the scope that is being set: a second click builds on the first
  // no selected repository means all of them: an empty list would mean the notebook's project
  const scope = () => {
    const { repos = [], ...others } = wanted ?? model.get("state").scope;
    return repos.length && repos[0] !== "*" ? { ...others, repos } : others;
  };
  function setScope(given, restore = () => undefined) {
    const changed = given.repos?.length ? given : { ...given, repos: ["*"] };
    wanted = changed;
    askLast("scope", { scope: changed }, () => (wanted = null), (error) => { wanted = null; restore(); failed(error); });
  }
  // A change that the server computes: it waits for an earlier click, or takes its place.
  function changeScope(what, given = {}) {
    wanted = null;
    askLast(what, given, () => undefined, failed, "scope");
  }
  // the text of an input, which is empty from then on; the call that puts it back, where it could not be used
  function taken(input) {
    const text = input.value.trim();
    const { key } = input.dataset;
    input.value = "";
    return [text, () => keyed(key) && !keyed(key).value && (keyed(key).value = text)];
  }
  const toggled = (held = [], name) => (held.includes(name) ? held.filter((one) => one !== name) : [...held, name]);

  const keyed = (key) => root.querySelector(`[data-key="${CSS.escape(key)}"]`);

  function drawScope() {
    const state = model.get("state");
    const typed = [...limits.querySelectorAll("input")].map((input) => [input.dataset.key, input.value, input.selectionStart, input.selectionEnd]);
    const focus = root.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    where.textContent = state.where;
    counts.textContent = state.note || (state.counts ? described(state.counts) : "");
    const { exclude_globs: left = [], ...others } = scope();
    const said = [...Object.values(others).flat(), ...left.map((glob) => `!${glob}`)].join(" ");
    summary.textContent = !said ? t("Searching everything") : state.default ? t("Searching this project: %1", said) : t("Searching: %1", said);
    limits.replaceChildren();
    for (const [field, title, of] of FIELDS) {
      const chosen = scope()[field] ?? [];
      const known = new Map(state[of]);
      for (const name of chosen) if (!known.has(name)) known.set(name, field === "repos" ? null : 0); // a repository without an index is not counted
      if (!known.size || (field === "repos" && known.size < 2 && !chosen.length)) continue;
      const shown = [...known].filter(([name], i) => i < MOST_CHOICES || chosen.includes(name));
      const buttons = shown.map(([name, count]) => {
        const pressed = chosen.includes(name);
        return element("button", {
          type: "button", "aria-pressed": String(pressed), "data-key": `${field}:${name}`, text: count === null ? plain(name) : `${plain(name)} ${number(count)}`,
          onclick: () => setScope({ ...scope(), [field]: toggled(scope()[field], name) }),
        });
      });
      const more = known.size > shown.length ? [element("span", { text: t("and %1 more", number(known.size - shown.length)) })] : [];
      limits.append(element("span", { text: t(title) }), element("div", { role: "group", "aria-label": t(title) }, ...buttons, ...more));
    }
    for (const [field, title, example] of GLOBS) limits.append(element("span", { text: t(title) }), globs(field, title, example, state.scope[field] ?? []));
    limits.append(element("span", { text: t("Search in") }), steps(), element("span", { text: t("Saved") }), saved(state.saved));
    drawOffer(state);
    drawChart(state);
    for (const [key, value, start, end] of typed) {
      const input = value && keyed(key);
      if (!input) continue;
      input.value = value;
      input.setSelectionRange(start, end);
    }
    // what was focused, or where it was
    if (focus && !root.contains(document.activeElement)) (keyed(focus) ?? keyed(`${focus.split(":")[0]}:`) ?? query).focus();
  }

  function drawOffer(state) {
    offer.replaceChildren();
    if (state.expired) offer.append(t("The scope that you set has expired."), " ");
    if (!state.offered) return;
    const [text, before] = state.offered;
    offer.append(t("Your previous kernel searched %1", text), " ", element("button", { type: "button", text: t("Restore"), "data-key": "offer:", onclick: () => setScope(before) }));
  }

  // One bar a folder, as long as it holds chunks, in pieces by language; a click narrows the scope to it.
  function drawChart(state) {
    chart.replaceChildren();
    const folders = state.folders ?? [];
    if (!folders.length) return;
    const totals = new Map();
    for (const folder of folders) for (const [language, chunks] of folder.languages) totals.set(language, (totals.get(language) ?? 0) + chunks);
    const ranked = [...totals].sort((a, b) => b[1] - a[1]).map(([language]) => language);
    const colour = (language) => Math.min(ranked.indexOf(language), COLOURS - 1);
    const named = ranked.length > COLOURS ? [...ranked.slice(0, COLOURS - 1), t("others")] : ranked;
    const several = new Set(folders.map((folder) => folder.repo)).size > 1;
    const most = Math.max(1, ...folders.map((folder) => folder.chunks));
    for (const folder of folders) {
      const name = several ? plain(folder.repo) : folder.glob ? `${folder.path.split("/").pop()}/` : t("files here");
      const bar = element("span", { class: "bar", "aria-hidden": "true" });
      for (const [language, chunks] of folder.languages) bar.append(element("span", { class: `piece hue${colour(language)}`, style: `width:${(100 * chunks) / most}%`, title: `${language} ${number(chunks)}` }));
      const said = `${several ? plain(folder.repo) : folder.path || state.base || t("the root")}: ${t("%1 chunks in %2 files", number(folder.chunks), number(folder.files))}, ${folder.languages.map(([language, chunks]) => `${language} ${number(chunks)}`).join(", ")}`;
      const row = [element("span", { class: "name", text: name }), bar, element("span", { class: "count", text: number(folder.chunks) })];
      const narrow = several ? { repos: [folder.repo] } : folder.glob ? { include_globs: [folder.glob] } : null;
      chart.append(narrow
        ? element("button", { type: "button", class: "folder", "aria-label": t("Narrow to %1", said), title: said, "data-key": `folder:${folder.repo}:${folder.path}`, onclick: () => setScope({ ...scope(), ...narrow }) }, ...row)
        : element("div", { class: "folder", title: said }, ...row));
    }
    const legend = named.map((language, i) => element("span", { class: "key" }, element("span", { class: `piece hue${i}`, "aria-hidden": "true" }), language));
    if (state.more_folders) legend.push(element("span", { text: t("and %1 more folders", number(state.more_folders)) }));
    if (state.base) legend.unshift(element("span", { text: t("in %1/", state.base) }));
    chart.append(element("div", { class: "legend" }, ...legend));
  }

  // made once: what a reader types, presses or has focused stays while a run tells how far it is
  const line = element("span", { role: "status" });
  const bar = element("progress", { max: "1", "aria-label": t("indexing") });
  const cancel = element("button", { type: "button", text: t("Cancel"), "aria-label": t("Cancel indexing"), onclick: () => ask("cancel").catch(failed) });
  const folder = element("input", { type: "text", placeholder: t("this folder"), "aria-label": t("A folder to index; by default the notebook's folder"), spellcheck: "false" });
  const beginIndex = () => ask("index", { path: folder.value.trim() }).then(() => (folder.value = ""), failed);
  const begin = element("button", { type: "button", text: t("Index"), onclick: beginIndex });
  folder.addEventListener("keydown", (event) => {
    if (event.key === "Enter") beginIndex();
    event.stopPropagation();
  });
  indexing.append(folder, begin, bar, line, cancel);

  function drawIndexing() {
    const job = model.get("job") ?? {};
    const busy = job.state === "waiting" || job.state === "running";
    const had = indexing.contains(document.activeElement);
    line.textContent = job.line ?? "";
    line.className = job.state === "failed" ? "error" : "";
    job.share ? bar.setAttribute("value", String(job.share)) : bar.removeAttribute("value");
    folder.hidden = begin.hidden = busy;
    bar.hidden = cancel.hidden = !busy;
    if (had && document.activeElement?.hidden !== false) (busy ? cancel : folder).focus();
  }

  function globs(field, title, example, held) {
    const chips = held.map((glob) =>
      element("span", { class: "chip" }, glob, element("button", { type: "button", "aria-label": t("Remove %1", glob), text: "×", "data-key": `${field}:×${glob}`, onclick: () => setScope({ ...scope(), [field]: toggled(scope()[field], glob) }) })),
    );
    const input = element("input", {
      type: "text", placeholder: example, "aria-label": t("%1: type a glob, press Enter to add it", t(title)), "data-key": `${field}:`, spellcheck: "false",
      oninput: () => {
        const typed = input.value.trim();
        if (!typed) {
          drop("count");
          return drawCounts(model.get("state").counts);
        }
        askLast("count", { scope: { ...scope(), [field]: [...held, typed] } }, drawCounts, failed);
      },
      onkeydown: (event) => {
        if (event.key === "Enter" && input.value.trim()) {
          drop("count");
          const [glob, restore] = taken(input);
          setScope({ ...scope(), [field]: [...(scope()[field] ?? []), glob] }, restore);
        }
        if (event.key === "Backspace" && !input.value && held.length) setScope({ ...scope(), [field]: held.slice(0, -1) });
        event.stopPropagation(); // Lab's own keys
      },
    });
    return element("div", { role: "group", "aria-label": t(title) }, ...chips, input);
  }

  const drawCounts = (numbers) => {
    if (numbers) counts.textContent = described(numbers);
  };

  function saved(names) {
    const use = element("select", { "aria-label": t("Use a saved scope"), "data-key": "use:", onchange: () => use.value && changeScope("use", { name: use.value }) }, element("option", { value: "", text: t("use…") }), ...names.map((name) => element("option", { value: name, text: name })));
    const error = element("small", { class: "error", role: "alert" }); // beside the field: the caption is about the search
    const showError = (message) => {
      error.textContent = message;
      name.setAttribute("aria-invalid", String(Boolean(message)));
    };
    const name = element("input", { type: "text", placeholder: t("save as…"), "aria-label": t("Save this scope as: type a name, press Enter to save"), "data-key": "save:", oninput: () => showError(""), onkeydown: (event) => {
      if (event.key === "Enter" && name.value.trim()) {
        const [text, restore] = taken(name);
        ask("save", { name: text }).catch((refused) => {
          restore();
          showError(refused.message);
        });
      }
      event.stopPropagation();
    } });
    return element("div", { role: "group", "aria-label": t("Saved") }, use, name, error);
  }

  // Buttons that widen the scope: the project, its imports, everything.
  function steps() {
    const step = (key, text, onclick) => element("button", { type: "button", text: t(text), "data-key": key, onclick });
    return element("div", { role: "group", "aria-label": t("Search in") },
      step("clear:", "This project", () => changeScope("clear")), step("imports:", "+ imported packages", () => changeScope("imports")), step("all:", "Everything", () => setScope({})));
  }

  function typed() {
    const now = performance.now();
    if (now - lastKey > PAUSE_MS) early = 0;
    lastKey = now;
    search(QUIET_MS * (1 + Math.min(early, 2)));
  }

  function search(wait) {
    clearTimeout(timer);
    timer = setTimeout(() => {
      early += 1;
      const text = query.value;
      if (!text.trim()) {
        drop("search");
        return drawResults({ caption: "", files: [] });
      }
      const given = { query: text, meaning: on.meaning };
      if (!on.meaning) Object.assign(given, { regex: on.regex, word: on.word, case: on.case ? "sensitive" : "smart" });
      askLast("search", given, drawResults, failed);
    }, wait);
  }

  function drawResults(answer) {
    said.className = "said";
    said.textContent = answer.caption;
    hits = [];
    selected = -1;
    const groups = answer.files.map((file) => {
      const title = answer.several ? `${file.repo}: ${file.path}` : file.path;
      const rows = file.hits.map((hit) => {
        const code = element("pre", { class: "highlight" });
        code.append(...pieces(hit.segments));
        const place = hit.cell == null ? `${hit.line}` : `[${hit.cell}] ${hit.line}`;
        const row = element("div", { class: "hit", role: "option", "aria-selected": "false", id: `hit-${id}-${hits.length}`, title: hit.symbol ? `${hit.kind} ${hit.symbol}` : false }, element("span", { class: "line", text: place }), code);
        const index = hits.length;
        row.addEventListener("click", () => {
          select(index);
          open(hit, row);
        });
        hits.push([hit, row]);
        return row;
      });
      return element("div", { role: "group", "aria-label": title }, element("div", { class: "file", text: title }), ...rows);
    });
    results.replaceChildren(...groups);
    for (const who of [results, query]) who.removeAttribute("aria-activedescendant");
    query.setAttribute("aria-expanded", String(hits.length > 0));
    results.scrollTop = 0;
  }

  function select(index) {
    hits[selected]?.[1].setAttribute("aria-selected", "false");
    selected = Math.max(0, Math.min(hits.length - 1, index));
    const row = hits[selected]?.[1];
    if (!row) return;
    row.setAttribute("aria-selected", "true");
    for (const who of [results, query]) who.setAttribute("aria-activedescendant", row.id);
    row.scrollIntoView({ block: "nearest" });
  }

  const open = (hit) => openPlace(hit, () => (said.textContent = t(OUTSIDE)));

  const keys = (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (hits.length) select(selected + (event.key === "ArrowDown" ? 1 : -1));
      event.preventDefault();
    } else if (event.key === "Enter" && selected >= 0) open(hits[selected][0]);
    else if (event.key === "Escape" && event.target === query) (query.value = ""), search(0);
    event.stopPropagation(); // else Lab takes a letter for a command
  };
  query.addEventListener("input", typed);
  query.addEventListener("keydown", keys);
  results.addEventListener("keydown", keys);
  const switches = MODES.map(([name, text, title]) => {
    const button = element("button", { type: "button", text: t(text), title: t(title), "aria-label": t(title), "aria-pressed": "false", onclick: () => {
      on[name] = !on[name];
      button.setAttribute("aria-pressed", String(on[name]));
      search(0);
    } });
    return button;
  });

  const root = element("section", { class: "codeintel", "aria-label": t("Code search") },
    element("div", { class: "head" }, element("h3", { text: t("Scope") }), counts, where),
    offer,
    element("div", { class: "search", role: "search" }, query, ...switches),
    element("details", { class: "limits", open: kept ? kept === "open" : !narrow, ontoggle: (event) => localStorage.setItem(fold, event.target.open ? "open" : "folded") }, summary, limits, chart),
    said, results, indexing);
  const endTheme = themed(root);
  el.append(root);
  let shown = "";
  let shownSession;
  const redraw = () => {
    const { scope, session } = model.get("state");
    if (session !== shownSession) {
      wanted = null; // it was for the session before
      drop("scope");
      drop("count");
    }
    shownSession = session;
    drawScope();
    const now = JSON.stringify([scope, session]);
    if (shown && shown !== now && session) search(0); // what is found is found in the new scope
    shown = now;
  };
  // somebody else on the page has heard that a scope changed: a cell's panel is told by nobody
  const elsewhere = (event) => {
    if (event.detail?.session === model.get("state").session) ask("state").catch(() => undefined);
  };
  if (!narrow) document.addEventListener("codeintel:changed", elsewhere);
  model.on("change:state", redraw);
  model.on("change:job", drawIndexing);
  redraw();
  drawIndexing();
  return () => {
    clearTimeout(timer);
    endTheme();
    document.removeEventListener("codeintel:changed", elsewhere);
    model.off("change:state", redraw);
    model.off("change:job", drawIndexing);
    close();
  };
}

const render = (given) => (given.model.get("groups") === undefined ? renderPanel(given) : renderMap(given));

export default { render };
