/**
 * What a chat's messages are made of: the history's rows, what was submitted here and is not in the history yet, and the
 * requests that run. An answer's message has its request's id, so the three join by id.
 *
 * An answer that was followed here keeps being shown from what was followed, also when the history has it: nothing
 * flickers. Only when the chat is opened the next time the history takes over.
 */
import {
  type Client,
  DISTRUSTED,
  type MessageRow,
  type Part,
  type RequestRow,
  type Transcript,
  transcriptParts,
} from "@sdk";
import { sameFields } from "./cell.ts";
import type { Held } from "./held.ts";
import type { History } from "./history.ts";
import { asks, isAccepted, refusalOf, type SentList } from "./sent.ts";
import { answerStatus, isEnded, isLive } from "./status.ts";
import type { Tree, TreeNode } from "./tree.ts";
import type { MessageStatus, ThreadMessage } from "./types.ts";

/** Requests remembered of one chat: more never run at once, and those that ended are in the history. */
const REQUESTS_MAX = 1_000;

type Common = Pick<ThreadMessage, "id" | "parentId" | "createdAt" | "siblings" | "damaged">;

/** See the module's text. */
export class Sources {
  readonly #client: Client;
  readonly #history: History;
  readonly #sent: SentList;
  readonly #held: Held;
  readonly #requests = new Map<string, RequestRow>();
  readonly #messages = new Map<string, ThreadMessage>();
  readonly #parts = new WeakMap<Transcript, readonly Part[]>();

  constructor(client: Client, history: History, sent: SentList, held: Held) {
    this.#client = client;
    this.#history = history;
    this.#sent = sent;
    this.#held = held;
  }

  /** The row last seen of a request. */
  request(id: string): RequestRow | undefined {
    return this.#requests.get(id);
  }

  /** Take over a row. False if it is known, or older than what is known; of one version the row that came last holds. */
  remember(row: RequestRow): boolean {
    const last = this.#requests.get(row.request_id);
    const older = last && row.version !== DISTRUSTED && last.version > row.version;
    if (last === row || older) return false;
    this.#requests.delete(row.request_id);
    this.#requests.set(row.request_id, row);
    for (const [id, old] of this.#requests) {
      if (this.#requests.size <= REQUESTS_MAX) break;
      if (isEnded(old.status)) this.#requests.delete(id);
    }
    return true;
  }

  /** Nothing of these is known any more. */
  forget(ids: Iterable<string>): void {
    for (const id of ids) {
      this.#history.rows.delete(id);
      this.#requests.delete(id);
      this.#messages.delete(id);
      this.#held.drop(id);
      this.#sent.drop(id);
    }
  }

  /** All messages; answers that have not ended are attached, to be followed. */
  nodes(): Map<string, TreeNode> {
    const nodes = new Map<string, TreeNode>();
    for (const row of this.#history.rows.values()) {
      nodes.set(row.message_id, nodeOf(row));
      if (row.role === "assistant" && row.transcript === null && !isEnded(row.status ?? ""))
        this.#attach(row.message_id);
    }
    this.#addSent(nodes);
    for (const row of this.#requests.values()) {
      // Without its question an answer would stand alone, in the place of the whole thread; the history brings both.
      if (nodes.has(row.request_id) || row.message_id === null || !nodes.has(row.message_id)) continue;
      if (!isLive(row.status) && !this.#held.get(row.request_id)) continue;
      this.#attach(row.request_id);
      const { request_id: id, message_id: parentId, created_at: createdAt } = row;
      nodes.set(id, { id, parentId, role: "assistant", createdAt });
    }
    return nodes;
  }

  /** Whether an answer has no outcome and may still get one. */
  isRunning(id: string): boolean {
    const state = this.#held.get(id)?.state.get();
    if (!state) return false;
    const status = this.#status(id);
    return isLive(status) || (status === "unsent" && state.delivery !== "refused");
  }

  /** The message as it is shown; the same object as long as it shows the same. */
  message(node: TreeNode, tree: Tree): ThreadMessage {
    const row = this.#history.rows.get(node.id);
    const siblings = tree.siblings(node.id);
    const index = siblings.length > 1 ? siblings.indexOf(node.id) : 0;
    const count = Math.max(1, siblings.length);
    const last = this.#messages.get(node.id);
    const same = last?.siblings.index === index && last.siblings.count === count;
    const common: Common = {
      id: node.id,
      parentId: node.parentId,
      createdAt: node.createdAt,
      siblings: same ? last.siblings : { index, count },
      damaged: row?.damaged ?? false,
    };
    const next = node.role === "user" ? this.#asked(common, row) : this.#answered(common, row);
    if (last && sameFields(last, next)) return last;
    this.#messages.set(node.id, next);
    return next;
  }

  #addSent(nodes: Map<string, TreeNode>): void {
    for (const { requestId: id, submission, at: createdAt } of this.#sent.all.values()) {
      let parentId = submission.parent_id ?? null;
      if (asks(submission)) {
        const asked = submission.message_id;
        if (!nodes.has(asked)) nodes.set(asked, { id: asked, parentId, role: "user", createdAt });
        parentId = asked;
      }
      if (!nodes.has(id)) nodes.set(id, { id, parentId, role: "assistant", createdAt });
    }
  }

  #attach(requestId: string): void {
    if (!this.#held.get(requestId)) this.#held.add(requestId, this.#client.answer(requestId));
  }

  #status(id: string): MessageStatus {
    const state = this.#held.get(id)?.state.get() ?? null;
    return answerStatus(state, this.#requests.get(id), this.#history.rows.get(id)?.status ?? null);
  }

  #asked(common: Common, row: MessageRow | undefined): ThreadMessage {
    const sent = this.#sent.ofMessage(common.id);
    const unsent = !row && sent !== undefined && !isAccepted(sent);
    return {
      ...common,
      role: "user",
      text: row?.text ?? sent?.submission.text ?? "",
      answer: null,
      parts: null,
      told: null,
      status: unsent ? "unsent" : null,
      unsent,
      refusal: unsent ? refusalOf(sent.answer) : "",
    };
  }

  #answered(common: Common, row: MessageRow | undefined): ThreadMessage {
    const answer = this.#held.get(common.id) ?? null;
    // What cannot be followed any more is shown from the history, if that has it.
    const lost = answer?.state.get().sync === "lost" && row?.transcript;
    const shown = lost ? null : answer;
    const status = lost && row.status ? row.status : this.#status(common.id);
    return {
      ...common,
      role: "assistant",
      text: "",
      answer: shown,
      parts: shown || !row?.transcript ? null : this.#partsOf(row.transcript),
      told: shown ? null : (row?.transcript ?? null),
      status,
      unsent: status === "unsent",
      refusal: answer && status === "unsent" ? refusalOf(answer) : "",
    };
  }

  #partsOf(transcript: Transcript): readonly Part[] {
    let parts = this.#parts.get(transcript);
    if (!parts) {
      parts = transcriptParts(transcript);
      this.#parts.set(transcript, parts);
    }
    return parts;
  }
}

function nodeOf(row: MessageRow): TreeNode {
  return { id: row.message_id, parentId: row.parent_id, role: row.role, createdAt: row.created_at };
}
