/** Where components find the model: one per client, followed while it is mounted. */
import { toast } from "@app/design/index.ts";
import type { Client, Readable } from "@sdk";
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useSyncExternalStore,
} from "react";
import { navigate } from "wouter/use-browser-location";
import { indexedDbDrafts } from "./draftStore.ts";
import { Model } from "./model.ts";
import { browserSurroundings } from "./surroundings.ts";
import type { ChatActions, ThreadActions } from "./types.ts";

const DRAFTS_DATABASE = "holdfast-drafts";

const ModelContext = createContext<Model | null>(null);
const models = new WeakMap<Client, Model>();
let current: Model | null = null;

/** Gives the model of this client to what is in it. Whoever made the client starts and closes it. */
export function ModelProvider({ client, children }: { client: Client; children?: ReactNode }) {
  const model = modelOf(client);
  useEffect(() => model.start(), [model]);
  return <ModelContext value={model}>{children}</ModelContext>;
}

/** The model of the page. Throws outside of a ModelProvider. */
export function useModel(): Model {
  const model = useContext(ModelContext);
  if (!model) throw new Error("useModel needs a ModelProvider around it");
  return model;
}

/** The client, for what the model has no hook for. */
export function useClient(): Client {
  return useModel().client;
}

/** The value of a readable, and a new rendering with each change. */
export function useReadable<T>(readable: Readable<T>): T {
  const subscribe = useCallback((listener: () => void) => readable.subscribe(listener), [readable]);
  const get = useCallback(() => readable.get(), [readable]);
  return useSyncExternalStore(subscribe, get, get);
}

/** What can be done with chats; for event handlers below a ModelProvider. */
export const chatActions: ChatActions = {
  rename: (chatId, title) => mounted().chatActions.rename(chatId, title),
  archive: (chatId, on) => mounted().chatActions.archive(chatId, on),
  remove: (chatId) => mounted().chatActions.remove(chatId),
  restore: (chatId) => mounted().chatActions.restore(chatId),
  markSeen: (chatId) => mounted().chatActions.markSeen(chatId),
  newChatId: () => mounted().chatActions.newChatId(),
  setAgent: (chatId, agent) => mounted().chatActions.setAgent(chatId, agent),
};

/** What can be done in one chat; the same object for the same chat. */
export function threadActions(chatId: string): ThreadActions {
  return mounted().threadActions(chatId);
}

function mounted(): Model {
  if (!current) throw new Error("no ModelProvider has been rendered");
  return current;
}

function modelOf(client: Client): Model {
  let model = models.get(client);
  if (!model) {
    model = new Model({
      client,
      around: browserSurroundings((path) => navigate(path)),
      drafts: indexedDbDrafts(DRAFTS_DATABASE),
      dataset: document.documentElement.dataset,
      say: (said) => void toast(said),
    });
    models.set(client, model);
  }
  current = model;
  return model;
}
