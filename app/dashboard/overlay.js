/**
 * Draws the marks of an action over a picture of the screen: rings for taps, an arrow for swipes.
 * The drawing is 1000 units wide and has the screen's aspect ratio, so that circles stay round.
 */

import { svg } from './dom.js';

/** @typedef {import('./types.js').Action} Action */

const WIDTH = 1_000;

/**
 * @param {SVGElement} target emptied first
 * @param {Action|null} action
 * @param {{width: number, height: number}} screen
 * @param {number} [size] radius of a tap's ring
 */
export function drawAction(target, action, screen, size = 52) {
  const height = Math.round((WIDTH * screen.height) / screen.width) || WIDTH;
  target.setAttribute('viewBox', `0 0 ${WIDTH} ${height}`);
  target.replaceChildren(...marks(action, height, size));
}

/** Whether the action has a place on the screen. @param {Action|null} action */
export function hasPlace(action) {
  return Boolean(action?.element || (action?.start && action?.end));
}

/** @param {Action|null} action @param {number} height @param {number} size */
function marks(action, height, size) {
  /** @param {[number, number]} point */
  const place = ([x, y]) => ({ x: (x / 1_000) * WIDTH, y: (y / 1_000) * height });
  if (action?.start && action.end) return [swipe(place(action.start), place(action.end), size)];
  if (!action?.element) return [];
  return [touch(action, place(action.element), size)];
}

/**
 * @param {Action} action
 * @param {{x: number, y: number}} at
 * @param {number} size
 */
function touch(action, at, size) {
  const circle = (/** @type {string} */ name, /** @type {number} */ r) => svg('circle', { class: name, cx: at.x, cy: at.y, r });
  const group = svg('g', { class: `mark ${action.kind}`, 'data-kind': action.kind });
  group.append(circle('wave', size), circle('halo', size), circle('ring', size));
  if (action.kind === 'double_tap') group.append(circle('ring inner', size * 0.62));
  if (action.kind === 'long_press') group.append(svg('circle', { class: 'hold', cx: at.x, cy: at.y, r: size, pathLength: 100 }));
  group.append(circle('dot', size * 0.3));
  return group;
}

/**
 * @param {{x: number, y: number}} from
 * @param {{x: number, y: number}} to
 * @param {number} size
 */
function swipe(from, to, size) {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const [ux, uy] = [(to.x - from.x) / length, (to.y - from.y) / length];
  const head = size * 0.9;
  const wing = (/** @type {number} */ side) => `${to.x - head * ux + side * head * 0.7 * uy} ${to.y - head * uy - side * head * 0.7 * ux}`;
  const line = `M${from.x} ${from.y}L${to.x} ${to.y}`;
  const tip = `M${wing(1)}L${to.x} ${to.y}L${wing(-1)}`;
  const finger = svg('circle', { class: 'finger', cx: from.x, cy: from.y, r: size * 0.6 });
  finger.style.setProperty('--dx', `${to.x - from.x}px`);
  finger.style.setProperty('--dy', `${to.y - from.y}px`);
  return svg(
    'g',
    { class: 'mark swipe', 'data-kind': 'swipe' },
    svg('path', { class: 'halo', d: line + tip }),
    svg('path', { class: 'trail', d: line, pathLength: 100 }),
    svg('path', { class: 'tip', d: tip }),
    svg('circle', { class: 'start', cx: from.x, cy: from.y, r: size * 0.35 }),
    finger,
  );
}
