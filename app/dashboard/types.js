/**
 * What the API sends, as JSDoc types. Nothing here runs.
 *
 * @typedef {{code: string, message: string, hint?: string}} ApiFault
 * @typedef {'queued'|'running'|'succeeded'|'failed'|'cancelled'|'interrupted'} Status
 *
 * @typedef {object} Task
 * @property {string} id
 * @property {string} goal
 * @property {string} device
 * @property {Status} status
 * @property {string|null} stop_reason
 * @property {string} message
 * @property {ApiFault|null} error
 * @property {number} max_steps
 * @property {string} created_at
 * @property {string|null} started_at
 * @property {string|null} ended_at
 * @property {number} steps
 *
 * Coordinates in an action are thousandths of the screen.
 * @typedef {object} Action
 * @property {string} kind
 * @property {[number, number]} [element]
 * @property {[number, number]} [start]
 * @property {[number, number]} [end]
 *
 * @typedef {object} Step
 * @property {number} number
 * @property {string} app
 * @property {number} width
 * @property {number} height
 * @property {string} thought
 * @property {Action|null} action
 * @property {string} summary
 * @property {string} raw
 * @property {ApiFault|null} error
 * @property {Record<string, number>} timings_ms
 * @property {string} screenshot empty when screenshots are not kept
 *
 * A step as the page knows it: `phase` says how far it has come.
 * @typedef {Step & {phase: 'looking'|'thinking'|'acting'|'done'}} StepRecord
 *
 * @typedef {object} Device
 * @property {string} serial
 * @property {'device'|'offline'|'unauthorized'} state
 * @property {string} model
 * @property {string} product
 * @property {string|null} task
 *
 * @typedef {object} Engine
 * @property {'stopped'|'starting'|'ready'|'stopping'|'failed'} state
 * @property {string|null} kind
 * @property {string} model
 * @property {number} context
 * @property {ApiFault|null} error
 */

export {};
