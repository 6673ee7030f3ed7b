import { TranslationBundle } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';
import { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { Model } from './model';
import view from './panel';

const ICON = new LabIcon({
  name: 'codeintel-jupyter:search',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="none" stroke="#616161" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><circle cx="10" cy="10" r="6.5"/><path d="M15 15l6 6M8.5 8l-2 2 2 2M11.5 8l2 2-2 2"/></g></svg>'
});

/** The panel that the widget in a cell is too, for the active kernel. */
export class SidePanel extends Widget {
  constructor(model: Model, trans: TranslationBundle) {
    super();
    this.id = 'codeintel-panel';
    this.addClass('codeintel-SidePanel');
    this.title.icon = ICON;
    this.title.caption = trans.__('Code Search');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Code Search'));
    this._end = view.render({ model, el: this.node, trans });
  }

  /** Put the cursor into the query, which may be given. */
  focusQuery(text = ''): void {
    const query = this.node.querySelector<HTMLInputElement>('input[type=search]');
    if (query && text.trim()) {
      query.value = text.trim().split('\n')[0];
      query.dispatchEvent(new InputEvent('input'));
    }
    query?.focus();
    query?.select();
  }

  openSelected(): void {
    this.node.querySelector<HTMLElement>('.hit[aria-selected=true], .hit')?.click();
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._end();
    }
    super.dispose();
  }

  protected onActivateRequest(_: Message): void {
    this.focusQuery();
  }

  private _end: () => void;
}
