/** Search panel, in a cell or in the side bar. */

import { Questions } from './ask';
import { Box } from './box';
import { ScopeChips } from './chips';
import { ICONS, element, icon, pieces, plain, themed, translator, type Catalogue } from './dom';
import { type Host, type Place, type View, type ViewModel, linkHost } from './host';
import { List } from './list';
import { type Action, showMenu } from './menu';
import type { FileRows, Found, Mode, PanelFolder, PanelSearch, Preview, Row, Scope, State } from './messages';
import { ROWS } from './messages';
import { type Item, Rows, asMarkdown } from './rows';
import { HISTORY, MAX_PINS, MODES, PINS, SWITCHES, type Remembered, forget, remember, remembered } from './searches';
import { taken } from './words';

// a search is sent when no key was pressed for so long; later once some were sent, as for slow typists
const QUIET_MS = 80;
const PAUSE_MS = 400; // after which a reader begins anew
const EXAMPLES: Remembered[] = [
  { text: 'read_csv', mode: 'text', switches: [] },
  { text: 'split rows into groups and average', mode: 'meaning', switches: [] },
  { text: 'load_*', mode: 'symbols', switches: [] }
];

interface Job {
  state?: string;
  line?: string;
  share?: number;
}

interface Given {
  model: ViewModel;
  el: HTMLElement;
  trans?: Catalogue;
  application?: Host; // not "host": anywidget passes an object of that name
}

export class Panel implements View {
  constructor({ model, el, trans, application }: Given) {
    this._model = model;
    this._t = translator(trans);
    this._questions = new Questions(model);
    this._host = application ?? linkHost(message => this._say(message));
    const id = `codeintel-${Math.random().toString(36).slice(2)}`;
    const t = this._t;
    this._box = new Box(id, t, isTyped => this._typed(isTyped));
    this._chips = new ScopeChips(t, {
      set: scope => this._setScope(scope),
      narrow: globs => this._narrow(globs),
      change: (what, fields) => this._change(what, fields),
      save: name => this._questions.ask('save', { name })
    });
    this._list = new List(id, t, {
      open: item => this._open(item),
      select: index => this._select(index, false),
      toggle: item => this._toggle(item),
      menu: (item, event) => this._menu(item, event),
      dismiss: item => this._dismiss(item),
      more: () => this._more()
    });
    const tool = (name: keyof typeof ICONS, title: string, run: (event: MouseEvent) => void) => {
      const made = element('button', { type: 'button', class: 'tool', title: t(title), 'aria-label': t(title), onclick: run });
      made.append(icon(ICONS[name]));
      return made;
    };
    this._summary = element('span', { class: 'summary', role: 'status', 'aria-live': 'polite' });
    this._note = element('div', { class: 'note' });
    this._offer = element('div', { class: 'offer' });
    this._empty = element('div', { class: 'empty' });
    this._bar = element('progress', { max: '1', 'aria-label': t('indexing') });
    this._jobLine = element('span', { class: 'line', role: 'status' });
    const cancel = element('button', {
      type: 'button',
      text: t('Cancel'),
      'aria-label': t('Cancel indexing'),
      onclick: () => this._questions.ask('cancel').catch(this._failed)
    });
    this._job = element('div', { class: 'job', hidden: true }, this._bar, this._jobLine, cancel);
    this._cancel = cancel;
    this._sends = element(
      'span',
      { class: 'sends', hidden: true },
      tool('send', 'Send to notebook', event => this._sendMenu(event)),
      tool('copy', 'Copy as Markdown', () => this._copy(asMarkdown(this._rows, this._title())))
    );
    const head = element(
      'div',
      { class: 'head' },
      element('h2', { text: t('Code search') }),
      tool('refresh', 'Search again', () => this.refresh()),
      tool('clear', 'Clear', () => this.clear()),
      tool('collapse', 'Collapse all', () => this.collapseAll()),
      tool('pin', 'Pin this search', () => this._pin()),
      tool('more', 'More actions', event => this._moreMenu(event))
    );
    this._top = element(
      'div',
      { class: 'top' },
      head,
      this._job,
      this._box.node,
      this._box.modes,
      this._chips.node,
      this._chips.popover,
      this._offer,
      element('div', { class: 'summary-line' }, this._summary, this._sends),
      this._note
    );
    const isSide = Boolean(model.get('narrow'));
    this.root = element(
      'div',
      {
        class: isSide ? 'codeintel panel side' : 'codeintel panel',
        role: isSide ? 'region' : 'group',
        'aria-label': t('Code search')
      },
      this._top,
      this._empty,
      this._list.node
    );
    this._list.node.hidden = true;
    this.root.addEventListener('keydown', this._keys);
    this._endTheme = themed(this.root);
    el.append(this.root);
    this._channel?.addEventListener('message', this._elsewhere);
    model.on('change:state', this._redraw);
    model.on('change:job', this._drawJob);
    model.on('change:waiting', this._drawOffer);
    this._redraw();
    this._drawJob();
  }

