/**
 * One chat's thread: its messages as a tree, and the branch of it that is shown.
 *
 * The tree is built anew when its structure changes, which costs what there is of messages; a change of status costs one
 * message; a delta costs nothing here. Messages and their list keep their identity as long as they show the same.
 */
import type { Answer, Client, OutboxEntry, RequestRow, Submission } from "@sdk";
import { Cell, sameFields, sameList } from "./cell.ts";
import { Held } from "./held.ts";
import { History } from "./history.ts";
import { asks, type Sent, SentList } from "./sent.ts";
import { Sources } from "./sources.ts";
import { isEnded } from "./status.ts";
import { ROOT, Tree, type TreeNode } from "./tree.ts";
import type { ThreadMessage, ThreadState } from "./types.ts";

/** A thread's own part of ThreadState: all but what its chat's row says. */
export type ThreadView = Omit<ThreadState, "agent" | "title">;

/** Where the person's choices of branches are kept. */
export interface ChoiceStore {
  of(chatId: string): ReadonlyMap<string, string>;
  choose(chatId: string, fork: string, id: string): void;
}

/** See the module's text. */
export class Thread {
  readonly chatId: string;
  readonly view: Cell<ThreadView>;
  readonly #choices: ChoiceStore;
  readonly #history: History;
  readonly #sent: SentList;
  readonly #held: Held;
  readonly #sources: Sources;
  readonly #hidden = new Set<string>();
  /** What was published last of the answers that may still change, of any branch. */
  readonly #shown = new Map<string, ThreadMessage | null>();
  #nodes: ReadonlyMap<string, TreeNode> = new Map();
  #tree = new Tree(this.#nodes);
  #path: readonly string[] = [];
  #opened = 0;
  /** Made here and not yet sent to: the server is not asked for it. */
  #fresh: boolean;

  constructor(client: Client, chatId: string, choices: ChoiceStore, fresh: boolean) {
    this.chatId = chatId;
    this.#choices = choices;
    this.#fresh = fresh;
    this.#history = new History(client, chatId, (requests) => this.#historyChanged(requests));
    this.#sent = new SentList(client, chatId);
    this.#held = new Held((id) => this.#answerChanged(id));
    this.#sources = new Sources(client, this.#history, this.#sent, this.#held);
    this.view = new Cell<ThreadView>({
      chatId,
      loading: !fresh,
      error: "",
      missing: false,
      messages: [],
      head: null,
      hasOlder: false,
      loadingOlder: false,
      running: [],
      loadOlder: () => void this.#history.older(),
      branch: (messageId, step) => this.#step(messageId, step),
      reload: () => void this.refresh(),
      reveal: (messageId) => this.reveal(messageId),
    });
    this.followOutbox(client.outbox.get());
  }

