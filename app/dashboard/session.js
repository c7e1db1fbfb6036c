/**
 * One task being watched or replayed: its record and its steps, kept up to date.
 * Independent of the page; reports changes through `onChange`.
 */

import * as api from './api.js';
import { isFinal, watchTask } from './events.js';

/** @typedef {import('./types.js').Task} Task */
/** @typedef {import('./types.js').Step} Step */
/** @typedef {import('./types.js').StepRecord} StepRecord */
/** @typedef {{kind: 'task'|'end'|'connection'}|{kind: 'step', step: StepRecord}} Change */

export class Session {
  /**
   * @param {Task} task
   * @param {(change: Change) => void} onChange
   */
  constructor(task, onChange) {
    this.task = task;
    this.connected = true;
    /** Whether it was still running when it was opened. */
    this.live = !isFinal(task);
    /** @type {Map<number, StepRecord>} */
    this.steps = new Map();
    this._onChange = onChange;
    this._closed = false;
    this._stopWatching = () => {};
  }

  get final() {
    return isFinal(this.task);
  }

  /** @returns {StepRecord[]} in order */
  get ordered() {
    return [...this.steps.values()].sort((a, b) => a.number - b.number);
  }

  /** Load what exists, then follow the rest. */
  async start() {
    await this._loadSteps();
    if (this._closed || this.final) return;
    this._stopWatching = watchTask(
      this.task.id,
      (kind, data) => this._receive(kind, data),
      (connected) => {
        this.connected = connected;
        this._onChange({ kind: 'connection' });
      },
    );
  }

  close() {
    this._closed = true;
    this._stopWatching();
  }

  async cancel() {
    const task = await api.cancelTask(this.task.id);
    if (!this.final) this._setTask(task, 'task');
  }

  /** The events report the results of these. */
  async pause() {
    await api.pauseTask(this.task.id);
  }

  async resume() {
    await api.resumeTask(this.task.id);
  }

  /** @param {{allow: boolean, text: string, question: number}} reply */
  async reply(reply) {
    await api.replyToTask(this.task.id, reply);
  }

  async _loadSteps() {
    for (const step of await api.steps(this.task.id)) this._finishStep(step);
  }

  /** @param {string} kind @param {any} data */
  _receive(kind, data) {
    if (this._closed) return;
    if (kind === 'task' && data.steps < this.task.steps) return; // repeated from the beginning
    if (kind === 'task') this._setTask(data, 'task');
    else if (kind === 'step') this._finishStep(data);
    else if (kind === 'lost') this._loadSteps().catch(() => {});
    else if (kind === 'end') this._end(data);
    else this._advance(kind, data);
  }

  /**
   * Handle the events before a step is done. Once it is done, the step itself is authoritative.
   * @param {string} kind @param {any} data
   */
  _advance(kind, data) {
    const step = this.steps.get(data.step) ?? blankStep(data.step);
    if (step.phase === 'done') return;
    if (kind === 'observed') Object.assign(step, { app: data.app, width: data.width, height: data.height, screenshot: data.screenshot, phase: 'looking' });
    if (kind === 'thought') Object.assign(step, { thought: step.thought + data.text, phase: 'thinking' });
    if (kind === 'retry') Object.assign(step, { thought: '', remark: data.message });
    if (kind === 'decided') Object.assign(step, { thought: data.thought, action: data.action, summary: data.summary, remark: '', phase: 'acting' });
    this._put(step);
  }

  /** @param {Step} step */
  _finishStep(step) {
    this._put({ ...step, phase: 'done' });
  }

  /** @param {StepRecord} step */
  _put(step) {
    this.steps.set(step.number, step);
    this._onChange({ kind: 'step', step });
  }

  /**
   * Load what was missed during a broken connection; a step that is still not done never will be.
   * @param {Task} task
   */
  async _end(task) {
    const done = this.ordered.filter((step) => step.phase === 'done').length;
    if (done < task.steps) await this._loadSteps().catch(() => {});
    if (this._closed) return;
    for (const step of this.ordered) if (step.phase !== 'done') this._finishStep(step);
    this._setTask(task, 'end');
  }

  /** @param {Task} task @param {'task'|'end'} kind */
  _setTask(task, kind) {
    this.task = task;
    this._onChange({ kind });
  }
}

/** @param {number} number @returns {StepRecord} */
function blankStep(number) {
  return {
    number, app: '', width: 0, height: 0, thought: '', action: null, summary: '', raw: '', error: null,
    remark: '', timings_ms: {}, tokens: {}, screenshot: '', phase: 'looking',
  };
}
