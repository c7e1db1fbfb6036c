/** The visible task: its goal, its state, the verdict, and the steps below. */

import { el, faultNodes, icon, setText } from './dom.js';
import { FollowUp } from './followup.js';
import { QuestionCard } from './question.js';
import { taskHash } from './recent.js';
import { Timeline } from './timeline.js';
import { counted, duration, statusOf, stopReason } from './words.js';

/** @typedef {import('./types.js').Task} Task */
/** @typedef {import('./session.js').Session} Session */

export class TaskView {
  /**
   * @param {Session} session
   * @param {{select: (number: number) => void, again: (task: Task) => void, followUp: (goal: string) => Promise<void>}} actions
   */
  constructor(session, actions) {
    this._session = session;
    this._state = el('span', { class: 'state' });
    this._meta = el('span', { class: 'meta' });
    this._pause = el('button', { class: 'quiet', type: 'button', onclick: () => this._do('pause') }, icon('pause'), el('span', {}, 'Pause'));
    this._resume = el('button', { class: 'quiet', type: 'button', onclick: () => this._do('resume') }, icon('play'), el('span', {}, 'Resume'));
    this._stop = el('button', { class: 'stop', type: 'button', onclick: () => this._do('cancel') }, icon('stop'), el('span', {}, 'Stop'));
    this._again = el('button', { class: 'quiet', type: 'button', onclick: () => actions.again(session.task) }, icon('again'), el('span', {}, 'Run again'));
    this._goal = el('h2', { class: 'task-goal', dir: 'auto', tabindex: '-1' }, session.task.goal);
    this._question = new QuestionCard((reply) => session.reply(reply));
    this._followUp = new FollowUp(actions.followUp);
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
        el('div', { class: 'task-line' }, this._state, this._meta, el('span', { class: 'spacer' }), this._pause, this._resume, this._stop, this._again),
        this._goal,
        earlier(session.task),
        this._question.root,
        this._verdict,
        this._followUp.root,
        this._fault,
      ),
      this.timeline.root,
      this._waiting,
    );
    /** @type {''|'pause'|'resume'|'cancel'} what was asked for and has not come about yet */
    this._doing = '';
    this._clock = setInterval(() => this._updateMeta(), 250);
    this.update();
  }

  close() {
    clearInterval(this._clock);
    this._question.close();
  }

  update() {
    const { task, final, connected } = this._session;
    const status = statusOf(task);
    this.root.dataset.status = task.status;
    this._pause.hidden = task.status !== 'running';
    this._resume.hidden = task.status !== 'paused';
    this._stop.hidden = final;
    this._again.hidden = !final;
    for (const button of [this._pause, this._resume, this._stop]) button.disabled = this._doing !== '';
    setText(this._pause.lastElementChild, this._doing === 'pause' ? 'Pausing …' : 'Pause');
    setText(this._stop.lastElementChild, this._doing === 'cancel' ? 'Stopping …' : 'Stop');
    setText(this._again.lastElementChild, task.mode === 'dry_run' ? 'Run for real' : 'Run again');
    this._ask(final ? null : task.question);
    this._followUp.show(final && task.steps > 0);
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

  focusQuestion() {
    this._question.focus();
  }

  /** @param {import('./types.js').Question|null} question */
  _ask(question) {
    const answered = !question && this._question.root.contains(document.activeElement);
    const before = this._question.number;
    this._question.show(question);
    if (question && question.number !== before) this._question.focus();
    if (answered) this._goal.focus();
  }

  /** @param {'pause'|'resume'|'cancel'} what */
  async _do(what) {
    this._doing = what;
    this._fault.hidden = true;
    this.update();
    try {
      await this._session[what]();
    } catch (error) {
      if (!this._session.final) this.showFault(/** @type {Error} */ (error));
    }
    // A task that is being stopped is shown as such until its end is reported.
    if (what !== 'cancel' || !this._fault.hidden) this._doing = '';
    this.update();
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
    else if (task.status === 'paused') text = 'Paused: nothing is done on the phone. It looks at the screen anew when it goes on.';
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
function earlier(task) {
  return task.follows ? el('a', { class: 'earlier', href: taskHash(task.follows) }, 'Goes on from an earlier task') : null;
}

/** @param {Task} task */
function elapsed(task) {
  if (!task.started_at) return null;
  const end = task.ended_at ? Date.parse(task.ended_at) : Date.now();
  return Math.max(0, end - Date.parse(task.started_at));
}

/** The contents of the column while no task is selected. */
export function welcome() {
  /** @param {string} name @param {string} title @param {string} text */
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
