/** Questions to the kernel or the server, each answered once. */

import type { ViewModel } from './host';

type Take = (answer: any) => void;
type Fail = (error: Error) => void;

interface Waiting {
  what: string;
  fields: object;
  take: Take;
  fail: Fail;
}

interface Lane {
  busy: boolean;
  next: Waiting | null;
  dropped: number;
}

export class Questions {
  constructor(private _model: ViewModel) {
    _model.on('msg:custom', this._heard);
  }

  ask(what: string, fields: object = {}): Promise<any> {
    return new Promise((resolve, reject) => {
      this._open.set(++this._last, { resolve, reject });
      this._model.send({ number: this._last, what, ...fields });
    });
  }

  /** Ask one question of a kind at a time; of those that wait, only the last is sent. */
  async askLast(what: string, fields: object, take: Take, fail: Fail, queue = what): Promise<void> {
    const lane = this._lane(queue);
    if (lane.busy) {
      lane.next = { what, fields, take, fail };
      return;
    }
    lane.busy = true;
    const { dropped } = lane;
    const stands = () => !lane.next && lane.dropped === dropped;
    try {
      const answer = await this.ask(what, fields);
      if (stands()) {
        take(answer);
      }
    } catch (error) {
      if (stands()) {
        fail(error as Error);
      }
    } finally {
      lane.busy = false;
      const { next } = lane;
      lane.next = null;
      if (next) {
        void this.askLast(next.what, next.fields, next.take, next.fail, queue);
      }
    }
  }

  /** Forget the questions of a kind, in flight and waiting. */
  drop(queue: string): void {
    const lane = this._lane(queue);
    lane.dropped += 1;
    lane.next = null;
  }

  close(): void {
    this._model.off('msg:custom', this._heard);
  }

  private _heard = (message: any) => {
    const open = this._open.get(message.number);
    if (!open) {
      return; // two views of a widget hear each other's answers
    }
    this._open.delete(message.number);
    if (message.error === undefined) {
      open.resolve(message.answer);
    } else {
      open.reject(new Error(message.error));
    }
  };

  private _lane(queue: string): Lane {
    let lane = this._lanes.get(queue);
    if (!lane) {
      lane = { busy: false, next: null, dropped: 0 };
      this._lanes.set(queue, lane);
    }
    return lane;
  }

  private _open = new Map<number, { resolve: (answer: any) => void; reject: (error: Error) => void }>();
  private _lanes = new Map<string, Lane>();
  private _last = Math.floor(Math.random() * 2 ** 50);
}
