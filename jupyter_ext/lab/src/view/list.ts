/** Virtual list of rows: only those in view are in the page. */

import { ICONS, element, icon, plain, type Translate } from './dom';
import { fitted, type Item } from './rows';

export const ROW = 21; // pixels, of every row
const BEYOND = 12; // rows drawn above and below the view
const LABEL_PX = 62; // of a row's label and margins

export interface ListActions {
  open(item: Item): void;
  select(index: number): void;
  toggle(item: Item): void;
  menu(item: Item, event: MouseEvent | KeyboardEvent): void;
  dismiss(item: Item): void;
  more(): void;
}

export class List {
  readonly node: HTMLElement;
  items: Item[] = [];
  selected = -1;
  several = false; // repositories: their names are shown
  showsSymbols = false; // before the lines

  constructor(
    private _id: string,
    private _t: Translate,
    private _actions: ListActions
  ) {
    this._space = element('div', { class: 'space', role: 'presentation' });
    this._sticky = element('div', { class: 'sticky', 'aria-hidden': 'true', onclick: () => this._toggleSticky() });
    this.node = element(
      'div',
      { class: 'list', role: 'tree', 'aria-label': _t('Results'), tabindex: '0', id: `results-${_id}` },
      this._sticky,
      this._space
    );
    this.node.addEventListener('scroll', () => this._draw(), { passive: true });
    this._sized = new ResizeObserver(() => {
      this._width = 0;
      this._draw(true);
    });
    this._sized.observe(this.node);
  }

