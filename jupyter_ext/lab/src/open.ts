import { JupyterFrontEnd } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';

const LOOK_MS = 100; // polling interval of the cell's position
const LOOKS = 40;
const STEADY = 5; // polls without a move before it counts as settled

export interface Place {
  path: string; // as the server shows it
  line: number; // from 1
  column: number; // from 1
  cell: number | null; // from 0
}

/** A place out of what anything on the page may have sent; null if it is none. It names a file below the server's folder, and no command. */
export function placeOf(given: any): Place | null {
  const { path, line, column, cell } = given ?? {};
  if (typeof path !== 'string' || !path || path.length > 4096 || path.startsWith('/') || /[\0:]/.test(path.split('/')[0]) || path.split('/').includes('..')) {
    return null;
  }
  const whole = (value: unknown, least: number, otherwise: number) => (Number.isSafeInteger(value) && (value as number) >= least ? (value as number) : otherwise);
  return { path, line: whole(line, 1, 1), column: whole(column, 1, 1), cell: cell === null || cell === undefined ? null : whole(cell, 0, 0) };
}

/** Open a file at its line, or a notebook at its cell; in Notebook 7 a tab of the browser shows it. */
export async function open(app: JupyterFrontEnd, place: Place): Promise<void> {
  const notebook = PathExt.extname(place.path) === '.ipynb';
  const widget: any = await app.commands.execute('docmanager:open', { path: place.path, factory: notebook ? undefined : 'Editor' });
  await widget?.context?.ready;
  await widget?.revealed;
  if (notebook && place.cell !== null && widget?.content?.widgets) {
    const cell = widget.content.widgets[Math.min(place.cell, widget.content.widgets.length - 1)];
    widget.content.activeCellIndex = widget.content.widgets.indexOf(cell);
    await widget.content.scrollToCell(cell, 'center');
    await keepInSight(widget.content, widget.content.widgets.indexOf(cell));
  }
  const editor = notebook ? null : widget?.content?.editor;
  if (editor) {
    const position = { line: Math.min(place.line, editor.lineCount) - 1, column: place.column - 1 };
    editor.setCursorPosition(position);
    editor.revealPosition(position);
    editor.focus();
  }
}

/** Keep a cell active and in view while the notebook renders and moves cells; any user input ends it. */
async function keepInSight(content: any, index: number): Promise<void> {
  const acted = new AbortController();
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
    const inSight = box.height > 0 && box.top < seen.bottom && box.bottom > seen.top && (box.height > seen.height || (box.top >= seen.top && box.bottom <= seen.bottom));
    steady = inSight && content.activeCellIndex === index ? steady + 1 : 0;
    if (!steady) {
      content.activeCellIndex = index;
      await content.scrollToCell(cell, 'center');
    }
  }
  acted.abort(); // removes the listeners
}
