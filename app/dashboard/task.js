/** The task in view: its goal, how it stands, the verdict, and the steps below. */

import { el, faultNodes, icon, setText } from './dom.js';
import { Timeline } from './timeline.js';
import { STATUS, counted, duration, stopReason } from './words.js';

/** @typedef {import('./types.js').Task} Task */
/** @typedef {import('./session.js').Session} Session */

export class TaskView {
  /**
   * @param {Session} session
   * @param {{select: (number: number) => void, stop: () => Promise<void>, again: (task: Task) => void}} actions
   */
  constructor(session, actions) {
    this._session = session;
    this._state = el('span', { class: 'state' });
    this._meta = el('span', { class: 'meta' });
    this._stop = el('button', { class: 'stop', type: 'button', onclick: () => this._cancel(actions.stop) }, icon('stop'), el('span', {}, 'Stop'));
    this._again = el('button', { class: 'quiet', type: 'button', onclick: () => actions.again(session.task) }, icon('again'), el('span', {}, 'Run again'));
    this._verdict = el('div', { class: 'verdict', hidden: true });
    this._fault = el('div', { class: 'problem', role: 'alert', hidden: true });
    this._waiting = el('p', { class: 'waiting' });
    this.timeline = new Timeline(session.task.id, actions.select);
    this.root = el(
      'article',
      { class: 'task-card' },
      el(
        'header',
        { class: 'task-head' },
        el('div', { class: 'task-line' }, this._state, this._meta, el('span', { class: 'spacer' }), this._stop, this._again),
        el('h2', { class: 'task-goal', dir: 'auto' }, session.task.goal),
        this._verdict,
        this._fault,
      ),
      this.timeline.root,
      this._waiting,
    );
    this._stopping = false;
    this._clock = setInterval(() => this._updateMeta(), 250);
    this.update();
  }

  close() {
    clearInterval(this._clock);
  }

  update() {
    const { task, final, connected } = this._session;
    const status = STATUS[task.status] ?? { word: task.status, icon: 'alert' };
    this.root.dataset.status = task.status;
    this._stop.hidden = final;
    this._stop.disabled = this._stopping;
    this._again.hidden = !final;
    setText(this._stop.lastElementChild, this._stopping ? 'Stopping …' : 'Stop');
    setText(this._state, status.word);
    this._state.hidden = final;
    this._updateMeta();
    this._updateWaiting(connected);
    if (final) this._showVerdict(task, status);
  }

  /** @param {{message: string, hint?: string}} fault */
  showFault(fault) {
    this._fault.hidden = false;
    this._fault.replaceChildren(...faultNodes(fault));
  }

  /** @param {() => Promise<void>} stop */
  async _cancel(stop) {
    this._stopping = true;
    this.update();
    try {
      await stop();
    } catch (error) {
      this._stopping = false;
      this.update();
      if (!this._session.final) this.showFault(/** @type {Error} */ (error));
    }
  }

  _updateMeta() {
    const { task, steps, final } = this._session;
    const parts = [counted(Math.max(steps.size, final ? task.steps : 0), 'step')];
    const took = elapsed(task);
    if (took !== null) parts.push(final ? duration(took) : `${Math.floor(took / 1_000)} s`);
    setText(this._meta, parts.join(' · '));
  }

  /** @param {boolean} connected */
  _updateWaiting(connected) {
    const { task, steps, final } = this._session;
    let text = '';
    if (!final && !connected) text = 'The connection broke; trying again …';
    else if (task.status === 'queued') text = 'Waiting for the phone: another task comes first.';
    else if (!final && steps.size === 0) text = 'Taking a first look at the screen …';
    else if (final && steps.size === 0) text = 'This task ended before its first step.';
    setText(this._waiting, text);
    this._waiting.hidden = !text;
  }

  /** @param {Task} task @param {{word: string, icon: string}} status */
  _showVerdict(task, status) {
    const sentences = [...new Set([task.message, task.error?.message].filter(Boolean))];
    const reason = task.status === 'interrupted' ? 'The service stopped while this task was running.' : stopReason(task.stop_reason);
    if (!sentences.length || task.stop_reason === 'gave_up') sentences.unshift(reason);
    this._verdict.hidden = false;
    this._verdict.dataset.status = task.status;
    this._verdict.replaceChildren(
      el('span', { class: 'verdict-symbol' }, icon(status.icon)),
      el(
        'div',
        { class: 'verdict-text' },
        el('strong', {}, status.word),
        ...sentences.filter(Boolean).map((sentence) => el('span', { class: 'verdict-message', dir: 'auto' }, String(sentence))),
        task.error?.hint ? el('span', { class: 'fault-hint' }, task.error.hint) : null,
      ),
    );
  }
}

/** @param {Task} task */
function elapsed(task) {
  if (!task.started_at) return null;
  const end = task.ended_at ? Date.parse(task.ended_at) : Date.now();
  return Math.max(0, end - Date.parse(task.started_at));
}

/** What the column shows while no task is selected. */
export function welcome() {
  const part = (name, title, text) => el('li', {}, icon(name), el('div', {}, el('strong', {}, title), el('span', {}, text)));
  return el(
    'div',
    { class: 'welcome' },
    el('h2', {}, 'Say it. Watch it happen.'),
    el('p', {}, 'Type a goal in plain words, or take one of the examples. The model then works the phone step by step, and you see every one.'),
    el(
      'ol',
      {},
      part('eye', 'It looks', 'A screenshot goes to the model.'),
      part('think', 'It decides', 'You read its thoughts as they come.'),
      part('tap', 'It acts', 'Every tap and swipe is drawn on the screen.'),
    ),
  );
}
