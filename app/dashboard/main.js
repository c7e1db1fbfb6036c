/** The dashboard: connects the parts and decides what the phone on the page shows. */

import * as api from './api.js';
import { Composer } from './composer.js';
import { DeviceStream } from './devices.js';
import { byId, setText } from './dom.js';
import { Player } from './player.js';
import { renderRecent, taskHash } from './recent.js';
import { Session } from './session.js';
import { Stage } from './stage.js';
import { renderDevices, renderEngine, renderNotices } from './status.js';
import { TaskView, welcome } from './task.js';
import { statusOf, stepTitle } from './words.js';

/** @typedef {import('./types.js').Task} Task */
/** @typedef {import('./types.js').Device} Device */

const REFRESH_MS = 3_000;
const DEVICE_KEY = 'phonepilot.device';

class Dashboard {
  constructor() {
    /** @type {Device[]} */
    this.devices = [];
    /** @type {Task[]} */
    this.recent = [];
    /** @type {string|null} the phone chosen in the picker */
    this.serial = localStorage.getItem(DEVICE_KEY);
    /** @type {Session|null} */
    this.session = null;
    /** @type {TaskView|null} */
    this.taskView = null;
    /** @type {number|null} the step being looked at; null follows the phone */
    this.selected = null;
    /** @type {number|null} the question that was last announced */
    this.attended = null;
    this.devicesKnown = false;
    this.devicesAsked = 0;
    /** @type {api.ApiError|null} why the list of phones is not known */
    this.devicesFault = null;
    this.deviceStream = new DeviceStream(() => this.refreshDevices());
    /** @type {api.ApiError|null} why the task in the address cannot be shown */
    this.lostTask = null;
    this.asked = 0;
    this.answered = 0;
    this.stage = new Stage();
    this.composer = new Composer((wish) => this.run(wish));
    this.player = new Player(byId('player'), { move: (by) => this.move(by), first: () => this.select(1), live: () => this.follow() });
  }

  async start() {
    addEventListener('hashchange', () => this.route());
    addEventListener('keydown', (event) => this.onKey(event));
    byId('device').addEventListener('change', (/** @type {any} */ event) => this.chooseDevice(event.target.value));
    document.addEventListener('visibilitychange', () => document.hidden || this.refresh());
    api.health().then(({ version }) => setText(byId('version'), version), () => {});
    api.goals().then((goals) => this.composer.setKnown(goals), () => {});
    this.route();
    this.deviceStream.open();
    await this.refresh();
    setInterval(() => document.hidden || this.refresh(), REFRESH_MS);
  }

  // -- the service's state

  async refresh() {
    const asked = ++this.asked;
    const phones = this.deviceStream.connected ? null : this.refreshDevices();
    const [engine, recent] = await Promise.allSettled([api.engine(), api.recentTasks(), phones]);
    if (asked < this.answered) return; // a later request was answered sooner
    this.answered = asked;
    const status = engine.status === 'fulfilled' ? engine.value : null;
    renderEngine(status);
    if (recent.status === 'fulfilled') this.setRecent(recent.value);
    const failed = recent.status === 'rejected' ? recent.reason : this.devicesFault;
    renderNotices([failed, this.lostTask, status?.error].filter(Boolean));
    this.followRunningTask();
    this.render();
  }

  async refreshDevices() {
    const asked = ++this.devicesAsked;
    try {
      const devices = await api.devices();
      if (asked !== this.devicesAsked) return; // requested again meanwhile
      this.devicesFault = null;
      this.setDevices(devices);
    } catch (error) {
      this.devicesFault = /** @type {api.ApiError} */ (error);
    }
    this.followRunningTask();
    this.render();
  }

  /** A task that began or ended now uses or has released its phone; nothing else reports it. @param {Task[]} tasks */
  setRecent(tasks) {
    const states = JSON.stringify(tasks.map(({ id, status }) => [id, status]));
    const changed = this.recentStates !== undefined && states !== this.recentStates;
    this.recentStates = states;
    this.recent = tasks;
    if (changed && this.deviceStream.connected) this.refreshDevices();
  }

  /** @param {Device[]} devices */
  setDevices(devices) {
    this.devices = devices;
    this.devicesKnown = true;
    if (devices.some((device) => device.serial === this.serial)) return;
    this.serial = (devices.find((device) => device.state === 'device') ?? devices[0])?.serial ?? null;
  }

  /** Show a task that somebody else started on the visible phone, unless another task is shown. */
  followRunningTask() {
    const running = this.devices.find((device) => device.serial === this.serial)?.task;
    if (running && !this.session && !location.hash.startsWith('#/tasks/')) location.replace(taskHash(running));
  }

  /** @param {string} serial */
  chooseDevice(serial) {
    this.serial = serial;
    localStorage.setItem(DEVICE_KEY, serial);
    if (this.session) location.hash = '#/';
    this.followRunningTask();
    this.render();
  }

  // -- tasks

  /** @param {import('./types.js').Wish} wish */
  async run(wish) {
    const device = this.devices.length > 1 && !wish.follows ? this.shownSerial : null;
    const task = await api.createTask({ ...wish, ...(device && { device }) });
    this.open(task);
    location.hash = taskHash(task.id);
    this.announce(`Task started: ${task.goal}`);
    await this.refresh();
  }

