/** The goal box: examples, step limit, options, Run. */

import { byId, el, faultNodes } from './dom.js';
import { Options } from './options.js';

/** @typedef {import('./types.js').Wish} Wish */

const EXAMPLES = ['Turn on Bluetooth', 'Switch off Wi-Fi', 'Open Calendar'];

export class Composer {
  /** @param {(wish: Wish) => Promise<void>} onRun */
  constructor(onRun) {
    this._onRun = onRun;
    this._goal = byId('goal');
    this._run = byId('run');
    this._steps = byId('max-steps');
    this._problem = byId('goal-error');
    this._options = new Options();
    byId('composer').addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      this.submit();
    });
    this._goal.addEventListener('input', () => this._showProblem(null));
    byId('examples').append(...EXAMPLES.map((goal) => this._chip(goal)));
  }

  /** List the goals that the model knows, if it knows only some. @param {import('./types.js').Goals} goals */
  setKnown({ any_goal, known }) {
    const list = byId('known-goals');
    list.hidden = any_goal;
    list.replaceChildren(
      el('p', {}, 'This model knows only these goals:'),
      el('ul', {}, ...known.map(({ title, things }) => el('li', {}, el('strong', {}, title), ` ${things.join(', ')}`))),
    );
  }

  focus() {
    this._goal.focus();
    this._goal.select();
  }

  /** @param {string} goal */
  setGoal(goal) {
    this._goal.value = goal;
    this._showProblem(null);
  }

  async submit() {
    const goal = this._goal.value.trim();
    if (!goal) return this._refuse({ message: 'The goal is empty.', hint: 'Say in plain words what the phone should do.' });
    if (!this._steps.checkValidity()) return this._refuse({ message: 'The step limit is a whole number from 1 to 500.', hint: 'Leave it empty for the usual limit.' });
    await this.run({ goal, ...this._options.read(), ...(this._steps.value && { max_steps: Number(this._steps.value) }) });
  }

  /** Run this wish, whatever the fields contain. @param {Wish} wish */
  async run(wish) {
    this._showProblem(null);
    this._run.disabled = true;
    try {
      await this._onRun(wish);
    } catch (error) {
      this._showProblem(/** @type {Error} */ (error));
    } finally {
      this._run.disabled = false;
    }
  }

  /** @param {string} goal */
  _chip(goal) {
    const use = () => {
      this.setGoal(goal);
      this._goal.focus();
    };
    return el('button', { type: 'button', class: 'chip', onclick: use }, goal);
  }

  /** @param {{message: string, hint?: string}} fault */
  _refuse(fault) {
    this._showProblem(fault);
    this._goal.focus();
  }

  /** @param {{message: string, hint?: string}|null} fault */
  _showProblem(fault) {
    this._problem.hidden = !fault;
    this._problem.replaceChildren(...(fault ? faultNodes(fault) : []));
    this._goal.setAttribute('aria-invalid', String(Boolean(fault)));
  }
}