  readonly root: HTMLElement;

  focus(): void {
    this._box.input.focus();
    this._box.input.select();
  }

  search(query: string, mode: Mode = 'text', switches: string[] = []): void {
    this._box.show(query, mode, switches);
    this._box.showError('');
    this._search(0);
    this.focus();
  }

  step(by: 1 | -1): void {
    const index = this._list.hitFrom(by);
    if (index >= 0) {
      this._select(index, true);
      this._open(this._list.items[index]);
    }
  }

  openSelected(): void {
    if (this._isPending) {
      return this._search(0, true); // once the rows are those of the query
    }
    const index = this._list.selected >= 0 ? this._list.selected : this._list.hitFrom(1);
    const item = this._list.items[index];
    if (item) {
      this._select(index, true);
      this._open(item);
    }
  }

  clear(): void {
    this._box.remember();
    this._box.clear();
    this._search(0);
    this.focus();
  }

  collapseAll(): void {
    this._rows.collapseAll();
    this._drawRows(true);
  }

  refresh(): void {
    this._questions.ask('state').catch(() => undefined);
    this._search(0);
  }

  send(asFrame: boolean): void {
    const code = this._found?.code;
    if (code && this._host.send) {
      this._box.remember();
      this._host.send(asFrame ? this._frame(code) : code);
    }
  }

  dispose(): void {
    window.clearTimeout(this._timer);
    this._endTheme();
    this._list.dispose();
    this._channel?.removeEventListener('message', this._elsewhere);
    this._channel?.close();
    this._model.off('change:state', this._redraw);
    this._model.off('change:job', this._drawJob);
    this._model.off('change:waiting', this._drawOffer);
    this._questions.close();
    this.root.remove();
  }

  // scope

  private get _state(): State {
    return this._model.get('state');
  }

  /** The scope as shown: the one being set, else the session's. */
  private get _scope(): Scope {
    const { repos = [], ...others } = this._wanted ?? this._state.scope ?? {};
    return repos.length && repos[0] !== '*' ? { ...others, repos } : others;
  }

  private _setScope(scope: Scope): void {
    // an empty list of repositories would mean the notebook's project
    const changed = scope.repos?.length ? scope : { ...scope, repos: ['*'] };
    this._wanted = changed;
    this._chips.showError('');
    this._chips.draw(this._state, this._scope);
    const done = () => (this._wanted = null);
    void this._questions.askLast('scope', { scope: changed }, done, error => {
      done();
      this._redraw();
      this._scopeFailed(error);
    });
  }

  /** Narrow what is included: in the box where its globs apply, else in the scope. */
  private _narrow(globs: string[]): void {
    if (this._box.fields().include?.length) {
      this._box.include(globs);
      this._search(0);
    } else {
      this._setScope({ ...this._scope, include_globs: globs });
    }
  }

  /** Narrow the scope to a folder of a repository, or exclude a file or folder. */
  private _setFolder(fields: Omit<PanelFolder, 'what'>): void {
    const { session } = this._state;
    const take = (scope: Scope) => {
      if (session !== this._state.session) {
        return;
      }
      if (!fields.exclude) {
        this._box.include([]); // its globs would take the place of the folder
      }
      this._setScope(scope);
    };
    this._questions.ask('folder', fields).then(take, this._scopeFailed);
  }

