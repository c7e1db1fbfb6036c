/**
 * The events of one task. The browser reconnects by itself and resumes with Last-Event-ID. If it
 * gives up (an HTTP error), a new stream is opened and events seen before are skipped.
 */

import * as api from './api.js';

const KINDS = ['task', 'observed', 'thought', 'retry', 'decided', 'step', 'lost', 'end'];
const RETRY_MS = [500, 1_000, 2_000, 4_000, 8_000];

/**
 * @param {string} id
 * @param {(kind: string, data: any) => void} onEvent the last one is of kind "end"
 * @param {(connected: boolean) => void} onConnection
 * @returns {() => void} stops listening
 */
export function watchTask(id, onEvent, onConnection) {
  let seen = 0;
  let failures = 0;
  let stopped = false;
  /** @type {EventSource|undefined} */
  let source;
  /** @type {number|undefined} */
  let timer;

  function stop() {
    stopped = true;
    source?.close();
    clearTimeout(timer);
  }

  function open() {
    source = new EventSource(api.eventsUrl(id));
    source.onopen = () => {
      failures = 0;
      onConnection(true);
    };
    source.onerror = () => {
      onConnection(false);
      if (source?.readyState === EventSource.CLOSED) retry();
    };
    for (const kind of KINDS) source.addEventListener(kind, receive);
  }

  /** @param {MessageEvent} message */
  function receive(message) {
    const number = Number(message.lastEventId) || 0;
    if (message.type !== 'lost' && number && number <= seen) return;
    seen = Math.max(seen, number);
    if (message.type === 'end') stop();
    onEvent(message.type, JSON.parse(message.data));
  }

  function retry() {
    source?.close();
    timer = setTimeout(reopen, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
  }

  /** A task that ended meanwhile has no stream any more: request its state first. */
  async function reopen() {
    try {
      const task = await api.task(id);
      if (stopped) return;
      if (!isFinal(task)) return open();
      stop();
      onConnection(true);
      onEvent('end', task);
    } catch {
      if (!stopped) retry();
    }
  }

  open();
  return stop;
}

const OPEN = ['queued', 'running', 'paused', 'needs_confirmation', 'needs_human'];

/** @param {{status: string}} task */
export function isFinal(task) {
  return !OPEN.includes(task.status);
}
