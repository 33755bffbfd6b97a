/** A line over time, drawn by uPlot on a canvas: its colours are those of the page, light or dark. */

import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { count } from '../shared/language';
import { STEP_MS, type Point } from './series';

export interface Curve {
  of: keyof Omit<Point, 'at'>;
  name: string;
  /** A custom property of the page. */
  colour: string;
  filled?: boolean;
  /** Not added up over a step, so the last one is as good as any. */
  level?: boolean;
}

const dark = matchMedia('(prefers-color-scheme: dark)');
const colourOf = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function Chart({ title, points, steps, curves, figure, height = 84 }: { title: string; points: readonly Point[]; steps: number; curves: readonly Curve[]; figure: string; height?: number }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const span = useRef(0);
  const data = useRef<uPlot.AlignedData>([[]]);
  span.current = (steps * STEP_MS) / 1000;
  data.current = [points.map((p) => p.at / 1000), ...curves.map((curve) => values(points, curve))];

  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      const grid = colourOf('--line');
      const soft = colourOf('--soft');
      const font = '11px system-ui, sans-serif';
      const axis = { stroke: soft, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
      plot.current = new uPlot(
        {
          width: box.current!.clientWidth || 300,
          height,
          legend: { show: false },
          cursor: { show: false },
          scales: { x: { range: (_, __, to) => [to - span.current, to] }, y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
          axes: [
            { ...axis, size: 20, space: 70, grid: { show: false }, values: (_, at) => at.map((s) => `${two(new Date(s * 1000).getHours())}:${two(new Date(s * 1000).getMinutes())}`) },
            { ...axis, size: 38, space: 18, values: (_, at) => at.map((n) => (Number.isInteger(n) ? count(n) : '')) },
          ],
          series: [
            {},
            ...curves.map(({ name, colour, filled }) => ({
              label: name, stroke: colourOf(colour), width: 1.6, points: { show: false }, ...(filled ? { fill: `${colourOf(colour)}33` } : {}),
            })),
          ],
        },
        data.current,
        box.current!,
      );
    };
    make();
    const resized = new ResizeObserver(([entry]) => entry!.contentRect.width && plot.current?.setSize({ width: entry!.contentRect.width, height }));
    resized.observe(box.current!);
    dark.addEventListener('change', make);
    return () => {
      resized.disconnect();
      dark.removeEventListener('change', make);
      plot.current?.destroy();
    };
  }, []);
  useLayoutEffect(() => plot.current?.setData(data.current));

  return (
    <figure class="chart">
      <figcaption>
        <b>{title}</b>
        {curves.length > 1 && curves.map(({ of, name, colour }) => <span key={of} class="key"><i style={{ background: `var(${colour})` }} />{name}</span>)}
        <span class="figure">{figure}</span>
      </figcaption>
      <div ref={box} role="img" aria-label={`${title}: ${figure}`} />
    </figure>
  );
}

/** The present step is not over: it is drawn once it is not below the one before, as it would look like a fall otherwise. */
function values(points: readonly Point[], { of, level }: Curve): (number | null)[] {
  const all: (number | null)[] = points.map((p) => p[of]);
  if (!level && all.length > 1 && all.at(-1)! < all.at(-2)!) all[all.length - 1] = null;
  return all;
}

const two = (n: number): string => String(n).padStart(2, '0');
