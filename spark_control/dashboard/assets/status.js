// The wall tablet: asks every few seconds, and says so when nobody answers.

import { tick } from "./times.js";

const EVERY = 3000;
const wall = document.getElementById("wall");
const sentence = document.getElementById("sentence");
const at = document.getElementById("at");

function show(text, tone) {
  if (sentence.textContent !== text) sentence.textContent = text;
  wall.dataset.tone = tone;
  document.title = text;
}

async function look() {
  try {
    const answer = await fetch("/status", { headers: { accept: "application/json" }, signal: AbortSignal.timeout(8000) });
    const told = await answer.json();
    show(told.sentence, told.tone);
    at.dateTime = told.at;
    tick();
  } catch {
    show("The gateway does not answer.", "bad");
  }
  setTimeout(look, EVERY);
}

setTimeout(look, EVERY);
