// Times in the reader's own words: "12 s ago", "in 4 s", "23:12". They tick while the page is open.

let ahead = 0; // how far this device's clock is ahead of the gateway's, in ms

export function setClock(iso) {
  ahead = Date.now() - Date.parse(iso);
}

export function lasting(seconds) {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  return seconds < 7170 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function ago(seconds) {
  if (seconds < 1) return "just now";
  if (seconds < 59.5) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.max(1, Math.floor(seconds / 60))} min ago`;
  return seconds < 172800 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} d ago`;
}

function clock(date) {
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const today = new Date(Date.now() - ahead).toDateString() === date.toDateString();
  return today ? time : `${date.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

function until(seconds) {
  if (seconds < 1) return "any moment";
  return seconds < 119.5 ? `in ${Math.ceil(seconds)} s` : `in ${Math.ceil(seconds / 60)} min`;
}

export function tick(root = document) {
  const now = Date.now() - ahead;
  for (const each of root.querySelectorAll("time[data-ago], time[data-clock], time[data-until]")) {
    const at = new Date(each.dateTime);
    const words =
      "ago" in each.dataset ? ago((now - at) / 1000)
      : "until" in each.dataset ? until((at - now) / 1000)
      : clock(at);
    if (each.textContent !== words) each.textContent = words;
    const whole = at.toLocaleString();
    if (each.title !== whole) each.title = whole;
  }
}

setInterval(() => tick(), 1000);
tick();
