// An unmodified openai client for Node: prints what it was given, as one line of JSON.
const fs = require("node:fs");
const OpenAI = require("openai");

const [baseURL, clip] = process.argv.slice(2);
const openai = new OpenAI({ baseURL, apiKey: "anything", maxRetries: 0 });

async function main() {
  const models = (await openai.models.list()).data.map((model) => model.id);
  const model = await openai.models.retrieve("tts-1");

  const spoken = await openai.audio.speech.create({
    model: "tts-1", voice: "alloy", input: "Hello from Node.", response_format: "wav",
  });
  const pieces = [];
  for await (const piece of spoken.body) pieces.push(Buffer.from(piece));

  const hear = (extra) =>
    openai.audio.transcriptions.create({ model: "whisper-1", file: fs.createReadStream(clip), ...extra });
  const json = await hear({});
  const text = await hear({ response_format: "text" });
  const verbose = await hear({ response_format: "verbose_json", timestamp_granularities: ["word", "segment"] });

  const refused = await openai.audio.speech
    .create({ model: "tts-1", voice: "nobody", input: "Hello." })
    .catch((error) => ({ name: error.constructor.name, status: error.status, code: error.code, message: error.message,
                         requestID: error.requestID }));

  console.log(JSON.stringify({
    models, voices: model.voices.length, contentType: spoken.headers.get("content-type"),
    sound: Buffer.concat(pieces).toString("base64"), json, text, verbose, refused,
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
