// Small comforts; every page works without them.
"use strict";

// The words of a field, counted while they are written.
for (const field of document.querySelectorAll("textarea[data-words]")) {
  const line = document.getElementById(field.id + "-count");
  const count = () => {
    const words = field.value.trim().split(/\s+/).filter(Boolean).length;
    line.textContent = line.dataset.count.replace("#", words);
  };
  field.addEventListener("input", count);
  count();
}

// While somebody types a long form, the login stays open; asked for as a picture, because that is all the policy allows.
const long = document.querySelector("form.form");
let told = Date.now();
if (long) {
  long.addEventListener("input", () => {
    if (Date.now() - told < 120000) return;
    told = Date.now();
    new Image().src = "/alive?" + told;
  });
}

// The summary of what needs another look takes the focus.
const errors = document.querySelector(".errors");
if (errors) errors.focus();
