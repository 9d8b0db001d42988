/**
 * A chat of the AI SDK without a page: the package's own transport and its own AbstractChat, which is what useChat is made of.
 *
 *   {sdk: "ai5" | "ai6" | "ai", api | ws_url, chat_id, do, text?, messages?, cut_after?, keep?, headers?, body?, params?, protocols?}
 *
 * With `ws_url` it is the WebSocketChatTransport, which only "ai" (7) has; else the DefaultChatTransport at `api`.
 *
 * do:
 *   send         sends `text` after `messages`, up to the end of the answer; with `cut_after` the connection is broken after
 *                that many chunks
 *   resume       resumes the chat, as a page does that was loaded with `messages`
 *   cut_resume   sends, is broken off after `cut_after` chunks (a number, or several: each its own chat, `chat_id` with -<n>),
 *                and resumes: as a new page that has the question only, or with `keep` as the same chat object
 *   stop         sends, and stops after `cut_after` chunks: chat.stop(); over HTTP also POST `api`/{id}/stop, as the SDK's
 *                guide has it
 *   regenerate   asks for the last message of `messages` again
 *
 * Says {"type": "chunk", leg, chunk} for each chunk that came in, {"type": "cut", leg}, and after each leg
 * {"type": "state", leg, status, error, messages}; last {"type": "end"}. `leg` counts what was sent or resumed, from 0.
 */
import { say, task, told } from "./say.mjs";

const SHOWN_MS = 25;
const SDK = { ai5: () => import("ai5"), ai6: () => import("ai6"), ai: () => import("ai") };
const { AbstractChat, DefaultChatTransport, WebSocketChatTransport } = await SDK[task.sdk]();

/** Where a chat keeps what it shows; a framework keeps it in its own. */
class State {
  status = "ready";
  error = undefined;
  snapshot = (value) => structuredClone(value);

  constructor(messages) {
    this.messages = messages;
  }

  pushMessage = (message) => {
    this.messages = [...this.messages, message];
  };
  popMessage = () => {
    this.messages = this.messages.slice(0, -1);
  };
  replaceMessage = (index, message) => {
    this.messages = this.messages.with(index, structuredClone(message));
  };
}

class Chat extends AbstractChat {
  constructor(id, messages, transport) {
    super({ id, transport, state: new State(messages) });
  }
}

/** What happens on the wire of one chat: which leg it is, how many chunks came in it, and what to do after some of them. */
class Wire {
  leg = -1;
  chunks = 0;
  after = Number.POSITIVE_INFINITY;
  act = () => {};

  begin(after = Number.POSITIVE_INFINITY, act = () => {}) {
    this.leg += 1;
    this.chunks = 0;
    this.after = after;
    this.act = act;
  }

  /** Counts one chunk; true where it is the last to get through. */
  took(chunk) {
    this.chunks += 1;
    say("chunk", { leg: this.leg, chunk });
    if (this.chunks !== this.after) return false;
    const cuts = this.act === cut;
    if (cuts) say("cut", { leg: this.leg, chunks: this.chunks });
    else shown().then(this.act);
    return cuts;
  }
}
const cut = () => {};

/** Time for the chat to take a chunk in, so that it can be said what it shows when the connection breaks. */
const shown = () => new Promise((resume) => setTimeout(resume, SHOWN_MS));

/** A fetch that reads along, and breaks the connection where the wire says so. */
function fetchThrough(wire) {
  return async (url, init) => {
    const connection = new AbortController();
    const signal = init?.signal ? AbortSignal.any([init.signal, connection.signal]) : connection.signal;
    const response = await fetch(url, { ...init, signal });
    if (!response.ok || response.body === null) return response;
    const decoder = new TextDecoder();
    const encoder = new TextEncoder();
    let text = "";
    const through = new TransformStream({
      async transform(bytes, out) {
        text += decoder.decode(bytes, { stream: true });
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const frame = text.slice(0, end + 2);
          text = text.slice(end + 2);
          out.enqueue(encoder.encode(frame));
          const data = frame.startsWith("data: ") ? frame.slice(6).trim() : "";
          if (data === "" || data === "[DONE]") continue;
          if (wire.took(JSON.parse(data))) {
            await shown();
            connection.abort();
            // As fetch says it of a connection that broke.
            out.error(new TypeError("terminated"));
            return;
          }
        }
      },
    });
    const body = response.body.pipeThrough(through);
    return new Response(body, { status: response.status, headers: response.headers });
  };
}

