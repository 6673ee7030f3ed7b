import { TranslationBundle } from '@jupyterlab/translation';
import { ISignal, Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import { Model, described } from './model';

const MOST = 40; // characters

/** The scope in the status bar; a click shows the panel. */
export class ScopeStatus extends Widget {
  constructor(model: Model, trans: TranslationBundle, show: () => void) {
    super();
    this.addClass('codeintel-Status');
    const button = document.createElement('button');
    button.type = 'button';
    button.addEventListener('click', show);
    this.node.append(button);
    const number = new Intl.NumberFormat('en').format;
    const draw = () => {
      const { scope, counts, note } = model.state;
      const job = model.get('job') ?? {};
      const text = described(scope) || trans.__('everything');
      const isBusy = job.state === 'waiting' || job.state === 'running';
      const share = isBusy ? ` · ${trans.__('indexing %1 %', Math.floor(100 * (job.share ?? 0)))}` : '';
      button.textContent = trans.__('Scope: %1', text.length > MOST ? `${text.slice(0, MOST)}…` : text) + share;
      button.classList.toggle('codeintel-amber', Boolean(counts && counts[0] === 0 && counts[1] > 0));
      button.title =
        note ||
        (counts ? trans.__('%1: %2 of %3 files. Click to change the scope.', text, number(counts[0]), number(counts[1])) : text);
    };
    model.on('change:job', draw);
    model.on('change:state', draw);
    draw();
  }

  get wanted(): boolean {
    return this._wanted;
  }

  set wanted(value: boolean) {
    if (value !== this._wanted) {
      this._wanted = value;
      this._wantedChanged.emit();
    }
  }

  get wantedChanged(): ISignal<this, void> {
    return this._wantedChanged;
  }

  private _wanted = true;
  private _wantedChanged = new Signal<this, void>(this);
}
