// The playground: runs what is typed, and lights up the rule and the cell behind a value. The page works without it.
"use strict";

const bench = document.getElementById("try");
const outcome = () => document.getElementById("outcome");
const panes = {};
const folded = { whys: false, changes: true, steps: true };
let changed = false;

// -- panes: a text, its line numbers beside it, and a sheet under it that carries the light

function layer(name, sheet) {
  const made = document.createElement("pre");
  made.className = name;
  made.setAttribute("aria-hidden", "true");
  sheet.prepend(made);
  return made;
}

function number(pane) {
  const count = pane.field.value.split("\n").length;
  if (pane.count === count) return;
  pane.count = count;
  pane.lines.replaceChildren();
  for (let line = 1; line <= count; line++) {
    const one = document.createElement("span");
    one.textContent = line;
    pane.lines.append(one, "\n");
  }
}

function follow(pane) {
  pane.under.scrollTop = pane.lines.scrollTop = pane.field.scrollTop;
  pane.under.scrollLeft = pane.field.scrollLeft;
}

const lineOf = (text, at) => text.slice(0, at).split("\n").length;

for (const field of bench.querySelectorAll("textarea[data-pane]")) {
  const sheet = field.parentElement;
  const pane = { field, under: layer("under", sheet), lines: layer("lines", sheet), count: 0 };
  panes[field.dataset.pane] = pane;
  number(pane);
  field.addEventListener("scroll", () => follow(pane));
  field.addEventListener("input", () => {
    changed = true;
    number(pane);
    dark();
    soon();
  });
}

// -- light

const spotsOf = (element) =>
  (element.dataset.spots || "").split(" ").filter(Boolean).map((one) => {
    const [pane, start, end] = one.split(":");
    return { pane: panes[pane], start: Number(start), end: Number(end) };
  }).filter((one) => one.pane);

function dark() {
  for (const pane of Object.values(panes)) {
    pane.under.replaceChildren();
    for (const line of pane.lines.querySelectorAll(".lit")) line.classList.remove("lit");
  }
  for (const one of bench.querySelectorAll("a.lit, li.lit")) one.classList.remove("lit");
}

function light(element) {
  dark();
  const byPane = new Map();
  for (const one of spotsOf(element)) byPane.set(one.pane, [...(byPane.get(one.pane) || []), one]);
  for (const [pane, spots] of byPane) {
    const text = pane.field.value;
    let at = 0;
    for (const { start, end } of spots.sort((a, b) => a.start - b.start)) {
      if (start < at) continue;
      const mark = document.createElement("mark");
      mark.textContent = text.slice(start, end);
      pane.under.append(text.slice(at, start), mark);
      at = end;
      pane.lines.children[lineOf(text, start) - 1]?.classList.add("lit");
    }
    pane.under.append(text.slice(at) + "\n\n");
    reveal(pane);
  }
  const value = element.closest("[data-value]")?.dataset.value;
  if (value !== undefined) {
    for (const one of bench.querySelectorAll(`.output a[data-value="${value}"], #v${value}`)) one.classList.add("lit");
  }
}

function reveal(pane) {
  const mark = pane.under.querySelector("mark");
  if (!mark) return;
  const field = pane.field;
  const above = mark.offsetTop < field.scrollTop;
  const below = mark.offsetTop + mark.offsetHeight > field.scrollTop + field.clientHeight;
  if (above || below) field.scrollTop = mark.offsetTop - field.clientHeight / 3;
  // sideways only as far as it has to: the beginning of the line says what it is about
  const end = mark.offsetLeft + Math.min(mark.offsetWidth, field.clientWidth / 2) + 16;
  field.scrollLeft = Math.max(end - field.clientWidth, 0);
  follow(pane);
}

function tell(element) {
  const told = document.getElementById("told");
  const value = element.closest("[data-value]")?.dataset.value;
  const line = value === undefined ? null : document.getElementById("v" + value);
  if (told && line) told.replaceChildren(...[...line.childNodes].map((one) => one.cloneNode(true)));
}

function shine(event) {
  const element = event.target.closest("[data-spots]");
  if (!element || !bench.contains(element) || element.closest("#told")) return;
  light(element);
  tell(element);
}

bench.addEventListener("pointerover", shine);
bench.addEventListener("focusin", shine);
bench.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-spots]");
  const spot = link && spotsOf(link)[0];
  if (!spot) return;
  event.preventDefault();
  light(link);
  spot.pane.field.focus();
  spot.pane.field.setSelectionRange(spot.start, spot.end);
  reveal(spot.pane);
});

// -- the result is one stop of the tab key; the arrow keys go through its values

function values() {
  const found = [...outcome().querySelectorAll(".output a")];
  if (!found.length) return;
  outcome().querySelector(".output").tabIndex = -1;
  for (const one of found) one.tabIndex = one === found[0] ? 0 : -1;
}

bench.addEventListener("keydown", (event) => {
  const one = event.target.closest?.(".output a");
  if (!one || event.ctrlKey || event.metaKey || event.altKey) return;
  const found = [...outcome().querySelectorAll(".output a")];
  const at = found.indexOf(one);
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: found.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const next = found[Math.min(Math.max(to, 0), found.length - 1)];
  one.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});

// -- running

let timer = 0;
let running = null;

function soon() {
  clearTimeout(timer);
  timer = setTimeout(run, 350);
}

async function run() {
  running?.abort();
  running = new AbortController();
  bench.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch("/playground", {
      method: "POST", body: new URLSearchParams(new FormData(bench)), signal: running.signal,
    });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("outcome");
    if (fresh) put(document.adoptNode(fresh));
    else lost();
  } catch (problem) {
    if (problem.name === "AbortError") return;
    lost();
  }
  bench.removeAttribute("aria-busy");
}

function put(fresh) {
  const held = outcome().contains(document.activeElement) ? document.activeElement.id : "";
  outcome().replaceWith(fresh);
  dress();
  if (held) document.getElementById(held)?.focus();
}

function lost() {
  const line = document.createElement("p");
  line.className = "error";
  line.setAttribute("role", "alert");
  line.textContent = bench.dataset.lost;
  const problems = outcome().querySelector(".at-problems");
  problems.querySelector("p.error")?.remove();
  problems.querySelector("h2").after(line);
}

function dress() {
  for (const pane of Object.values(panes)) {
    for (const line of pane.lines.querySelectorAll(".bad")) line.classList.remove("bad");
  }
  for (const one of outcome().querySelectorAll(".problem.is-error[data-spots]")) {
    const { pane, start } = spotsOf(one)[0] || {};
    pane?.lines.children[lineOf(pane.field.value, start) - 1]?.classList.add("bad");
  }
  for (const fold of outcome().querySelectorAll("details")) {
    fold.open = folded[fold.id] || false;
    fold.addEventListener("toggle", () => { folded[fold.id] = fold.open; });
  }
  const state = document.getElementById("state");
  if (state.textContent !== outcome().dataset.state) state.textContent = outcome().dataset.state;
  const told = document.getElementById("told");
  if (told) told.textContent = told.dataset.point;
  values();
}

const wants = bench.querySelector(".wants");
const against = document.getElementById("against");
const pasted = () => { wants.querySelector(".pasted").hidden = against.value !== against.options[against.length - 1].value; };

bench.addEventListener("change", (event) => {
  if (event.target.id === "number" || (wants.contains(event.target) && event.target.id !== "other")) run();
  pasted();
});
wants.addEventListener("input", (event) => { if (event.target.id === "other") soon(); });
pasted();
bench.addEventListener("submit", () => { changed = false; });
window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
dress();
