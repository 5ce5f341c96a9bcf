// Bare samples (16 bits, one channel) that are heard while they still arrive, and the same as a WAV file.

const LEAD = 0.06; // seconds between the first samples and their sound: room for a late packet

export class Player {
  constructor(rate) {
    this.rate = rate;
    this.context = new AudioContext({ sampleRate: rate });
    this.next = 0;
    this.pieces = [];
    this.odd = new Uint8Array(0);
  }

  // Whether this was the first sound.
  feed(bytes) {
    const all = new Uint8Array(this.odd.length + bytes.length);
    all.set(this.odd);
    all.set(bytes, this.odd.length);
    const even = all.length - (all.length % 2);
    this.odd = all.slice(even);
    if (!even) return false;
    const samples = new Int16Array(even / 2);
    const view = new DataView(all.buffer, 0, even);
    for (let index = 0; index < samples.length; index++) samples[index] = view.getInt16(2 * index, true);
    const first = !this.pieces.length;
    this.pieces.push(samples);
    this.#schedule(samples);
    return first;
  }

  #schedule(samples) {
    const buffer = this.context.createBuffer(1, samples.length, this.rate);
    const floats = buffer.getChannelData(0);
    for (let index = 0; index < samples.length; index++) floats[index] = samples[index] / 32768;
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    this.next = Math.max(this.next, this.context.currentTime + LEAD);
    source.start(this.next);
    this.next += buffer.duration;
  }

  get seconds() {
    return this.pieces.reduce((sum, piece) => sum + piece.length, 0) / this.rate;
  }

  // Seconds until all that has come was heard.
  get left() {
    return Math.max(0, this.next - this.context.currentTime);
  }

  async close() {
    if (this.context.state !== "closed") await this.context.close();
  }

  wav() {
    const size = this.pieces.reduce((sum, piece) => sum + 2 * piece.length, 0);
    const head = new DataView(new ArrayBuffer(44));
    const letters = (at, word) => [...word].forEach((each, index) => head.setUint8(at + index, each.charCodeAt(0)));
    letters(0, "RIFF");
    head.setUint32(4, 36 + size, true);
    letters(8, "WAVEfmt ");
    head.setUint32(16, 16, true);
    head.setUint16(20, 1, true);
    head.setUint16(22, 1, true);
    head.setUint32(24, this.rate, true);
    head.setUint32(28, 2 * this.rate, true);
    head.setUint16(32, 2, true);
    head.setUint16(34, 16, true);
    letters(36, "data");
    head.setUint32(40, size, true);
    return new Blob([head, ...this.pieces], { type: "audio/wav" });
  }

  // The sound as an SVG path of `bars` strokes in a box.
  outline(bars, width, height) {
    const total = this.pieces.reduce((sum, piece) => sum + piece.length, 0);
    const peaks = new Float32Array(bars);
    let at = 0;
    for (const piece of this.pieces) {
      for (let index = 0; index < piece.length; index++, at++) {
        const bar = Math.min(bars - 1, Math.floor((at / total) * bars));
        peaks[bar] = Math.max(peaks[bar], Math.abs(piece[index]) / 32768);
      }
    }
    const loudest = Math.max(0.05, ...peaks);
    const step = width / bars;
    return [...peaks]
      .map((peak, index) => {
        const half = Math.max(1, (peak / loudest) * (height / 2 - 1));
        return `M${((index + 0.5) * step).toFixed(1)} ${(height / 2 - half).toFixed(1)}v${(2 * half).toFixed(1)}`;
      })
      .join("");
  }
}

export function rateOf(answer) {
  const told = /rate=(\d+)/.exec(answer.headers.get("content-type") ?? "");
  return told ? Number(told[1]) : 24000;
}
