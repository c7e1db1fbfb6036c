/** The latest tasks, newest first; each opens its replay. */

import { el } from './dom.js';
import { ago, counted, statusOf } from './words.js';

/** @typedef {import('./types.js').Task} Task */

/**
 * @param {HTMLElement} list
 * @param {Task[]} tasks
 * @param {string|null} selected id of the task in view
 */
export function renderRecent(list, tasks, selected) {
  const state = JSON.stringify([selected, tasks.map((task) => [task.id, task.status, task.steps, ago(task.created_at)])]);
  if (list.dataset.state === state) return;
  list.dataset.state = state;
  const focused = list.contains(document.activeElement) ? document.activeElement?.getAttribute('href') : null;
  list.replaceChildren(...(tasks.length ? tasks.map((task) => entry(task, task.id === selected)) : [nothingYet()]));
  if (focused) [...list.querySelectorAll('a')].find((link) => link.getAttribute('href') === focused)?.focus();
}

/** @param {Task} task @param {boolean} selected */
function entry(task, selected) {
  const word = statusOf(task).word;
  return el(
    'li',
    {},
    el(
      'a',
      { href: taskHash(task.id), 'aria-current': selected ? 'page' : null, 'data-status': task.status },
      el('span', { class: 'dot', title: word }),
      el('span', { class: 'recent-goal', dir: 'auto', title: task.goal }, task.goal),
      el('span', { class: 'recent-meta' }, `${word} · ${counted(task.steps, 'step')} · ${ago(task.created_at)}`),
    ),
  );
}

function nothingYet() {
  return el('li', { class: 'nothing' }, 'Nothing yet. Tasks that you run are kept here, with every screenshot.');
}

/** @param {string} id */
export function taskHash(id) {
  return `#/tasks/${encodeURIComponent(id)}`;
}
