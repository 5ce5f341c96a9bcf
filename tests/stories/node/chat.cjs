// An unmodified openai client for Node that talks to language models: prints what it was given, as one line of JSON.
const OpenAI = require("openai");

const [baseURL, chats, embeds] = process.argv.slice(2);
const openai = new OpenAI({ baseURL, apiKey: "anything", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello from Node." }];

async function main() {
  const models = (await openai.models.list()).data.map((model) => model.id);
  const whole = await openai.chat.completions.create({ model: chats, messages });

  let streamed = "";
  for await (const chunk of await openai.chat.completions.create({ model: chats, messages, stream: true })) {
    streamed += chunk.choices[0].delta.content ?? "";
  }
  let answered = "";
  for await (const event of await openai.responses.create({ model: chats, input: "Hello again.", stream: true })) {
    if (event.type === "response.output_text.delta") answered += event.delta;
  }
  const vectors = await openai.embeddings.create({ model: embeds, input: ["a", "bc"], encoding_format: "float" });
  const refused = await openai.chat.completions
    .create({ model: chats, messages: [{ role: "user", content: "word ".repeat(5000) }] })
    .catch((error) => ({ name: error.constructor.name, status: error.status, code: error.code, requestID: error.requestID }));

  console.log(JSON.stringify({
    models, whole: whole.choices[0].message.content, streamed, answered,
    vectors: vectors.data.map((each) => each.embedding), refused,
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
