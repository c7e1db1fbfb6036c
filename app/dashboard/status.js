/** The engine's status in the bar, and the choice of the phone. */

import { byId, el, faultNodes, setText } from './dom.js';

/** @typedef {import('./types.js').Device} Device */
/** @typedef {import('./types.js').Engine} Engine */

/** @type {Record<string, string>} */
const ENGINE_WORDS = {
  stopped: 'Engine stopped',
  starting: 'Engine starting …',
  ready: 'Engine ready',
  sleeping: 'Engine asleep',
  stopping: 'Engine stopping …',
  failed: 'Engine failed',
  unknown: 'Engine unknown',
};

/** @param {Engine|null} engine null when the service does not answer */
export function renderEngine(engine) {
  const pill = byId('engine');
  const state = engine?.state ?? 'unknown';
  const { kind, model, context, error, stage, layers, adjusted } = engine ?? {};
  const key = JSON.stringify([state, kind, model, context, error, stage, layers, adjusted]);
  if (pill.dataset.key === key) return;
  pill.dataset.key = key;
  pill.dataset.state = state;
  setText(byId('engine-label'), ENGINE_WORDS[state] ?? state);
  byId('engine-details').replaceChildren(...engineDetails(engine));
}

/** @param {Engine|null} engine */
function engineDetails(engine) {
  if (!engine) return [el('p', {}, 'The service does not answer.')];
  /** @param {string} name @param {string|Node} value */
  const row = (name, value) => el('div', {}, el('dt', {}, name), el('dd', {}, value));
  return [
    el(
      'dl',
      {},
      row('Model', fileName(engine.model) || '–'),
      row('Runs in', engine.kind ?? '–'),
      row('Context', engine.context ? `${engine.context.toLocaleString('en')} tokens` : '–'),
      ...(engine.stage ? [row('Start', engine.stage)] : []),
      ...(engine.layers ? [row('Layers', layersText(engine))] : []),
      ...(engine.adjusted ?? []).map((change) => row('For want of memory', change)),
    ),
  ];
}

/** @param {Engine} engine such as "41 of 41 on CUDA0" */
function layersText({ layers, devices }) {
  const names = (devices ?? []).map((device) => device.name).join(', ');
  return `${layers?.offloaded} of ${layers?.total} on ${names || 'the GPU'}`;
}

/**
 * Faults of the whole service, shown above everything else.
 * @param {{message: string, hint?: string}[]} faults
 */
export function renderNotices(faults) {
  const notices = byId('notices');
  const key = JSON.stringify(faults.map(({ message, hint }) => [message, hint]));
  if (notices.dataset.key === key) return;
  notices.dataset.key = key;
  notices.replaceChildren(...faults.map((fault) => el('div', { class: 'problem' }, ...faultNodes(fault))));
}

/** @param {string|undefined} path */
function fileName(path) {
  return String(path ?? '').split(/[\\/]/).pop() ?? '';
}

/**
 * A single phone is named; with several there is a choice.
 * @param {Device[]} devices
 * @param {string|null} selected
 */
export function renderDevices(devices, selected) {
  const several = devices.length > 1;
  const current = devices.find((device) => device.serial === selected);
  byId('device-picker').hidden = !several;
  setText(byId('device-name'), several || !current ? '' : deviceName(current));
  const select = byId('device');
  const key = JSON.stringify(devices.map((device) => [device.serial, deviceName(device)]));
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(...devices.map((device) => el('option', { value: device.serial }, deviceName(device))));
  }
  select.value = selected ?? '';
}

/** @param {Device} device */
export function deviceName(device) {
  const name = [device.model?.replaceAll('_', ' '), device.serial].filter(Boolean).join(' · ');
  return device.state === 'device' ? name : `${name} (${device.state})`;
}

/**
 * Return why there is no picture of this phone, if there is a reason.
 * @param {Device|undefined} device
 * @param {boolean} busy whether a task that is not shown uses it
 */
export function deviceNote(device, busy) {
  if (!device) {
    return {
      icon: 'phone',
      title: 'No phone connected',
      hint: 'Connect an Android phone with USB debugging on, or start a virtual one: phonepilot phone, then phonepilot connect 127.0.0.1:6555',
    };
  }
  if (device.state === 'unauthorized') {
    return { icon: 'alert', title: 'The phone asks for permission', hint: 'Unlock it and accept the USB debugging question on its screen.' };
  }
  if (device.state !== 'device') {
    return { icon: 'alert', title: 'The phone is offline', hint: 'Unplug it and plug it in again, or reconnect it over Wi-Fi.' };
  }
  if (busy) return { icon: 'wait', title: 'Another task is using this phone', hint: 'Open it in the list of recent tasks to watch it.' };
  return null;
}
