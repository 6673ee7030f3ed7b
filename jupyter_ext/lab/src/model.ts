import { Dialog, showDialog } from '@jupyterlab/apputils';
import { Event, EventManager } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Refused, ask, place } from './server';
import type { Scope, State, Text } from './view/messages';

const CHANGES = 'urn:codeintel-nb:changes:v1';
const AGAIN_MS = 2000; // between two tries to reach a server that is gone
const WATCH_MS = 3000; // between two looks at a run that its events tell of
const REFUSED_AGAIN_MS = 30_000; // and one that refuses

interface Job {
  repository?: string;
  state?: string;
  line?: string;
  share?: number;
}

type Listener = (given?: any) => void;

/** Whose scope the panel shows. */
export interface Session {
  id: string;
  label: string;
  folder: string; // that its notebook lies in, as the server shows it
  addImports: () => Promise<void>; // have the kernel add its imported packages to its scope
}

/** Model of the view: it asks the server for the active kernel what the widget in a cell asks its kernel. */
export class Model {
  constructor(session: Session, trans: TranslationBundle) {
    this._session = session;
    this._trans = trans;
    this._values = { state: this._empty(trans.__('Connecting to the Jupyter server …')), job: {}, narrow: true, waiting: '' };
    this._listen();
    document.addEventListener('visibilitychange', this._seen);
    void this.refresh();
  }

  get state(): State {
    return this._values.state;
  }

  get session(): Session {
    return this._session;
  }

  /** Called with the first error after the server answered, and with null when it answers again. */
  reached: (error: Error | null) => void = () => undefined;

  /** Take the session of another notebook; while results are held, only offer it. */
  follow(session: Session): void {
    const other = session.id !== this._session.id;
    if (other && this._holds && session.id.startsWith('page-')) {
      return; // no notebook with a kernel is active: nothing to offer
    }
    this._next = other && this._holds ? session : null;
    this._set('waiting', this._next ? session.label : '');
    if (this._next) {
      return;
    }
    this._session = session;
    if (other) {
      this._set('state', this._empty(this._trans.__('Connecting to the Jupyter server …'))); // nothing of one session is written into another
      void this.refresh();
    } else if (session.label !== this.state.where) {
      this._set('state', { ...this.state, where: session.label });
    }
  }

  /** Keep the session, as the view shows results of it. */
  hold(holds: boolean): void {
    this._holds = holds;
    if (!holds) {
      this.accept();
    }
  }

  /** Switch to the session that is offered. */
  accept(): void {
    const next = this._next;
    if (next) {
      this._holds = false;
      this.follow(next);
    }
  }

  /** Read the session's scope; retry until the server answers. */
  async refresh(): Promise<void> {
    const turn = ++this._turn;
    window.clearTimeout(this._again);
    try {
      const state = await this._panel({ what: 'state' });
      if (turn !== this._turn) {
        return; // it was asked again meanwhile, or another kernel is looked at
      }
      this._set('state', { ...state, where: this._session.label });
      if (this._gone) {
        this._gone = false;
        this._listen(); // the old one waits ever longer before it tries again
      }
      this.reached(null);
    } catch (error) {
      if (turn === this._turn) {
        this._lost(error as Error);
      }
    }
  }

  async setScope(scope: Scope, id = this._session.id): Promise<void> {
    await ask(`${place('sessions', id)}/scope`, 'PUT', scope);
    await this.refresh();
  }

  /** Go back to the notebook's project. */
  async clearScope(): Promise<void> {
    await ask(`${place('sessions', this._session.id)}/scope`, 'DELETE');
    await this.refresh();
  }

  /** Narrow the scope to a folder that the server shows, or leave it out. */
  async setFolder(path: string, exclude: boolean): Promise<void> {
    const { id } = this._session;
    await this.setScope(await this._panel({ what: 'folder', path, exclude }), id);
  }

  /** Return the text of a file, for a read-only view. */
  text(repo: string, path: string): Promise<Text> {
    return this._panel({ what: 'text', repo, path });
  }

  // what the view expects of a model

  get(name: string): any {
    return (this._values as Record<string, any>)[name];
  }

  on(name: string, listener: Listener): void {
    this._listeners.set(name, [...(this._listeners.get(name) ?? []), listener]);
  }

  off(name: string, listener: Listener): void {
    this._listeners.set(
      name,
      (this._listeners.get(name) ?? []).filter(one => one !== listener)
    );
  }

  send(message: any): void {
    const { number, ...asked } = message;
    this._answer(asked).then(
      answer => this._emit('msg:custom', { number, answer }),
      error => {
        this._emit('msg:custom', { number, error: error.message });
        if (!(error instanceof Refused)) {
          this._lost(error);
        }
      }
    );
  }

  dispose(): void {
    window.clearTimeout(this._again);
    window.clearTimeout(this._watching);
    document.removeEventListener('visibilitychange', this._seen);
    this._events?.dispose();
    this._channel.close();
    this._listeners.clear();
  }

  private async _answer(asked: any): Promise<any> {
    switch (asked.what) {
      case 'scope':
        return this.setScope(asked.scope);
      case 'clear':
        return this.clearScope();
      case 'imports':
        await this._session.addImports();
        return this.refresh();
      case 'use':
        return this._use(asked.name);
      case 'save':
        if (!this.state.session) {
          throw new Error(this.state.note); // its scope is not known yet
        }
        await ask(place('scopes', asked.name), 'PUT', this.state.scope);
        return this.refresh();
      case 'index':
        return this._index(asked.path || this._session.folder || '.');
      case 'cancel':
        return this._cancel();
      case 'state':
        return this.refresh();
      default:
        return this._panel(asked);
    }
  }

