/** Opening of places: a file at its line, a notebook at its cell, with the match selected. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import { FRAGMENT, type Place } from './view/host';
import type { Mode } from './view/messages';

const LOOK_MS = 100; // polling interval of the cell's position
const LOOKS = 40;
const STEADY = 5; // polls without a move before it counts as settled

/** Return a place from what anything on the page may have sent; null unless it is a file below the server's root. */
export function placeOf(given: any): Place | null {
  const { path, line, column, length, cell, cell_line } = given ?? {};
  const isInside =
    typeof path === 'string' &&
    path !== '' &&
    path.length <= 4096 &&
    !path.startsWith('/') &&
    // eslint-disable-next-line no-control-regex
    !/[\u0000:]/.test(path.split('/')[0]) &&
    !path.split('/').includes('..');
  if (!isInside) {
    return null;
  }
  const whole = (value: unknown, least: number): number | null => {
    const number = typeof value === 'string' && value !== '' ? Number(value) : value;
    return Number.isSafeInteger(number) && (number as number) >= least ? (number as number) : null;
  };
  return {
    path,
    line: whole(line, 1) ?? 1,
    column: whole(column, 1),
    length: whole(length, 0) ?? 0,
    cell: whole(cell, 0),
    cell_line: whole(cell_line, 1)
  };
}

