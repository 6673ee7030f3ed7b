/** Query box: the text, its switches, the globs behind "...", modes, and history. */

import { element, type Translate } from './dom';
import type { Mode, PanelSearch } from './messages';
import { HISTORY, MAX_HISTORY, MODES, type Remembered, SWITCHES, isSame, remember, remembered } from './searches';

export class Box {
  readonly node: HTMLElement;
  readonly modes: HTMLElement;
  readonly input: HTMLInputElement;
  mode: Mode = 'text';

  constructor(
    id: string,
    _t: Translate,
    private _changed: (isTyped: boolean) => void
  ) {
    this.input = element('input', {
      type: 'search',
      'aria-label': _t('Search in scope'),
      placeholder: _t('Search this project'),
      autocomplete: 'off',
      spellcheck: 'false',
      role: 'combobox',
      'aria-expanded': 'false',
      'aria-autocomplete': 'none',
      'aria-controls': `results-${id}`,
      'aria-haspopup': 'tree'
    });
    this.input.addEventListener('input', () => {
      this._at = -1;
      this.showError('');
      this._changed(true);
    });
    this._switches = SWITCHES.map(([name, text, title]) =>
      element('button', {
        type: 'button',
        class: 'switch',
        text,
        title: _t(title),
        'aria-label': _t(title),
        'aria-pressed': 'false',
        onclick: () => {
          this._on[name] = !this._on[name];
          this._drawSwitches();
          this._changed(false);
        }
      })
    );
    const globs = element('button', {
      type: 'button',
      class: 'switch',
      text: '…',
      title: _t("Files to include, in place of the scope's, and to exclude"),
      'aria-label': _t("Files to include, in place of the scope's, and to exclude"),
      'aria-expanded': 'false',
      onclick: () => {
        fields.hidden = !fields.hidden;
        globs.setAttribute('aria-expanded', String(!fields.hidden));
        if (!fields.hidden) {
          this._include.focus();
        } else if (this._include.value || this._exclude.value) {
          this._include.value = this._exclude.value = '';
          this._changed(false);
        }
      }
    });
    [this._include, this._exclude] = (
      [
        ['files to include', 'src/**, *.py'],
        ['files to exclude', '**/tests/**']
      ] as const
    ).map(([title, example]) =>
      element('input', {
        type: 'text',
        placeholder: `${_t(title)}: ${example}`,
        'aria-label': _t(title),
        spellcheck: 'false',
        oninput: () => this._changed(true)
      })
    );
    const fields = element('div', { class: 'globs', hidden: true }, this._include, this._exclude);
    this._error = element('div', { class: 'error', role: 'alert' });
    const box = element('div', { class: 'box' }, this.input, ...this._switches, globs);
    this.node = element('div', { class: 'query' }, box, this._error, fields);
    this._modeButtons = MODES.map(([mode, text, title]) =>
      element('button', {
        type: 'button',
        role: 'radio',
        text: _t(text),
        title: _t(title),
        'aria-checked': String(mode === this.mode),
        tabindex: mode === this.mode ? '0' : '-1',
        onclick: () => this.setMode(mode)
      })
    );
    this.modes = element('div', { class: 'modes', role: 'radiogroup', 'aria-label': _t('Search by') }, ...this._modeButtons);
    this.modes.addEventListener('keydown', event => {
      const by = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
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
  replace(text: string): void {
    this._open = text ? `${text} ` : '';
    this.input.value = this._open;
  }

  /** Show another query, as if it had been typed with these switches. */
  show(query: string, mode: Mode, switches: string[]): void {
    this._at = -1;
    this._open = '';
    this.input.value = query.replace(/\s*\n\s*/g, ' '); // of one line
    for (const [name] of SWITCHES) {
      this._on[name] = switches.includes(name);
    }
    this._drawMode(mode);
  }

  clear(): void {
    this._at = -1;
    this.input.value = '';
  }

  setMode(mode: Mode): void {
    if (mode !== this.mode) {
      this._drawMode(mode);
      this.showError('');
      this._changed(false);
    }
  }

  private _drawMode(mode: Mode): void {
    this.mode = mode;
    MODES.forEach(([one], i) => {
      this._modeButtons[i].setAttribute('aria-checked', String(one === mode));
      this._modeButtons[i].tabIndex = one === mode ? 0 : -1;
    });
    this._drawSwitches();
  }

  /** Return the fields of a search. */
  fields(): Omit<PanelSearch, 'what'> {
    const globs = (input: HTMLInputElement) =>
      (input.value.match(/(?:[^,{]|\{[^}]*\})+/g) ?? []).map(glob => glob.trim()).filter(Boolean);
    const isText = this.mode === 'text';
    return {
      query: this.input.value === this._open ? this._open.trimEnd() : this.input.value,
      mode: this.mode,
      regex: isText && this._on.regex,
      word: isText && this._on.word,
      case: isText && this._on.case ? 'sensitive' : 'smart',
      include: globs(this._include),
      exclude: globs(this._exclude)
    };
  }

  /** Replace the globs to include; the field cannot hold a literal comma or brace. */
  include(globs: string[]): void {
    this._include.value = globs.map(glob => glob.replace(/,|\\[{}]/g, '?')).join(', ');
  }

  showError(message: string): void {
    this._error.textContent = message;
    this.input.setAttribute('aria-invalid', String(Boolean(message)));
  }

  /** Return the search in the box, as it is remembered. */
  get current(): Remembered {
    const switches = this.mode === 'text' ? SWITCHES.map(([name]) => name).filter(name => this._on[name]) : [];
    return { text: this.input.value.trim(), mode: this.mode, switches };
  }

  /** Remember the search; called when a result is opened, or the box is left. */
  remember(): void {
    if (this.current.text) {
      remember(HISTORY, this.current, MAX_HISTORY);
    }
  }

  /** Go back or forward in the history; whether there was a search to show. */
  recall(by: 1 | -1): boolean {
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

  get isRecalling(): boolean {
    return this._at >= 0;
  }

  private _drawSwitches(): void {
    SWITCHES.forEach(([name], i) => {
      this._switches[i].setAttribute('aria-pressed', String(this._on[name]));
      this._switches[i].disabled = this.mode !== 'text';
    });
  }

  private _on = { case: false, word: false, regex: false };
  private _switches: HTMLButtonElement[];
  private _modeButtons: HTMLButtonElement[];
  private _include: HTMLInputElement;
  private _exclude: HTMLInputElement;
  private _error: HTMLElement;
  private _open = ''; // the text after a word became a chip
  private _at = -1; // in the history; -1 for what was typed
  private _typed: Remembered = { text: '', mode: 'text', switches: [] };
}
