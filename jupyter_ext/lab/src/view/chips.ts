/** Scope of the panel: removable chips, and a popover with further limits. */

import { ICONS, element, icon, number, plain, type Translate } from './dom';
import type { Facet, Scope, State } from './messages';
import { type Field, LISTS, isEverywhere, withValue, without } from './words';

export interface ScopeActions {
  set(scope: Scope): void;
  narrow(globs: string[]): void; // to files that match one of them
  change(what: 'clear' | 'imports' | 'use' | 'all', fields?: object): void;
  save(name: string): Promise<unknown>;
}

const TITLES: Record<string, string> = {
  repos: 'Repositories',
  include_globs: 'Folders',
  languages: 'Languages',
  kinds: 'Kinds'
};
const MAX_CHOICES = 30;

type Choice = Pick<Facet, 'name' | 'label' | 'count'> & Partial<Facet>;

export class ScopeChips {
  readonly node: HTMLElement;
  readonly popover: HTMLElement;

  constructor(
    private _t: Translate,
    private _actions: ScopeActions
  ) {
    this._list = element('span', { class: 'list-of-chips', role: 'group', 'aria-label': _t('Scope') });
    this._add = element('button', {
      type: 'button',
      class: 'chip add',
      'aria-expanded': 'false',
      text: _t('+ limit'),
      title: _t('Limit the scope, or use a saved one'),
      onclick: () => this.toggle()
    });
    this._error = element('div', { class: 'error', role: 'alert' });
    this.node = element('div', { class: 'chips' }, this._list, this._add, this._error);
    this.popover = element('div', { class: 'popover', hidden: true });
    this.popover.addEventListener('keydown', event => {
      if (event.key === 'Escape') {
        this.toggle(false);
        this._add.focus();
      }
      if (!event.ctrlKey && !event.metaKey && !event.altKey) {
        event.stopPropagation();
      }
    });
  }

  showError(message: string): void {
    this._error.textContent = message;
  }

  toggle(open = this.popover.hidden): void {
    this.popover.hidden = !open;
    this._add.setAttribute('aria-expanded', String(open));
    if (open) {
      this._drawChoices();
      this.popover.querySelector<HTMLElement>('button, input')?.focus();
    }
  }

  draw(state: State, scope: Scope): void {
    this._state = state;
    this._scope = scope;
    const t = this._t;
    const chips: HTMLElement[] = [];
    if (isEverywhere(scope)) {
      chips.push(element('span', { class: 'chip plain', text: t('everything') }));
    }
    for (const field of LISTS) {
      for (const value of scope[field] ?? []) {
        if (field === 'repos' && value === '*') {
          continue;
        }
        const text = plain(field === 'exclude_globs' ? `−${value}` : value);
        const name = element('span', { class: 'value', text, title: value });
        const remove = element('button', {
          type: 'button',
          'aria-label': t('Remove %1', text),
          onclick: () => this._actions.set(without(this._scope, field, value))
        });
        remove.append(icon(ICONS.close));
        chips.push(element('span', { class: 'chip' }, name, remove));
      }
    }
    this._list.replaceChildren(...chips);
    const empty = Boolean(state.counts && state.counts[0] === 0 && state.counts[1] > 0);
    this.node.classList.toggle('amber', empty);
    this._refresh();
  }

  /** Show the counts of the last search's hits. */
  count(facets: Facet[]): void {
    this._facets = facets;
    this._refresh();
  }

  /** Draw the open popover again; what is being typed there stays, and so does the focus. */
  private _refresh(): void {
    const active = document.activeElement as HTMLElement | null;
    const isInside = this.popover.contains(active);
    if (this.popover.hidden || (isInside && active?.tagName !== 'BUTTON')) {
      return;
    }
    this._drawChoices();
    if (isInside) {
      const buttons = [...this.popover.querySelectorAll('button')];
      (buttons.find(button => button.dataset.choice === active?.dataset.choice) ?? buttons[0]).focus();
    }
  }

