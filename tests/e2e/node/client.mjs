// OpenAI's Node client against a running server: prints one line per check, exits 1 on the first that fails.
// Environment: BASE_URL, API_KEY, MODEL, NODE_EXTRA_CA_CERTS.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const model = process.env.MODEL;
const messages = [{ role: 'user', content: 'What is the capital of Japan? Answer in one short sentence.' }];

const checks = {
  async 'a whole answer'() {
    const answer = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 48 });
    assert.match(answer.choices[0].message.content, /Tokyo/);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  },
  async 'a stream with usage'() {
    const stream = await client.chat.completions.create({
      model, messages, temperature: 0, max_tokens: 48, stream: true, stream_options: { include_usage: true },
    });
    let text = '';
    let usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? '';
      usage = chunk.usage ?? usage;
    }
    assert.match(text, /Tokyo/);
    assert.ok(usage.completion_tokens > 1);
  },
  async 'a stream that is left'() {
    const stream = await client.chat.completions.create({ model, messages, max_tokens: 2000, stream: true });
    for await (const chunk of stream) {
      assert.ok(chunk.id);
      break;
    }
    stream.controller.abort();
  },
  async 'a tool call'() {
    const answer = await client.chat.completions.create({
      model, messages, temperature: 0, max_tokens: 200, tool_choice: 'required',
      tools: [{ type: 'function', function: { name: 'look_up', parameters: {
        type: 'object', properties: { what: { type: 'string', maxLength: 30 } }, required: ['what'],
        additionalProperties: false } } }],
    });
    const call = answer.choices[0].message.tool_calls[0];
    assert.equal(call.function.name, 'look_up');
    assert.equal(typeof JSON.parse(call.function.arguments).what, 'string');
  },
  async 'structured output'() {
    const answer = await client.chat.completions.create({
      model, messages, temperature: 0, max_tokens: 100,
      response_format: { type: 'json_schema', json_schema: { name: 'city', strict: true, schema: {
        type: 'object', properties: { city: { type: 'string', maxLength: 20 } }, required: ['city'],
        additionalProperties: false } } },
    });
    assert.equal(typeof JSON.parse(answer.choices[0].message.content).city, 'string');
  },
  async 'a response, streamed'() {
    const stream = await client.responses.create({
      model, input: messages[0].content, temperature: 0, max_output_tokens: 48, stream: true,
    });
    let text = '';
    let last = '';
    for await (const event of stream) {
      last = event.type;
      if (event.type === 'response.output_text.delta') text += event.delta;
    }
    assert.match(text, /Tokyo/);
    assert.match(last, /^response\.(completed|incomplete)$/);
  },
  async 'the models'() {
    const list = await client.models.list();
    assert.ok(list.data.some((entry) => entry.id === model));
  },
  async 'an error with its status'() {
    await assert.rejects(
      client.chat.completions.create({ model, messages: [] }),
      (error) => error instanceof OpenAI.BadRequestError && error.status === 400 && error.message.length > 10,
    );
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAILED ${name}: ${error.stack ?? error}`);
    process.exitCode = 1;
    break;
  }
}