  private _change(what: 'clear' | 'imports' | 'use' | 'all', fields: object = {}): void {
    if (what === 'all') {
      return this._setScope({});
    }
    this._wanted = null;
    this._chips.showError('');
    void this._questions.askLast(what, fields, () => undefined, this._scopeFailed, 'scope');
  }

  private _redraw = () => {
    const state = this._state;
    if (state.session !== this._session) {
      this._wanted = null;
      this._questions.drop('scope');
    }
    this._session = state.session;
    this._chips.draw(state, this._scope);
    this._drawOffer();
    this._drawEmpty();
    const now = JSON.stringify([state.scope, state.session]);
    if (this._shown && this._shown !== now && state.session && this._box.input.value.trim()) {
      this._search(0);
    }
    this._shown = now;
  };

  private _drawOffer = () => {
    const t = this._t;
    const state = this._state;
    const parts: (Node | string)[] = [];
    const button = (text: string, run: () => void) => element('button', { type: 'button', text, onclick: run });
    const waiting: string = this._model.get('waiting') ?? '';
    if (waiting) {
      parts.push(
        t('%1 is active now.', plain(waiting)),
        ' ',
        button(t('Search in its scope'), () => this._host.accept?.())
      );
    }
    if (state.expired) {
      parts.push(t('The scope that you set has expired.'));
    }
    if (state.offered) {
      const [text, scope] = state.offered;
      parts.push(
        t('Your previous kernel searched %1', text),
        ' ',
        button(t('Restore'), () => this._setScope(scope))
      );
    }
    if (state.counts && state.counts[0] === 0 && state.counts[1] > 0) {
      parts.push(
        element('span', { class: 'amber', text: state.note || t('No file is in scope.') }),
        ' ',
        button(t('Clear'), () => this._change('clear'))
      );
    }
    this._offer.replaceChildren(...parts);
  };

  /** Draw what to do first: index the project, examples, pinned and recent searches. */
  private _drawEmpty(): void {
    const t = this._t;
    const state = this._state;
    const empty = !this._box.input.value.trim();
    this._empty.hidden = !empty && Boolean(this._found?.files.length || !this._found);
    if (!empty) {
      this._emptyKey = '';
      this._empty.replaceChildren();
      return;
    }
    const { project, counts, note, session } = state;
    const key = JSON.stringify([
      project,
      counts,
      note,
      session,
      this._model.get('job')?.state,
      remembered(PINS),
      remembered(HISTORY)
    ]);
    if (key === this._emptyKey && this._empty.childElementCount) {
      return; // what is being typed there stays
    }
    this._emptyKey = key;
    const parts: HTMLElement[] = [];
    const entry = ({ text, mode, switches }: Remembered) => {
      const settings = [
        ...MODES.filter(([one]) => one === mode && one !== 'text').map(([, name]) => t(name)),
        ...SWITCHES.filter(([name]) => switches.includes(name)).map(([, sign]) => sign)
      ];
      return element(
        'button',
        { type: 'button', class: 'entry', onclick: () => this.search(text, mode, switches) },
        element('span', { text }),
        settings.length ? element('small', { text: settings.join(' ') }) : ''
      );
    };
    const isBusy = ['waiting', 'running'].includes((this._model.get('job') ?? {}).state ?? '');
    if (state.session && !state.counts && !isBusy) {
      const name = state.project;
      const folder = element('input', {
        type: 'text',
        placeholder: t('another folder…'),
        'aria-label': t('A folder to index; press Enter'),
        spellcheck: 'false',
        onkeydown: (event: KeyboardEvent) => {
          if (event.key === 'Enter' && folder.value.trim()) {
            this._index(folder.value.trim());
          }
        }
      });
      parts.push(
        element('strong', { text: name ? t('This project is not indexed yet') : t('Nothing is indexed yet') }),
        element('p', {
          text: t(
            'Text search works now: it reads files directly. An index adds search by meaning, symbols and the map. It stays on this machine.'
          )
        }),
        element(
          'p',
          {},
          element('button', {
            type: 'button',
            class: 'primary',
            text: name ? t('Index "%1"', name) : t('Index this folder'),
            onclick: () => this._index('')
          }),
          ' ',
          folder
        )
      );
    } else if (state.note && !state.counts) {
      parts.push(element('p', { text: state.note }));
    }
    const pins = remembered(PINS);
    if (pins.length) {
      parts.push(element('strong', { text: t('Pinned') }), ...pins.map(entry));
    }
    const recent = remembered(HISTORY).slice(0, 5);
    parts.push(
      element('strong', { text: t('Try') }),
      ...EXAMPLES.map(entry),
      element('strong', { text: t('Recent') }),
      ...(recent.length ? recent.map(entry) : [element('p', { text: t('None yet. ↑ in the box brings back the last query.') })])
    );
    this._empty.replaceChildren(...parts);
  }

