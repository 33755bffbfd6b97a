/** A long list of which only what is seen is drawn. Rows may be of any height: they are measured as they are drawn. */

import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from 'preact/hooks';

/** Until a row was measured, in pixels. */
const ESTIMATE_PX = 30;
/** Rows drawn beyond both ends: what a flick of the wheel uncovers before the next picture. */
const BEYOND = 8;
/** So near to the end counts as the end. */
const NEAR_PX = 40;
/** Measuring rows moves others into sight: after so many rounds it is left to the next picture. */
const ROUNDS_MAX = 5;

interface Props<T> {
  items: readonly T[];
  keyOf: (item: T) => string;
  row: (item: T) => ComponentChildren;
  /** Stay at the end as items come. */
  follow: boolean;
  onFollow: (follow: boolean) => void;
  /** Keep this one in sight. */
  reveal?: string | null;
}

export function VirtualList<T>({ items, keyOf, row, follow, onFollow, reveal = null }: Props<T>) {
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLOListElement>(null);
  const heights = useRef(new Map<string, number>());
  const anchor = useRef({ key: '', above: 0 });
  const rounds = useRef(0);
  const revealed = useRef<string | null>(null);
  const [size, setSize] = useState({ width: 0, height: 600 });
  const [top, setTop] = useState(0);
  const [, again] = useReducer((n: number) => n + 1, 0);

  const known = heights.current;
  if (known.size > 4 * items.length + 1000) known.clear(); // rows of long ago
  const ends = new Float64Array(items.length + 1);
  for (let i = 0; i < items.length; i++) ends[i + 1] = ends[i]! + (known.get(keyOf(items[i]!)) ?? ESTIMATE_PX);
  const total = ends[items.length]!;
  const seen = follow ? Math.max(0, total - size.height) : top;
  const first = Math.max(0, place(ends, seen) - BEYOND);
  const last = Math.min(items.length, place(ends, seen + size.height) + BEYOND);

  useEffect(() => {
    const resized = new ResizeObserver(([entry]) => {
      const { width, height } = entry!.contentRect;
      setSize((before) => {
        if (before.width !== width) heights.current.clear();
        return { width, height };
      });
    });
    resized.observe(box.current!);
    return () => resized.disconnect();
  }, []);

  useLayoutEffect(() => {
    let moved = false;
    for (const element of list.current!.children) {
      const key = (element as HTMLElement).dataset.key!;
      const { height } = element.getBoundingClientRect();
      if (height && Math.abs((known.get(key) ?? ESTIMATE_PX) - height) > 0.5) {
        known.set(key, height);
        moved = true;
      } else if (!known.has(key)) {
        known.set(key, height);
      }
    }
    if (moved && rounds.current++ < ROUNDS_MAX) {
      again(0);
      return;
    }
    rounds.current = 0;
    const at = box.current!;
    if (reveal !== null && reveal !== revealed.current) {
      revealed.current = reveal;
      const i = items.findIndex((item) => keyOf(item) === reveal);
      if (i >= 0) {
        if (ends[i]! < at.scrollTop) at.scrollTop = ends[i]!;
        else if (ends[i + 1]! > at.scrollTop + at.clientHeight) at.scrollTop = ends[i + 1]! - at.clientHeight;
        setTop(at.scrollTop);
        hold(at.scrollTop);
        return;
      }
    }
    if (follow) {
      at.scrollTop = at.scrollHeight;
    } else if (anchor.current.key) {
      // What is read stays where it is, whatever comes, goes or turns out taller above it.
      const i = items.findIndex((item) => keyOf(item) === anchor.current.key);
      if (i >= 0 && Math.abs(at.scrollTop - (ends[i]! + anchor.current.above)) > 1) at.scrollTop = ends[i]! + anchor.current.above;
    }
  });

  const hold = (scrollTop: number) => {
    const i = Math.min(items.length - 1, place(ends, scrollTop));
    anchor.current = i < 0 ? { key: '', above: 0 } : { key: keyOf(items[i]!), above: scrollTop - ends[i]! };
  };
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current!;
    const atEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (!atEnd) hold(scrollTop);
    setTop(scrollTop);
    if (atEnd !== follow) onFollow(atEnd);
  };

  return (
    <div class="vlist" ref={box} onScroll={scrolled}>
      <ol ref={list} style={{ paddingTop: `${ends[first]}px`, paddingBottom: `${total - ends[last]!}px` }}>
        {items.slice(first, last).map((item) => row(item))}
      </ol>
    </div>
  );
}

/** The row at this height: the last that begins at or above it. */
function place(ends: Float64Array, at: number): number {
  let low = 0;
  let high = ends.length - 1;
  while (low < high) {
    const mid = (low + high + 1) >> 1;
    if (ends[mid]! <= at) low = mid;
    else high = mid - 1;
  }
  return low;
}
