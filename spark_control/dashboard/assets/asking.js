// A request to the gateway: its answer, or an Error with a sentence for the person who waits.

export async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", ...options });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error("The gateway does not answer.");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Error(told.error?.message ?? `The gateway answered ${answer.status}.`);
}
