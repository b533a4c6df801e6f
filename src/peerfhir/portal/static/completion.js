// What may be written at the cursor of a pane: Ctrl and the space bar, or the button, opens the list. After playground.js.
"use strict";

const list = document.getElementById("offers");
const suggest = document.getElementById("suggest");
const said = document.getElementById("offered");
const open = { pane: null, offers: [], chosen: 0, from: 0, to: 0, length: 0 };
let asking = null;
let last = panes.mapping;

for (const pane of Object.values(panes)) {
  if (pane.field.dataset.pane === "record") continue;
  const field = pane.field;
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-haspopup", "listbox");
  field.setAttribute("aria-controls", "offers");
  field.setAttribute("aria-keyshortcuts", "Control+Space");
  field.addEventListener("focus", () => { last = pane; });
  field.addEventListener("keydown", (event) => pressed(pane, event));
  field.addEventListener("input", () => { if (open.pane === pane) narrow(pane); });
  field.addEventListener("blur", shut);
  field.addEventListener("scroll", () => { if (open.pane === pane) place(); });
  field.addEventListener("pointerdown", shut);
}
suggest.hidden = false;
suggest.addEventListener("pointerdown", (event) => event.preventDefault());
suggest.addEventListener("click", () => {
  last.field.focus();
  ask(last);
});

function pressed(pane, event) {
  if (event.ctrlKey && event.code === "Space") {
    event.preventDefault();
    ask(pane);
    return;
  }
  if (open.pane !== pane) return;
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
  if (event.key in steps) {
    choose(Math.min(Math.max(open.chosen + steps[event.key], 0), open.offers.length - 1));
  } else if (event.key === "Enter" && !event.isComposing) {
    take(open.chosen);
  } else if (event.key === "Escape") {
    shut();
  } else {
    if (["ArrowLeft", "ArrowRight", "Home", "End", "Tab"].includes(event.key)) shut();
    return;
  }
  event.preventDefault();
}

async function ask(pane) {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const at = pane.field.selectionStart;
  const form = new FormData(bench);
  form.set("pane", pane.field.dataset.pane);
  form.set("at", at);
  try {
    const answer = await fetch("/playground/offers", { method: "POST", body: new URLSearchParams(form), signal });
    const found = answer.ok ? await answer.json() : null;
    if (signal.aborted) return;
    if (found) show(pane, at, found);
    else shut();
    asking = null;
  } catch (problem) {
    if (problem.name !== "AbortError") shut();
  }
}

// While the next answer is on its way, the list holds what still fits and replaces what is written by now.
function narrow(pane) {
  const { value, selectionStart } = pane.field;
  const word = value.slice(open.from, selectionStart).toLowerCase();
  const fitting = open.offers.filter((one) => one.text.toLowerCase().includes(word));
  if (selectionStart > open.from && fitting.length) {
    print(pane, { offers: fitting, more: 0, start: open.from, end: open.to + value.length - open.length });
  } else {
    shut();
  }
  ask(pane);
}

function show(pane, at, found) {
  if (document.activeElement !== pane.field || pane.field.selectionStart !== at) return;
  const count = found.offers.length + found.more;
  said.textContent = count ? said.dataset.count.replace("#", count) : said.dataset.none;
  if (count) print(pane, found);
  else shut();
}

function print(pane, { offers, start, end }) {
  const before = open.pane ? open.offers[open.chosen].text : "";
  Object.assign(open, { pane, offers, from: start, to: end, length: pane.field.value.length });
  list.replaceChildren(...offers.map(line));
  list.hidden = false;
  choose(Math.max(offers.findIndex((one) => one.text === before), 0));
  place();
}

function line(offer, number) {
  const made = document.createElement("li");
  made.id = "offer-" + number;
  made.setAttribute("role", "option");
  const text = document.createElement("code");
  text.textContent = offer.text.trimEnd();
  const about = document.createElement("span");
  about.textContent = offer.about;
  made.append(text, " ", about);
  made.addEventListener("pointerdown", (event) => event.preventDefault());
  made.addEventListener("click", () => take(number));
  return made;
}

function choose(number) {
  open.chosen = number;
  for (const one of list.children) one.setAttribute("aria-selected", String(one.id === "offer-" + number));
  open.pane.field.setAttribute("aria-activedescendant", "offer-" + number);
  const one = list.children[number]; // the list alone moves, and never the page
  const over = one.offsetTop + one.offsetHeight + 4 - list.clientHeight;
  list.scrollTop = Math.min(Math.max(list.scrollTop, over), Math.max(one.offsetTop - 4, 0));
}

function take(number) {
  const { pane, from, to, offers } = open;
  const offer = offers[number];
  const field = pane.field;
  shut();
  field.focus();
  field.setSelectionRange(from, to);
  // as if it had been typed, so that it can be undone; where that is not to be had it is put there
  if (!document.execCommand("insertText", false, offer.text)) {
    field.setRangeText(offer.text, from, to, "end");
    field.dispatchEvent(new Event("input"));
  }
  const behind = field.selectionEnd - offer.back;
  field.setSelectionRange(behind, behind);
  said.textContent = "";
}

function shut() {
  asking?.abort();
  if (!open.pane) return;
  open.pane.field.removeAttribute("aria-activedescendant");
  open.pane = null;
  list.hidden = true;
  list.replaceChildren();
}

// The list stands below the word, or above it where there is no room; never beyond the window's edge.
function place() {
  const { pane, from } = open;
  const measure = document.createElement("pre");
  measure.className = "under";
  const mark = document.createElement("span");
  mark.textContent = "x";
  measure.append(pane.field.value.slice(0, from), mark);
  pane.under.after(measure);
  const field = pane.field.getBoundingClientRect();
  const top = field.top + mark.offsetTop - pane.field.scrollTop;
  const left = field.left + mark.offsetLeft - pane.field.scrollLeft;
  const height = mark.offsetHeight;
  measure.remove();
  const width = list.offsetWidth;
  const room = document.documentElement.clientWidth;
  const fits = top + height + list.offsetHeight < window.innerHeight || top < list.offsetHeight;
  list.style.left = Math.max(Math.min(Math.max(left, field.left), room - width - 8), 8) + window.scrollX + "px";
  list.style.top = (fits ? top + height + 2 : top - list.offsetHeight - 2) + window.scrollY + "px";
}

window.addEventListener("resize", shut);
