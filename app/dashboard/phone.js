/** The phone on the page: a picture of its screen, with the agent's actions drawn over it. */

import { el, faultNodes, icon, setText, svg } from './dom.js';
import { drawAction, hasPlace } from './overlay.js';
import { loadPicture } from './pictures.js';
import { actionIcon } from './words.js';

/** @typedef {import('./types.js').Action} Action */
/**
 * @typedef {object} Frame
 * @property {string} key equal for two frames with the same picture
 * @property {string} url
 * @property {string} label read out for the picture
 * @property {Action|null} [action]
 * @property {string} [summary]
 * @property {boolean} [owned] a blob URL, to be released when it is replaced
 * @property {string} [serial] of the phone whose screen this is now, in its own size
 */

export class PhoneView {
  /** @param {HTMLElement} root */
  constructor(root) {
    /** @type {Frame|null} */
    this._wanted = null;
    /** @type {Frame|null} */
    this._shown = null;
    this._size = { width: 1080, height: 2400 };
    this._image = el('img', { class: 'frame', alt: '', hidden: true });
    this._overlay = svg('svg', { class: 'overlay', 'aria-hidden': 'true' });
    this._label = el('div', { class: 'action-label', hidden: true });
    this._note = el('div', { class: 'screen-note' });
    this._scan = el('div', { class: 'scan', hidden: true });
    this.screen = el('div', { class: 'screen' }, this._image, this._scan, this._overlay, this._label, this._note);
    this._root = root;
    root.append(el('div', { class: 'bezel' }, this.screen));
    this.showNote({ icon: 'phone', title: 'Looking for a phone …' });
  }

  /**
   * Show a frame; its marks appear together with its picture. The previous picture stays until then.
   * @param {Frame} frame
   */
  async show(frame) {
    const before = this._wanted;
    this._wanted = frame;
    if (this._shown && this._shown.key === frame.key) return this._settle(frame);
    if (before?.key === frame.key) return;
    const image = await decode(frame);
    if (this._wanted?.key !== frame.key) return release(frame);
    if (!image) return this._fail(frame);
    this._image.replaceWith(image);
    this._image = image;
    release(this._shown);
    this._resize(image.naturalWidth, image.naturalHeight);
    this._settle(this._wanted);
  }

  /** Show a note instead of a picture. @param {{icon: string, title: string, hint?: string}} note */
  showNote(note) {
    const key = JSON.stringify(note);
    if (!this._note.hidden && key === this._noteKey && !this._wanted) return;
    /** @type {string|undefined} */
    this._noteKey = key;
    this._wanted = null;
    release(this._shown);
    this._shown = null;
    this._image.hidden = true;
    this._drawMarks(null, '');
    this._note.hidden = false;
    this._note.replaceChildren(icon(note.icon), ...faultNodes({ message: note.title, hint: note.hint }));
  }

  /**
   * The size of a phone's screen, while its current screen is shown.
   * @param {string|null} serial
   */
  liveSize(serial) {
    return this._shown?.serial !== undefined && this._shown.serial === serial ? this._size : null;
  }

  /** @param {boolean} busy whether the agent is reading the screen */
  setBusy(busy) {
    this._scan.hidden = !busy || this._shown === null;
  }

  /** @param {Frame} frame */
  _settle(frame) {
    this._shown = frame;
    this._image.hidden = false;
    this._note.hidden = true;
    this._drawMarks(frame.action ?? null, frame.summary ?? '');
  }

  /** @param {Frame} frame */
  _fail(frame) {
    release(frame);
    this.showNote({ icon: 'eye', title: 'No picture of this step', hint: 'The screenshot was not kept.' });
  }

  /** @param {Action|null} action @param {string} summary */
  _drawMarks(action, summary) {
    const drawn = JSON.stringify([action, summary, this._size]);
    if (drawn === this._drawn) return;
    /** @type {string|undefined} */
    this._drawn = drawn;
    drawAction(this._overlay, action, this._size);
    this._label.hidden = !action;
    if (!action) return;
    const text = el('span');
    setText(text, summary);
    this._label.dataset.kind = action.kind;
    this._label.replaceChildren(icon(actionIcon(action)), text);
    const lowest = Math.max(action.element?.[1] ?? 0, action.end?.[1] ?? 0, action.start?.[1] ?? 0);
    this._label.classList.toggle('top', hasPlace(action) && lowest > 780);
  }

  /** @param {number} width @param {number} height */
  _resize(width, height) {
    this._size = { width, height };
    this.screen.style.aspectRatio = `${width} / ${height}`;
    this._root.style.setProperty('--ratio', String(width / height));
    this._root.classList.toggle('landscape', width > height);
  }
}

/** @param {Frame} frame @returns {Promise<HTMLImageElement|null>} null when there is no picture */
async function decode(frame) {
  const image = el('img', { class: 'frame', alt: frame.label, draggable: 'false' });
  try {
    image.src = frame.owned ? frame.url : (await loadPicture(frame.url)).src;
    await image.decode();
    return image;
  } catch {
    return null;
  }
}

/** @param {Frame|null} frame */
function release(frame) {
  if (frame?.owned) URL.revokeObjectURL(frame.url);
}
