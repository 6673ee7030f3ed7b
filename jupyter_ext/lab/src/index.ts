/** Extension of JupyterLab and Notebook 7: the panel, the scope in the status bar, commands. */

import { ILabShell, ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { IEditorServices } from '@jupyterlab/codeeditor';
import { IConsoleTracker } from '@jupyterlab/console';
import { PageConfig, PathExt } from '@jupyterlab/coreutils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, TranslationBundle, nullTranslator } from '@jupyterlab/translation';
import { hostOf } from './host';
import { ActiveKernel } from './kernels';
import { Model } from './model';
import { followLinks, fragmentOf, placeOf, reveal } from './open';
import { ICON, SidePanel } from './sidepanel';
import { ScopeStatus } from './status';
import { serverVersion } from './server';
import { VERSION } from './version';
import type { Mode } from './view/messages';
import { Viewer } from './viewer';

const PLUGIN = 'codeintel-jupyter:plugin';
const CELL_CHARACTERS = 2000; // of a cell, in a search for similar ones

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN,
  description: 'Code search under the scope of the active kernel.',
  autoStart: true,
  optional: [
    INotebookTracker,
    IConsoleTracker,
    IDefaultFileBrowser,
    IStatusBar,
    ICommandPalette,
    ISettingRegistry,
    ITranslator,
    ILabShell,
    ILayoutRestorer,
    IDocumentManager,
    IEditorServices
  ],
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
    restorer: ILayoutRestorer | null,
    documents: IDocumentManager | null,
    editors: IEditorServices | null
  ) => {
    const trans = (translator ?? nullTranslator).load('codeintel_nb');
    const contents = app.serviceManager.contents;
    const local = (path: string) => contents.localPath(path); // without the name of a drive
    const kernels = new ActiveKernel(app, notebooks, consoles, alone(trans), local);
    const model = new Model(kernels.session, trans);
    kernels.changed.connect((_, session) => model.follow(session));

    const failed = (error: Error) => void Notification.error(error.message, { autoClose: 8000 });
    const viewer = new Viewer(app, editors, trans);
    const host = hostOf({ app, documents, notebooks, model, viewer, failed });
    const panel = new SidePanel(model, trans, host);
    app.shell.add(panel, 'left', { rank: 350 });
    restorer?.add(panel, panel.id);
    const show = () => (labShell ?? (app.shell as any)).activateById?.(panel.id) ?? (app.shell as any).expandLeft?.(panel.id);
    model.reached = versionWarning(trans);

    const status = new ScopeStatus(model, trans, () => void show());
    statusBar?.registerStatusItem('codeintel-jupyter:scope', {
      item: status,
      align: 'left',
      rank: 30,
      isActive: () => status.wanted,
      activeStateChanged: status.wantedChanged
    });
    settings?.load(PLUGIN).then(
      loaded => {
        const read = () => (status.wanted = loaded.get('showScope').composite !== false);
        loaded.changed.connect(read);
        read();
      },
      error => console.warn('codeintel-nb: the settings cannot be read', error)
    );

    const isServers = (path: string) => ['', 'RTC'].includes(contents.driveName(path)); // drives of the server's own folder
    const selected = () => {
      const item = browser ? Array.from(browser.selectedItems())[0] : undefined;
      return item && isServers(item.path) ? local(item.type === 'directory' ? item.path : PathExt.dirname(item.path)) : null;
    };
    const here = () => {
      const notebook = notebooks?.currentWidget;
      const isShown = notebook && notebook === app.shell.currentWidget;
      return local(isShown ? PathExt.dirname(notebook.context.path) : (browser?.model.path ?? model.session.folder));
    };
    const describedBy = { args: { type: 'object', properties: { path: { type: 'string' } } } };
    const add = (id: string, label: string, execute: (args: any) => unknown, more: object = {}) => {
      app.commands.addCommand(id, { label, execute, describedBy, ...more });
      palette?.addItem({ command: id, category: trans.__('Code Search') });
    };
    const { view } = panel;
    const search = (text: string, mode: Mode = 'text', switches: string[] = []) => {
      void show();
      if (text.trim()) {
        view.search(text, mode, switches);
      } else {
        view.focus();
      }
    };

    add('codeintel:search', trans.__('Search Code'), () => search(''));
    add('codeintel:search-selection', trans.__('Search Selection in Code'), () => {
      const text = selection(app).trim();
      search(text.slice(0, CELL_CHARACTERS), text.includes('\n') ? 'meaning' : 'text');
    });
    add(
      'codeintel:find-similar',
      trans.__('Find Similar to This Cell'),
      () => search((notebooks?.activeCell?.model.sharedModel.getSource() ?? '').slice(0, CELL_CHARACTERS), 'meaning'),
      { icon: ICON, isEnabled: () => Boolean(notebooks?.activeCell) }
    );
    add('codeintel:next-result', trans.__('Open Next Code Search Result'), () => view.step(1));
    add('codeintel:previous-result', trans.__('Open Previous Code Search Result'), () => view.step(-1));
    add('codeintel:open-result', trans.__('Open Selected Code Search Result'), () => view.openSelected());
    add('codeintel:clear-results', trans.__('Clear Code Search Results'), () => view.clear());
    add('codeintel:collapse-results', trans.__('Collapse Code Search Results'), () => view.collapseAll());
    add('codeintel:send-to-notebook', trans.__('Send Code Search to Notebook'), () => view.send(false));
    add('codeintel:send-frame-to-notebook', trans.__('Send Code Search to Notebook as a DataFrame'), () => view.send(true));
    add('codeintel:index-project', trans.__('Index This Project for Code Search'), () => {
      void show();
      model.send({ number: -1, what: 'index', path: '' });
    });
    add('codeintel:scope-from-folder', trans.__('Set Code Search Scope from Current Folder'), args =>
      model.setFolder(String(args.path ?? here()), false).then(() => void show(), failed)
    );
    add('codeintel:clear-scope', trans.__('Clear Code Search Scope'), () => model.clearScope().catch(failed));

    const menu = (id: string, label: string, execute: (path: string) => unknown) =>
      app.commands.addCommand(id, {
        label,
        describedBy,
        execute: args => execute(String(args.path ?? selected() ?? '')),
        isVisible: () => selected() !== null
      });
    menu('codeintel:search-in-folder', trans.__('Search in This Folder'), path =>
      model.setFolder(path, false).then(() => search(''), failed)
    );
    menu('codeintel:exclude-folder', trans.__('Exclude from Code Search'), path => model.setFolder(path, true).catch(failed));

    app.commands.addCommand('codeintel:open', {
      label: trans.__('Open File at Line'),
      describedBy,
      execute: args => {
        const place = placeOf(args);
        return place ? host.open(place) : failed(new Error(trans.__('This place cannot be opened.')));
      }
    });
    followLinks(PageConfig.getBaseUrl().replace(/^[a-z]+:\/\/[^/]+/, ''), { ...host, search });
    void app.restored.then(() => revealAtStart(app));
  }
};

/** The page's own session, without a notebook. */
function alone(trans: TranslationBundle) {
  return {
    id: `page-${crypto.randomUUID?.() ?? Math.random().toString(36).slice(2)}`,
    label: trans.__('no notebook'),
    folder: '',
    addImports: () => Promise.reject(new Error(trans.__('Open a notebook first: only its kernel knows the imported packages.')))
  };
}

/** Warn once if the page and the server have different versions. */
function versionWarning(trans: TranslationBundle): (error: Error | null) => void {
  let warned = false;
  return error => {
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
}

/** Show the place that the page's address names, as in a tab that Notebook 7 has opened. */
async function revealAtStart(app: JupyterFrontEnd): Promise<void> {
  const fields = fragmentOf(window.location.hash);
  const widget: any = app.shell.currentWidget;
  const place = fields && widget?.context ? placeOf({ ...fields, path: widget.context.path }) : null;
  if (place) {
    await widget.context.ready;
    await widget.revealed;
    await reveal(widget, place);
  }
}

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
