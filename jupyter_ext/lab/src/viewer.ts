/** Read-only documents: files outside of the server's root, and results as text. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
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

export class Viewer {
  constructor(
    private _app: JupyterFrontEnd,
    private _editors: IEditorServices | null,
    private _trans: TranslationBundle
  ) {}

  show(shown: Document): void {
    const id = `codeintel-view-${shown.id}`;
    const open = Array.from(this._app.shell.widgets('main')).find(widget => widget.id === id) as
      MainAreaWidget<Panel & { editor?: CodeEditor.IEditor }> | undefined;
    const widget = open ?? this._made(id, shown);
    this._app.shell.activateById(widget.id);
    const { editor } = widget.content;
    if (editor) {
      const position = { line: Math.min(shown.line, editor.lineCount) - 1, column: 0 };
      window.requestAnimationFrame(() => {
        editor.setCursorPosition(position);
        editor.setSelection({
          start: position,
          end: { line: position.line, column: editor.getLine(position.line)?.length ?? 0 }
        });
        editor.revealPosition(position);
        editor.focus();
      });
    }
  }

  private _made(id: string, shown: Document): MainAreaWidget<Panel & { editor?: CodeEditor.IEditor }> {
    const content: Panel & { editor?: CodeEditor.IEditor } = new Panel();
    content.addClass('codeintel-Viewer');
    if (this._editors) {
      const model = new CodeEditor.Model({
        mimeType: this._editors.mimeTypeService.getMimeTypeByFilePath(shown.path || 'results.md') as string
      });
      model.sharedModel.setSource(shown.text);
      const wrapper = new CodeEditorWrapper({
        model,
        factory: this._editors.factoryService.newDocumentEditor,
        editorOptions: { config: { readOnly: true, lineNumbers: true } }
      });
      content.addWidget(wrapper);
      content.editor = wrapper.editor;
    } else {
      const text = document.createElement('pre');
      text.textContent = shown.text;
      content.node.append(text);
    }
    const widget = new MainAreaWidget({ content });
    widget.id = id;
    widget.title.label = shown.title;
    widget.title.caption = this._trans.__('%1 (read-only)', shown.path || shown.title);
    widget.title.closable = true;
    const label = document.createElement('span');
    label.textContent = this._trans.__('Read-only: %1', shown.path || shown.title);
    label.className = 'codeintel-Viewer-label';
    widget.toolbar.node.append(label);
    if (shown.path) {
      widget.toolbar.addItem(
        'copy',
        new ToolbarButton({
          icon: copyIcon,
          label: this._trans.__('Copy path'),
          onClick: () => void navigator.clipboard?.writeText(shown.path)
        })
      );
    }
    this._app.shell.add(widget, 'main');
    return widget;
  }
}
