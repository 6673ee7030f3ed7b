/** Map of points drawn pixel by pixel, which stays quick without a graphics card. */

import { Questions } from './ask';
import { type Catalogue, element, number, pieces, plain, themed } from './dom';
import { type Host, type ViewModel, linkHost } from './host';

interface Given {
  model: ViewModel;
  el: HTMLElement;
  trans?: Catalogue;
  application?: Host; // not "host": anywidget passes an object of that name
}

const MAP_HEIGHT = 480;
const NEAR = 8; // pixels around the pointer in which a point is met
const MOST_ZOOM = 400; // times the whole map
const HINT =
  'Hover over a point to see its code; click it to open its file, or a name to search only there. Drag to move, Ctrl and the wheel or + and - to zoom, 0 to show all, Shift and drag to select, N for the next hit, Enter to open it.';

// A colour "#rrggbb" as a pixel, paler towards another.
function pixel(colour: string, towards = colour, share = 0): number {
  const part = (text: string, i: number) => parseInt(text.slice(1 + 2 * i, 3 + 2 * i), 16);
  const [red, green, blue] = [0, 1, 2].map(i => Math.round(part(colour, i) * (1 - share) + part(towards, i) * share));
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// Where the pixels of a disc lie from its middle, in an image of so many pixels a row.
function disc(diameter: number, width: number): Int32Array {
  const radius = diameter / 2;
  const offsets: number[] = [];
  for (let y = -Math.floor(radius); y < radius; y++)
    for (let x = -Math.floor(radius); x < radius; x++)
      if (Math.hypot(x + 0.5, y + 0.5) <= radius + 0.2) offsets.push(y * width + x);
  return Int32Array.from(offsets);
}

export function renderMap({ model, el, application }: Given): () => void {
  const questions = new Questions(model);
  const bytes = (name: string): ArrayBuffer => {
    const held = model.get(name);
    return held.buffer.slice(held.byteOffset, held.byteOffset + held.byteLength);
  };
  const [xs, ys, group] = [new Float32Array(bytes('x')), new Float32Array(bytes('y')), new Uint8Array(bytes('group'))];
  let hits: number[] = model.get('hits');
  const clusters: [number, number, string][] = model.get('clusters') ?? [];
  let labels: { box: [number, number, number, number]; cluster: number }[] = []; // as drawn
  const groups: [string, string, number][] = model.get('groups'); // [name, colour, points]
  const hidden = new Uint8Array(groups.length);
  let chosen: Uint8Array | null = null; // a byte a point, 1 where it is chosen
  let hovered = -1;
  let read = -1; // whose code is shown
  let lasso: [number, number][] | null = null; // the corners of what is drawn around points
  let frame = 0;
  let image: ImageData | undefined;
  let pixels = new Uint32Array();

  const canvas = element('canvas', {
    tabindex: '0',
    role: 'application',
    'aria-roledescription': 'map',
    'aria-label': model.get('caption'),
    'aria-describedby': `hint-${model.model_id}`
  });
  const context = canvas.getContext('2d') as CanvasRenderingContext2D;
  const title = element('button', { type: 'button', class: 'title', hidden: true, onclick: () => open(read) });
  const note = element('span', { role: 'status', text: HINT, id: `hint-${model.model_id}` });
  const picked = element('small', { role: 'status', class: 'picked' });
  const code = element('pre', { class: 'highlight' });
  const legend = element('div', { class: 'legend', role: 'group', 'aria-label': 'Groups: press a group to hide or show it' });
  for (const [i, [name, colour, points]] of groups.entries()) {
    const key = element(
      'button',
      {
        type: 'button',
        class: 'key',
        'aria-pressed': 'true',
        onclick: () => {
          hidden[i] = 1 - hidden[i];
          key.setAttribute('aria-pressed', String(!hidden[i]));
          dirty();
        }
      },
      element('span', {
        class: `swatch${colour === '#000000' ? ' ink' : ''}`,
        style: `background:${colour}`,
        'aria-hidden': 'true'
      }),
      `${plain(name)} ${number(points)}`
    );
    legend.append(key);
  }
  const tooltip = element('div', { class: 'tooltip', hidden: true, 'aria-hidden': 'true' });
  const counts = element('small', { class: 'counts', text: model.get('caption') });
  const query = element('input', {
    type: 'search',
    placeholder: 'Search in this map',
    'aria-label': 'Search in this map by meaning',
    spellcheck: 'false',
    onkeydown: (event: KeyboardEvent) => {
      if (event.key === 'Enter' && query.value.trim()) {
        questions.ask('find', { query: query.value.trim() }).then(text => (counts.textContent = text), failed);
      }
      if (!event.ctrlKey && !event.metaKey && !event.altKey) {
        event.stopPropagation();
      }
    }
  });
  const root = element(
    'div',
    { class: 'codeintel map', role: 'group', 'aria-label': 'Code map' },
    element('div', { class: 'map-head' }, counts, query),
    element('div', { class: 'map-canvas' }, canvas, tooltip),
    legend,
    picked,
    title,
    note,
    code
  );
  const highlighted = () => {
    hits = model.get('hits');
    dirty();
  };
  model.on('change:hits', highlighted);

  const opener = application ?? linkHost(message => (note.textContent = message));

  // what is seen: the point in the middle, and pixels a unit
  const view = { x: 0, y: 0, scale: 1 };
  const all = { x: 0, y: 0, scale: 1 };
  function fit(): void {
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
  const across = (x: number) => (x - view.x) * view.scale + canvas.width / 2;
  const down = (y: number) => canvas.height / 2 - (y - view.y) * view.scale;
  const ratio = () => canvas.width / Math.max(canvas.clientWidth, 1);
  const placed = (event: MouseEvent): [number, number] => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * ratio(), (event.clientY - box.top) * ratio()];
  };

  function dirty(): void {
    if (!frame) frame = requestAnimationFrame(draw);
  }

  function draw(): void {
    frame = 0;
    if (!canvas.width || !canvas.height) return;
    const ink = root.dataset.theme === 'dark' ? '#ffffff' : '#000000';
    const paper = `#${(getComputedStyle(root).backgroundColor.match(/\d+/g) ?? ['255', '255', '255'])
      .slice(0, 3)
      .map(part => Number(part).toString(16).padStart(2, '0'))
      .join('')}`;
    const colours = groups.map(([, colour]) => (colour === '#000000' ? ink : colour));
    const [full, pale] = [0, 0.8].map(share => Uint32Array.from(colours, colour => pixel(colour, paper, share)));
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
    const layers: [number | undefined, Uint32Array][] = chosen
      ? [
          [0, pale],
          [1, full]
        ]
      : [[undefined, full]];
    for (const [only, colour] of layers) {
      for (let i = 0; i < xs.length; i++) {
        const of = group[i];
        if (hidden[of] || (only !== undefined && chosen?.[i] !== only)) continue;
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

  function write(text: string, x: number, y: number, px: number, ink: string, paper: string): number {
    context.font = `600 ${px * ratio()}px system-ui, sans-serif`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineJoin = 'round';
    context.lineWidth = 3 * ratio();
    context.strokeStyle = paper;
    context.strokeText(text, x, y);
    context.fillStyle = ink;
    context.fillText(text, x, y);
    return context.measureText(text).width;
  }

  // The names of clusters, largest first, where they do not cover another.
  function drawLabels(ink: string, paper: string): void {
    labels = [];
    const half = 8 * ratio();
    clusters.forEach(([cx, cy, name], cluster) => {
      const [x, y] = [across(cx), down(cy)];
      context.font = `600 ${12 * ratio()}px system-ui, sans-serif`;
      const wide = context.measureText(name).width / 2 + 4 * ratio();
      const box: [number, number, number, number] = [x - wide, y - half, x + wide, y + half];
      const isCovered = labels.some(({ box: b }) => box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1]);
      if (!isCovered && box[0] > 0 && box[2] < canvas.width && y > half && y < canvas.height - half) {
        write(name, x, y, 12, ink, paper);
        labels.push({ box, cluster });
      }
    });
  }

  const labelAt = ([x, y]: [number, number]) => labels.find(({ box }) => x > box[0] && x < box[2] && y > box[1] && y < box[3]);

  function ring(i: number, radius: number, inside: string, line: string, halo: string): void {
    context.beginPath();
    context.arc(across(xs[i]), down(ys[i]), radius, 0, 7);
    for (const [width, colour] of [
      [5, halo],
      [2.5, line]
    ] as [number, string][]) {
      context.lineWidth = width * ratio();
      context.strokeStyle = colour;
      context.stroke();
    }
    context.fillStyle = inside;
    context.fill();
  }

  // The point that is seen closest to a place, a hit before others; -1 where none is near.
  function nearest([x, y]: [number, number]): number {
    const [at, from] = [view.x + (x - canvas.width / 2) / view.scale, view.y - (y - canvas.height / 2) / view.scale];
    const reach = (NEAR * ratio()) / view.scale;
    let [best, found] = [reach * reach, -1];
    const look = (i: number) => {
      const far = (xs[i] - at) ** 2 + (ys[i] - from) ** 2;
      if (far < best && !hidden[group[i]]) [best, found] = [far, i];
    };
    for (const i of hits) look(i);
    if (found < 0) for (let i = 0; i < xs.length; i++) look(i);
    return found;
  }

  const failed = (error: Error) => (note.textContent = error.message);
  function hover(i: number): void {
    if (i === hovered) return;
    hovered = i;
    dirty();
    tooltip.hidden = true;
    if (i < 0) return questions.drop('look');
    void questions.askLast(
      'look',
      { row: i },
      place => {
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
  function showTooltip(i: number, place: any): void {
    const text: string = place.segments.map((part: [string, boolean, string]) => part[2]).join('');
    const lines = text.split('\n').filter(line => line.trim());
    tooltip.replaceChildren(element('b', { text: place.title }), element('pre', { text: lines.slice(0, 3).join('\n') }));
    tooltip.hidden = hovered !== i;
    const [x, y] = [across(xs[i]) / ratio(), down(ys[i]) / ratio()];
    tooltip.style.left = `${Math.max(0, Math.min(x + 12, canvas.clientWidth - tooltip.offsetWidth))}px`;
    tooltip.style.top = `${y + 14 + tooltip.offsetHeight > MAP_HEIGHT ? y - 14 - tooltip.offsetHeight : y + 14}px`;
  }
  function open(i: number): void {
    if (i < 0) {
      return;
    }
    questions.ask('look', { row: i }).then(place => {
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

  function zoom(by: number, [x, y] = [canvas.width / 2, canvas.height / 2]): void {
    const scale = Math.max(all.scale / 2, Math.min(all.scale * MOST_ZOOM, view.scale * by));
    const kept = 1 / view.scale - 1 / scale; // what is below the pointer stays there
    view.x += (x - canvas.width / 2) * kept;
    view.y -= (y - canvas.height / 2) * kept;
    view.scale = scale;
    dirty();
  }
  function move(x: number, y: number): void {
    view.x -= x / view.scale;
    view.y += y / view.scale;
    dirty();
  }
  function choose(corners: [number, number][] | null): void {
    const inside = (corners: [number, number][], x: number, y: number) => {
      let within = false;
      for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
        const [[x1, y1], [x2, y2]] = [corners[i], corners[j]];
        if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) within = !within;
      }
      return within;
    };
    const rows: number[] = [];
    if (corners) for (let i = 0; i < xs.length; i++) if (!hidden[group[i]] && inside(corners, xs[i], ys[i])) rows.push(i);
    chosen = rows.length ? new Uint8Array(xs.length) : null;
    for (const row of rows) (chosen as Uint8Array)[row] = 1;
    questions.ask('choose', { rows }).then(text => (picked.textContent = text), failed);
    dirty();
  }

  let held: { at: [number, number]; moved: number } | null = null; // where the pointer went down, and how far it has moved
  canvas.addEventListener('pointerdown', event => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    held = { at: placed(event), moved: 0 };
    if (event.shiftKey) lasso = [];
  });
  canvas.addEventListener('pointermove', event => {
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
  canvas.addEventListener('pointerup', event => {
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
        questions.ask('narrow', { cluster: label.cluster }).then(text => (picked.textContent = text), failed);
      } else {
        hover(point);
        open(hovered);
      }
    }
  });
  canvas.addEventListener('mousedown', event => event.shiftKey && event.stopPropagation()); // Lab would choose cells
  canvas.addEventListener('pointercancel', () => {
    held = lasso = null;
    dirty();
  });
  canvas.addEventListener('pointerleave', () => !held && hover(-1));
  canvas.addEventListener(
    'wheel',
    event => {
      if (!event.ctrlKey && !event.metaKey) return; // else the page is scrolled
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), placed(event));
    },
    { passive: false }
  );
  let next = -1; // of the hits
  const KEYS: Record<string, () => unknown> = {
    ArrowLeft: () => move(40, 0),
    ArrowRight: () => move(-40, 0),
    ArrowUp: () => move(0, 40),
    ArrowDown: () => move(0, -40),
    '+': () => zoom(1.4),
    '=': () => zoom(1.4),
    '-': () => zoom(1 / 1.4),
    0: () => {
      Object.assign(view, all);
      dirty();
    },
    n: () => hits.length && hover(hits[(next = (next + 1) % hits.length)]),
    Enter: () => open(hovered),
    Escape: () => chosen && choose(null)
  };
  canvas.addEventListener('keydown', event => {
    const act =
      !event.ctrlKey && !event.metaKey && !event.altKey && KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
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
    model.off('change:hits', highlighted);
    questions.close();
    root.remove();
  };
}
