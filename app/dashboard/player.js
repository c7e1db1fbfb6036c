/** The buttons under the phone: previous or next step, play all, back to the live screen. */

import { el, icon, setText } from './dom.js';

const PLAY_MS = 1_300;

export class Player {
  /**
   * @param {HTMLElement} root
   * @param {{move: (by: number) => boolean, first: () => void, live: () => void}} actions
   *   `move` says whether there was such a step
   */
  constructor(root, actions) {
    /** @param {string} name @param {string} label @param {() => void} onclick */
    const button = (name, label, onclick) => el('button', { type: 'button', class: 'round', 'aria-label': label, title: label, onclick }, icon(name));
    this._actions = actions;
    this._root = root;
    this._play = button('play', 'Play the steps', () => this._toggle());
    this._text = el('span', { class: 'player-text' });
    this._live = el('button', { type: 'button', class: 'quiet', onclick: () => this._goLive() }, 'Live screen');
    root.append(
      button('prev', 'Previous step (left arrow)', () => this.move(-1)),
      this._play,
      button('next', 'Next step (right arrow)', () => this.move(1)),
      this._text,
      this._live,
    );
  }

  /** @param {{count: number, selected: number|null}} state number of steps, and which is shown */
  update({ count, selected }) {
    this._root.hidden = count === 0;
    setText(this._text, selected === null ? counted(count) : `Step ${selected} of ${count}`);
    this._live.hidden = selected === null;
    this._atEnd = selected === null || selected >= count;
  }

  /** @param {number} by */
  move(by) {
    this.pause();
    this._actions.move(by);
  }

  pause() {
    clearInterval(this._timer);
    this._timer = undefined;
    this._play.setAttribute('aria-label', 'Play the steps');
    this._play.replaceChildren(icon('play'));
  }

  _goLive() {
    this.pause();
    this._actions.live();
  }

  _toggle() {
    if (this._timer) return this.pause();
    if (this._atEnd) this._actions.first();
    this._play.setAttribute('aria-label', 'Pause');
    this._play.replaceChildren(icon('pause'));
    this._timer = setInterval(() => this._actions.move(1) || this.pause(), PLAY_MS);
  }
}

/** @param {number} count */
function counted(count) {
  return count === 1 ? '1 step' : `${count} steps`;
}
