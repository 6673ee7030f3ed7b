/** View of the panel and of the map, for anywidget in a cell and for the side bar. */

import type { Catalogue } from './dom';
import type { Host, View, ViewModel } from './host';
import { renderMap } from './map';
import { Panel } from './panel';

interface Given {
  model: ViewModel;
  el: HTMLElement;
  trans?: Catalogue;
  application?: Host; // not "host": anywidget passes an object of that name
}

/** Render a panel, or a map if the model has one; return the function that removes it. */
function render(given: Given): () => void {
  if (given.model.get('groups') !== undefined) {
    return renderMap(given);
  }
  const panel = new Panel(given);
  return () => panel.dispose();
}

/** Return a panel whose calls commands use. */
const panelOf = (given: Given): View => new Panel(given);

export default { render, panelOf };
