/** The app's state as one value: every store, joined to one client and to the page around it. */
import type { Client } from "@sdk";
import { Chats } from "./chats.ts";
import type { DraftStore } from "./draftStore.ts";
import { Drafts } from "./drafts.ts";
import { InboxStore } from "./inbox.ts";
import { BranchChoices, MODES_KEY, modesIn, type PerChat, placesIn } from "./kept.ts";
import { Agents } from "./lookups.ts";
import { type Dataset, PreferenceStore } from "./preferences.ts";
import { Presence } from "./presence.ts";
import type { Surroundings } from "./surroundings.ts";
import { actionsOf } from "./threadActions.ts";
import { Threads } from "./threads.ts";
import { Tidings } from "./tidings.ts";
import type { ChatActions, Mode, ThreadActions, ToastInput } from "./types.ts";

/** What the model is joined to. */
export interface ModelParts {
  readonly client: Client;
  readonly around: Surroundings;
  /** The store of one user's drafts. */
  draftsOf(user: string): DraftStore;
  readonly dataset: Dataset;
  say(toast: ToastInput): void;
}

/** Chats whose actions are kept, so that they are the same objects. */
const ACTIONS_MAX = 100;

/** How long signing out may wait for the browser's storage. */
const FORGET_MS = 3_000;

/** See the module's text. `start` begins to follow the client; whoever made the client starts that. */
export class Model {
  readonly client: Client;
  readonly around: Surroundings;
  readonly presence: Presence;
  readonly chats: Chats;
  readonly threads: Threads;
  readonly inbox: InboxStore;
  readonly drafts: Drafts;
  readonly preferences: PreferenceStore;
  readonly agents: Agents;
  readonly modes: PerChat<Mode>;
  readonly places: PerChat<unknown>;
  readonly chatActions: ChatActions;
  readonly #tidings: Tidings;
  readonly #say: (toast: ToastInput) => void;
  readonly #actions = new Map<string, ThreadActions>();

  constructor(parts: ModelParts) {
    const { client, around } = parts;
    this.client = client;
    this.around = around;
    this.#say = (toast) => parts.say(toast);
    this.presence = new Presence(around.visible);
    this.drafts = new Drafts(
      (user) => parts.draftsOf(user),
      around,
      () => Date.now(),
    );
    this.chats = new Chats(client, this.presence, this.drafts.chats, this.#say);
    this.threads = new Threads(client, this.chats, new BranchChoices(around.local));
    this.inbox = new InboxStore(client, this.chats, this.presence, around.local);
    this.preferences = new PreferenceStore(around, parts.dataset);
    this.agents = new Agents(client);
    this.modes = modesIn(around.local);
    this.places = placesIn(around.session);
    this.#tidings = new Tidings({
      visible: around.visible,
      looking: this.presence.looking,
      after: around.after,
      say: this.#say,
      open: around.open,
      titleOf: (row) => this.chats.items.get().get(row.chat_id ?? "")?.title || row.title,
    });
    this.chatActions = chatActionsOf(this.chats);
  }

  /** Follow client and page, until the returned function is called; then it may be started again. */
  start(): () => void {
    const { client, around } = this;
    let online = false;
    let welcomed: string | null = null;
    const connected = () => {
      const { phase, user } = client.connection.get();
      if (user) this.drafts.belongTo(user);
      if (phase === "online") {
        // Somebody else: nothing of the one before may stay on screen or in memory.
        if (welcomed !== null && welcomed !== user) around.reload();
        welcomed = user;
      }
      const now = client.connection.get().phase === "online";
      if (now === online) return;
      online = now;
      if (!online) return;
      void this.agents.load();
      void this.inbox.load();
      this.chats.again();
      this.threads.again();
    };
    const ends = [
      this.presence.start(),
      this.drafts.start(),
      this.chats.start(),
      this.threads.start(),
      this.inbox.start(),
      this.preferences.start(),
      client.connection.subscribe(connected),
      client.feed.onRow((row) => {
        if (row.type === "request") this.#tidings.requestChanged(row.request);
      }),
      around.onLocalChange((key) => {
        if (key === MODES_KEY || key === null) this.modes.reload();
      }),
      around.onLeaving(() => this.places.write()),
      around.visible.subscribe(() => {
        // Some of what other devices do has no row in the feed: a question that was deleted without an answer.
        if (around.visible.get() && online) this.threads.again();
      }),
    ];
    connected();
    return () => {
      for (const end of ends.reverse()) end();
    };
  }

  /** Whoever is here leaves this browser: what they wrote and did not send is forgotten. Never rejects. */
  async signOut(): Promise<void> {
    const forgotten = Promise.all([this.drafts.clear(), this.client.clearOutbox()]);
    // A storage that hangs must not keep anybody signed in.
    const late = new Promise<void>((resolve) => void this.around.after(resolve, FORGET_MS));
    await Promise.race([forgotten, late]);
    this.client.close();
  }

  /** What can be done in a chat; the same object for the same chat. */
  threadActions(chatId: string): ThreadActions {
    let actions = this.#actions.get(chatId);
    if (!actions) {
      const { client, chats, drafts, modes } = this;
      const { open } = this.around;
      const on = {
        client,
        chats,
        drafts,
        modes,
        say: this.#say,
        open,
        thread: (id: string) => this.threads.of(id),
      };
      actions = actionsOf(on, chatId);
      if (this.#actions.size >= ACTIONS_MAX) this.#actions.clear();
      this.#actions.set(chatId, actions);
    }
    return actions;
  }
}

function chatActionsOf(chats: Chats): ChatActions {
  return {
    rename: (chatId, title) => chats.rename(chatId, title),
    archive: (chatId, on) => chats.archive(chatId, on),
    remove: (chatId) => chats.remove(chatId),
    restore: (chatId) => chats.restore(chatId),
    markSeen: (chatId) => chats.markSeen(chatId),
    newChatId: () => chats.newChatId(),
    setAgent: (chatId, agent) => chats.setAgent(chatId, agent),
  };
}
