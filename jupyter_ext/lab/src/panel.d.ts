// codeintel_nb/notebook/panel.js, built from view/: the view of the widget in a cell too.
import type view from './view/index';

declare const built: typeof view;
export default built;
