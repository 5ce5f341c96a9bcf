// A recording, its words, and the moment of each.

import { say } from "./actions.js";
import { ask } from "./asking.js";
import { copy } from "./copying.js";

const AT_LEAST = 600; // bytes; a press of the button by mistake records less

export class Hearing {
  constructor(box) {
    const part = (name) => box.querySelector(`#try-${name}`);
    this.drop = part("drop");
    this.told = part("heard");
    this.transcript = part("transcript");
    this.player = part("recording");
    this.words = part("words");
    this.hint = part("words-hint");
    this.button = part("record");
    this.insecure = part("insecure");
    this.marks = [];
    const file = part("file");
    file.addEventListener("change", () => {
      if (file.files.length) this.hear(file.files[0], file.files[0].name);
      file.value = "";
    });
    const copying = part("copy-words");
    copying.addEventListener("click", () => copy(this.text, copying));
    this.#takeDrops();
    this.#prepareRecording();
    this.#follow();
  }

  async hear(sound, name) {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    this.transcript.hidden = true;
    this.drop.setAttribute("aria-busy", "true");
    say(this.told, `Listening to ${name} …`);
    const began = performance.now();
    const form = new FormData();
    form.append("file", sound, name);
    form.append("model", "whisper-1");
    form.append("response_format", "verbose_json");
    form.append("timestamp_granularities[]", "word");
    form.append("timestamp_granularities[]", "segment");
    try {
      const answer = await ask("/v1/audio/transcriptions", { body: form, signal: asking.signal });
      const heard = await answer.json();
      this.#show(heard, sound);
      const took = ((performance.now() - began) / 1000).toFixed(2);
      const model = answer.headers.get("x-model");
      const long = heard.duration ? ` of ${heard.duration.toFixed(1)} s of sound` : "";
      const words = this.text ? this.text.trim().split(/\s+/).length : 0;
      const what = words ? `${words === 1 ? "1 word" : `${words} words`}${long} in ${took} s` : `No words were heard${long}`;
      say(this.told, `${what}${model ? `, by ${model}` : ""}.`, words ? "ok" : "");
    } catch (error) {
      if (!asking.signal.aborted) say(this.told, error.message, "bad");
    } finally {
      if (this.asking === asking) this.drop.removeAttribute("aria-busy");
    }
  }

  #show(heard, sound) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(sound);
    this.player.src = this.url;
    this.text = heard.text ?? "";
    const timed = heard.words?.length ? heard.words : (heard.segments ?? []);
    this.marks = timed.map((each, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "word";
      button.textContent = (each.word ?? each.text).trim();
      button.title = `${each.start.toFixed(2)} s`;
      button.tabIndex = index ? -1 : 0;
      return { button, start: each.start, end: each.end };
    });
    this.words.replaceChildren(...this.marks.flatMap(({ button }) => [button, " "]));
    if (!this.marks.length) this.words.textContent = this.text;
    this.hint.hidden = !this.marks.length;
    this.words.hidden = !this.text;
    this.transcript.hidden = false;
  }

  // Clicks and arrow keys on the words, and the word that is being heard.
  #follow() {
    this.words.addEventListener("click", (event) => {
      const mark = this.marks.find(({ button }) => button === event.target);
      if (!mark) return;
      this.#here(mark);
      this.player.currentTime = mark.start;
      this.player.play().catch(() => say(this.told, "This browser cannot play that kind of file.", "bad"));
    });
    this.words.addEventListener("keydown", (event) => {
      const at = this.marks.findIndex(({ button }) => button === event.target);
      const last = this.marks.length - 1;
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last }[event.key];
      if (at < 0 || to === undefined || !this.marks[to]) return;
      event.preventDefault();
      this.#here(this.marks[to]);
      this.marks[to].button.focus();
    });
    const light = () => {
      const now = this.player.currentTime;
      for (const { button, start, end } of this.marks) {
        button.toggleAttribute("data-now", !this.player.paused && now >= start && now < Math.max(end, start + 0.05));
      }
      if (!this.player.paused) requestAnimationFrame(light);
    };
    for (const event of ["play", "seeked", "pause", "ended"]) this.player.addEventListener(event, light);
  }

  // The tab key comes back to the word that was used last.
  #here(mark) {
    for (const each of this.marks) each.button.tabIndex = each === mark ? 0 : -1;
  }

  #takeDrops() {
    const over = (on) => (event) => {
      event.preventDefault();
      this.drop.toggleAttribute("data-over", on);
    };
    this.drop.addEventListener("dragover", over(true));
    this.drop.addEventListener("dragenter", over(true));
    this.drop.addEventListener("dragleave", over(false));
    this.drop.addEventListener("drop", (event) => {
      over(false)(event);
      const [file] = event.dataTransfer.files;
      if (file) this.hear(file, file.name);
      else say(this.told, "That was not a file.", "bad");
    });
  }

  #prepareRecording() {
    const why = whyNot();
    if (why) {
      this.button.disabled = true;
      this.button.setAttribute("aria-describedby", this.insecure.id);
      this.insecure.textContent = why;
      this.insecure.hidden = false;
      return;
    }
    this.button.addEventListener("click", () => (this.recorder ? this.recorder.stop() : this.#record()));
  }

  async #record() {
    this.button.disabled = true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      const recorder = (this.recorder = new MediaRecorder(stream));
      const pieces = [];
      recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
      recorder.addEventListener("stop", () => {
        stream.getTracks().forEach((track) => track.stop());
        this.recorder = undefined;
        this.#recording(false);
        const sound = new Blob(pieces, { type: recorder.mimeType });
        if (sound.size < AT_LEAST) say(this.told, "That was too short to hear anything.", "bad");
        else this.hear(sound, recorder.mimeType.includes("mp4") ? "recording.m4a" : "recording.webm");
      });
      recorder.start();
      this.#recording(true);
    } catch (error) {
      this.recorder = undefined;
      say(this.told, microphone(error), "bad");
    } finally {
      this.button.disabled = false;
    }
  }

  #recording(on) {
    this.button.querySelector("span").textContent = on ? "Stop" : "Record";
    this.button.toggleAttribute("data-recording", on);
    clearInterval(this.clock);
    if (!on) return;
    const began = performance.now();
    say(this.told, "Recording. Press Stop when you have said it.");
    this.clock = setInterval(() => {
      const seconds = Math.floor((performance.now() - began) / 1000);
      this.button.querySelector("span").textContent = `Stop (${seconds} s)`;
    }, 500);
  }
}

// Why this page cannot record, if it cannot.
function whyNot() {
  if (!isSecureContext) {
    const here = `http://localhost${location.port ? `:${location.port}` : ""}`;
    return `Browsers give a page the microphone only over HTTPS or on localhost. On the gateway's own machine open ${here}; elsewhere put HTTPS before the gateway. Files work here all the same.`;
  }
  if (!navigator.mediaDevices || !globalThis.MediaRecorder) return "This browser cannot record. Files work all the same.";
  return "";
}

function microphone(error) {
  if (error.name === "NotAllowedError") return "The browser was told not to give this page the microphone.";
  if (error.name === "NotFoundError") return "No microphone was found.";
  return `The microphone cannot be used: ${error.message}`;
}
