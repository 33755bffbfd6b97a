/** When which parts of the page are drawn anew. */

/** Parts of the page that are drawn by themselves. */
export type Topic = 'chat' | 'queue' | 'live' | 'goods' | 'room';
const ALL: readonly Topic[] = ['chat', 'queue', 'live', 'goods', 'room'];
/** A page that nobody sees is drawn so often at the most. */
const HIDDEN_MS = 500;

export class Drawing {
  private readonly listeners = new Map<() => void, ReadonlySet<Topic>>();
  private readonly due = new Set<Topic>();

  /** Call `listener` when one of these topics is to be drawn; what is returned ends it. */
  subscribe(listener: () => void, topics: readonly Topic[]): () => void {
    this.listeners.set(listener, new Set(topics));
    return () => void this.listeners.delete(listener);
  }

  /** Draw what shows these topics (none named: everything), once for all that changed by the next picture. */
  changed(...topics: Topic[]): void {
    const idle = this.due.size === 0;
    for (const topic of topics.length ? topics : ALL) this.due.add(topic);
    if (!idle) return;
    const draw = () => {
      const due = new Set(this.due);
      this.due.clear();
      for (const [listener, wanted] of [...this.listeners]) if ([...wanted].some((topic) => due.has(topic))) listener();
    };
    if (document.hidden) setTimeout(draw, HIDDEN_MS);
    else requestAnimationFrame(draw);
  }
}
