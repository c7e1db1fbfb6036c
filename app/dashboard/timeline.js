/** The steps of a task, one card each: picture, thought, action, app, time. */

import { screenshotUrl } from './api.js';
import { el, faultNodes, icon, setText, svg } from './dom.js';
import { drawAction } from './overlay.js';
import { loadPicture } from './pictures.js';
import { actionIcon, duration, stepTime, stepTitle, tokenText } from './words.js';

/** @typedef {import('./types.js').StepRecord} StepRecord */

const MARK_ON_THUMBNAIL = 95;
const NEAR_END = 80;

export class Timeline {
  /** @param {string} taskId @param {(number: number) => void} onSelect */
  constructor(taskId, onSelect) {
    this._taskId = taskId;
    this._onSelect = onSelect;
    /** @type {Map<number, StepCard>} */
    this._cards = new Map();
    /** @type {number|null} */
    this._selected = null;
    this.root = el('ol', { class: 'timeline', 'aria-label': 'Steps' });
  }

  /** @param {StepRecord} step */
  put(step) {
    const followed = this._atEnd();
    let card = this._cards.get(step.number);
    if (!card) {
      card = new StepCard(this._taskId, step.number, this._onSelect);
      this._cards.set(step.number, card);
      const later = [...this._cards.entries()].filter(([n]) => n > step.number).sort(([a], [b]) => a - b)[0];
      this.root.insertBefore(card.root, later ? later[1].root : null);
    }
    card.update(step);
    const pane = scroller(this.root);
    if (followed && pane && step.phase !== 'done') pane.scrollTop = pane.scrollHeight;
  }

  /** @param {number|null} number */
  select(number) {
    for (const [n, card] of this._cards) card.setSelected(n === number);
    if (number === this._selected) return;
    this._selected = number;
    if (number !== null && scroller(this.root)) this._cards.get(number)?.root.scrollIntoView({ block: 'nearest' });
  }

  _atEnd() {
    const pane = scroller(this.root);
    return !pane || pane.scrollHeight - pane.scrollTop - pane.clientHeight < NEAR_END;
  }
}

class StepCard {
  /** @param {string} taskId @param {number} number @param {(number: number) => void} onSelect */
  constructor(taskId, number, onSelect) {
    this._marks = svg('svg', { class: 'overlay', 'aria-hidden': 'true' });
    this._url = screenshotUrl(taskId, number);
    this._picture = el('img', { alt: '', draggable: 'false', hidden: true });
    this._thumb = el('button', { class: 'thumb', type: 'button', 'aria-label': `Show step ${number}` }, this._picture, this._marks);
    this._symbol = el('span', { class: 'symbol' });
    this._title = el('span', { class: 'title' });
    this._thought = el('p', { class: 'thought', dir: 'auto' });
    this._remark = el('p', { class: 'remark', dir: 'auto', hidden: true });
    this._fault = el('p', { class: 'step-fault', hidden: true });
    this._app = el('span', { class: 'app' });
    this._time = el('span', { class: 'time' });
    this._raw = el('pre', { tabindex: '0' });
    this._tokens = el('p', { class: 'tokens' });
    this._reply = el('details', { class: 'reply', hidden: true }, el('summary', {}, 'Model’s reply'), this._raw, this._tokens);
    this._reply.addEventListener('click', (/** @type {Event} */ event) => event.stopPropagation());
    this.root = el(
      'li',
      { class: 'step', 'data-step': number, onclick: () => onSelect(number) },
      this._thumb,
      el(
        'div',
        { class: 'step-text' },
        el('div', { class: 'step-head' }, el('span', { class: 'number' }, String(number)), this._symbol, this._title),
        this._thought,
        this._remark,
        this._fault,
        el('div', { class: 'step-foot' }, this._app, this._time, this._reply),
      ),
    );
  }

  /** @param {StepRecord} step */
  update(step) {
    this._step = step;
    this.root.dataset.phase = step.phase;
    this.root.dataset.kind = step.action?.kind ?? '';
    setText(this._title, stepTitle(step));
    setText(this._thought, step.thought);
    setText(this._app, step.app);
    this._setSymbol(step.phase === 'looking' ? 'eye' : actionIcon(step.action));
    this._setTime(step);
    this._reply.hidden = !step.raw;
    setText(this._raw, step.raw ?? '');
    setText(this._tokens, tokenText(step.tokens ?? {}));
    this._remark.hidden = !step.remark;
    setText(this._remark, step.remark ?? '');
    this._fault.hidden = !step.error;
    if (step.error) this._fault.replaceChildren(...faultNodes(step.error));
    this._draw();
    if (step.screenshot && !this._loading) this._loadPicture();
  }

  async _loadPicture() {
    this._loading = true;
    try {
      this._picture.src = (await loadPicture(this._url)).src;
      this._picture.hidden = false;
    } catch {
      this._loading = false;
    }
  }

  /** @param {boolean} selected */
  setSelected(selected) {
    this.root.classList.toggle('selected', selected);
    if (selected) this._thumb.setAttribute('aria-current', 'step');
    else this._thumb.removeAttribute('aria-current');
  }

  /** @param {string} name */
  _setSymbol(name) {
    if (this._symbolName === name) return;
    /** @type {string|undefined} */
    this._symbolName = name;
    this._symbol.replaceChildren(icon(name));
  }

  /** @param {StepRecord} step */
  _setTime(step) {
    const time = stepTime(step);
    setText(this._time, time === null ? '' : duration(time));
    const parts = Object.entries(step.timings_ms ?? {}).map(([part, ms]) => `${part} ${duration(ms)}`);
    this._time.title = parts.join('\n');
  }

  _draw() {
    const step = this._step;
    if (!step?.width || !step.height) return;
    this._thumb.style.aspectRatio = `${step.width} / ${step.height}`;
    drawAction(this._marks, step.action, step, MARK_ON_THUMBNAIL);
  }
}

/** The pane that scrolls the steps: their own column, if there is one. @param {Element} node */
function scroller(node) {
  const pane = node.closest('.task');
  return pane && pane.scrollHeight > pane.clientHeight + 1 && getComputedStyle(pane).overflowY !== 'visible' ? pane : null;
}
