/** What a new chat offers: things to ask, and on a server without a model how to give it one. */
import { chatActions, threadActions, useAgents } from "@app/model/index.ts";
import { useLocation } from "wouter";
import styles from "./panels.module.css";

/** Each shows something that the demo agent does with these words. */
const DEMO_CHIPS = [
  { text: "Show me everything an answer can hold", about: "Thoughts, a tool, steps, a table, code" },
  { text: "Please approve before you count the words", about: "It waits for your decision" },
  { text: "Try something and fail at the end", about: "What a failure looks like" },
  { text: "Write while I reload this page", about: "Then reload: nothing is lost" },
] as const;

const CHIPS = [
  { text: "Explain how tides work, with a small table", about: "" },
  { text: "Write a function that finds duplicate files, and explain it", about: "" },
  { text: "Plan a week of simple dinners for two", about: "" },
  { text: "Compare three ways to keep a bicycle chain clean", about: "" },
] as const;

/** Suggestions to send, and a kind word where only the demo agent exists. Pressing one begins a new chat. */
export function Welcome() {
  const agents = useAgents();
  const [, go] = useLocation();
  if (agents.length === 0) return null;
  const demoOnly = agents.every((agent) => agent.name === "demo");

  function ask(text: string) {
    const chatId = chatActions.newChatId();
    threadActions(chatId).send(text);
    go(`/c/${chatId}`);
  }

  return (
    <div className={styles.welcome}>
      <div className={styles.chips}>
        {(demoOnly ? DEMO_CHIPS : CHIPS).map(({ text, about }) => (
          <button key={text} type="button" className={styles.chip} onClick={() => ask(text)}>
            {text}
            {about && <span>{about}</span>}
          </button>
        ))}
      </div>
      {demoOnly && (
        <p className={styles.note}>
          <strong>You are talking to the demo agent.</strong> It works without any key, and shows what answers
          can do. For a real model, start the server with <code>OPENAI_API_KEY=…</code> set, or with{" "}
          <code>OPENAI_BASE_URL</code> for Ollama, vLLM and others; then reload this page.
        </p>
      )}
    </div>
  );
}
