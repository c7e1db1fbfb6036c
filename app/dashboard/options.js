/** Options of a goal: who is asked, how far it goes, in which apps. */

import { byId, setText } from './dom.js';

/** @typedef {import('./types.js').Wish} Wish */

/** @type {Record<string, string>} */
const MODES = { step: 'step by step', dry_run: 'dry run' };
/** @type {Record<string, string>} */
const CONSENTS = { ask: 'asks first', deny: 'sensitive actions refused', allow: 'sensitive actions allowed' };

export class Options {
  constructor() {
    this._confirm = byId('confirm');
    this._mode = byId('run-mode');
    this._apps = byId('allowed-apps');
    for (const field of [this._confirm, this._mode, this._apps]) field.addEventListener('input', () => this._sum());
  }

  /** Return the changed options; unchanged ones are omitted. @returns {Partial<Wish>} */
  read() {
    const apps = this._appNames();
    return {
      ...(this._confirm.value && { confirm: this._confirm.value }),
      ...(this._mode.value !== 'auto' && { mode: this._mode.value }),
      ...(apps.length && { allowed_apps: apps }),
    };
  }

  _appNames() {
    return this._apps.value.split(',').map((/** @type {string} */ name) => name.trim()).filter(Boolean);
  }

  /** Show the chosen options while the fields are collapsed, so that none goes unnoticed. */
  _sum() {
    const apps = this._appNames();
    const chosen = [MODES[this._mode.value], CONSENTS[this._confirm.value], apps.length ? `only in ${apps.join(', ')}` : ''];
    setText(byId('options-chosen'), chosen.filter(Boolean).join(' · '));
  }
}
