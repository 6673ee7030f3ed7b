import { JupyterFrontEnd } from '@jupyterlab/application';
import { ISessionContext } from '@jupyterlab/apputils';
import { IConsoleTracker } from '@jupyterlab/console';
import { PathExt } from '@jupyterlab/coreutils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISignal, Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import { Session } from './model';

type Holder = Widget & { sessionContext: ISessionContext };

/** Have a kernel add its imported packages to its scope: only the kernel knows them. */
async function addImports(context: ISessionContext): Promise<void> {
  const future = context.session?.kernel?.requestExecute({
    code: '%scope add --kernel',
    store_history: false,
    stop_on_error: false
  });
  const reply = await future?.done;
  if (reply?.content.status === 'error') {
    const said = reply.content.evalue;
    throw new Error(/not found/.test(said) ? 'The notebook has not loaded the magics. Run: %load_ext codeintel_nb' : said);
  }
}

/** The kernel of the notebook or console that was last looked at. */
export class ActiveKernel {
  constructor(
    app: JupyterFrontEnd,
    notebooks: INotebookTracker | null,
    consoles: IConsoleTracker | null,
    alone: Session,
    local: (path: string) => string
  ) {
    this._alone = alone;
    this._local = local;
    for (const tracker of [notebooks, consoles]) {
      tracker?.currentChanged.connect((_, widget) => this._look(widget as Holder | null));
      tracker?.widgetAdded.connect((_, widget) => widget.disposed.connect(() => this._closed(widget as Holder)));
    }
    const shell = app.shell as any; // Notebook 7's tells nothing of the sort: it has one notebook a page
    shell.currentChanged?.connect(() => {
      const widget = app.shell.currentWidget;
      if (widget && (notebooks?.has(widget) || consoles?.has(widget))) {
        this._look(widget as Holder);
      }
    });
    this._look((notebooks?.currentWidget ?? consoles?.currentWidget ?? null) as Holder | null);
  }

  /** Emitted when another kernel is the active one, or its notebook has another name. */
  get changed(): ISignal<this, Session> {
    return this._changed;
  }

  get session(): Session {
    const context = this._holder?.sessionContext;
    const id = context?.session?.kernel?.id;
    return context && id
      ? {
          id,
          label: context.name || context.path,
          folder: PathExt.dirname(this._local(context.path)),
          addImports: () => addImports(context)
        }
      : this._alone;
  }

  private _look(holder: Holder | null): void {
    if (!holder || holder === this._holder) {
      return;
    }
    this._disconnect();
    this._holder = holder;
    holder.sessionContext.kernelChanged.connect(this._told, this);
    holder.sessionContext.propertyChanged.connect(this._told, this);
    this._told();
  }

  private _closed(holder: Holder): void {
    if (holder === this._holder) {
      this._disconnect();
      this._told();
    }
  }

  private _disconnect(): void {
    this._holder?.sessionContext.kernelChanged.disconnect(this._told, this);
    this._holder?.sessionContext.propertyChanged.disconnect(this._told, this);
    this._holder = null;
  }

  private _told(): void {
    this._changed.emit(this.session);
  }

  private _alone: Session;
  private _local: (path: string) => string;
  private _holder: Holder | null = null;
  private _changed = new Signal<this, Session>(this);
}
