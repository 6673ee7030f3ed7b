/** JupyterLab or Notebook 7 around the panel: opening, inserting, saving. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import { type INotebookTracker, NotebookActions } from '@jupyterlab/notebook';
import type { Model } from './model';
import { open } from './open';
import { type Host, linkOf } from './view/host';
import type { Text } from './view/messages';
import type { Viewer } from './viewer';

export interface Parts {
  app: JupyterFrontEnd;
  documents: IDocumentManager | null;
  notebooks: INotebookTracker | null;
  model: Model;
  viewer: Viewer;
  failed: (error: Error) => void;
}

/** Return the text of an open document, cell by cell for a notebook. */
function sourceOf(model: any): string {
  const cells: any[] = model.sharedModel?.cells ?? [];
  return cells.length ? cells.map(cell => cell.getSource()).join('\n') : (model.sharedModel?.getSource?.() ?? '');
}

export function hostOf({ app, documents, notebooks, model, viewer, failed }: Parts): Host {
  const contexts = () =>
    Array.from(app.shell.widgets('main'))
      .map(widget => (widget as any).context)
      .filter(context => context?.model?.dirty && typeof context.path === 'string');
  return {
    open: place => {
      if (app.name === 'JupyterLab') {
        return void open(app, documents, place).catch(failed);
      }
      const page = place.path.endsWith('.ipynb') ? 'notebooks' : 'edit';
      window.open(`${PageConfig.getBaseUrl()}${page}/${linkOf(place)}`, '_blank', 'noopener');
    },
    view: (repo, path, line) =>
      void model.text(repo, path).then((text: Text) => {
        const full = text.root ? `${text.root.replace(/[\\/]$/, '')}/${text.path}` : text.path;
        const id = encodeURIComponent(`${text.repo}:${text.path}`);
        viewer.show({ id, title: text.path.split('/').pop() ?? text.path, path: full, text: text.text, line });
      }, failed),
    send: code => {
      // the notebook whose scope the search has, else the active one
      const own = notebooks?.find(one => one.sessionContext.session?.kernel?.id === model.session.id);
      const notebook = own ?? notebooks?.currentWidget;
      if (!notebook) {
        return failed(new Error('Open a notebook first: the search goes into a new cell of it.'));
      }
      NotebookActions.insertBelow(notebook.content);
      notebook.content.activeCell?.model.sharedModel.setSource(code);
      app.shell.activateById(notebook.id);
    },
    document: (title, markdown) =>
      viewer.show({ id: encodeURIComponent(title), title: `${title.slice(0, 40)}.md`, path: '', text: markdown, line: 1 }),
    unsaved: text =>
      contexts()
        .filter(context => sourceOf(context.model).toLowerCase().includes(text.toLowerCase()))
        .map(context => context.path),
    saveAll: () => {
      for (const context of contexts()) {
        context.save().catch(failed);
      }
    },
    hold: holds => model.hold(holds),
    accept: () => model.accept()
  };
}
