// The official client: one answer whole, one as a stream, one error. Prints JSON.
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: 'none', maxRetries: 0 });
const messages = [{ role: 'user', content: 'Hello' }];
const whole = await client.chat.completions.create({ model: 'demo', messages, max_tokens: 8 });
const stream = await client.chat.completions.create({
  model: 'demo',
  messages,
  max_tokens: 8,
  stream: true,
});
let chunks = 0;
for await (const chunk of stream) chunks += chunk.choices.length ? 1 : 0;
let code = '';
try {
  await client.images.generate({ prompt: 'a cat' });
} catch (error) {
  code = error.code;
}
console.log(JSON.stringify({ tokens: whole.usage.completion_tokens, chunks, code }));
