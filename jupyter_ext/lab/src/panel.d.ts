// codeintel_nb/notebook/panel.js, the view that the widget in a cell has too; the build puts it beside this.
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Model } from './model';

declare const view: {
  render(given: { model: Model; el: HTMLElement; trans?: TranslationBundle }): () => void;
};
export default view;
