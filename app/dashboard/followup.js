/** After the end of a task: a next goal, in the same conversation on the same phone. */

import { el, faultNodes } from './dom.js';

export class FollowUp {
  /** @param {(goal: string) => Promise<void>} onGoal rejects with what the person should read */
  constructor(onGoal) {
    this._onGoal = onGoal;
    this._goal = el('input', { id: 'next-goal', type: 'text', maxlength: 2000, autocomplete: 'off', dir: 'auto', placeholder: 'And now …' });
    this._go = el('button', { class: 'quiet', type: 'submit', disabled: true }, 'Go on');
    this._fault = el('div', { class: 'problem', role: 'alert', hidden: true });
    this.root = el(
      'form',
      { class: 'follow-up', novalidate: true, hidden: true },
      el('label', { for: 'next-goal' }, 'Go on with'),
      this._goal,
      this._go,
      this._fault,
    );
    this._goal.addEventListener('input', () => this._fit());
    this.root.addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      this._submit();
    });
  }

  /** @param {boolean} shown */
  show(shown) {
    this.root.hidden = !shown;
  }

  _fit() {
    this._go.disabled = !this._goal.value.trim();
    this._fault.hidden = true;
  }

  async _submit() {
    this._go.disabled = true;
    try {
      await this._onGoal(this._goal.value.trim());
    } catch (error) {
      this._fit();
      this._fault.hidden = false;
      this._fault.replaceChildren(...faultNodes(/** @type {Error} */ (error)));
    }
  }
}
