/** The monitor's filters: what kind, which agent, which words. */
import { useAgents } from "@app/model/index.ts";
import type { RequestRow } from "@sdk";
import { Search } from "lucide-react";
import { useEffect, useId, useMemo, useState } from "react";
import styles from "./filters.module.css";
import { type Filter, SHOWS } from "./filters.ts";

/** A pause in typing after which the words are looked for. */
const TYPING_MS = 200;

/** The row of filters; each change is told at once, words after a short pause. */
export function Filters(props: {
  filter: Filter;
  onChange: (filter: Filter) => void;
  rows: readonly RequestRow[];
}) {
  const { filter, onChange, rows } = props;
  const agents = useAgents();
  const agentId = useId();
  const textId = useId();
  const [text, setText] = useState(filter.text);
  // The address may change by itself (back, a link): then the field follows it.
  const [told, setTold] = useState(filter.text);
  if (told !== filter.text) {
    setTold(filter.text);
    setText(filter.text);
  }
  useEffect(() => {
    if (text === filter.text) return;
    const timer = setTimeout(() => {
      setTold(text);
      onChange({ ...filter, text });
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, filter, onChange]);
  const names = useMemo(
    () =>
      [...new Set([...agents.map((one) => one.name), ...rows.map((row) => row.agent), filter.agent])]
        .filter(Boolean)
        .sort(),
    [agents, rows, filter.agent],
  );
  return (
    <div className={styles.filters}>
      <div className={styles.shows} role="radiogroup" aria-label="What to show">
        {SHOWS.map((one) => (
          <label key={one.value} className={styles.show}>
            <input
              type="radio"
              name="show"
              checked={filter.show === one.value}
              onChange={() => onChange({ ...filter, show: one.value })}
            />
            <span>{one.label}</span>
          </label>
        ))}
      </div>
      <div className={styles.fields}>
        <label htmlFor={agentId} className="visually-hidden">
          Agent
        </label>
        <select
          id={agentId}
          className={styles.select}
          value={filter.agent}
          onChange={(event) => onChange({ ...filter, agent: event.target.value })}
        >
          <option value="">Any agent</option>
          {names.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <div className={styles.search}>
          <Search size={16} aria-hidden="true" />
          <label htmlFor={textId} className="visually-hidden">
            Words in the title
          </label>
          <input
            id={textId}
            type="search"
            placeholder="Words in the title"
            maxLength={200}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </div>
      </div>
    </div>
  );
}
