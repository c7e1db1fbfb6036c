/**
 * Reports changes of the list of phones. Only while the page is visible: a browser allows few
 * connections to one host, and forgotten tabs would use them all.
 */

import * as api from './api.js';

const RETRY_MS = 5_000;

export class DeviceStream {
  /** @param {() => void} onChange also called whenever the stream has opened */
  constructor(onChange) {
    this._onChange = onChange;
    /** Whether changes are reported; otherwise the list has to be polled. */
    this.connected = false;
    document.addEventListener('visibilitychange', () => this.open());
  }

  open() {
    this._source?.close();
    clearTimeout(this._timer);
    this.connected = false;
    if (document.hidden) return;
    const source = (this._source = new EventSource(api.deviceEventsUrl));
    source.addEventListener('change', () => {
      this.connected = true;
      this._onChange();
    });
    source.onerror = () => {
      this.connected = false;
      if (source.readyState === EventSource.CLOSED) this._timer = setTimeout(() => this.open(), RETRY_MS);
    };
  }
}
