/**
 * Manual input on the phone: touches on its picture, its three buttons, and text. Inputs are sent
 * one after another, and only while the phone is free for the person.
 */

import * as api from './api.js';
import { el, faultNodes, icon, svg } from './dom.js';
import { drawAction } from './overlay.js';

/** @typedef {import('./types.js').Action} Action */
/** @typedef {import('./types.js').Input} Input */
/**
 * A place on the picture, as fractions of its width and height.
 * @typedef {{x: number, y: number}} Place
 */

const TYPE = 'Type on the phone';
const SEND = 'Send the text to the phone';
const HOLD_MS = 500;
/** A movement of at most this many pixels of the page does not count. */
const SLOP = 8;
const SHORTEST_SWIPE_MS = 100;
const LONGEST_SWIPE_MS = 2_000;
/** As in hand.css. */
const FADE_MS = 700;
const RING = 60;

export class Hand {
  /**
   * @param {HTMLElement} root for the buttons and the text
   * @param {import('./phone.js').PhoneView} phone
   * @param {() => void} onTouch called when the person touches the phone
   */
  constructor(root, phone, onTouch) {
    this._phone = phone;
    this._onTouch = onTouch;
    /** @type {string|null} */
    this._serial = null;
    this._last = Promise.resolve();
    /**
     * A pointer on the picture, pressed at `x` and `y` of the page.
     * @type {{id: number, at: Place, x: number, y: number, began: number, hold: number}|null}
     */
    this._press = null;
    this._text = el('input', { type: 'text', maxlength: 2000, autocomplete: 'off', dir: 'auto', 'aria-label': TYPE, placeholder: TYPE });
    this._send = el('button', { class: 'round', type: 'submit', disabled: true, 'aria-label': SEND, title: SEND }, icon('send'));
    const keys = [this._key('back', 'Back'), this._key('home', 'Home'), this._key('recents', 'Recents')];
    this._row = el('form', { class: 'hand-row', novalidate: true, hidden: true }, ...keys, this._text, this._send);
    this._text.addEventListener('input', () => this._fit());
    this._row.addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      this._type();
    });
    this._fault = el('div', { class: 'problem', role: 'alert', hidden: true });
    root.append(this._row, this._fault);
    this._listen(phone.screen);
  }

  /** Let the person touch this phone; null disables touching. @param {string|null} serial */
  lend(serial) {
    if (serial === this._serial) return;
    this._serial = serial;
    this._lift();
    this._row.hidden = serial === null;
    this._phone.screen.classList.toggle('by-hand', serial !== null);
    // Keep the message that a task is busy with the phone while it is.
    if (serial !== null || this._fault.dataset.code !== 'device_busy') this._fault.hidden = true;
  }

  /** @param {string} key @param {string} label */
  _key(key, label) {
    const press = (/** @type {any} */ event) => this._do({ kind: 'key', key }, event.currentTarget);
    return el('button', { class: 'round', type: 'button', 'aria-label': label, title: label, onclick: press }, icon(key));
  }

  _fit() {
    this._send.disabled = !this._text.value || this._text.readOnly;
  }

  /** The text is cleared from the field once it is on the phone. */
  async _type() {
    if (this._send.disabled) return;
    this._text.readOnly = true;
    this._fit();
    if (await this._do({ kind: 'text', text: this._text.value }, this._send)) this._text.value = '';
    this._text.readOnly = false;
    this._fit();
  }

  // -- touches

  /** @param {HTMLElement} screen */
  _listen(screen) {
    screen.addEventListener('pointerenter', () => this._serial && this._onTouch());
    screen.addEventListener('pointerdown', (event) => this._put(event));
    screen.addEventListener('pointermove', (event) => this._moved(event) && clearTimeout(this._press?.hold));
    screen.addEventListener('pointerup', (event) => this._release(event));
    screen.addEventListener('pointercancel', () => this._lift());
    screen.addEventListener('contextmenu', (event) => this._serial && event.preventDefault());
  }

  /** @param {PointerEvent} event */
  _put(event) {
    if (!event.isPrimary || event.button !== 0 || !this._phone.liveSize(this._serial)) return;
    this._phone.screen.setPointerCapture(event.pointerId);
    const hold = setTimeout(() => this._hold(), HOLD_MS);
    this._press = { id: event.pointerId, at: this._place(event), x: event.clientX, y: event.clientY, began: performance.now(), hold };
    this._onTouch();
  }

  _lift() {
    clearTimeout(this._press?.hold);
    this._press = null;
  }

  /** Trigger a long press while the pointer is still down, as on a phone. */
  _hold() {
    const at = this._press?.at;
    this._lift();
    if (at) this._touch('long_press', at);
  }

  /** @param {PointerEvent} event */
  _release(event) {
    const press = this._press;
    if (!press || press.id !== event.pointerId) return;
    const moved = this._moved(event);
    this._lift();
    if (moved) this._swipe(press.at, this._place(event), performance.now() - press.began);
    else this._touch('tap', press.at);
  }

  /** @param {PointerEvent} event */
  _moved({ pointerId, clientX, clientY }) {
    const press = this._press;
    return press?.id === pointerId && Math.hypot(clientX - press.x, clientY - press.y) > SLOP;
  }

  /** @param {'tap'|'long_press'} kind @param {Place} at */
  _touch(kind, at) {
    const pixel = this._pixel(at);
    if (!pixel) return;
    this._draw({ kind, element: thousandths(at) });
    this._do({ kind, ...pixel });
  }

  /** @param {Place} from @param {Place} to @param {number} took */
  _swipe(from, to, took) {
    const [start, end] = [this._pixel(from), this._pixel(to)];
    if (!start || !end) return;
    const ms = Math.round(Math.min(Math.max(took, SHORTEST_SWIPE_MS), LONGEST_SWIPE_MS));
    this._draw({ kind: 'swipe', start: thousandths(from), end: thousandths(to) });
    this._do({ kind: 'swipe', x1: start.x, y1: start.y, x2: end.x, y2: end.y, ms });
  }

  /** @param {PointerEvent} event @returns {Place} the nearest one if it is outside the picture */
  _place(event) {
    const box = this._phone.screen.getBoundingClientRect();
    const part = (/** @type {number} */ way, /** @type {number} */ whole) => Math.min(Math.max(way / whole, 0), 1);
    return { x: part(event.clientX - box.left, box.width), y: part(event.clientY - box.top, box.height) };
  }

  /** @param {Place} place @returns {{x: number, y: number}|null} null if the phone is no longer visible */
  _pixel({ x, y }) {
    const size = this._phone.liveSize(this._serial);
    return size && { x: Math.min(Math.floor(x * size.width), size.width - 1), y: Math.min(Math.floor(y * size.height), size.height - 1) };
  }

  /** @param {Action} action drawn for a moment, to show where it went */
  _draw(action) {
    const size = this._phone.liveSize(this._serial);
    if (!size) return;
    const marks = svg('svg', { class: 'overlay touch', 'aria-hidden': 'true' });
    drawAction(marks, action, size, RING);
    this._phone.screen.append(marks);
    setTimeout(() => marks.remove(), FADE_MS);
  }

  // -- the phone

  /**
   * @param {Input} wanted
   * @param {HTMLElement} [button] that was pressed for it
   * @returns {Promise<boolean>} whether it was done
   */
  _do(wanted, button) {
    const serial = /** @type {string} */ (this._serial);
    this._onTouch();
    if (button) flash(button);
    const done = this._last.then(() => this._input(serial, wanted));
    this._last = done.then(() => {});
    return done;
  }

  /** @param {string} serial @param {Input} wanted */
  async _input(serial, wanted) {
    try {
      await api.input(serial, wanted);
      this._fault.hidden = true;
      return true;
    } catch (error) {
      const fault = /** @type {api.ApiError} */ (error);
      this._fault.dataset.code = fault.code;
      this._fault.replaceChildren(...faultNodes(fault));
      this._fault.hidden = false;
      return false;
    }
  }
}

/** @param {Place} place @returns {[number, number]} */
function thousandths({ x, y }) {
  return [x * 1_000, y * 1_000];
}

/** @param {HTMLElement} button */
function flash(button) {
  button.classList.add('sent');
  setTimeout(() => button.classList.remove('sent'), FADE_MS);
}
