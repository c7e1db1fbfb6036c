/** Builds elements. Data only becomes text nodes and attributes, never markup. */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Return the element of the page with this id.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `class`, `onclick` and so on; false and null are omitted
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {any}
 */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...Node} children
 * @returns {any}
 */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * Return an icon of the sprite in index.html.
 * @param {string} name
 */
export function icon(name) {
  return svg('svg', { class: 'icon', 'aria-hidden': 'true' }, svg('use', { href: `#i-${name}` }));
}

/**
 * Set an element's text, changing the page only if it differs.
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * A message with its hint below: the form of every API error.
 * @param {{message: string, hint?: string}} fault
 */
export function faultNodes(fault) {
  return [
    el('span', { class: 'fault-message' }, fault.message),
    fault.hint ? el('span', { class: 'fault-hint' }, fault.hint) : null,
  ].filter((node) => node !== null);
}

/**
 * @param {Element} node
 * @param {Record<string, any>} attributes
 * @param {(Node|string|null|undefined|false)[]} children
 */
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flatMap((child) => (child === null || child === undefined || child === false ? [] : [child])));
  return node;
}
