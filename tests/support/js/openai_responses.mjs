/**
 * The openai package against /v1/responses, as its users write it.
 *
 *   {base_url, api_key?, do, model?, input?, body?, cut_after?, starting_after?, response_id?, retries?}
 *
 * do:
 *   create             create(body), not streamed                        {"type": "response", response}
 *   stream             create({stream: true}) to the end, or up to       {"type": "event", leg, event} each, then
 *                      `cut_after` events, where the reader breaks off   {"type": "cut", response_id, starting_after} or "end"
 *   create_cut_resume  create({background: true, stream: true}), broken off after `cut_after` events (a number, or several:
 *                      each its own response), then retrieve(id, {stream: true, starting_after}) to the end
 *   resume             retrieve(response_id, {stream: true, starting_after}), also with `cut_after`
 *   helper             responses.stream({response_id, starting_after}), or without `response_id` responses.stream(body): the
 *                      helper that reads all events into a response
 *   retrieve, cancel, delete, input_items        {"type": "response" | "deleted" | "items", …}
 *   models             models.list()
 *   completion         chat.completions.create(body), streamed where body.stream: "chunk" each, or {"type": "completion"}
 *
 * `body` goes into what is created as it is. What fails is said: {"type": "error", error: {name, status, code, param, message}}.
 * The last line is {"type": "end"}.
 */
import OpenAI from "openai";
import { say, task, told } from "./say.mjs";

const client = new OpenAI({
  baseURL: task.base_url,
  apiKey: task.api_key ?? "unused",
  maxRetries: task.retries ?? 0,
});
const asked = {
  model: task.model ?? "demo",
  ...(task.input === undefined ? {} : { input: task.input }),
  ...task.body,
};

/** Reads a stream, and breaks off after so many events; what the reader needs to go on. */
async function read(stream, leg, cutAfter = Number.POSITIVE_INFINITY) {
  const place = { response_id: task.response_id ?? null, starting_after: null, events: 0, ended: false };
  for await (const event of stream) {
    say("event", { leg, event });
    place.response_id = event.response?.id ?? place.response_id;
    place.starting_after = event.sequence_number ?? place.starting_after;
    place.events += 1;
    // `break` aborts the request, which closes its connection.
    if (place.events >= cutAfter) return place;
  }
  return { ...place, ended: true };
}

async function resumed(id, startingAfter, leg, cutAfter) {
  const query = { stream: true, ...(startingAfter === null ? {} : { starting_after: startingAfter }) };
  return await read(await client.responses.retrieve(id, query), leg, cutAfter);
}

const WORK = {
  async create() {
    say("response", { response: await client.responses.create(asked) });
  },
  async stream() {
    const place = await read(await client.responses.create({ ...asked, stream: true }), 0, task.cut_after);
    if (!place.ended) say("cut", place);
  },
  async create_cut_resume() {
    for (const [leg, cutAfter] of [task.cut_after].flat().entries()) {
      const created = await client.responses.create({ ...asked, background: true, stream: true });
      const place = await read(created, leg, cutAfter);
      say("cut", { leg, cut_after: cutAfter, ...place });
      if (!place.ended) await resumed(place.response_id, place.starting_after, leg);
    }
  },
  async resume() {
    const place = await resumed(task.response_id, task.starting_after ?? null, 0, task.cut_after);
    if (!place.ended) say("cut", place);
  },
  async helper() {
    const again = {
      response_id: task.response_id,
      ...(task.starting_after === undefined ? {} : { starting_after: task.starting_after }),
    };
    const stream = client.responses.stream(task.response_id === undefined ? asked : again);
    for await (const event of stream) say("event", { leg: 0, event });
    say("response", { response: await stream.finalResponse() });
  },
  async retrieve() {
    say("response", { response: await client.responses.retrieve(task.response_id) });
  },
  async cancel() {
    say("response", { response: await client.responses.cancel(task.response_id) });
  },
  async delete() {
    await client.responses.delete(task.response_id);
    say("deleted");
  },
  async input_items() {
    const items = [];
    for await (const item of client.responses.inputItems.list(task.response_id, task.body ?? {}))
      items.push(item);
    say("items", { items });
  },
  async models() {
    const models = [];
    for await (const model of client.models.list()) models.push(model);
    say("models", { models });
  },
  async completion() {
    const { input, ...body } = asked;
    if (input !== undefined) body.messages ??= [{ role: "user", content: input }];
    const made = await client.chat.completions.create(body);
    if (!body.stream) say("completion", { completion: made });
    else for await (const chunk of made) say("chunk", { chunk });
  },
};

if (!Object.hasOwn(WORK, task.do)) throw new Error(`there is no ${task.do} to do`);
try {
  await WORK[task.do]();
} catch (error) {
  say("error", { error: told(error) });
}
say("end");
