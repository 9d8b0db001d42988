/** Chooses who answers in this chat. */
import { Button, useLayer } from "@app/design/index.ts";
import { useAgents } from "@app/model/index.ts";
import * as Dropdown from "@radix-ui/react-dropdown-menu";
import { Bot, Check, ChevronDown } from "lucide-react";
import styles from "./composer.module.css";

/** The chat's agent, or the server's default; null while no agent is known. Opens a list with models and descriptions. */
export function AgentPicker({ value, onChange }: { value: string | null; onChange: (name: string) => void }) {
  const agents = useAgents();
  const layer = useLayer();
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
    <Dropdown.Root modal={false}>
      <Dropdown.Trigger asChild>
        <Button
          variant="quiet"
          size="s"
          icon={<Bot size={14} />}
          aria-label={`Agent: ${name}. Choose another`}
        >
          <span className={styles.agentName}>{name}</span>
          <ChevronDown size={14} aria-hidden="true" />
        </Button>
      </Dropdown.Trigger>
      <Dropdown.Portal {...(layer ? { container: layer } : {})}>
        <Dropdown.Content
          className={styles.agents}
          side="top"
          align="start"
          sideOffset={6}
          collisionPadding={8}
          aria-label="Who answers in this chat"
          loop
        >
          <Dropdown.RadioGroup value={name} onValueChange={onChange}>
            {agents.map((agent) => (
              <Dropdown.RadioItem key={agent.name} value={agent.name} className={styles.agentRow}>
                <span className={styles.agentMark}>
                  <Dropdown.ItemIndicator>
                    <Check size={16} aria-hidden="true" />
                  </Dropdown.ItemIndicator>
                </span>
                <span className={styles.agentTexts}>
                  <span className={styles.agentTitle}>
                    {agent.name}
                    {agent.model && <span className={styles.agentModel}>{agent.model}</span>}
                  </span>
                  {agent.description && <span className={styles.agentSays}>{agent.description}</span>}
                </span>
              </Dropdown.RadioItem>
            ))}
          </Dropdown.RadioGroup>
        </Dropdown.Content>
      </Dropdown.Portal>
    </Dropdown.Root>
  );
}
