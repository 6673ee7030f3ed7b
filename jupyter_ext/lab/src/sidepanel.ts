/** Panel in the side bar. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';
import type { Model } from './model';
import view from './panel';
import type { Host, View } from './view/host';

export const ICON = new LabIcon({
  name: 'codeintel-jupyter:search',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="none" stroke="#616161" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><circle cx="10" cy="10" r="6.5"/><path d="M15 15l6 6M8.5 8l-2 2 2 2M11.5 8l2 2-2 2"/></g></svg>'
});

export class SidePanel extends Widget {
  constructor(model: Model, trans: TranslationBundle, host: Host) {
    super();
    this.id = 'codeintel-panel';
    this.addClass('codeintel-SidePanel');
    this.title.icon = ICON;
    this.title.caption = trans.__('Code Search');
    this.view = view.panelOf({ model, el: this.node, trans, application: host });
  }

  readonly view: View;

  dispose(): void {
    if (!this.isDisposed) {
      this.view.dispose();
    }
    super.dispose();
  }

  protected onActivateRequest(): void {
    this.view.focus();
  }
}
