// Orders to the gateway: what a button has done, and what came of it in words beside it.

export async function order(path, body = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The gateway does not answer.");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error?.message ?? `The gateway answered ${answer.status}.`);
  return told;
}

export function say(element, text, tone = "") {
  element.textContent = text;
  if (tone) element.dataset.tone = tone;
  else delete element.dataset.tone;
}

async function press(button) {
  const { post, body, done, busy, answer: named } = button.dataset;
  const answer = document.getElementById(named) ?? button.closest(".card").querySelector(".answer");
  button.closest("dialog")?.close();
  button.setAttribute("aria-busy", "true");
  say(answer, busy ? `${busy} …` : "");
  try {
    const engine = await order(post, JSON.parse(body ?? "{}"));
    const failed = post.endsWith("/probe") && engine.last_probe && !engine.last_probe.passed;
    say(answer, failed ? `The probe failed: ${engine.last_probe.detail}` : done, failed ? "bad" : "ok");
  } catch (error) {
    say(answer, error.message, "bad");
  } finally {
    button.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.opens) document.getElementById(button.dataset.opens).showModal();
  else if ("closes" in button.dataset) button.closest("dialog").close();
  else if (button.dataset.post && button.getAttribute("aria-busy") !== "true") press(button);
});

document.addEventListener("click", (event) => {
  // Outside of an open dialog lies its backdrop, which is the dialog itself to the browser.
  if (event.target.nodeName !== "DIALOG") return;
  const box = event.target.getBoundingClientRect();
  const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  if (!inside) event.target.close();
});
