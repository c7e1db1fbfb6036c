/** The page of the HTTP API, built from the service's OpenAPI document. */

import { byId, el, faultNodes, setText } from './dom.js';

/** @typedef {Record<string, any>} Json a part of the OpenAPI document */

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head'];
const TITLES = /** @type {Record<string, string>} */ ({
  tasks: 'Tasks',
  schedules: 'Schedules',
  devices: 'Phones',
  engine: 'Engine',
  openai: 'OpenAI-compatible passthrough',
  operations: 'Operations',
});
/** Nested types are shown by name; this many levels are expanded. */
const DEPTH = 2;

/** @param {Json} whole the document */
function draw(whole) {
  /** @type {Map<string, Element[]>} */
  const groups = new Map();
  for (const [path, methods] of Object.entries(whole.paths)) {
    for (const method of METHODS) {
      const operation = methods[method];
      if (!operation) continue;
      const tag = operation.tags?.[0] ?? '';
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag)?.push(route(whole, method, path, operation));
    }
  }
  const known = Object.keys(TITLES);
  const tags = [...known.filter((tag) => groups.has(tag)), ...[...groups.keys()].filter((tag) => !known.includes(tag))];
  const links = tags.map((tag) => el('a', { href: `#${tag}` }, TITLES[tag] ?? tag));
  const sections = tags.flatMap((tag) => [el('h2', { id: tag }, TITLES[tag] ?? tag), ...(groups.get(tag) ?? [])]);
  byId('docs').replaceChildren(
    el('h1', {}, 'HTTP API'),
    ...prose(whole.info.description ?? ''),
    el('nav', { 'aria-label': 'Parts' }, ...links),
    ...sections,
  );
  setText(byId('version'), whole.info.version);
}

/**
 * @param {Json} whole
 * @param {string} method
 * @param {string} path
 * @param {Json} operation
 */
function route(whole, method, path, operation) {
  const said = operation.description ?? operation.summary ?? '';
  const first = said.split('\n')[0];
  return el(
    'details',
    { id: operation.operationId },
    el('summary', {}, el('b', { class: 'method', 'data-method': method }, method.toUpperCase()), el('code', {}, path), el('span', {}, ...words(first))),
    el('div', { class: 'inside' }, ...(said === first ? [] : prose(said)), ...parameters(operation), ...body(whole, operation), ...answers(whole, operation)),
  );
}

/** @param {Json} operation */
function parameters(operation) {
  const rows = (operation.parameters ?? []).map((/** @type {Json} */ each) =>
    row(each.name, `${each.in}, ${typeName(each.schema)}${each.required ? ', required' : ''}`, limits(each.schema), each.description),
  );
  return rows.length ? [el('h3', {}, 'Parameters'), el('table', {}, ...rows)] : [];
}

/** @param {Json} whole @param {Json} operation */
function body(whole, operation) {
  const contents = Object.entries(operation.requestBody?.content ?? {});
  return contents.flatMap(([kind, content]) => [el('h3', {}, `Takes ${kind}`), ...shape(whole, content)]);
}

/** @param {Json} whole @param {Json} operation */
function answers(whole, operation) {
  return Object.entries(operation.responses ?? {}).flatMap(([status, answer]) => {
    const contents = Object.entries(answer.content ?? {});
    const head = `${status}: ${answer.description ?? ''}`;
    if (!status.startsWith('2')) return [];
    if (!contents.length) return [el('h3', {}, `Answers ${head}`)];
    return contents.flatMap(([kind, content]) => [el('h3', {}, `Answers ${status} with ${kind}`), ...shape(whole, content)]);
  });
}

/** @param {Json} whole @param {Json} content */
function shape(whole, content) {
  const rows = fields(whole, content.schema, '', 0);
  return [
    rows.length ? el('table', {}, ...rows) : null,
    content.example === undefined ? null : el('pre', {}, JSON.stringify(content.example, null, 1)),
  ];
}

/**
 * @param {Json} whole
 * @param {Json|undefined} schema
 * @param {string} prefix
 * @param {number} depth
 * @returns {Element[]}
 */
function fields(whole, schema, prefix, depth) {
  const found = resolved(whole, schema);
  if (!found || depth >= DEPTH) return [];
  if (found.items) return fields(whole, found.items, `${prefix}[]`, depth);
  const several = found.oneOf ?? (found.anyOf ?? []).filter((/** @type {Json} */ each) => each.type !== 'null');
  if (several.length && !found.properties) {
    return several.flatMap((/** @type {Json} */ each) => fields(whole, each, prefix, depth));
  }
  const required = new Set(found.required ?? []);
  return Object.entries(found.properties ?? {}).flatMap(([name, each]) => {
    const path = prefix ? `${prefix}.${name}` : name;
    const inside = fields(whole, each, path, depth + 1);
    return [row(path, `${typeName(each)}${required.has(name) ? ', required' : ''}`, limits(each), each.description), ...inside];
  });
}

/** @param {Json} whole @param {Json|undefined} schema */
function resolved(whole, schema) {
  const name = schema?.$ref?.split('/').at(-1);
  return name ? whole.components?.schemas?.[name] : schema;
}

/** @param {Json|undefined} schema @returns {string} */
function typeName(schema) {
  if (!schema) return '';
  if (schema.$ref) return schema.$ref.split('/').at(-1);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((/** @type {unknown} */ each) => JSON.stringify(each)).join(' | ');
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return several.map(typeName).join(' | ');
  if (schema.type === 'array') return `list of ${typeName(schema.items)}`;
  return Array.isArray(schema.type) ? schema.type.join(' | ') : (schema.type ?? 'any');
}

/** @param {Json|undefined} schema */
function limits(schema) {
  const told = /** @type {[string, string][]} */ ([
    ['minimum', 'from'],
    ['maximum', 'to'],
    ['minLength', 'at least, characters'],
    ['maxLength', 'at most, characters'],
    ['default', 'default'],
  ]);
  const parts = told.filter(([key]) => schema?.[key] !== undefined && schema[key] !== null);
  return parts.map(([key, word]) => `${word} ${JSON.stringify(schema?.[key])}`).join(', ');
}

/** @param {string} name @param {string} type @param {string} limit @param {string} [description] */
function row(name, type, limit, description) {
  return el('tr', {}, el('td', {}, el('code', {}, name)), el('td', {}, type, limit ? ` (${limit})` : '', ...prose(description ?? '')));
}

/** @param {string} text paragraphs with an empty line between them @returns {Element[]} */
function prose(text) {
  return text.trim() ? text.trim().split(/\n\s*\n/).map((each) => el('p', {}, ...words(each))) : [];
}

/** @param {string} text with code between backticks @returns {(string|Element)[]} */
function words(text) {
  return text.replace(/\s+/g, ' ').split('`').map((each, at) => (at % 2 ? el('code', {}, each) : each));
}

async function start() {
  try {
    const answer = await fetch('/openapi.json');
    if (!answer.ok) throw new Error(`openapi.json was answered with ${answer.status}`);
    draw(await answer.json());
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    byId('docs').replaceChildren(el('p', { role: 'alert' }, ...faultNodes({ message, hint: 'Load the page again.' })));
  }
  byId('docs').removeAttribute('aria-busy');
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

start();
