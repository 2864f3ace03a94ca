// Small helpers for elements. Text is set as text only, so a story cannot bring markup.

export const at = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function button(text, onclick, className = "") {
  return element("button", { type: "button", textContent: text, onclick, className });
}

// Shows the items in order. An element whose key is there already stays as it is, with its focus and its selection.
export function showList(container, items, keyOf, make) {
  const keys = new Set(items.map((item) => String(keyOf(item))));
  const former = new Map();
  for (const node of [...container.children]) {
    if (keys.has(node.dataset.key)) former.set(node.dataset.key, node);
    else node.remove();
  }
  let place = container.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let node = former.get(key);
    if (!node) {
      node = make(item);
      node.dataset.key = key;
    }
    if (node === place) place = place.nextElementSibling;
    else container.insertBefore(node, place);
  }
}

// Runs what changes the page; a focus that was lost with a removed element goes to the element that `next` returns.
export function keepingFocus(change, next) {
  const focused = document.activeElement;
  change();
  if (focused && focused !== document.body && !focused.isConnected) next()?.focus({ preventScroll: true });
}
