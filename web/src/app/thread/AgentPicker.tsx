/** Chooses who answers in this chat. */
import { Button, Menu } from "@app/design/index.ts";
import { useAgents } from "@app/model/index.ts";
import { Bot, ChevronDown } from "lucide-react";
import styles from "./composer.module.css";

/** The chat's agent, or the server's default; null while no agent is known. Opens a list with models and descriptions. */
export function AgentPicker({ value, onChange }: { value: string | null; onChange: (name: string) => void }) {
  const agents = useAgents();
  const chosen =
    agents.find((agent) => agent.name === value) ?? agents.find((agent) => agent.default) ?? agents[0];
  const name = chosen?.name ?? value;
  if (!name) return null;
  if (agents.length < 2) {
    return (
      <span className={styles.agent} title={chosen?.model || undefined}>
        <Bot size={14} aria-hidden="true" />
        <span className={styles.agentName}>{name}</span>
      </span>
    );
  }
  return (
    <Menu
      label="Who answers in this chat"
      side="top"
      align="start"
      trigger={
        <Button
          variant="quiet"
          size="s"
          icon={<Bot size={14} />}
          aria-label={`Agent: ${name}. Choose another`}
        >
          <span className={styles.agentName}>{name}</span>
          <ChevronDown size={14} aria-hidden="true" />
        </Button>
      }
      items={agents.map((agent) => ({
        label: agent.name,
        note: agent.model,
        detail: agent.description,
        checked: agent.name === name,
        onSelect: () => onChange(agent.name),
      }))}
    />
  );
}