  private _index(path: string): void {
    this._questions.ask('index', { path }).catch(this._failed);
  }

  private _drawJob = () => {
    const job: Job = this._model.get('job') ?? {};
    const busy = job.state === 'waiting' || job.state === 'running';
    this._job.hidden = !busy && !job.line;
    this._jobLine.textContent = job.line ?? '';
    this._jobLine.classList.toggle('error', job.state === 'failed');
    if (job.share) {
      this._bar.setAttribute('value', String(job.share));
    } else {
      this._bar.removeAttribute('value');
    }
    this._bar.hidden = this._cancel.hidden = !busy;
    this._drawEmpty();
  };

  // searching

  private _typed(isTyped: boolean): void {
    if (!isTyped) {
      return this._search(0);
    }
    const [rest, scope] = taken(this._box.input.value, this._scope);
    if (scope) {
      this._box.replace(rest);
      this._setScope(scope);
    }
    const now = performance.now();
    if (now - this._lastKey > PAUSE_MS) {
      this._early = 0;
    }
    this._lastKey = now;
    this._search(QUIET_MS * (1 + Math.min(this._early, 2)));
  }

  private _search(wait: number, opensFirst = false): void {
    window.clearTimeout(this._timer);
    this._isPending = Boolean(this._box.input.value.trim());
    this._opensFirst = opensFirst;
    if (!this._isPending) {
      return this._showNothing(); // at once: the next key may be the arrow up
    }
    this._timer = window.setTimeout(() => {
      this._early += 1;
      const asked = this._box.fields();
      this._host.hold?.(true);
      void this._questions.askLast(
        'search',
        asked,
        (found: Found) => this._take({ what: 'search', ...asked }, found),
        this._failed
      );
    }, wait);
  }

  private _showNothing(): void {
    this._questions.drop('search');
    this._host.hold?.(false);
    this._found = null;
    this._asked = null;
    this._chips.count([]);
    this._rows.replace([], null);
    this._say('');
    this._note.replaceChildren();
    this._drawRows(false);
    this._drawEmpty();
  }

  private _take(asked: PanelSearch, found: Found): void {
    const start = performance.now();
    this._asked = asked;
    this._found = found;
    this._box.showError('');
    this._chips.count(found.facets);
    this._rows.replace(found.files, found.next);
    this._list.several = found.has_several;
    this._list.showsSymbols = asked.mode === 'meaning';
    this._summary.textContent = found.summary;
    this._summary.title = found.detail;
    this._drawNote();
    this._drawRows(false);
    this._drawEmpty();
    this._isPending = false;
    if (this._opensFirst) {
      this._opensFirst = false;
      this.openSelected();
    }
    performance.measure('codeintel:rows', { start }); // in the page's trace
  }

  private _drawNote(): void {
    const t = this._t;
    const parts: (Node | string)[] = [];
    if (this._found?.note) {
      parts.push(element('div', { text: this._found.note }));
    }
    const literal = this._asked?.mode === 'text' && !this._asked.regex ? this._asked.query : '';
    const unsaved = (this._found && this._host.unsaved?.(literal)) || [];
    if (this._found && unsaved.length) {
      const names = unsaved.map(path => path.split('/').pop() ?? path).join(', ');
      parts.push(
        element(
          'div',
          {},
          t('Not saved, so searched as on disk: %1', plain(names)),
          ' ',
          element('button', {
            type: 'button',
            text: t('Save all'),
            onclick: () => {
              this._host.saveAll?.();
              window.setTimeout(() => this.refresh(), 500);
            }
          })
        )
      );
    }
    this._note.replaceChildren(...parts);
  }

