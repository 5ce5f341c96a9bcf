// Keeps the page as things are, through one stream of server-sent events that comes back by itself.

import { morph } from "./morph.js";
import { setClock, tick } from "./times.js";

const SILENCE = 40000; // ms; the gateway says something every 15 s
const AGAIN = 1500;

const sign = document.getElementById("live");
let stream, watchdog, lost;

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
  if (here.id === "part-house") entitle();
}

function entitle() {
  const house = document.querySelector(".house");
  document.querySelector(".top").dataset.tone = house.dataset.tone;
  document.title = `${house.dataset.title} Spark Control`;
  const icon = document.getElementById("icon");
  const tone = house.dataset.tone === "idle" ? "" : `-${house.dataset.tone}`;
  const file = `/assets/icon${tone}.svg`;
  if (icon.getAttribute("href") !== file) icon.href = file;
}

addEventListener("pageshow", (event) => event.persisted && connect());
addEventListener("pagehide", () => stream?.close());
entitle();
connect();