  /** Show other rows; keep the selected one and the scroll position if ``keep``. */
  set(items: Item[], keep: boolean): void {
    const key = this.items[this.selected]?.key;
    this.items = items;
    this._stuck = -1;
    if (!keep || key === undefined) {
      this.selected = -1;
    } else if (key !== 'more') {
      this.selected = items.findIndex(item => item.key === key);
    } else if (this.selected >= items.length) {
      this.selected = -1; // of the rows that took its place, there is none
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
  inset(node: HTMLElement | null): void {
    this._inset?.remove();
    this._inset = node;
    this._insetPx = 0;
    if (node) {
      node.style.position = 'absolute';
      this._space.append(node);
      this._insetPx = Math.ceil(node.offsetHeight / ROW) * ROW;
    }
    this._draw(true);
  }

  select(index: number, scroll = true): void {
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
  hitFrom(by: 1 | -1): number {
    for (let i = this.selected + by; i >= 0 && i < this.items.length; i += by) {
      const item = this.items[i];
      if (item.kind === 'hit' || (item.kind === 'file' && !this._hasRows(item))) {
        return i;
      }
    }
    return -1;
  }

  get page(): number {
    return Math.max(1, Math.floor(this.node.clientHeight / ROW) - 1);
  }

  /** Return the id of the element of the selected row. */
  get activeId(): string {
    return this.selected < 0 ? '' : `${this._id}-${this.selected}`;
  }

  elementOf(index: number): HTMLElement | undefined {
    return this._drawn.get(index);
  }

  dispose(): void {
    this._sized.disconnect();
  }

  private _hasRows(item: Item): boolean {
    return item.kind === 'file' && item.file.rows.length > 0;
  }

  private _top(index: number): number {
    return index * ROW + (this.selected >= 0 && index > this.selected ? this._insetPx : 0);
  }

  private _reveal(index: number): void {
    const head = this.items[index].kind === 'hit' ? ROW : 0; // of the sticky file
    const top = this._top(index);
    const { scrollTop, clientHeight } = this.node;
    if (top - head < scrollTop) {
      this.node.scrollTop = Math.max(0, top - head);
    } else if (top + ROW + this._insetPx > scrollTop + clientHeight) {
      this.node.scrollTop = top + ROW + this._insetPx - clientHeight;
    }
  }

  /** Draw the rows in view; those that stay are kept, unless their content changed. */
  private _draw(all = false): void {
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
    if (this.node.isConnected && last >= items.length && items[items.length - 1]?.kind === 'more') {
      this._actions.more();
    }
  }

  /** Keep the file of the first row in view at the top. */
  private _drawSticky(top: number): void {
    const at = Math.floor(top / ROW);
    let index = Math.min(at, this.items.length - 1);
    while (index >= 0 && this.items[index].kind !== 'file') {
      index--;
    }
    const shown = index >= 0 && top > index * ROW && this.items[at]?.kind !== 'file';
    this._sticky.hidden = !shown;
    if (shown && this._stuck !== index) {
      const item = this.items[index];
      if (item.kind === 'file') {
        this._sticky.replaceChildren(...this._fileParts(item.file, true));
        this._sticky.title = item.file.path;
      }
    }
    this._stuck = shown ? index : -1;
  }

  private _toggleSticky(): void {
    const item = this.items[this._stuck];
    if (item) {
      this.node.scrollTop = this._stuck * ROW;
      this._actions.toggle(item);
    }
  }

  private _columns(): number {
    if (!this._width) {
      const canvas = document.createElement('canvas').getContext('2d');
      let character = 7.2;
      if (canvas) {
        canvas.font = getComputedStyle(this.node).getPropertyValue('--codeintel-code') || '12px monospace';
        character = canvas.measureText('0000000000').width / 10 || character;
      }
      this._width = Math.floor((this.node.clientWidth - LABEL_PX) / character);
    }
    return this._width;
  }

  private _fileParts(file: any, open: boolean): (Node | string)[] {
    const slash = file.path.lastIndexOf('/');
    const folder = slash < 0 ? '' : file.path.slice(0, slash);
    const parts: (Node | string)[] = [];
    if (file.rows.length) {
      parts.push(icon(open ? ICONS.down : ICONS.right, 'twisty'));
    }
    parts.push(
      icon(ICONS[file.icon as keyof typeof ICONS] ?? ICONS.code, file.icon),
      element('span', { class: 'name', text: plain(file.path.slice(slash + 1)) }),
      element('span', { class: 'folder', text: plain(this.several ? `${file.repo} ${folder}` : folder) })
    );
    if (file.rows.length) {
      parts.push(element('span', { class: 'badge', text: String(file.count) }));
    }
    return parts;
  }

  private _row(item: Item, index: number): HTMLElement {
    const selected = index === this.selected;
    const common = { id: `${this._id}-${index}`, role: 'treeitem', 'aria-selected': String(selected) };
    if (item.kind === 'more') {
      return element('div', { ...common, class: 'row more', onclick: () => this._actions.more() }, this._t('Show more'));
    }
    const events = {
      oncontextmenu: (event: MouseEvent) => {
        event.preventDefault();
        this._actions.select(index);
        this._actions.menu(item, event);
      },
      onclick: () => {
        this._actions.select(index);
        if (item.kind === 'file' && item.file.rows.length) {
          this._actions.toggle(item);
        } else {
          this._actions.open(item);
        }
      }
    };
    const dismiss = element('button', {
      type: 'button',
      class: 'dismiss',
      tabindex: '-1',
      title: this._t('Dismiss'),
      'aria-label': this._t('Dismiss'),
      onclick: (event: MouseEvent) => {
        event.stopPropagation();
        this._actions.dismiss(item);
      }
    });
    dismiss.append(icon(ICONS.close));
    if (item.kind === 'file') {
      const open = this.items[index + 1]?.kind === 'hit';
      const attributes = {
        ...common,
        ...events,
        class: 'row file',
        title: `${this.several ? `${item.file.repo}: ` : ''}${item.file.path}`,
        'aria-level': '1',
        ...(item.file.rows.length ? { 'aria-expanded': String(open) } : {})
      };
      return element('div', attributes, ...this._fileParts(item.file, open), dismiss);
    }
    const { row } = item;
    const text = element('span', { class: row.is_prose ? 'text prose' : 'text' });
    if (row.symbol && row.kind !== 'markdown' && this.showsSymbols) {
      text.append(element('b', { text: row.symbol }), ' ');
    }
    if (row.also.length) {
      text.append(element('small', { class: 'also', text: `+${row.also.length}` }), ' ');
    }
    for (const [part, marked] of fitted(row.text, row.marks, this._columns())) {
      text.append(marked ? element('mark', { text: part }) : part);
    }
    return element(
      'div',
      {
        ...common,
        ...events,
        class: 'row hit',
        'aria-level': '2',
        title: [row.where, row.kind === 'file' ? '' : row.symbol, row.also.length ? `also ${row.also.join(', ')}` : '']
          .filter(Boolean)
          .join(' · ')
      },
      element('span', { class: row.is_prose ? 'label prose' : row.is_output ? 'label output' : 'label', text: row.label }),
      text,
      dismiss
    );
  }

  private _space: HTMLElement;
  private _sticky: HTMLElement;
  private _stuck = -1;
  private _inset: HTMLElement | null = null;
  private _insetPx = 0;
  private _drawn = new Map<number, HTMLElement>();
  private _width = 0; // characters of a row
  private _sized: ResizeObserver;
}
