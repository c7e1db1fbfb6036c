/** The HTTP API, one function per route. Every failure becomes an ApiError with a hint. */

/** @typedef {import('./types.js').Task} Task */
/** @typedef {import('./types.js').Step} Step */
/** @typedef {import('./types.js').Device} Device */
/** @typedef {import('./types.js').Engine} Engine */

export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {string} [hint]
   */
  constructor(code, message, hint = '') {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

const DEADLINE_MS = 15_000;
/** Touches are sent in pixels of the phone's own screen, so its picture must not be shrunk. */
const EVERY_PIXEL = 'max_side=4096';

/** @returns {Promise<{status: string, version: string}>} */
export const health = () => getJson('/healthz');

/** @returns {Promise<Engine>} */
export const engine = () => getJson('/engine');

/** @returns {Promise<import('./types.js').Goals>} */
export const goals = () => getJson('/goals');

/** @returns {Promise<Device[]>} */
export const devices = async () => (await getJson('/devices')).devices;

export const deviceEventsUrl = '/devices/events';

/** @returns {Promise<Task[]>} newest first */
export const recentTasks = async () => (await getJson('/tasks?limit=20')).tasks;

/** @param {string} id @returns {Promise<Task>} */
export const task = (id) => getJson(taskPath(id));

/** @param {string} id @returns {Promise<Step[]>} */
export const steps = async (id) => (await getJson(`${taskPath(id)}/steps`)).steps;

/**
 * @param {import('./types.js').Wish} wish
 * @returns {Promise<Task>}
 */
export const createTask = (wish) => postJson('/tasks', wish);

/** @param {string} id @returns {Promise<Task>} */
export const cancelTask = (id) => postJson(`${taskPath(id)}/cancel`);

/** @param {string} id @returns {Promise<Task>} */
export const pauseTask = (id) => postJson(`${taskPath(id)}/pause`);

/** @param {string} id @returns {Promise<Task>} */
export const resumeTask = (id) => postJson(`${taskPath(id)}/resume`);

/**
 * @param {string} id
 * @param {{allow: boolean, text?: string, question?: number}} reply
 * @returns {Promise<Task>}
 */
export const replyToTask = (id, reply) => postJson(`${taskPath(id)}/reply`, reply);

/** @param {string} id */
export const eventsUrl = (id) => `${taskPath(id)}/events`;

/** @param {string} id @param {number} number */
export const screenshotUrl = (id, number) => `${taskPath(id)}/steps/${number}/screenshot`;

/**
 * The phone's current screen, as an image of its own size.
 * @param {string} serial
 * @param {AbortSignal} signal
 * @returns {Promise<Blob>}
 */
export async function screen(serial, signal) {
  return (await send(`${devicePath(serial)}/screen?${EVERY_PIXEL}`, { signal })).blob();
}

/**
 * A stream of the phone's screen, in its own size, for film.js.
 * @param {string} serial
 * @param {AbortSignal} signal
 * @returns {Promise<ReadableStream<Uint8Array>>}
 */
export async function film(serial, signal) {
  const { body } = await send(`${devicePath(serial)}/stream?${EVERY_PIXEL}`, { signal });
  return /** @type {ReadableStream<Uint8Array>} */ (body);
}

/**
 * Send one manual input to the phone.
 * @param {string} serial
 * @param {import('./types.js').Input} wanted
 */
export const input = (serial, wanted) => post(`${devicePath(serial)}/input`, wanted);

/** @param {string} id */
function taskPath(id) {
  return `/tasks/${encodeURIComponent(id)}`;
}

/** @param {string} serial */
function devicePath(serial) {
  return `/devices/${encodeURIComponent(serial)}`;
}

/** @param {string} url */
async function getJson(url) {
  return (await send(url)).json();
}

/** @param {string} url @param {object} [body] */
async function postJson(url, body) {
  return (await post(url, body)).json();
}

/** @param {string} url @param {object} [body] */
function post(url, body) {
  return send(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body ?? {}) });
}

/**
 * @param {string} url
 * @param {RequestInit} [init]
 */
async function send(url, init = {}) {
  let response;
  try {
    response = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(DEADLINE_MS), ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError('unreachable', 'The phonepilot service does not answer.', 'Is `phonepilot serve` still running?');
  }
  if (response.status === 401) location.assign('/login');
  if (!response.ok) throw await readFault(response);
  return response;
}

/** @param {Response} response */
async function readFault(response) {
  const body = await response.json().catch(() => null);
  const fault = body?.error;
  if (fault?.message) return new ApiError(String(fault.code), String(fault.message), String(fault.hint ?? ''));
  return new ApiError(`http_${response.status}`, `The service answered ${response.status} ${response.statusText}.`);
}
