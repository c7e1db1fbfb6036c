/** Decides what the phone on the page shows: a step as the model saw it, or the current screen. */

import * as api from './api.js';
import { byId, setText } from './dom.js';
import { Hand } from './hand.js';
import { LiveScreen } from './live.js';
import { PhoneView } from './phone.js';
import { deviceNote } from './status.js';
import { stepTitle } from './words.js';

/** @typedef {import('./types.js').Device} Device */
/** @typedef {import('./types.js').StepRecord} StepRecord */
/** @typedef {import('./session.js').Session} Session */
/**
 * @typedef {object} View
 * @property {Session|null} session the task in view
 * @property {number|null} selected the step being looked at; null follows the phone
 * @property {string|null} serial
 * @property {Device[]|null} devices null while unknown
 */

export class Stage {
  constructor() {
    this._phone = new PhoneView(byId('phone'));
    /** @type {LiveScreen} */
    this._live = new LiveScreen((picture) => this._showLive(picture), (error) => this._showLiveError(error));
    this._hand = new Hand(byId('hand'), this._phone, () => this._live.film());
    this._pictures = 0;
    /** An action that waits for an answer is drawn on the live screen. @type {{action: import('./types.js').Action|null, summary: string}} */
    this._waiting = { action: null, summary: '' };
  }

  /** @param {View} view */
  update(view) {
    const { session, selected } = view;
    const following = Boolean(session && !session.final && selected === null);
    const step = stepInView(view);
    const asking = following && Boolean(session?.task.question);
    this._phone.setBusy(following && !asking && !byHand(view) && (step?.phase === 'looking' || step?.phase === 'thinking'));
    const action = asking ? session?.task.question?.action ?? null : null;
    this._waiting = { action, summary: action && step ? stepTitle(step) : '' };
    if (!session || !step || byHand(view)) return this._updateLive(view, following, asking);
    this._lend(null);
    this._setMode(following ? 'Following' : 'Replay', following ? 'live' : 'replay');
    if (!step.screenshot) return this._phone.showNote({ icon: 'eye', title: 'No picture of this step', hint: 'The service keeps no screenshots.' });
    this._phone.show({
      key: `${session.task.id}/${step.number}`,
      url: api.screenshotUrl(session.task.id, step.number),
      label: `The phone’s screen at step ${step.number}${step.app ? `, in ${step.app}` : ''}`,
      action: step.action,
      summary: stepTitle(step),
    });
  }

  /** @param {View} view @param {boolean} following @param {boolean} asking */
  _updateLive(view, following, asking) {
    const { session, serial, devices } = view;
    const device = devices?.find((each) => each.serial === serial);
    const busy = Boolean(device?.task && device.task !== session?.task.id);
    const note = devices ? deviceNote(device, busy && session !== null && !following) : null;
    const still = !following || byHand(view);
    this._lend(device && !note && still && !busy ? serial : null);
    if (note) this._phone.showNote(note);
    if (asking) this._setMode('Waits for you', 'waits');
    else this._setMode(note || !device ? '' : 'Live', 'live');
  }

  /** Show this phone's current screen, and let the person touch it; null for none. @param {string|null} serial */
  _lend(serial) {
    this._live.watch(serial);
    this._hand.lend(serial);
  }

  /** @param {string} text @param {'live'|'replay'|'waits'} kind */
  _setMode(text, kind) {
    const badge = byId('mode');
    badge.hidden = !text;
    badge.dataset.kind = kind;
    setText(badge, text);
  }

  /** @param {Blob} picture */
  _showLive(picture) {
    this._pictures += 1;
    const key = `live/${this._pictures}`;
    const serial = this._live.serial ?? undefined;
    return this._phone.show({ key, url: URL.createObjectURL(picture), label: 'The phone’s screen now', owned: true, serial, ...this._waiting });
  }

  /** @param {{message: string, hint?: string}} error */
  _showLiveError(error) {
    this._phone.showNote({ icon: 'eye', title: error.message, hint: error.hint });
  }
}

/** Whether the task leaves the phone to the person: then its current screen is shown, not what the model saw. @param {View} view */
function byHand({ session, selected }) {
  const task = session?.task;
  return selected === null && (task?.status === 'paused' || Boolean(task?.question));
}

/** @param {View} view @returns {StepRecord|null} */
function stepInView({ session, selected }) {
  if (!session) return null;
  if (selected !== null) return session.steps.get(selected) ?? null;
  return session.final ? null : session.ordered.at(-1) ?? null;
}
