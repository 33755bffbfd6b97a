/** Typed events. A listener that throws does not keep others from hearing; what it threw is reported as uncaught. */

export class Emitter<Events extends object> {
  private readonly listeners = new Map<keyof Events, Set<(event: never) => void>>();

  /** Call `listener` with every event of this kind; the result takes it off again. */
  on<Kind extends keyof Events>(kind: Kind, listener: (event: Events[Kind]) => void): () => void {
    const all = this.listeners.get(kind) ?? new Set();
    this.listeners.set(kind, all);
    all.add(listener);
    return () => void all.delete(listener);
  }

  protected emit<Kind extends keyof Events>(kind: Kind, event: Events[Kind]): void {
    for (const listener of [...(this.listeners.get(kind) ?? [])]) {
      try {
        (listener as (event: Events[Kind]) => void)(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