  private _drawRows(keep: boolean): void {
    const items = this._rows.items();
    this._list.set(items, keep);
    this._list.node.hidden = !items.length;
    this._sends.hidden = !this._found || !items.length;
    this._box.input.setAttribute('aria-expanded', String(items.length > 0));
    this._markActive();
  }

  private _more(): void {
    const { _asked: asked } = this;
    if (!asked || this._rows.next === null || this._loading) {
      return;
    }
    this._loading = true;
    const offset = this._rows.next;
    this._questions.ask('search', { ...asked, offset, rows: 2 * ROWS }).then(
      (found: Found) => {
        this._loading = false;
        if (asked === this._asked && offset === this._rows.next) {
          this._rows.append(found.files, found.next);
          this._summary.textContent = found.summary;
          this._summary.title = found.detail;
          this._drawRows(true);
        }
      },
      error => {
        this._loading = false;
        this._failed(error);
      }
    );
  }

  private _say(message: string): void {
    this._summary.textContent = message;
    this._summary.title = '';
  }

  private _failed = (error: Error) => {
    this._isPending = this._opensFirst = false;
    this._box.showError(error.message);
  };

  private _scopeFailed = (error: Error) => this._chips.showError(error.message);

  // rows

  private _select(index: number, scroll: boolean): void {
    this._list.select(index, scroll);
    this._markActive();
    const item = this._list.items[index];
    if (item?.kind === 'hit') {
      this._preview(item.file, item.row, index);
    }
  }

  private _markActive(): void {
    for (const node of [this._list.node, this._box.input]) {
      if (this._list.activeId) {
        node.setAttribute('aria-activedescendant', this._list.activeId);
      } else {
        node.removeAttribute('aria-activedescendant');
      }
    }
  }

  private _preview(file: FileRows, row: Row, index: number): void {
    const { _asked: search } = this;
    const { line, end_line, cell } = row;
    const take = (preview: Preview) => {
      if (this._list.selected !== index || this._asked !== search) {
        return;
      }
      const code = element('pre', { class: preview.is_prose ? 'code prose highlight' : 'code highlight' });
      preview.lines.forEach(([at, parts], i) => {
        code.append(
          element('span', { class: at === line ? 'match' : false }, ...pieces(parts)),
          i + 1 < preview.lines.length ? '\n' : ''
        );
      });
      const title = element(
        'div',
        { class: 'where' },
        element('span', { text: preview.title }),
        element('kbd', { text: 'Enter ↵' })
      );
      this._list.inset(element('div', { class: 'preview', role: 'presentation' }, title, code));
    };
    void this._questions.askLast(
      'preview',
      { search, repo: file.repo, path: file.path, line, end_line, cell },
      take,
      () => undefined
    );
  }

  private _open(item: Item | undefined): void {
    if (!item || item.kind === 'more') {
      return this._more();
    }
    this._box.remember();
    const row = item.kind === 'hit' ? item.row : null;
    const { repo, path, place } = item.file;
    if (place === null) {
      return this._host.view(repo, path, row?.line ?? 1);
    }
    this._host.open(placeOf(place, row));
  }

  private _toggle(item: Item): void {
    this._rows.toggle(item.key);
    this._drawRows(true);
  }

  private _dismiss(item: Item): void {
    this._rows.dismissed.add(item.key);
    this._drawRows(true);
  }

