/** Where components find the model: one per client, followed while it is mounted. */
import { toast } from "@app/design/index.ts";
import type { Client } from "@sdk";
import { createContext, type ReactNode, useContext, useEffect } from "react";
import { navigate } from "wouter/use-browser-location";
import { indexedDbDrafts } from "./draftStore.ts";
import { Model } from "./model.ts";
import { browserSurroundings } from "./surroundings.ts";
import type { ChatActions, ThreadActions } from "./types.ts";

/** A user's name follows: drafts are somebody's. */
const DRAFTS_DATABASE = "holdfast-drafts/";

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

/** Whoever is here leaves this browser: what they wrote and did not send is forgotten, and the client is closed. Reload the
 * page then. Never rejects. */
export function signOut(): Promise<void> {
  return mounted().signOut();
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
      draftsOf: (user) => indexedDbDrafts(DRAFTS_DATABASE + user),
      dataset: document.documentElement.dataset,
      say: (said) => void toast(said),
    });
    models.set(client, model);
  }
  current = model;
  return model;
}
