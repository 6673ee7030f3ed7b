/** Flat rows of a list, from files and their matches. */

import type { FileRows, Row } from './messages';

export type Item =
  | { kind: 'file'; file: FileRows; key: string }
  | { kind: 'hit'; file: FileRows; row: Row; key: string }
  | { kind: 'more'; key: string };

export const keyOf = (file: FileRows, row?: Row): string =>
  JSON.stringify(row ? [file.repo, file.path, row.cell, row.line, row.column] : [file.repo, file.path]);

/** Matches in the order of the answer, some of them hidden by the reader. */
export class Rows {
  files: FileRows[] = [];
  collapsed = new Set<string>();
  dismissed = new Set<string>();
  next: number | null = null;

  /** Take the rows of a new search. */
  replace(files: FileRows[], next: number | null): void {
    this.files = files;
    this.next = next;
    this.collapsed.clear();
    this.dismissed.clear();
  }

  /** Add the rows that follow; a file may continue one that is there. */
  append(files: FileRows[], next: number | null): void {
    const positions = new Map(this.files.map((file, i) => [keyOf(file), i]));
    const joined = [...this.files];
    for (const file of files) {
      const at = positions.get(keyOf(file));
      if (at === undefined) {
        joined.push(file);
      } else {
        joined[at] = { ...joined[at], count: file.count, rows: [...joined[at].rows, ...file.rows] };
      }
    }
    this.files = joined;
    this.next = next;
  }

  items(): Item[] {
    const items: Item[] = [];
    for (const file of this.files) {
      const key = keyOf(file);
      if (this.dismissed.has(key)) {
        continue;
      }
      const rows = file.rows.filter(row => !this.dismissed.has(keyOf(file, row)));
      if (file.rows.length && !rows.length) {
        continue;
      }
      items.push({ kind: 'file', file, key });
      if (!this.collapsed.has(key)) {
        for (const row of rows) {
          items.push({ kind: 'hit', file, row, key: keyOf(file, row) });
        }
      }
    }
    if (this.next !== null) {
      items.push({ kind: 'more', key: 'more' });
    }
    return items;
  }

  toggle(key: string): void {
    if (!this.collapsed.delete(key)) {
      this.collapsed.add(key);
    }
  }

  /** Collapse all files, or expand all if none is open. */
  collapseAll(): void {
    const keys = this.files.map(file => keyOf(file));
    const allClosed = keys.every(key => this.collapsed.has(key));
    this.collapsed = new Set(allClosed ? [] : keys);
  }
}

/** Return a row's text in pieces, cut at the left so that its first match is in view. */
export function fitted(text: string, marks: [number, number][], columns: number): [string, boolean][] {
  const start = marks.length ? marks[0][0] : 0;
  let cut = 0;
  if (columns > 8 && start + (marks.length ? Math.min(marks[0][1] - start, columns / 2) : 0) > columns * 0.7) {
    cut = Math.max(0, start - Math.floor(columns * 0.3));
  }
  const out: [string, boolean][] = [];
  if (cut) {
    out.push(['…', false]);
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

/** Return the rows as Markdown: a heading a file, a line a match. */
export function asMarkdown(rows: Rows, title: string): string {
  const lines = [`# ${title}`];
  for (const file of rows.files) {
    lines.push('', `## ${file.path}`, '');
    for (const row of file.rows) {
      const fence = row.text.includes('`') ? '``' : '`';
      lines.push(`- ${row.where}: ${fence} ${row.text} ${fence}`);
    }
  }
  if (rows.next !== null) {
    lines.push('', `(the first ${rows.next})`);
  }
  return `${lines.join('\n')}\n`;
}