  private _drawChoices(): void {
    const t = this._t;
    const { _state: state, _scope: scope } = this;
    const step = (text: string, run: () => void) =>
      element('button', { type: 'button', 'data-choice': text, text, onclick: run });
    const parts: HTMLElement[] = [
      element(
        'div',
        { role: 'group', 'aria-label': t('Search in'), class: 'choices' },
        step(t('This project'), () => this._actions.change('clear')),
        step(t('+ imported packages'), () => this._actions.change('imports')),
        step(t('Everything'), () => this._actions.change('all'))
      )
    ];
    const hits = new Map<string, Facet[]>();
    for (const facet of this._facets) {
      hits.set(facet.field, [...(hits.get(facet.field) ?? []), facet]);
    }
    const known: [Field, Choice[]][] = [
      ['languages', this._values(hits.get('languages'), state.languages)],
      ['include_globs', this._values(hits.get('include_globs'), [])],
      ['kinds', this._values(hits.get('kinds'), state.kinds)],
      ['repos', this._values(hits.get('repos'), state.repositories)]
    ];
    for (const [field, values] of known) {
      if (values.length < 2) {
        continue;
      }
      const buttons = values.slice(0, MAX_CHOICES).map(({ name, label, count, values: narrowed }) => {
        const pressed = (scope[field] ?? []).includes(name);
        const choose = () =>
          narrowed?.length ? this._actions.narrow(narrowed) : this._actions.set(withValue(scope, field, name));
        return element('button', {
          type: 'button',
          'aria-pressed': String(pressed),
          'data-choice': `${field} ${name}`,
          text: `${plain(label)} ${number(count)}`,
          onclick: () => (pressed ? this._actions.set(without(scope, field, name)) : choose())
        });
      });
      const title = hits.has(field) ? t('%1, by results', t(TITLES[field])) : t(TITLES[field]);
      parts.push(
        element('div', { class: 'title', text: title }),
        element('div', { role: 'group', 'aria-label': title, class: 'choices' }, ...buttons)
      );
    }
    parts.push(this._globs('include_globs', t('Include'), 'src/**'), this._globs('exclude_globs', t('Exclude'), '**/tests/**'));
    parts.push(this._saved(state));
    this.popover.replaceChildren(...parts);
  }

  private _values(facets: Facet[] | undefined, known: [string, number][]): Choice[] {
    return facets ?? known.map(([name, count]) => ({ name, label: name, count }));
  }

  private _globs(field: 'include_globs' | 'exclude_globs', title: string, example: string): HTMLElement {
    const input = element('input', {
      type: 'text',
      placeholder: example,
      spellcheck: 'false',
      'aria-label': this._t('%1: type a glob, press Enter to add it', title),
      onkeydown: (event: KeyboardEvent) => {
        if (event.key === 'Enter' && input.value.trim()) {
          this._actions.set(withValue(this._scope, field, input.value.trim()));
          input.value = '';
        }
      }
    });
    return element('label', { class: 'field' }, element('span', { text: title }), input);
  }

  private _saved(state: State): HTMLElement {
    const t = this._t;
    const use = element(
      'select',
      {
        'aria-label': t('Use a saved scope'),
        onchange: () => use.value && this._actions.change('use', { name: use.value })
      },
      element('option', { value: '', text: t('saved scopes…') }),
      ...state.saved.map(name => element('option', { value: name, text: name }))
    );
    const error = element('small', { class: 'error', role: 'alert' });
    const name = element('input', {
      type: 'text',
      placeholder: t('save as…'),
      'aria-label': t('Save this scope as: type a name, press Enter to save'),
      oninput: () => (error.textContent = ''),
      onkeydown: (event: KeyboardEvent) => {
        const text = name.value.trim();
        if (event.key === 'Enter' && text) {
          this._actions.save(text).then(
            () => (name.value = ''),
            (refused: Error) => {
              error.textContent = refused.message;
              name.setAttribute('aria-invalid', 'true');
            }
          );
        }
      }
    });
    return element('div', { role: 'group', 'aria-label': t('Saved'), class: 'choices' }, use, name, error);
  }

  private _facets: Facet[] = [];
  private _list: HTMLElement;
  private _error: HTMLElement;
  private _add: HTMLElement;
  private _state!: State;
  private _scope: Scope = {};
}
