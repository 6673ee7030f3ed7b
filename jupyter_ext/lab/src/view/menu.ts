/** Menu at the pointer: a list of actions. */

import { element } from './dom';

export interface Action {
  label: string;
  run: () => void;
  isSeparate?: boolean; // a line above it
}

/** Show a menu; Escape, a click elsewhere or an action closes it. */
export function showMenu(root: HTMLElement, actions: Action[], x: number, y: number, back: HTMLElement): void {
  root.querySelector('.menu')?.remove();
  const items = actions.map(action =>
    element('button', {
      type: 'button',
      role: 'menuitem',
      tabindex: '-1',
      class: action.isSeparate ? 'separate' : false,
      text: action.label,
      onclick: () => {
        close();
        action.run();
      }
    })
  );
  const menu = element('div', { class: 'menu', role: 'menu' }, ...items);
  const box = root.getBoundingClientRect();
  root.append(menu);
  const left = Math.max(0, Math.min(x - box.left, box.width - menu.offsetWidth - 4));
  const top = Math.max(0, Math.min(y - box.top, box.height - menu.offsetHeight - 4));
  menu.style.left = `${left}px`;
  menu.style.top = `${top}px`;
  let at = 0;
  const focus = (index: number) => {
    at = (index + items.length) % items.length;
    items[at].focus();
  };
  const outside = (event: Event) => {
    if (!menu.contains(event.target as Node)) {
      close(false);
    }
  };
  function close(refocus = true): void {
    menu.remove();
    document.removeEventListener('pointerdown', outside, true);
    if (refocus) {
      back.focus();
    }
  }
  menu.addEventListener('keydown', event => {
    const moves: Record<string, () => void> = {
      ArrowDown: () => focus(at + 1),
      ArrowUp: () => focus(at - 1),
      Home: () => focus(0),
      End: () => focus(items.length - 1),
      Escape: () => close(),
      Tab: () => close()
    };
    const move = moves[event.key];
    if (move) {
      move();
      event.preventDefault();
    }
    event.stopPropagation();
  });
  document.addEventListener('pointerdown', outside, true);
  focus(0);
}
