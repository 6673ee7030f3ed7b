/** Modes and switches of a search, and the searches that the browser remembers. */

import type { Mode } from './messages';

export const MODES: [Mode, string, string][] = [
  ['text', 'Text', 'Lines that contain the text'],
  ['meaning', 'Meaning', 'Code that does what you describe in plain words'],
  ['symbols', 'Symbols', 'Definitions by name'],
  ['files', 'Files', 'Files by name']
];
export const SWITCHES = [
  ['case', 'Aa', 'Match case'],
  ['word', 'ab', 'Match whole words'],
  ['regex', '.*', 'Use a regular expression']
] as const;
export const HISTORY = 'codeintel-nb:history';
export const MAX_HISTORY = 30;
export const PINS = 'codeintel-nb:pins';
export const MAX_PINS = 20;

export interface Remembered {
  text: string;
  mode: Mode;
  switches: string[]; // those that are on
}

/** Return the stored searches; an entry of an unknown form is left out. */
export function remembered(key: string): Remembered[] {
  try {
    const entries = JSON.parse(localStorage.getItem(key) ?? '[]');
    return entries.map(searchOf).filter((one: Remembered | null) => one !== null);
  } catch {
    return []; // not ours, or no storage
  }
}

/** Put a search first, in place of the same one; return whether it is new. */
export function remember(key: string, search: Remembered, maximum: number): boolean {
  const entries = remembered(key);
  const others = entries.filter(one => !isSame(one, search));
  localStorage.setItem(key, JSON.stringify([search, ...others].slice(0, maximum)));
  return others.length === entries.length;
}

/** Forget a search. */
export function forget(key: string, search: Remembered): void {
  localStorage.setItem(key, JSON.stringify(remembered(key).filter(one => !isSame(one, search))));
}

/** Whether two searches are the same, whatever their results. */
export function isSame(a: Remembered, b: Remembered): boolean {
  return a.text === b.text && a.mode === b.mode && [...a.switches].sort().join() === [...b.switches].sort().join();
}

/** Read an entry; older versions stored a text, or a text with its mode. */
function searchOf(entry: any): Remembered | null {
  const [text, mode] = Array.isArray(entry) ? entry : [entry?.text ?? entry, entry?.mode];
  const switches = Array.isArray(entry?.switches) ? entry.switches.map(String) : [];
  const isKnown = MODES.some(([one]) => one === mode);
  return typeof text === 'string' ? { text, mode: isKnown ? mode : 'text', switches } : null;
}
