// An unmodified openai client for Node that has one base URL for everything: prints what it was given, as one line of JSON.
const fs = require("node:fs");
const OpenAI = require("openai");

const [baseURL, clip, model, embedder, voice] = process.argv.slice(2);
const openai = new OpenAI({ baseURL, apiKey: "anything", maxRetries: 0 });

async function main() {
  let chatted = "";
  const messages = [{ role: "user", content: "Hello from Node." }];
  for await (const chunk of await openai.chat.completions.create({ model, messages, stream: true })) {
    chatted += chunk.choices[0].delta.content ?? "";
  }
  const vectors = await openai.embeddings.create({ model: embedder, input: "a", encoding_format: "float" });
  const spoken = await openai.audio.speech.create({ model: "tts-1", voice, input: "Good evening.", response_format: "wav" });
  const heard = await openai.audio.transcriptions.create({ model: "whisper-1", file: fs.createReadStream(clip) });

  console.log(JSON.stringify({
    chatted,
    dimensions: vectors.data[0].embedding.length,
    sound: Buffer.from(await spoken.arrayBuffer()).toString("base64"),
    heard: heard.text,
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