/** A WebSocket that reads along, and breaks off where the wire says so. */
function socketThrough(wire) {
  return class extends WebSocket {
    constructor(...asked) {
      super(...asked);
      let broken = false;
      this.addEventListener("message", (event) => {
        if (broken) return event.stopImmediatePropagation();
        const frame = JSON.parse(event.data);
        if (frame.type !== "chunk") return;
        if (wire.took(frame.chunk)) {
          broken = true;
          // There is no way to drop a socket without a word.
          shown().then(() => this.close());
        }
      });
    }
  };
}

function transportOver(wire) {
  const shared = { headers: task.headers, body: task.body };
  if (task.ws_url !== undefined) {
    return new WebSocketChatTransport({
      ...shared,
      url: task.ws_url,
      params: task.params,
      protocols: task.protocols,
      webSocket: socketThrough(wire),
    });
  }
  return new DefaultChatTransport({ ...shared, api: task.api, fetch: fetchThrough(wire) });
}

/** One chat, as one page has it. */
function opened(id, wire, messages = task.messages ?? []) {
  const transport = transportOver(wire);
  const chat = new Chat(id, messages, transport);
  const state = () =>
    say("state", { leg: wire.leg, status: chat.status, error: told(chat.error), messages: chat.messages });
  // A socket that is left open would keep the program.
  return { chat, state, close: () => transport.close?.() };
}

async function sendAndResume(id, cutAfter) {
  const wire = new Wire();
  const first = opened(id, wire);
  wire.begin(cutAfter, cut);
  await first.chat.sendMessage({ text: task.text });
  first.state();
  let page = first;
  if (!task.keep) {
    first.close();
    page = opened(
      id,
      wire,
      first.chat.messages.slice(0, first.chat.messages.findLastIndex((m) => m.role === "user") + 1),
    );
  }
  wire.begin();
  await page.chat.resumeStream();
  page.state();
  page.close();
}

const WORK = {
  async send() {
    const wire = new Wire();
    const page = opened(task.chat_id, wire);
    wire.begin(task.cut_after, cut);
    await page.chat.sendMessage({ text: task.text });
    page.state();
    page.close();
  },
  async resume() {
    const wire = new Wire();
    const page = opened(task.chat_id, wire);
    wire.begin(task.cut_after, cut);
    await page.chat.resumeStream();
    page.state();
    page.close();
  },
  async cut_resume() {
    if (!Array.isArray(task.cut_after)) return await sendAndResume(task.chat_id, task.cut_after);
    for (const cutAfter of task.cut_after) await sendAndResume(`${task.chat_id}-${cutAfter}`, cutAfter);
  },
  async stop() {
    const wire = new Wire();
    const page = opened(task.chat_id, wire);
    let stopped = null;
    wire.begin(task.cut_after, async () => {
      await page.chat.stop();
      stopped = task.api
        ? (await fetch(`${task.api}/${task.chat_id}/stop`, { method: "POST", headers: task.headers })).status
        : 0;
    });
    await page.chat.sendMessage({ text: task.text });
    while (stopped === null && wire.chunks >= wire.after)
      await new Promise((resume) => setTimeout(resume, 5));
    say("stopped", { status: stopped });
    page.state();
    page.close();
  },
  async regenerate() {
    const wire = new Wire();
    const page = opened(task.chat_id, wire);
    wire.begin();
    await page.chat.regenerate();
    page.state();
    page.close();
  },
};

if (!Object.hasOwn(WORK, task.do)) throw new Error(`there is no ${task.do} to do`);
await WORK[task.do]();
say("end");
