import { ILabShell, ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { IConsoleTracker } from '@jupyterlab/console';
import { PathExt } from '@jupyterlab/coreutils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { ActiveKernel } from './kernels';
import { Model } from './model';
import { open, placeOf } from './open';
import { SidePanel } from './sidepanel';
import { ScopeStatus } from './status';
import { serverVersion } from './server';
import { VERSION } from './version';

const PLUGIN = 'codeintel-jupyter:plugin';

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN,
  description: 'Code search under the scope of the active kernel.',
  autoStart: true,
  optional: [INotebookTracker, IConsoleTracker, IDefaultFileBrowser, IStatusBar, ICommandPalette, ISettingRegistry, ITranslator, ILabShell, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    notebooks: INotebookTracker | null,
    consoles: IConsoleTracker | null,
    browser: IDefaultFileBrowser | null,
    statusBar: IStatusBar | null,
    palette: ICommandPalette | null,
    settings: ISettingRegistry | null,
    translator: ITranslator | null,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load('codeintel_nb');
    // without a notebook the page has a scope of its own
    const alone = { id: `page-${crypto.randomUUID?.() ?? Math.random().toString(36).slice(2)}`, label: trans.__('no notebook'), folder: '', addImports: () => Promise.reject(new Error(trans.__('Open a notebook first: only its kernel knows the imported packages.'))) };
    const kernels = new ActiveKernel(app, notebooks, consoles, alone, path => app.serviceManager.contents.localPath(path));
    const model = new Model(kernels.session, trans);
    kernels.changed.connect((_, session) => model.follow(session));

    const panel = new SidePanel(model, trans);
    app.shell.add(panel, 'left', { rank: 350 });
    restorer?.add(panel, panel.id);
    const show = () => (labShell ?? (app.shell as any)).activateById?.(panel.id) ?? (app.shell as any).expandLeft?.(panel.id);

    let warned = false;
    model.reached = error => {
      if (error || warned || serverVersion.split('.', 2).join() === VERSION.split('.', 2).join()) {
        return;
      }
      warned = true;
      Notification.warning(
        trans.__(
          'codeintel-nb: this page has version %1 and the Jupyter server %2. Run: pip install --upgrade codeintel-nb, restart the server and reload the page.',
          VERSION,
          serverVersion
        ),
        { autoClose: false }
      );
    };

    const status = new ScopeStatus(model, trans, () => void show());
    statusBar?.registerStatusItem('codeintel-jupyter:scope', { item: status, align: 'left', rank: 30, isActive: () => status.wanted, activeStateChanged: status.wantedChanged });

    if (settings) {
      settings.load(PLUGIN).then(
        loaded => {
          const read = () => {
            status.wanted = loaded.get('showScope').composite !== false;
            model.hits = Number(loaded.get('hits').composite) || 60;
          };
          loaded.changed.connect(read);
          read();
        },
        error => console.warn('codeintel-nb: the settings cannot be read', error)
      );
    }

    const failed = (error: Error) => Notification.error(error.message, { autoClose: 8000 });
    const selected = () => {
      const item = browser ? Array.from(browser.selectedItems())[0] : undefined;
      return item && isServers(item.path) ? local(item.type === 'directory' ? item.path : PathExt.dirname(item.path)) : null;
    };
    const contents = app.serviceManager.contents;
    const local = (path: string) => contents.localPath(path); // without the name of a drive
    const isServers = (path: string) => ['', 'RTC'].includes(contents.driveName(path)); // the drives that show the server's own folder
    const here = () => {
      const notebook = notebooks?.currentWidget;
      const path = notebook && notebook === app.shell.currentWidget ? PathExt.dirname(notebook.context.path) : (browser?.model.path ?? model.session.folder);
      return local(path);
    };
    const add = (id: string, label: string, execute: (args: any) => unknown, more: object = {}) => {
      app.commands.addCommand(id, { label, execute, describedBy: { args: { type: 'object', properties: { path: { type: 'string' } } } }, ...more });
      palette?.addItem({ command: id, category: trans.__('Code Search') });
    };

    add('codeintel:search', trans.__('Search Code'), () => {
      void show();
      panel.focusQuery();
    });
    add('codeintel:search-selection', trans.__('Search Selection in Code'), () => {
      const text = selection(app);
      void show();
      panel.focusQuery(text);
    });
    add('codeintel:scope-from-folder', trans.__('Set Code Search Scope from Current Folder'), args => model.setFolder(String(args.path ?? here()), false).then(() => void show(), failed));
    add('codeintel:clear-scope', trans.__('Clear Code Search Scope'), () => model.clearScope().catch(failed));
    add('codeintel:open-result', trans.__('Open Selected Code Search Result'), () => panel.openSelected());

    const menu = (id: string, label: string, execute: (path: string) => unknown) =>
      app.commands.addCommand(id, { label, execute: args => execute(String(args.path ?? selected() ?? '')), isVisible: () => selected() !== null });
    menu('codeintel:search-in-folder', trans.__('Search in This Folder'), path =>
      model.setFolder(path, false).then(() => {
        void show();
        panel.focusQuery();
      }, failed)
    );
    menu('codeintel:exclude-folder', trans.__('Exclude from Code Search'), path => model.setFolder(path, true).catch(failed));

    app.commands.addCommand('codeintel:open', {
      label: trans.__('Open File at Line'),
      execute: args => {
        const place = placeOf(args);
        return place ? open(app, place).catch(failed) : failed(new Error(trans.__('This place cannot be opened.')));
      }
    });
    document.addEventListener('codeintel:open', event => {
      const place = placeOf((event as CustomEvent).detail);
      if (place) {
        event.preventDefault(); // else the widget opens a tab of the browser
        void open(app, place).catch(failed);
      }
    });
  }
};

function selection(app: JupyterFrontEnd): string {
  const content = (app.shell.currentWidget as any)?.content;
  const editor = content?.activeCell?.editor ?? content?.editor;
  if (editor) {
    const { start, end } = editor.getSelection();
    const from = editor.getOffsetAt(start);
    const to = editor.getOffsetAt(end);
    if (from !== to) {
      return editor.model.sharedModel.getSource().slice(Math.min(from, to), Math.max(from, to));
    }
  }
  return window.getSelection()?.toString() ?? '';
}

export default plugin;
