// A fire drill: clients of this page keep asking while an engine is wedged, and one sees what becomes of them.

import { order, say } from "./actions.js";
import { lasting } from "./times.js";

const CLIENTS = 4;
const CALM = 1200;
const BREATH = 60;
const GIVE_UP = 90000;
const WAITED = 1; // seconds after which an answer counts as one that was waited for, in the picture
const MOST_DOTS = 400;
const SENTENCE = "The kettle is on, and dinner will be ready in about ten minutes.";
const COUNTED = ["held", "replayed"];
const TONES = { healthy: "ok", "canary passed": "ok", restarted: "busy", restarting: "busy" };

const engine = document.getElementById("drill-engine");
const fault = document.getElementById("drill-fault");
const start = document.getElementById("drill-start");
const answer = document.getElementById("drill-answer");
const dots = document.getElementById("drill-dots");
const timeline = document.getElementById("drill-timeline");
const patient = { "x-spark-patience": "60", "cache-control": "no-store" };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Drill {
  constructor(name, task, how) {
    Object.assign(this, { name, task, how, over: false, number: 0, wedgedAt: 0, counts: {}, wrong: new Set() });
    for (const each of ["answered", "failed", ...COUNTED]) this.count(each, 0);
  }

  count(what, by = 1) {
    this.counts[what] = (this.counts[what] ?? 0) + by;
    document.getElementById(`drill-${what}`).textContent = this.counts[what];
  }

  async run() {
    const probed = await order(`/api/upstreams/${this.name}/probe`);
    if (probed.state !== "healthy") throw new Error(`${probed.sentence} Only an engine that works can be wedged.`);
    if (probed.maintenance) throw new Error(`${this.name} is in maintenance: nobody would restart it.`);
    if (!probed.budget.left) throw new Error(`${this.name} has had its restarts; one more frees in ${lasting(probed.budget.next_in)}.`);
    if (this.task === "speech-to-text") this.recording = await this.spoken();
    const news = new EventSource("/api/events");
    const cured = new Promise((resolve) => {
      news.onmessage = (event) => this.note(JSON.parse(event.data), resolve);
    });
    const clients = Array.from({ length: CLIENTS }, () => this.keepAsking());
    try {
      await pause(CALM);
      this.wedgedAt = performance.now();
      await order(`/api/upstreams/${this.name}/fault`, { fault: this.how });
      this.tell("wedged", `by its fault switch, with ${CLIENTS} clients asking`);
      const after = await Promise.race([cured, pause(GIVE_UP)]);
      await pause(CALM);
      return after;
    } finally {
      this.over = true;
      await Promise.all(clients);
      news.close();
    }
  }

  async spoken() {
    const sound = await fetch("/v1/audio/speech", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "tts-1", input: SENTENCE, response_format: "wav" }),
    });
    if (!sound.ok) throw new Error("There is nothing to transcribe: no engine speaks just now.");
    return sound.blob();
  }

  note(event, cured) {
    if (event.upstream !== this.name || !this.wedgedAt) return;
    if (COUNTED.includes(event.what)) this.count(event.what);
    else if (!["degraded", "failed"].includes(event.what)) this.tell(event.what, event.detail);
    if (event.what === "healthy") cured((performance.now() - this.wedgedAt) / 1000);
  }

  tell(what, detail) {
    const line = document.createElement("li");
    line.dataset.tone = TONES[what] ?? "bad";
    const words = { offset: `+${lasting((performance.now() - this.wedgedAt) / 1000)}`, what, detail };
    for (const [name, text] of Object.entries(words)) {
      const part = document.createElement("span");
      part.className = name;
      part.textContent = text;
      line.append(part);
    }
    timeline.append(line);
  }

  async keepAsking() {
    while (!this.over) {
      const dot = document.createElement("i");
      dot.className = "open";
      dots.append(dot);
      while (dots.childElementCount > MOST_DOTS) dots.firstElementChild.remove();
      const began = performance.now();
      const wrong = await this.ask();
      dot.className = wrong ? "failed" : performance.now() - began > WAITED * 1000 ? "waited" : "answered";
      if (wrong) this.wrong.add(wrong);
      this.count(wrong ? "failed" : "answered");
      await pause(BREATH);
    }
  }

  // Why a request failed; undefined if it was answered well.
  async ask() {
    this.number += 1;
    try {
      const asked = this.recording ? this.transcription() : this.speech();
      const got = await fetch(asked.path, { method: "POST", headers: { ...patient, ...asked.headers }, body: asked.body });
      const body = await got.arrayBuffer();
      return got.ok && body.byteLength ? undefined : `${got.status} ${got.statusText}`;
    } catch (error) {
      return error.message;
    }
  }

  speech() {
    const input = `${SENTENCE} This is request number ${this.number}.`;
    const body = JSON.stringify({ model: "tts-1", input });
    return { path: "/v1/audio/speech", headers: { "content-type": "application/json" }, body };
  }

  transcription() {
    const body = new FormData();
    body.append("model", "whisper-1");
    body.append("file", this.recording, "drill.wav");
    return { path: "/v1/audio/transcriptions", headers: {}, body };
  }
}

start.addEventListener("click", async () => {
  start.disabled = true;
  dots.replaceChildren();
  timeline.replaceChildren();
  say(answer, "Asking …");
  const drill = new Drill(engine.value, engine.selectedOptions[0].dataset.task, fault.value);
  try {
    const after = await drill.run();
    const wrong = [...drill.wrong].join("; ");
    if (after === undefined) say(answer, "The engine was not cured in time.", "bad");
    else if (wrong) say(answer, `Cured after ${lasting(after)}, but not every request got its answer: ${wrong}.`, "bad");
    else say(answer, `Cured after ${lasting(after)}, and every request got its answer.`, "ok");
  } catch (error) {
    say(answer, error.message, "bad");
  } finally {
    start.disabled = false;
  }
});
