// Keeps the page as things are, through one stream of server-sent events that comes back by itself.

import { morph } from "./morph.js";
import { setClock, tick } from "./times.js";

const SILENCE = 40000; // ms; the gateway says something every 15 s
const AGAIN = 1500;
const HIDDEN = 30000; // ms; a browser has six connections for all the pages of a gateway, so those that nobody sees take none
const GLANCE = 15000;

const sign = document.getElementById("live");
let stream, watchdog, lost, leaving, glances;

function connect() {
  stream?.close();
  stream = new EventSource("/live");
  stream.addEventListener("hello", (event) => {
    const { at, edition } = JSON.parse(event.data);
    setClock(at);
    heard();
    if (edition !== document.body.dataset.edition) updated();
  });
  stream.addEventListener("part", (event) => {
    const { id, html } = JSON.parse(event.data);
    const here = document.getElementById(id);
    if (here) show(here, html);
    heard();
  });
  stream.addEventListener("beat", heard);
  stream.onerror = () => {
    lose();
    if (stream.readyState === EventSource.CLOSED) setTimeout(returned, AGAIN);
  };
  alarm();
}

function heard() {
  clearTimeout(lost);
  lost = undefined;
  if (sign.dataset.live !== "on") {
    sign.dataset.live = "on";
    delete document.body.dataset.stale;
    sign.textContent = "Live";
  }
  alarm();
}

function alarm() {
  clearTimeout(watchdog);
  watchdog = setTimeout(() => {
    lose();
    connect();
  }, SILENCE);
}

function lose() {
  // A stream that a restart of the gateway ends is back within the second: no need to alarm anybody at once.
  lost ??= setTimeout(() => {
    sign.dataset.live = "lost";
    document.body.dataset.stale = "";
    sign.textContent = "Connection lost, trying again";
  }, 700);
}

// The browser has given up: the gateway answered, and not with a stream. Without a key there is nothing to see here.
async function returned() {
  try {
    const answer = await fetch("/api/status");
    if (answer.status === 401) {
      location.reload();
      return;
    }
  } catch {
    // not there yet
  }
  connect();
}

function updated() {
  if (document.getElementById("updated")) return;
  const link = document.createElement("a");
  link.id = "updated";
  link.href = "";
  link.textContent = "The gateway was updated: load this page again";
  sign.replaceChildren(link);
}

function show(here, html) {
  morph(here, html);
  tick(here);
  if (here.id === "part-house") entitleByHouse();
}

function entitleByHouse() {
  const { title, tone } = document.querySelector(".house").dataset;
  document.querySelector(".top").dataset.tone = tone;
  entitle(title, tone);
}

function entitle(sentence, tone) {
  document.title = `${sentence} Spark Control`;
  const icon = document.getElementById("icon");
  const file = `/assets/icon${tone === "idle" ? "" : `-${tone}`}.svg`;
  if (icon.getAttribute("href") !== file) icon.href = file;
}

function part() {
  stream?.close();
  clearTimeout(watchdog);
  glances = setInterval(glance, GLANCE);
}

// A page that nobody sees still has a title and an icon.
async function glance() {
  try {
    const answer = await fetch("/status", { headers: { accept: "application/json" }, signal: AbortSignal.timeout(8000) });
    const { sentence, tone } = await answer.json();
    entitle(sentence, tone);
  } catch {
    entitle("The gateway does not answer.", "bad");
  }
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.hidden) {
    leaving = setTimeout(part, HIDDEN);
  } else if (glances) {
    clearInterval(glances);
    glances = undefined;
    connect();
  }
});
addEventListener("pageshow", (event) => event.persisted && connect());
addEventListener("pagehide", () => stream?.close());
entitleByHouse();
connect();
