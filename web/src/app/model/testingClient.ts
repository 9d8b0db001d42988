/** A double of the SDK's client for the model's tests: rows, answers and replies are what the test says, when it says so. */
import {
  type Answer,
  type AnswerState,
  Cell,
  type ChatRow,
  type Client,
  CommandError,
  type ConnectionState,
  Feed,
  type FieldsOf,
  type MessageRow,
  type OutboxEntry,
  type Part,
  type RequestRow,
  type SubmissionInput,
} from "@sdk";
import { chat, entry } from "./testingRows.ts";

/** An answer whose state the test sets. */
export class FakeAnswer {
  readonly requestId: string;
  readonly state: Cell<AnswerState>;
  readonly shape: Cell<AnswerState>;
  holds = 0;

  constructor(requestId: string) {
    this.requestId = requestId;
    const state: AnswerState = {
      requestId,
      chatId: null,
      messageId: null,
      parentId: null,
      delivery: "accepted",
      refusal: null,
      status: "new",
      agent: "",
      attempt: 0,
      reason: "",
      parts: [],
      superseded: [],
      acceptedAt: null,
      startedAt: null,
      firstOutputAt: null,
      endedAt: null,
      usage: null,
      outcome: null,
      queued: null,
      offset: 0,
      sync: "paused",
      lostReason: "",
      verified: false,
    };
    this.state = new Cell(state);
    this.shape = new Cell(state);
  }

  /** The structure changed. */
  become(change: Partial<AnswerState>): void {
    this.state.set({ ...this.state.get(), ...change });
    this.shape.set(this.state.get());
  }

  /** Text arrived: the structure stays. */
  delta(parts: readonly Part[]): void {
    this.state.set({ ...this.state.get(), parts, offset: this.state.get().offset + 1 });
  }

  hold(): () => void {
    this.holds += 1;
    return () => {
      this.holds -= 1;
    };
  }
}

type Call = { readonly type: string; readonly fields: Record<string, unknown> };

/** See the module's text. */
export class FakeClient {
  readonly connection = new Cell({ phase: "online", user: "u" } as ConnectionState);
  readonly feed: Feed = new Feed(() => this.feed?.flush());
  readonly outbox = new Cell<readonly OutboxEntry[]>([]);
  readonly answers = new Map<string, FakeAnswer>();
  readonly calls: Call[] = [];
  /** What the server holds. */
  messages: MessageRow[] = [];
  chats: ChatRow[] = [];
  requests: RequestRow[] = [];
  pageRows = 100;
  clock = 1_000;
  /** Instead of the reply: an error for this command, or a promise to wait for first. */
  readonly failing = new Map<string, CommandError>();
  readonly gates = new Map<string, Promise<void>>();

  /** As the SDK's type. */
  get sdk(): Client {
    return this as unknown as Client;
  }

  now(): number {
    return this.clock;
  }

  answer(requestId: string): Answer {
    return this.fake(requestId) as unknown as Answer;
  }

  fake(requestId: string): FakeAnswer {
    let answer = this.answers.get(requestId);
    if (!answer) {
      answer = new FakeAnswer(requestId);
      this.answers.set(requestId, answer);
    }
    return answer;
  }

  submit(submission: SubmissionInput): Answer {
    const requestId = submission.request_id as string;
    this.fake(requestId).become({ delivery: "outbox", status: "unsent" });
    this.list(entry(submission, this.clock));
    return this.answer(requestId);
  }

  /** Put an entry into the outbox, as this tab or another does. */
  list(added: OutboxEntry): void {
    this.outbox.set([...this.outbox.get(), added]);
  }

  /** The server took it. */
  accept(requestId: string): void {
    this.fake(requestId).become({ delivery: "accepted", status: "queued" });
    this.#unlist(requestId);
  }

  /** The server refused it. */
  refuse(requestId: string, message: string): void {
    const refusal = new CommandError("invalid", message);
    this.fake(requestId).become({ delivery: "refused", refusal });
    this.outbox.set([...this.outbox.get()]);
  }

  async withdraw(requestId: string): Promise<boolean> {
    this.calls.push({ type: "withdraw", fields: { requestId } });
    if (!this.outbox.get().some((each) => each.requestId === requestId)) return false;
    this.fake(requestId).become({ refusal: new CommandError("withdrawn", "") });
    this.#unlist(requestId);
    return true;
  }

  retry(requestId: string): void {
    this.calls.push({ type: "retry", fields: { requestId } });
  }

  async cancel(requestId: string) {
    this.calls.push({ type: "cancel", fields: { requestId } });
    return { won: true, status: "cancelled" as const };
  }

  async decide(): Promise<void> {}

  async clearOutbox(): Promise<void> {
    this.calls.push({ type: "clearOutbox", fields: {} });
    await this.gates.get("clearOutbox");
    this.outbox.set([]);
  }

  close(): void {
    this.calls.push({ type: "close", fields: {} });
  }

  async call(type: string, fields: Record<string, unknown>): Promise<unknown> {
    this.calls.push({ type, fields });
    await this.gates.get(type);
    const error = this.failing.get(type);
    if (error) throw error;
    return this.#reply(type, fields);
  }

  /** The commands of one type that were sent. */
  sent(type: string): Record<string, unknown>[] {
    return this.calls.filter((call) => call.type === type).map((call) => call.fields);
  }

  #unlist(requestId: string): void {
    this.outbox.set(this.outbox.get().filter((each) => each.requestId !== requestId));
  }

  #reply(type: string, fields: Record<string, unknown>): unknown {
    switch (type) {
      case "list_messages":
        return this.#page(fields as FieldsOf<"list_messages">);
      case "list_chats":
        return { chats: this.chats.filter((row) => row.archived === fields.archived), next: null };
      case "list_requests":
        return { requests: this.requests, next: null };
      case "update_chat": {
        const { chat_id: id, seen, ...change } = fields;
        const held = this.feed.chats.get().get(id as string) ?? chat(id as string);
        const seenAt = seen ? Math.max(this.clock, held.updated_at) : held.seen_at;
        return { chat: { ...held, ...change, seen_at: seenAt, version: held.version + 1 } };
      }
      case "restore_chat": {
        const held = this.feed.chats.get().get(fields.chat_id as string)!;
        return { chat: { ...held, deleted: false, version: held.version + 1 } };
      }
      case "list_agents":
        return { agents: [{ name: "demo", description: "", model: "", default: true }] };
      case "search":
        return { hits: [], next: null };
      default:
        return {};
    }
  }

  #page({ chat_id: chatId, before }: FieldsOf<"list_messages">) {
    const all = this.messages.filter((row) => row.chat_id === chatId);
    if (all.length === 0 && !this.chats.some((row) => row.chat_id === chatId))
      throw new CommandError("unknown_chat", "No such chat of yours; it may have been deleted.");
    all.sort((a, b) => b.created_at - a.created_at || (a.role === "assistant" ? -1 : 1));
    const start = before ? all.findIndex((row) => row.message_id === before) + 1 : 0;
    const end = start + this.pageRows;
    const requests = this.requests.filter((row) => row.chat_id === chatId);
    return {
      messages: all.slice(start, end),
      requests,
      next: end < all.length ? all[end - 1]!.message_id : null,
    };
  }
}
