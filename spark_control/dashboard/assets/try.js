// "Try it": text that is spoken while it arrives, recordings that are read, and the same for the visitor's programs.

import { say } from "./actions.js";
import { ask } from "./asking.js";
import { Snippets } from "./copying.js";
import { Hearing } from "./hearing.js";
import { Player, rateOf } from "./sound.js";
import { Voices } from "./voices.js";

const BARS = 100;

class Speaking {
  constructor(part, voices, changed) {
    Object.assign(this, { voices, changed });
    for (const name of ["text", "speak", "stop", "said", "sound", "audio", "download", "wave"]) this[name] = part(name);
    part("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.start();
    });
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.start();
    });
    this.text.addEventListener("input", () => this.changed());
    voices.list.addEventListener("change", () => this.#voiceChanged());
    voices.list.addEventListener("dblclick", () => this.start());
    this.stop.addEventListener("click", () => this.#end(this.sound.hidden ? "Stopped." : undefined));
  }

  // A sentence that nobody has touched is said in the voice's own language.
  #voiceChanged() {
    const sample = this.voices.sample;
    if (sample && this.text.value === this.text.dataset.sample) {
      this.text.value = sample;
      this.text.dataset.sample = sample;
    }
    this.changed();
  }

  async start() {
    const text = this.text.value.trim();
    if (!text) {
      say(this.said, "There is nothing to say yet: type a sentence.", "bad");
      this.text.focus();
      return;
    }
    this.#end("");
    this.audio.pause();
    const turn = (this.turn = { asking: new AbortController() });
    this.speak.setAttribute("aria-busy", "true");
    this.stop.hidden = false;
    this.sound.hidden = true;
    say(this.said, "Asking for it …");
    try {
      await this.#hear(text, turn);
    } catch (error) {
      if (this.turn === turn) this.#end(error instanceof TypeError ? "The sound broke off." : error.message, "bad");
    }
  }

  async #hear(text, turn) {
    const began = performance.now();
    // Made within the click: browsers let a page be heard only then.
    turn.player = new Player(24000);
    const body = { model: "tts-1", input: text, response_format: "pcm" };
    if (this.voices.value) body.voice = this.voices.value;
    const answer = await ask("/v1/audio/speech", {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: turn.asking.signal,
    });
    if (rateOf(answer) !== turn.player.rate) {
      await turn.player.close();
      turn.player = new Player(rateOf(answer));
    }
    const reader = answer.body.getReader();
    let first = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.turn !== turn) break;
      if (turn.player.feed(value)) {
        first = firstSound(answer, (performance.now() - began) / 1000);
        say(this.said, first);
      }
    }
    if (this.turn === turn) await this.#finish(turn, first, (performance.now() - began) / 1000);
  }

  async #finish(turn, first, took) {
    if (!first) throw new Error("No sound came.");
    const { player } = turn;
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(player.wav());
    this.audio.src = this.url;
    this.download.href = this.url;
    this.wave.firstElementChild.setAttribute("d", player.outline(BARS, 300, 40));
    this.spoken = player.wav();
    this.sound.hidden = false;
    this.speak.removeAttribute("aria-busy");
    say(this.said, `${first} All ${player.seconds.toFixed(1)} s of it had arrived after ${took.toFixed(2)} s.`, "ok");
    await new Promise((done) => setTimeout(done, 1000 * player.left + 100));
    if (this.turn === turn) this.#end();
  }

  // Whatever is being said ends; `text` tells why, if it was not over.
  #end(text, tone) {
    this.turn?.asking.abort();
    this.turn?.player?.close();
    this.turn = undefined;
    this.speak.removeAttribute("aria-busy");
    this.stop.hidden = true;
    if (text !== undefined) say(this.said, text, tone);
  }
}

function firstSound(answer, seconds) {
  const told = (name) => answer.headers.get(name);
  const model = told("x-model") ? ` (${told("x-model")})` : "";
  const who = told("x-voice") ? ` Spoken by ${told("x-voice")}${model}` : "";
  const kept = ["hit", "stale"].includes(told("x-spark-cache")) ? ", remembered from before" : "";
  const instead = told("x-spark-degraded") ? ` It stood in: ${told("x-spark-degraded")}.` : "";
  return `First sound after ${seconds.toFixed(2)} s.${who}${who ? `${kept}.` : ""}${instead}`;
}

function begin(box) {
  const part = (name) => box.querySelector(`#try-${name}`);
  const snippets = new Snippets(box);
  const hearing = part("drop") && new Hearing(box);
  if (!part("form")) return;
  const voices = new Voices(part("voice"), part("search"), part("found"));
  const show = () => snippets.speech(part("text").value.trim(), voices.value || "alloy");
  const speaking = new Speaking(part, voices, show);
  part("again")?.addEventListener("click", () => hearing.hear(speaking.spoken, "spoken.wav"));
  show();
}

const box = document.querySelector(".trying");
if (box) begin(box);
