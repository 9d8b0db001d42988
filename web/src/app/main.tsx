/** Where the page begins: makes the client, and draws the app around it. */
import "./design/tokens.css";
import "./design/base.css";
import { Client, indexedDbOutbox } from "@sdk";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.tsx";
import { loadMarkdown } from "./answer/index.ts";
import { loadMenu } from "./design/index.ts";
import { ModelProvider } from "./model/index.ts";
import { frameBatch } from "./shell/batch.ts";
import { watchForNewVersion } from "./shell/newVersion.ts";
import { readToken, readUser, rememberUser } from "./shell/token.ts";

const client = new Client({
  token: readToken(),
  user: readUser(),
  name: "holdfast-page",
  outbox: indexedDbOutbox("holdfast"),
  batch: frameBatch,
});
client.connection.subscribe(() => {
  const { phase, user } = client.connection.get();
  if (phase === "online") rememberUser(user);
});
client.start();
watchForNewVersion(() => client.connection.get().phase === "online");

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <ModelProvider client={client}>
      <App />
    </ModelProvider>
  </StrictMode>,
);

// Before the first answer or menu needs it, and after everything that the first look needs. Safari has no idle callback.
function fetchTheRest(): void {
  loadMenu().catch(() => undefined); // tried again when one is opened
  void loadMarkdown();
}
if ("requestIdleCallback" in window) requestIdleCallback(fetchTheRest);
else setTimeout(fetchTheRest, 200);
