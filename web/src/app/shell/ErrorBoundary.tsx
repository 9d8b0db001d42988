/** Keeps the shell alive when a screen breaks: says so, and offers to go on. */
import { Button, EmptyState } from "@app/design/index.ts";
import { LifeBuoy } from "lucide-react";
import { Component, type ReactNode } from "react";
import styles from "./panels.module.css";

interface Props {
  children: ReactNode;
  /** Another value tries again: the place that is shown. */
  resetKey: string;
}

interface State {
  error: Error | null;
  key: string;
}

/** Shows its children, or what broke. What runs on the server is not touched by it. */
export class ErrorBoundary extends Component<Props, State> {
  override state: State = { error: null, key: this.props.resetKey };

  static getDerivedStateFromError(error: unknown): Partial<State> {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  static getDerivedStateFromProps(props: Props, state: State): Partial<State> | null {
    return props.resetKey === state.key ? null : { error: null, key: props.resetKey };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <div className={styles.broken} role="alert">
        <EmptyState
          icon={<LifeBuoy size={32} strokeWidth={1.4} />}
          title="This screen broke"
          level={1}
          action={
            <Button variant="primary" onClick={() => location.reload()}>
              Reload the page
            </Button>
          }
        >
          Your chats and answers are safe on the server, and unsent messages in this browser.
          <code className={styles.detail}>{error.message.slice(0, 300)}</code>
        </EmptyState>
      </div>
    );
  }
}