  /** It is on screen: follow what runs, look what is new. Until the returned function is called. */
  open(): () => void {
    if (this.#opened++ === 0) {
      // From now on the history shows what has ended, see sources.ts.
      for (const [id, row] of this.#history.rows) if (row.transcript) this.#held.drop(id);
      this.#held.start();
      this.rebuild();
      void this.refresh();
    }
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      if (--this.#opened === 0) this.#held.stop();
    };
  }

  /** On screen now. */
  get isOpen(): boolean {
    return this.#opened > 0;
  }

  /** Look what is new on the server. Never rejects. */
  async refresh(): Promise<void> {
    if (!this.#fresh) await this.#history.refresh();
  }

  /** The outbox changed. */
  followOutbox(entries: readonly OutboxEntry[]): void {
    const had = this.#sent.all.size;
    const look = this.#sent.follow(entries);
    if (had === 0 && this.#sent.all.size === 0) return;
    this.#fresh &&= this.#sent.all.size === 0;
    for (const sent of this.#sent.all.values()) this.#held.add(sent.requestId, sent.answer);
    this.rebuild();
    if (look) void this.refresh();
  }

  /** The feed told of a request of this chat. */
  requestChanged(row: RequestRow): void {
    if (!this.#sources.remember(row)) return;
    this.#fresh = false;
    if (row.deleted) {
      this.deleted(row.request_id);
      void this.refresh(); // the question may have gone with it
      return;
    }
    if (this.#nodes.has(row.request_id)) this.#answerChanged(row.request_id);
    else if (row.message_id !== null && this.#nodes.has(row.message_id)) this.rebuild();
    const followed = this.isOpen && this.#held.get(row.request_id) !== undefined;
    const stored = this.#history.rows.get(row.request_id)?.transcript ?? null;
    if (!this.#nodes.has(row.request_id) || (isEnded(row.status) && !stored && !followed))
      void this.refresh();
  }

  /** Put a submission of the person's on screen, before anything has come of it. */
  show(submission: Submission, answer: Answer, at: number): void {
    this.#fresh = false;
    if (!this.#sent.all.has(answer.requestId)) this.#sent.add(submission, answer, at);
    this.#held.add(answer.requestId, answer);
    this.rebuild(asks(submission) ? submission.message_id : answer.requestId);
  }

  /** Do not show this message and what is under it; the returned function shows it again. */
  hide(messageId: string): () => void {
    this.#hidden.add(messageId);
    this.rebuild();
    return () => {
      this.#hidden.delete(messageId);
      this.rebuild();
    };
  }

  /** This message was deleted, and all under it; or it was withdrawn. */
  deleted(messageId: string): void {
    this.#sources.forget(new Tree(this.#sources.nodes()).subtree(messageId));
    this.#hidden.delete(messageId);
    this.rebuild();
  }

  /** Show the branch that a message is on, loading older pages until it is there. False if there is no such message. */
  async reveal(messageId: string): Promise<boolean> {
    if (!this.#nodes.has(messageId) && !(await this.#history.until(messageId))) return false;
    if (!this.#nodes.has(messageId)) this.rebuild();
    if (!this.#nodes.has(messageId)) return false;
    for (let id: string | null = messageId; id !== null; id = this.#nodes.get(id)?.parentId ?? null) {
      const node = this.#nodes.get(id);
      if (node && this.#tree.siblings(id).length > 1)
        this.#choices.choose(this.chatId, node.parentId ?? ROOT, id);
    }
    this.rebuild(messageId);
    return true;
  }

  /** A message of any branch. */
  message(id: string): ThreadMessage | null {
    const node = this.#nodes.get(id);
    return node ? this.#sources.message(node, this.#tree) : null;
  }

  /** The submission that brought this message of the person, while the history does not have it. */
  sentBy(messageId: string): Sent | undefined {
    return this.#sent.ofMessage(messageId);
  }

  /** The submission of this request, while the history does not have it. */
  sent(requestId: string): Sent | undefined {
    return this.#sent.all.get(requestId);
  }

  /** What a new message goes under: the last visible message that the server has or will have. */
  get end(): string | null {
    return this.#path.findLast((id) => this.message(id)?.refusal === "") ?? null;
  }

  /** The tree is another one: build it, and show `chosen`'s branch, else the one that was shown. */
  rebuild(chosen?: string): void {
    const nodes = this.#sources.nodes();
    let tree = new Tree(nodes);
    if (this.#hidden.size > 0) {
      for (const id of this.#hidden) for (const gone of tree.subtree(id)) nodes.delete(gone);
      tree = new Tree(nodes);
    }
    this.#nodes = nodes;
    this.#tree = tree;
    const node = chosen === undefined ? undefined : nodes.get(chosen);
    // The only message of a fork needs no choice.
    if (node && tree.siblings(node.id).length > 1)
      this.#choices.choose(this.chatId, node.parentId ?? ROOT, node.id);
    this.#path = tree.branch(node ? [node.id] : this.#path, this.#choices.of(this.chatId));
    this.#publish();
  }

  #historyChanged(requests: readonly RequestRow[]): void {
    for (const row of requests) this.#sources.remember(row);
    this.#sent.settle((id) => this.#history.rows.has(id));
    this.rebuild();
  }

  #step(messageId: string, step: -1 | 1): void {
    // From the one that is shown: whoever walks several steps may still name the one that was.
    const siblings = this.#tree.siblings(messageId);
    const index = siblings.findIndex((id) => this.#path.includes(id));
    const other = index < 0 ? undefined : siblings[index + step];
    if (other !== undefined) this.rebuild(other);
  }

  #answerChanged(id: string): void {
    const last = this.#shown.get(id);
    if (this.message(id) !== last) this.#publish();
  }

  #publish(): void {
    const last = this.view.get();
    const messages = this.#path.map((id) => this.#sources.message(this.#nodes.get(id)!, this.#tree));
    const running = this.#held.ids().filter((id) => this.#nodes.has(id) && this.#sources.isRunning(id));
    const { trouble, loaded, hasOlder, loadingOlder } = this.#history;
    const next: ThreadView = {
      ...last,
      loading: !loaded && !this.#fresh && messages.length === 0 && trouble.error === "",
      error: trouble.error,
      missing: trouble.missing && this.#nodes.size === 0,
      messages: sameList(last.messages, messages),
      head: this.#path.at(-1) ?? null,
      hasOlder,
      loadingOlder,
      running: sameList(last.running, this.#held.pick(running)),
    };
    this.#shown.clear();
    for (const id of this.#held.ids()) this.#shown.set(id, this.message(id));
    if (!sameFields(last, next)) this.view.set(next);
  }
}