/** Return the fields of a link's fragment; null if it is not one of ours. */
export function fragmentOf(hash: string): Record<string, string> | null {
  const [name, ...rest] = hash.replace(/^#/, '').split('&');
  return name === FRAGMENT ? Object.fromEntries(new URLSearchParams(rest.join('&'))) : null;
}

/** Open a place; a notebook that is not open yet is shown without starting a kernel. */
export async function open(app: JupyterFrontEnd, documents: IDocumentManager | null, place: Place): Promise<void> {
  const isNotebook = PathExt.extname(place.path) === '.ipynb';
  const factory = isNotebook ? 'Notebook' : 'Editor';
  const preference = isNotebook ? { shouldStart: false, autoStartDefault: false } : undefined;
  const widget: any = documents
    ? documents.openOrReveal(place.path, factory, undefined, undefined, preference)
    : await app.commands.execute('docmanager:open', { path: place.path, factory });
  if (!widget) {
    return; // Notebook 7 opened a tab of the browser
  }
  if (isNotebook) {
    waitForKernel(widget.sessionContext);
  }
  await widget.context?.ready;
  await widget.revealed;
  await reveal(widget, place);
}

const waiting = new WeakSet<object>(); // sessions that wait for a kernel

/**
 * Let a session count as ready once it has a kernel.
 *
 * JupyterLab counts a session without a kernel as ready. ipywidgets then fails on the missing kernel, and draws none of
 * the notebook's widgets once one starts.
 */
function waitForKernel(context: ISessionContext): void {
  if (waiting.has(context) || context.session?.kernel) {
    return;
  }
  waiting.add(context);
  const kernel = new Promise<void>(resolve => {
    const started = () => {
      if (context.session?.kernel) {
        context.kernelChanged.disconnect(started);
        resolve();
      }
    };
    context.kernelChanged.connect(started);
  });
  const ready = context.ready.then(() => (context.session?.kernel ? undefined : kernel));
  Object.defineProperty(context, 'ready', { get: () => ready, configurable: true });
}

const followed = new WeakMap<object, AbortController>(); // notebook -> the place that it is held at

/** Show a place in an open document; it takes the place of an earlier one. */
export async function reveal(widget: any, place: Place): Promise<void> {
  followed.get(widget)?.abort();
  const acted = new AbortController();
  followed.set(widget, acted);
  if (place.cell !== null && widget.content?.widgets) {
    const notebook = widget.content;
    const index = Math.min(place.cell, notebook.widgets.length - 1);
    const cell = notebook.widgets[index];
    notebook.activeCellIndex = index;
    notebook.deselectAll?.();
    await notebook.scrollToCell(cell, 'center');
    if (acted.signal.aborted) {
      return;
    }
    if (place.cell_line !== null) {
      if (cell.model.type === 'markdown') {
        cell.rendered = false;
      }
      await cell.ready;
      select(cell.editor, place.cell_line, place);
    }
    await keepInSight(notebook, index, acted);
    return;
  }
  const editor: CodeEditor.IEditor | undefined = widget.content?.editor;
  if (editor) {
    select(editor, place.line, place);
    editor.focus();
  }
}

function select(editor: CodeEditor.IEditor | null, from: number, place: Place): void {
  if (!editor) {
    return;
  }
  const line = Math.min(from, editor.lineCount) - 1;
  const width = editor.getLine(line)?.length ?? 0;
  const column = Math.min((place.column ?? 1) - 1, width);
  const start = { line, column };
  editor.setCursorPosition(start);
  editor.setSelection({ start, end: { line, column: Math.min(column + place.length, width) } });
  editor.revealPosition(start);
}

/** Keep a cell active and in view while the notebook renders and moves cells; any input ends it. */
async function keepInSight(content: any, index: number, acted: AbortController): Promise<void> {
  for (const kind of ['wheel', 'pointerdown', 'keydown']) {
    content.node.addEventListener(kind, () => acted.abort(), { capture: true, signal: acted.signal });
  }
  for (let look = 0, steady = 0; look < LOOKS && steady < STEADY; look++) {
    await new Promise(resolve => window.setTimeout(resolve, LOOK_MS));
    const cell = content.widgets[index];
    if (acted.signal.aborted || content.isDisposed || !cell) {
      return;
    }
    const box = cell.node.getBoundingClientRect();
    const seen = content.node.getBoundingClientRect();
    const isWithin = box.height > seen.height || (box.top >= seen.top && box.bottom <= seen.bottom);
    const inSight = box.height > 0 && box.top < seen.bottom && box.bottom > seen.top && isWithin;
    steady = inSight && content.activeCellIndex === index ? steady + 1 : 0;
    if (!steady) {
      content.activeCellIndex = index;
      await content.scrollToCell(cell, 'center');
    }
  }
  acted.abort(); // removes the listeners
}

/** Return the path, and the fields of the fragment, of a link to a place. */
function linkOf(anchor: HTMLAnchorElement, baseUrl: string): [string, Record<string, string>] | null {
  const fields = fragmentOf(anchor.hash);
  if (fields) {
    const url = new URL(anchor.href, window.location.href);
    const below = url.pathname.startsWith(baseUrl) ? url.pathname.slice(baseUrl.length) : '';
    const path = below.replace(/^(?:files|lab\/tree|doc\/tree|notebooks|edit|tree)\//, '');
    return [decodeURIComponent(path), fields];
  }
  // JupyterLab has put the path and the fragment of a link in an output into an attribute
  const given = JSON.parse(anchor.dataset.commandlinkerArgs ?? 'null');
  const own = typeof given?.id === 'string' ? fragmentOf(given.id) : null;
  return own && typeof given.path === 'string' ? [given.path, own] : null;
}

export interface LinkActions {
  open(place: Place): void;
  view(repo: string, path: string, line: number): void;
  send?: (code: string) => void;
  search?: (query: string, mode: Mode, switches?: string[]) => void;
}

// one line: a page's editor breaks lines at other characters too
const MAGIC = /^%(?:textsearch|semsearch|symbol|paths)(?: [^\r\n\u2028\u2029]*)?$/;
const FORMS: Record<string, string> = { frame: 'hits.to_df()', markdown: 'print(hits.to_markdown())', map: 'hits.map()' };

/** Do what a link in results asks for: only what these names stand for. */
function act(fields: Record<string, string>, actions: LinkActions): void {
  const form = FORMS[fields.as];
  if (fields.do === 'cell' && form && MAGIC.test(fields.magic ?? '')) {
    actions.send?.(`hits = ${fields.magic}\n${form}`);
  } else if (fields.do === 'panel' && ['text', 'meaning', 'symbols', 'files'].includes(fields.mode)) {
    actions.search?.(fields.query ?? '', fields.mode as Mode, (fields.switches ?? '').split(','));
  }
}

/** Follow links to places in outputs, which a browser would open at the top. */
export function followLinks(baseUrl: string, actions: LinkActions): void {
  document.addEventListener(
    'click',
    event => {
      const anchor = (event.target as Element | null)?.closest?.('a');
      if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey) {
        return;
      }
      const link = linkOf(anchor, baseUrl);
      if (!link) {
        return;
      }
      const [path, fields] = link;
      if (fields.do) {
        event.preventDefault();
        event.stopPropagation();
        return act(fields, actions);
      }
      const place = fields.view ? null : placeOf({ ...fields, path });
      if (!fields.view && !place) {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
      if (place) {
        actions.open(place);
      } else {
        actions.view(fields.repo ?? '', fields.view, Number(fields.line) || 1);
      }
    },
    true
  );
}