  private _menu(item: Item, event: MouseEvent | KeyboardEvent): void {
    if (item.kind === 'more') {
      return;
    }
    const t = this._t;
    const { file } = item;
    const folder = file.path.includes('/') ? file.path.slice(0, file.path.lastIndexOf('/')) : '';
    const row = item.kind === 'hit' ? item.row : null;
    const within = (path: string, exclude: boolean) => this._setFolder({ repo: file.repo, path, exclude });
    const actions: Action[] = [
      { label: t('Open'), run: () => this._open(item) },
      { label: t('Copy path'), run: () => this._copy(file.path) },
      { label: t('Copy link'), run: () => this._copy(this._link(file, row)) }
    ];
    if (row) {
      actions.push({ label: t('Copy line'), run: () => this._copy(row.text) });
      actions.push({ label: t('Find similar'), isSeparate: true, run: () => this.search(row.text.slice(0, 500), 'meaning') });
    }
    actions.push({ label: t('Exclude this file'), isSeparate: true, run: () => within(file.path, true) });
    if (folder) {
      actions.push({ label: t('Exclude this folder'), run: () => within(`${folder}/`, true) });
      actions.push({ label: t('Search in this folder'), run: () => within(`${folder}/`, false) });
    }
    actions.push({ label: t('Dismiss'), isSeparate: true, run: () => this._dismiss(item) });
    const box = this._list.elementOf(this._list.selected)?.getBoundingClientRect();
    const [x, y] = event instanceof MouseEvent ? [event.clientX, event.clientY] : [(box?.left ?? 0) + 30, box?.bottom ?? 0];
    showMenu(this.root, actions, x, y, this._list.node);
  }

  private _moreMenu(event: MouseEvent): void {
    const t = this._t;
    const actions: Action[] = [{ label: t('Copy as Markdown'), run: () => this._copy(asMarkdown(this._rows, this._title())) }];
    if (this._host.document) {
      actions.push({
        label: t('Open all as a document'),
        run: () => this._host.document?.(this._title(), asMarkdown(this._rows, this._title()))
      });
    }
    if (this._host.send) {
      actions.push({ label: t('Send to notebook'), isSeparate: true, run: () => this.send(false) });
      actions.push({ label: t('Send to notebook as a DataFrame'), run: () => this.send(true) });
    }
    for (const { text, mode, switches } of remembered(PINS)) {
      actions.push({ label: t('Pinned: %1', text), run: () => this.search(text, mode, switches) });
    }
    showMenu(this.root, actions, event.clientX, event.clientY, this._box.input);
  }

  private _sendMenu(event: MouseEvent): void {
    const t = this._t;
    const code = this._found?.code ?? '';
    const actions: Action[] = this._host.send
      ? [
          { label: t('As results'), run: () => this.send(false) },
          { label: t('As a DataFrame'), run: () => this.send(true) }
        ]
      : [
          { label: t('Copy the magic'), run: () => this._copy(code) },
          { label: t('Copy the magic for a DataFrame'), run: () => this._copy(this._frame(code)) }
        ];
    showMenu(this.root, actions, event.clientX, event.clientY, this._box.input);
  }

  private _frame(code: string): string {
    const [first, ...rest] = code.split('\n');
    return rest.length ? [`${first} --out hits`, ...rest].join('\n') : `hits = ${first}\nhits.to_df()`;
  }

  private _title(): string {
    return `${this._box.input.value.trim()}: ${this._found?.summary ?? ''}`;
  }

  private _link(file: FileRows, row: Row | null): string {
    return row
      ? `${file.path}:${row.cell_line && row.cell !== null ? `cell ${row.cell + 1}:${row.cell_line}` : row.line}`
      : file.path;
  }

  private _copy(text: string): void {
    navigator.clipboard?.writeText(text).then(
      () => this._say(this._t('Copied.')),
      () => this._say(this._t('The clipboard cannot be used here.'))
    );
  }

  private _pin(): void {
    const search = this._box.current;
    if (!search.text) {
      return;
    }
    const isNew = remember(PINS, search, MAX_PINS);
    if (!isNew) {
      forget(PINS, search);
    }
    this._say(isNew ? this._t('Pinned.') : this._t('No longer pinned.'));
  }

  // keys

