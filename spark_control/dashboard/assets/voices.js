// The list of voices, and the search in it.

const AGAIN = 3000; // ms; engines that are starting tell their voices when they are up
const AT_LAST = 60000; // ms; those that are not, may take their time

const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

export class Voices {
  constructor(list, search, found) {
    Object.assign(this, { list, search, found });
    this.#learn([...list.children]);
    search.addEventListener("input", () => this.#filter());
    search.addEventListener("keydown", (event) => this.#stepInto(event));
    if (this.count < 2) this.#askAgain();
  }

  get value() {
    return this.list.value;
  }

  // A sentence in the language of the voice that is picked.
  get sample() {
    return this.list.selectedOptions[0]?.closest("optgroup")?.dataset.sample;
  }

  #learn(entries) {
    this.groups = entries.map((each) => ({ each, options: [...each.querySelectorAll("option")] }));
    this.count = this.list.options.length;
    this.#tell(this.count - 1);
  }

  // Options that are only hidden would stay in some browsers' lists, so they are taken out.
  #filter() {
    const words = folded(this.search.value).split(/\s+/).filter(Boolean);
    const before = this.list.value;
    let shown = 0;
    this.list.replaceChildren();
    for (const { each, options } of this.groups) {
      if (!options.length) {
        if (!words.length) this.list.append(each);
        continue;
      }
      const fitting = options.filter((option) => {
        const text = folded(`${option.textContent} ${option.value} ${option.dataset.words} ${each.label}`);
        return words.every((word) => text.includes(word));
      });
      each.replaceChildren(...fitting);
      if (fitting.length) this.list.append(each);
      shown += fitting.length;
    }
    const kept = [...this.list.options].find((option) => option.value === before);
    if (kept) kept.selected = true;
    else if (this.list.options.length) this.list.options[0].selected = true;
    this.#tell(shown);
    if (this.list.value !== before) this.list.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #tell(number) {
    const searched = Boolean(this.search.value.trim());
    const voices = number === 1 ? "1 voice" : `${number} voices`;
    if (this.count < 2) this.found.textContent = "The engine has not told its voices yet.";
    else if (!number) this.found.textContent = "No voice is called that.";
    else this.found.textContent = searched ? `${voices} found` : voices;
  }

  #stepInto(event) {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      this.list.focus();
    } else if (event.key === "Enter") {
      event.preventDefault();
    }
  }

  async #askAgain(after = AGAIN) {
    await new Promise((done) => setTimeout(done, after));
    try {
      const answer = await fetch("/", { headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const list = page.getElementById(this.list.id);
      if (list?.options.length > 1) {
        this.list.replaceChildren(...list.children);
        this.#learn([...this.list.children]);
        this.#filter();
        return;
      }
    } catch {
      // the gateway is away: it is asked again
    }
    this.#askAgain(Math.min(2 * after, AT_LAST));
  }
}
