/** Elements, texts and themes: what the kernel or the server sends is shown as text, never as HTML. */

export type Attributes = Record<string, string | number | boolean | null | undefined | ((event: any) => void)>;

/** Make an element; `on...` adds a listener, `text` sets the text, true and false switch an attribute. */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') {
      made.addEventListener(key.slice(2), value);
    } else if (key === 'text') {
      made.textContent = String(value);
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(key, value === true ? '' : String(value));
    }
  }
  made.append(...children);
  return made;
}

const SVG = 'http://www.w3.org/2000/svg';

/** Make an icon of 16 by 16 from a path. */
export function icon(path: string, name = ''): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('width', '16');
  svg.setAttribute('height', '16');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', `icon ${name}`.trim());
  const drawn = document.createElementNS(SVG, 'path');
  drawn.setAttribute('d', path);
  svg.append(drawn);
  return svg;
}

export const ICONS = {
  refresh: 'M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3',
  clear: 'M3 4h7M3 8h5M3 12h5M11 9l4 4M15 9l-4 4',
  collapse: 'M3 3h10v10H3zM5.5 8h5',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  pin: 'M6 2h4l-.5 5L12 9.5H4L6.5 7zM8 9.5V14',
  send: 'M8 11V2M4.5 5.5L8 2l3.5 3.5M3 13h10',
  copy: 'M5.5 5.5h7v8h-7zM3.5 10.5v-8h7',
  notebook: 'M4 2h9v12H4zM4 2v12M2.5 5h2M2.5 8h2M2.5 11h2M7 5h4',
  code: 'M6 4L2.5 8 6 12M10 4l3.500 4L10 12',
  prose: 'M3 3h10M3 6h10M3 9h10M3 12h6',
  data: 'M3 3h10v10H3zM3 6.500h10M3 10h10M7 3v10',
  close: 'M4 4l8 8M12 4l-8 8',
  down: 'M4 6l4 4 4-4',
  right: 'M6 4l4 4-4 4'
};

/** Return a name without characters that would turn or hide the text around it. */
export const plain = (name: string): string =>
  // eslint-disable-next-line no-control-regex
  name.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');

export const number = new Intl.NumberFormat('en').format;

/** Text in the reader's language, where the page has a catalogue: %1 and so on stand for values. */
export type Translate = (text: string, ...values: (string | number)[]) => string;

export interface Catalogue {
  __(text: string, ...values: any[]): string;
}

export const translator =
  (catalogue?: Catalogue): Translate =>
  (text, ...values) =>
    catalogue ? catalogue.__(text, ...values) : text.replace(/%(\d)/g, (_, n) => String(values[Number(n) - 1]));

/** Return pieces of code with their colours and marks. */
export const pieces = (segments: [string, boolean, string][]): HTMLElement[] =>
  segments.map(([css, marked, text]) => element(marked ? 'mark' : 'span', { class: css || false, text }));

/** Follow the theme of the page; return the function that stops it. */
export function themed(root: HTMLElement, changed: () => void = () => undefined): () => void {
  const draw = () => {
    const light = document.body.dataset.jpThemeLight;
    const dark = light === 'false' || (light === undefined && matchMedia('(prefers-color-scheme: dark)').matches);
    root.dataset.theme = dark ? 'dark' : 'light';
    changed();
  };
  const seen = new MutationObserver(draw);
  seen.observe(document.body, { attributes: true, attributeFilter: ['data-jp-theme-light'] });
  draw();
  return () => seen.disconnect();
}