  private _keys = (event: KeyboardEvent) => {
    if (event.isComposing) {
      return event.stopPropagation(); // Enter takes a word of an input method
    }
    const inBox = event.target === this._box.input;
    const inList = event.target === this._list.node;
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (isPlain && (inBox || inList) && this._plainKey(event, inBox)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    // a key without a modifier is for the field; JupyterLab's shortcuts keep working
    if (isPlain && !/^F\d+$/.test(event.key)) {
      event.stopPropagation();
    }
  };

  private _plainKey(event: KeyboardEvent, inBox: boolean): boolean {
    const list = this._list;
    const item = list.items[list.selected];
    const move = (index: number) => {
      if (list.items.length) {
        this._select(Math.max(0, Math.min(list.items.length - 1, index)), true);
      }
    };
    switch (event.key) {
      case 'F4':
        this.step(event.shiftKey ? -1 : 1);
        return true;
      case 'Enter':
        this.openSelected();
        return true;
      case 'ArrowDown':
        if (inBox && this._box.isRecalling) {
          this._box.recall(-1);
        } else {
          move(list.selected + 1);
        }
        return true;
      case 'ArrowUp':
        if (inBox && list.selected < 0) {
          this._box.recall(1);
        } else if (inBox && list.selected === 0) {
          this._list.select(-1);
          this._markActive();
        } else {
          move(list.selected - 1);
        }
        return true;
      case 'PageDown':
        move(list.selected + list.page);
        return true;
      case 'PageUp':
        move(list.selected - list.page);
        return true;
      case 'Escape':
        if (inBox) {
          this.clear();
        } else {
          this.focus();
        }
        return true;
    }
    if (inBox) {
      return false;
    }
    if (event.key === 'F10' && event.shiftKey && item) {
      this._menu(item, event);
      return true;
    }
    switch (event.key) {
      case 'Home':
        move(0);
        return true;
      case 'End':
        move(list.items.length - 1);
        return true;
      case 'ArrowLeft':
        if (item?.kind === 'hit') {
          move(list.items.findIndex(one => one.kind === 'file' && one.file === item.file));
        } else if (item?.kind === 'file' && !this._rows.collapsed.has(item.key)) {
          this._toggle(item);
        }
        return true;
      case 'ArrowRight':
        if (item?.kind === 'file' && this._rows.collapsed.has(item.key)) {
          this._toggle(item);
        }
        return true;
      case 'Delete':
        if (item) {
          this._dismiss(item);
        }
        return true;
      case 'ContextMenu':
        if (item) {
          this._menu(item, event);
        }
        return true;
      case ' ':
        if (item?.kind === 'file') {
          this._toggle(item);
        }
        return true;
    }
    return false;
  }

  /** Read the state again when another part of the page has changed this session's scope. */
  private _elsewhere = (event: MessageEvent) => {
    if (!this._model.get('narrow') && event.data?.session === this._state.session) {
      this._questions.ask('state').catch(() => undefined);
    }
  };

  private _model: ViewModel;
  private _host: Host;
  private _t;
  private _questions: Questions;
  private _box: Box;
  private _chips: ScopeChips;
  private _list: List;
  private _rows = new Rows();
  private _top: HTMLElement;
  private _summary: HTMLElement;
  private _sends: HTMLElement;
  private _note: HTMLElement;
  private _offer: HTMLElement;
  private _empty: HTMLElement;
  private _job: HTMLElement;
  private _bar: HTMLProgressElement;
  private _jobLine: HTMLElement;
  private _cancel: HTMLElement;
  private _found: Found | null = null;
  private _asked: PanelSearch | null = null;
  private _wanted: Scope | null = null; // being set: a second click builds on the first
  private _shown = '';
  private _session: string | undefined;
  private _timer = 0;
  private _lastKey = 0;
  private _early = 0; // searches sent while the reader goes on typing
  private _loading = false;
  private _isPending = false; // the rows are of an earlier query
  private _opensFirst = false; // Enter was pressed meanwhile
  private _emptyKey = ''; // of what the empty panel shows
  private _endTheme: () => void;
  private _channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('codeintel-nb');
}

function placeOf(path: string, row: Row | null): Place {
  const mark = row?.marks[0];
  return {
    path,
    line: row?.line ?? 1,
    column: row?.column ?? null,
    length: mark ? mark[1] - mark[0] : 0,
    cell: row?.cell ?? null,
    cell_line: row?.is_output ? null : (row?.cell_line ?? null)
  };
}
