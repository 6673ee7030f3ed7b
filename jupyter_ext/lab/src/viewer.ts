/** Read-only documents: files outside of the server's root, and results as text. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, MainAreaWidget, showDialog } from '@jupyterlab/apputils';
import { CodeEditorWrapper, CodeEditor, type IEditorServices } from '@jupyterlab/codeeditor';
import { ToolbarButton, copyIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Panel } from '@lumino/widgets';

export interface Document {
  id: string; // of the same document, opened once
  title: string;
  path: string; // to copy; empty for none
  text: string;
  line: number;
}

type Content = Panel & { editor?: CodeEditor.IEditor };

export class Viewer {
  constructor(
    private _app: JupyterFrontEnd,
    private _editors: IEditorServices | null,
    private _trans: TranslationBundle
  ) {}

  show(shown: Document): void {
    if (this._app.name !== 'JupyterLab') {
      return this._showDialog(shown); // Notebook 7 has one document a page
    }
    const id = `codeintel-view-${shown.id}`;
    const open = Array.from(this._app.shell.widgets('main')).find(widget => widget.id === id);
    const widget = (open as MainAreaWidget<Content> | undefined) ?? this._added(id, shown);
    widget.content.editor?.model.sharedModel.setSource(shown.text); // as it is now
    this._app.shell.activateById(widget.id);
    reveal(widget.content.editor, shown.line);
  }

  private _showDialog(shown: Document): void {
    const content = this._content(shown);
    content.addClass('codeintel-Viewer-dialog');
    const copy = Dialog.createButton({ label: this._trans.__('Copy path'), accept: true });
    const close = Dialog.okButton({ label: this._trans.__('Close') });
    const buttons = shown.path ? [copy, close] : [close];
    const dialog = { title: this._label(shown), body: content, buttons, defaultButton: buttons.length - 1 };
    void showDialog(dialog).then(result => {
      if (result.button.label === copy.label) {
        void navigator.clipboard?.writeText(shown.path);
      }
    });
    reveal(content.editor, shown.line);
  }

  private _added(id: string, shown: Document): MainAreaWidget<Content> {
    const widget = new MainAreaWidget({ content: this._content(shown) });
    widget.id = id;
    widget.title.label = shown.title;
    widget.title.caption = this._label(shown);
    widget.title.closable = true;
    const label = document.createElement('span');
    label.textContent = this._label(shown);
    label.className = 'codeintel-Viewer-label';
    widget.toolbar.node.append(label);
    if (shown.path) {
      const copy = {
        icon: copyIcon,
        label: this._trans.__('Copy path'),
        onClick: () => void navigator.clipboard?.writeText(shown.path)
      };
      widget.toolbar.addItem('copy', new ToolbarButton(copy));
    }
    this._app.shell.add(widget, 'main');
    return widget;
  }

  private _label(shown: Document): string {
    return this._trans.__('Read-only: %1', shown.path || shown.title);
  }

  private _content(shown: Document): Content {
    const content: Content = new Panel();
    content.addClass('codeintel-Viewer');
    if (!this._editors) {
      const text = document.createElement('pre');
      text.textContent = shown.text;
      content.node.append(text);
      return content;
    }
    const mimeType = this._editors.mimeTypeService.getMimeTypeByFilePath(shown.path || 'results.md');
    const model = new CodeEditor.Model({ mimeType: mimeType as string });
    model.sharedModel.setSource(shown.text);
    const wrapper = new CodeEditorWrapper({
      model,
      factory: this._editors.factoryService.newDocumentEditor,
      editorOptions: { config: { readOnly: true, lineNumbers: true } }
    });
    content.addWidget(wrapper);
    content.editor = wrapper.editor;
    return content;
  }
}

function reveal(editor: CodeEditor.IEditor | undefined, line: number): void {
  if (!editor) {
    return;
  }
  const start = { line: Math.min(line, editor.lineCount) - 1, column: 0 };
  window.requestAnimationFrame(() => {
    editor.setCursorPosition(start);
    editor.setSelection({ start, end: { line: start.line, column: editor.getLine(start.line)?.length ?? 0 } });
    editor.revealPosition(start);
    editor.focus();
  });
}
