/**
 * The tree of a chat's messages, and which branch of it is shown.
 *
 * Messages name their parents; those under one parent are siblings, a fork. Only a part of the history may be loaded: a
 * message whose parent is not known tops a tree of its own until that comes. What the wire says is not trusted to be a
 * tree: messages in a ring of parents hang under no top, and are not shown.
 *
 * Which branch is shown: the one the person is on (`pinned`, the last visible branch) stays, whatever comes beside it, and grows
 * at its end. Below it, and where there is none, each fork follows the person's choice, else its newest message.
 */

/** What the tree needs to know of a message. */
export interface TreeNode {
  readonly id: string;
  readonly parentId: string | null;
  readonly role: "user" | "assistant";
  readonly createdAt: number;
}

/** The fork of the messages without a parent. */
export const ROOT = "";

/** Whether `a` was written after `b`. A question and its answer are of one time; then the answer is later. */
function isLater(a: TreeNode, b: TreeNode): boolean {
  if (a.createdAt !== b.createdAt) return a.createdAt > b.createdAt;
  if (a.role !== b.role) return a.role === "assistant";
  return a.id > b.id;
}

/** The messages under one parent, oldest first, and the newest message beneath each. */
export class Tree {
  readonly #nodes: ReadonlyMap<string, TreeNode>;
  readonly #forks = new Map<string, string[]>();
  readonly #newest = new Map<string, TreeNode>();
  readonly #tops: string[] = [];

  /** Costs as much as there are nodes, but for the sorting of siblings. */
  constructor(nodes: ReadonlyMap<string, TreeNode>) {
    this.#nodes = nodes;
    for (const node of nodes.values()) {
      const key = node.parentId ?? ROOT;
      const fork = this.#forks.get(key);
      if (fork) fork.push(node.id);
      else this.#forks.set(key, [node.id]);
    }
    for (const [key, ids] of this.#forks) {
      if (ids.length > 1) ids.sort((a, b) => (isLater(this.#node(a), this.#node(b)) ? 1 : -1));
      if (!nodes.has(key)) this.#tops.push(...ids);
    }
    this.#findNewest();
  }

  /** The messages beside this one, itself included, oldest first. */
  siblings(id: string): readonly string[] {
    const node = this.#nodes.get(id);
    return node ? (this.#forks.get(node.parentId ?? ROOT) ?? []) : [];
  }

  /** The messages right under this one. */
  children(id: string): readonly string[] {
    return this.#forks.get(id) ?? [];
  }

  /** The message and everything under it. */
  subtree(id: string): ReadonlySet<string> {
    const found = new Set([id]);
    for (const each of found) for (const child of this.children(each)) found.add(child);
    return found;
  }

  /** The ids from the top down to the last visible message. */
  branch(pinned: readonly string[], choices: ReadonlyMap<string, string>): readonly string[] {
    const base = pinned.findLast((id) => this.#newest.has(id)) ?? this.#topChoice(choices);
    if (base === null) return [];
    const path: string[] = [];
    for (let id: string | null = base; id !== null; ) {
      path.push(id);
      const parent: string | null = this.#node(id).parentId;
      id = parent !== null && this.#nodes.has(parent) ? parent : null;
    }
    path.reverse();
    for (let id: string | null = this.#choice(base, choices); id !== null; id = this.#choice(id, choices))
      path.push(id);
    return path;
  }

  #node(id: string): TreeNode {
    const node = this.#nodes.get(id);
    if (!node) throw new Error(`no message ${id} in the tree`);
    return node;
  }

  #choice(fork: string, choices: ReadonlyMap<string, string>): string | null {
    const ids = this.#forks.get(fork);
    if (!ids) return null;
    const chosen = choices.get(fork);
    return chosen !== undefined && ids.includes(chosen) ? chosen : this.#newestOf(ids);
  }

  #topChoice(choices: ReadonlyMap<string, string>): string | null {
    const forks = new Set(this.#tops.map((id) => this.#node(id).parentId ?? ROOT));
    const tops = [...forks].map((fork) => this.#choice(fork, choices)).filter((id) => id !== null);
    return this.#newestOf(tops);
  }

  #newestOf(ids: readonly string[]): string | null {
    let best: { id: string; leaf: TreeNode } | null = null;
    for (const id of ids) {
      const leaf = this.#newest.get(id);
      if (leaf && (best === null || isLater(leaf, best.leaf))) best = { id, leaf };
    }
    return best?.id ?? null;
  }

  /** Walks without recursion: a branch may be thousands of messages deep. */
  #findNewest(): void {
    const order = [...this.#tops];
    for (let at = 0; at < order.length; at++) order.push(...this.children(order[at]!));
    for (const id of order.reverse()) {
      let newest = this.#node(id);
      for (const child of this.children(id)) {
        const below = this.#newest.get(child);
        if (below && isLater(below, newest)) newest = below;
      }
      this.#newest.set(id, newest);
    }
  }
}