  private async _use(name: string): Promise<void> {
    const { id } = this._session;
    await this.setScope(await ask(place('scopes', name)), id);
  }

  private async _index(path: string, allow = false): Promise<void> {
    const begun: Job = { state: 'waiting', line: '' };
    this._cancelled = false;
    this._set('job', begun);
    try {
      const run: Job = await ask('repositories', 'POST', allow ? { path, allow } : { path }, this._session.id); // the repository joins the scope of this session
      if (this._values.job === begun) {
        this._set('job', { ...run, line: '' }); // else its events have told more meanwhile
      }
      if (this._cancelled) {
        await this._cancel(run.repository);
      }
      this._watchJob();
    } catch (error) {
      if (error instanceof Refused && error.question && !allow && (await this._agrees(error.question))) {
        return this._index(path, true);
      }
      this._set('job', { state: 'failed', line: (error as Error).message });
    }
  }

  /** Ask the user to confirm. */
  private async _agrees(question: string): Promise<boolean> {
    const answer = await showDialog({
      title: this._trans.__('Index this folder?'),
      body: question,
      buttons: [Dialog.cancelButton(), Dialog.okButton({ label: this._trans.__('Index it') })]
    });
    return answer.button.accept;
  }

  private async _cancel(repository = this._values.job.repository): Promise<void> {
    this._cancelled = true; // a run of which the server has not answered yet is ended once it has
    if (repository) {
      await ask(`${place('repositories', repository)}/job`, 'DELETE');
    }
  }

  /** Ask how far a run is now and then, as an event may be lost with its connection. */
  private _watchJob(): void {
    window.clearTimeout(this._watching);
    const { repository, state } = this._values.job;
    if (!repository || (state !== 'waiting' && state !== 'running')) {
      return;
    }
    this._watching = window.setTimeout(async () => {
      try {
        const run: Job & { detail?: string } = await ask(`${place('repositories', repository)}/job`);
        if (run.state !== 'waiting' && run.state !== 'running' && this._values.job.repository === repository) {
          this._set('job', { ...run, line: this._values.job.state === run.state ? this._values.job.line : (run.detail ?? '') });
          void this.refresh();
        }
      } catch (error) {
        if (error instanceof Refused) {
          this._set('job', { state: 'failed', line: error.message }); // the server was started again meanwhile
        }
      }
      this._watchJob();
    }, WATCH_MS);
  }

  private async _panel(asked: unknown): Promise<any> {
    const answer = await ask(`${place('sessions', this._session.id)}/panel`, 'POST', asked);
    if (typeof answer?.error === 'string') {
      throw new Refused(200, answer.error, true); // of a search that is being typed
    }
    return answer;
  }

  private _lost(error: Error): void {
    this._gone = true;
    const note =
      error instanceof Refused && !error.ours && error.status === 404
        ? this._trans.__(
            'This Jupyter server runs without codeintel-nb. Run: jupyter server extension enable jupyter_ext, and restart the server.'
          )
        : error instanceof Refused
          ? error.message
          : this._trans.__('%1 Retrying …', error.message);
    this._set('state', { ...this.state, where: this._session.label, note });
    this.reached(error);
    window.clearTimeout(this._again);
    this._again = window.setTimeout(() => void this.refresh(), error instanceof Refused ? REFUSED_AGAIN_MS : AGAIN_MS);
  }

  private _listen(): void {
    this._events?.dispose();
    this._events = new EventManager({ standby: 'never' });
    this._events.stream.connect((_, event) => this._heard(event));
  }

  private _heard(event: Event.Emission): void {
    if (event.schema_id !== CHANGES) {
      return;
    }
    if (event.what === 'scope') {
      this._channel.postMessage({ session: event.session }); // for panels in cells
      if (event.session === this._session.id) {
        void this.refresh();
      }
    } else if (event.what === 'index') {
      this._set('job', event as Job);
      this._watchJob();
      if (event.state === 'done') {
        void this.refresh();
      }
    }
  }

  private _set(name: 'state' | 'job' | 'waiting', value: any): void {
    this._values[name] = value;
    this._emit(`change:${name}`);
  }

  private _emit(name: string, given?: any): void {
    for (const listener of this._listeners.get(name) ?? []) {
      listener(given);
    }
  }

  private _empty(note: string): State {
    return {
      scope: {},
      session: '',
      where: this._session.label,
      expired: false,
      is_default: false,
      note,
      repositories: [],
      languages: [],
      kinds: [],
      saved: [],
      offered: null,
      counts: null,
      project: ''
    };
  }

  /** What was missed while the page slept. */
  private _seen = () => {
    if (document.visibilityState === 'visible') {
      void this.refresh();
    }
  };

  private _session: Session;
  private _trans: TranslationBundle;
  private _values: { state: State; job: Job; narrow: boolean; waiting: string };
  private _holds = false;
  private _next: Session | null = null; // of the notebook that is active, while results are held
  private _channel = new BroadcastChannel('codeintel-nb');
  private _listeners = new Map<string, Listener[]>();
  private _events: EventManager | null = null;
  private _gone = false;
  private _turn = 0; // of the last question for the state
  private _again = 0;
  private _watching = 0;
  private _cancelled = false;
}

/** A scope in a few words. */
export function described(scope: Scope): string {
  const excluded = (scope.exclude_globs ?? []).map(glob => `!${glob}`);
  const repos = scope.repos?.[0] === '*' ? [] : scope.repos;
  return [repos, scope.languages, scope.kinds, scope.include_globs, excluded, scope.revisions]
    .flatMap(held => held ?? [])
    .join(' ');
}
