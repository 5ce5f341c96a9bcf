// What a program of the visitor's own would say, with the text and the voice of the page in it.

export async function copy(text, button) {
  const words = button.querySelector("span:last-of-type") ?? button.lastChild;
  const before = words.textContent;
  words.textContent = (await copied(text)) ? "Copied" : "Not copied";
  setTimeout(() => (words.textContent = before), 1800);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A page over plain HTTP has no clipboard; the old way still works there.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export class Snippets {
  constructor(box) {
    this.box = box;
    this.tabs = [...box.querySelectorAll('[role="tab"]')];
    this.panels = this.tabs.map((tab) => document.getElementById(tab.getAttribute("aria-controls")));
    this.tabs.forEach((tab, index) => {
      tab.addEventListener("click", () => this.#show(index));
      tab.addEventListener("keydown", (event) => this.#move(event, index));
    });
    const button = box.querySelector("#try-copy");
    button.addEventListener("click", () => copy(this.#shown(), button));
    const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
    box.querySelector("#try-local").hidden = !local;
    this.#fill("origin", () => location.origin);
  }

  speech(text, voice) {
    this.#fill("text", (shell) => quoted(text, shell));
    this.#fill("voice", (shell, bare) => (bare ? voice : quoted(voice, shell)));
  }

  #fill(name, write) {
    for (const each of this.box.querySelectorAll(`[data-fill="${name}"]`)) {
      each.textContent = write(Boolean(each.closest("[data-shell]")), "bare" in each.dataset);
    }
  }

  #shown() {
    return `${this.panels.find((panel) => !panel.hidden).querySelector("pre").textContent.trim()}\n`;
  }

  #show(chosen) {
    this.tabs.forEach((tab, index) => {
      tab.setAttribute("aria-selected", String(index === chosen));
      tab.tabIndex = index === chosen ? 0 : -1;
      this.panels[index].hidden = index !== chosen;
    });
  }

  #move(event, index) {
    const last = this.tabs.length - 1;
    const to = {
      ArrowRight: index === last ? 0 : index + 1,
      ArrowLeft: index === 0 ? last : index - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#show(to);
    this.tabs[to].focus();
  }
}

// A string of JSON is one of Python too. In a shell it stands between single quotes.
function quoted(text, shell) {
  const json = JSON.stringify(text);
  return shell ? json.replaceAll("'", "'\\''") : json;
}
