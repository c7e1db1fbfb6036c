/** The page's names for states, actions and times. */

/** @typedef {import('./types.js').Action} Action */
/** @typedef {import('./types.js').StepRecord} StepRecord */

/** @type {Record<string, {word: string, icon: string}>} */
const STATUS = {
  queued: { word: 'Queued', icon: 'wait' },
  running: { word: 'Running', icon: 'play' },
  paused: { word: 'Paused', icon: 'pause' },
  needs_confirmation: { word: 'Waits for your OK', icon: 'hand' },
  needs_human: { word: 'Waits for you', icon: 'hand' },
  succeeded: { word: 'Succeeded', icon: 'check' },
  failed: { word: 'Failed', icon: 'cross' },
  cancelled: { word: 'Stopped', icon: 'stop' },
  interrupted: { word: 'Interrupted', icon: 'alert' },
};

/** @type {Record<string, string>} */
const STOP_REASONS = {
  gave_up: 'The model gave up.',
  unparseable: 'The model’s replies could not be read as actions.',
  step_budget: 'The step limit was reached before the goal.',
  time_budget: 'The time limit was reached before the goal.',
  stalled: 'Nothing changed on the screen any more.',
  refused: 'The action was not allowed.',
  cancelled: 'You stopped this task. What was done so far stays done.',
  device_lost: 'The phone went away.',
  engine_lost: 'The model’s engine went away.',
  context_full: 'The task grew too long for the model’s memory.',
  crashed: 'phonepilot ran into an error of its own.',
  disk_full: 'The disk is full.',
  dry_run: 'A dry run: the model decided, and the phone was not touched.',
  out_of_scope: 'The model was not made for this goal, so the phone was not touched.',
};

/**
 * The wording of each kind of question and its buttons. `answer` marks a kind whose text is the
 * answer itself; with `noWithWords` the typed text is sent to the model with a no, and the task
 * continues; a kind without `field` accepts no text.
 * @typedef {{title: string, icon: string, yes: string, no: string, field?: string, answer?: boolean, noWithWords?: string}} Asking
 * @type {Record<string, Asking>}
 */
export const ASKING = {
  confirmation: { title: 'May this be done?', icon: 'check', yes: 'Allow', no: 'Refuse and stop', field: 'Or say what to do instead', noWithWords: 'Refuse and go on' },
  step: { title: 'Next step', icon: 'check', yes: 'Allow', no: 'Refuse and stop', field: 'Or say what to do instead', noWithWords: 'Refuse and go on' },
  question: { title: 'The model asks', icon: 'check', yes: 'Send', no: 'Stop the task', field: 'Your answer', answer: true },
  take_over: { title: 'Please do this on the phone', icon: 'check', yes: 'Done', no: 'Stop the task', field: 'A word to the model, if you like' },
  stalled: { title: 'It gets nowhere', icon: 'play', yes: 'Go on', no: 'Stop the task', field: 'Advice to the model, if you like' },
  doubt: { title: 'Is the goal reached?', icon: 'check', yes: 'It is reached', no: 'It is not' },
};

/** @type {Record<string, string>} */
const ACTION_ICONS = {
  tap: 'tap', double_tap: 'tap', long_press: 'tap', swipe: 'swipe', drag: 'swipe', type: 'type', key: 'type', launch: 'launch', back: 'back',
  home: 'home', wait: 'wait', note: 'note', call_api: 'think', interact: 'hand', take_over: 'hand', answer: 'note', give_up: 'alert',
  finish: 'check',
};

/** Times that are part of another one: the first token arrives during the request. */
const PARTS_OF_OTHERS = new Set(['first_token']);

/** Return the name of a task's state. @param {import('./types.js').Task} task */
export function statusOf(task) {
  if (task.stop_reason === 'dry_run') return { word: 'Dry run', icon: 'eye' };
  return STATUS[task.status] ?? { word: task.status, icon: 'alert' };
}

/** @param {string|null} reason */
export function stopReason(reason) {
  return (reason && STOP_REASONS[reason]) ?? '';
}

/** @param {Action|null} action */
export function actionIcon(action) {
  return (action && ACTION_ICONS[action.kind]) ?? 'think';
}

/** Return what a step does, or its progress. @param {StepRecord} step */
export function stepTitle(step) {
  if (step.summary) return step.summary;
  if (step.action) return step.action.kind.replaceAll('_', ' ');
  if (step.phase === 'done') return step.error ? 'No action' : 'Not finished';
  return step.phase === 'thinking' ? 'Thinking' : 'Looking at the screen';
}

/** Return the total time of a step in milliseconds, if known. @param {StepRecord} step */
export function stepTime(step) {
  const times = step.timings_ms ?? {};
  const sum = Object.entries(times).reduce((total, [part, ms]) => total + (PARTS_OF_OTHERS.has(part) ? 0 : ms), 0);
  return sum > 0 ? sum : null;
}

/** @param {{prompt?: number, cached?: number, completion?: number}} tokens */
export function tokenText(tokens) {
  if (!tokens.prompt) return '';
  const cached = tokens.cached ? `, ${tokens.cached} of them from the engine’s cache` : '';
  return `${counted(tokens.prompt, 'token')} in the request${cached}; ${tokens.completion ?? 0} in the reply`;
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** @param {number} count @param {string} noun */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' });

/** @param {string} time ISO 8601 */
export function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1_000);
  if (seconds < 45) return 'just now';
  if (seconds < 3_600) return RELATIVE.format(-Math.max(1, Math.round(seconds / 60)), 'minute');
  if (seconds < 86_400) return RELATIVE.format(-Math.round(seconds / 3_600), 'hour');
  return RELATIVE.format(-Math.round(seconds / 86_400), 'day');
}
