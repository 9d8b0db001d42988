/**
 * A piece of the page that comes when it is wanted, and can be wanted again where it could not be had.
 *
 * `React.lazy` keeps a failed load for good: who opens a screen while the network is away would find it broken until a reload.
 * Here a failure is dropped once it has been shown; not before, for React renders again in between, and would load without end.
 */
import { Button, EmptyState, Spinner } from "@app/design/index.ts";
import { CloudOff } from "lucide-react";
import {
  Component,
  type ComponentType,
  type LazyExoticComponent,
  lazy,
  type ReactNode,
  Suspense,
} from "react";
import styles from "./panels.module.css";

/** A component that loads the one which `load` resolves with at its first use. Where that fails it says so and offers to try
 * again; showing it anew tries again as well. An error of the loaded component itself is thrown on. */
export function lazyScreen<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
): (props: Props) => ReactNode {
  let piece: LazyExoticComponent<ComponentType<Props>> | null = null;
  let failure: { readonly error: unknown } | null = null;
  let failedBefore = false;

  const loaded = async () => {
    try {
      if (failedBefore) await styled();
      return { default: await load() };
    } catch (error) {
      failure = { error };
      failedBefore = true;
      throw error;
    }
  };
  const isOfLoading = (error: unknown) => failure !== null && failure.error === error;
  const drop = () => {
    piece = null;
    failure = null;
  };
  function Piece(props: Props) {
    piece ??= lazy(loaded);
    const Found = piece as ComponentType<Props>;
    return <Found {...props} />;
  }

  return function LazyScreen(props: Props) {
    return (
      <Boundary isOfLoading={isOfLoading} drop={drop}>
        <Suspense fallback={<Waiting />}>
          <Piece {...props} />
        </Suspense>
      </Boundary>
    );
  };
}

function Waiting() {
  return (
    <div className={styles.broken}>
      <Spinner label="Loading" />
    </div>
  );
}

interface BoundaryProps {
  readonly isOfLoading: (error: unknown) => boolean;
  readonly drop: () => void;
  readonly children: ReactNode;
}

interface BoundaryState {
  /** What came up from below, in a box: anything can be thrown. */
  readonly thrown: { readonly error: unknown; readonly ofLoading: boolean | null } | null;
}

class Boundary extends Component<BoundaryProps, BoundaryState> {
  override state: BoundaryState = { thrown: null };

  static getDerivedStateFromError(error: unknown): BoundaryState {
    return { thrown: { error, ofLoading: null } };
  }

  static getDerivedStateFromProps(props: BoundaryProps, { thrown }: BoundaryState): BoundaryState | null {
    // Asked once: the failure is forgotten when it has been shown.
    if (!thrown || thrown.ofLoading !== null) return null;
    return { thrown: { error: thrown.error, ofLoading: props.isOfLoading(thrown.error) } };
  }

  override componentDidCatch(): void {
    this.props.drop();
  }

  override render() {
    const { thrown } = this.state;
    if (!thrown) return this.props.children;
    if (!thrown.ofLoading) throw thrown.error;
    return (
      <div className={styles.broken} role="alert">
        <EmptyState
          icon={<CloudOff size={32} strokeWidth={1.4} />}
          title="This part of the page could not be loaded"
          level={1}
          action={
            <Button variant="primary" onClick={() => this.setState({ thrown: null })}>
              Try again
            </Button>
          }
        >
          It is loaded when it is first opened, and the server could not be reached. If this goes on, reload
          the page.
        </EmptyState>
      </div>
    );
  }
}

/** Ask anew for style sheets that could not be had: the bundler asks for each only once. */
async function styled(): Promise<void> {
  const links = document.querySelectorAll<HTMLLinkElement>('link[rel="stylesheet"]');
  const missing = [...links].filter((link) => link.sheet === null);
  await Promise.all(
    missing.map(
      (link) =>
        new Promise<void>((resolve, reject) => {
          const again = link.cloneNode() as HTMLLinkElement;
          again.addEventListener("load", () => {
            link.remove();
            resolve();
          });
          again.addEventListener("error", () => {
            again.remove();
            reject(new Error(`no style sheet at ${again.href}`));
          });
          link.after(again);
        }),
    ),
  );
}
