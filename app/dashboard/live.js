/**
 * The phone's screen while no task works with it: a stream for a while after each touch by hand,
 * otherwise about one picture per second; fewer if the phone is slow, fewer and fewer while it fails,
 * none while the page is hidden. A permanent stream would keep the phone busy for an idle page.
 */

import * as api from './api.js';
import { pictures } from './film.js';

const PACE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
const DEADLINE_MS = 15_000;
const FILM_MS = 20_000;
/** The stream repeats an unchanged picture every two seconds. */
const SILENCE_MS = 6_000;

export class LiveScreen {
  /**
   * @param {(picture: Blob) => Promise<void>} onPicture resolves once the picture is visible
   * @param {(error: {message: string, hint?: string}) => void} onError
   */
  constructor(onPicture, onError) {
    this._onPicture = onPicture;
    this._onError = onError;
    /** @type {string|null} */
    this.serial = null;
    /** @type {AbortController|null} */
    this._run = null;
    this._filmUntil = 0;
    this._filming = false;
    document.addEventListener('visibilitychange', () => this._restart());
  }

  /** Show this phone from now on; null for none. @param {string|null} serial */
  watch(serial) {
    if (serial === this.serial) return;
    this.serial = serial;
    this._filmUntil = 0;
    this._restart();
  }

  /** The person is touching the phone: show every change as it happens. */
  film() {
    this._filmUntil = performance.now() + FILM_MS;
    if (!this._filming) this._restart();
  }

  _restart() {
    this._run?.abort();
    this._run = null;
    this._filming = false;
    if (this.serial === null || document.hidden) return;
    this._run = new AbortController();
    this._show(this.serial, this._run.signal);
  }

  /** @param {string} serial @param {AbortSignal} signal */
  async _show(serial, signal) {
    if (performance.now() < this._filmUntil) await this._film(serial, signal);
    if (!signal.aborted) await this._poll(serial, signal);
  }

  /**
   * Stream until the person has left the phone alone for a while, or the stream breaks; the request
   * for the next single picture then reports the fault.
   * @param {string} serial @param {AbortSignal} signal
   */
  async _film(serial, signal) {
    this._filming = true;
    const silent = new AbortController();
    let silence = setTimeout(() => silent.abort(), SILENCE_MS);
    try {
      for await (const picture of pictures(await api.film(serial, AbortSignal.any([signal, silent.signal])))) {
        if (signal.aborted) return;
        clearTimeout(silence);
        silence = setTimeout(() => silent.abort(), SILENCE_MS);
        await this._onPicture(picture);
        if (performance.now() > this._filmUntil) return;
      }
    } catch {
      return;
    } finally {
      clearTimeout(silence);
      if (!signal.aborted) this._filming = false;
    }
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
