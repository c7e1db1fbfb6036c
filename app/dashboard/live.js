/**
 * The phone's screen while nobody drives it: about one picture a second, fewer when the phone is
 * slow, ever fewer while it fails, none while the page is hidden.
 */

import * as api from './api.js';

const PACE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
const DEADLINE_MS = 15_000;

export class LiveScreen {
  /**
   * @param {(picture: Blob) => void} onPicture
   * @param {(error: {message: string, hint?: string}) => void} onError
   */
  constructor(onPicture, onError) {
    this._onPicture = onPicture;
    this._onError = onError;
    /** @type {string|null} */
    this.serial = null;
    /** @type {AbortController|null} */
    this._run = null;
    document.addEventListener('visibilitychange', () => this._restart());
  }

  /** Poll this phone from now on; null for none. @param {string|null} serial */
  watch(serial) {
    if (serial === this.serial) return;
    this.serial = serial;
    this._restart();
  }

  _restart() {
    this._run?.abort();
    this._run = null;
    if (this.serial === null || document.hidden) return;
    this._run = new AbortController();
    this._poll(this.serial, this._run.signal);
  }

  /** @param {string} serial @param {AbortSignal} signal */
  async _poll(serial, signal) {
    let failures = 0;
    while (!signal.aborted) {
      const began = performance.now();
      try {
        const picture = await api.screen(serial, AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]));
        if (signal.aborted) return;
        failures = 0;
        this._onPicture(picture);
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        this._onError(/** @type {Error & {hint?: string}} */ (error));
      }
      const took = performance.now() - began;
      const pause = failures ? PACE_MS * 2 ** failures : Math.max(PACE_MS - took, took);
      await rest(Math.min(pause, LONGEST_PAUSE_MS), signal);
    }
  }
}

/** @param {number} ms @param {AbortSignal} signal */
function rest(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve(undefined);
    }, { once: true });
  });
}
