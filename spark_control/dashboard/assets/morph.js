// Changes a piece of the page into a newer one in place, so that focus, opened details, open dialogs,
// typed text and selections stay as they are.

const OWN = { DETAILS: ["open"], DIALOG: ["open"], BUTTON: ["aria-busy", "disabled"], INPUT: ["value", "checked"] };

export function morph(here, markup) {
  const fresh = document.createElement("template");
  fresh.innerHTML = markup;
  children(here, fresh.content);
}

function children(here, fresh) {
  const wanted = [...fresh.childNodes];
  const names = new Set(wanted.map((each) => each.id).filter(Boolean));
  let place = here.firstChild;
  for (const each of wanted) {
    const twin = twinOf(each, place, names);
    if (twin) {
      while (place !== twin) place = without(place);
      place = twin.nextSibling;
      node(twin, each);
    } else {
      here.insertBefore(each, place);
    }
  }
  while (place) place = without(place);
}

// The node that becomes the wanted one: this one, or an element behind others that are no longer wanted.
// None is moved forward over one that is, for a node that is moved loses the focus.
function twinOf(wanted, place, names) {
  if (place && alike(place, wanted)) return place;
  for (let each = place; each && wanted.nodeType === Node.ELEMENT_NODE; each = each.nextSibling) {
    if (alike(each, wanted) && each.getAttribute("class") === wanted.getAttribute("class")) return each;
    if (names.has(each.id)) return null;
  }
  return null;
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && one.id === other.id;
}

function without(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function node(here, fresh) {
  if (here.nodeType !== Node.ELEMENT_NODE) {
    if (here.nodeValue !== fresh.nodeValue) here.nodeValue = fresh.nodeValue;
    return;
  }
  if ("keep" in here.dataset) return;
  attributes(here, fresh);
  const ticking = here.nodeName === "TIME" && ["ago", "clock", "until"].some((each) => each in here.dataset);
  if (!ticking) children(here, fresh);
}

function attributes(here, fresh) {
  const own = OWN[here.nodeName] ?? [];
  for (const { name } of [...here.attributes]) {
    if (!fresh.hasAttribute(name) && !own.includes(name)) here.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (!own.includes(name) && here.getAttribute(name) !== value) here.setAttribute(name, value);
  }
}