  async route() {
    const taskId = taskInAddress();
    if (!taskId) return this.close();
    if (this.session?.task.id === taskId) return;
    this.close();
    try {
      const task = await api.task(taskId);
      if (location.hash === taskHash(taskId) && this.session?.task.id !== taskId) this.open(task);
    } catch (error) {
      this.lostTask = /** @type {api.ApiError} */ (error);
      renderNotices([this.lostTask]);
    }
  }

  /** @param {Task} task */
  open(task) {
    this.close();
    const session = new Session(task, (change) => this.session === session && this.onChange(change));
    this.session = session;
    this.taskView = new TaskView(session, {
      select: (number) => this.select(number),
      again: (again) => this.runAgain(again),
      followUp: (goal) => this.run({ goal, follows: task.id, ...conditions(session.task) }),
    });
    byId('task').replaceChildren(this.taskView.root);
    byId('task').scrollTop = 0;
    this.attend();
    this.taskView.focusQuestion();
    this.render();
    session.start().then(
      () => this.session === session && session.final && this.select(session.ordered.at(-1)?.number ?? null),
      (error) => this.session === session && this.taskView?.showFault(error),
    );
  }

  close() {
    this.lostTask = null;
    this.player.pause();
    this.session?.close();
    this.taskView?.close();
    this.session = null;
    this.taskView = null;
    this.selected = null;
    this.attended = null;
    byId('task').replaceChildren(welcome());
    this.render();
  }

  /** @param {Task} task */
  async runAgain(task) {
    this.composer.setGoal(task.goal);
    const { max_steps } = task;
    await this.composer.run({ goal: task.goal, max_steps, ...conditions(task), ...(task.mode === 'dry_run' && { mode: 'auto' }) });
  }

  get shownSerial() {
    return this.session ? this.session.task.device : this.serial;
  }

  /** @param {import('./session.js').Change} change */
  onChange(change) {
    if (change.kind === 'step') {
      this.taskView?.timeline.put(change.step);
      if (change.step.phase === 'acting') this.announce(`Step ${change.step.number}: ${stepTitle(change.step)}`);
    }
    this.attend();
    this.taskView?.update();
    if (change.kind === 'end') {
      const { task } = /** @type {Session} */ (this.session);
      this.announce(`${statusOf(task).word}. ${task.message}`);
      this.refresh();
    }
    this.render();
  }

  /** Announce a new question, and show what it is about. */
  attend() {
    const question = this.session?.task.question ?? null;
    if (question && question.number !== this.attended) {
      this.player.pause();
      this.selected = null;
      this.announce(`${statusOf(/** @type {Session} */ (this.session).task).word}: ${question.text}`);
    }
    this.attended = question?.number ?? null;
  }

  // -- which step is shown

  /** @param {number|null} number */
  select(number) {
    if (number === null || !this.session?.steps.has(number)) return;
    this.selected = number;
    this.render();
  }

  follow() {
    this.selected = null;
    this.render();
  }

  /** @param {number} by */
  move(by) {
    const numbers = this.session?.ordered.map((step) => step.number) ?? [];
    if (!numbers.length) return false;
    const at = this.selected === null ? numbers.length : numbers.indexOf(this.selected);
    const next = numbers[at + by];
    if (next === undefined) return false;
    this.select(next);
    return true;
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input, select, textarea, pre')) return;
    if (event.key === 'ArrowLeft') this.player.move(-1);
    else if (event.key === 'ArrowRight') this.player.move(1);
    else if (event.key === 'Escape') this.follow();
    else if (event.key === '/') this.composer.focus();
    else return;
    event.preventDefault();
  }

  // -- the page

  render() {
    const { session, devices } = this;
    renderDevices(devices, this.shownSerial);
    renderRecent(byId('recent'), this.recent.map((task) => this.newest(task)), session?.task.id ?? null);
    this.taskView?.timeline.select(this.selected);
    this.player.update({ count: session?.steps.size ?? 0, selected: this.selected });
    this.stage.update({ session, selected: this.selected, serial: this.shownSerial, devices: this.devicesKnown ? devices : null });
    this.renderTitle();
  }

  /** Show the state of the visible task, and the number of tasks that wait for the person, in the tab. */
  renderTitle() {
    const { session } = this;
    const asking = this.recent.map((task) => this.newest(task)).filter((task) => task.question);
    const waiting = new Set([...asking.map((task) => task.id), ...(session?.task.question ? [session.task.id] : [])]).size;
    const name = session ? `${statusOf(session.task).word}: ${session.task.goal} – phonepilot` : 'phonepilot';
    document.title = waiting ? `(${waiting}) ${name}` : name;
  }

  /** The visible task is newer than its copy in the list. @param {Task} task */
  newest(task) {
    const { session } = this;
    return task.id === session?.task.id ? { ...session.task, steps: Math.max(session.steps.size, session.task.steps) } : task;
  }

  /** @param {string} text */
  announce(text) {
    setText(byId('announcer'), text);
  }
}

/** Return a task's options, for another task like it. @param {Task} task */
function conditions({ confirm, mode, allowed_apps }) {
  return { confirm, mode, allowed_apps };
}

/** Return the task named in the page's URL, if any. */
function taskInAddress() {
  const id = /^#\/tasks\/(.+)$/.exec(location.hash)?.[1];
  try {
    return id ? decodeURIComponent(id) : null;
  } catch {
    return null;
  }
}

new Dashboard().start();
