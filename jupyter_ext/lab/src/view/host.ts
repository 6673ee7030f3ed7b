/** What surrounds the view: its model, and the application that opens files. */

import type { Mode } from './messages';

type Listener = (value?: any) => void;

/** Model of a widget: anywidget's in a cell, or the side bar's own (model.ts). */
export interface ViewModel {
  get(name: string): any;
  on(name: string, listener: Listener): void;
  off(name: string, listener: Listener): void;
  send(message: any): void;
  model_id?: string;
}

/** Place of a match, to open. */
export interface Place {
  path: string; // below the server's root
  line: number; // from 1; of a notebook, in its text
  column: number | null; // from 1
  length: number; // of the match
  cell: number | null; // from 0
  cell_line: number | null; // from 1
}

/** Application around the view; without one, links do what they can. */
export interface Host {
  open(place: Place): void;
  /** Show a file outside of the server's root, read-only. */
  view(repo: string, path: string, line: number): void;
  /** Insert code into the active notebook; absent without one. */
  send?: (code: string) => void;
  /** Show a text as a document. */
  document?: (title: string, markdown: string) => void;
  /** Return the paths of documents with unsaved changes that contain a text; of all with changes for none. */
  unsaved?: (text: string) => string[];
  saveAll?: () => void;
  /** Whether the view holds results: the model then keeps their session. */
  hold?: (holds: boolean) => void;
  /** Switch to the session of the notebook that is active now. */
  accept?: () => void;
}

/** Calls of the view from commands. */
export interface View {
  focus(): void;
  /** Search; with a mode, only these switches are on: regex, word, case. */
  search(query: string, mode?: Mode, switches?: string[]): void;
  step(by: 1 | -1): void;
  openSelected(): void;
  clear(): void;
  collapseAll(): void;
  refresh(): void;
  send(asFrame: boolean): void;
  dispose(): void;
}

/** Links to places: the extension opens them, else the browser follows them. */
export const FRAGMENT = 'codeintel';

export function linkOf(place: Place): string {
  const values: Record<string, string> = { line: String(place.line) };
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
  const path = place.path.split('/').map(encodeURIComponent).join('/');
  return `${path}#${FRAGMENT}&${new URLSearchParams(values)}`;
}

/** Host of a widget in a cell: it follows links, which the extension of JupyterLab reads. */
export function linkHost(failed: (message: string) => void): Host {
  const follow = (href: string) => {
    const link = document.createElement('a');
    link.href = href;
    link.target = '_blank';
    link.rel = 'noopener';
    document.body.append(link);
    link.click();
    link.remove();
  };
  const config = JSON.parse(document.getElementById('jupyter-config-data')?.textContent ?? '{}');
  return {
    open: place => {
      const page = config.appUrl === '/lab' ? 'lab/tree' : place.path.endsWith('.ipynb') ? 'notebooks' : 'edit';
      if (!config.baseUrl) {
        return failed('This page cannot open files.');
      }
      follow(`${config.baseUrl}${page}/${linkOf(place)}`);
    },
    view: (repo, path, line) => {
      if (!config.baseUrl) {
        return failed('This page cannot open files.');
      }
      follow(`#${FRAGMENT}&${new URLSearchParams({ repo, view: path, line: String(line) })}`);
    }
  };
}
