/** The card with a task's question to the person, and the possible answers. */

import { byId, el, faultNodes, icon, setText } from './dom.js';
import { ASKING } from './words.js';

/** @typedef {import('./types.js').Question} Question */
/** @typedef {{allow: boolean, text: string, question: number}} Reply */

const TICK_MS = 500;
const HURRY_S = 30;
/** As in question.css. */
const NARROW = '(max-width: 859px)';

export class QuestionCard {
  /** @param {(reply: Reply) => Promise<void>} onReply rejects with what the person should read */
  constructor(onReply) {
    this._onReply = onReply;
    /** @type {Question|null} */
    this._question = null;
    this._words = ASKING.confirmation;
    this._left = el('span', { class: 'question-left', role: 'timer', title: 'Without an answer by then it counts as refused.' });
    this._fault = el('div', { class: 'problem', role: 'alert', hidden: true });
    this.root = el('section', { class: 'question', 'aria-label': 'Question', hidden: true });
  }

  get number() {
    return this._question?.number ?? null;
  }

  /**
   * Show this question, or none. One that is already shown stays unchanged, with the typed text.
   * @param {Question|null} question
   */
  show(question) {
    if (question?.number === this._question?.number) return;
    this._question = question;
    clearInterval(this._clock);
    this.root.hidden = !question;
    if (!question) return this.root.replaceChildren();
    this._build(question);
    this._clock = setInterval(() => this._tick(question), TICK_MS);
    this._tick(question);
  }

  /** Text typed elsewhere must not end up here: then the card does not take the focus. */
  focus() {
    const typing = /** @type {HTMLInputElement|null} */ (document.activeElement?.closest('input'));
    if (!this._question || (typing && typing.value)) return;
    // On a narrow page the card covers the bottom of it, so that the phone stays visible.
    const over = matchMedia(NARROW).matches;
    (this._words.answer ? this._text : this._title).focus({ preventScroll: over });
    if (over) byId('phone').scrollIntoView({ block: 'start' });
  }

  close() {
    clearInterval(this._clock);
  }

  /** @param {Question} question */
  _build(question) {
    const words = (this._words = ASKING[question.kind] ?? ASKING.confirmation);
    this.root.dataset.kind = question.kind;
    this._title = el('h3', { tabindex: '-1', dir: 'auto' }, question.text);
    this._text = el('input', { id: 'question-text', type: 'text', maxlength: 2000, autocomplete: 'off', dir: 'auto' });
    this._yes = el('button', { class: 'primary', type: 'submit' }, icon(words.icon), el('span', {}, words.yes));
    this._no = el('button', { class: 'stop', type: 'button', onclick: () => this._reply(false) }, words.no);
    this._text.addEventListener('input', () => this._fit());
    this._text.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => this._onKey(event));
    const form = el(
      'form',
      { novalidate: true },
      words.field && el('label', { for: 'question-text' }, words.field),
      words.field && this._text,
      el('div', { class: 'question-buttons' }, this._yes, this._no),
    );
    form.addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      this._reply(true);
    });
    this._fault.hidden = true;
    this.root.replaceChildren(
      el('div', { class: 'question-head' }, icon('hand'), el('span', {}, words.title), el('span', { class: 'spacer' }), this._left),
      this._title,
      ...(question.label ? [el('p', { class: 'question-label' }, 'Under the finger: ', el('strong', { dir: 'auto' }, question.label))] : []),
      ...(question.hint ? [el('p', { class: 'question-hint', dir: 'auto' }, question.hint)] : []),
      ...this._modelWords(question),
      form,
      this._fault,
    );
    this._fit();
  }

  /** Show the model's own words about it, which may be wrong. @param {Question} question */
  _modelWords(question) {
    const said = question.said && question.said !== question.text ? question.said : '';
    if (!said && !question.thought) return [];
    return [
      el(
        'blockquote',
        { class: 'question-model' },
        el('span', { class: 'question-whose' }, 'The model’s own words'),
        ...[said, question.thought].filter(Boolean).map((words) => el('p', { dir: 'auto' }, words)),
      ),
    ];
  }

  /** Enter in a field whose text belongs to a no must not mean yes. @param {KeyboardEvent} event */
  _onKey(event) {
    if (event.key !== 'Enter' || !this._words.noWithWords) return;
    event.preventDefault();
    if (this._text.value.trim()) this._reply(false);
  }

  /** The meaning of the buttons depends on whether the field has text. */
  _fit() {
    const typed = Boolean(this._text.value.trim());
    if (this._words.answer) this._yes.disabled = !typed;
    if (!this._words.noWithWords) return;
    this._yes.disabled = typed;
    setText(this._no, typed ? this._words.noWithWords : this._words.no);
  }

  /** @param {Question} question */
  _tick(question) {
    const end = Date.parse(question.asked_at) + question.timeout_s * 1_000;
    const left = Math.ceil(Math.min(question.timeout_s, Math.max(0, (end - Date.now()) / 1_000)));
    setText(this._left, `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')} left`);
    this._left.classList.toggle('hurry', left < HURRY_S);
  }

  /** @param {boolean} allow */
  async _reply(allow) {
    const question = this._question;
    if (!question) return;
    const text = this._words.answer && !allow ? '' : this._text.value.trim();
    this._lock(true);
    this._fault.hidden = true;
    try {
      await this._onReply({ allow, text, question: question.number });
    } catch (error) {
      if (this._question !== question) return; // answered elsewhere meanwhile
      this._lock(false);
      this._fault.hidden = false;
      this._fault.replaceChildren(...faultNodes(/** @type {Error} */ (error)));
    }
  }

  /** @param {boolean} locked */
  _lock(locked) {
    for (const node of [this._text, this._yes, this._no]) node.disabled = locked;
    if (!locked) this._fit();
  }
}
