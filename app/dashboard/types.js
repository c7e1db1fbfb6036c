/**
 * The API's data as JSDoc types. Contains no code.
 *
 * @typedef {{code: string, message: string, hint?: string}} ApiFault
 * @typedef {'queued'|'running'|'paused'|'needs_confirmation'|'needs_human'|'succeeded'|'failed'|'cancelled'|'interrupted'} Status
 *
 * `action` waits for the answer; without one, it is refused after `timeout_s` seconds.
 * @typedef {object} Question
 * @property {number} number
 * @property {'confirmation'|'step'|'question'|'take_over'|'stalled'|'doubt'} kind
 * @property {string} text
 * @property {string} hint
 * @property {Action|null} action
 * @property {string} category the kind of action that a rule saw; "model" if only the model asks
 * @property {string} app
 * @property {string} page
 * @property {string} label the text under the finger
 * @property {string} said the model's own words
 * @property {string} thought what the model thought
 * @property {string} asked_at
 * @property {number} timeout_s
 *
 * Options besides the goal; missing ones are those of the service's configuration.
 * @typedef {object} Wish
 * @property {string} goal
 * @property {number} [max_steps]
 * @property {'ask'|'deny'|'allow'} [confirm]
 * @property {'auto'|'step'|'dry_run'} [mode]
 * @property {string[]} [allowed_apps]
 * @property {string} [follows] id of an ended task
 * @property {string} [device]
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
 * @property {'ask'|'deny'|'allow'} confirm
 * @property {'auto'|'step'|'dry_run'} mode
 * @property {string[]} allowed_apps
 * @property {string|null} follows
 * @property {Question|null} question
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
 * @property {string} remark what happened besides the action
 * @property {Record<string, number>} timings_ms
 * @property {{prompt?: number, cached?: number, completion?: number}} tokens
 * @property {string} screenshot empty if screenshots are not stored
 *
 * A step on the page: `phase` is its progress.
 * @typedef {Step & {phase: 'looking'|'thinking'|'acting'|'done'}} StepRecord
 *
 * @typedef {object} Device
 * @property {string} serial
 * @property {'device'|'offline'|'unauthorized'} state
 * @property {string} model
 * @property {string} product
 * @property {string|null} task
 *
 * Manual input on a phone, in pixels of its own screen.
 * @typedef {{kind: 'tap'|'long_press', x: number, y: number}
 *   | {kind: 'swipe', x1: number, y1: number, x2: number, y2: number, ms: number}
 *   | {kind: 'text', text: string}
 *   | {kind: 'key', key: string}} Input
 *
 * What a task may ask for; with `any_goal` nothing is listed.
 * @typedef {object} Goals
 * @property {boolean} any_goal
 * @property {{title: string, things: string[], example: string}[]} known
 *
 * @typedef {object} Engine
 * @property {'stopped'|'starting'|'ready'|'sleeping'|'stopping'|'failed'} state
 * @property {string|null} kind
 * @property {string} model
 * @property {number} context
 * @property {ApiFault|null} error
 * @property {string} stage the progress of a start, '' otherwise
 * @property {{name: string, description: string, free_mib: number}[]} devices
 * @property {{offloaded: number, total: number}|null} layers
 * @property {string[]} adjusted settings that were changed because memory ran out
 */

export {};
